"""Makes small scans as `hyclus-ship` leaves them in an archive. All numbers follow from a seed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from blake3 import blake3

from hyclus_archive.place import Place

START_NS = 1_700_000_000_123_456_789
ENCODER = "c80f83c62ff74999b728205935e49a926934b81288bfd49f250d17ca8aa8513f"


@dataclass
class Scan:
    """A scan that was made, and what the tables must hold of it."""

    rig: str
    id: str
    record: dict[str, Any]
    files: dict[str, bytes]
    spectra: dict[tuple[str, int, int], np.ndarray] = field(default_factory=dict)
    embeddings: int = 0
    minerals: int = 0

    @property
    def prefix(self) -> str:
        return f"objects/rig={self.rig}/scan={self.id}"


def bands(count: int) -> np.ndarray:
    return np.linspace(400.0, 2500.0, count)


def make_scan(
    folder: Path,
    rig: str,
    scan: str,
    seed: int,
    samples: int = 2,
    shape: tuple[int, int, int] = (12, 10, 12),
    encoder: str | None = "main",
    minerals: bool = True,
) -> Scan:
    """Makes a scan's files in memory. `folder` is for temporary files. shape: lines, pixels and bands of each sample."""
    made = Scan(rig, scan, {}, {})
    containers, listed, paths = [], [], {}
    for number in range(samples):
        name, at = f"S{seed}-{number}", f"A{number + 1}"
        keys = {"plant": f"P{seed % 3}", "month": "2018-07"}
        containers.append({"at": at, "cell": [0, number], "footprint": None, "sample": name, "keys": keys, "vars": {"Cu/Fe": 0.5 + number}})
        random = np.random.default_rng([seed, number])
        cube = random.uniform(0.02, 0.9, shape).astype(np.float32)
        mask = (random.uniform(size=shape[:2]) < 0.8).astype(np.uint8)
        quality = random.choice(np.array([0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128], np.uint8), shape[:2])
        cube[quality == 128, 3] = np.nan
        file = folder / "sample.h5"
        write_sample(file, name, at, cube, mask, quality)
        paths[f"scans/{scan}/samples/{name}.h5"] = file.read_bytes()
        valid = (mask == 1) & (quality & 53 == 0)
        for line, pixel in zip(*np.nonzero(valid)):
            made.spectra[(name, int(line), int(pixel))] = cube[line, pixel]
        entry: dict[str, Any] = {"sample": name, "container": at, "file": f"samples/{name}.h5", "shape": list(shape)}
        entry |= {"pixels": int(mask.sum()), "valid": int(valid.sum()), "doubts": []}
        encoded = valid & (quality & 192 == 0)
        if encoder is not None:
            data_set = "embeddings" if encoder == "main" else f"embeddings-{encoder}"
            part = rows_of(name, at, keys, encoded, quality)
            values = cube[encoded][:, :4].reshape(-1)
            part["embedding"] = pa.FixedSizeListArray.from_arrays(pa.array(values), 4)
            part["novelty"] = pa.array(random.uniform(size=int(encoded.sum())).astype(np.float32))
            paths[f"{data_set}/scan={scan}/part-{number:05}.parquet"] = parquet(
                folder, part, {"hyclus.format_version": "2", "hyclus.scan_id": scan, "hyclus.encoder_sha256": ENCODER}
            )
            made.embeddings += int(encoded.sum())
        if minerals:
            random = np.random.default_rng([seed, number, 2])
            part = rows_of(name, at, keys, valid, quality)
            rows = int(valid.sum())
            for group in (1, 2):
                part[f"mineral_{group}"] = pa.array(random.choice(["hematite", "not identified"], rows))
                part[f"score_{group}"] = pa.array(random.uniform(size=rows).astype(np.float32))
                part[f"runner_up_{group}"] = pa.array(["goethite"] * rows)
                part[f"runner_up_score_{group}"] = pa.array(np.zeros(rows, np.float32))
            depth = random.uniform(size=rows).astype(np.float32)
            depth[::3] = np.nan
            part["depth_2200"] = pa.array(depth)
            paths[f"minerals/scan={scan}/part-{number:05}.parquet"] = parquet(
                folder, part, {"hyclus.format_version": "1", "hyclus.scan_id": scan}
            )
            made.minerals += rows
            share = {"share": 0.25, "interval": [0.2, 0.3]}
            groups = [{"not_identified": share, "minerals": {"hematite": share}}, {"not_identified": share, "minerals": {}}]
            entry["minerals"] = {"part": number, "pixels": rows, "not_identified": share, "groups": groups, "features": {}}
        entry["heads"] = {
            "copper": {"value": 1.5, "lower": 1, "upper": 2, "distance": 0.5, "refused": False},
            "iron": {"value": 9.0, "lower": 1, "upper": 20, "distance": 2.5, "refused": True},
        }
        listed.append(entry)
    paths[f"scans/{scan}/quicklook.png"] = b"\x89PNG" + bytes(100)
    paths[f"scans/{scan}/raw/vnir/capture/{scan}.raw"] = np.random.default_rng(seed).bytes(4096)
    made.record = {
        "format_version": 1,
        "id": scan,
        "tray": {"tray": "T1", "keys": ["plant", "month"], "grid": {"rows": 1, "columns": samples}, "containers": containers},
        "started": "2026-11-30T23:37:27.467Z",
        "ended": "2026-11-30T23:37:28.097Z",
        "complete": True,
        "reason": None,
        "samples": listed,
        "missing": [],
        "warnings": ["a warning"],
        "embeddings": made.embeddings,
        "version": "0.2.0",
        "configuration_sha256": "3fb51a34",
        "encoder_sha256": ENCODER,
    }
    set_files(made, paths)
    return made


