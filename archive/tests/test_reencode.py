"""A new encoder over everything: what rows it gives, and that each comes once whatever dies."""

from __future__ import annotations

import importlib.util
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable

from hyclus_archive import reencode as module
from hyclus_archive.cli import main
from hyclus_archive.encoding import Encoded, encode
from hyclus_archive.errors import ArchiveError
from hyclus_archive.place import Place
from hyclus_archive.reencode import Report, commit, reencode
from hyclus_archive.tables import open_table

from stored import EDGE, add_model, add_scan, by_numpy, replace_rows, wavelengths

HYCLUS = str(Path(__file__).with_name("fit_standin.py"))
BANDS = 12
WITH_DASK = importlib.util.find_spec("distributed") is not None


@pytest.fixture
def place(tmp_path: Path) -> Place:
    folder = tmp_path / "archive"
    folder.mkdir()
    return Place.open(str(folder))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "ore.onnx"
    add_model(path, [BANDS, 8, 4])
    return path


def rows(place: Place, table: str = "embeddings") -> pa.Table:
    order = [(name, "ascending") for name in ("rig", "scan", "line", "pixel")]
    return open_table(place, table).to_pyarrow_table().sort_by(order)


def run(place: Place, model: Path, **options: Any) -> Report:
    return reencode(place, model, hyclus=HYCLUS, **{"workers": 1, **options})


def matrix(column: pa.ChunkedArray) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.array(column.to_pylist(), dtype=np.float32)


