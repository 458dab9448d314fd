#!/usr/bin/env python3
"""Compares the black tray around samples before and after interpolation of the dark level.
usage: drift_interpolated.py SAMPLES_AS_SCANNED SAMPLES_PROCESSED_AGAIN"""
import glob
import sys

import h5py
import numpy as np

# The simulated tray and belt reflect this at every wavelength.
BACKGROUND = 0.03


def black(folder):
    """Mean reflectance of the tray beside the samples in the VNIR, worst sample."""
    worst = 0.0
    paths = sorted(glob.glob(f"{folder}/*.h5"))
    assert len(paths) == 4, paths
    for path in paths:
        with h5py.File(path) as file:
            group = file["entry/reflectance"]
            bands = group["wavelength"][...] < 990
            quality = group["quality"]
            flags = dict(zip(quality.attrs["flag_meanings"].split(), quality.attrs["flag_masks"]))
            sample = (group["mask"][...] != 0) | (quality[...] & flags["edge"] != 0)
            # Beside a sample and its rim lie pixels that it covers in part, at its corners too.
            near = sample
            for axis in (0, 1):
                near = np.any([np.roll(near, step, axis) for step in (-1, 0, 1)], axis=0)
            away = ~near & (quality[...] == 0)
            if away.sum() < 10:
                continue
            value = group["reflectance"][...][away][:, bands].mean()
            worst = max(worst, abs(value - BACKGROUND))
    assert worst > 0.0, "no black pixel was looked at"
    return worst


scanned, again = black(sys.argv[1]), black(sys.argv[2])
print(f"error of the black: {scanned:.5f} as scanned, {again:.5f} interpolated")
assert scanned > 0.004, "the dark level did not move"
assert again < scanned / 10, (scanned, again)
