"""What `serve` makes of shipped scans, against what went into them."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable
from making import Scan, key_of, make_scan, set_files, ship

from hyclus_archive import writing
from hyclus_archive.errors import Unreachable
from hyclus_archive.place import Place
from hyclus_archive.serve import Archiver, _Told
from hyclus_archive.shipped import read_damage
from hyclus_archive.tables import SCHEMAS, commit_once, create_table, open_table, parquet_writer
from hyclus_archive.withdraw import withdraw


def rows(place: Place, table: str) -> list[dict]:
    return open_table(place, table).to_pyarrow_dataset().to_table().to_pylist()


def counts(place: Place) -> dict[str, int]:
    return {name: open_table(place, name).to_pyarrow_dataset().count_rows() for name in SCHEMAS}


def expected(*scans: Scan) -> dict[str, int]:
    return {
        "samples": sum(len(scan.record["samples"]) for scan in scans),
        "embeddings": sum(scan.embeddings for scan in scans),
        "minerals": sum(scan.minerals for scan in scans),
        "spectra": sum(len(scan.spectra) for scan in scans),
        "scans": len(scans),
    }


def test_rows_are_what_was_shipped(place: Place, tmp_path: Path) -> None:
    one, two = make_scan(tmp_path, "r1", "20260101T000000Z-T1", 1), make_scan(tmp_path, "r2", "20260101T000000Z-T1", 2, encoder="wide")
    for scan in (one, two):
        ship(place, scan)
    assert Archiver(place).look() == 0
    assert counts(place) == expected(one, two)
    spectra = rows(place, "spectra")
    for scan in (one, two):
        own = [row for row in spectra if row["rig"] == scan.rig]
        assert [(row["sample"], row["line"], row["pixel"]) for row in own] == list(scan.spectra)
        for row in own:
            values = np.array([np.nan if value is None else value for value in row["spectrum"]], np.float32)
            np.testing.assert_array_equal(values, scan.spectra[(row["sample"], row["line"], row["pixel"])])
            assert row["x_mm"] == np.float32(row["pixel"] * 0.6 + 100) and row["y_mm"] == np.float32(row["line"] * 0.6)
            assert row["time"].timestamp() * 1e6 == pytest.approx(row["time_ns"] // 1000, abs=1)
            assert dict(row["keys"]) == {"plant": f"P{1 if scan is one else 2}", "month": "2018-07"}
    assert {row["encoder"] for row in rows(place, "embeddings")} == {"main", "wide"}
    assert 128 in {row["quality"] for row in spectra}
    features = [dict(row["features"]) for row in rows(place, "minerals")]
    assert {} in features and any("depth_2200" in found for found in features)
    assert not any(np.isnan(value) for found in features for value in found.values())
    sample = rows(place, "samples")[0]
    assert dict(sample["heads"]) == {"copper": 1.5}, "a refused value is not to be used"
    assert dict(sample["minerals"]) == {"1/hematite": 0.25}
    assert place.size(sample["file"])
    scan = next(row for row in rows(place, "scans") if row["rig"] == "r1")
    assert scan["fwhm_nm"][-1] is None and len(scan["wavelengths_nm"]) == 12 and scan["grid"] == spectra[0]["grid"]
    assert scan["bytes"] == sum(map(len, one.files.values())) and "files" not in json.loads(scan["record"])


def test_nothing_happens_twice(place: Place, tmp_path: Path) -> None:
    scan = make_scan(tmp_path, "r1", "A", 1)
    ship(place, scan)
    Archiver(place).look()
    versions = {name: open_table(place, name).version() for name in SCHEMAS}
    Archiver(place).look()
    assert versions == {name: open_table(place, name).version() for name in SCHEMAS} and counts(place) == expected(scan)


def test_a_scan_is_taken_when_it_is_whole(place: Place, tmp_path: Path) -> None:
    scan = make_scan(tmp_path, "r1", "A", 1)
    ship(place, scan)
    record = Path(place.path(key_of(scan, "scans/A/scan.json")))
    content = record.read_bytes()
    record.unlink()
    archiver = Archiver(place)
    assert archiver.look() == 0 and counts(place)["scans"] == 0
    record.write_bytes(content)
    assert archiver.look() == 0 and counts(place) == expected(scan)


@pytest.mark.parametrize("compacted", [False, True])
def test_a_later_revision_replaces(place: Place, tmp_path: Path, compacted: bool) -> None:
    other, scan = make_scan(tmp_path, "r1", "B", 3), make_scan(tmp_path, "r1", "A", 1, encoder=None, minerals=False)
    ship(place, other)
    ship(place, scan)
    archiver = Archiver(place)
    archiver.look()
    if compacted:
        for name in SCHEMAS:
            open_table(place, name).optimize.compact()
    later = make_scan(tmp_path, "r1", "A", 1, minerals=True)
    ship(place, later, 2, only={path for path in later.files if path not in scan.files})
    assert archiver.look() == 0
    assert counts(place) == expected(other, later)
    assert {row["revision"] for row in rows(place, "scans") if row["scan"] == "A"} == {2}
    assert archiver.look() == 0 and counts(place) == expected(other, later)


def test_a_revision_that_is_not_whole_is_left(place: Place, tmp_path: Path) -> None:
    scan = make_scan(tmp_path, "r1", "A", 1)
    ship(place, scan)
    place.write(f"{scan.prefix}/revision=2/minerals/part-00000.parquet", b"half")
    Archiver(place).look()
    assert counts(place) == expected(scan)


@pytest.mark.parametrize(
    ("table", "damage"),
    [
        ("sample", "altered"),
        ("embeddings", "truncated"),
        ("embeddings", "altered"),
        ("minerals", "altered"),
        ("minerals", "missing"),
        ("quicklook", "altered"),
    ],
)
def test_damage_is_told_by_name_and_nothing_is_taken(
    place: Place, tmp_path: Path, table: str, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    scan, whole = make_scan(tmp_path, "r1", "A", 1), make_scan(tmp_path, "r1", "B", 2)
    ship(place, scan)
    ship(place, whole)
    path = next(path for path in scan.files if {"sample": "samples/"}.get(table, table) in path)
    content, key = scan.files[path], key_of(scan, path)
    if damage == "missing":
        place.delete(key)
    else:
        place.write(key, content[:-1] if damage == "truncated" else content[:-30] + bytes([content[-30] ^ 1]) + content[-29:])
    assert Archiver(place).look() == 1
    assert key in caplog.text
    assert counts(place) == expected(whole), "the damaged scan is not taken, and holds up no other"
    assert [fault for fault in read_damage(place, "r1", "A")["faults"] if key in fault]
    assert Archiver(place).look() == 1, "it is told again"
    place.write(key, content)
    assert Archiver(place).look() == 0
    assert counts(place) == expected(scan, whole) and read_damage(place, "r1", "A") is None


ROOM = "free some room, or set TMPDIR"


@pytest.mark.parametrize("small", [False, True])
def test_a_full_disk_is_no_damage(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, small: bool
) -> None:
    """The disk of temporary files. small: row groups are written while the scan is read, and not at its end."""
    scan = make_scan(tmp_path, "r1", "A", 1)
    ship(place, scan)
    with monkeypatch.context() as patch:
        patch.setattr(writing, "parquet_writer", lambda path, table: parquet_writer("/dev/full", table))
        if small:
            patch.setattr(writing, "GROUP_BYTES", 1)
        assert Archiver(place).look() == 1
    assert "No space left" in caplog.text and ROOM in caplog.text and "archive is full" not in caplog.text
    assert read_damage(place, "r1", "A") is None and sum(counts(place).values()) == 0
    assert Archiver(place).look() == 0 and counts(place) == expected(scan)


def test_no_folder_for_temporary_files(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    scan = make_scan(tmp_path, "r1", "A", 1)
    ship(place, scan)
    archiver = Archiver(place)
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
        assert archiver.look() == 1
        assert ROOM in caplog.text
    assert archiver.look() == 0 and counts(place) == expected(scan)
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
        with pytest.raises(Unreachable, match=ROOM):
            withdraw(place, "r1", "A", "a test")
    assert archiver.look() == 0 and sum(counts(place).values()) == 0, "the mark is there"


def test_an_archive_that_takes_no_new_table(place: Place) -> None:
    Path(place.path("tables")).write_bytes(b"in the way")
    with pytest.raises(Unreachable, match="table samples"):
        Archiver(place).look()


def breaks(patch: pytest.MonkeyPatch, times: int) -> list[str]:
    """Makes the storage fail the next looks for transactions. Gives their ids, as they come."""
    real, asked = DeltaTable.transaction_version, []

    def version(table: DeltaTable, app_id: str) -> int | None:
        asked.append(app_id)
        if len(asked) <= times:
            raise OSError("ExpiredToken: The provided token has expired")
        return real(table, app_id)

    patch.setattr(DeltaTable, "transaction_version", version)
    return asked


def test_storage_that_breaks_in_a_look(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The archive answers again before the next scan."""
    scans = [make_scan(tmp_path, "r1", name, number) for number, name in enumerate(("A", "B"))]
    for scan in scans:
        ship(place, scan)
    archiver = Archiver(place)
    with monkeypatch.context() as patch:
        breaks(patch, 1)
        assert _Told(archiver).look(archiver.look) == 1
    assert "scan A of rig r1" in caplog.text and "credentials have expired" in caplog.text
    assert counts(place) == expected(scans[1])
    with monkeypatch.context() as patch:
        breaks(patch, 1)
        assert _Told(archiver).look(lambda: archiver.look_at([("r1", "A"), ("r1", "B")])) == 1
    assert archiver.look() == 0 and counts(place) == expected(*scans)


