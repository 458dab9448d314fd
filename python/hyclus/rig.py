"""The synchronous client."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ._calls import Calls, ReferenceKind
from ._flow import drive
from ._stream import Stream
from .data import DataRoot, Samples
from .errors import Detached, Incomplete, NoData
from .events import Event, EventsMissed
from .models import DeviceStatus, EncoderStatus, Fault, Readiness, ReferenceStatus, ScanRecord, Status, Trays, WorklistStatus
from .progress import ProgressChoice, shown_by
from .trays import TrayMap

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.dataset as ds

__all__ = ["Rig", "Scan"]


def data_path(data: str | os.PathLike[str] | None) -> str:
    """The data root: the argument, else HYCLUS_DATA."""
    path = os.fspath(data) if data is not None else os.environ.get("HYCLUS_DATA")
    if not path:
        raise NoData("the data root is not known. Name rig.data_dir of the configuration: Rig(data=...), or HYCLUS_DATA.")
    return path


class Rig:
    """A rig, by the control socket of its daemon.

    `socket`: its path, else HYCLUS_SOCKET, else /run/hyclus/control.sock. `data`: the data root, else HYCLUS_DATA; only calls that read
    results need it. `person`: for whom calls are made, as the daemon logs it. `timeout`: the longest silence of the daemon in seconds.

    Nothing is connected here: each call has a connection of its own, and a rig may be used by several threads. Every call raises
    `NotRunning`, `Forbidden`, `Busy`, `Broken` or `Unreadable` where there is no answer, and `Refused` where the daemon refuses.
    """

    def __init__(
        self,
        socket: str | os.PathLike[str] | None = None,
        *,
        data: str | os.PathLike[str] | None = None,
        person: str | None = None,
        timeout: float | None = 60.0,
    ) -> None:
        self._calls = Calls(socket, person, timeout)
        self._data = data

    def __repr__(self) -> str:
        return f"Rig({self.socket!r})"

    @property
    def socket(self) -> str:
        """Path of the control socket."""
        return self._calls.transport.path

    @property
    def data(self) -> DataRoot:
        """The data root. Raises `NoData` where it is not known, or is none."""
        return DataRoot(data_path(self._data))

    # What the rig does.

    def status(self) -> Status:
        """State, devices, references, disk, and progress of the scan that runs."""
        return drive(self._calls.status())

    def ready(self) -> Readiness:
        """Whether a scan could be asked for, and what is missing."""
        return drive(self._calls.ready())

    def check(self, tray: TrayMap) -> list[Fault]:
        """Every fault of a tray map, given as a dict or as the path of its file. There are none where it could be scanned.

        Raises `TrayError` where the file cannot be read.
        """
        return drive(self._calls.check(tray))

    def worklist(
        self, csv: str | None = None, *, rows: Sequence[Mapping[str, Any]] | None = None, tray: TrayMap | None = None
    ) -> Trays:
        """Tray maps made of a worklist, as CSV or as rows, on the places of `tray` where it is given. Starts nothing."""
        return drive(self._calls.worklist(csv, rows, tray))

    def held_worklist(self) -> WorklistStatus:
        """The worklist that the rig holds, and which of its samples were scanned. Raises `Refused` (404) where it holds none."""
        return drive(self._calls.held_worklist())

    def put_worklist(
        self, csv: str | None = None, *, rows: Sequence[Mapping[str, Any]] | None = None, tray: TrayMap | None = None
    ) -> WorklistStatus:
        """Has the rig hold a worklist, as CSV or as rows, on the places of `tray` where it is given, in the place of the one before it."""
        return drive(self._calls.put_worklist(csv, rows, tray))

    def remove_worklist(self) -> WorklistStatus:
        """Has the rig hold no worklist. Gives how far it was."""
        return drive(self._calls.remove_worklist())

    def scan(
        self,
        tray: TrayMap | None = None,
        wait: bool = True,
        progress: ProgressChoice = None,
        *,
        next_tray: bool = False,
        listed: str | None = None,
        again: bool = False,
    ) -> Scan:
        """Starts a scan of a tray and waits for its end.

        Progress is shown on one line of a terminal, or in a notebook. Raises `NotReady` or `Refused` where the scan is refused, and
        `Incomplete` where it ends early. In place of `tray`, `next_tray` takes the next tray of the worklist, and `listed` the one of this
        name. Samples of the worklist that were scanned already are refused unless `again`. Ctrl-C raises `Detached`, and the scan goes on.
        """
        scan = Scan(self, drive(self._calls.start_scan(tray, next_tray, listed, again)))
        if wait:
            scan.wait(progress)
        return scan

    def attach(self, scan: str) -> Scan:
        """A scan that runs or has ended, by its id. Raises `Refused` (404) for an unknown one."""
        return Scan(self, self.record(scan))

    def stop_scan(self, scan: str) -> ScanRecord:
        """Ends a scan early, and keeps what was scanned, marked incomplete."""
        return drive(self._calls.stop_scan(scan))

    def emergency_stop(self) -> Status:
        """Stops the belt, switches the lamps off, and closes a scan. It is tried for 20 s. The rig then waits for `acknowledge()`."""
        return drive(self._calls.emergency_stop())

    def acknowledge(self) -> Status:
        """Takes note of a fault or an emergency stop, so that the rig is idle again. Starts nothing."""
        return drive(self._calls.acknowledge())

    def reference(self, kind: ReferenceKind, accept_change: bool = False) -> list[ReferenceStatus]:
        """Takes the dark or the white reference of every camera. Raises `Refused` with the figure of one that cannot be right."""
        return drive(self._calls.reference(kind, accept_change))

    def lamps(self, level: float, light: str | None = None) -> list[DeviceStatus]:
        """Sets the level, 0 (off) to 1, of one light or of all. Refused during a scan."""
        return drive(self._calls.lamps(level, light))

    def belt(
        self, *, run_mm_per_s: float | None = None, to_mm: float | None = None, jog_mm_per_s: float | None = None, stop: bool = False
    ) -> DeviceStatus:
        """Runs the belt, moves it to a position, jogs it for half a second, or stops it. Give one of the four. Refused during a scan."""
        return drive(self._calls.belt(run_mm_per_s, to_mm, jog_mm_per_s, stop))

    def encoders(self) -> list[EncoderStatus]:
        """The encoders and the models that they run."""
        return drive(self._calls.encoders())

    def replace_encoder(self, name: str, model: bytes | str | os.PathLike[str]) -> EncoderStatus:
        """Puts an ONNX model, as bytes or a file, in the place of an encoder's model, from the next scan on."""
        return drive(self._calls.replace_encoder(name, model))

    def restore_encoder(self, name: str) -> EncoderStatus:
        """Goes back to the configured model of an encoder."""
        return drive(self._calls.restore_encoder(name))

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document of the daemon."""
        return drive(self._calls.openapi())

    # What happened.

    def scans(self) -> list[ScanRecord]:
        """Every scan, oldest first."""
        return drive(self._calls.scans())

    def record(self, scan: str) -> ScanRecord:
        """The record of one scan."""
        return drive(self._calls.record(scan))

    def events(self, last_event_id: int | None = None) -> Generator[Event | EventsMissed, None, None]:
        """Events behind the one of that number, or all that are held, and then those to come, without end.

        A broken connection is resumed behind the last event. `EventsMissed` stands where events are missing. Raises `NotRunning` or
        `Broken` where the daemon does not come back. `close()` of the generator hangs up.
        """
        stream = Stream(self._calls.transport, last_event_id)
        # Connected now, so that no event from here on is missed.
        drive(stream.open())
        return _events(stream)

    # Results.

    def samples(self, scan: str) -> Samples:
        """The samples of a scan by name, as lazily loaded xarray data sets. See `DataRoot.samples`."""
        return self.data.samples(scan)

    def embeddings(self, scan: str | None = None, encoder: str = "main") -> ds.Dataset:
        """The embeddings of one scan or of all. See `DataRoot.embeddings`."""
        return self.data.embeddings(scan, encoder)

    def minerals(self, scan: str | None = None) -> ds.Dataset:
        """The minerals of one scan or of all. See `DataRoot.minerals`."""
        return self.data.minerals(scan)

    def follow(self, scan: str | None = None, encoder: str = "main") -> Iterator[pa.RecordBatch]:
        """Embeddings as parts close, each row once. See `DataRoot.follow`."""
        return self.data.follow(scan, encoder)


def _events(stream: Stream) -> Generator[Event | EventsMissed, None, None]:
    try:
        while True:
            yield drive(stream.next())
    finally:
        drive(stream.close())


class Scan:
    """A scan of a rig."""

    def __init__(self, rig: Rig, record: ScanRecord) -> None:
        self.rig = rig
        self.record = record
        """The record as it was last read. `refresh()` reads it again."""

    def __repr__(self) -> str:
        state = {None: "running", True: "complete", False: "incomplete"}[self.record.complete]
        return f"<scan {self.id}: {state}, {len(self.record.samples)} samples, {self.record.embeddings} embeddings>"

    @property
    def id(self) -> str:
        """Id of the scan. It is part of the paths of its files."""
        return self.record.id

    @property
    def complete(self) -> bool | None:
        """Whether the planned end was reached. `None` while the scan runs."""
        return self.record.complete

    def refresh(self) -> ScanRecord:
        """Reads the record again."""
        self.record = self.rig.record(self.id)
        return self.record

    def wait(self, progress: ProgressChoice = None) -> ScanRecord:
        """Waits for the end. Raises `Incomplete` where the scan ended early, and `Detached` on Ctrl-C."""
        shown = shown_by(progress)
        try:
            self.record = drive(self.rig._calls.wait(self.id, shown))
        except KeyboardInterrupt as error:
            shown.end(None)
            raise Detached(self.id) from error
        if not self.record.complete:
            raise Incomplete(self.record)
        return self.record

    def stop(self) -> ScanRecord:
        """Ends the scan early, and keeps what was scanned, marked incomplete."""
        self.record = self.rig.stop_scan(self.id)
        return self.record

    def samples(self) -> Samples:
        """The samples by name. See `DataRoot.samples`."""
        return self.rig.samples(self.id)

    def embeddings(self, encoder: str = "main") -> ds.Dataset:
        """The embeddings. See `DataRoot.embeddings`."""
        return self.rig.embeddings(self.id, encoder)

    def minerals(self) -> ds.Dataset:
        """The minerals. See `DataRoot.minerals`."""
        return self.rig.minerals(self.id)

    def follow(self, encoder: str = "main") -> Iterator[pa.RecordBatch]:
        """Embeddings as parts close, until the scan ends. See `DataRoot.follow`."""
        return self.rig.follow(self.id, encoder)
