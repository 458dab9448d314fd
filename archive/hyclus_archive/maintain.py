"""`maintain`: compacts the tables, writes checkpoints, and deletes files that no version needs."""

from __future__ import annotations

import argparse
from typing import Any

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from .errors import Unreachable, told
from .place import Place, add_place, place_of
from .tables import SCHEMAS, look_then, open_table

# A file of `spectra` is one task of a re-encode, and large already.
COMPACTED = tuple(name for name in SCHEMAS if name != "spectra")
# Delta's own default. Nobody may read a version, or write a file that is not committed, for as long.
RETENTION_HOURS = 168


def register(commands: Any) -> None:
    parser = commands.add_parser("maintain", help="compact the tables, write checkpoints, delete files that no version needs")
    add_place(parser)
    parser.add_argument(
        "--retention-hours",
        type=_hours,
        default=RETENTION_HOURS,
        metavar="H",
        help="keep files that were taken out of a table, or never committed, for so long (168; at least 24)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    place = place_of(arguments)
    for name in SCHEMAS:
        print(f"{name}: {maintain(place, name, arguments.retention_hours)}")
    return 0


def maintain(place: Place, name: str, retention_hours: int = RETENTION_HOURS) -> str:
    """Maintains one table. Returns what it did, in words. `serve` may run meanwhile."""
    table = open_table(place, name)
    done: list[str] = []
    if name in COMPACTED:
        added, removed = compact(table)
        done.append(f"compacted {removed} files into {added}" if removed else "nothing to compact")
    try:
        table.update_incremental()
        table.create_checkpoint()
        done.append(f"checkpoint of version {table.version()}")
        # Full: also files that a killed archiver wrote and did not commit.
        deleted = table.vacuum(retention_hours, dry_run=False, enforce_retention_duration=False, full=True)
        done.append(f"deleted {len(deleted)} files")
    except (DeltaError, OSError) as error:
        raise Unreachable(f"{place.name}: table {name}: {told(error)}") from error
    return ", ".join(done)


def compact(table: DeltaTable) -> tuple[int, int]:
    """Joins small files of each rig. Returns files added and removed."""
    numbers: list[dict[str, Any]] = []
    look_then(table, lambda: False, lambda: numbers.append(table.optimize.compact()), f"compaction of {table.table_uri}")
    return int(numbers[-1]["numFilesAdded"]), int(numbers[-1]["numFilesRemoved"])


def _hours(text: str) -> int:
    hours = int(text)
    if hours < 24:
        raise argparse.ArgumentTypeError("at least 24: an archiver or a reader may still need younger files")
    return hours
