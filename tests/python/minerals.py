#!/usr/bin/env python3
"""Compares the minerals of a scan in its sample files, in the data set, and in scan.json. With OTHER, they are also those of the only scan of
another data root.
usage: minerals.py DATA SCAN [OTHER]"""
import glob
import json
import os
import sys

import h5py
import numpy as np
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from scipy.optimize import nnls

NOT_JUDGED = 65535
INVALID = 1 | 4 | 16 | 32


def texts(values):
    return [value.decode() if isinstance(value, bytes) else value for value in values]


def areas(cube, judged, kinds):
    """Shares of the area of each kind of pixels, and whether it has a spectrum of its own: the mean of the pixels whose neighbours are alike.
    The mean of all is unmixed by the algorithm of SciPy."""
    cube = cube[:, :, :: -(-cube.shape[2] // 64)].astype("f8")
    padded = np.pad(np.where(judged, kinds, -1), 1, constant_values=-2)
    lines, pixels = kinds.shape
    near = [padded[a : a + lines, b : b + pixels] for a in range(3) for b in range(3)]
    alike = judged & np.logical_and.reduce([n == kinds for n in near])
    pixels = {kind: judged & (kinds == kind) for kind in np.unique(kinds[judged])}
    pure = [kind for kind in pixels if (alike & pixels[kind]).sum() >= 10]
    shares = {kind: (at.sum() / judged.sum(), False) for kind, at in pixels.items()}
    if pure:
        spectra, mean = np.array([cube[alike & pixels[kind]].mean(0) for kind in pure]).T, cube[judged].mean(0)
        told = np.isfinite(mean) & np.isfinite(spectra).all(1)
        found, _ = nnls(spectra[told], mean[told])
        rest = sum(shares[kind][0] for kind in pure)
        shares |= {kind: (rest * share / found.sum(), True) for kind, share in zip(pure, found)}
    return shares


def sample(path):
    """The maps of a sample, and its judged pixels."""
    with h5py.File(path) as file:
        group, grid = file["entry/minerals"], file["entry/reflectance"]
        assert group.attrs["NX_class"] in ("NXdata", b"NXdata") and group.attrs["signal"] in group
        assert list(group.attrs["axes"]) == ["line", "pixel"]
        maps = {name: group[name][...] for name in group if isinstance(group[name], h5py.Dataset)}
        about = {name: group[name].attrs for name in ("winner_1", "winner_2")}
        names = {g: str(about[f"winner_{g}"]["flag_meanings"]).split(" ") for g in (1, 2)}
        shares = {g: np.asarray(about[f"winner_{g}"]["share"]) for g in (1, 2)}
        for g in (1, 2):
            assert list(about[f"winner_{g}"]["flag_values"]) == list(range(len(names[g]))), g
        for axis in ("line", "pixel"):
            assert np.array_equal(maps[axis], grid[axis][...]), axis
        assert group["winner_1"].dims[0][0] == group["line"] and group["features"].dims[2][0] == group["feature"]
        judged = (grid["mask"][...] == 1) & (grid["quality"][...] & INVALID == 0)
        kinds = maps["winner_1"].astype("i4") * 1000 + maps["winner_2"]
        true = areas(grid["reflectance"][...], judged, kinds)
        for g, part in ((1, lambda kind: kind // 1000), (2, lambda kind: kind % 1000)):
            assert np.array_equal(maps[f"winner_{g}"] != NOT_JUDGED, judged), g
            wanted = [sum(share for kind, (share, _) in true.items() if part(kind) == code) for code in range(len(names[g]))]
            assert np.allclose(shares[g], wanted, atol=1e-4), (path, g, shares[g], wanted)
            assert abs(shares[g].sum() - 1) < 1e-9, (path, g)
        neither = float(group.attrs["not_identified"])
        assert abs(neither - true.get(0, (0, False))[0]) < 1e-4 and group.attrs["pixels"] == judged.sum()
        facts = {"library": str(group.attrs["library_sha256"]), "neither": neither, "shares": shares}
        return maps, names, judged, facts


data, scan = sys.argv[1:3]
folder = f"{data}/scans/{scan}"
record = json.load(open(f"{folder}/scan.json"))
assert "pending" not in record["minerals"], record["minerals"]
named = {file["path"] for file in record["files"]}
parts = sorted(glob.glob(f"{data}/minerals/scan={scan}/*.parquet"))
assert len(parts) == len(record["samples"]) > 0, parts
for part in parts:
    assert os.path.relpath(part, data) in named, part
    assert pq.read_metadata(part).metadata[b"hyclus.library_sha256"].decode() == record["minerals"]["library_sha256"]
table = ds.dataset(parts).to_table()
keys = list(zip(*(table[name].to_pylist() for name in ("sample", "container", "line", "pixel"))))
assert len(keys) == len(set(keys)) > 0, (len(keys), len(set(keys)))
total = 0
for of in record["samples"]:
    maps, names, judged, facts = sample(f"{folder}/{of['file']}")
    minerals = of["minerals"]
    total += int(judged.sum())
    assert minerals["pixels"] == judged.sum() and "deferred" not in minerals, minerals
    assert facts["library"] == record["minerals"]["library_sha256"]
    assert abs(minerals["not_identified"]["share"] - facts["neither"]) < 1e-12
    part = pq.read_table(f"{data}/minerals/scan={scan}/part-{minerals['part']:05}.parquet")
    assert set(part["sample"].to_pylist()) == {of["sample"]} and part.num_rows == judged.sum()
    lines, pixels = (np.asarray(part[name]) for name in ("line", "pixel"))
    assert np.array_equal(np.argwhere(judged), np.stack([lines, pixels], axis=1)), "rows stand in the order of lines and pixels"
    assert np.array_equal(np.asarray(part["x_mm"]), maps["pixel"][pixels].astype("f4"))
    assert np.array_equal(np.asarray(part["y_mm"]), maps["line"][lines].astype("f4"))
    for g in (1, 2):
        codes = maps[f"winner_{g}"][lines, pixels]
        assert [name.replace(" ", "_") for name in part[f"mineral_{g}"].to_pylist()] == [names[g][code] for code in codes], g
        assert np.array_equal(np.asarray(part[f"score_{g}"]), maps[f"score_{g}"][lines, pixels], equal_nan=True)
        shares = {name.replace(" ", "_"): share["share"] for name, share in minerals["groups"][g - 1]["minerals"].items()}
        for code, name in enumerate(names[g][1:], 1):
            assert (name in shares) == (codes == code).any(), name
            assert abs(shares.get(name, 0) - facts["shares"][g][code]) < 1e-12, name
    for at, name in enumerate(texts(maps["name"])):
        values = maps["features"][lines, pixels, at]
        assert np.array_equal(np.asarray(part[name]), values, equal_nan=True), name
        good = np.sort(values[np.isfinite(values)])
        summary = minerals["features"].get(name)
        assert (summary is not None) == (len(good) >= 20), (name, len(good), summary)
        if summary:
            assert summary["pixels"] == len(good), name
            assert good[(len(good) - 1) // 2] <= np.float32(summary["median"]) <= good[len(good) // 2], (name, summary)
            assert summary["interval"][0] <= summary["median"] <= summary["interval"][1], (name, summary)
    for share in [minerals["not_identified"], *(s for g in minerals["groups"] for s in (g["not_identified"], *g["minerals"].values()))]:
        assert 0 <= share["interval"][0] <= share["share"] <= share["interval"][1] <= 1, share
assert total == table.num_rows
if len(sys.argv) > 3:
    other = sys.argv[3]
    (that,) = glob.glob(f"{other}/scans/*")
    for path in glob.glob(f"{folder}/samples/*.h5"):
        a, b = sample(path)[0], sample(f"{that}/samples/{os.path.basename(path)}")[0]
        assert a.keys() == b.keys()
        for name in a:
            assert a[name].shape == b[name].shape and (a[name].dtype == object or a[name].tobytes() == b[name].tobytes()), (path, name)
    for part in parts:
        x, y = pq.read_table(part), pq.read_table(f"{other}/minerals/scan={os.path.basename(that)}/{os.path.basename(part)}")
        for name in x.column_names:
            p, q = (np.asarray(t[name].to_numpy(zero_copy_only=False)) for t in (x, y))
            assert (p.tobytes() == q.tobytes()) if p.dtype != object else (p == q).all(), (part, name)
    a = [of["minerals"] for of in record["samples"]]
    b = [of["minerals"] for of in json.load(open(f"{that}/scan.json"))["samples"]]
    assert a == b, "scan.json tells other minerals"
