"""Tables of an archive as the archiver makes them, filled with synthetic spectra, and models to encode them with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable, write_deltalake
from onnx import TensorProto, helper, numpy_helper

from hyclus_archive.place import Place
from hyclus_archive.tables import SCHEMAS, add_action, commit_once, create_table, file_schema, new_key, parquet_writer, properties

Floats = npt.NDArray[np.float32]
EDGE, LOW_SIGNAL = 64, 8


def wavelengths(bands: int, first_nm: float = 450.0) -> list[float]:
    return [first_nm + 5.0 * band for band in range(bands)]


def grid_name(centres: Sequence[float]) -> str:
    return hashlib.sha256(json.dumps(list(centres)).encode()).hexdigest()[:16]


def add_scan(
    place: Place,
    rig: str,
    scan: str,
    rows: int = 600,
    bands: int = 12,
    first_nm: float = 450.0,
    seed: int = 0,
    revision: int = 1,
    holes: bool = True,
    group: int = 1 << 15,
) -> None:
    """Adds a scan of three samples to `spectra`, `embeddings` (no rows) and `scans`. Some pixels are on a rim, some lack bands."""
    centres = wavelengths(bands, first_nm)
    transaction = f"{rig}/{scan}"
    key, path = new_key(rig, scan), None
    table = create_table(place, "spectra")
    path = Path(place.path("tables", "spectra", key))
    path.parent.mkdir(parents=True, exist_ok=True)
    with parquet_writer(path, "spectra") as writer:
        for begin in range(0, rows, group):
            writer.write_table(rows_of(scan, grid_name(centres), begin, min(rows, begin + group), rows, bands, seed, holes))
    commit_once(table, transaction, revision, [add_action(key, path.stat().st_size, rig, pq.read_metadata(path))])
    commit_once(create_table(place, "embeddings"), transaction, revision, SCHEMAS["embeddings"].empty_table())
    record: dict[str, Any] = dict.fromkeys(SCHEMAS["scans"].names)
    record |= {"rig": rig, "scan": scan, "revision": revision, "grid": grid_name(centres), "spectra": rows, "samples": 3, "complete": True}
    record |= {"wavelengths_nm": centres, "fwhm_nm": [None] * bands, "warnings": []}
    data = pa.Table.from_pylist([record], schema=SCHEMAS["scans"])
    commit_once(create_table(place, "scans"), transaction, revision, data)


def replace_rows(table: DeltaTable, rig: str, scan: str, revision: int, rows: pa.Table) -> None:
    """Puts rows in the place of a scan's, as an archiver does with a later revision."""
    commit = properties([(f"{rig}/{scan}", revision)])
    write_deltalake(table, rows, mode="overwrite", predicate=f"rig = '{rig}' AND scan = '{scan}'", commit_properties=commit)
    table.update_incremental()


def rows_of(scan: str, grid: str, begin: int, end: int, rows: int, bands: int, seed: int, holes: bool) -> pa.Table:
    count = end - begin
    at = np.arange(begin, end)
    # The same rows come whatever the groups are.
    spectra = np.random.default_rng([seed, begin]).random((count, bands), dtype=np.float32)
    quality = np.where(at % 11 == 5, EDGE, np.where(at % 17 == 3, LOW_SIGNAL, 0)).astype(np.int16) if holes else np.zeros(count, np.int16)
    missing = np.zeros((count, bands), bool)
    if holes:
        missing[at % 23 == 7, bands - 1] = True
        missing[at % 29 == 4, 0] = True
    lists = pa.ListArray.from_arrays(
        pa.array(np.arange(0, (count + 1) * bands, bands, dtype=np.int32)),
        pa.array(spectra.reshape(-1), mask=missing.reshape(-1)),
        type=SCHEMAS["spectra"].field("spectrum").type,
    )
    sample = 3 * at // rows
    columns: dict[str, Any] = {
        "scan": [scan] * count,
        "grid": [grid] * count,
        "sample": [f"sample-{number}" for number in sample],
        "container": [f"A{number + 1}" for number in sample],
        "keys": [[("plant", f"P{number}")] for number in sample],
        "line": (at // 20).astype(np.int32),
        "pixel": (at % 20).astype(np.int32),
        "x_mm": (0.6 * (at % 20)).astype(np.float32),
        "y_mm": (0.6 * (at // 20)).astype(np.float32),
        "time": pa.array(1_700_000_000_000_000 + at, pa.int64()).cast(pa.timestamp("us", tz="UTC")),
        "time_ns": 1_700_000_000_000_000_000 + 1000 * at,
        "quality": quality,
        "spectrum": lists,
    }
    return pa.table(columns, schema=file_schema("spectra"))


def add_model(path: Path, widths: Sequence[int], seed: int = 1, metadata: dict[str, str] | None = None) -> list[tuple[Floats, Floats]]:
    """Writes a multilayer perceptron of tanh layers. Gives its weights `[in, out]` and biases `[out]`."""
    rng = np.random.default_rng(seed)
    layers, nodes, tensors = [], [], []
    name = "x"
    for number, (width, after) in enumerate(zip(widths[:-1], widths[1:], strict=True)):
        weight = (rng.normal(size=(width, after)) / np.sqrt(width)).astype(np.float32)
        bias = rng.normal(size=after).astype(np.float32)
        layers.append((weight, bias))
        tensors += [numpy_helper.from_array(weight, f"w{number}"), numpy_helper.from_array(bias, f"b{number}")]
        last = number == len(widths) - 2
        nodes.append(helper.make_node("Gemm", [name, f"w{number}", f"b{number}"], ["y" if last else f"g{number}"]))
        if not last:
            nodes.append(helper.make_node("Tanh", [f"g{number}"], [f"t{number}"]))
            name = f"t{number}"
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", widths[0]])
    taken = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", widths[-1]])
    model = helper.make_model(
        helper.make_graph(nodes, "encoder", [given], [taken], tensors), opset_imports=[helper.make_opsetid("", 17)], ir_version=9
    )
    helper.set_model_props(model, metadata or {})
    onnx.save(model, str(path))
    return layers


def by_numpy(layers: list[tuple[Floats, Floats]], spectra: Floats) -> npt.NDArray[np.float64]:
    """The perceptron in float64."""
    values = spectra.astype(np.float64)
    for number, (weight, bias) in enumerate(layers):
        values = values @ weight.astype(np.float64) + bias
        if number < len(layers) - 1:
            values = np.tanh(values)
    return values
