"""The data root, compared with h5py, pyarrow and the program `hyclus`; and parts that come, go and are replaced."""

from __future__ import annotations

import csv
import io
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from conftest import PYTHON, ROOT, TRAY, Daemon, program

from hyclus import DataRoot, HyclusError, NoData, Rig, Samples, Scan, Superseded, Unreadable
from hyclus import _parts as parts_of


@pytest.fixture(scope="module")
def scan(daemon: Daemon) -> Scan:
    """A scan of the demo's tray."""
    return Rig(daemon.socket, data=daemon.data).scan(TRAY, progress=False)


def test_samples_are_what_h5py_reads(daemon: Daemon, scan: Scan) -> None:
    with scan.samples() as samples:
        assert sorted(samples) == sorted(sample.sample for sample in scan.record.samples) and len(samples) == 12
        record = scan.record.samples[3]
        sample = samples[record.sample]
        assert sample is samples[record.sample]
        assert tuple(sample.reflectance.shape) == record.shape and sample.reflectance.dims == ("line", "pixel", "wavelength")
        with h5py.File(samples.path(record.sample)) as file:
            group = file["entry/reflectance"]
            assert np.array_equal(sample.reflectance.values, group["reflectance"][:], equal_nan=True)
            assert np.array_equal(sample.wavelength.values, group["wavelength"][:])
            assert int(sample.mask.sum()) == record.pixels == int(group["mask"][:].sum())
        assert str(sample.time.dtype) == "datetime64[ns]" and sample.wavelength.attrs["units"] == "nm"
        assert "none" not in samples and record.sample in samples
        with pytest.raises(KeyError, match="is no sample in .*; there are P1-"):
            samples["none"]
    # They are opened again after the end.
    assert samples[record.sample].sizes["line"] == record.shape[0]
    samples.close()


def test_values_are_read_when_they_are_used(scan: Scan) -> None:
    with scan.samples() as samples:
        sample = samples["P1-2018-07-M100"]
        assert not sample.reflectance.variable._in_memory
        assert sample.reflectance.sel(wavelength=2200, method="nearest").shape == sample.reflectance.shape[:2]
        assert not sample.reflectance.variable._in_memory


def test_embeddings_and_minerals_are_those_of_the_program(daemon: Daemon, scan: Scan) -> None:
    for minerals, table in ((False, scan.embeddings().to_table()), (True, scan.minerals().to_table())):
        command = [str(program("hyclus")), "tail", "--data", str(daemon.data), "--scan", scan.id, "--format", "csv"]
        told = subprocess.run([*command, *(["--minerals"] if minerals else [])], capture_output=True, text=True, check=True).stdout
        rows = list(csv.DictReader(io.StringIO(told)))
        assert len(rows) == table.num_rows > 10_000
        assert [row["sample"] for row in rows] == table["sample"].to_pylist()
        assert [int(row["line"]) for row in rows] == table["line"].to_pylist()
        assert set(table["scan"].to_pylist()) == {scan.id}
        assert (table["embedding"].type.list_size == 4) if not minerals else table["mineral_2"].type == pa.string()


def test_the_data_set_holds_all_scans(daemon: Daemon, scan: Scan) -> None:
    root = DataRoot(daemon.data)
    ids = [scan for scan in root.scans() if root.record(scan).embeddings]
    counts = {each: root.embeddings(each).count_rows() for each in ids}
    assert root.embeddings().count_rows() == sum(counts.values()) == sum(root.record(each).embeddings for each in ids)
    assert root.embeddings().count_rows(filter=ds.field("scan") == scan.id) == counts[scan.id]
    judge = ds.dataset(daemon.data / "embeddings", partitioning="hive")
    assert judge.count_rows() == root.embeddings().count_rows()
    assert "DataRoot(" in repr(root) and Rig(data=daemon.data).data.scans() == root.scans()


