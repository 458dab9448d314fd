"""A tree for Tiled: rigs, their scans, and the samples' cubes, read from the objects of an archive in a folder.

`hyclus-archive catalogue` copies this file beside the configuration, so that Tiled's environment needs nothing of hyclus.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tiled.adapters.hdf5 import HDF5Adapter, HDF5ArrayAdapter
from tiled.adapters.mapping import MapAdapter
from tiled.server.core import NoEntry


# The list of a seal.
CRATE = "ro-crate-metadata.json"


def plain(value: Any) -> Any:
    """A value as JSON has it. None for what it cannot hold, such as the references of HDF5's dimension scales."""
    if isinstance(value, np.ndarray):
        values = [plain(item) for item in value.tolist()]
        return None if None in values else values
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    return value if isinstance(value, (str, bool, int, float)) else None


class Sample(HDF5Adapter):  # type: ignore[misc, unused-ignore]
    """A group of a sample's file. Tiled's own adapter fails on attributes that are references."""

    def metadata(self) -> dict[str, Any]:
        found = {name: plain(value) for name, value in super().metadata().items()}
        return {name: value for name, value in found.items() if value is not None}

    def __getitem__(self, key: str) -> Any:
        item = super().__getitem__(key)
        if isinstance(item, HDF5ArrayAdapter):
            attributes = {name: plain(value) for name, value in item._metadata.items()}
            item._metadata = {name: value for name, value in attributes.items() if value is not None}
            return item
        return Sample(item._tree, *item.uris, dataset=item.dataset, **item._kwargs)


class Listing(Mapping[str, Any]):
    """Names that are listed, and items that are made, whenever they are asked for. So new scans show without a restart."""

    def __init__(self, names: Callable[[], Mapping[str, Any]], item: Callable[[Any], Any]) -> None:
        self.names = names
        self.item = item

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self.names())

    def __getitem__(self, key: str) -> Any:
        # A name that is not there is an error 404.
        found = self.names().get(key)
        if found is None:
            raise NoEntry(key)
        return self.item(found)


def folders(parent: Path, name: str) -> dict[str, Path]:
    """Folders `NAME=VALUE`, by value."""
    found = (path for path in parent.glob(f"{name}=*") if path.is_dir())
    return {path.name.split("=", 1)[1]: path for path in sorted(found)}


def revisions(scan: Path) -> list[Path]:
    """Folders of a scan's whole revisions, the newest first. Empty for a scan that was withdrawn or is not whole."""
    if (scan / "withdrawn.json").exists():
        return []
    later = [path for path in scan.glob("revision=*") if re.fullmatch(r"revision=\d+", path.name)]
    every = [*sorted(later, key=lambda path: -int(path.name.split("=")[1])), scan]
    whole = [(path / "scan.json").exists() for path in every]
    return every[whole.index(True) :] if True in whole and whole[-1] else []


def scans(rig: Path) -> dict[str, Path]:
    """Folders of a rig's whole scans, by id."""
    return {name: path for name, path in folders(rig, "scan").items() if revisions(path)}


def samples(scan: Path) -> dict[str, Path]:
    """Files of a scan's samples, by name, each of the newest revision that has it."""
    places = revisions(scan)
    if not places:
        return {}
    record = json.loads((places[0] / "scan.json").read_text(encoding="utf-8"))
    start = f"scans/{scan.name.split('=', 1)[1]}/"
    named = [entry["path"][len(start) :] for entry in record.get("files", []) if entry["path"].startswith(start + "samples/")]
    found: dict[str, Path] = {}
    for name in sorted(named):
        files = [place / name for place in places if (place / name).is_file()]
        if files and name.endswith(".h5"):
            found[Path(name).stem] = files[0]
    return found


def about(scan: Path) -> dict[str, Any]:
    """The record of a scan without its list of files, and as `ro_crate` the list of its seal, where it has one (RO-Crate 1.1)."""
    record = json.loads((revisions(scan)[0] / "scan.json").read_text(encoding="utf-8"))
    found = {name: value for name, value in record.items() if name != "files"}
    sealed = [path for path in folders(scan, "seal").items() if path[0].isdigit() and (path[1] / f"{CRATE}.minisig").exists()]
    if sealed:
        _, newest = max(sealed, key=lambda seal: int(seal[0]))
        found["ro_crate"] = json.loads((newest / CRATE).read_text(encoding="utf-8"))
    return found


def tree(archive: str) -> Any:
    """The tree of an archive in the folder `archive`: rig, scan, sample, then what is in the sample's file below `/entry`."""
    objects = Path(archive) / "objects"

    def sample(path: Path) -> Any:
        # Tiled takes the path of a URI as it is, without decoding it.
        return Sample.from_uris(f"file://localhost{path}", dataset="entry")

    def scan(path: Path) -> Any:
        return MapAdapter(Listing(lambda: samples(path), sample), metadata=about(path))

    def rig(path: Path) -> Any:
        return MapAdapter(Listing(lambda: scans(path), scan))

    return MapAdapter(Listing(lambda: folders(objects, "rig"), rig))
