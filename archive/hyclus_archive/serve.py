"""`serve`: takes into the tables what rigs ship."""

from __future__ import annotations

import argparse
import json
import logging
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from deltalake import DeltaTable

from . import __version__
from .errors import ArchiveError, Conflict, Damaged, Unreachable
from .place import Place, add_place, place_of
from .shipped import damage_key, fingerprint, listing, read_damage, read_shipped, rigs, scans, state
from .taking import take
from .tables import SCHEMAS, WITHDRAWN, create_table, done, refresh
from .withdraw import delete_rows

if TYPE_CHECKING:
    from .events import Batch, Events

log = logging.getLogger("hyclus-archive")
# A scan that is in the tables is looked at less and less often, for a later revision or a withdrawal.
LONGEST_S = 3600.0


def register(commands: Any) -> None:
    parser = commands.add_parser("serve", help="take into the tables what rigs ship")
    add_place(parser)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--once", action="store_true", help="take what is there, and end; status 1 where a scan is damaged or failed")
    how.add_argument("--events", metavar="URL", help="nats://HOST:PORT or tls://HOST:PORT: also look at a scan when its rig says so")
    text = "a .creds file of NATS, readable by its owner alone; absent: NATS_USER and NATS_PASSWORD of the environment"
    parser.add_argument("--events-credentials", metavar="FILE", help=text)
    parser.add_argument("--poll", type=_seconds, default=10.0, metavar="S", help="seconds between two looks (10)")
    parser.add_argument("--verify", choices=["used", "all"], default="used", help="all: compare hashes of raw recordings too")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    stop = threading.Event()
    # Wakes the wait between two looks: by scans to look at, or by None at the end. A signal's handler may put into this kind of queue.
    wake: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()

    def end(*_: object) -> None:
        stop.set()
        wake.put(None)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    archiver = Archiver(place_of(arguments), arguments.verify == "all", lambda: place_of(arguments))
    events = _events(arguments, wake.put)
    if arguments.once:
        return 1 if archiver.look(stop) else 0
    told = _Told(archiver)
    if events is not None:
        events.start()
    try:
        while not stop.is_set():
            told.look(lambda: archiver.look(stop, everything=False))
            _between(archiver, told, stop, wake, arguments.poll)
    finally:
        if events is not None:
            events.stop()
    return 0


def _between(archiver: Archiver, told: _Told, stop: threading.Event, wake: queue.SimpleQueue[Batch | None], seconds: float) -> None:
    """Waits for the next look. Looks at scans of events meanwhile."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        try:
            batch = wake.get(timeout=left)
        except queue.Empty:
            return
        if batch is not None and not stop.is_set():
            scans = batch.scans
            failed = told.look(lambda: archiver.look_at(scans, stop))
        if batch is None or stop.is_set():
            # Events of scans that were not looked at come again.
            return
        batch.looked(failed == 0)


class _Told:
    """Says once that the archive cannot be reached, and once that it can again."""

    def __init__(self, archiver: Archiver) -> None:
        self._archiver = archiver
        self._trouble = ""

    def look(self, look: Callable[[], int]) -> int | None:
        """Returns what the look returns, None where it did not get through."""
        try:
            found = look()
            if self._trouble:
                log.info("%s answers again", self._archiver.place.name)
                self._trouble = ""
            return found
        except ArchiveError as error:
            # Each look would say the same again.
            if self._trouble != str(error):
                log.error("%s; it is tried again", error)
            self._trouble = str(error)
            return None


def _events(arguments: argparse.Namespace, give: Callable[[Batch], None]) -> Events | None:
    if arguments.events is None:
        if arguments.events_credentials is not None:
            raise ArchiveError("--events-credentials is for --events URL")
        return None
    try:
        from .events import Events, server_of
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("nats", "cryptography"):
            raise
        raise ArchiveError("nats-py is missing; run: pip install 'hyclus-archive[events]', or leave out --events") from None
    return Events(server_of(arguments.events, arguments.events_credentials), give)


@dataclass
class _Look:
    at: float
    wait: float


class Archiver:
    """Takes scans into the tables of one archive. Several may run at once; each row is there once all the same."""

    def __init__(self, place: Place, verify_all: bool = False, reopen: Callable[[], Place] | None = None) -> None:
        """reopen: opens the place again, as its credentials may be new."""
        self.place = place
        self.verify_all = verify_all
        self._reopen = reopen
        self._tables: dict[str, DeltaTable] = {}
        self._settled: dict[tuple[str, str], _Look] = {}

    def look(self, stop: threading.Event | None = None, everything: bool = True) -> int:
        """Takes all that is there and not in the tables. Returns how many scans are damaged or failed.

        everything: also looks at scans that were looked at lately. Raises ArchiveError where the archive cannot be reached.
        """
        self._open()
        failed = 0
        for rig in rigs(self.place):
            for scan in scans(self.place, rig):
                if stop is not None and stop.is_set():
                    return failed
                look = self._settled.get((rig, scan))
                if look is None or everything or time.monotonic() >= look.at:
                    failed += self._try(rig, scan) is not None
        return failed

    def look_at(self, named: Iterable[tuple[str, str]], stop: threading.Event | None = None) -> int:
        """Looks at these scans out of turn, each as (rig, scan). A scan that is not there costs one listing.

        Returns how many of them the storage failed to give or to take. Damaged ones do not count: another look alone does not help.
        Raises as `look`.
        """
        self._open()
        failed = 0
        for rig, scan in named:
            if stop is not None and stop.is_set():
                return failed
            failed += isinstance(self._try(rig, scan, early=True), (Unreachable, Conflict))
        return failed

    def _open(self) -> None:
        """Opens the tables at their newest version. Raises ArchiveError where the archive cannot be reached."""
        self._renew()
        refresh(self._tables["scans"])

    def _try(self, rig: str, scan: str, early: bool = False) -> ArchiveError | None:
        """Looks at a scan, and notes when it is looked at next. Returns why it is not taken, if so.

        Raises ArchiveError where the archive cannot be reached any more.
        """
        look = self._settled.get((rig, scan))
        now = time.monotonic()
        try:
            settled = self._look_at(rig, scan)
        except ArchiveError as error:
            self._settled.pop((rig, scan), None)
            if isinstance(error, (Unreachable, Conflict)):
                # Where it is the whole archive, this raises, and the others need not be tried.
                self._open()
            # One scan that cannot be taken now does not keep the others waiting.
            if isinstance(error, Damaged):
                log.error("%s", error)
            else:
                log.error("scan %s of rig %s: %s; it is tried again", scan, rig, error)
            return error
        if not settled:
            self._settled.pop((rig, scan), None)
        elif look is None or not early:
            # A look out of turn puts off none of those in turn.
            wait = min(2 * look.wait, LONGEST_S) if look else 10.0
            self._settled[(rig, scan)] = _Look(now + wait, wait)
        return None

    def _renew(self) -> None:
        """Opens the tables, again where the credentials are new. Raises ArchiveError."""
        place = self._reopen() if self._reopen is not None else self.place
        if not self._tables or place != self.place:
            self._tables = {name: create_table(place, name) for name in SCHEMAS}
            self.place = place

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
