"""Answers of the daemon as typed objects.

Each class names the schema of `GET /v1/openapi.json` that it reads, in `SCHEMA`. It has the keys that programs use. All others
are in `raw`. Lengths are in mm, wavelengths in nm, times ISO 8601 in UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from ._decode import Misfit, Model, decode

STATES = ("idle", "warming", "referencing", "ready", "scanning", "draining", "faulted")
"""The states of a rig. A later daemon may have more."""


@dataclass(frozen=True, kw_only=True)
class Fault(Model):
    """A fault of a request, with its path in it."""

    SCHEMA: ClassVar[str] = "Fault"
    path: str
    """Path of the faulty key, such as `container[3].sample`. Empty for the whole."""
    problem: str
    """The fault and its remedy."""

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}" if self.path else self.problem

    @staticmethod
    def list_of(value: Any) -> tuple[Fault, ...]:
        """The faults of a problem document, as far as they can be read."""
        try:
            faults: tuple[Fault, ...] = decode(tuple[Fault, ...], value, "faults")
        except Misfit:
            return ()
        return faults


@dataclass(frozen=True, kw_only=True)
class LineCounts(Model):
    """Line counts of a camera: received + lost = expected."""

    SCHEMA: ClassVar[str] = "LineCounts"
    received: int
    lost: int
    expected: int
    lost_pool: int
    """Lost lines for which the frame pool had no free slot."""
    lost_link: int
    """Lost lines that never reached the pool."""
    unusable: int
    """Received lines whose frame was incomplete, or during which the belt stood."""
    gaps: tuple[tuple[int, int], ...]
    """Each gap: first lost frame number, and number of lost frames."""


@dataclass(frozen=True, kw_only=True)
class Progress(Model):
    """Progress of a scan."""

    SCHEMA: ClassVar[str] = "Progress"
    scan: str
    position_mm: float
    end_mm: float
    """Belt position of the planned stop."""
    cameras: dict[str, LineCounts]
    samples: int
    """Samples closed so far."""
    embeddings: int
    """Rows in closed parts so far."""


@dataclass(frozen=True, kw_only=True)
class ReferenceStatus(Model):
    """A reference of a camera, and its figures."""

    SCHEMA: ClassVar[str] = "ReferenceStatus"
    camera: str
    kind: str
    """`dark` or `white`."""
    taken: str
    age_s: float
    frames: int
    mean_counts: float
    noise_counts: float
    saturated: float
    """Share of saturated elements."""
    flicker: float | None = None
    evenness: float | None = None
    dirt: float | None = None
    least_signal_counts: float | None = None
    temperature_c: float | None = None


@dataclass(frozen=True, kw_only=True)
class DeviceStatus(Model):
    """A camera, the conveyor, or a light. Its settings are in `raw`."""

    SCHEMA: ClassVar[str] = "DeviceStatus"
    device: str
    """`camera`, `conveyor` or `light`."""
    model: str
    connected: bool
    name: str = ""
    """Name in the configuration. Empty for the conveyor."""


@dataclass(frozen=True, kw_only=True)
class Pending(Model):
    """Embeddings that a scan lacks. The daemon makes them while no scan runs."""

    SCHEMA: ClassVar[str] = "Pending"
    reason: str
    spectra: int
    samples: dict[str, int]
    """Missing spectra of each sample."""


@dataclass(frozen=True, kw_only=True)
class PendingMinerals(Model):
    """Samples that lack minerals. The daemon identifies them while no scan runs."""

    SCHEMA: ClassVar[str] = "PendingMinerals"
    reason: str
    samples: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Status(Model):
    """The rig's status."""

    SCHEMA: ClassVar[str] = "Status"
    state: str
    """One of `STATES`."""
    cause: str | None
    """Cause of a fault."""
    rig: str
    version: str
    """Version of the daemon."""
    devices: tuple[DeviceStatus, ...]
    references: tuple[ReferenceStatus, ...]
    disk_free_bytes: int
    scan: Progress | None
    """The scan that runs."""
    pending: dict[str, Pending] = field(default_factory=dict)
    """Deferred embeddings of `main`, by scan."""
    pending_encoders: dict[str, dict[str, Pending]] = field(default_factory=dict)
    """Those of other encoders, by scan and encoder."""
    pending_minerals: dict[str, PendingMinerals] = field(default_factory=dict)
    set_aside: dict[str, str] = field(default_factory=dict)
    """Scans whose recordings cannot be processed, with the reason."""


