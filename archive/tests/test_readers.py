"""Other programs read the tables: all agree on counts and sums with what was shipped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from conftest import Server
from deltalake import QueryBuilder
from making import Scan, make_scan, ship

from hyclus_archive.place import Place
from hyclus_archive.query import query
from hyclus_archive.serve import Archiver
from hyclus_archive.tables import open_table

SUMS = """SELECT rig, count(*) AS n, sum(line) AS lines, sum(quality) AS quality FROM {} GROUP BY rig ORDER BY rig"""
Sums = list[tuple[str, int, int, int]]


@dataclass(frozen=True)
class Filled:
    """An archive with rows. sums: of `spectra`. values: sum of all values of each rig."""

    place: Place
    server: Server | None
    sums: Sums
    values: dict[str, float]

    @property
    def uri(self) -> str:
        return self.place.table_uri("spectra")


@pytest.fixture(scope="module", params=["folder", "s3"])
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Filled:
    """Two scans of two rigs, one of them in its second revision."""
    folder = tmp_path_factory.mktemp("readers")
    server: Server | None = request.getfixturevalue("server") if request.param == "s3" else None
    if server is None:
        place = Place.open(str(folder))
    else:
        place = Place.open(f"s3://hyclus/{folder.name}", server.endpoint, credentials=server.credentials)
    scans: list[Scan] = []
    made = tmp_path_factory.mktemp("scans")
    for rig in ("r1", "r2"):
        first = make_scan(made, rig, "S1", 7, encoder=None)
        ship(place, first)
        scans += [make_scan(made, rig, "S1", 7), make_scan(made, rig, "S2", 8 if rig == "r1" else 9)]
        ship(place, scans[-1])
    archiver = Archiver(place)
    assert archiver.look() == 0
    for scan in scans:
        if scan.id == "S1":
            ship(place, scan, 2, only={path for path in scan.files if path.startswith("embeddings")})
    assert archiver.look() == 0
    sums, values = [], {}
    for rig in ("r1", "r2"):
        own = [scan for scan in scans if scan.rig == rig]
        keys = [key for scan in own for key in scan.spectra]
        quality = sum(scan_quality(scan, made) for scan in own)
        sums.append((rig, len(keys), sum(line for _, line, _ in keys), quality))
        values[rig] = float(sum(np.nansum(spectrum.astype(float)) for scan in own for spectrum in scan.spectra.values()))
    return Filled(place, server, sums, values)


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


def test_readers_agree(filled: Filled) -> None:
    place, sums, values = filled.place, filled.sums, filled.values
    table = open_table(place, "spectra")

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
    assert tuples(query(place, SUMS.format("spectra")).read_all().to_pylist()) == sums
    total = query(place, "SELECT rig, sum(v::DOUBLE) AS v FROM (SELECT rig, unnest(spectrum) AS v FROM spectra) GROUP BY rig")
    assert {row["rig"]: row["v"] for row in total.read_all().to_pylist()} == pytest.approx(values, rel=1e-9)

    # polars, which reads Delta by deltalake and Parquet by itself.
    lazy = pl.scan_delta(place.table_uri("spectra"), storage_options=place.storage_options or None)
    plus = [pl.len().alias("n"), pl.col("line").sum().alias("lines"), pl.col("quality").cast(pl.Int64).sum().alias("quality")]
    assert tuples(lazy.group_by("rig").agg(plus).collect().to_dicts()) == sums
    by_rig = lazy.select("rig", "spectrum").explode("spectrum").group_by("rig").agg(pl.col("spectrum").cast(pl.Float64).sum()).collect()
    assert dict(by_rig.iter_rows()) == pytest.approx(values, rel=1e-9)


DUCKDB = """
import json, sys
given = json.load(sys.stdin)
sys.path.insert(0, given["folder"])
import duckdb
connection = duckdb.connect()
for name in ("httpfs", "delta"):
    # DuckDB verifies its makers' signature, as the wheels come from others.
    path = f"{given['folder']}/duckdb_extension_{name}/extensions/v{duckdb.__version__}/{name}.duckdb_extension"
    connection.execute(f"LOAD '{path}'")
if given["secret"]:
    connection.execute(f"CREATE SECRET ({given['secret']})")
print(json.dumps(connection.execute(given["sql"]).fetchall()))
"""


def test_duckdb_with_its_delta_extension(filled: Filled) -> None:
    """It reads the tables without deltalake. In a process of its own, as its wheels are those of another version than ours."""
    folder = os.environ.get("HYCLUS_DUCKDB_DELTA") or str(Path(__file__).parents[2] / ".cache" / "duckdb-delta")
    if not Path(folder).is_dir():
        pytest.skip(f"{folder} is missing; run: tests/setup.sh duckdb")
    secret = ""
    if filled.server is not None:
        secret = f"TYPE s3, KEY_ID '{filled.server.access}', SECRET '{filled.server.secret}', REGION 'us-east-1', "
        secret += f"ENDPOINT '{filled.server.endpoint.removeprefix('http://')}', URL_STYLE 'path', USE_SSL false"
    given = {"folder": folder, "secret": secret, "sql": SUMS.format(f"delta_scan('{filled.uri}')")}
    found = subprocess.run([sys.executable, "-c", DUCKDB], input=json.dumps(given), capture_output=True, text=True, timeout=60)
    assert found.returncode == 0, found.stderr
    assert [tuple(row) for row in json.loads(found.stdout)] == filled.sums


def test_daft(filled: Filled, monkeypatch: pytest.MonkeyPatch) -> None:
    # It would report its use to its makers.
    monkeypatch.setenv("DAFT_ANALYTICS_ENABLED", "0")
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    daft = pytest.importorskip("daft")
    config = None
    if filled.server is not None:
        keys = {"key_id": filled.server.access, "access_key": filled.server.secret}
        s3 = daft.io.S3Config(endpoint_url=filled.server.endpoint, region_name="us-east-1", use_ssl=False, **keys)
        config = daft.io.IOConfig(s3=s3)
    column = daft.col
    frame = daft.read_deltalake(filled.uri, io_config=config)
    numbers = column("scan").count().alias("n"), column("line").sum().alias("lines"), column("quality").sum().alias("quality")
    assert tuples(frame.groupby("rig").agg(*numbers).to_pylist()) == filled.sums


def test_sail(filled: Filled) -> None:
    pytest.importorskip("pysail")
    if filled.place.remote:
        pytest.skip("Sail takes its storage options from the environment of its whole process")
    from pysail.spark import SparkConnectServer
    from pyspark.sql import SparkSession

    server = SparkConnectServer("127.0.0.1", 0)
    server.start()
    try:
        _, port = server.listening_address
        spark = SparkSession.builder.remote(f"sc://127.0.0.1:{port}").getOrCreate()
        spark.read.format("delta").load(filled.uri).createOrReplaceTempView("spectra")
        assert tuples([row.asDict() for row in spark.sql(SUMS.format("spectra")).collect()]) == filled.sums
        spark.stop()
    finally:
        server.stop()
