#!/usr/bin/env python3
"""Reads a data set of embeddings as its users do and compares it with what was written.
usage: publish_readers.py DATA_SET EXPECTED.json. Needs pyarrow, polars, duckdb and pandas."""

import json
import sys

import duckdb
import pandas
import polars
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet

folder, expected = sys.argv[1:]
with open(expected, encoding="utf-8") as file:
    expected = json.load(file)
ROWS, KEYS, DIMS, BANDS = expected["rows"], expected["keys"], expected["dimensions"], expected["bands"]
ORDER = ["scan", "time", "sample", "pixel"]


def plain(row):
    """A row as plain Python values, whatever the reader made of it."""
    time = row["time"]
    if hasattr(time, "value"):
        time = time.value
    return {
        **{name: str(row[name]) for name in ["scan", "sample", "container", *KEYS]},
        **{name: int(row[name]) for name in ["line", "pixel", "quality"]},
        **{name: float(row[name]) for name in ["x_mm", "y_mm"]},
        "time": int(time),
        **{name: [float(v) for v in row[name]] for name in ["embedding", "spectrum"]},
    }


def same(reader, rows, ordered=False):
    rows = [plain(row) for row in rows]
    assert len(rows) == len(ROWS), f"{reader}: {len(rows)} rows instead of {len(ROWS)}"
    wanted = ROWS
    if not ordered:
        rows = sorted(rows, key=lambda row: [row[name] for name in ORDER])
        wanted = sorted(ROWS, key=lambda row: [row[name] for name in ORDER])
    for i, (row, want) in enumerate(zip(rows, wanted, strict=True)):
        assert row == want, f"{reader}: row {i} is {row} instead of {want}"
    print(f"{reader}: {len(rows)} rows")


# pyarrow
data = pa.dataset.dataset(folder, format="parquet", partitioning="hive")
types = {
    "sample": pa.string(),
    "container": pa.string(),
    **{key: pa.dictionary(pa.int32(), pa.string()) for key in KEYS},
    "line": pa.int32(),
    "pixel": pa.int32(),
    "x_mm": pa.float32(),
    "y_mm": pa.float32(),
    "time": pa.timestamp("ns", tz="UTC"),
    "quality": pa.uint8(),
    "embedding": pa.list_(pa.field("item", pa.float32(), nullable=False), DIMS),
    "spectrum": pa.list_(pa.field("item", pa.float32(), nullable=False), BANDS),
    "scan": pa.string(),
}
found = {field.name: field.type for field in data.schema}
assert list(found) == list(types), f"columns are {list(found)}"
for name, kind in types.items():
    assert found[name] == kind, f"{name} is {found[name]} instead of {kind}"
table = data.to_table()
names = [name for name in table.column_names if name != "time"]
times = table["time"].cast(pa.int64()).to_pylist()
same("pyarrow.dataset", [{**row, "time": time} for row, time in zip(table.select(names).to_pylist(), times, strict=True)], ordered=True)
only = data.to_table(filter=pa.dataset.field("scan") == ROWS[0]["scan"])
assert only.num_rows == sum(row["scan"] == ROWS[0]["scan"] for row in ROWS)
assert sorted(data.files) == sorted(expected["files"]), f"files are {data.files}"
for path in data.files:
    part = pyarrow.parquet.ParquetFile(path)
    metadata = {k.decode(): v.decode() for k, v in part.metadata.metadata.items() if k != b"ARROW:schema"}
    assert metadata == {**expected["metadata"], "hyclus.scan_id": path.split("scan=")[1].split("/")[0]}, metadata
    assert len(json.loads(metadata["hyclus.wavelengths_nm"])) == BANDS
    columns = [part.metadata.row_group(0).column(i) for i in range(part.metadata.num_columns)]
    assert {column.compression for column in columns} == {"ZSTD"}, columns

# polars
frame = polars.scan_parquet(folder, hive_partitioning=True).collect()
assert frame.schema["embedding"] == polars.Array(polars.Float32, DIMS), frame.schema
assert frame.schema["time"] == polars.Datetime("ns", "UTC"), frame.schema
assert frame.schema["quality"] == polars.UInt8 and frame.schema["line"] == polars.Int32
same("polars", frame.with_columns(polars.col("time").to_physical()).to_dicts())

# DuckDB, by the pattern that people write
relation = duckdb.sql(f"select * replace (epoch_ns(time) as time) from read_parquet('{folder}/**/*.parquet', hive_partitioning = true)")
columns = [column[0] for column in relation.description]
same("duckdb", [dict(zip(columns, row, strict=True)) for row in relation.fetchall()])
((mean,),) = duckdb.sql(f"select avg(embedding[1]) from read_parquet('{folder}/*/*.parquet')").fetchall()
assert abs(mean - sum(row["embedding"][0] for row in ROWS) / len(ROWS)) < 1e-6

# pandas
frame = pandas.read_parquet(folder)
assert str(frame["time"].dtype) == "datetime64[ns, UTC]", frame.dtypes
assert all(isinstance(frame[key].dtype, pandas.CategoricalDtype) for key in KEYS), frame.dtypes
same("pandas", frame.to_dict("records"), ordered=True)