@dataclass(frozen=True, kw_only=True)
class Share(Model):
    """A share of pixels, 0 to 1, and its 95 % interval."""

    SCHEMA: ClassVar[str] = "Share"
    share: float
    interval: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class MineralShares(Model):
    """Shares of the judged pixels in a group of minerals."""

    SCHEMA: ClassVar[str] = "MineralShares"
    not_identified: Share
    minerals: dict[str, Share]


@dataclass(frozen=True, kw_only=True)
class FeatureSummary(Model):
    """A feature over the pixels of a sample that have it."""

    SCHEMA: ClassVar[str] = "FeatureSummary"
    unit: str
    pixels: int
    median: float
    spread: float
    interval: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class SampleMinerals(Model):
    """What is identified on a sample."""

    SCHEMA: ClassVar[str] = "SampleMinerals"
    part: int
    pixels: int
    """Judged pixels: those of the mask with a valid spectrum."""
    deferred: str | None = None
    """Why the sample is not identified yet."""
    not_identified: Share | None = None
    groups: tuple[MineralShares, ...] = ()
    """Group 1 (electronic, VNIR), then group 2 (vibrational, SWIR)."""
    features: dict[str, FeatureSummary] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class HeadValue(Model):
    """A head's value of a sample. It is not to be used where `refused` is true."""

    SCHEMA: ClassVar[str] = "HeadValue"
    value: float
    lower: float
    upper: float
    distance: float
    refused: bool


@dataclass(frozen=True, kw_only=True)
class SampleRecord(Model):
    """A stored sample."""

    SCHEMA: ClassVar[str] = "SampleRecord"
    sample: str
    container: str
    file: str
    """Path, relative to the scan's folder."""
    shape: tuple[int, int, int]
    """Lines, pixels and bands."""
    pixels: int
    """Pixels of the mask."""
    valid: int
    """Pixels of the mask with a valid spectrum."""
    doubts: tuple[str, ...]
    minerals: SampleMinerals | None = None
    heads: dict[str, HeadValue] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Grid(Model):
    """Rows along the belt and columns across it."""

    SCHEMA: ClassVar[str] = "Grid"
    rows: int
    columns: int


@dataclass(frozen=True, kw_only=True)
class Container(Model):
    """A container of a checked tray map."""

    SCHEMA: ClassVar[str] = "Container"
    at: str
    sample: str
    keys: dict[str, str]
    vars: dict[str, float]
    height_mm: float | None = None


@dataclass(frozen=True, kw_only=True)
class Tray(Model):
    """A checked tray map."""

    SCHEMA: ClassVar[str] = "Tray"
    tray: str
    keys: tuple[str, ...]
    grid: Grid | None
    containers: tuple[Container, ...]


@dataclass(frozen=True, kw_only=True)
class FileRecord(Model):
    """A file of a scan. `path` is relative to the data root."""

    SCHEMA: ClassVar[str] = "FileRecord"
    path: str
    bytes: int
    # A digest of one kind or the other stands beside them.
    blake3: str | None = None
    sha256: str | None = None


@dataclass(frozen=True, kw_only=True)
class EncoderRecord(Model):
    """What an encoder besides `main` made of a scan."""

    SCHEMA: ClassVar[str] = "EncoderRecord"
    shadow: bool
    embeddings: int
    encoder_sha256: str | None = None
    pending: Pending | None = None


@dataclass(frozen=True, kw_only=True)
class MineralsRecord(Model):
    """The library by which a scan's minerals were identified."""

    SCHEMA: ClassVar[str] = "MineralsRecord"
    library: str
    library_sha256: str
    method: int
    pending: PendingMinerals | None = None


