"""Encoding of one scan's stored spectra, whatever engine runs it.

A task names a scan, the Parquet files of the table `spectra` that have its rows, and a model that was fitted to their grid. It
writes one Parquet file into the folder of the table `embeddings`, and gives back the add action. Nothing is committed here.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as fs
import pyarrow.parquet as pq
from deltalake.transaction import AddAction

from .errors import ArchiveError
from .place import Place
from .tables import SCHEMAS, add_action, file_schema, parquet_writer

Floats = npt.NDArray[np.float32]

# Spectra of a batch, as on a rig. The shape decides how ONNX Runtime computes, so the last batch is padded.
BATCH = 256
# The flag of a pixel on the rim of what lies in its container.
EDGE = 64
# Bytes of spectra that are decoded at once.
DECODED_BYTES = 16 << 20
# Counts the forms of the files that are written here. It is part of their names.
FORM = 1
# A file of an earlier run is used again within this time. `maintain` deletes files that no commit names only after days.
REUSED_WITHIN_S = 24 * 3600.0
COLUMNS = [name for name in file_schema("embeddings").names if name in SCHEMAS["spectra"].names]


@dataclass(frozen=True)
class Task:
    """The spectra of one scan, to be encoded.

    revision: of the scan. bands: of a spectrum. files: keys in the archive, in the order of their rows. encoder: the name of the
    rows. sha256: of the model as given. model: key of the model that was fitted to the grid, model_sha256: its own hash.
    edge: whether pixels with the flag `edge` are encoded.
    """

    place: Place
    rig: str
    scan: str
    revision: int
    bands: int
    files: tuple[str, ...]
    encoder: str
    sha256: str
    model: str
    model_sha256: str
    edge: bool = False

    @property
    def app_id(self) -> str:
        """Id of the transaction that commits this scan's rows."""
        return app_id(self.rig, self.scan, self.sha256)


@dataclass(frozen=True)
class Encoded:
    """What became of a task.

    rows: embeddings. left_out: spectra without one. reused: whether an earlier run had written the file already.
    action: None where no spectrum was left, or the task failed. error: why it failed.
    """

    task: Task
    rows: int = 0
    left_out: int = 0
    reused: bool = False
    action: AddAction | None = None
    error: str | None = None


def app_id(rig: str, scan: str, sha256: str) -> str:
    """Id of the transaction of a scan's rows by a model. Its version is the revision of the scan."""
    return f"{rig}/{scan}/encoder={sha256}"


class Model:
    """A model that was fitted to a grid by `hyclus fit`, in a session as the daemon's.

    bands: of the input `[BATCH, bands]`. reads: indices of the bands that must have values, None for all.
    """

    def __init__(self, data: bytes, name: str) -> None:
        """Raises ArchiveError where ONNX Runtime is missing or cannot load the bytes, or the interface is another one."""
        # ONNX Runtime would report its use to its makers.
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        try:
            import onnxruntime as ort
        except ModuleNotFoundError:
            raise ArchiveError("ONNX Runtime is missing; run: pip install 'hyclus-archive[encode]'") from None
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.use_deterministic_compute = True
        options.log_severity_level = 3
        try:
            self.session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise ArchiveError(f"ONNX Runtime cannot load {name}: {error}") from error
        inputs, outputs = self.session.get_inputs(), self.session.get_outputs()
        shape = inputs[0].shape if len(inputs) == 1 else []
        if len(shape) != 2 or not isinstance(shape[1], int) or shape[0] == 0 or (isinstance(shape[0], int) and shape[0] != BATCH):
            raise ArchiveError(f"{name}: expected one input float32 [N, bands], found {[tensor.shape for tensor in inputs]}; fit it anew")
        self.name = name
        self.bands: int = shape[1]
        self.input: str = inputs[0].name
        self.output: str = outputs[0].name
        metadata = self.session.get_modelmeta().custom_metadata_map
        self.reads = _reads(metadata.get("hyclus.reads"), self.bands, name)

    def run(self, batch: Floats) -> Floats:
        """Embeddings `[BATCH, d]` of spectra `[BATCH, bands]`."""
        found: Floats = self.session.run([self.output], {self.input: batch})[0]
        if found.ndim != 2 or len(found) != BATCH or found.dtype != np.float32:
            raise ArchiveError(f"{self.name}: expected an output float32 [{BATCH}, d], found {found.dtype} {list(found.shape)}")
        return found


