"""`hyclus-archive catalogue`: a configuration of Tiled that serves the cubes of an archive."""

from __future__ import annotations

import argparse
import importlib.resources
import json
from pathlib import Path
from typing import Any

from .errors import ArchiveError
from .place import Place, add_place, place_of

CONFIGURATION = "config.yml"
TREE = "hyclus_tiled.py"


def catalogue(place: Place, out: Path) -> list[Path]:
    """Writes the configuration and the tree that it names into the folder `out`. Gives their paths.

    Tiled needs nothing of hyclus, and the archive need not have tables. Raises ArchiveError.
    """
    if place.remote:
        raise ArchiveError(
            f"{place.name}: Tiled reads HDF5 from files alone; mount the bucket, such as by: rclone mount, and give the folder"
        )
    if not (Path(place.root) / "objects").is_dir():
        raise ArchiveError(f"{place.root} has no folder objects; is it an archive that hyclus-ship fills?")
    if any(mark in place.root for mark in "#?;"):
        raise ArchiveError(f"{place.root}: Tiled opens no files below a folder with #, ? or ; in its name; mount it elsewhere")
    source = importlib.resources.files(__package__).joinpath("tiled_tree.py").read_text(encoding="utf-8")
    # JSON is YAML, and quotes a path with whatever it holds.
    path = json.dumps(place.root)
    configuration = (
        f"# The cubes of the archive. Run: tiled serve config {CONFIGURATION}\n"
        f"trees:\n  - path: /\n    tree: hyclus_tiled:tree\n    args:\n      archive: {path}\n"
    )
    try:
        out.mkdir(parents=True, exist_ok=True)
        written = []
        for name, text in ((TREE, source), (CONFIGURATION, configuration)):
            (out / name).write_text(text, encoding="utf-8")
            written.append(out / name)
    except OSError as error:
        raise ArchiveError(f"cannot write the configuration: {error}") from error
    return written


def _catalogue(arguments: argparse.Namespace) -> int:
    for path in catalogue(place_of(arguments), arguments.out):
        print(path)
    print(f"Run: tiled serve config {arguments.out / CONFIGURATION}   (pip install 'hyclus-archive[catalogue]')")
    return 0


def register(subparsers: Any) -> None:
    """Adds the command."""
    parser = subparsers.add_parser("catalogue", help="write a configuration of Tiled that serves the cubes")
    add_place(parser)
    parser.add_argument("--out", metavar="FOLDER", type=Path, required=True, help="where the configuration goes")
    parser.set_defaults(run=_catalogue)
