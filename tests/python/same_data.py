#!/usr/bin/env python3
"""Compares the samples and embeddings of two data roots, value by value. usage: same_data.py DATA DATA [--no-embeddings]"""
import glob
import os
import sys

import h5py
import numpy as np
import pyarrow.dataset as ds


def samples(root):
    return {os.path.basename(path): path for path in glob.glob(f"{root}/scans/*/samples/*.h5")}


def embeddings(root):
    table = ds.dataset(f"{root}/embeddings", partitioning="hive").to_table()
    return table.select([name for name in table.column_names if name != "scan"]).to_pylist()


first, second = sys.argv[1:3]
a, b = samples(first), samples(second)
assert a and a.keys() == b.keys(), (sorted(a), sorted(b))
for name in a:
    with h5py.File(a[name]) as x, h5py.File(b[name]) as y:
        groups = ["reflectance", *(group for group in x["entry"] if group.endswith("_native"))]
        assert [group for group in groups if group not in y["entry"]] == []
        for group in groups:
            for key in ("reflectance", "mask", "quality", "line", "pixel", "wavelength", "time"):
                p, q = x[f"entry/{group}/{key}"][...], y[f"entry/{group}/{key}"][...]
                assert p.shape == q.shape and p.tobytes() == q.tobytes(), (name, group, key, np.argwhere(p != q)[:5])
p, q = embeddings(first), embeddings(second)
assert bool(p) != (sys.argv[3:] == ["--no-embeddings"]) and p == q, (len(p), len(q))
