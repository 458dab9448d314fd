"""Exactly once: archivers that are killed, and two at once, in a folder and on S3."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from conftest import Archive
from deltalake import DeltaTable
from making import Scan, make_scan, ship
from test_serve import counts, expected

from hyclus_archive.errors import ArchiveError
from hyclus_archive.maintain import maintain
from hyclus_archive.place import Place
from hyclus_archive.query import query
from hyclus_archive.serve import Archiver
from hyclus_archive.tables import SCHEMAS, create_table, open_table
from hyclus_archive.withdraw import withdraw


def ship_six(archive: Archive, folder: Path) -> list[Scan]:
    scans = [make_scan(folder, f"r{rig}", f"S{number}", 10 * rig + number, samples=1) for rig in (1, 2) for number in (1, 2, 3)]
    for scan in scans:
        ship(archive.place, scan)
    return scans


def each_once(archive: Archive, scans: list[Scan]) -> None:
    """All rows are there, and none is there twice."""
    assert counts(archive.place) == expected(*scans)
    for name in SCHEMAS:
        columns = [column for column in ("rig", "scan", "sample", "encoder", "line", "pixel") if column in SCHEMAS[name].names]
        table = open_table(archive.place, name).to_pyarrow_dataset().to_table(columns=columns)
        assert len(table.group_by(columns).aggregate([])) == len(table), name


def files(archive: Archive) -> int:
    """Files of all tables, commits among them."""
    return len([entry for entry in archive.place.list("tables", recursive=True) if not entry.folder])


def test_kills(archive: Archive, tmp_path: Path) -> None:
    """`serve` is killed after a seeded number of files, data or commits, again and again."""
    scans = ship_six(archive, tmp_path)
    kills = 10 if not archive.place.remote else 2
    killed = 0
    choice = random.Random(28)
    for _ in range(kills):
        limit = files(archive) + choice.randrange(1, 9)
        process = archive.start("serve", "--once")
        deadline = time.monotonic() + 60
        while process.poll() is None and files(archive) < limit:
            assert time.monotonic() < deadline
            time.sleep(0.002)
        killed += process.poll() is None
        process.kill()
        process.communicate()
    assert killed >= kills // 2, "most of them were killed at work"
    status, errors = archive.serve_once()
    assert status == 0, errors
    each_once(archive, scans)


def test_two_archivers(archive: Archive, tmp_path: Path) -> None:
    scans = ship_six(archive, tmp_path)
    both = [archive.start("serve", "--once") for _ in range(2)]
    for process in both:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    each_once(archive, scans)


def test_maintenance_forgets_no_transaction(archive: Archive, tmp_path: Path) -> None:
    scans = ship_six(archive, tmp_path)
    assert Archiver(archive.place).look() == 0
    withdraw(archive.place, "r1", "S1", "a test")
    did = [maintain(archive.place, name) for name in SCHEMAS]
    assert re.match(r"compacted 5 files into 2, checkpoint of version \d+", did[0]), did
    for name in SCHEMAS:
        # What remains of the log after a cleanup: the checkpoint alone.
        table = open_table(archive.place, name)
        for version in range(table.version()):
            archive.place.delete(f"tables/{name}/_delta_log/{version:020}.json")
    assert Archiver(archive.place).look() == 0
    each_once(archive, scans[1:])


def test_a_server_that_serves_ends_in_order(archive: Archive, tmp_path: Path) -> None:
    """It takes scans that arrive while it runs, and ends by SIGTERM."""
    from conftest import wait_for

    process = archive.start("serve", "--poll", "0.1")
    try:
        scan = make_scan(tmp_path, "r1", "S1", 1)
        ship(archive.place, scan)

        def taken() -> bool:
            assert process.poll() is None
            return archive.place.size("tables/scans/_delta_log/00000000000000000001.json") is not None

        wait_for(taken, "the scan is taken")
        process.terminate()
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.communicate()
    each_once(archive, [scan])


def test_commands(archive: Archive, tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="run: hyclus-archive serve"):
        query(archive.place, "SELECT 1")
    scans = ship_six(archive, tmp_path)
    archive.place.delete(f"{scans[0].prefix}/quicklook.png")
    status, errors = archive.serve_once()
    assert status == 1 and f"{scans[0].prefix}/quicklook.png is missing" in errors
    status, out, _ = archive.run("query", "SELECT rig, count(*) AS n FROM embeddings GROUP BY rig ORDER BY rig", "--csv")
    sums = [sum(scan.embeddings for scan in scans[1:] if scan.rig == rig) for rig in ("r1", "r2")]
    assert (status, out) == (0, f"rig,n\nr1,{sums[0]}\nr2,{sums[1]}\n")
    for sql in ("SELECT * FROM read_csv('/etc/hostname')", "SELECT nothing"):
        with pytest.raises(ArchiveError):
            query(archive.place, sql).read_all()
    status, out, _ = archive.run("status")
    assert status == 0 and "quicklook.png is missing" in out
    status, out, _ = archive.run("verify")
    assert status == 1 and out.count("as scan.json says") == 5 and "quicklook.png is missing" in out
    status, out, _ = archive.run("withdraw", "S2", "--rig", "r1", "--reason", "a test")
    assert status == 0, out
    status, out, _ = archive.run("scans", "--rig", "r1", "--csv")
    assert status == 0 and [line.split(",")[1] for line in out.splitlines()[1:]] == ["S3"]


EXPIRED = """HTTP status 400: <?xml version="1.0" encoding="UTF-8"?>
<Error><Code>ExpiredToken</Code>
<Message>The provided token has expired.</Message><Token-0>FwoGhidden</Token-0>
<RequestId>18ED</RequestId></Error>"""


@pytest.mark.parametrize("rows", [0, 1])
@pytest.mark.parametrize("form", [["--json"], ["--csv"], []])
def test_a_query_that_the_storage_refuses(place: Place, monkeypatch: pytest.MonkeyPatch, rows: int, form: list[str]) -> None:
    """At once, or after a row."""
    create_table(place, "scans")
    schema = SCHEMAS["scans"]

    def breaking() -> Iterator[pa.RecordBatch]:
        if rows:
            yield pa.RecordBatch.from_pylist([{"rig": "r1"}], schema=schema)
        raise OSError(EXPIRED)

    def data_set(_: DeltaTable) -> pa.RecordBatchReader:
        if not rows:
            raise OSError(EXPIRED)
        return pa.RecordBatchReader.from_batches(schema, breaking())

    monkeypatch.setattr(DeltaTable, "to_pyarrow_dataset", data_set)
    for command in (["query", "SELECT rig FROM scans"], ["scans"]):
        status, out, errors = Archive(place, []).run(*command, *form)
        assert status == 1 and errors.count("\n") == 1 and errors.startswith("hyclus-archive: ") and "hidden" not in out + errors
        assert "the credentials have expired; put new ones into" in errors and "ExpiredToken: The provided token has expired." in errors


def test_an_error_in_sql_shows_where_it_is(place: Place) -> None:
    create_table(place, "scans")
    for sql in ("SELECT 'ExpiredToken' FROM", "SELECT 'ExpiredToken'::INT"):
        status, _, errors = Archive(place, []).run("query", sql)
        assert status == 1 and f"LINE 1: {sql}\n" in errors and "^" in errors and "credentials" not in errors, sql
