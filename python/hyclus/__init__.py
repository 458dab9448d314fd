"""Client of the hyclus daemon: scans, events, and results of a rig for hyperspectral acquisition.

    from hyclus import Rig

    rig = Rig(data="/var/lib/hyclus/data")
    scan = rig.scan("tray.toml")
    spectrum = scan.samples()["ore-1"].reflectance.mean(("line", "pixel"))
"""

from . import errors, events, models
from .aio import AsyncRig, AsyncScan
from .data import DataRoot, Samples
from .errors import (
    Broken,
    Busy,
    Detached,
    Forbidden,
    HyclusError,
    Incomplete,
    MissingExtra,
    NoData,
    NotAllowed,
    NotReady,
    NotRunning,
    Refused,
    Superseded,
    TrayError,
    Unreadable,
)
from .events import Event, EventsMissed
from .rig import Rig, Scan
from .trays import tray_of

__version__ = "0.2.0"

__all__ = [
    "AsyncRig",
    "AsyncScan",
    "Broken",
    "Busy",
    "DataRoot",
    "Detached",
    "Event",
    "EventsMissed",
    "Forbidden",
    "HyclusError",
    "Incomplete",
    "MissingExtra",
    "NoData",
    "NotAllowed",
    "NotReady",
    "NotRunning",
    "Refused",
    "Rig",
    "Samples",
    "Scan",
    "Superseded",
    "TrayError",
    "Unreadable",
    "__version__",
    "errors",
    "events",
    "models",
    "tray_of",
]