def write_sample(path: Path, name: str, at: str, cube: np.ndarray, mask: np.ndarray, quality: np.ndarray) -> None:
    """Writes the part of a sample's file that the archive reads, by docs/files.md."""
    lines, pixels, count = cube.shape
    fwhm = np.full(count, 6.0)
    fwhm[-1] = np.nan
    with h5py.File(path, "w") as file:
        file.attrs["hyclus_format_version"] = np.int32(1)
        grid = file.create_group("entry/reflectance")
        grid.create_dataset("reflectance", data=cube, chunks=(min(4, lines), pixels, count), compression="gzip", shuffle=True)
        grid["mask"], grid["quality"] = mask, quality
        grid["wavelength"], grid["fwhm"] = bands(count), fwhm
        grid["line"], grid["pixel"] = np.arange(lines) * 0.6, np.arange(pixels) * 0.6 + 100
        grid["time"] = START_NS + np.arange(lines) * 15_000_000
        mean = np.nanmean(cube[mask == 1], axis=0) if mask.any() else np.full(count, np.nan)
        file["entry/mean/reflectance"] = mean
        file["entry/sample/name"], file["entry/sample/container"] = name, at


def rows_of(name: str, at: str, keys: dict[str, str], take: np.ndarray, quality: np.ndarray) -> dict[str, Any]:
    """The columns that all parts have."""
    line, pixel = np.nonzero(take)
    time = START_NS + line * 15_000_000
    return {
        "sample": pa.array([name] * len(line)),
        "container": pa.array([at] * len(line)),
        **{key: pa.array([value] * len(line)) for key, value in keys.items()},
        "line": pa.array(line.astype(np.int32)),
        "pixel": pa.array(pixel.astype(np.int32)),
        "x_mm": pa.array((pixel * 0.6 + 100).astype(np.float32)),
        "y_mm": pa.array((line * 0.6).astype(np.float32)),
        "time": pa.array(time // 1000).cast(pa.timestamp("us", "UTC")),
        "time_ns": pa.array(time),
        "quality": pa.array(quality[take].astype(np.int16)),
    }


def parquet(folder: Path, columns: dict[str, Any], metadata: dict[str, str]) -> bytes:
    table = pa.table(columns).replace_schema_metadata(metadata)
    path = folder / "part.parquet"
    pq.write_table(table, path, compression="zstd")
    return path.read_bytes()


def set_files(scan: Scan, paths: dict[str, bytes]) -> None:
    """Sets the files of a scan, by paths in the data root, and lists them in its record."""
    scan.files = paths
    scan.record["files"] = [
        {"path": path, "bytes": len(content), "blake3": blake3(content).hexdigest()} for path, content in sorted(paths.items())
    ]


def key_of(scan: Scan, path: str, revision: int = 1) -> str:
    """The object of a file, by the contract of shipping."""
    head, rest = path.split("/", 1)
    rest = rest.split("/", 1)[1] if head == "scans" else f"{head}/{rest.split('/', 1)[1]}"
    return f"{scan.prefix}/{rest}" if revision == 1 else f"{scan.prefix}/revision={revision}/{rest}"


def ship(place: Place, scan: Scan, revision: int = 1, only: set[str] | None = None, raw: bool = True) -> None:
    """Ships a scan. only: paths that are new or changed in a later revision."""
    for path, content in scan.files.items():
        if (only is None or path in only) and (raw or "/raw/" not in path):
            place.write(key_of(scan, path, revision), content)
    place.write(key_of(scan, f"scans/{scan.id}/scan.json", revision), json.dumps(scan.record).encode())