def _reads(text: str | None, bands: int, name: str) -> npt.NDArray[np.intp] | None:
    if text is None:
        return None
    try:
        reads = np.asarray(json.loads(text), dtype=np.intp)
    except (ValueError, TypeError) as error:
        raise ArchiveError(f"{name}: hyclus.reads is no list of bands: {error}; fit it anew") from error
    if reads.ndim != 1 or (reads < 0).any() or (reads >= bands).any():
        raise ArchiveError(f"{name}: hyclus.reads names bands outside 0 to {bands - 1}; fit it anew")
    return None if len(np.unique(reads)) == bands else reads


_loading = threading.Lock()
_loaded: dict[tuple[str, str | None, str], Model] = {}
_MOST_LOADED = 4


def load(task: Task) -> Model:
    """The task's model, read once per process."""
    place = task.place
    known = (place.root, place.endpoint, task.model_sha256)
    with _loading:
        if known not in _loaded:
            data = place.read(task.model)
            if hashlib.sha256(data).hexdigest() != task.model_sha256:
                raise ArchiveError(f"{task.model} in the archive has other bytes than were written; run the command again")
            while len(_loaded) >= _MOST_LOADED:
                _loaded.pop(next(iter(_loaded)))
            _loaded[known] = Model(data, task.model)
        return _loaded[known]


def encode(task: Task) -> Encoded:
    """Runs a task. Whatever is wrong with one scan is told in the result, so that others go on."""
    try:
        return _encode(task)
    except FileNotFoundError as error:
        return Encoded(task, error=f"{error}; was the table compacted and cleaned meanwhile? run the command again")
    except (ArchiveError, OSError, pa.ArrowException) as error:
        return Encoded(task, error=str(error))


def file_key(task: Task) -> str:
    """Key of the file that a task writes, relative to the table's folder.

    The name holds everything that the bytes depend on. So a task that runs twice, or at once, writes the same bytes twice.
    """
    import onnxruntime as ort

    facts = [
        FORM,
        task.rig,
        task.scan,
        task.revision,
        task.encoder,
        task.sha256,
        task.model_sha256,
        task.edge,
        pa.__version__,
        ort.__version__,
    ]
    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
    return f"rig={task.rig}/{task.scan}-encoder-{task.sha256[:16]}-{digest[:16]}.parquet"


def _encode(task: Task) -> Encoded:
    model = load(task)
    if model.bands != task.bands:
        raise ArchiveError(f"{task.model} takes {model.bands} bands, and the scan has {task.bands}; is its grid in `scans` right?")
    key = file_key(task)
    place, whole = task.place, f"tables/embeddings/{key}"
    info = place.filesystem.get_file_info(place.path(whole))
    if info.type == fs.FileType.File and _age_s(info.mtime) < REUSED_WITHIN_S:
        with place.filesystem.open_input_file(info.path) as file:
            metadata = pq.read_metadata(file)
        left_out = int((metadata.metadata or {}).get(b"hyclus.left_out", b"0"))
        return Encoded(task, metadata.num_rows, left_out, True, add_action(key, info.size, task.rig, metadata))
    with tempfile.TemporaryDirectory(prefix="hyclus-archive-") as folder:
        local = Path(folder) / "embeddings.parquet"
        rows, left_out = _write(task, model, local)
        if rows == 0:
            return Encoded(task, 0, left_out)
        action = add_action(key, local.stat().st_size, task.rig, pq.read_metadata(local))
        _publish(place, local, whole)
    return Encoded(task, rows, left_out, False, action)


def _age_s(when: datetime | None) -> float:
    return float("inf") if when is None else time.time() - when.replace(tzinfo=when.tzinfo or timezone.utc).timestamp()