@dataclass(frozen=True, kw_only=True)
class Archived(Model):
    """The copy of a scan in an archive."""

    SCHEMA: ClassVar[str] = "Archived"
    place: str
    revision: int
    time: str
    files: str
    """The files that the rig still has: `all`, `without_raw`, or `record`."""


@dataclass(frozen=True, kw_only=True)
class ScanRecord(Model):
    """A running or ended scan, as `scan.json` has it."""

    SCHEMA: ClassVar[str] = "ScanRecord"
    id: str
    tray: Tray
    started: str
    ended: str | None
    """`None` while the scan runs."""
    complete: bool | None
    """Whether the planned end was reached. `None` while the scan runs."""
    reason: str | None
    """Why the scan is incomplete."""
    cameras: dict[str, LineCounts]
    samples: tuple[SampleRecord, ...]
    missing: tuple[str, ...]
    """Containers in which nothing was found."""
    warnings: tuple[str, ...]
    embeddings: int
    files: tuple[FileRecord, ...]
    version: str
    configuration_sha256: str
    encoder_sha256: str | None
    format_version: int = 1
    pending: Pending | None = None
    encoders: dict[str, EncoderRecord] = field(default_factory=dict)
    minerals: MineralsRecord | None = None
    set_aside: str | None = None
    archived: Archived | None = None

    def encoder_names(self) -> tuple[str, ...]:
        """The encoders of the scan, `main` first."""
        return ("main", *self.encoders)


@dataclass(frozen=True, kw_only=True)
class EncoderStatus(Model):
    """An encoder and the model that it runs."""

    SCHEMA: ClassVar[str] = "EncoderStatus"
    encoder: str
    shadow: bool
    replaced: bool
    model: str | None = None
    encoder_sha256: str | None = None
    dimensions: int | None = None


@dataclass(frozen=True, kw_only=True)
class Missing(Model):
    """What keeps a rig from being ready."""

    SCHEMA: ClassVar[str] = "Missing"
    what: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Readiness(Model):
    """Whether a scan could be asked for."""

    SCHEMA: ClassVar[str] = "Readiness"
    ready: bool
    missing: tuple[Missing, ...]


@dataclass(frozen=True, kw_only=True)
class Checked(Model):
    """The faults of a tray map. There are none where it could be scanned."""

    SCHEMA: ClassVar[str] = "Checked"
    faults: tuple[Fault, ...]


@dataclass(frozen=True, kw_only=True)
class Sheet(Model):
    """A tray map made of a worklist, and its faults."""

    SCHEMA: ClassVar[str] = "Sheet"
    tray: Any
    """The map, as an object of JSON."""
    faults: tuple[Fault, ...]


@dataclass(frozen=True, kw_only=True)
class ListedSample(Model):
    """A sample of the worklist that is held."""

    SCHEMA: ClassVar[str] = "ListedSample"
    sample: str
    container: str
    barcode: str | None = None
    """The code on its container."""
    state: str
    """`missing`, `scanned` or `rescanned`."""
    scans: tuple[str, ...]
    """The complete scans that hold it with a valid pixel, oldest first."""


@dataclass(frozen=True, kw_only=True)
class ListedTray(Model):
    """A tray of the worklist that is held."""

    SCHEMA: ClassVar[str] = "ListedTray"
    tray: str
    samples: tuple[ListedSample, ...]


@dataclass(frozen=True, kw_only=True)
class WorklistStatus(Model):
    """How far the worklist is that is held."""

    SCHEMA: ClassVar[str] = "WorklistStatus"
    received: str
    """When it was put there (ISO 8601, UTC)."""
    by: str
    missing: int
    scanned: int
    rescanned: int
    next: str | None = None
    """The first tray with a missing sample."""
    trays: tuple[ListedTray, ...]


@dataclass(frozen=True, kw_only=True)
class Trays(Model):
    """The tray maps of a worklist, in its order."""

    SCHEMA: ClassVar[str] = "Trays"
    trays: tuple[Sheet, ...]
