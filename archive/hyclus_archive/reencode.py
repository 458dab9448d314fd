"""`hyclus-archive reencode`: a new encoder over every spectrum of the archive."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable, write_deltalake

from .encoding import Encoded, Task, app_id, encode
from .engines import ENGINES, run
from .errors import ArchiveError
from .fit import Grid, Unfit, fit, program
from .place import Place, add_place, place_of
from .tables import PARTITION, SCHEMAS, create_table, done, look_then, open_table, properties, refresh, version_of

# A commit waits for so many scans, or so long, whatever is first.
COMMIT_SCANS = 256
COMMIT_S = 30.0


@dataclass(frozen=True)
class Scan:
    """A scan that has spectra. grid: its name in `scans`. files: keys of the files that have its rows."""

    rig: str
    scan: str
    revision: int
    grid: str
    spectra: int
    files: tuple[str, ...]


@dataclass
class Report:
    """What a run did. Numbers of scans, but for `rows` (embeddings), `left_out` (spectra without one) and `seconds`.

    before: were done already. reused: files of an earlier run that was cut off. superseded: have a newer revision, or were
    withdrawn, since the run began. refused: by rig and grid. failed: by scan.
    """

    encoder: str
    sha256: str
    scans: int = 0
    before: int = 0
    committed: int = 0
    empty: int = 0
    reused: int = 0
    superseded: int = 0
    rows: int = 0
    left_out: int = 0
    seconds: float = 0.0
    refused: list[dict[str, Any]] = field(default_factory=list)
    failed: list[dict[str, Any]] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not self.refused and not self.failed


def reencode(
    place: Place,
    model: str | Path,
    name: str | None = None,
    *,
    engine: str = "local",
    scheduler: str | None = None,
    workers: int | None = None,
    rigs: Sequence[str] = (),
    scans: Sequence[str] = (),
    edge: bool = False,
    hyclus: str | None = None,
    progress: Callable[[Report, int, int], None] = lambda report, scans, spectra: None,
) -> Report:
    """Encodes all spectra that lack an embedding by a model, and commits them to the table `embeddings`.

    name: of the rows' encoder, None for the model's own. rigs, scans: those alone, none for all. edge: also pixels with the flag
    `edge`. hyclus: the program that fits models, None to look for it. progress: called with the report so far, and the scans and
    the spectra that were looked at. What cannot be encoded stands in the report. Raises ArchiveError where nothing can be.
    """
    began = time.monotonic()
    path = Path(model)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ArchiveError(f"cannot read the model: {error}") from error
    report = Report(name if name is not None else model_name(data, path), hashlib.sha256(data).hexdigest())
    check_name(report.encoder)
    fitter = program(hyclus)
    wanted, grids = find_scans(place, rigs, scans)
    embeddings = create_table(place, "embeddings")
    check_unused(embeddings, report.encoder, report.sha256)
    report.scans = len(wanted)
    todo = [scan for scan in wanted if not done(embeddings, app_id(scan.rig, scan.scan, report.sha256), scan.revision)]
    report.before = len(wanted) - len(todo)
    by_grid: dict[str, list[Scan]] = defaultdict(list)
    for scan in todo:
        by_grid[scan.grid].append(scan)
    if todo:
        place.write(f"encoders/{report.sha256}/model.onnx", data)
    ready: dict[str, tuple[str, str]] = {}
    for grid, some in by_grid.items():
        try:
            fitted = fit(fitter, path, grids[grid])
        except Unfit as refusal:
            report.refused += refusals(some, grids[grid], grid, str(refusal))
            continue
        digest = hashlib.sha256(fitted).hexdigest()
        key = f"encoders/{report.sha256}/grid={grid}-{digest[:16]}.onnx"
        if place.size(key) != len(fitted):
            place.write(key, fitted)
        ready[grid] = (key, digest)
    ready_scans = [scan for scan in todo if scan.grid in ready]
    bands = {grid: len(grids[grid].wavelengths_nm) for grid in ready}

    def task(scan: Scan) -> Task:
        key, digest = ready[scan.grid]
        facts = (scan.rig, scan.scan, scan.revision, bands[scan.grid], scan.files)
        return Task(place, *facts, report.encoder, report.sha256, key, digest, edge)

    count = workers or len(os.sched_getaffinity(0))
    results = run(engine, map(task, ready_scans), encode, count, scheduler) if ready_scans else iter(())
    spectra = {(scan.rig, scan.scan): scan.spectra for scan in ready_scans}
    ended = looked = 0

    def watched() -> Iterator[Encoded]:
        nonlocal ended, looked
        for result in results:
            ended += 1
            looked += spectra[result.task.rig, result.task.scan]
            report.seconds = time.monotonic() - began
            progress(report, ended, looked)
            if result.error is None:
                yield result
            else:
                report.failed.append({"rig": result.task.rig, "scan": result.task.scan, "reason": result.error})

    for batch in grouped(watched(), time.monotonic):
        commit(embeddings, batch, report)
    report.seconds = time.monotonic() - began
    return report


def grouped(results: Iterable[Encoded], clock: Callable[[], float]) -> Iterator[list[Encoded]]:
    """Results in groups for one commit each. What came before an error is given before it is raised."""
    group: list[Encoded] = []
    begin = clock()
    try:
        for result in results:
            group.append(result)
            if len(group) >= COMMIT_SCANS or clock() - begin >= COMMIT_S:
                yield group
                group, begin = [], clock()
    except ArchiveError:
        if group:
            yield group
        raise
    if group:
        yield group


def commit(table: DeltaTable, results: list[Encoded], report: Report) -> None:
    """Commits results in one transaction: each scan once, and only while its revision is the newest."""
    left: list[Encoded] = []
    sent: list[Encoded] = []
    superseded = 0

    def look() -> bool:
        nonlocal left, superseded
        # An attempt that failed may have been committed all the same. Then the table has what was sent.
        lacking = [result for result in results if not done(table, result.task.app_id, result.task.revision)]
        left = [result for result in lacking if current(table, result.task)]
        superseded = len(lacking) - len(left)
        return not left

    def attempt() -> None:
        # Our commit carries the scans' own transactions again. So it conflicts with an archiver that replaces or withdraws a scan.
        carried = [(result.task.app_id, result.task.revision) for result in left]
        scans = [(f"{result.task.rig}/{result.task.scan}", result.task.revision) for result in left]
        carried += [(scan, revision) for scan, revision in scans if version_of(table, scan) is not None]
        sent[:] = left
        actions = [result.action for result in left if result.action is not None]
        if actions:
            table.create_write_transaction(list(actions), "append", table.schema(), PARTITION, commit_properties=properties(carried))
        else:
            # Delta commits no empty list of actions, and would forget the transactions.
            write_deltalake(table, SCHEMAS["embeddings"].empty_table(), mode="append", commit_properties=properties(carried))

    look_then(table, look, attempt, f"{len(results)} scans of encoder {report.encoder}")
    refresh(table)
    # What an attempt sent and the table still lacks was not committed.
    ours = [result for result in sent if done(table, result.task.app_id, result.task.revision)]
    report.superseded += superseded
    for result in ours:
        report.committed += 1
        report.empty += result.action is None
        report.reused += result.reused
        report.rows += result.rows
        report.left_out += result.left_out
    report.before += len(results) - len(ours) - superseded


def current(table: DeltaTable, task: Task) -> bool:
    """Whether the revision that a task read is the one in the table. Raises Unreachable."""
    return version_of(table, f"{task.rig}/{task.scan}") in (None, task.revision)


def find_scans(place: Place, rigs: Sequence[str], scans: Sequence[str]) -> tuple[list[Scan], dict[str, Grid]]:
    """The scans that have spectra, by rig and time, and their grids. Raises ArchiveError where a named one is unknown."""
    names = ["rig", "scan", "revision", "grid", "spectra"]
    source = open_table(place, "scans").to_pyarrow_dataset()
    chosen = [pc.field(column).isin(list(values)) for column, values in (("rig", rigs), ("scan", scans)) if values]
    narrowed = None
    for expression in chosen:
        narrowed = expression if narrowed is None else narrowed & expression
    rows = source.to_table(columns=names, filter=narrowed).sort_by([("rig", "ascending"), ("scan", "ascending")]).to_pylist()
    for column, values in (("rig", rigs), ("scan", scans)):
        unknown = sorted(set(values) - {row[column] for row in rows})
        if unknown:
            raise ArchiveError(f"{place.name} has no {column} {', '.join(unknown)}; see: hyclus-archive scans {place.name}")
    rows = [row for row in rows if row["grid"] is not None and row["spectra"]]
    if not rows:
        return [], {}
    # Each grid once: a million scans of a rig have the same few hundred bands.
    grids: dict[str, Grid] = {}
    lists = source.scanner(columns=["grid", "wavelengths_nm", "fwhm_nm"], filter=narrowed, batch_size=1024)
    for batch in lists.to_batches():
        for at, grid in enumerate(batch.column("grid").to_pylist()):
            if grid is not None and grid not in grids:
                centres = batch.column("wavelengths_nm")[at].as_py()
                widths = batch.column("fwhm_nm")[at].as_py() or [None] * len(centres)
                grids[grid] = Grid(tuple(centres), tuple(widths))
    files = Files(open_table(place, "spectra"))
    return [
        Scan(row["rig"], row["scan"], row["revision"], row["grid"], row["spectra"], files.of(row["rig"], row["scan"])) for row in rows
    ], grids


class Files:
    """Which files of the table `spectra` may have a scan's rows, by their statistics."""

    def __init__(self, table: DeltaTable) -> None:
        actions = pa.table(table.get_add_actions(flatten=True))
        have = set(actions.column_names)
        names = ["path", "partition.rig", *[name for name in ("min.scan", "max.scan") if name in have]]
        self.one: dict[tuple[str, str], list[str]] = defaultdict(list)
        self.wide: dict[str, list[tuple[str | None, str | None, str]]] = defaultdict(list)
        for row in sorted(actions.select(names).to_pylist(), key=lambda row: str(row["path"])):
            low, high = row.get("min.scan"), row.get("max.scan")
            key = f"tables/spectra/{row['path']}"
            if low is not None and low == high:
                self.one[row["partition.rig"], low].append(key)
            else:
                self.wide[row["partition.rig"]].append((low, high, key))

    def of(self, rig: str, scan: str) -> tuple[str, ...]:
        """Keys of the files, in the order of their names."""
        wide = [key for low, high, key in self.wide.get(rig, ()) if low is None or high is None or low <= scan <= high]
        return tuple(sorted([*self.one.get((rig, scan), ()), *wide]))