def _publish(place: Place, local: Path, key: str) -> None:
    """Puts a file in its place whole. A worker that is thought dead may do the same at once, so each has a part of its own."""
    if place.remote:
        place.put(local, key)
        return
    path = Path(place.path(key))
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        shutil.copyfile(local, part)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _write(task: Task, model: Model, local: Path) -> tuple[int, int]:
    """Writes the file. Gives the rows, and the spectra that were left out."""
    schema = file_schema("embeddings")
    rows = left_out = 0
    waiting: list[pa.RecordBatch] = []
    found: list[Floats] = []

    def write(writer: pq.ParquetWriter) -> None:
        nonlocal rows
        if not found:
            return
        embeddings = np.concatenate(found)
        places = pa.Table.from_batches(waiting)
        waiting[:] = places.slice(len(embeddings)).to_batches()
        found.clear()
        writer.write_table(_rows(task, places.slice(0, len(embeddings)), embeddings, schema))
        rows += len(embeddings)

    with parquet_writer(local, "embeddings") as writer:
        filler = Filler(model, found)
        ready = 0
        for batch, spectra in _spectra(task):
            keep = _wanted(batch, spectra, model.reads, task.edge)
            left_out += len(keep) - int(np.count_nonzero(keep))
            places = batch.select(COLUMNS)
            if not keep.all():
                places, spectra = places.filter(pa.array(keep)), spectra[keep]
            if len(spectra) == 0:
                continue
            waiting.append(places)
            filler.add(spectra, _breaks(places))
            ready += len(spectra)
            # A row group of embeddings is as long as one of spectra would be, at least.
            if ready >= 1 << 17:
                write(writer)
                ready = sum(len(part) for part in waiting)
        filler.end()
        write(writer)
        writer.add_key_value_metadata({"hyclus.encoder_sha256": task.sha256, "hyclus.left_out": str(left_out)})
    return rows, left_out