def test_the_data_root_is_asked_for(tmp_path: Path, daemon: Daemon, scan: Scan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HYCLUS_DATA", raising=False)
    with pytest.raises(NoData, match=r"Rig\(data=...\), or HYCLUS_DATA"):
        Rig(daemon.socket).samples(scan.id)
    with pytest.raises(NoData, match="is no data root: it has no folder `scans`"):
        Rig(daemon.socket, data=tmp_path).embeddings()
    monkeypatch.setenv("HYCLUS_DATA", str(daemon.data))
    assert len(Rig(daemon.socket).samples(scan.id)) == 12
    rig = Rig(daemon.socket)
    for unknown in ("none", "../x", ""):
        for call in (rig.samples, rig.embeddings, rig.minerals, rig.follow, rig.data.record):
            with pytest.raises(NoData, match="holds no scan"):
                call(unknown)
    with pytest.raises(NoData, match="has no encoder 'other'. It has main."):
        rig.follow(scan.id, "other")
    with pytest.raises(NoData, match="there are no embeddings in .*: no scan has any"):
        rig.embeddings(encoder="other")


def test_rows_come_while_the_belt_moves_and_each_comes_once(slow: Daemon) -> None:
    rig = Rig(slow.socket, data=slow.data)
    rig.belt(to_mm=0.0)
    from_now_on = rig.follow()
    scan = rig.scan(TRAY, wait=False)
    states, rows = [], []
    for batch in scan.follow():
        states.append(rig.status().state)
        rows.append(batch)
    record = scan.wait(progress=False)
    assert "scanning" in states, states
    followed = pa.Table.from_batches(rows)
    assert followed.num_rows == record.embeddings and set(followed["scan"].to_pylist()) == {scan.id}
    places = followed.select(["container", "line", "pixel"]).group_by(["container", "line", "pixel"]).aggregate([])
    assert places.num_rows == record.embeddings
    whole = scan.embeddings().to_table()
    assert pc.sum(pc.list_flatten(followed["embedding"])) == pc.sum(pc.list_flatten(whole["embedding"]))
    # One that is not named a scan has seen the same rows, and waits for more.
    count = 0
    while count < record.embeddings:
        count += next(from_now_on).num_rows
    assert count == record.embeddings
    from_now_on.close()  # type: ignore[attr-defined]


# Data roots that a test makes.


def root_of(folder: Path, scan: str = "20260101T000000Z-T", ended: bool = True) -> Path:
    """A data root with a scan of one of the kept formats."""
    source = ROOT / "tests/formats/2/scans/20000101T000000Z-T1/scan.json"
    text = source.read_text().replace("20000101T000000Z-T1", scan)
    if not ended:
        text = text.replace('"ended": "', '"ended": null, "was": "', 1).replace('"ended":"', '"ended":null,"was":"', 1)
    target = folder / "scans" / scan
    target.mkdir(parents=True)
    (target / "scan.json").write_text(text)
    return folder


def part(root: Path, number: int, rows: list[int], scan: str = "20260101T000000Z-T", **columns: Any) -> Path:
    """Writes a part under a hidden name and gives it its own."""
    folder = root / "embeddings" / f"scan={scan}"
    folder.mkdir(parents=True, exist_ok=True)
    version = columns.pop("version", "2")
    width = columns.pop("width", 2)
    embedding = pa.FixedSizeListArray.from_arrays(pa.array([0.5] * (width * len(rows)), pa.float32()), width)
    others = {key: [value] * len(rows) for key, value in columns.items()}
    table = pa.table({"line": pa.array(rows, pa.int32()), "embedding": embedding} | others)
    hidden, path = root / f".{number}.part", folder / f"part-{number:05}.parquet"
    pq.write_table(table.replace_schema_metadata({"hyclus.format_version": version}), hidden)
    hidden.rename(path)
    return path


def lines(batches: Any) -> list[int]:
    return [line for batch in batches for line in batch["line"].to_pylist()]


def test_parts_in_any_order_come_once(tmp_path: Path) -> None:
    root = DataRoot(root_of(tmp_path, ended=False))
    scan = root.scans()[0]
    part(tmp_path, 0, [1, 2])
    follower = root.follow(scan, poll_s=0.01)
    assert next(follower)["line"].to_pylist() == [1, 2]
    part(tmp_path, 3, [7])
    assert next(follower)["line"].to_pylist() == [7]
    # A file that is no part is passed over.
    (tmp_path / "embeddings" / f"scan={scan}" / ".part-00009.parquet").write_bytes(b"x")
    part(tmp_path, 1, [3])
    assert next(follower)["line"].to_pylist() == [3]
    part(tmp_path, 4, [8, 9])
    (tmp_path / "scans" / scan / "scan.json").write_text((root_of(tmp_path / "b") / "scans" / scan / "scan.json").read_text())
    assert lines(follower) == [8, 9]
    assert lines(root.follow(scan)) == [1, 2, 3, 7, 8, 9]


def test_parts_that_are_replaced_are_said(tmp_path: Path) -> None:
    root = DataRoot(root_of(tmp_path, ended=False))
    scan = root.scans()[0]
    part(tmp_path, 0, [1, 2])
    follower = root.follow(scan, poll_s=0.01)
    next(follower)
    part(tmp_path, 0, [1, 2, 3])
    with pytest.raises(Superseded, match=r"made again.*embeddings\('20260101T000000Z-T'\) has the new ones"):
        next(follower)
    follower = root.follow(scan, poll_s=0.01)
    assert next(follower)["line"].to_pylist() == [1, 2, 3]
    shutil.rmtree(tmp_path / "embeddings" / f"scan={scan}")
    with pytest.raises(Superseded):
        next(follower)


def test_without_a_scan_rows_come_from_now_on_and_of_all_scans(tmp_path: Path) -> None:
    root = DataRoot(root_of(tmp_path))
    follower = root.follow(poll_s=0.01)
    part(tmp_path, 0, [1])
    part(tmp_path, 0, [5], scan="20260102T000000Z-U")
    first = next(follower).to_pylist()
    assert [(row["scan"], row["line"]) for row in first] == [("20260101T000000Z-T", 1)]
    assert next(follower)["line"].to_pylist() == [5]
    late = root.follow(poll_s=0.01)
    part(tmp_path, 1, [6], scan="20260102T000000Z-U")
    assert next(late)["line"].to_pylist() == next(follower)["line"].to_pylist() == [6]


def test_no_part_is_missed_while_they_come(tmp_path: Path) -> None:
    """Parts come faster than the times of a folder can tell."""
    root = DataRoot(root_of(tmp_path, ended=False))
    scan = root.scans()[0]
    whole = (root_of(tmp_path / "b") / "scans" / scan / "scan.json").read_text()

    def write() -> None:
        for number in range(150):
            part(tmp_path, number, [number])
        (tmp_path / "hidden").write_text(whole)
        os.replace(tmp_path / "hidden", tmp_path / "scans" / scan / "scan.json")

    writer = threading.Thread(target=write)
    follower = root.follow(scan, poll_s=0.0)
    writer.start()
    assert sorted(lines(follower)) == list(range(150))
    writer.join()


def test_a_folder_that_rests_is_not_listed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = part(root_of(tmp_path), 0, [1])
    os.utime(path.parent, (1, 1))
    listed: list[Path] = []
    plain = parts_of.numbered

    def numbered(folder: Path) -> list[tuple[int, Path]]:
        listed.append(folder)
        return plain(folder)

    monkeypatch.setattr(parts_of, "numbered", numbered)
    follower = parts_of.Follower(tmp_path / "embeddings", None, "main")
    for each in follower.look():
        follower.take(*each)
    assert (len(listed), follower.look(), len(listed)) == (1, [], 1)
    part(tmp_path, 1, [2])
    assert [number for _, number, _ in follower.look()] == [1]


def test_a_part_of_the_same_tick_is_found(tmp_path: Path) -> None:
    """The time of a folder is coarse: a part may come behind a listing and leave it as it was."""
    folder = part(root_of(tmp_path), 0, [1]).parent
    follower = parts_of.Follower(tmp_path / "embeddings", None, "main")
    changed = folder.stat().st_mtime_ns
    assert len(follower.look()) == 1
    part(tmp_path, 1, [2])
    os.utime(folder, ns=(changed, changed))
    assert [number for _, number, _ in follower.look()] == [0, 1]


def test_trays_with_other_keys_are_one_data_set(tmp_path: Path) -> None:
    root = DataRoot(root_of(tmp_path))
    part(tmp_path, 0, [1], plant="P1")
    part(tmp_path, 0, [2], scan="20260102T000000Z-U", lot="L2", novelty=0.5)
    rows = root.embeddings().to_table().select(["line", "plant", "lot", "novelty", "scan"]).sort_by("line").to_pylist()
    assert rows == [
        {"line": 1, "plant": "P1", "lot": None, "novelty": None, "scan": "20260101T000000Z-T"},
        {"line": 2, "plant": None, "lot": "L2", "novelty": 0.5, "scan": "20260102T000000Z-U"},
    ]
    part(tmp_path, 0, [3], scan="20260103T000000Z-V", width=3)
    words = r"differ: embedding is .*\[2\] in scan=20260101T000000Z-T and .*\[3\] in scan=20260103.*Name one scan"
    with pytest.raises(NoData, match=words):
        root.embeddings()
    assert root.embeddings("20260101T000000Z-T").count_rows() == 1


def test_kept_scans_of_older_formats_are_read() -> None:
    for version in ("1", "2"):
        root = DataRoot(ROOT / "tests/formats" / version)
        (scan,) = root.scans()
        record = root.record(scan)
        assert root.embeddings(scan).count_rows() == record.embeddings == sum(batch.num_rows for batch in root.follow(scan)) > 0
        with root.samples(scan) as samples:
            for each in record.samples:
                assert tuple(samples[Path(each.file).stem].reflectance.shape) == each.shape


def test_newer_formats_are_refused(tmp_path: Path) -> None:
    root = DataRoot(root_of(tmp_path))
    scan = root.scans()[0]
    part(tmp_path, 0, [1], version="3")
    for read in (root.embeddings, lambda scan: lines(root.follow(scan))):
        with pytest.raises(HyclusError, match="has the format 3. This client reads up to 2; install a newer one"):
            read(scan)
    path = tmp_path / "scans" / scan / "scan.json"
    path.write_text('{"format_version": 2}')
    with pytest.raises(HyclusError, match="has the format 2. This client reads 1"):
        root.record(scan)
    path.write_text("{")
    with pytest.raises(Unreadable, match="scan.json cannot be read"):
        root.record(scan)
    (tmp_path / "scans" / scan / "samples").mkdir()
    with h5py.File(tmp_path / "scans" / scan / "samples" / "a.h5", "w") as file:
        file.attrs["hyclus_format_version"] = np.int32(2)
    with pytest.raises(HyclusError, match="a.h5 has the format 2"):
        Samples(tmp_path / "scans" / scan / "samples")["a"]


def test_a_missing_package_is_named_with_its_extra(daemon: Daemon, scan: Scan) -> None:
    """In an interpreter without site packages, everything works but what needs them."""
    code = f"""
import sys
sys.path.insert(0, {str(PYTHON)!r})
import hyclus
rig = hyclus.Rig({str(daemon.socket)!r}, data={str(daemon.data)!r})
assert rig.status().rig == "simulated" and rig.record({scan.id!r}).complete
for read in (lambda: rig.embeddings(), lambda: rig.minerals(), lambda: rig.follow(), lambda: rig.samples({scan.id!r})["P1-2018-07-M100"]):
    try:
        read()
    except hyclus.MissingExtra as error:
        assert isinstance(error, ImportError)
        print(error)
"""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    told = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, env=environment, check=True).stdout
    assert told.splitlines() == [
        "embeddings need the package pyarrow: pip install 'hyclus[data]'",
        "minerals need the package pyarrow: pip install 'hyclus[data]'",
        "embeddings need the package pyarrow: pip install 'hyclus[data]'",
        "samples need the package h5netcdf: pip install 'hyclus[data]'",
    ]
