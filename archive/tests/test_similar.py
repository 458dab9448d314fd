"""Similar pixels and samples, against numpy over all rows."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hyclus_archive.cli import main
from hyclus_archive.errors import ArchiveError
from hyclus_archive.place import Place
from hyclus_archive.similar import Query, similar
from hyclus_archive.tables import add_action, commit_once, create_table, file_schema, new_key, open_table, parquet_writer

WITH_FAISS = importlib.util.find_spec("faiss") is not None
WIDTH = 6


@pytest.fixture
def place(tmp_path: Path) -> Place:
    folder = tmp_path / "archive"
    folder.mkdir()
    return Place.open(str(folder))


def add(
    place: Place, rig: str, scan: str, rows: int = 500, seed: int = 0, sha256: str = "a" * 64, encoder: str = "ore", width: int = WIDTH
) -> None:
    """Adds a scan's embeddings: groups of rows around a centre for each of four samples."""
    rng = np.random.default_rng([seed, rows])
    at = np.arange(rows)
    sample = 4 * at // rows
    embeddings = rng.normal(size=(4, width))[sample] + 0.3 * rng.normal(size=(rows, width))
    count = {name: pa.nulls(rows, kind) for name, kind in ((field.name, field.type) for field in file_schema("embeddings"))}
    count |= {
        "scan": pa.array([scan] * rows),
        "encoder": pa.array([encoder] * rows),
        "encoder_sha256": pa.array([sha256] * rows),
        "sample": pa.array([f"x{number}" for number in sample]),
        "container": pa.array([f"A{number}" for number in sample]),
        "line": pa.array((at // 10).astype(np.int32)),
        "pixel": pa.array((at % 10).astype(np.int32)),
        "quality": pa.array(np.zeros(rows, np.int16)),
        "embedding": pa.array(list(embeddings.astype(np.float32)), file_schema("embeddings").field("embedding").type),
    }
    table = create_table(place, "embeddings")
    key = new_key(rig, scan)
    path = Path(place.path("tables", "embeddings", key))
    path.parent.mkdir(parents=True, exist_ok=True)
    with parquet_writer(path, "embeddings") as writer:
        writer.write_table(pa.Table.from_arrays(list(count.values()), schema=file_schema("embeddings")))
    commit_once(table, f"{rig}/{scan}/{encoder}/{sha256}", 1, [add_action(key, path.stat().st_size, rig, pq.read_metadata(path))])


def filled(place: Place) -> tuple[list[dict[str, Any]], npt.NDArray[np.float64]]:
    """Two rigs with two scans each, and the rows of them all."""
    for number, (rig, scan) in enumerate([("north", "s1"), ("north", "s2"), ("south", "s1"), ("south", "s3")]):
        add(place, rig, scan, seed=number)
    rows = open_table(place, "embeddings").to_pyarrow_table().to_pylist()
    return rows, np.array([row["embedding"] for row in rows], np.float64)


def test_pixels_are_those_of_brute_force(place: Place) -> None:
    rows, embeddings = filled(place)
    query = Query("ore", scan="s2", sample="x1", line=14, pixel=3)
    at = next(n for n, row in enumerate(rows) if (row["scan"], row["line"], row["pixel"]) == ("s2", 14, 3))
    distances = np.linalg.norm(embeddings - embeddings[at], axis=1)
    expected = [n for n in np.argsort(distances) if n != at][:25]
    found = similar(place, query, 25)
    np.testing.assert_allclose(found["distance"].to_numpy(), distances[expected], rtol=1e-12)
    names = ("rig", "scan", "sample", "line", "pixel")
    assert [tuple(row[name] for name in names) for row in found.to_pylist()] == [tuple(rows[n][name] for name in names) for n in expected]


def test_a_vector_finds_its_own_pixel_first(place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows, embeddings = filled(place)
    file = tmp_path / "vector.json"
    file.write_text(json.dumps([embeddings[77].tolist()]))
    assert main(["similar", place.name, "--encoder", "ore", "--vector", str(file), "--top", "2", "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert first["distance"] == 0 and (first["scan"], first["line"]) == (rows[77]["scan"], rows[77]["line"])
    assert second["distance"] == np.sort(np.linalg.norm(embeddings - embeddings[77], axis=1))[1]
    assert main(["similar", place.name, "--encoder", "ore", "--vector", str(file), "--top", "2"]) == 0
    assert capsys.readouterr().out.splitlines()[0].split()[:3] == ["distance", "rig", "scan"]


def test_samples_are_compared_by_their_means(place: Place) -> None:
    rows, embeddings = filled(place)
    keys = [(row["rig"], row["scan"], row["sample"]) for row in rows]
    means = {key: embeddings[[key == other for other in keys]].mean(axis=0) for key in set(keys)}
    wanted = ("south", "s1", "x2")
    expected = sorted((float(np.linalg.norm(mean - means[wanted])), key) for key, mean in means.items() if key != wanted)
    found = similar(place, Query("ore", scan="s1", sample="x2", rig="south"), 100).to_pylist()
    assert [(row["rig"], row["scan"], row["sample"]) for row in found] == [key for _, key in expected]
    np.testing.assert_allclose([row["distance"] for row in found], [distance for distance, _ in expected], rtol=1e-12)
    assert {row["pixels"] for row in found} == {125}


def test_equal_distances_come_in_the_same_order_whatever_the_files(place: Place) -> None:
    add(place, "north", "s1", seed=4)
    add(place, "south", "s1", seed=4)
    query = Query("ore", scan="s1", sample="x0", line=1, pixel=1, rig="south")
    before = similar(place, query, 7)
    assert before["rig"].to_pylist()[:3] == ["north", "north", "south"] and before["distance"][0].as_py() == 0
    open_table(place, "embeddings").optimize.compact()
    assert similar(place, query, 7).equals(before)


def test_only_one_model_is_compared(place: Place) -> None:
    add(place, "north", "s1", seed=1)
    add(place, "north", "s2", seed=2, sha256="b" * 64)
    found = similar(place, Query("ore", scan="s1", sample="x0", line=0, pixel=0), 2000)
    assert set(found["scan"].to_pylist()) == {"s1"} and len(found) == 499
    with pytest.raises(ArchiveError, match="2 .*--sha256"):
        similar(place, Query("ore", vector=[0.0] * WIDTH))
    assert set(similar(place, Query("ore", vector=[0.0] * WIDTH, sha256="bb"))["scan"].to_pylist()) == {"s2"}


def test_bad_input_says_what_to_do(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(query: Query, top: int = 10, **options: Any) -> str:
        with pytest.raises(ArchiveError) as caught:
            similar(place, query, top, **options)
        return str(caught.value)

    assert "hyclus-archive serve" in refused(Query("ore", vector=[1.0]))
    add(place, "north", "s1")
    add(place, "south", "s1")
    pixel = {"scan": "s1", "sample": "x0", "line": 0, "pixel": 0}
    assert "--rig" in refused(Query("ore", **pixel)) and "north, south" in refused(Query("ore", **pixel))
    assert "no embedding of sample x9" in refused(Query("ore", scan="s1", sample="x9"))
    assert "no embeddings of encoder clay" in refused(Query("clay", vector=[1.0]))
    assert "dimensions, expected 2" in refused(Query("ore", vector=[1.0, 2.0]))
    assert "--line and --pixel" in refused(Query("ore", scan="s1", sample="x0", line=1))
    assert "finite" in refused(Query("ore", vector=[float("nan")]))
    assert "alone" in refused(Query("ore", vector=[1.0], scan="s1"))
    assert "--top" in refused(Query("ore", vector=[1.0]), 0)
    monkeypatch.setitem(sys.modules, "faiss", None)
    assert "pip install 'hyclus-archive[faiss]'" in refused(Query("ore", vector=[0.0] * WIDTH), faiss=True)
    for text in ("{}", "[1, true]", "no"):
        (tmp_path / "vector.json").write_text(text)
        assert main(["similar", place.name, "--encoder", "ore", "--vector", str(tmp_path / "vector.json")]) == 1


@pytest.mark.skipif(not WITH_FAISS, reason="the package faiss-cpu is not installed")
def test_faiss_finds_most_of_the_same_pixels_and_keeps_its_index(place: Place, tmp_path: Path) -> None:
    for number in range(4):
        add(place, "north", f"s{number}", rows=5000, seed=number)
    query = Query("ore", scan="s2", sample="x1", line=130, pixel=4)
    exact = similar(place, query, 20)
    index = tmp_path / "index"
    found = similar(place, query, 20, faiss=True, index=index)
    names = ["scan", "line", "pixel"]
    common = {tuple(row[n] for n in names) for row in exact.to_pylist()} & {tuple(row[n] for n in names) for row in found.to_pylist()}
    assert len(found) == 20 and len(common) >= 18
    written = index.stat().st_mtime_ns
    assert similar(place, query, 20, faiss=True, index=index).equals(found) and index.stat().st_mtime_ns == written
    # Another version of the table has other rows.
    add(place, "north", "s9", rows=5000, seed=2)
    again = similar(place, query, 20, faiss=True, index=index)
    assert again["distance"][0].as_py() == 0 and again["scan"][0].as_py() == "s9" and index.stat().st_mtime_ns > written


MEASURED = """
import resource, sys
sys.path[:0] = sys.argv[3:]
from hyclus_archive.similar import *
found = similar(Place.open(sys.argv[1]), Query(sys.argv[2], vector=[0.0] * 64), 10)
print(len(found), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_memory_does_not_grow_with_the_rows(place: Place) -> None:
    add(place, "north", "s1", 20_000, encoder="few", width=64)
    for number in range(8):
        add(place, "north", f"s{number}", 25_000, seed=number, encoder="many", width=64)
    peaks = []
    for encoder in ("few", "many"):
        command = [sys.executable, "-c", MEASURED, place.name, encoder, *sys.path]
        peaks.append(int(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[1]))
    # 180 000 embeddings more are 46 MB.
    assert peaks[1] - peaks[0] < 23, peaks
