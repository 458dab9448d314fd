"""The script that measures how costs grow, with few scans."""

from __future__ import annotations

from pathlib import Path

from scale import measure, measure_log

from hyclus_archive.place import Place


def test_costs_are_measured(place: Place, tmp_path: Path) -> None:
    first, second = measure(place, [10, 20])
    assert (first["scans"], second["scans"]) == (10, 20) and 0 < first["take_s"] and first["files"] < second["files"]
    # A log that is read from its beginning would cost twice as much. The rest is for a machine that is shared.
    assert second["take_s"] < 3 * first["take_s"] + 0.1 and second["serve_mib"] < first["serve_mib"] + 50
    (tmp_path / "log").mkdir()
    (row,) = measure_log(Place.open(str(tmp_path / "log")), [100])
    assert row["files"] == 100 and row["checkpoint"] > 0
