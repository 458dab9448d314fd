"""A later revision takes the place of an earlier one, whatever happens between the look at the table and the commit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from making import Scan, make_scan, ship
from test_serve import counts, expected, rows

from hyclus_archive.maintain import maintain
from hyclus_archive.place import Place
from hyclus_archive.serve import Archiver
from hyclus_archive.shipped import listing, read_shipped
from hyclus_archive.tables import SCHEMAS, STATISTICS, Action, create_table, open_table
from hyclus_archive.taking import take
from hyclus_archive.withdraw import withdraw
from hyclus_archive.writing import Replacement


@pytest.fixture
def scans(place: Place, tmp_path: Path) -> list[Scan]:
    """Three scans of a rig and one of another, in tables that were compacted, so that scans share files."""
    made = [make_scan(tmp_path, rig, scan, seed, samples=1) for seed, (rig, scan) in enumerate(NAMES)]
    for scan in made:
        ship(place, scan)
    assert Archiver(place).look() == 0
    for name in SCHEMAS:
        maintain(place, name)
    for scan in made:
        later = make_scan(tmp_path, scan.rig, scan.id, NAMES.index((scan.rig, scan.id)), samples=1)
        later.record["tray"]["tray"] = "T2"
        scan.record = later.record
        ship(place, scan, 2, only=set())
    return made


NAMES = [("r1", "A"), ("r1", "B"), ("r1", "C"), ("r2", "A")]


def take_later(place: Place, rig: str, scan: str) -> None:
    """Takes revision 2, as another archiver does."""
    shipped = read_shipped(place, rig, scan, 2, listing(place, rig, scan))
    take(place, {name: create_table(place, name) for name in SCHEMAS}, shipped, False)


def check(place: Place, later: set[tuple[str, str]], *scans: Scan) -> None:
    """Each row is there once, each scan by its revision, and what the log says of each file is true."""
    assert counts(place) == expected(*scans)
    found = {(row["rig"], row["scan"]): row["revision"] for row in rows(place, "scans")}
    assert found == {(scan.rig, scan.id): 2 if (scan.rig, scan.id) in later else 1 for scan in scans}
    for name in SCHEMAS:
        table = open_table(place, name).to_pyarrow_dataset().to_table()
        columns = [column for column in ("rig", "scan", "sample", "encoder", "line", "pixel") if column in table.column_names]
        assert len(table.group_by(columns).aggregate([])) == len(table), name
        true_statistics(place, name)


def true_statistics(place: Place, name: str) -> None:
    live: dict[str, dict[str, Any]] = {}
    folder = Path(place.path("tables", name))
    for commit in sorted((folder / "_delta_log").glob("*.json")):
        for line in commit.read_text().splitlines():
            action = json.loads(line)
            if "add" in action:
                live[action["add"]["path"]] = action["add"]
            elif "remove" in action:
                del live[action["remove"]["path"]]
    assert len(live) == len(open_table(place, name).to_pyarrow_dataset().files)
    for path, add in live.items():
        content = pq.read_table(folder / path, partitioning=None)
        statistics = json.loads(add["stats"])
        assert add["size"] == (folder / path).stat().st_size and statistics["numRecords"] == len(content) > 0
        assert path.startswith(f"rig={add['partitionValues']['rig']}/")
        for column in STATISTICS & set(statistics["minValues"]):
            values = [value for value in content[column].to_pylist() if value is not None]
            assert (statistics["minValues"][column], statistics["maxValues"][column]) == (min(values), max(values)), (path, column)


def between(monkeypatch: pytest.MonkeyPatch, table: str, action: Callable[[], None]) -> list[str]:
    """Does something once, between the look at a table's files and the commit. Returns the list of calls."""
    real, calls = Replacement.actions, []

    def actions(self: Replacement, of: DeltaTable) -> list[Action]:
        found = real(self, of)
        if of.metadata().name == table:
            calls.append(table)
            if len(calls) == 1:
                action()
        return found

    monkeypatch.setattr(Replacement, "actions", actions)
    return calls


def test_a_revision_of_a_scan_that_shares_a_file(place: Place, scans: list[Scan]) -> None:
    take_later(place, "r1", "B")
    check(place, {("r1", "B")}, *scans)
    assert Archiver(place).look() == 0
    check(place, set(NAMES), *scans)


@pytest.mark.parametrize("table", ["embeddings", "scans"])
def test_others_commit_in_between(place: Place, scans: list[Scan], table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What they remove may be what is removed here. Then the look is done again."""
    with monkeypatch.context() as patch:
        calls = between(patch, table, lambda: take_later(place, "r1", "C"))
        take_later(place, "r1", "A")
    assert len(calls) > 2, "a neighbour's revision took away the file"
    check(place, {("r1", "A"), ("r1", "C")}, *scans)
    with monkeypatch.context() as patch:
        calls = between(patch, table, lambda: maintain(place, table) and None)
        take_later(place, "r1", "B")
    assert len(calls) == 2, "a compaction took away the file"
    check(place, {("r1", "A"), ("r1", "B"), ("r1", "C")}, *scans)


def test_the_same_revision_by_two(place: Place, scans: list[Scan], monkeypatch: pytest.MonkeyPatch) -> None:
    calls = between(monkeypatch, "embeddings", lambda: take_later(place, "r1", "A"))
    take_later(place, "r1", "A")
    assert len(calls) == 2
    check(place, {("r1", "A")}, *scans)


def test_a_withdrawal_in_between(place: Place, scans: list[Scan], monkeypatch: pytest.MonkeyPatch) -> None:
    between(monkeypatch, "embeddings", lambda: withdraw(place, "r1", "A", "a test") and None)
    take_later(place, "r1", "A")
    check(place, set(), *scans[1:])


@pytest.mark.parametrize("committed", [False, True])
def test_an_end_at_the_commit(place: Place, scans: list[Scan], committed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The archiver ends after the files were written: before the commit, or when the server has it and has not said so."""
    real = DeltaTable.create_write_transaction

    def ends(self: DeltaTable, *arguments: Any, **options: Any) -> None:
        if self.metadata().name == "embeddings":
            if committed:
                real(self, *arguments, **options)
            raise KeyboardInterrupt
        real(self, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(DeltaTable, "create_write_transaction", ends)
        with pytest.raises(KeyboardInterrupt):
            take_later(place, "r1", "B")
    assert counts(place) == expected(*scans)
    assert Archiver(place).look() == 0
    check(place, set(NAMES), *scans)


def test_an_answer_that_is_lost(place: Place, scans: list[Scan], monkeypatch: pytest.MonkeyPatch) -> None:
    real, lost = DeltaTable.create_write_transaction, []

    def lose(self: DeltaTable, *arguments: Any, **options: Any) -> None:
        real(self, *arguments, **options)
        if len(lost) < 5:
            lost.append(self.metadata().name)
            raise OSError("connection reset")

    monkeypatch.setattr(DeltaTable, "create_write_transaction", lose)
    take_later(place, "r1", "B")
    assert lost == list(SCHEMAS)
    check(place, {("r1", "B")}, *scans)
