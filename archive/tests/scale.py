"""Measures how the archive's costs grow: many small scans in a folder, or a log of many files of which none is there.

usage: scale.py scans FOLDER [--steps 10,100,1000]      FOLDER is empty, or absent
       scale.py log FOLDER [--steps 1000,10000,100000]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from deltalake.transaction import AddAction  # noqa: E402
from making import make_scan, ship  # noqa: E402

from hyclus_archive.place import Place  # noqa: E402
from hyclus_archive.tables import PARTITION, create_table, properties  # noqa: E402

# Scans of the last part of each step, of which the cost is told.
SOME = 10
RIGS = 5

SERVER = """
import json, sys, time
from hyclus_archive.place import Place
from hyclus_archive.serve import Archiver
archiver = Archiver(Place.open(sys.argv[1]))
for line in sys.stdin:
    began = time.monotonic()
    failed = archiver.look(everything=False)
    peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
    print(json.dumps({"failed": failed, "s": time.monotonic() - began, "mib": peak / 1024}), flush=True)
"""


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])}


class Server:
    """An archiver in a process of its own, that looks when it is told to, as `serve` does."""

    def __init__(self, place: Place) -> None:
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
        self.process = subprocess.Popen([sys.executable, "-c", SERVER, place.name], env=environment(), **pipes)

    def look(self) -> dict[str, float]:
        """One look: its seconds, and the peak of the process's memory so far."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        found: dict[str, float] = json.loads(self.process.stdout.readline())
        if found["failed"]:
            raise SystemExit(f"{found['failed']:.0f} scans were not taken; look with: hyclus-archive serve --once")
        return found

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def command(*words: str) -> tuple[float, float]:
    """Runs `hyclus-archive`. Returns its seconds, and the peak of its memory in MiB."""
    began = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "hyclus_archive", *words], env=environment(), stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"hyclus-archive {words[0]} ended with status {process.returncode}")
    return time.monotonic() - began, usage.ru_maxrss / 1024


def sizes(place: Place) -> dict[str, int]:
    """Files and bytes of the tables."""
    found = {"files": 0, "commits": 0, "log": 0, "checkpoint": 0}
    for log in Path(place.path("tables")).glob("*/_delta_log"):
        commits, checkpoints = list(log.glob("*.json")), sorted(log.glob("*.checkpoint.parquet"))
        found["files"] += len(list(log.parent.glob("rig=*/*.parquet")))
        found["commits"] += len(commits)
        found["log"] += sum(commit.stat().st_size for commit in commits)
        found["checkpoint"] += checkpoints[-1].stat().st_size if checkpoints else 0
    return found


def measure(place: Place, steps: Sequence[int], once: bool = False) -> list[dict[str, float]]:
    """Takes scans in steps. Returns a row for each. once: `serve --once` is measured too, which looks at every scan."""
    rows = []
    server = Server(place)
    try:
        there = 0

        def ship_up_to(count: int) -> None:
            nonlocal there
            with tempfile.TemporaryDirectory() as folder:
                while there < count:
                    ship(place, make_scan(Path(folder), f"rig-{there % RIGS}", f"S{there:06}", there, samples=1, shape=(8, 6, 12)))
                    there += 1

        for step in steps:
            ship_up_to(step - SOME)
            server.look()
            ship_up_to(step)
            some = server.look()
            row: dict[str, float] = {"scans": step, "take_s": some["s"] / SOME, "serve_mib": some["mib"]}
            row["idle_s"] = server.look()["s"]
            row |= sizes(place)
            last = f"rig = 'rig-{(step - 1) % RIGS}' AND scan = 'S{step - 1:06}'"
            row["query_s"], row["query_mib"] = command("query", place.name, f"SELECT max(line), sum(spectrum[1]) FROM spectra WHERE {last}")
            row["plant_s"], _ = command("query", place.name, "SELECT count(*) FROM samples WHERE keys['plant'] = 'P1'")
            row["status_s"], row["status_mib"] = command("status", place.name)
            if once:
                row["once_s"], row["once_mib"] = command("serve", place.name, "--once")
            row["maintain_s"], row["maintain_mib"] = command("maintain", place.name)
            rows.append(row)
            show(row, first=len(rows) == 1)
    finally:
        server.end()
    return rows


