"""`scans`: the scans in the tables."""

from __future__ import annotations

import argparse
from typing import Any

from .errors import ArchiveError
from .place import add_place, place_of
from .query import add_format, print_rows, query
from .shipped import RIG
from .tables import quoted


def register(commands: Any) -> None:
    parser = commands.add_parser("scans", help="the scans in the tables, the newest last")
    add_place(parser)
    parser.add_argument("--rig", metavar="RIG", help="of one rig")
    add_format(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    where = ""
    if arguments.rig is not None:
        if not RIG.fullmatch(f"rig={arguments.rig}"):
            raise ArchiveError(f"{arguments.rig} is no name of a rig")
        where = f"WHERE rig = {quoted(arguments.rig)}"
    columns = "rig, scan, revision, tray, started, complete, samples, embeddings, spectra, grid"
    rows = query(place_of(arguments), f"SELECT {columns} FROM scans {where} ORDER BY started, rig, scan")
    print_rows(rows, arguments.json, arguments.csv)
    return 0
