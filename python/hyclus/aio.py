"""The client for asyncio. Its calls are those of `Rig`; see there."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ._calls import Calls, ReferenceKind
from ._flow import drive_async
from ._stream import Stream
from .data import DataRoot, Samples
from .errors import Incomplete
from .events import Event, EventsMissed
from .models import DeviceStatus, EncoderStatus, Fault, Readiness, ReferenceStatus, ScanRecord, Status, Trays, WorklistStatus
from .progress import ProgressChoice, shown_by
from .rig import data_path
from .trays import TrayMap

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.dataset as ds

__all__ = ["AsyncRig", "AsyncScan"]


class AsyncRig:
    """A rig, by the control socket of its daemon. Arguments and errors are those of `Rig`. A cancelled call closes its connection."""

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
        return f"AsyncRig({self.socket!r})"

    @property
    def socket(self) -> str:
        """Path of the control socket."""
        return self._calls.transport.path

    @property
    def data(self) -> DataRoot:
        """The data root. Raises `NoData` where it is not known, or is none."""
        return DataRoot(data_path(self._data))

    # What the rig does.

    async def status(self) -> Status:
        """State, devices, references, disk, and progress of the scan that runs."""
        return await drive_async(self._calls.status())

    async def ready(self) -> Readiness:
        """Whether a scan could be asked for, and what is missing."""
        return await drive_async(self._calls.ready())

    async def check(self, tray: TrayMap) -> list[Fault]:
        """Every fault of a tray map."""
        return await drive_async(self._calls.check(tray))

    async def worklist(
        self, csv: str | None = None, *, rows: Sequence[Mapping[str, Any]] | None = None, tray: TrayMap | None = None
    ) -> Trays:
        """Tray maps made of a worklist. Starts nothing."""
        return await drive_async(self._calls.worklist(csv, rows, tray))

    async def held_worklist(self) -> WorklistStatus:
        """The worklist that the rig holds, and which of its samples were scanned. Raises `Refused` (404) where it holds none."""
        return await drive_async(self._calls.held_worklist())

    async def put_worklist(
        self, csv: str | None = None, *, rows: Sequence[Mapping[str, Any]] | None = None, tray: TrayMap | None = None
    ) -> WorklistStatus:
        """Has the rig hold a worklist, as CSV or as rows, on the places of `tray` where it is given, in the place of the one before it."""
        return await drive_async(self._calls.put_worklist(csv, rows, tray))

    async def remove_worklist(self) -> WorklistStatus:
        """Has the rig hold no worklist. Gives how far it was."""
        return await drive_async(self._calls.remove_worklist())

    async def scan(
        self,
        tray: TrayMap | None = None,
        wait: bool = True,
        progress: ProgressChoice = None,
        *,
        next_tray: bool = False,
        listed: str | None = None,
        again: bool = False,
    ) -> AsyncScan:
        """Starts a scan of a tray and waits for its end. Where the waiting is cancelled, the scan goes on."""
        scan = AsyncScan(self, await drive_async(self._calls.start_scan(tray, next_tray, listed, again)))
        if wait:
            await scan.wait(progress)
        return scan

    async def attach(self, scan: str) -> AsyncScan:
        """A scan that runs or has ended, by its id."""
        return AsyncScan(self, await self.record(scan))

    async def stop_scan(self, scan: str) -> ScanRecord:
        """Ends a scan early, and keeps what was scanned, marked incomplete."""
        return await drive_async(self._calls.stop_scan(scan))

    async def emergency_stop(self) -> Status:
        """Stops the belt, switches the lamps off, and closes a scan."""
        return await drive_async(self._calls.emergency_stop())

    async def acknowledge(self) -> Status:
        """Takes note of a fault or an emergency stop."""
        return await drive_async(self._calls.acknowledge())

    async def reference(self, kind: ReferenceKind, accept_change: bool = False) -> list[ReferenceStatus]:
        """Takes the dark or the white reference of every camera."""
        return await drive_async(self._calls.reference(kind, accept_change))

    async def lamps(self, level: float, light: str | None = None) -> list[DeviceStatus]:
        """Sets the level, 0 (off) to 1, of one light or of all."""
        return await drive_async(self._calls.lamps(level, light))

    async def belt(
        self, *, run_mm_per_s: float | None = None, to_mm: float | None = None, jog_mm_per_s: float | None = None, stop: bool = False
    ) -> DeviceStatus:
        """Runs the belt, moves it to a position, jogs it for half a second, or stops it."""
        return await drive_async(self._calls.belt(run_mm_per_s, to_mm, jog_mm_per_s, stop))

    async def encoders(self) -> list[EncoderStatus]:
        """The encoders and the models that they run."""
        return await drive_async(self._calls.encoders())

    async def replace_encoder(self, name: str, model: bytes | str | os.PathLike[str]) -> EncoderStatus:
        """Puts an ONNX model in the place of an encoder's model."""
        return await drive_async(self._calls.replace_encoder(name, model))

    async def restore_encoder(self, name: str) -> EncoderStatus:
        """Goes back to the configured model of an encoder."""
        return await drive_async(self._calls.restore_encoder(name))

    async def openapi(self) -> dict[str, Any]:
        """The OpenAPI document of the daemon."""
        return await drive_async(self._calls.openapi())

    # What happened.

    async def scans(self) -> list[ScanRecord]:
        """Every scan, oldest first."""
        return await drive_async(self._calls.scans())

    async def record(self, scan: str) -> ScanRecord:
        """The record of one scan."""
        return await drive_async(self._calls.record(scan))

    async def events(self, last_event_id: int | None = None) -> AsyncGenerator[Event | EventsMissed, None]:
        """Events, as `Rig.events` gives them: `async for event in rig.events()`. It connects when the first one is asked for."""
        stream = Stream(self._calls.transport, last_event_id)
        await drive_async(stream.open())
        try:
            while True:
                yield await drive_async(stream.next())
        finally:
            await drive_async(stream.close())

    # Results.

    def samples(self, scan: str) -> Samples:
        """The samples of a scan by name. Reading values blocks."""
        return self.data.samples(scan)

    def embeddings(self, scan: str | None = None, encoder: str = "main") -> ds.Dataset:
        """The embeddings of one scan or of all. Reading values blocks."""
        return self.data.embeddings(scan, encoder)

    def minerals(self, scan: str | None = None) -> ds.Dataset:
        """The minerals of one scan or of all. Reading values blocks."""
        return self.data.minerals(scan)

    def follow(self, scan: str | None = None, encoder: str = "main") -> AsyncIterator[pa.RecordBatch]:
        """Embeddings as parts close, each row once. They are read in a thread."""
        return _in_thread(self.data.follow(scan, encoder))