def refusals(scans: Sequence[Scan], grid: Grid, name: str, reason: str) -> list[dict[str, Any]]:
    """One entry for each rig: its grid, the number of scans, and why."""
    counts: dict[str, int] = defaultdict(int)
    for scan in scans:
        counts[scan.rig] += 1
    ends = [min(grid.wavelengths_nm), max(grid.wavelengths_nm)]
    facts = {"grid": name, "bands": len(grid.wavelengths_nm), "range_nm": ends}
    return [{"rig": rig, **facts, "scans": count, "reason": reason} for rig, count in sorted(counts.items())]


def model_name(data: bytes, path: Path) -> str:
    """The name in a model's metadata, else that of its file."""
    try:
        import onnx
    except ModuleNotFoundError:
        raise ArchiveError("the package onnx is missing; give --name, or run: pip install 'hyclus-archive[encode]'") from None
    try:
        said = {entry.key: entry.value for entry in onnx.load_model_from_string(data).metadata_props}
    except Exception as error:
        raise ArchiveError(f"{path} is no ONNX model: {error}") from error
    return said.get("hyclus.name") or path.stem


def check_name(name: str) -> None:
    """Raises ArchiveError where a name is none for rows of an encoder."""
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", name):
        raise ArchiveError(f"{name!r} is no name for an encoder: give --name with 1 to 64 letters, digits, dots, dashes or underscores")
    if name == "main":
        raise ArchiveError("main is the name of the rigs' own encoders; give --name with another one")


