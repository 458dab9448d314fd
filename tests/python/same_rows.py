#!/usr/bin/env python3
"""Compares a scan with the only one of another data root: the same samples, and the same rows of the data set, each once, in any order.
usage: same_rows.py DATA SCAN OTHER"""
import glob
import os
import sys

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

ROW = ["sample", "container", "line", "pixel"]


def rows(folder):
    parts = sorted(glob.glob(f"{folder}/*.parquet"))
    about = {(m[b"hyclus.encoder_sha256"], m[b"hyclus.wavelengths_nm"]) for m in (pq.read_metadata(part).metadata for part in parts)}
    assert len(about) == 1, about
    table = ds.dataset(parts).to_table()
    keys = list(zip(*(table[name].to_pylist() for name in ROW)))
    assert len(keys) == len(set(keys)) > 0, (len(keys), len(set(keys)))
    return table.take(pa.array(sorted(range(len(keys)), key=keys.__getitem__))), about


def samples(folder):
    return {os.path.basename(path): path for path in glob.glob(f"{folder}/samples/*.h5")}


data, scan, other = sys.argv[1:4]
(that,) = glob.glob(f"{other}/scans/*")
a, b = samples(f"{data}/scans/{scan}"), samples(that)
assert a and a.keys() == b.keys(), (sorted(a), sorted(b))
for name in a:
    with h5py.File(a[name]) as x, h5py.File(b[name]) as y:
        for key in ("reflectance", "mask", "quality", "line", "pixel", "wavelength", "time"):
            p, q = (file[f"entry/reflectance/{key}"][...] for file in (x, y))
            assert p.shape == q.shape and p.tobytes() == q.tobytes(), (name, key)
p, about = rows(f"{data}/embeddings/scan={scan}")
q, as_it_should = rows(f"{other}/embeddings/scan={os.path.basename(that)}")
assert about == as_it_should and p.schema.equals(q.schema), (p.schema, q.schema)
assert p.num_rows == q.num_rows, (p.num_rows, q.num_rows)
for name in p.column_names:
    if name != "embedding":
        assert p[name].to_pylist() == q[name].to_pylist(), name
width = p.schema.field("embedding").type.list_size
x, y = (np.asarray(t["embedding"].combine_chunks().flatten()).reshape(-1, width) for t in (p, q))
assert np.array_equal(x, y), (np.abs(x - y).max(), (x != y).any(axis=1).sum())
