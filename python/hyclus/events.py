"""Events of a rig as typed objects, each with the keys of the daemon's `Event` schema."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ._decode import Misfit, Model
from .models import LineCounts, Progress, ReferenceStatus, SampleRecord


@dataclass(frozen=True, kw_only=True)
class Event(Model):
    """An event. A kind that this version does not know stays of this class, with its keys in `raw`."""

    KIND: ClassVar[str] = ""
    id: int
    """Number of the event. It rises by one."""
    time: str
    """ISO 8601, UTC."""
    event: str
    """The kind, such as `scan_closed`."""

    @property
    def scan_id(self) -> str | None:
        """The scan that the event belongs to."""
        scan = self.raw.get("scan")
        return scan if isinstance(scan, str) else None


@dataclass(frozen=True, kw_only=True)
class StateChanged(Event):
    """The state of the rig changed."""

    KIND: ClassVar[str] = "state"
    state: str
    cause: str | None = None


@dataclass(frozen=True, kw_only=True)
class ScanStarted(Event):
    """A scan was accepted."""

    KIND: ClassVar[str] = "scan_started"
    scan: str


@dataclass(frozen=True, kw_only=True)
class ScanProgress(Event):
    """Progress of a scan, several times a second."""

    KIND: ClassVar[str] = "progress"
    progress: Progress
    """Made of the event's own keys."""

    @classmethod
    def of(cls, value: Any, path: str = "") -> ScanProgress:
        """An event whose keys are those of the progress."""
        head = Event.of(value, path)
        return cls(raw=head.raw, id=head.id, time=head.time, event=head.event, progress=Progress.of(value, path))


@dataclass(frozen=True, kw_only=True)
class LinesLost(Event):
    """Lines of a camera were lost."""

    KIND: ClassVar[str] = "lines_lost"
    scan: str
    camera: str
    first: int
    """First lost frame number."""
    count: int


@dataclass(frozen=True, kw_only=True)
class CameraDone(Event):
    """The last line of a camera was acquired."""

    KIND: ClassVar[str] = "camera_done"
    scan: str
    camera: str
    sums: LineCounts


@dataclass(frozen=True, kw_only=True)
class SampleOpened(Event):
    """A sample begins."""

    KIND: ClassVar[str] = "sample_opened"
    scan: str
    sample: str
    container: str


@dataclass(frozen=True, kw_only=True)
class SampleStored(Event):
    """A sample is stored."""

    KIND: ClassVar[str] = "sample_stored"
    scan: str
    record: SampleRecord


@dataclass(frozen=True, kw_only=True)
class PartClosed(Event):
    """A part of the embeddings was closed. `path` is relative to the data root."""

    KIND: ClassVar[str] = "part_closed"
    scan: str
    path: str
    rows: int


@dataclass(frozen=True, kw_only=True)
class SampleIdentified(Event):
    """The minerals of a sample are published."""

    KIND: ClassVar[str] = "sample_identified"
    scan: str
    sample: str
    container: str
    path: str
    rows: int


@dataclass(frozen=True, kw_only=True)
class SampleNovel(Event):
    """Too many spectra of a sample are unlike anything that an encoder was trained on."""

    KIND: ClassVar[str] = "sample_novel"
    scan: str
    sample: str
    container: str
    share: float
    spectra: int
    encoder: str | None = None
    """Absent for `main`."""


@dataclass(frozen=True, kw_only=True)
class MineralsPending(Event):
    """Samples of the scan are identified later."""

    KIND: ClassVar[str] = "minerals_pending"
    scan: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class MineralsCaughtUp(Event):
    """The deferred samples of the scan are identified."""

    KIND: ClassVar[str] = "minerals_caught_up"
    scan: str
    samples: int


@dataclass(frozen=True, kw_only=True)
class EmbeddingsPending(Event):
    """Embeddings of the scan are made later."""

    KIND: ClassVar[str] = "embeddings_pending"
    scan: str
    reason: str
    encoder: str | None = None


@dataclass(frozen=True, kw_only=True)
class EmbeddingsCaughtUp(Event):
    """The deferred embeddings of the scan are published."""

    KIND: ClassVar[str] = "embeddings_caught_up"
    scan: str
    rows: int
    encoder: str | None = None


@dataclass(frozen=True, kw_only=True)
class EncoderReplaced(Event):
    """An encoder runs another model from the next scan on."""

    KIND: ClassVar[str] = "encoder_replaced"
    encoder: str
    model: str
    encoder_sha256: str
    replaced: bool


@dataclass(frozen=True, kw_only=True)
class ReferenceTaken(Event):
    """A reference was taken."""

    KIND: ClassVar[str] = "reference_taken"
    reference: ReferenceStatus
    """Made of the event's own keys."""

    @classmethod
    def of(cls, value: Any, path: str = "") -> ReferenceTaken:
        """An event whose keys are those of the reference."""
        head = Event.of(value, path)
        return cls(raw=head.raw, id=head.id, time=head.time, event=head.event, reference=ReferenceStatus.of(value, path))


@dataclass(frozen=True, kw_only=True)
class Warned(Event):
    """A warning: no data are lost."""

    KIND: ClassVar[str] = "warning"
    message: str


@dataclass(frozen=True, kw_only=True)
class ScanClosed(Event):
    """A scan is closed."""

    KIND: ClassVar[str] = "scan_closed"
    scan: str
    complete: bool
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class ScanArchived(Event):
    """A scan lies in an archive. Files that it holds may have been removed from the rig."""

    KIND: ClassVar[str] = "scan_archived"
    scan: str
    place: str
    """The archive."""
    files: str
    """The files that the rig still has: `all`, `without_raw`, or `record`."""


@dataclass(frozen=True)
class EventsMissed:
    """Events are no longer held, and were missed."""

    count: int | None
    """Their number. `None` where it is not known, as after a restart of the daemon."""


KINDS: dict[str, type[Event]] = {
    kind.KIND: kind
    for kind in (
        StateChanged, ScanStarted, ScanProgress, LinesLost, CameraDone, SampleOpened, SampleStored, PartClosed, SampleIdentified,
        SampleNovel, MineralsPending, MineralsCaughtUp, EmbeddingsPending, EmbeddingsCaughtUp, EncoderReplaced, ReferenceTaken, Warned,
        ScanClosed, ScanArchived,
    )
}  # fmt: skip
"""The class of each kind."""


def event_of(value: Any) -> Event:
    """An event from its JSON object. Raises `Misfit`."""
    if not isinstance(value, dict):
        raise Misfit("", "is no object")
    return KINDS.get(str(value.get("event")), Event).of(value)
