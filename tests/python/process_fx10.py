#!/usr/bin/env python3
"""Compares a processed FX10 recording with its counts and references.
usage: process_fx10.py RECORDING SAMPLE.h5 SATURATION WEAK (pixels of line 0 that were darkened, by commas). Needs numpy and h5py."""

import os
import sys

import h5py
import numpy as np

recording, sample, saturation, weak = sys.argv[1:]
saturation = float(saturation)
weak = [int(pixel) for pixel in weak.split(",") if pixel]


def read(name):
    return np.fromfile(os.path.join(recording, name + "fx10_snow_2lines.raw"), "<u2").reshape(2, 448, 1024).transpose(0, 2, 1).astype("f8")


counts, dark, white = read(""), read("DARKREF_").mean(0), read("WHITEREF_").mean(0)
response = white - dark
dead = (response <= 0) | (response < 0.1 * np.median(response, 0))
hot = dark - np.median(dark, 0) > 0.05 * saturation
bad = dead | hot

with h5py.File(sample) as file:
    group = file["entry/reflectance"]
    cube, quality = group["reflectance"][...], group["quality"][...]
    flags = dict(zip(group["quality"].attrs["flag_meanings"].split(), group["quality"].attrs["flag_masks"]))
    calibration = file["entry/calibration/camera"]
    assert np.allclose(calibration["dark"], dark) and np.allclose(calibration["white"], white)
    assert (calibration["bad_pixel"][...] != 0).tolist() == bad.tolist(), "other elements are bad"
assert cube.shape == counts.shape

flagged = {name: quality & mask != 0 for name, mask in flags.items()}
good = np.broadcast_to(~bad, counts.shape)
wanted = (counts - dark) / np.where(bad, 1, response)
worst = (np.abs(cube - wanted) / np.maximum(1, np.abs(wanted)))[good].max()
assert worst <= 1e-5, f"off by {worst}"
assert np.isfinite(cube).all()
assert (flagged["bad_pixel"] == bad.any(1)).all()

over = ((counts >= saturation) & good).any(2)
assert (flagged["saturated"] == over).all(), f"{flagged['saturated'].sum()} pixels are flagged, {over.sum()} are saturated"
# The level is set so that some pixels are over it and some are not.
assert saturation > 4000 or 0 < over.sum() < over.size, f"{over.sum()} of {over.size} pixels are over {saturation}"

faint = np.zeros(quality.shape, bool)
faint[0, weak] = True
assert (flagged["low_signal"] == faint).all(), f"low signal at {np.argwhere(flagged['low_signal'] != faint).tolist()[:9]} is not as made"
for name in ("gap", "out_of_view", "no_data"):
    assert not flagged[name].any(), name
print(f"within {worst:.1e}; {bad.sum()} bad elements, {over.sum()} of {over.size} pixels saturated, {faint.sum()} weak")
