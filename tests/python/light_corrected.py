#!/usr/bin/env python3
"""Compares the mean spectra of samples under a steady light, under one that changes and is corrected, and under one that is not corrected.
usage: light_corrected.py STEADY CORRECTED LEAST [UNCORRECTED]
LEAST is the error, as a share, that the uncorrected samples have at least. Without UNCORRECTED, it is the most that the corrected ones have."""
import glob
import sys

import h5py
import numpy as np

# Bands that are averaged before the comparison, so that noise is out of it.
GROUP = 12


def means(folder):
    """Mean spectrum of each sample over its clear pixels, in groups of bands."""
    found = {}
    for path in sorted(glob.glob(f"{folder}/*.h5")):
        with h5py.File(path) as file:
            group = file["entry/reflectance"]
            clear = (group["mask"][...] == 1) & (group["quality"][...] == 0)
            spectrum = group["reflectance"][...][clear].astype(np.float64).mean(axis=0)
            found[path.rsplit("/", 1)[1]] = [part.mean() for part in np.array_split(spectrum, max(1, len(spectrum) // GROUP))]
    assert len(found) >= 4, folder
    return found


def error(steady, other):
    """Largest difference of any sample in any group, as a share."""
    assert steady.keys() == other.keys()
    return max(abs(np.array(other[name]) / np.array(steady[name]) - 1.0).max() for name in steady)


steady, limit = means(sys.argv[1]), float(sys.argv[3])
corrected = error(steady, means(sys.argv[2]))
print(f"corrected: {corrected:.5f}")
if len(sys.argv) > 4:
    uncorrected = error(steady, means(sys.argv[4]))
    print(f"uncorrected: {uncorrected:.5f}")
    assert uncorrected > limit, uncorrected
    limit = 0.001
assert corrected < limit, corrected