def test_a_commit_is_tried_again_where_the_look_at_it_fails(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    table = create_table(place, "spectra")
    asked = breaks(monkeypatch, 1)
    assert commit_once(table, "r1/A", 1, SCHEMAS["spectra"].empty_table())
    assert len(asked) > 1 and not commit_once(table, "r1/A", 1, SCHEMAS["spectra"].empty_table())


def test_an_archive_that_goes_away_in_a_look_is_told_once(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    scans = [make_scan(tmp_path, "r1", name, number) for number, name in enumerate("ABCDE")]
    for scan in scans:
        ship(place, scan)
    archiver = Archiver(place)
    assert archiver.look() == 0
    caplog.set_level("INFO")
    caplog.clear()
    told = _Told(archiver)

    def away(*_: object) -> None:
        raise OSError("error sending request")

    def looked(*_: object) -> None:
        monkeypatch.setattr(DeltaTable, "update_incremental", away)
        away()

    with monkeypatch.context() as patch:
        patch.setattr(DeltaTable, "transaction_version", looked)
        for _ in range(3):
            assert told.look(archiver.look) is None
            assert told.look(lambda: archiver.look_at([("r1", "A"), ("r1", "B")])) is None
        assert [record.levelname for record in caplog.records] == ["ERROR"] and "the archive does not answer" in caplog.text
        assert ("r1", "A") not in archiver._settled and ("r1", "B") in archiver._settled
    monkeypatch.undo()
    assert told.look(archiver.look) == 0 and "answers again" in caplog.text


def test_scans_of_events_that_are_worth_another_look(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A damaged one is not: it is found by the listing when its objects change."""
    scan = make_scan(tmp_path, "r1", "A", 1)
    ship(place, scan)
    place.delete(f"{scan.prefix}/quicklook.png")
    archiver = Archiver(place)
    assert archiver.look_at([("r1", "A"), ("r1", "nowhere")]) == 0 and archiver.look() == 1
    ship(place, scan)
    with monkeypatch.context() as patch:
        patch.setattr(writing, "parquet_writer", lambda path, table: parquet_writer("/dev/full", table))
        assert archiver.look_at([("r1", "A")]) == 1
    assert archiver.look_at([("r1", "A")]) == 0 and counts(place) == expected(scan)


def test_raw_may_be_left_out(place: Place, tmp_path: Path) -> None:
    scan = make_scan(tmp_path, "r1", "A", 1)
    ship(place, scan, raw=False)
    assert Archiver(place, verify_all=True).look() == 0 and counts(place) == expected(scan)


def test_newer_formats_are_refused(place: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    scan = make_scan(tmp_path, "r1", "A", 1)
    scan.record["format_version"] = 2
    ship(place, scan)
    part = make_scan(tmp_path, "r1", "B", 1)
    path = next(path for path in part.files if path.startswith("embeddings"))
    import pyarrow.parquet as pq

    (tmp_path / "p").write_bytes(part.files[path])
    table = pq.read_table(tmp_path / "p")
    pq.write_table(table.replace_schema_metadata({"hyclus.format_version": "3"}), tmp_path / "p")
    set_files(part, {**part.files, path: (tmp_path / "p").read_bytes()})
    ship(place, part)
    assert Archiver(place).look() == 2
    assert caplog.text.count("install a newer hyclus-archive") == 2
    assert sum(counts(place).values()) == 0


@pytest.mark.parametrize("version", [1, 2])
def test_kept_scans_of_all_formats(place: Place, version: int) -> None:
    """The scans that tests/formats keeps, as the daemon wrote them."""
    root = Path(__file__).parents[2] / "tests" / "formats" / str(version)
    record = json.loads(next(root.glob("scans/*/scan.json")).read_text())
    record.pop("format_version")
    files = {file["path"]: (root / file["path"]).read_bytes() for file in record["files"]}
    scan = Scan("r1", record["id"], record, files)
    ship(place, scan)
    assert Archiver(place).look() == 0
    found = open_table(place, "embeddings").to_pyarrow_dataset().to_table()
    assert len(found) == record["embeddings"] == 260
    assert dict(found["keys"][0].as_py()) == {"plant": "P1", "month": "2018-07"}
    assert pc.all(pc.equal(pc.divide(found["time_ns"], 1000), found["time"].cast("int64"))).as_py()
    # That configuration encoded pixels with `edge`, too.
    spectra = open_table(place, "spectra").to_pyarrow_dataset().to_table()
    plain = {(row["line"], row["pixel"]) for row in spectra.select(["line", "pixel"]).to_pylist()}
    assert {(row["line"], row["pixel"]) for row in found.select(["line", "pixel"]).to_pylist()} == plain


def test_withdrawn(place: Place, tmp_path: Path) -> None:
    one, two = make_scan(tmp_path, "r1", "A", 1), make_scan(tmp_path, "r1", "B", 2)
    ship(place, one)
    ship(place, two)
    archiver = Archiver(place)
    archiver.look()
    deleted, objects = withdraw(place, "r1", "A", "the wrong tray", delete_objects=True)
    assert deleted == sum(expected(one).values()) and objects == len(one.files) + 1
    assert counts(place) == expected(two)
    assert withdraw(place, "r1", "A", "again") == (0, 0)
    assert json.loads(place.read(f"{one.prefix}/withdrawn.json"))["reason"] == "the wrong tray"
    ship(place, one)
    ship(place, one, 2)
    assert archiver.look() == 0 and Archiver(place).look() == 0
    assert counts(place) == expected(two)


def test_a_withdrawal_that_was_cut_off_is_finished(place: Place, tmp_path: Path) -> None:
    scan = make_scan(tmp_path, "r1", "A", 1)
    ship(place, scan)
    Archiver(place).look()
    place.write(f"{scan.prefix}/withdrawn.json", b'{"reason": "x", "time": "2026-01-01T00:00:00+00:00", "by": "me"}')
    assert Archiver(place).look() == 0
    assert sum(counts(place).values()) == 0


def test_an_archiver_that_saw_no_withdrawal_takes_nothing(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scan is withdrawn between the look at its objects and the commits."""
    import hyclus_archive.serve as serve

    scan = make_scan(tmp_path, "r1", "A", 1)
    ship(place, scan)
    original = serve.read_shipped

    def slow(*arguments: object) -> object:
        found = original(*arguments)  # type: ignore[arg-type]
        withdraw(place, "r1", "A", "in between")
        return found

    monkeypatch.setattr(serve, "read_shipped", slow)
    Archiver(place).look()
    assert sum(counts(place).values()) == 0