def check_unused(table: DeltaTable, name: str, sha256: str) -> None:
    """Raises ArchiveError where rows of another model have the name. They would be taken for one."""
    source = table.to_pyarrow_dataset()
    other = (pc.field("encoder") == name) & (pc.field("encoder_sha256") != sha256)
    found = source.filter(other).head(1, columns=["rig", "scan", "encoder_sha256"]).to_pylist()
    if found:
        row = found[0]
        raise ArchiveError(
            f"{name} is the name of another model already ({row['encoder_sha256'][:12]}, scan {row['scan']} of rig {row['rig']}); "
            "give --name with a new one"
        )


class Progress:
    """Progress on stderr: one line that is written again in a terminal, else a line now and then."""

    def __init__(self) -> None:
        self.terminal = sys.stderr.isatty()
        self.next = 0.0

    def __call__(self, report: Report, scans: int, spectra: int) -> None:
        now = time.monotonic()
        if now < self.next:
            return
        self.next = now + (0.5 if self.terminal else 10.0)
        rate = spectra / report.seconds if report.seconds else 0.0
        text = f"{report.before + scans} of {report.scans} scans, {spectra} spectra, {rate:.0f}/s"
        print(f"\r\x1b[K{text}" if self.terminal else text, end="" if self.terminal else "\n", file=sys.stderr, flush=True)

    def end(self) -> None:
        if self.terminal and self.next:
            print(file=sys.stderr)


