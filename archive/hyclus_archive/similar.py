"""`hyclus-archive similar`: the pixels or samples whose embeddings are nearest to a given one."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import DeltaTable

from .errors import ArchiveError
from .place import Place, add_place, place_of
from .tables import open_table

Doubles = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]

# Rows that are looked at once.
BATCH_ROWS = 1 << 15
PIXEL = ["rig", "scan", "sample", "container", "line", "pixel"]
COLUMNS = [*PIXEL, "x_mm", "y_mm", "quality"]
SAMPLE = ["rig", "scan", "sample", "container"]
DISTANCE = "distance"


@dataclass(frozen=True)
class Query:
    """What is looked for: a pixel, a sample, or numbers.

    sample alone stands for its mean embedding. vector: an embedding `[d]`, as the model gives it. rig, container, sha256: only
    needed where the others fit several. sha256: the first digits of the model's hash.
    """

    encoder: str
    scan: str | None = None
    sample: str | None = None
    line: int | None = None
    pixel: int | None = None
    vector: Sequence[float] | None = None
    rig: str | None = None
    container: str | None = None
    sha256: str | None = None

    @property
    def of_sample(self) -> bool:
        return self.vector is None and self.line is None

    def check(self) -> None:
        """Raises ArchiveError where it is none."""
        place = (self.scan, self.sample)
        if self.vector is not None:
            if any(value is not None for value in (*place, self.line, self.pixel, self.rig, self.container)):
                raise ArchiveError("a vector lies nowhere; give it alone, or a scan with a sample")
            if len(self.vector) == 0 or not all(math.isfinite(number) for number in self.vector):
                raise ArchiveError("a vector is a list of finite numbers, one for each dimension of an embedding")
        elif None in place or (self.line is None) != (self.pixel is None):
            raise ArchiveError("give --scan and --sample, perhaps with --line and --pixel; or --vector")

    def says(self) -> str:
        """The query in words."""
        pixel = "" if self.line is None else f", line {self.line}, pixel {self.pixel}"
        return f"sample {self.sample} of scan {self.scan}{pixel}"

    def rows(self) -> pc.Expression:
        """The rows that it names."""
        found = self.encoders()
        for name in PIXEL:
            value = getattr(self, name)
            if value is not None:
                found = found & (pc.field(name) == value)
        return found

    def encoders(self) -> pc.Expression:
        """All rows of the encoder."""
        found = pc.field("encoder") == self.encoder
        return found & pc.starts_with(pc.field("encoder_sha256"), self.sha256) if self.sha256 else found


@dataclass
class Nearest:
    """The nearest rows so far, the nearest first. Equal distances are told apart by where the rows lie."""

    top: int
    order: list[str]
    table: pa.Table | None = None

    def add(self, distances: Doubles, rows: pa.Table) -> None:
        """Takes rows with their distances `[n]`."""
        limit = math.inf
        if self.table is not None and len(self.table) == self.top:
            limit = self.table[DISTANCE][-1].as_py()
        if len(distances) > self.top:
            limit = min(limit, float(np.partition(distances, self.top - 1)[self.top - 1]))
        chosen = np.flatnonzero(distances <= limit)
        if len(chosen) == 0:
            return
        new = rows.take(pa.array(chosen)).add_column(0, DISTANCE, pa.array(distances[chosen]))
        every = new if self.table is None else pa.concat_tables([self.table, new])
        keys = [(name, "ascending") for name in (DISTANCE, *self.order)]
        self.table = every.sort_by(keys).slice(0, self.top).combine_chunks()


def similar(place: Place, query: Query, top: int = 10, faiss: bool = False, index: str | Path | None = None) -> pa.Table:
    """The nearest rows by Euclidean distance between embeddings, the nearest first. The query itself is not among them.

    For a sample: samples by their mean embeddings, with `distance`, `rig`, `scan`, `sample`, `container`, `pixels`. Else pixels,
    with `distance`, `rig`, `scan`, `sample`, `container`, `line`, `pixel`, `x_mm`, `y_mm`, `quality`. Only embeddings by the same
    model are compared. The search is exact, and its memory does not grow with the archive.

    faiss: pixels by an index in memory, which may miss some; distances are exact. index: a file that keeps it until the table
    changes. Raises ArchiveError.
    """
    query.check()
    if top < 1:
        raise ArchiveError("--top must be at least 1")
    table = open_table(place, "embeddings")
    source = table.to_pyarrow_dataset()
    vector, sha256, itself = _vector(source, query)
    model = (pc.field("encoder") == query.encoder) & (pc.field("encoder_sha256") == sha256)
    # The query itself is found as well, and dropped.
    more = top if itself is None else top + 1
    if query.of_sample:
        if faiss:
            raise ArchiveError("--faiss is for pixels and vectors; samples are few, and searched exactly")
        found = _samples(table, source, model, vector, more)
    elif faiss:
        found = _by_faiss(table, source, query.encoder, sha256, model, vector, more, Path(index) if index is not None else None)
    else:
        found = _pixels(_batches(source, model), vector, more)
    if itself is not None and len(found):
        same = np.ones(len(found), np.bool_)
        for name, value in itself.items():
            same &= np.array([other == value for other in found[name].to_pylist()], np.bool_)
        found = found.filter(pa.array(~same))
    return found.slice(0, top)


def _vector(source: ds.Dataset, query: Query) -> tuple[Doubles, str, dict[str, Any] | None]:
    """The embedding `[d]` that is looked for, the hash of its model, and where it lies, if anywhere."""
    if query.vector is not None:
        models = _models(source, query.encoders())
        if not models:
            raise ArchiveError(f"the archive has no embeddings of encoder {query.encoder}{' by that model' if query.sha256 else ''}")
        return np.asarray(query.vector, np.float64), _one(models, "encoder_sha256", query), None
    names = SAMPLE if query.of_sample else PIXEL
    total: Doubles | None = None
    count = 0
    seen: dict[str, set[Any]] = {name: set() for name in ("rig", "container", "encoder_sha256")}
    for batch in _batches(source, query.rows(), [*seen, "embedding"]):
        embeddings = _matrix(batch)
        total = embeddings.sum(axis=0, dtype=np.float64) + (0.0 if total is None else total)
        count += len(batch)
        for name, values in seen.items():
            values.update(batch.column(name).unique().to_pylist())
    if total is None:
        raise ArchiveError(f"the archive has no embedding of {query.says()} by encoder {query.encoder}; was it on a rim, or not valid?")
    facts = {name: _one(values, name, query) for name, values in seen.items()}
    if not query.of_sample and count > 1:
        raise ArchiveError(
            f"{query.says()} has {count} embeddings of encoder {query.encoder}: two things lay in one container; give --vector"
        )
    places = {"rig": facts["rig"], "scan": query.scan, "sample": query.sample, "container": facts["container"]}
    itself = {name: places[name] if name in places else getattr(query, name) for name in names}
    return total / count, facts["encoder_sha256"], itself


def _models(source: ds.Dataset, rows: pc.Expression) -> set[Any]:
    found: set[Any] = set()
    for batch in _batches(source, rows, ["encoder_sha256"]):
        found.update(batch.column("encoder_sha256").unique().to_pylist())
    return found


def _one(values: set[Any], name: str, query: Query) -> str:
    """The only value. Raises ArchiveError that says how to choose one of several."""
    if len(values) == 1:
        return str(next(iter(values)))
    option = {"encoder_sha256": "--sha256", "container": "--container", "rig": "--rig"}[name]
    shown = ", ".join(str(value)[:16] for value in sorted(values)[:5])
    what = f"encoder {query.encoder}" if query.vector is not None or name == "encoder_sha256" else query.says()
    raise ArchiveError(f"{what} is of {len(values)} ({shown}); choose one by {option}")


def _batches(source: ds.Dataset, rows: pc.Expression, columns: Sequence[str] = (*COLUMNS, "embedding")) -> Iterator[pa.RecordBatch]:
    """Rows, a few thousand at once. Few are read ahead, so that memory stays small."""
    scanner = source.scanner(
        columns=list(columns), filter=rows, batch_size=BATCH_ROWS, batch_readahead=1, fragment_readahead=1, use_threads=False
    )
    for batch in scanner.to_batches():
        if len(batch):
            yield batch


def _matrix(batch: pa.RecordBatch, width: int | None = None) -> Floats:
    """The embeddings `[row, d]`. width: the d that is expected."""
    column = batch.column("embedding")
    width = len(column[0]) if width is None else width
    if column.null_count or not pc.all(pc.equal(pc.list_value_length(column), width)).as_py():
        found = sorted(set(pc.list_value_length(column).to_pylist()), key=str)
        raise ArchiveError(
            f"the embeddings have {' or '.join(map(str, found))} dimensions, expected {width}; is the vector of this encoder?"
        )
    return np.asarray(column.flatten().to_numpy(zero_copy_only=False), np.float32).reshape(-1, width)


def _distances(embeddings: npt.NDArray[Any], vector: Doubles) -> Doubles:
    apart = embeddings - vector
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", apart, apart)), np.float64)


def _pixels(batches: Iterator[pa.RecordBatch], vector: Doubles, top: int) -> pa.Table:
    nearest = Nearest(top, PIXEL)
    for batch in batches:
        distances = _distances(_matrix(batch, len(vector)), vector)
        nearest.add(distances, pa.Table.from_batches([batch]).select(COLUMNS))
    return nearest.table if nearest.table is not None else _empty()


def _empty() -> pa.Table:
    texts = [(name, pa.string()) for name in SAMPLE]
    return pa.schema([(DISTANCE, pa.float64()), *texts]).empty_table()


@dataclass
class Sums:
    """Sums of embeddings by sample."""

    width: int
    sums: dict[tuple[str, ...], Doubles] = field(default_factory=dict)
    counts: dict[tuple[str, ...], int] = field(default_factory=dict)

    def add(self, batch: pa.RecordBatch) -> None:
        # Rows of a sample follow each other, so there are few runs.
        new = np.zeros(len(batch), np.bool_)
        new[0] = True
        columns = [batch.column(name).dictionary_encode() for name in SAMPLE]
        for column in columns:
            codes = column.indices.to_numpy(zero_copy_only=False)
            new[1:] |= codes[1:] != codes[:-1]
        begins = np.flatnonzero(new)
        sums = np.add.reduceat(_matrix(batch, self.width).astype(np.float64), begins, axis=0)
        counts = np.diff(np.append(begins, len(batch)))
        for begin, part, count in zip(begins, sums, counts, strict=True):
            key = tuple(column[int(begin)].as_py() for column in columns)
            self.sums[key] = self.sums[key] + part if key in self.sums else part
            self.counts[key] = self.counts.get(key, 0) + int(count)

    def table(self) -> tuple[Doubles, pa.Table]:
        """Means `[sample, d]`, and the samples."""
        counts = np.array(list(self.counts.values()), np.int64)
        means = np.array(list(self.sums.values())) / counts[:, None]
        names = {name: [key[at] for key in self.sums] for at, name in enumerate(SAMPLE)}
        return means, pa.table({**names, "pixels": counts})


def _samples(table: DeltaTable, source: ds.Dataset, model: pc.Expression, vector: Doubles, top: int) -> pa.Table:
    nearest = Nearest(top, SAMPLE)
    # Rig by rig, so that the sums of one rig's samples are in memory at once.
    for rig in sorted({partition["rig"] for partition in table.partitions()}):
        sums = Sums(len(vector))
        for batch in _batches(source, model & (pc.field("rig") == rig), [*SAMPLE, "embedding"]):
            sums.add(batch)
        if sums.counts:
            means, rows = sums.table()
            nearest.add(_distances(means, vector), rows)
    return nearest.table if nearest.table is not None else _empty()


def _by_faiss(
    table: DeltaTable, source: ds.Dataset, encoder: str, sha256: str, model: pc.Expression, vector: Doubles, top: int, kept: Path | None
) -> pa.Table:
    """The nearest pixels by an inverted file of FAISS, their distances computed anew."""
    try:
        import faiss
    except ImportError:
        raise ArchiveError("FAISS is missing; run: pip install 'hyclus-archive[faiss]', or leave out --faiss") from None
    fragments = sorted(source.get_fragments(), key=lambda fragment: str(fragment.path))
    facts = {"table": table.metadata().id, "version": table.version(), "encoder": encoder, "sha256": sha256, "dimensions": len(vector)}
    beside = None if kept is None else kept.with_name(kept.name + ".json")
    index = counts = None
    if kept is not None and beside is not None and kept.exists() and beside.exists():
        said = json.loads(beside.read_text(encoding="utf-8"))
        counts = said.pop("counts", None)
        if said == facts and counts is not None and len(counts) == len(fragments):
            index = faiss.read_index(str(kept))
    if index is None:
        index, counts = _build(faiss, fragments, source.schema, model, len(vector))
        if kept is not None and beside is not None:
            try:
                beside.unlink(missing_ok=True)
                faiss.write_index(index, str(kept))
                beside.write_text(json.dumps({**facts, "counts": counts}), encoding="utf-8")
            except (OSError, RuntimeError) as error:
                raise ArchiveError(f"cannot keep the index: {error}") from error
    _, found = index.search(vector.astype(np.float32)[None, :], min(4 * top, index.ntotal))
    wanted = np.sort(found[0][found[0] >= 0])
    nearest = Nearest(top, PIXEL)
    first = 0
    for fragment, count in zip(fragments, counts or [], strict=True):
        mine = wanted[(wanted >= first) & (wanted < first + count)] - first
        if len(mine):
            at = 0
            for batch in _of_fragment(fragment, source.schema, model, [*COLUMNS, "embedding"]):
                here = mine[(mine >= at) & (mine < at + len(batch))] - at
                if len(here):
                    rows = pa.Table.from_batches([batch]).take(pa.array(here)).combine_chunks().to_batches()[0]
                    nearest.add(_distances(_matrix(rows, len(vector)), vector), pa.Table.from_batches([rows]).select(COLUMNS))
                at += len(batch)
        first += count
    return nearest.table if nearest.table is not None else _empty()


def _of_fragment(fragment: Any, schema: pa.Schema, rows: pc.Expression, columns: list[str]) -> Iterator[pa.RecordBatch]:
    for batch in fragment.to_batches(
        schema=schema, columns=columns, filter=rows, batch_size=BATCH_ROWS, batch_readahead=1, use_threads=False
    ):
        if len(batch):
            yield batch


def _build(faiss: Any, fragments: Sequence[Any], schema: pa.Schema, model: pc.Expression, width: int) -> tuple[Any, list[int]]:
    """An index of all rows in their order, and the rows of each fragment."""
    counts = [sum(len(batch) for batch in _of_fragment(fragment, schema, model, ["encoder"])) for fragment in fragments]
    rows = sum(counts)
    lists = int(min(math.sqrt(rows), rows // 64))
    if lists < 16:
        index = faiss.IndexFlatL2(width)
    else:
        index = faiss.IndexIVFFlat(faiss.IndexFlatL2(width), width, lists)
        step = max(1, rows // (64 * lists))
        index.train(np.concatenate([part[::step] for part in _embeddings(fragments, schema, model, width)]))
        index.nprobe = max(8, lists // 32)
    for part in _embeddings(fragments, schema, model, width):
        index.add(part)
    return index, counts


def _embeddings(fragments: Sequence[Any], schema: pa.Schema, model: pc.Expression, width: int) -> Iterator[Floats]:
    for fragment in fragments:
        for batch in _of_fragment(fragment, schema, model, ["embedding"]):
            yield np.ascontiguousarray(_matrix(batch, width))


def read_vector(path: str) -> list[float]:
    """A JSON list of numbers from a file, or from standard input where it is `-`. Raises ArchiveError."""
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
        numbers = json.loads(text)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise ArchiveError(f"cannot read the vector {path}: {error}") from error
    # A model's output is a list of one embedding.
    if isinstance(numbers, list) and len(numbers) == 1 and isinstance(numbers[0], list):
        numbers = numbers[0]
    if not isinstance(numbers, list) or not all(isinstance(n, (int, float)) and not isinstance(n, bool) for n in numbers):
        raise ArchiveError(f"{path}: expected a JSON list of numbers, one for each dimension of an embedding")
    return [float(number) for number in numbers]


def _similar(arguments: argparse.Namespace) -> int:
    place = place_of(arguments)
    names = ("encoder", "scan", "sample", "line", "pixel", "rig", "container", "sha256")
    vector = read_vector(arguments.vector) if arguments.vector is not None else None
    if arguments.index is not None and not arguments.faiss:
        raise ArchiveError("--index keeps the index of --faiss; give both")
    query = Query(vector=vector, **{name: getattr(arguments, name) for name in names})
    found = similar(place, query, arguments.top, arguments.faiss, arguments.index)
    rows = found.to_pylist()
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return 0
    titles = found.column_names
    cells = [titles, *[[f"{value:.6g}" if isinstance(value, float) else str(value) for value in row.values()] for row in rows]]
    widths = [max(len(row[at]) for row in cells) for at in range(len(titles))]
    for row in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


def register(subparsers: Any) -> None:
    """Adds the command."""
    parser = subparsers.add_parser("similar", help="the pixels or samples most like one, by their embeddings")
    add_place(parser)
    parser.add_argument("--encoder", metavar="NAME", required=True, help="the encoder whose embeddings are compared")
    parser.add_argument("--scan", metavar="ID", help="the scan of the pixel or sample")
    parser.add_argument("--sample", metavar="S", help="its sample; without --line and --pixel, samples are compared by their means")
    parser.add_argument("--line", type=int, metavar="L", help="line of the sample's cube")
    parser.add_argument("--pixel", type=int, metavar="P", help="pixel of the sample's cube")
    parser.add_argument("--vector", metavar="FILE", help="an embedding as a JSON list; - for standard input")
    parser.add_argument("--rig", help="where several rigs have the scan")
    parser.add_argument("--container", metavar="C", help="where the sample lay in several containers")
    parser.add_argument("--sha256", metavar="DIGITS", help="first digits of the model's hash, where the encoder had several")
    parser.add_argument("--top", type=int, default=10, metavar="K", help="number of rows (10)")
    parser.add_argument("--faiss", action="store_true", help="search an index in memory: faster again and again, and it may miss rows")
    parser.add_argument("--index", metavar="FILE", help="keeps the index of --faiss until the table changes")
    parser.add_argument("--json", action="store_true", help="rows as JSON")
    parser.set_defaults(run=_similar)