def measure_log(place: Place, steps: Sequence[int]) -> list[dict[str, float]]:
    """Fills the log of the table `spectra` with files that are not there. Returns what the log alone costs."""
    rows = []
    table = create_table(place, "spectra")
    there = 0
    for step in steps:
        while there < step:
            count = min(500, step - there)
            scans = [(f"rig-{number % 100}", f"20260101T{number:06}Z-tray-{number % 1000}") for number in range(there, there + count)]
            actions = [action(rig, scan) for rig, scan in scans]
            carried = properties([(f"{rig}/{scan}", 1) for rig, scan in scans])
            table.create_write_transaction(actions, "append", table.schema(), PARTITION, commit_properties=carried)
            there += count
        row: dict[str, float] = {"files": step}
        began = time.monotonic()
        table.create_checkpoint()
        row["checkpoint_s"] = time.monotonic() - began
        row["checkpoint"] = sorted(Path(place.path("tables/spectra/_delta_log")).glob("*.checkpoint.parquet"))[-1].stat().st_size
        found = subprocess.run([sys.executable, "-c", OPENED, place.name], env=environment(), capture_output=True, text=True, check=True)
        row |= json.loads(found.stdout)
        rows.append(row)
        show(row, first=len(rows) == 1)
    return rows


OPENED = """
import json, sys, time
from hyclus_archive.place import Place
from hyclus_archive.query import query
from hyclus_archive.reencode import Files
from hyclus_archive.tables import open_table

def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 1024

row = {"before_mib": peak()}
def timed(name, action):
    began = time.monotonic()
    found = action()
    row[name + "_s"] = time.monotonic() - began
    row[name + "_mib"] = peak()
    return found

place = Place.open(sys.argv[1])
table = timed("open", lambda: open_table(place, "spectra"))
timed("transaction", lambda: table.transaction_version("rig-0/20260101T000000Z-tray-0"))
timed("no_update", table.update_incremental)
source = timed("dataset", table.to_pyarrow_dataset)
timed("fragments", lambda: list(source.get_fragments(filter=None)))
timed("files_of", lambda: Files(table).of("rig-0", "20260101T000000Z-tray-0"))
print(json.dumps(row))
"""


def action(rig: str, scan: str) -> AddAction:
    low = {"scan": scan, "grid": "0123456789abcdef", "sample": "S1-0", "container": "A1", "line": 0, "pixel": 0, "time_ns": 1, "quality": 0}
    high = low | {"sample": "S1-9", "container": "F6", "line": 4000, "pixel": 383, "time_ns": 10**18, "quality": 128}
    statistics = {"numRecords": 2_400_000, "minValues": low, "maxValues": high, "nullCount": dict.fromkeys(low, 0)}
    name = f"rig={rig}/{scan}-{os.urandom(16).hex()}.parquet"
    return AddAction(name, 10**9, {"rig": rig}, 1_700_000_000_000, True, json.dumps(statistics))


def show(row: dict[str, float], first: bool) -> None:
    """Prints a row of a table, after a line of names."""
    widths = [max(8, len(name) + 1) for name in row]
    if first:
        print("".join(name.rjust(width) for name, width in zip(row, widths)), flush=True)
    cells = [f"{value:.3f}" if name.endswith("_s") else f"{value:.0f}" for name, value in row.items()]
    print("".join(cell.rjust(width) for cell, width in zip(cells, widths)), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["scans", "log"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", metavar="N,...", type=lambda text: [int(part) for part in text.split(",")])
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    place = Place.open(str(given.folder.resolve()))
    if place.list(""):
        raise SystemExit(f"{given.folder} is not empty; give an empty folder")
    if given.what == "scans":
        measure(place, given.steps or [10, 100, 300, 1000], once=True)
    else:
        measure_log(place, given.steps or [1000, 10_000, 100_000])


if __name__ == "__main__":
    main()