def _reencode(arguments: argparse.Namespace) -> int:
    place = place_of(arguments)
    progress = Progress()
    try:
        report = reencode(
            place,
            arguments.encoder,
            arguments.name,
            engine=arguments.engine,
            scheduler=arguments.scheduler,
            workers=arguments.workers,
            rigs=arguments.rig,
            scans=arguments.scan,
            edge=arguments.edge,
            hyclus=arguments.hyclus,
            progress=progress,
        )
    finally:
        progress.end()
    for refused in report.refused:
        low, high = refused["range_nm"]
        print(
            f"refused: rig {refused['rig']}, grid {refused['grid']} ({refused['bands']} bands, {low:g} to {high:g} nm), "
            f"{refused['scans']} scans: {refused['reason']}",
            file=sys.stderr,
        )
    for failed in report.failed:
        print(f"failed: rig {failed['rig']}, scan {failed['scan']}: {failed['reason']}", file=sys.stderr)
    if arguments.json:
        print(json.dumps(vars(report), indent=2))
    else:
        print(
            f"encoder {report.encoder} ({report.sha256[:12]}): {report.committed} of {report.scans} scans encoded, "
            f"{report.before} were done before, {report.rows} embeddings, {report.left_out} spectra left out, {report.seconds:.1f} s"
        )
        if report.superseded:
            print(f"{report.superseded} scans have changed meanwhile; run the command again")
    return 0 if report.good else 1


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def register(subparsers: Any) -> None:
    """Adds the command."""
    parser = subparsers.add_parser("reencode", help="run a new encoder over every spectrum of the archive")
    add_place(parser)
    parser.add_argument("--encoder", metavar="MODEL.onnx", required=True, help="the model, as for a rig")
    parser.add_argument("--name", help="name of the encoder in the rows; absent: that in the model, else that of the file")
    parser.add_argument("--engine", choices=ENGINES, default="local", help="what runs the tasks (local: processes of this machine)")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="a Dask scheduler or a Spark master; absent: one of this machine")
    parser.add_argument("--rig", action="append", default=[], help="this rig alone; may be given again")
    parser.add_argument("--scan", metavar="ID", action="append", default=[], help="this scan alone; may be given again")
    parser.add_argument("--edge", action="store_true", help="also pixels on the rim of what lies in a container")
    parser.add_argument("--workers", type=_positive, metavar="N", help="processes of this machine; absent: one for each core")
    parser.add_argument("--hyclus", metavar="FILE", help="the program hyclus; absent: in the folder HYCLUS_BIN, else in PATH")
    parser.add_argument("--json", action="store_true", help="the report as JSON")
    parser.set_defaults(run=_reencode)
