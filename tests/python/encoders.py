#!/usr/bin/env python3
"""Checks the data sets of several encoders of one scan: the same pixels, each once, and the first numbers of `main`'s embeddings.
usage: encoders.py DATA SCAN NAME..."""
import sys

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

KEYS = ["sample", "container", "line", "pixel"]
REST = ["x_mm", "y_mm", "time_ns", "quality"]


def rows(data, scan, name):
    folder = "embeddings" if name == "main" else f"embeddings-{name}"
    table = ds.dataset(f"{data}/{folder}", partitioning="hive").to_table(filter=ds.field("scan") == scan)
    keys = list(zip(*(table[key].to_pylist() for key in KEYS)))
    assert len(keys) == len(set(keys)) > 0, (name, len(keys), len(set(keys)))
    table = table.take(pa.array(sorted(range(len(keys)), key=keys.__getitem__)))
    width = table.schema.field("embedding").type.list_size
    return table, np.asarray(table["embedding"].combine_chunks().flatten()).reshape(-1, width)


data, scan, names = sys.argv[1], sys.argv[2], sys.argv[3:]
table, whole = rows(data, scan, "main")
for name in names:
    other, part = rows(data, scan, name)
    for key in KEYS + REST:
        assert other[key].equals(table[key]), (name, key)
    assert 0 < part.shape[1] < whole.shape[1], part.shape
    assert np.array_equal(part, whole[:, : part.shape[1]]), name
