#!/usr/bin/env python3
"""Writes a part of a data set again as other programs do, each in a data root of its own below OUT/same, and with one fault each below
OUT/wrong/COLUMN. usage: rewrite_parts.py PART OUT. Needs pyarrow, pandas, polars, duckdb and deltalake."""
import glob
import os
import sys
import tempfile

import deltalake
import duckdb
import polars
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

part, out = sys.argv[1:]
scan = os.path.basename(os.path.dirname(part))
table = pq.read_table(part, partitioning=None).replace_schema_metadata(None)


def path(*names):
    folder = os.path.join(out, *names, "embeddings", scan)
    os.makedirs(folder)
    return os.path.join(folder, "part-00000.parquet")


for codec in ("none", "snappy", "gzip", "brotli", "lz4", "zstd"):
    pq.write_table(table, path("same", f"pyarrow-{codec}"), compression=codec)
    pq.write_table(table, path("same", f"pyarrow-{codec}-pages-2"), compression=codec, data_page_version="2.0", use_dictionary=False)
for codec in ("uncompressed", "snappy", "gzip", "lz4", "lz4_raw", "zstd", "brotli"):
    duckdb.sql(f"copy (from read_parquet('{part}', hive_partitioning = false)) to '{path('same', f'duckdb-{codec}')}' (format parquet, codec {codec})")
table.to_pandas().to_parquet(path("same", "pandas"))
polars.read_parquet(part, hive_partitioning=False).write_parquet(path("same", "polars"))
with tempfile.TemporaryDirectory() as delta:
    deltalake.write_deltalake(delta, table)
    (written,) = glob.glob(f"{delta}/*.parquet")
    os.rename(written, path("same", "delta")) if os.stat(delta).st_dev == os.stat(out).st_dev else sys.exit("two file systems")


def of(names):
    """The table with columns of other types, the last first, in small row groups."""
    columns = {name: cast(table[name]) for name, cast in names.items()}
    rest = {name: table[name] for name in reversed(table.column_names) if name not in columns}
    return pa.table({**rest, **columns})


lists = [row for row in table["embedding"].to_pylist()]
wide = of({
    "sample": lambda c: c.cast(pa.large_string()),
    "container": lambda c: c.dictionary_encode(),
    "plant": lambda c: c.dictionary_encode(),
    "line": lambda c: c.cast(pa.int64()),
    "pixel": lambda c: c.cast(pa.uint16()),
    "quality": lambda c: c.cast(pa.uint8()),
    "x_mm": lambda c: c.cast(pa.float64()),
    "time": lambda _: table["time_ns"].cast(pa.timestamp("ns")),
    "embedding": lambda _: pa.array(lists, pa.large_list(pa.float64())),
})
pq.write_table(wide.drop_columns("time_ns"), path("same", "wide"), row_group_size=7)
# Spark writes times so by default, and lists of any length.
spark = of({"time": lambda _: table["time_ns"].cast(pa.timestamp("ns")), "embedding": lambda _: pa.array(lists, pa.list_(pa.float32()))})
pq.write_table(spark.drop_columns("time_ns"), path("same", "int96"), use_deprecated_int96_timestamps=True)

none = [None] * table.num_rows
for column, number, array in (
    ("sample", 0, pa.array(range(table.num_rows))),
    ("container", 0, None),
    ("line", 0, table["sample"]),
    ("line", 1, pc.add(table["line"].cast(pa.int64()), 1 << 40)),
    ("pixel", 0, pa.array(none, pa.int32())),
    ("x_mm", 0, table["sample"]),
    ("y_mm", 0, None),
    ("quality", 0, pa.array([300] * table.num_rows)),
    ("quality", 1, table["x_mm"]),
    ("time", 0, table["sample"]),
    ("embedding", 0, table["x_mm"]),
    ("embedding", 1, pa.array([[1.0, None]] * table.num_rows, pa.list_(pa.float32()))),
    ("embedding", 2, pa.array(none, pa.list_(pa.float32()))),
    ("embedding", 3, pa.array([["a"]] * table.num_rows)),
):
    wrong = table.drop_columns([column, "time_ns"] if column == "time" else column)
    wrong = wrong if array is None else wrong.append_column(column, array)
    pq.write_table(wrong, path("wrong", f"{column}-{number}"))
pq.write_table(table.select([]), path("wrong", "sample-1"))