class Filler:
    """Fills batches of `BATCH` spectra in their order, and runs each that is full. A batch ends where a sample ends, as on a rig."""

    def __init__(self, model: Model, out: list[Floats]) -> None:
        self.model = model
        self.out = out
        self.batch = np.zeros((BATCH, model.bands), np.float32)
        self.filled = 0
        self.last: tuple[Any, ...] | None = None

    def add(self, spectra: Floats, breaks: tuple[list[int], tuple[Any, ...], tuple[Any, ...]]) -> None:
        """Takes spectra `[n, bands]`. breaks: where samples begin in them, and the first and the last row's sample and line."""
        begins, first, last = breaks
        if self.last is not None and (self.last[:2] != first[:2] or first[2] < self.last[2]):
            self.end()
        self.last = last
        for begin, end in zip([0, *begins], [*begins, len(spectra)], strict=True):
            if begin:
                self.end()
            while begin < end:
                count = min(BATCH - self.filled, end - begin)
                self.batch[self.filled : self.filled + count] = spectra[begin : begin + count]
                self.filled += count
                begin += count
                if self.filled == BATCH:
                    self.end()

    def end(self) -> None:
        """Runs the batch, padded by zeros."""
        if self.filled == 0:
            return
        self.batch[self.filled :] = 0.0
        # A band that the model does not read may lack a value, and would spoil a sum with a weight of 0.
        if self.model.reads is not None:
            np.nan_to_num(self.batch, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
        found = self.model.run(self.batch)[: self.filled]
        if not np.isfinite(found).all():
            raise ArchiveError(f"the model gives {found[~np.isfinite(found)][0]} for a spectrum; an embedding must be finite")
        # ONNX Runtime may give its next result in the same memory.
        self.out.append(found.copy())
        self.filled = 0


def _spectra(task: Task) -> Iterator[tuple[pa.RecordBatch, Floats]]:
    """The scan's rows, with their spectra `[n, bands]`, a few MB at once. Values that are missing are NaN."""
    size = max(BATCH, DECODED_BYTES // (4 * task.bands))
    place, wanted = task.place, pa.scalar(task.scan)
    for key in task.files:
        with _opened(place, key) as file:
            groups = [g for g in range(file.num_row_groups) if _may_have(file.metadata, g, task.scan)]
            for batch in file.iter_batches(
                size, row_groups=groups, columns=["scan", *[c for c in COLUMNS if c != "scan"], "spectrum"], use_threads=False
            ):
                mine = pc.equal(batch.column("scan"), wanted)
                if not pc.all(mine).as_py():
                    batch = batch.filter(mine)
                if len(batch):
                    yield batch, _matrix(batch.column("spectrum"), task.bands, key)


def _opened(place: Place, key: str) -> pq.ParquetFile:
    path = place.path(key)
    if place.remote:
        return pq.ParquetFile(place.filesystem.open_input_file(path), pre_buffer=True)
    return pq.ParquetFile(path, pre_buffer=False)


def _may_have(metadata: pq.FileMetaData, group: int, scan: str) -> bool:
    """Whether the statistics of a row group allow a scan."""
    for column in range(metadata.num_columns):
        if metadata.schema.column(column).path == "scan":
            statistics = metadata.row_group(group).column(column).statistics
            return statistics is None or not statistics.has_min_max or statistics.min <= scan <= statistics.max
    return True


def _matrix(column: pa.Array, width: int, key: str) -> Floats:
    """Numbers `[row, width]` of a list column. Nulls become NaN."""
    lengths = pc.list_value_length(column)
    if column.null_count or not pc.all(pc.equal(lengths, width)).as_py():
        raise ArchiveError(f"{key}: a spectrum has not {width} bands, as its grid has; run: hyclus-archive verify, and serve it anew")
    values = column.flatten()
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.float32).reshape(-1, width)


def _wanted(batch: pa.RecordBatch, spectra: Floats, reads: npt.NDArray[np.intp] | None, edge: bool) -> npt.NDArray[np.bool_]:
    """Which rows are encoded `[n]`."""
    # A sum is finite where all values are, and costs one pass without a copy. Where it overflows, each value is looked at.
    with np.errstate(over="ignore", invalid="ignore"):
        keep = np.isfinite(spectra.sum(axis=1))
    odd = np.flatnonzero(~keep)
    if len(odd):
        keep[odd] = np.isfinite(spectra[odd] if reads is None else spectra[odd][:, reads]).all(axis=1)
    if not edge:
        keep &= (np.asarray(batch.column("quality").to_numpy(zero_copy_only=False)) & EDGE) == 0
    return np.asarray(keep, dtype=np.bool_)


def _breaks(batch: pa.RecordBatch) -> tuple[list[int], tuple[Any, ...], tuple[Any, ...]]:
    """Where samples begin after the first row, and sample, container and line of the first and the last row.

    Two things in one container have the same names. Their lines begin anew.
    """
    line = batch.column("line").to_numpy(zero_copy_only=False)
    new = line[1:] < line[:-1]
    for name in ("sample", "container"):
        column = batch.column(name)
        codes = column.dictionary_encode().indices.to_numpy(zero_copy_only=False)
        new |= codes[1:] != codes[:-1]

    def at(row: int) -> tuple[Any, ...]:
        return batch.column("sample")[row].as_py(), batch.column("container")[row].as_py(), int(line[row])

    return [int(row) + 1 for row in np.flatnonzero(new)], at(0), at(len(batch) - 1)


def _rows(task: Task, places: pa.Table, embeddings: Floats, schema: pa.Schema) -> pa.Table:
    """Rows of the table `embeddings` without the partition column."""
    count, width = embeddings.shape
    offsets = np.arange(0, (count + 1) * width, width, dtype=np.int32)
    kind = schema.field("embedding").type
    lists = pa.ListArray.from_arrays(pa.array(offsets), pa.array(embeddings.reshape(-1)), type=kind)
    given: dict[str, Any] = {
        "encoder": pa.repeat(pa.scalar(task.encoder), count),
        "encoder_sha256": pa.repeat(pa.scalar(task.sha256), count),
        "novelty": pa.nulls(count, pa.float32()),
        "embedding": lists,
    }
    columns = [given[name] if name in given else places.column(name).cast(schema.field(name).type) for name in schema.names]
    return pa.Table.from_arrays(columns, schema=schema)
