#!/usr/bin/env python3
"""Compares positions and depths of features with those of the package hylite (analyse/mwl, hull and parabola), on an ENVI image or the file
of a sample. usage: minerals_hylite.py HYCLUS LIBRARY.toml CUBE FOLDER. Needs numpy, h5py and hylite; says so and ends where that is missing."""

import sys
import tomllib
from importlib.util import find_spec

import h5py
import numpy as np
from minerals_common import envi, identify

program, library, cube, folder = sys.argv[1:]
if find_spec("hylite") is None or find_spec("gfit") is None:
    print("skipped: the package hylite is missing; python3 -m pip install hylite")
    sys.exit()
from hylite import HyImage  # noqa: E402
from hylite.analyse.mwl import minimum_wavelength  # noqa: E402

if cube.endswith(".hdr"):
    values, nm = envi(cube)
    valid = (values > 0).all(axis=2)
else:
    with h5py.File(cube) as file:
        group = file["entry/reflectance"]
        values, nm = group["reflectance"][...].astype(float), group["wavelength"][...]
        valid = group["mask"][...].astype(bool) & np.isfinite(values).all(axis=2) & (values > 0).all(axis=2)
_, features, _ = identify(program, library, cube, folder)
with open(library, "rb") as file:
    known = {feature["name"]: feature for feature in tomllib.load(file)["feature"]}

# Noise decides where a shallower minimum lies. The spectra of a simulated tray are noisier than those of the image.
CLEAR = 0.02 if cube.endswith(".hdr") else 0.1
away, off, other = [], [], 0
for name in ("1400_OH", "1900_H2O", "2200_AlOH", "2250_FeOH", "2320_MgOH", "2335_CO3", "2350_AlOH", "2390_MgOH"):
    begin, end = known[name]["window_nm"]
    low, high = known[name].get("minimum_nm", (begin, end))
    bands = np.flatnonzero((nm >= begin) & (nm <= end))
    if len(bands) < 5:
        continue
    image = HyImage(values[:, :, bands])
    image.set_wavelengths(nm[bands])
    # A parabola through one band on either side. The method "quad" of hylite 1.41 subtracts another value than its source says.
    found = minimum_wavelength(image, nm[bands[0]], nm[bands[-1]], method="poly", trend="hull", n=1, k=1, vb=False)
    theirs = {key: np.asarray(found[0, key]).reshape(values.shape[:2]) for key in ("pos", "depth")}
    depth, position = features[f"{name}_depth"], features[f"{name}_position"]
    told = valid & np.isfinite(position) & (depth >= CLEAR)
    # The library seeks the minimum in a part of the window. The package takes the deepest of the whole window.
    same = told & (theirs["pos"] >= low) & (theirs["pos"] <= high)
    other += int((told & ~same).sum())
    away.append(np.abs(position - theirs["pos"])[same])
    off.append(np.abs(depth - theirs["depth"])[same])
    if same.any():
        inside = 100 * (away[-1] <= 0.5).mean(), 100 * (off[-1] <= 0.005).mean()
        print(f"{name}: {same.sum()} of {told.sum()}, positions {inside[0]:.2f} %, depths {inside[1]:.2f} %")
away, off = np.concatenate(away), np.concatenate(off)
print(f"{len(away)} features; {other} more are deepest beside the range of the library")
print(f"positions: {100 * (away <= 0.5).mean():.2f} % within 0.5 nm, quantile 0.99 {np.quantile(away, 0.99):.3f} nm")
print(f"depths: {100 * (off <= 0.005).mean():.2f} % within 0.005, quantile 0.99 {np.quantile(off, 0.99):.5f}")
assert len(away) > 100 and (away <= 0.5).mean() >= 0.99 and (off <= 0.005).mean() >= 0.99