async def _in_thread(batches: Iterator[pa.RecordBatch]) -> AsyncIterator[pa.RecordBatch]:
    while True:
        batch = await asyncio.to_thread(next, batches, None)
        if batch is None:
            return
        yield batch


class AsyncScan:
    """A scan of a rig."""

    def __init__(self, rig: AsyncRig, record: ScanRecord) -> None:
        self.rig = rig
        self.record = record
        """The record as it was last read. `refresh()` reads it again."""

    def __repr__(self) -> str:
        state = {None: "running", True: "complete", False: "incomplete"}[self.record.complete]
        return f"<scan {self.id}: {state}, {len(self.record.samples)} samples, {self.record.embeddings} embeddings>"

    @property
    def id(self) -> str:
        """Id of the scan."""
        return self.record.id

    @property
    def complete(self) -> bool | None:
        """Whether the planned end was reached. `None` while the scan runs."""
        return self.record.complete

    async def refresh(self) -> ScanRecord:
        """Reads the record again."""
        self.record = await self.rig.record(self.id)
        return self.record

    async def wait(self, progress: ProgressChoice = None) -> ScanRecord:
        """Waits for the end. Raises `Incomplete` where the scan ended early. Where it is cancelled, the scan goes on."""
        shown = shown_by(progress)
        try:
            self.record = await drive_async(self.rig._calls.wait(self.id, shown))
        except asyncio.CancelledError:
            shown.end(None)
            raise
        if not self.record.complete:
            raise Incomplete(self.record)
        return self.record

    async def stop(self) -> ScanRecord:
        """Ends the scan early, and keeps what was scanned, marked incomplete."""
        self.record = await self.rig.stop_scan(self.id)
        return self.record

    def samples(self) -> Samples:
        """The samples by name."""
        return self.rig.samples(self.id)

    def embeddings(self, encoder: str = "main") -> ds.Dataset:
        """The embeddings."""
        return self.rig.embeddings(self.id, encoder)

    def minerals(self) -> ds.Dataset:
        """The minerals."""
        return self.rig.minerals(self.id)

    def follow(self, encoder: str = "main") -> AsyncIterator[pa.RecordBatch]:
        """Embeddings as parts close, until the scan ends."""
        return self.rig.follow(self.id, encoder)
