"""The cubes of an archive, served by Tiled and read by its client."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from hyclus_archive.catalogue import catalogue
from hyclus_archive.cli import main
from hyclus_archive.errors import ArchiveError
from hyclus_archive.place import Place

SHAPE = (40, 30, 64)


def add_sample(path: Path, seed: int) -> np.ndarray[Any, Any]:
    """A sample's file as hyclus writes it, with dimension scales."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cube = np.random.default_rng(seed).random(SHAPE, dtype=np.float32)
    cube[0, 0, 0] = np.nan
    with h5py.File(path, "w") as file:
        file.attrs["hyclus_format_version"] = 1
        entry = file.create_group("entry")
        entry.attrs["NX_class"] = "NXentry"
        entry["title"] = "a sample"
        grid = entry.create_group("reflectance")
        grid.attrs["axes"] = ["line", "pixel", "wavelength"]
        data = grid.create_dataset("reflectance", data=cube, chunks=(8, 30, 64), compression="gzip")
        data.attrs["_FillValue"] = np.float32(np.nan)
        data.attrs["long_name"] = "reflectance"
        for axis, name in enumerate(("line", "pixel", "wavelength")):
            scale = grid.create_dataset(name, data=400.0 + np.arange(SHAPE[axis]))
            scale.make_scale(name)
            data.dims[axis].attach_scale(scale)
    return cube


def add_scan(root: Path, rig: str, scan: str, seed: int, revision: int = 1) -> np.ndarray[Any, Any]:
    folder = root / "objects" / f"rig={rig}" / f"scan={scan}"
    if revision > 1:
        folder = folder / f"revision={revision}"
    cube = add_sample(folder / "samples" / "P1-M100.h5", seed)
    files = [{"path": f"scans/{scan}/samples/P1-M100.h5", "bytes": 1, "blake3": ""}]
    (folder / "scan.json").write_text(json.dumps({"id": scan, "tray": "T1", "revision": revision, "files": files}))
    return cube


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    root = tmp_path / "archive: 'one' of \"them\""
    root.mkdir()
    return root


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Tiled with the configuration, on a free port. Gives its address."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "tiled",
        "serve",
        "config",
        str(folder / "config.yml"),
        "--public",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    with open(folder / "log", "w+") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "HOME": str(folder)})
        try:
            deadline = time.monotonic() + 40
            while True:
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5).close()
                    break
                except OSError:
                    ended = server.poll() is not None
                    assert not ended and time.monotonic() < deadline, (folder / "log").read_text()
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait()


def test_a_client_reads_cubes_and_sees_what_arrives(archive: Path, tmp_path: Path) -> None:
    pytest.importorskip("tiled.server.app", reason="the package tiled is not installed")
    from tiled.client import from_uri

    cube = add_scan(archive, "north", "s1", 1)
    add_scan(archive, "south", "s1", 2)
    newer = add_scan(archive, "south", "s1", 3, revision=2)
    out = tmp_path / "tiled"
    assert main(["catalogue", str(archive), "--out", str(out)]) == 0
    with served(out) as address:
        client = from_uri(address)
        assert sorted(client) == ["north", "south"]
        assert client["north"]["s1"].metadata["tray"] == "T1"
        group = client["north", "s1", "P1-M100", "reflectance"]
        assert list(group.metadata["axes"]) == ["line", "pixel", "wavelength"]
        data = group["reflectance"]
        assert data.metadata["long_name"] == "reflectance"
        np.testing.assert_array_equal(data[3, 4, :], cube[3, 4])
        np.testing.assert_array_equal(data[:, :, 7], cube[:, :, 7])
        np.testing.assert_array_equal(group["wavelength"][:], 400.0 + np.arange(SHAPE[2]))
        np.testing.assert_array_equal(client["south", "s1", "P1-M100", "reflectance", "reflectance"][3, 4, :], newer[3, 4])

        add_scan(archive, "north", "s2", 4)
        # A scan whose record is missing is still on its way.
        partly = archive / "objects" / "rig=north" / "scan=s3"
        add_sample(partly / "samples" / "P1-M100.h5", 5)
        assert list(client["north"]) == ["s1", "s2"]
        (archive / "objects" / "rig=north" / "scan=s1" / "withdrawn.json").write_text("{}")
        assert list(client["north"]) == ["s2"]
        with pytest.raises(KeyError):
            client["north", "s1"]


def test_what_cannot_be_served_is_told(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="no folder objects"):
        catalogue(Place.open(str(archive)), tmp_path)
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    with pytest.raises(ArchiveError, match="mount the bucket"):
        catalogue(Place.open("s3://bucket/prefix", environment=keys), tmp_path)
    (archive / "objects").mkdir()
    (tmp_path / "a#b" / "objects").mkdir(parents=True)
    with pytest.raises(ArchiveError, match="mount it elsewhere"):
        catalogue(Place.open(str(tmp_path / "a#b")), tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(ArchiveError, match="cannot write"):
        catalogue(Place.open(str(archive)), tmp_path / "file")
    assert [path.name for path in catalogue(Place.open(str(archive)), tmp_path / "new" / "folder")] == ["hyclus_tiled.py", "config.yml"]
