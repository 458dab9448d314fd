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


darks, whites = read("DARKREF_"), read("WHITEREF_")
counts, dark, white = read(""), darks.mean(0), whites.mean(0)
response = white - dark


def upper_median(values):
    return np.sort(values, 0)[values.shape[0] // 2]


typical = upper_median(response)
# Two frames tell little about noise, so neighbouring pixels do too.
noise = np.maximum(np.maximum(upper_median(darks.std(0, ddof=1)), 0.5), upper_median(np.abs(np.diff(response, axis=0))) / 2)
dead = (response <= 3 * noise) | (typical <= 3 * noise) | (response < 0.1 * typical)
hot = dark - np.median(dark, 0) > 0.05 * saturation
clipped = (whites >= saturation).any(0) | (darks >= saturation).any(0)
bad = dead | hot | clipped

# A bad element is interpolated between good ones at most four bands apart.
mended = np.zeros(bad.shape, bool)
for pixel, band in np.argwhere(bad):
    before, after = np.flatnonzero(~bad[pixel, :band]), np.flatnonzero(~bad[pixel, band:])
    mended[pixel, band] = len(before) > 0 and len(after) > 0 and band + after[0] - before[-1] <= 4
missing = bad & ~mended

with h5py.File(sample) as file:
    group = file["entry/reflectance"]
    cube, quality = group["reflectance"][...], group["quality"][...]
    flags = dict(zip(group["quality"].attrs["flag_meanings"].split(), group["quality"].attrs["flag_masks"]))
    calibration = file["entry/calibration/camera"]
    assert np.allclose(calibration["dark"], dark) and np.allclose(calibration["white"], white)
    instrument = file["entry/instrument/camera"]
    system_gain = float(instrument["overall_system_gain"][()]) if "overall_system_gain" in instrument else 0.0
    assert (calibration["bad_pixel"][...] != 0).tolist() == bad.tolist(), "other elements are bad"
assert cube.shape == counts.shape

flagged = {name: quality & mask != 0 for name, mask in flags.items()}
good = np.broadcast_to(~bad, counts.shape)
wanted = (counts - dark) / np.where(bad, 1, response)
worst = (np.abs(cube - wanted) / np.maximum(1, np.abs(wanted)))[good].max()
assert worst <= 1e-5, f"off by {worst}"
assert (np.isfinite(cube) == ~missing).all()
some = ~missing.all(1)
assert (flagged["bad_pixel"] == (mended.any(1) & some)).all()
assert (flagged["missing_bands"] == (missing.any(1) & some)).all()
assert (flagged["no_data"] == ~some).all()

over = ((counts >= saturation) & good).any(2)
assert (flagged["saturated"] == over).all(), f"{flagged['saturated'].sum()} pixels are flagged, {over.sum()} are saturated"
# The level is set so that some pixels are over it and some are not.
assert saturation > 4000 or 0 < over.sum() < over.size, f"{over.sum()} of {over.size} pixels are over {saturation}"

# The signal whose ratio to sqrt(dark noise^2 + system gain * signal) is 3, and five bands of a hundred.
dark_noise = max(1.0, upper_median(darks.std(0, ddof=1).ravel()))
least = 1.5 * (3 * system_gain + np.hypot(3 * system_gain, 2 * dark_noise))
faint = (((counts - dark) < least) & good).sum(2) > int(0.05 * counts.shape[2])
assert faint[0, weak].all(), "the darkened pixels are weak"
assert (flagged["low_signal"] == faint).all(), f"low signal at {np.argwhere(flagged['low_signal'] != faint).tolist()[:9]} is not as made"
for name in ("gap", "out_of_view"):
    assert not flagged[name].any(), name
print(f"within {worst:.1e}; {bad.sum()} bad elements, {over.sum()} of {over.size} pixels saturated, {faint.sum()} weak")
