"""`serve`: takes into the tables what rigs ship."""

from __future__ import annotations

import argparse
import json
import logging
import signal
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from deltalake import DeltaTable

from . import __version__
from .errors import ArchiveError, Damaged
from .place import Place, add_place, place_of
from .shipped import damage_key, fingerprint, listing, read_damage, read_shipped, rigs, scans, state
from .taking import take
from .tables import SCHEMAS, WITHDRAWN, create_table, done
from .withdraw import delete_rows

log = logging.getLogger("hyclus-archive")
# A scan that is in the tables is looked at less and less often, for a later revision or a withdrawal.
LONGEST_S = 3600.0


def register(commands: Any) -> None:
    parser = commands.add_parser("serve", help="take into the tables what rigs ship")
    add_place(parser)
    parser.add_argument("--once", action="store_true", help="take what is there, and end; status 1 where a scan is damaged or failed")
    parser.add_argument("--poll", type=_seconds, default=10.0, metavar="S", help="seconds between two looks (10)")
    parser.add_argument("--verify", choices=["used", "all"], default="used", help="all: compare hashes of raw recordings too")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    archiver = Archiver(place_of(arguments), arguments.verify == "all")
    while True:
        failed = 0
        try:
            failed = archiver.look(stop, everything=arguments.once)
        except ArchiveError as error:
            if arguments.once:
                raise
            log.error("%s", error)
        if arguments.once:
            return 1 if failed else 0
        if stop.wait(arguments.poll):
            return 0


@dataclass
class _Look:
    at: float
    wait: float


class Archiver:
    """Takes scans into the tables of one archive. Several may run at once; each row is there once all the same."""

    def __init__(self, place: Place, verify_all: bool = False) -> None:
        self.place = place
        self.verify_all = verify_all
        self._tables: dict[str, DeltaTable] = {}
        self._settled: dict[tuple[str, str], _Look] = {}

    def look(self, stop: threading.Event | None = None, everything: bool = True) -> int:
        """Takes all that is there and not in the tables. Returns how many scans are damaged or failed.

        everything: also looks at scans that were looked at lately. Raises ArchiveError where the archive cannot be reached.
        """
        if not self._tables:
            self._tables = {name: create_table(self.place, name) for name in SCHEMAS}
        self._tables["scans"].update_incremental()
        failed = 0
        for rig in rigs(self.place):
            for scan in scans(self.place, rig):
                if stop is not None and stop.is_set():
                    return failed
                look = self._settled.get((rig, scan))
                now = time.monotonic()
                if look is not None and now < look.at and not everything:
                    continue
                try:
                    settled = self._look_at(rig, scan)
                except Damaged as error:
                    failed += 1
                    log.error("%s", error)
                    settled = False
                except ArchiveError as error:
                    # One scan that cannot be taken now does not keep the others waiting.
                    failed += 1
                    log.error("scan %s of rig %s: %s; it is tried again", scan, rig, error)
                    settled = False
                if settled:
                    wait = min(2 * look.wait, LONGEST_S) if look else 10.0
                    self._settled[(rig, scan)] = _Look(now + wait, wait)
                else:
                    self._settled.pop((rig, scan), None)
        return failed

    def _look_at(self, rig: str, scan: str) -> bool:
        """Takes a scan where it is whole and new. Returns whether the tables have what the objects have. Raises Damaged."""
        found = state(self.place, rig, scan)
        app_id = f"{rig}/{scan}"
        if found.withdrawn:
            if deleted := sum([delete_rows(self.place, table, rig, scan) for table in self._tables.values()]):
                log.info("withdrew scan %s of rig %s from the tables: %d rows", scan, rig, deleted)
            self.place.delete(damage_key(rig, scan))
            return True
        if found.revision == 0:
            return False
        if done(self._tables["scans"], app_id, found.revision):
            return True
        entries = listing(self.place, rig, scan)
        mark = fingerprint(entries, "all" if self.verify_all else "used")
        earlier = read_damage(self.place, rig, scan)
        if earlier is not None and earlier.get("fingerprint") == mark:
            raise Damaged(rig, scan, earlier["faults"])
        started = time.monotonic()
        try:
            shipped = read_shipped(self.place, rig, scan, found.revision, entries)
            rows = take(self.place, self._tables, shipped, self.verify_all)
        except Damaged as error:
            damage = {"revision": found.revision, "faults": error.faults, "fingerprint": mark, "program": __version__}
            damage["time"] = datetime.now(timezone.utc).isoformat(timespec="seconds")
            self.place.write(damage_key(rig, scan), json.dumps(damage, indent=1).encode())
            raise
        if earlier is not None:
            self.place.delete(damage_key(rig, scan))
        if done(self._tables["scans"], app_id, WITHDRAWN):
            return True
        numbers = ", ".join(f"{rows[name]} {name}" for name in SCHEMAS if name != "scans")
        log.info("took scan %s of rig %s, revision %d: %s; %.1f s", scan, rig, found.revision, numbers, time.monotonic() - started)
        return True


def _seconds(text: str) -> float:
    value = float(text)
    if not 0.05 <= value <= 86400:
        raise argparse.ArgumentTypeError("from 0.05 to 86400 seconds")
    return value
