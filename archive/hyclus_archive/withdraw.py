"""`withdraw`: takes a scan back."""

from __future__ import annotations

import argparse
import getpass
import json
import os
from datetime import datetime, timezone
from typing import Any

import pyarrow.dataset as ds
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from .errors import ArchiveError, Unreachable, told
from .place import Place, add_place, place_of
from .shipped import damage_key, find_rig, listing, prefix_of
from .tables import SCHEMAS, WITHDRAWN, commit_once, create_table, done, open_table, refresh, version_of
from .writing import Replacement, temporary_folder


def register(commands: Any) -> None:
    parser = commands.add_parser("withdraw", help="take a scan back: out of all tables, and never into them again")
    add_place(parser)
    parser.add_argument("scan", metavar="SCAN")
    parser.add_argument("--reason", required=True, metavar="TEXT", help="kept in withdrawn.json")
    parser.add_argument("--rig", metavar="RIG", help="where several rigs have a scan of this id")
    parser.add_argument("--delete-objects", action="store_true", help="delete its objects too, all but withdrawn.json")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    if not arguments.reason.strip():
        raise ArchiveError("--reason is empty; say why the scan is withdrawn")
    place = place_of(arguments)
    rig = find_rig(place, arguments.scan, arguments.rig)
    rows, objects = withdraw(place, rig, arguments.scan, arguments.reason, arguments.delete_objects)
    print(f"withdrew scan {arguments.scan} of rig {rig}: {rows} rows of tables, {objects} objects deleted")
    return 0


def withdraw(place: Place, rig: str, scan: str, reason: str, delete_objects: bool = False) -> tuple[int, int]:
    """Withdraws a scan. Returns rows deleted from tables, and objects deleted. Doing it again finishes what was cut off.

    The mark comes first, so an archiver finishes the rest if this process dies.
    """
    key = f"{prefix_of(rig, scan)}/withdrawn.json"
    if place.size(key) is None:
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        place.write(key, json.dumps({"reason": reason, "time": now, "by": _user()}, ensure_ascii=False).encode())
    rows = sum(delete_rows(place, create_table(place, name), rig, scan) for name in SCHEMAS)
    place.delete(damage_key(rig, scan))
    objects = 0
    if delete_objects:
        for entry in listing(place, rig, scan):
            if entry.key != key:
                place.delete(entry.key)
                objects += 1
    return rows, objects


def delete_rows(place: Place, table: DeltaTable, rig: str, scan: str) -> int:
    """Deletes a scan's rows and bars it from the table, in one commit. Returns the rows deleted.

    Rows that another encoder made meanwhile are deleted by a later call. Raises Unreachable, Conflict.
    """
    refresh(table)
    app_id = f"{rig}/{scan}"
    rows = count_rows(table, rig, scan)
    # Each time that rows are found, the version rises, as a transaction is committed once.
    version = max(WITHDRAWN, (version_of(table, app_id) or 0) + 1) if rows else WITHDRAWN
    if rows or not done(table, app_id, WITHDRAWN):
        with temporary_folder() as folder:
            replacement = Replacement(place, rig, scan, [], folder)
            commit_once(table, app_id, version, lambda: replacement.actions(table))
    return rows


def count_rows(table: DeltaTable, rig: str, scan: str) -> int:
    """Rows of a scan in a table's snapshot. Raises Unreachable."""
    try:
        return int(table.to_pyarrow_dataset().count_rows(filter=(ds.field("rig") == rig) & (ds.field("scan") == scan)))
    except (DeltaError, OSError) as error:
        raise Unreachable(f"{table.table_uri}: {told(error)}") from error


def withdrawn_rows(place: Place, rig: str, scan: str) -> dict[str, int]:
    """Rows of a scan that tables still hold."""
    return {name: rows for name in SCHEMAS if (rows := count_rows(open_table(place, name), rig, scan))}


def _user() -> str:
    try:
        return f"{getpass.getuser()}@{os.uname().nodename}"
    except (KeyError, OSError):
        return os.uname().nodename
