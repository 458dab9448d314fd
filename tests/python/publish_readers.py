#!/usr/bin/env python3
"""Reads a data set of embeddings as its users do and compares it with what was written.
usage: publish_readers.py DATA_SET EXPECTED.json. Needs pyarrow, polars, duckdb, pandas, datafusion, deltalake, and on x86_64 pysail and
pyspark-client."""

import datetime
import json
import os
import platform
import sys
import tempfile
import warnings

import datafusion
import deltalake
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
ORDER = ["scan", "time_ns", "sample", "pixel"]


EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def plain(row):
    """A row as plain Python values, whatever the reader made of it."""
    time = row["time"]
    if isinstance(time, datetime.datetime):
        # Spark gives times in the zone of its session, without naming it.
        time = time if time.tzinfo else time.replace(tzinfo=datetime.timezone.utc)
        time = (time - EPOCH) // datetime.timedelta(microseconds=1)
    assert int(row["time_ns"]) // 1000 == int(time), (row["time_ns"], time)
    return {
        **{name: str(row[name]) for name in ["scan", "sample", "container", *KEYS]},
        **{name: int(row[name]) for name in ["line", "pixel", "quality"]},
        **{name: float(row[name]) for name in ["x_mm", "y_mm"]},
        "time_ns": int(row["time_ns"]),
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
    **{key: pa.string() for key in KEYS},
    "line": pa.int32(),
    "pixel": pa.int32(),
    "x_mm": pa.float32(),
    "y_mm": pa.float32(),
    "time": pa.timestamp("us", tz="UTC"),
    "time_ns": pa.int64(),
    "quality": pa.int16(),
    "embedding": pa.list_(pa.field("element", pa.float32(), nullable=False), DIMS),
    "spectrum": pa.list_(pa.field("element", pa.float32(), nullable=False), BANDS),
    "scan": pa.string(),
}
found = {field.name: field.type for field in data.schema}
assert list(found) == list(types), f"columns are {list(found)}"
for name, kind in types.items():
    assert found[name] == kind, f"{name} is {found[name]} instead of {kind}"
table = data.to_table()
same("pyarrow.dataset", table.to_pylist(), ordered=True)
assert any(row["quality"] >= 128 for row in ROWS), "no row has the flag that a signed byte cannot hold"
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
assert frame.schema["time"] == polars.Datetime("us", "UTC"), frame.schema
assert frame.schema["quality"] == polars.Int16 and frame.schema["line"] == polars.Int32
same("polars", frame.with_columns(polars.col("time").to_physical()).to_dicts())

# DuckDB, by the pattern that people write
relation = duckdb.sql(f"select * replace (epoch_us(time) as time) from read_parquet('{folder}/**/*.parquet', hive_partitioning = true)")
columns = [column[0] for column in relation.description]
same("duckdb", [dict(zip(columns, row, strict=True)) for row in relation.fetchall()])
((mean,),) = duckdb.sql(f"select avg(embedding[1]) from read_parquet('{folder}/*/*.parquet')").fetchall()
assert abs(mean - sum(row["embedding"][0] for row in ROWS) / len(ROWS)) < 1e-6

# pandas
frame = pandas.read_parquet(folder)
assert str(frame["time"].dtype) == "datetime64[us, UTC]", frame.dtypes
assert all(pandas.api.types.is_string_dtype(frame[key].dtype) for key in KEYS), frame.dtypes
same("pandas", frame.to_dict("records"), ordered=True)

# DataFusion
context = datafusion.SessionContext()
context.register_parquet("embeddings", folder, table_partition_cols=[("scan", pa.string())])
same("datafusion", context.sql("select * from embeddings").to_pylist())

# Delta: the table that was read can be kept there.
with tempfile.TemporaryDirectory() as kept:
    deltalake.write_deltalake(kept, table)
    delta = deltalake.DeltaTable(kept).to_pyarrow_table()
    assert delta.schema.field("quality").type == pa.int16(), delta.schema
    same("delta", delta.to_pylist())

# Sail, as Spark's users see it.
if platform.machine() == "x86_64":
    os.environ["TZ"] = "UTC"
    # Spark's client warns of pandas 3.
    warnings.simplefilter("ignore")
    from pysail.spark import SparkConnectServer
    from pyspark.sql import SparkSession

    server = SparkConnectServer(port=0)
    server.start(background=True)
    host, port = server.listening_address
    spark = SparkSession.builder.remote(f"sc://{host}:{port}").getOrCreate()
    frame = spark.read.parquet(folder)
    kinds = dict(frame.dtypes)
    assert (kinds["time"], kinds["quality"], kinds["embedding"]) == ("timestamp", "smallint", "array<float>"), kinds
    same("sail", [row.asDict() for row in frame.collect()])
    assert frame.where(f"scan = '{ROWS[0]['scan']}'").count() == only.num_rows
    # The server's threads do not end, and the interpreter waits for them.
    sys.stdout.flush()
    os._exit(0)
