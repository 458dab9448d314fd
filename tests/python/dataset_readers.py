#!/usr/bin/env python3
"""Reads a data set of embeddings while it grows, with three libraries. usage: dataset_readers.py DATA/embeddings SCAN"""
import sys

import duckdb
import polars as pl
import pyarrow.dataset as ds

folder, scan = sys.argv[1:]
table = ds.dataset(folder, partitioning="hive").to_table(filter=ds.field("scan") == scan)
assert table.num_rows > 0
row = table.slice(0, 1).to_pylist()[0]
assert row["sample"].startswith("S-A") and row["plant"] == "P1" and len(row["embedding"]) == 4, row
frame = pl.scan_parquet(folder, hive_partitioning=True).filter(pl.col("scan") == scan).collect()
assert frame.height >= table.num_rows, (frame.height, table.num_rows)
assert frame["embedding"][0].to_list() == row["embedding"]
count, bad = duckdb.sql(
    f"select count(*), count(*) filter (len(embedding) <> 4) from read_parquet('{folder}/*/*.parquet', hive_partitioning = true) where scan = '{scan}'"
).fetchall()[0]
assert count >= frame.height and bad == 0, (count, bad)