def test_rows_are_those_of_numpy_in_order_and_a_second_run_does_nothing(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "ore.onnx"
    layers = add_model(path, [BANDS, 8, 4], metadata={"hyclus.name": "ore"})
    add_scan(place, "north", "s1", seed=1)
    add_scan(place, "south", "s1", rows=300, seed=2)
    report = run(place, path)
    assert (report.committed, report.encoder, report.good) == (2, "ore", True)

    spectra, found = rows(place, "spectra"), rows(place)
    values = matrix(spectra["spectrum"])
    keep = np.isfinite(values).all(axis=1) & (spectra["quality"].to_numpy() & EDGE == 0)
    assert 0 < keep.sum() < len(keep) == report.rows + report.left_out
    np.testing.assert_allclose(matrix(found["embedding"]), by_numpy(layers, values[keep]), atol=1e-5)
    for name in ("rig", "scan", "sample", "container", "keys", "line", "pixel", "x_mm", "y_mm", "time", "time_ns", "quality"):
        assert found[name].to_pylist() == spectra[name].filter(pa.array(keep)).to_pylist(), name
    assert found["encoder"].unique().to_pylist() == ["ore"]
    assert found["encoder_sha256"].unique().to_pylist() == [report.sha256]

    before = open_table(place, "embeddings").version()
    again = run(place, path)
    assert (again.before, again.committed) == (2, 0)
    assert open_table(place, "embeddings").version() == before


def test_edges_are_encoded_on_request(place: Place, model: Path) -> None:
    add_scan(place, "north", "s1")
    run(place, model, edge=True)
    assert pc.any(pc.equal(pc.bit_wise_and(rows(place)["quality"], EDGE), EDGE)).as_py()


def test_only_bands_that_are_read_must_have_values(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "part.onnx"
    layers = add_model(path, [BANDS - 1, 4], metadata={"hyclus.wavelengths_nm": json.dumps(wavelengths(BANDS)[1:])})
    add_scan(place, "north", "s1")
    run(place, path, edge=True)
    values = matrix(rows(place, "spectra")["spectrum"])
    keep = np.isfinite(values[:, 1:]).all(axis=1)
    assert keep.sum() > np.isfinite(values).all(axis=1).sum()
    np.testing.assert_allclose(matrix(rows(place)["embedding"]), by_numpy(layers, values[keep][:, 1:]), atol=1e-5)


def test_a_scan_of_which_nothing_is_left_is_done_as_well(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "ore.onnx"
    add_model(path, [BANDS, 4])
    add_scan(place, "north", "s1", rows=1, holes=True)
    table = rows(place, "spectra")
    table = table.set_column(table.column_names.index("quality"), "quality", pa.array([EDGE], pa.int16()))
    replace_rows(open_table(place, "spectra"), "north", "s1", 2, table)
    first, second = run(place, path), run(place, path)
    assert (first.committed, first.empty, first.left_out, second.committed, second.before) == (1, 1, 1, 0, 1)
    assert len(rows(place)) == 0


def test_rows_do_not_depend_on_how_they_are_stored(place: Place, model: Path, tmp_path: Path) -> None:
    """Row groups of other lengths, and a table that was compacted, give the same bits."""
    other = tmp_path / "other"
    other.mkdir()
    small = Place.open(str(other))
    for scan in ("s1", "s2"):
        add_scan(place, "north", scan, seed=5)
        add_scan(small, "north", scan, seed=5)
    files = open_table(small, "spectra")
    # Files of one row group become one file of both scans.
    files.optimize.compact()
    assert len(open_table(small, "spectra").file_uris()) == 1
    run(place, model)
    run(small, model)
    assert rows(place).equals(rows(small))


def test_a_grid_that_the_model_cannot_take_is_refused_and_all_others_are_done(
    place: Place, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_scan(place, "north", "s1")
    add_scan(place, "south", "s1", bands=9)
    add_scan(place, "south", "s2", bands=9)
    status = main(["reencode", place.name, "--encoder", str(model), "--hyclus", HYCLUS, "--workers", "1", "--json"])
    said = capsys.readouterr()
    report = json.loads(said.out)
    assert status == 1 and report["committed"] == 1
    assert [(refused["rig"], refused["scans"], refused["bands"]) for refused in report["refused"]] == [("south", 2, 9)]
    assert "rig south" in said.err and "takes 12 bands, and 9 are measured" in said.err
    assert set(rows(place)["rig"].to_pylist()) == {"north"}


@pytest.mark.skipif(not WITH_DASK, reason="the package distributed is not installed")
def test_dask_gives_the_rows_of_local_though_a_worker_is_killed(place: Place, model: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    local = Place.open(str(other))
    for number in range(6):
        add_scan(place, "north", f"s{number}", seed=number)
        add_scan(local, "north", f"s{number}", seed=number)
    run(local, model, workers=2, progress=killer())
    run(place, model, workers=2, engine="dask", progress=killer())
    assert len(rows(place)) > 2000
    assert rows(place).equals(rows(local))


def killer() -> Callable[[Report, int, int], None]:
    """Kills a worker after the first result."""
    killed: list[int] = []

    def kill(report: Report, scans: int, spectra: int) -> None:
        if not killed:
            worker = multiprocessing.active_children()[0].pid
            assert worker is not None
            killed.append(worker)
            os.kill(worker, signal.SIGKILL)

    return kill


def test_a_driver_that_is_killed_leaves_every_row_once(place: Place, model: Path) -> None:
    scans = 12
    for number in range(scans):
        add_scan(place, "north", f"s{number:02}", seed=number)
    code = "import sys, hyclus_archive.reencode as r; r.COMMIT_SCANS = 3; from hyclus_archive.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "reencode", place.name, "--encoder", str(model), "--hyclus", HYCLUS, "--workers", "1"]
    folder = Path(place.path("tables", "embeddings"))
    seeded = random.Random(28)
    moments = [(part, count) for part, most in (("rig=*/*.parquet", 3), ("_delta_log/*.json", 2)) for count in [seeded.randint(1, most)]]
    reused = 0
    for pattern, count in moments:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        start = len(list(folder.glob(pattern)))
        deadline = time.monotonic() + 30
        while len(list(folder.glob(pattern))) < start + count and process.poll() is None:
            assert time.monotonic() < deadline
        process.kill()
        assert process.wait() == -signal.SIGKILL, "it ended before it was killed"
    report = run(place, model)
    reused += report.reused
    assert report.before + report.committed == scans and report.before and report.committed
    found = rows(place)
    clean = found.group_by(["scan", "line", "pixel"]).aggregate([])
    assert len(found) == len(clean)
    spectra = rows(place, "spectra")
    whole = np.isfinite(matrix(spectra["spectrum"])).all(axis=1) & (spectra["quality"].to_numpy() & EDGE == 0)
    assert len(found) == whole.sum()


def encoded(place: Place, model: Path, monkeypatch: pytest.MonkeyPatch) -> list[Encoded]:
    """Results of tasks that nobody has committed."""
    kept: list[Encoded] = []
    with monkeypatch.context() as patch:
        patch.setattr(module, "commit", lambda table, results, report: kept.extend(results))
        run(place, model)
    return kept


def test_two_drivers_commit_each_scan_once(place: Place, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_scan(place, "north", "s1")
    add_scan(place, "north", "s2")
    results = encoded(place, model, monkeypatch)
    tables = [open_table(place, "embeddings"), open_table(place, "embeddings")]
    # Between the first one's look and its commit, the second one commits.
    second = Report("ore", "")

    def look(table: DeltaTable, task: Any) -> bool:
        if not second.committed:
            monkeypatch.setattr(module, "current", lambda table, task: True)
            commit(tables[1], results[:1], second)
        return True

    monkeypatch.setattr(module, "current", look)
    first = Report("ore", "")
    commit(tables[0], results, first)
    assert (second.committed, first.committed, first.before) == (1, 1, 1)
    assert len(rows(place)) == sum(result.rows for result in results)


@pytest.mark.parametrize("between", [False, True])
def test_rows_of_a_revision_that_is_replaced_are_not_committed(
    place: Place, model: Path, monkeypatch: pytest.MonkeyPatch, between: bool
) -> None:
    add_scan(place, "north", "s1")
    results = encoded(place, model, monkeypatch)

    def replaced() -> None:
        table = open_table(place, "embeddings")
        replace_rows(table, "north", "s1", 2, table.to_pyarrow_table())

    if between:
        real = module.current

        def look(table: DeltaTable, task: Any) -> bool:
            monkeypatch.setattr(module, "current", real)
            answer = real(table, task)
            replaced()
            return answer

        monkeypatch.setattr(module, "current", look)
    else:
        replaced()
    report = Report("ore", "")
    commit(open_table(place, "embeddings"), results, report)
    assert (report.committed, report.superseded) == (0, 1)
    assert len(rows(place)) == 0


def test_what_cannot_be_encoded_is_told_and_the_rest_is_done(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "ore.onnx"
    layers = add_model(path, [BANDS, 4])
    add_scan(place, "north", "s1")
    add_scan(place, "north", "s2")
    lost = [uri for uri in open_table(place, "spectra").file_uris() if "/s1-" in uri]
    Path(lost[0]).unlink()
    report = run(place, path)
    assert report.committed == 1 and not report.good
    assert [failed["scan"] for failed in report.failed] == ["s1"] and "run the command again" in report.failed[0]["reason"]
    assert layers and set(rows(place)["scan"].to_pylist()) == {"s2"}


def test_an_embedding_that_is_not_finite_is_told(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "ore.onnx"
    import onnx
    from onnx import numpy_helper

    add_model(path, [BANDS, 4])
    bad = onnx.load(str(path))
    weights = np.full((BANDS, 4), 3e38)
    bad.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.asarray(weights, np.float32), "w0"))
    onnx.save(bad, str(path))
    add_scan(place, "north", "s1")
    report = run(place, path)
    assert report.committed == 0 and "must be finite" in report.failed[0]["reason"]


def test_bad_input_says_what_to_do(place: Place, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*arguments: Any, **options: Any) -> str:
        with pytest.raises(ArchiveError) as caught:
            run(*arguments, **options)
        return str(caught.value)

    assert "hyclus-archive serve" in refused(place, model)
    add_scan(place, "north", "s1")
    assert "no rig west" in refused(place, model, rigs=["west"])
    assert "cannot read the model" in refused(place, tmp_path / "absent.onnx")
    (tmp_path / "text.onnx").write_text("no model")
    assert "no ONNX model" in refused(place, tmp_path / "text.onnx")
    assert "--name" in refused(place, model, name="a/b")
    assert "rigs' own" in refused(place, model, name="main")
    assert "--engine dask" in refused(place, model, scheduler="tcp://127.0.0.1:1")
    with pytest.raises(ArchiveError, match="--hyclus absent is no program"):
        reencode(place, model, hyclus="absent")
    monkeypatch.setenv("HYCLUS_BIN", str(tmp_path))
    with pytest.raises(ArchiveError, match="give --hyclus FILE"):
        reencode(place, model)
    run(place, model, name="ore")
    other = tmp_path / "other.onnx"
    add_model(other, [BANDS, 4], seed=2)
    assert "name of another model" in refused(place, other, name="ore")


def test_an_engine_that_is_missing_says_how_to_get_it(place: Place, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_scan(place, "north", "s1")
    for engine, package in (("dask", "distributed"), ("spark", "pyspark")):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(ArchiveError, match=rf"pip install 'hyclus-archive\[{engine}\]'"):
            run(place, model, engine=engine)


def test_a_file_with_other_bytes_in_the_archive_is_no_model(place: Place, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_scan(place, "north", "s1")
    (result,) = encoded(place, model, monkeypatch)
    place.write(result.task.model, b"other")
    failed = encode(replace(result.task, model_sha256="0" * 64))
    assert failed.error is not None and "other bytes" in failed.error


MEASURED = """
import resource, sys
from pathlib import Path
sys.path[:0] = sys.argv[3:]
from hyclus_archive import encoding
from stored import add_scan, Place, grid_name, wavelengths
place = Place.open(sys.argv[1])
file = next(Path(place.path("tables", "spectra")).glob(f"rig=*/{sys.argv[2]}-*.parquet"))
model = next(Path(place.path("encoders")).glob("*/grid=*"))
import hashlib
task = encoding.Task(place, "north", sys.argv[2], 1, 128, (place.key(str(file)),), "ore", "0" * 64, place.key(str(model)),
    hashlib.sha256(model.read_bytes()).hexdigest(), True)
result = encoding.encode(task)
assert result.error is None, result.error
print(result.rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_memory_does_not_grow_with_the_rows(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "ore.onnx"
    add_model(path, [128, 4])
    few, many = 20_000, 160_000
    add_scan(place, "north", "few", few, 128, holes=False)
    add_scan(place, "north", "many", many, 128, holes=False)
    run(place, path, scans=["few"])
    peaks = []
    for scan, count in (("few", few), ("many", many)):
        command = [sys.executable, "-c", MEASURED, place.name, scan, *sys.path]
        found, peak = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        assert int(found) == count
        peaks.append(int(peak))
    # 140 000 spectra more are 72 MB.
    assert peaks[1] - peaks[0] < 36, peaks
