#!/usr/bin/env python3
"""Compares a processed FENIX reflectance image, and its embeddings, with the image itself.
usage: process_fenix.py IMAGE.hdr SAMPLE.h5 EMBEDDINGS MATRIX.npy. Needs numpy, h5py and pyarrow."""

import sys

import h5py
import numpy as np
import pyarrow.dataset

header, sample, embeddings, matrix = sys.argv[1:]
LINES, PIXELS, BANDS = 38, 23, 450
image = np.fromfile(header.replace(".hdr", ".dat"), "<u2").reshape(BANDS, LINES, PIXELS).transpose(1, 2, 0)
with open(header, encoding="latin-1") as file:
    listed = file.read().split("wavelength = {")[1].split("}")[0]
wavelengths = np.array([float(word) for word in listed.split(",")])

with h5py.File(sample) as file:
    group = file["entry/reflectance"]
    cube, quality, mask = (group[name][...] for name in ("reflectance", "quality", "mask"))
    assert np.allclose(group["wavelength"], wavelengths) and (np.diff(group["wavelength"]) > 0).all()
    x, y = group["pixel"][...], group["line"][...]
    flags = dict(zip(group["quality"].attrs["flag_meanings"].split(), group["quality"].attrs["flag_masks"]))
assert np.allclose(x, np.arange(PIXELS) + 0.5) and np.allclose(y, np.arange(LINES)), (x, y)

void = image == 0
assert cube.shape == image.shape and void.any()
assert (np.isnan(cube) == void).all(), f"{np.isnan(cube).sum()} values are NaN, {void.sum()} are 0 in the image"
worst = np.abs(cube - image / 65535.0)[~void].max()
assert worst <= 1e-4, f"off by {worst}"
assert ((quality & flags["no_data"] != 0) == void.all(2)).all()
assert ((quality & flags["missing_bands"] != 0) == (void.any(2) & ~void.all(2))).all()
assert mask.all(), "the container is the whole image"

valid = ~void.any(2)
rows = pyarrow.dataset.dataset(embeddings, format="parquet", partitioning="hive").to_table().to_pydict()
places = list(zip(rows["line"], rows["pixel"]))
assert len(places) == len(set(places)) == valid.sum(), f"{len(places)} rows for {valid.sum()} valid pixels"
assert set(places) == set(zip(*(axis.tolist() for axis in np.nonzero(valid))))
lines, pixels = np.array(places).T
assert np.allclose(rows["x_mm"], x[pixels]) and np.allclose(rows["y_mm"], y[lines])
assert (np.array(rows["quality"]) == quality[lines, pixels]).all()
wanted = (image[lines, pixels] / 65535.0) @ np.load(matrix).astype("f8")
wrong = np.abs(np.array(rows["embedding"]) - wanted).max()
assert wrong <= 1e-3, f"embeddings are off by {wrong}"
print(f"{valid.sum()} of {valid.size} pixels valid, reflectance within {worst:.1e}, embeddings within {wrong:.1e}")
