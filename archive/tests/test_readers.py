"""Other programs read the tables: all agree on counts and sums with what was shipped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from conftest import Archive, Server
from deltalake import QueryBuilder
from making import Scan, make_scan, ship

from hyclus_archive.query import query
from hyclus_archive.serve import Archiver
from hyclus_archive.tables import open_table

SUMS = """SELECT rig, count(*) AS n, sum(line) AS lines, sum(quality) AS quality FROM {} GROUP BY rig ORDER BY rig"""
Sums = list[tuple[str, int, int, int]]


def fill(archive: Archive, folder: Path) -> tuple[Sums, dict[str, float]]:
    """Two scans of two rigs, one of them in its second revision. Returns the sums of `spectra`, and of all values of each rig."""
    scans: list[Scan] = []
    for rig in ("r1", "r2"):
        first = make_scan(folder, rig, "S1", 7, encoder=None)
        ship(archive.place, first)
        scans += [make_scan(folder, rig, "S1", 7), make_scan(folder, rig, "S2", 8 if rig == "r1" else 9)]
        ship(archive.place, scans[-1])
    archiver = Archiver(archive.place)
    assert archiver.look() == 0
    for scan in scans:
        if scan.id == "S1":
            ship(archive.place, scan, 2, only={path for path in scan.files if path.startswith("embeddings")})
    assert archiver.look() == 0
    sums, values = [], {}
    for rig in ("r1", "r2"):
        own = [scan for scan in scans if scan.rig == rig]
        keys = [key for scan in own for key in scan.spectra]
        quality = sum(scan_quality(scan, folder) for scan in own)
        sums.append((rig, len(keys), sum(line for _, line, _ in keys), quality))
        values[rig] = float(sum(np.nansum(spectrum.astype(float)) for scan in own for spectrum in scan.spectra.values()))
    return sums, values


def scan_quality(scan: Scan, folder: Path) -> int:
    """Sum of the quality bytes of a scan's spectra, from its sample files."""
    import h5py

    total = 0
    for path, content in scan.files.items():
        if path.endswith(".h5"):
            (folder / "q.h5").write_bytes(content)
            with h5py.File(folder / "q.h5") as file:
                quality = file["entry/reflectance/quality"][:].astype(int)
                name = file["entry/sample/name"].asstr()[()]
            total += sum(int(quality[line, pixel]) for sample, line, pixel in scan.spectra if sample == name)
    return total


def tuples(rows: list[dict]) -> Sums:
    return [(row["rig"], row["n"], row["lines"], row["quality"]) for row in sorted(rows, key=lambda row: row["rig"])]


def test_readers_agree(archive: Archive, tmp_path: Path) -> None:
    sums, values = fill(archive, tmp_path)
    table = open_table(archive.place, "spectra")

    # deltalake, by DataFusion.
    rows = QueryBuilder().register("spectra", table).execute(SUMS.format("spectra"))
    assert tuples(pa.table(rows.read_all()).to_pylist()) == sums

    # pyarrow.
    found = table.to_pyarrow_dataset().to_table()
    grouped = found.group_by("rig").aggregate([([], "count_all"), ("line", "sum"), ("quality", "sum")]).sort_by("rig").to_pylist()
    assert [(row["rig"], row["count_all"], row["line_sum"], row["quality_sum"]) for row in grouped] == sums
    for rig, value in values.items():
        own = found.filter(ds.field("rig") == rig)["spectrum"].combine_chunks().flatten()
        assert float(np.nansum(own.to_numpy(zero_copy_only=False).astype(float))) == pytest.approx(value, rel=1e-9)

    # DuckDB over pyarrow.
    assert tuples(query(archive.place, SUMS.format("spectra")).read_all().to_pylist()) == sums
    total = query(archive.place, "SELECT rig, sum(v::DOUBLE) AS v FROM (SELECT rig, unnest(spectrum) AS v FROM spectra) GROUP BY rig")
    assert {row["rig"]: row["v"] for row in total.read_all().to_pylist()} == pytest.approx(values, rel=1e-9)

    # polars, which reads Delta by deltalake and Parquet by itself.
    lazy = pl.scan_delta(archive.place.table_uri("spectra"), storage_options=archive.place.storage_options or None)
    plus = [pl.len().alias("n"), pl.col("line").sum().alias("lines"), pl.col("quality").cast(pl.Int64).sum().alias("quality")]
    assert tuples(lazy.group_by("rig").agg(plus).collect().to_dicts()) == sums
    by_rig = lazy.select("rig", "spectrum").explode("spectrum").group_by("rig").agg(pl.col("spectrum").cast(pl.Float64).sum()).collect()
    assert dict(by_rig.iter_rows()) == pytest.approx(values, rel=1e-9)


def test_duckdb_with_its_delta_extension(tmp_path: Path, archive: Archive) -> None:
    extension = pytest.importorskip("duckdb_extension_delta")
    import duckdb

    if archive.place.remote:
        pytest.skip("the extension httpfs is not among the wheels")
    (path,) = Path(extension.__file__).parent.glob(f"extensions/v{duckdb.__version__}/delta.duckdb_extension")
    sums, _ = fill(archive, tmp_path)
    connection = duckdb.connect()
    connection.execute(f"LOAD '{path}'")
    assert connection.execute(SUMS.format(f"delta_scan('{archive.place.table_uri('spectra')}')")).fetchall() == sums


def test_daft(tmp_path: Path, archive: Archive, request: pytest.FixtureRequest) -> None:
    daft = pytest.importorskip("daft")
    sums, _ = fill(archive, tmp_path)
    config = None
    if archive.place.remote:
        server: Server = request.getfixturevalue("server")
        keys = {"key_id": server.access, "access_key": server.secret}
        s3 = daft.io.S3Config(endpoint_url=server.endpoint, region_name="us-east-1", use_ssl=False, **keys)
        config = daft.io.IOConfig(s3=s3)
    frame = daft.read_deltalake(archive.place.table_uri("spectra"), io_config=config)
    column = daft.col
    grouped = frame.groupby("rig").agg(
        column("scan").count().alias("n"), column("line").sum().alias("lines"), column("quality").sum().alias("quality")
    )
    assert tuples(grouped.to_pylist()) == sums


def test_sail(tmp_path: Path, archive: Archive) -> None:
    pytest.importorskip("pysail")
    if archive.place.remote:
        pytest.skip("Sail takes its storage options from the environment of its whole process")
    from pysail.spark import SparkConnectServer
    from pyspark.sql import SparkSession

    sums, _ = fill(archive, tmp_path)
    server = SparkConnectServer("127.0.0.1", 0)
    server.start()
    try:
        _, port = server.listening_address
        spark = SparkSession.builder.remote(f"sc://127.0.0.1:{port}").getOrCreate()
        spark.read.format("delta").load(archive.place.table_uri("spectra")).createOrReplaceTempView("spectra")
        rows = [row.asDict() for row in spark.sql(SUMS.format("spectra")).collect()]
        assert tuples(rows) == sums
        spark.stop()
    finally:
        server.stop()
