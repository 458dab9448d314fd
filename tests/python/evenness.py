#!/usr/bin/env python3
"""Compares how the errors of samples differ across the tray, with an uneven panel and with its evenness corrected.
usage: evenness.py EVEN UNEVEN CORRECTED"""
import glob
import sys

import h5py
import numpy as np


def means(folder):
    found = []
    for path in sorted(glob.glob(f"{folder}/*.h5")):
        with h5py.File(path) as file:
            group = file["entry/reflectance"]
            clear = (group["mask"][...] == 1) & (group["quality"][...] == 0)
            found.append(np.nanmean(group["reflectance"][...][clear].astype(np.float64)))
    assert len(found) == 4, folder
    return np.array(found)


even, uneven, corrected = (means(folder) for folder in sys.argv[1:])
before, after = (np.ptp(found / even) for found in (uneven, corrected))
print(f"samples differ by {before:.5f}, corrected by {after:.5f}")
assert before > 0.015, before
assert after < 0.003, after
