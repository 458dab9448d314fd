"""Rows of the tables from a scan's record, sample files and Parquet parts, batch by batch."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from .errors import ArchiveError
from .shipped import newer
from .tables import FEATURES, FLOATS, KEYS, TIME, file_schema

SAMPLE_FORMAT = 1
EMBEDDINGS_FORMAT = 2
MINERALS_FORMAT = 1
# Without a valid spectrum: saturated, gap, out_of_view, no_data.
INVALID = 1 | 4 | 16 | 32
BLOCK_BYTES = 32 << 20
_COORDINATES = ("sample", "container", "line", "pixel", "x_mm", "y_mm", "time", "time_ns", "quality")
_MINERALS = tuple(f"{name}_{group}" for group in (1, 2) for name in ("mineral", "score", "runner_up", "runner_up_score"))


@dataclass(frozen=True)
class Grid:
    """The bands of a scan's spectra, in nm. fwhm_nm: None where a width is unknown."""

    wavelengths_nm: list[float]
    fwhm_nm: list[float | None]

    @property
    def id(self) -> str:
        """16 hexadecimal digits of SHA-256 over the canonical JSON of both lists."""
        text = json.dumps({"fwhm_nm": self.fwhm_nm, "wavelengths_nm": self.wavelengths_nm}, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class SampleFile:
    """One sample's HDF5 file. Raises ArchiveError where it is newer than this program."""

    def __init__(self, path: Path) -> None:
        self._file = h5py.File(path, "r")
        version = int(self._file.attrs.get("hyclus_format_version", 1))
        if version > SAMPLE_FORMAT:
            self._file.close()
            raise ArchiveError(newer("it", version, SAMPLE_FORMAT))
        self._cube = self._file["entry/reflectance"]

    def __enter__(self) -> SampleFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def grid(self) -> Grid:
        fwhm = self._cube["fwhm"][:].tolist()
        return Grid(self._cube["wavelength"][:].tolist(), [None if math.isnan(value) else value for value in fwhm])

    def mean(self) -> list[float | None] | None:
        """The mean spectrum, None where the file has none."""
        mean = self._file.get("entry/mean/reflectance")
        if mean is None:
            return None
        return [None if math.isnan(value) else value for value in mean[:].astype(np.float32).tolist()]

    def spectra(self, scan: str, grid: str, sample: str, container: str, keys: dict[str, str]) -> Iterator[pa.RecordBatch]:
        """Rows of table `spectra`: the pixels of the mask with a valid spectrum, by lines and pixels."""
        cube = self._cube["reflectance"]
        lines, pixels, bands = cube.shape
        mask, quality = self._cube["mask"][:], self._cube["quality"][:]
        take = (mask == 1) & (quality & INVALID == 0)
        time_ns = self._cube["time"][:]
        x, y = self._cube["pixel"][:].astype(np.float32), self._cube["line"][:].astype(np.float32)
        chunk = cube.chunks[0] if cube.chunks else 1
        block = max(1, BLOCK_BYTES // max(1, 4 * pixels * bands * chunk)) * chunk
        schema = file_schema("spectra")
        for first in range(0, lines, block):
            at_line, at_pixel = np.nonzero(take[first : first + block])
            if not len(at_line):
                continue
            values = cube[first : first + block][at_line, at_pixel].astype(np.float32, copy=False)
            at_line = at_line + first
            count = len(at_line)
            columns = {
                "scan": pa.repeat(scan, count),
                "grid": pa.repeat(grid, count),
                "sample": pa.repeat(sample, count),
                "container": pa.repeat(container, count),
                "keys": constant_map(keys, count),
                "line": pa.array(at_line.astype(np.int32)),
                "pixel": pa.array(at_pixel.astype(np.int32)),
                "x_mm": pa.array(x[at_pixel]),
                "y_mm": pa.array(y[at_line]),
                "time": times(pa.array(time_ns[at_line])),
                "time_ns": pa.array(time_ns[at_line]),
                "quality": pa.array(quality[at_line, at_pixel].astype(np.int16)),
                "spectrum": lists(values),
            }
            yield pa.record_batch([columns[name] for name in schema.names], schema=schema)


def embedding_rows(path: Path, scan: str, encoder: str, keys: list[str]) -> Iterator[pa.RecordBatch]:
    """Rows of table `embeddings` from a part of the rig, of any format version so far. keys: the tray map's sample keys."""
    with pq.ParquetFile(path) as file:
        metadata = _metadata(file, EMBEDDINGS_FORMAT)
        sha256 = metadata.get(b"hyclus.encoder_sha256", b"").decode() or None
        names = [name for name in file.schema_arrow.names if name != "spectrum"]
        rows = max(1, BLOCK_BYTES // (8 * max(1, _width(file.schema_arrow))))
        schema = file_schema("embeddings")
        for batch in file.iter_batches(rows, columns=[*_leaves(file, names)]):
            columns = _coordinates(batch)
            columns["keys"] = _key_map(batch, {*_COORDINATES, "embedding", "novelty"}, keys)
            columns["scan"] = pa.repeat(scan, len(batch))
            columns["encoder"] = pa.repeat(encoder, len(batch))
            columns["encoder_sha256"] = pa.repeat(pa.scalar(sha256, pa.string()), len(batch))
            columns["embedding"] = _plain_list(batch["embedding"])
            novelty = batch["novelty"].cast(pa.float32()) if "novelty" in batch.schema.names else pa.nulls(len(batch), pa.float32())
            columns["novelty"] = novelty
            yield pa.record_batch([columns[name] for name in schema.names], schema=schema)


def mineral_rows(path: Path, scan: str, keys: list[str]) -> Iterator[pa.RecordBatch]:
    """Rows of table `minerals` from a part of the rig. Columns of numbers that have no name here are features of the spectra."""
    with pq.ParquetFile(path) as file:
        _metadata(file, MINERALS_FORMAT)
        schema = file_schema("minerals")
        for batch in file.iter_batches(1 << 16):
            columns = _coordinates(batch)
            known = {*_COORDINATES, *_MINERALS}
            columns["keys"] = _key_map(batch, known, keys)
            columns["scan"] = pa.repeat(scan, len(batch))
            for name in _MINERALS:
                columns[name] = batch[name].cast(schema.field(name).type)
            features = [name for name in batch.schema.names if name not in known and pa.types.is_floating(batch[name].type)]
            columns["features"] = feature_map(features, [batch[name] for name in features], len(batch))
            yield pa.record_batch([columns[name] for name in schema.names], schema=schema)


def sample_row(scan: str, sample: dict[str, Any], container: dict[str, Any], file: str, mean: list[float | None] | None) -> dict[str, Any]:
    """A row of table `samples`. A head's value that is not to be used is left out."""
    shares = {}
    for group, found in enumerate(sample.get("minerals", {}).get("groups", []), 1):
        shares.update({f"{group}/{name}": float(mineral["share"]) for name, mineral in found["minerals"].items()})
    return {
        "scan": scan,
        "sample": sample["sample"],
        "container": sample["container"],
        "keys": list(container.get("keys", {}).items()),
        "vars": [(name, float(value)) for name, value in container.get("vars", {}).items()],
        "pixels": sample["pixels"],
        "valid": sample["valid"],
        "doubts": sample.get("doubts", []),
        "file": file,
        "shape": sample["shape"],
        "mean_spectrum": mean,
        "minerals": sorted(shares.items()),
        "heads": sorted((name, float(head["value"])) for name, head in sample.get("heads", {}).items() if not head.get("refused")),
    }


def scan_row(scan: str, revision: int, record: dict[str, Any], grid: Grid | None, embeddings: int, spectra: int) -> dict[str, Any]:
    """The row of table `scans`."""
    return {
        "scan": scan,
        "revision": revision,
        "tray": record["tray"]["tray"],
        "started": moment(record["started"]),
        "ended": moment(record.get("ended")),
        "complete": record.get("complete"),
        "reason": record.get("reason"),
        "samples": len(record["samples"]),
        "embeddings": embeddings,
        "spectra": spectra,
        "warnings": record.get("warnings", []),
        "grid": grid.id if grid else None,
        "wavelengths_nm": grid.wavelengths_nm if grid else None,
        "fwhm_nm": grid.fwhm_nm if grid else None,
        "version": record.get("version"),
        "configuration_sha256": record.get("configuration_sha256"),
        "encoder_sha256": record.get("encoder_sha256"),
        "bytes": sum(file["bytes"] for file in record["files"]),
        "record": json.dumps({name: value for name, value in record.items() if name != "files"}, ensure_ascii=False),
    }


def moment(text: str | None) -> datetime | None:
    """An ISO 8601 time in UTC. Raises ValueError."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|\+00:00)", text)
    if not match:
        raise ValueError(f"{text} is no time in UTC")
    fraction = (match[2] or "").ljust(6, "0")[:6]
    return datetime.fromisoformat(match[1]).replace(microsecond=int(fraction), tzinfo=timezone.utc)


def constant_map(items: dict[str, str], rows: int) -> pa.MapArray:
    """The same map in each row."""
    order = np.tile(np.arange(len(items)), rows)
    offsets = pa.array(np.arange(rows + 1, dtype=np.int32) * len(items))
    names, values = pa.array(list(items), pa.string()), pa.array(list(items.values()), pa.string())
    return pa.MapArray.from_arrays(offsets, names.take(pa.array(order)), values.take(pa.array(order))).cast(KEYS)


def feature_map(names: list[str], columns: list[pa.Array], rows: int) -> pa.MapArray:
    """A map per row of the columns that are no NaN there."""
    table = np.empty((rows, len(names)), np.float32)
    for index, column in enumerate(columns):
        table[:, index] = column.cast(pa.float32()).to_numpy(zero_copy_only=False)
    there = ~np.isnan(table)
    offsets = np.concatenate([[0], np.cumsum(there.sum(axis=1))]).astype(np.int32)
    order = pa.array(np.nonzero(there)[1])
    return pa.MapArray.from_arrays(pa.array(offsets), pa.array(names, pa.string()).take(order), pa.array(table[there])).cast(FEATURES)


def lists(values: npt.NDArray[np.float32]) -> pa.ListArray:
    """A list per row, `[row][element]`; NaN is null."""
    rows, length = values.shape
    flat = np.ascontiguousarray(values).reshape(-1)
    elements = pa.array(flat, pa.float32(), mask=np.isnan(flat))
    return pa.ListArray.from_arrays(pa.array(np.arange(rows + 1, dtype=np.int32) * length), elements).cast(FLOATS)


def times(ns: pa.Array) -> pa.Array:
    """Times in us of nanoseconds since 1970."""
    return pa.array(ns.to_numpy(zero_copy_only=False) // 1000, pa.int64()).cast(TIME)


def _metadata(file: pq.ParquetFile, known: int) -> dict[bytes, bytes]:
    metadata: dict[bytes, bytes] = file.schema_arrow.metadata or file.metadata.metadata or {}
    version = metadata.get(b"hyclus.format_version", b"1").decode()
    if not version.isdecimal() or int(version) > known:
        raise ArchiveError(newer("it", version, known))
    return metadata


def _width(schema: pa.Schema) -> int:
    kind = schema.field("embedding").type
    return int(kind.list_size) if pa.types.is_fixed_size_list(kind) else 64


def _leaves(file: pq.ParquetFile, names: list[str]) -> Iterator[str]:
    wanted = set(names)
    for index in range(len(file.schema)):
        path = file.schema.column(index).path
        if path.split(".")[0] in wanted:
            yield path


def _coordinates(batch: pa.RecordBatch) -> dict[str, pa.Array]:
    kinds = file_schema("embeddings")
    columns = {name: batch[name].cast(kinds.field(name).type) for name in _COORDINATES if name not in ("time", "time_ns")}
    if "time_ns" in batch.schema.names:
        columns["time_ns"] = batch["time_ns"].cast(pa.int64())
    else:
        # Format 1 had only `time`, in ns.
        columns["time_ns"] = batch["time"].cast(pa.timestamp("ns", "UTC")).cast(pa.int64())
    columns["time"] = times(columns["time_ns"])
    return columns


def _key_map(batch: pa.RecordBatch, known: set[str], keys: list[str]) -> pa.MapArray:
    rows = len(batch)
    found = {}
    for name in batch.schema.names:
        kind = batch[name].type
        value = kind.value_type if pa.types.is_dictionary(kind) else kind
        if name not in known and (pa.types.is_string(value) or pa.types.is_large_string(value)):
            # A key that has the name of another column carries `_` behind it.
            own = name[:-1] if name not in keys and name.endswith("_") and name[:-1] in keys else name
            found[own] = batch[name].cast(pa.string())
    if not found:
        return constant_map({}, rows)
    count = len(found)
    order = pa.array(np.arange(count * rows).reshape(count, rows).T.ravel())
    values = pa.concat_arrays(list(found.values())).take(order)
    names = pa.array(list(found), pa.string()).take(pa.array(np.tile(np.arange(count), rows)))
    return pa.MapArray.from_arrays(pa.array(np.arange(rows + 1, dtype=np.int32) * count), names, values).cast(KEYS)


def _plain_list(column: pa.Array) -> pa.Array:
    if pa.types.is_fixed_size_list(column.type):
        length = column.type.list_size
        offsets = pa.array(np.arange(len(column) + 1, dtype=np.int32) * length)
        return pa.ListArray.from_arrays(offsets, column.flatten().cast(pa.float32())).cast(FLOATS)
    return column.cast(FLOATS)
