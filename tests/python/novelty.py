#!/usr/bin/env python3
"""Checks the column `novelty` against the embeddings, and the shares of scan.json against the column.
usage: novelty.py DATA SCAN WHOLE.onnx CODES.onnx, with the data sets of `main`, `again` (WHOLE) and `codes` (CODES)."""

import collections
import json
import sys

import h5py
import numpy as np
import onnx
import pyarrow.dataset as ds
from onnx import numpy_helper

data, scan, *models = sys.argv[1:]
with open(f"{data}/scans/{scan}/scan.json") as file:
    record = json.load(file)


def known(path):
    model = onnx.load(path)
    about = {entry.key.removeprefix("hyclus."): entry.value for entry in model.metadata_props}
    return {key: np.array(json.loads(about[key])) for key in about if key != "name"}, model


def rows(name):
    folder = "embeddings" if name == "main" else f"embeddings-{name}"
    return ds.dataset(f"{data}/{folder}", partitioning="hive").to_table(filter=ds.field("scan") == scan)


def distances(table, about):
    width = table.schema.field("embedding").type.list_size
    from_mean = np.asarray(table["embedding"].combine_chunks().flatten(), "f8").reshape(-1, width) - about["codes_mean"]
    squared = np.sum(from_mean * np.linalg.solve(about["codes_covariance"], from_mean.T).T, axis=1)
    return np.sqrt(squared) / about["codes_limit"]


def shares(table, said):
    count = collections.defaultdict(lambda: [0, 0])
    for place, novelty in zip(table["container"].to_pylist(), table["novelty"].to_pylist()):
        count[place][0] += 1
        count[place][1] += novelty > 1
    found = {place: {"sample": f"S-{place}", "spectra": n, "novel": k, "share": k / n} for place, (n, k) in count.items()}
    # A share that was read and written again may be off by the last digit.
    assert said["containers"].keys() == found.keys() and all(abs(said["containers"][at].pop("share") - of.pop("share")) < 1e-12 for at, of in found.items())
    assert said["containers"] == found, (said, found)


whole, model = known(models[0])
codes, _ = known(models[1])
weights = {weight.name: numpy_helper.to_array(weight) for weight in model.graph.initializer}
for name, about, said in [
    ("main", whole, record["novelty"]),
    ("again", whole, record["encoders"]["again"]["novelty"]),
    ("codes", codes, record["encoders"]["codes"]["novelty"]),
]:
    table = rows(name)
    shares(table, said)
    novelty = table["novelty"].to_numpy()
    distance = distances(table, about)
    if name == "codes":
        np.testing.assert_allclose(novelty, distance, rtol=1e-5)
        continue
    # The residuals from the spectra of the files, resampled as the model asks: it was fitted to these bands.
    expected = []
    cubes = {}
    for sample in record["samples"]:
        with h5py.File(f"{data}/scans/{scan}/{sample['file']}") as file:
            cubes[sample["container"]] = file["/entry/reflectance/reflectance"][:], file["/entry/reflectance/wavelength"][:]
    for place, line, pixel in zip(*(table[key].to_pylist() for key in ("container", "line", "pixel"))):
        cube, nm = cubes[place]
        expected.append(cube[line, pixel])
    assert np.allclose(nm, about["wavelengths_nm"]), "the bands of the model are those of the files"
    centred = np.array(expected, "f8") - weights["mean"]
    rest = centred - centred @ weights["span"].astype("f8") @ weights["span"].T
    residual = np.sqrt(np.mean(rest**2, axis=1)) / about["residual_limit"]
    np.testing.assert_allclose(novelty, np.maximum(distance, residual), rtol=1e-3)
