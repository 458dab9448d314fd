#!/usr/bin/env python3
"""Checks that data roots hold the same samples and the same rows, whatever parts these are in.
usage: process_same.py ROOT ROOT.... Needs numpy, h5py and pyarrow."""

import glob
import os
import sys

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

# What a file says of the configuration: that is what differs.
OWN = {"entry/process/configuration", "entry/process/configuration_sha256"}


def same(a, b):
    a, b = np.asarray(a), np.asarray(b)
    # Bytes, so that NaN equals NaN and 0 differs from -0.
    return a.dtype == b.dtype and a.shape == b.shape and (a.tolist() == b.tolist() if a.dtype == object else a.tobytes() == b.tobytes())


def attributes(file, node):
    found = {}
    for key, value in node.attrs.items():
        if key == "DIMENSION_LIST":
            value = [[file[reference].name for reference in references] for references in value]
        elif key == "REFERENCE_LIST":
            value = sorted((file[reference].name, int(axis)) for reference, axis in value)
        found[key] = value
    return found


def nodes(file):
    found = {}
    file.visititems(lambda name, node: found.update({name: node}))
    return {"/": file, **found}


def compare_files(a, b):
    with h5py.File(a) as a_file, h5py.File(b) as b_file:
        a_nodes, b_nodes = nodes(a_file), nodes(b_file)
        assert list(a_nodes) == list(b_nodes), f"{a} and {b} hold different things"
        values = 0
        for name, node in a_nodes.items():
            other = b_nodes[name]
            mine, its = attributes(a_file, node), attributes(b_file, other)
            assert mine.keys() == its.keys(), f"{name}: {list(mine)} and {list(its)}"
            for key, value in mine.items():
                if isinstance(value, list):
                    assert value == its[key], f"{name}@{key}"
                else:
                    assert same(value, its[key]), f"{name}@{key}: {value} and {its[key]}"
            if isinstance(node, h5py.Dataset) and name not in OWN:
                assert same(node[()], other[()]), f"{name} differs between {a} and {b}"
                values += node.size
        assert values > 1000
        return values


def rows(root):
    """All rows in the order of the parts, and how many parts there are."""
    parts = sorted(glob.glob(os.path.join(root, "embeddings", "*", "*.parquet")))
    tables = [pq.read_table(part, partitioning=None) for part in parts]
    footers = [pq.ParquetFile(part).metadata.metadata.items() for part in parts]
    metadata = {tuple(sorted((k, v) for k, v in footer if k.startswith(b"hyclus."))) for footer in footers}
    assert len(metadata) == 1 and len(*metadata) == 5, metadata
    # Dictionaries are of a part; their words are what is said.
    tables = [
        pa.table({name: column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
                  for name, column in zip(table.column_names, table.columns)})
        for table in tables
    ]
    return pa.concat_tables(tables).combine_chunks(), metadata, len(parts)


first, *others = sys.argv[1:]
samples = sorted(glob.glob(os.path.join(first, "scans", "*", "samples", "*.h5")))
assert len(samples) == 2, samples
wanted, metadata, parts = rows(first)
print(f"{first}: {wanted.num_rows} rows in {parts} parts")
for other in others:
    for sample in samples:
        compare_files(sample, os.path.join(other, os.path.relpath(sample, first)))
    found, its, parts = rows(other)
    print(f"{other}: {found.num_rows} rows in {parts} parts")
    assert its == metadata, f"{its} instead of {metadata}"
    assert found.schema == wanted.schema and found.equals(wanted), f"rows of {other} are not those of {first}"
