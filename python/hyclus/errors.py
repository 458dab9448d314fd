"""Errors of the client. Each says what to do next."""

from __future__ import annotations

import grp
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .models import Fault, ScanRecord

__all__ = [
    "Broken",
    "Busy",
    "Detached",
    "Forbidden",
    "HyclusError",
    "Incomplete",
    "MissingExtra",
    "NoData",
    "NotAllowed",
    "NotReady",
    "NotRunning",
    "Refused",
    "Superseded",
    "TrayError",
    "Unreadable",
]


class HyclusError(Exception):
    """Any failure of this package."""


class NotRunning(HyclusError):
    """No daemon listens on the socket."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(
            f"nothing answers on {path}: {reason}. Is the daemon running (`systemctl status hyclusd`)? "
            "Rig(socket=...) or HYCLUS_SOCKET names another socket."
        )
        self.path = path


class Forbidden(HyclusError):
    """This user may not connect, or may not do what was asked."""


class Busy(HyclusError):
    """Too many connections are open. The call did nothing."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"too many connections are open on {path}. Close programs that follow the daemon, such as `hyclus events`, or try again."
        )
        self.path = path


class Broken(HyclusError):
    """The connection broke, or stayed silent for too long. The call may have been done all the same."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"the connection to {path} broke: {reason}. Look at status() before the call is made again.")
        self.path = path
        self.reason = reason


class Unreadable(HyclusError):
    """This version of the client cannot read the daemon's answer."""

    def __init__(self, call: str, reason: str) -> None:
        super().__init__(f"the answer to {call} cannot be read: {reason}. Is the client of the daemon's version?")
        self.call = call
        self.reason = reason


class Refused(HyclusError):
    """The daemon refused. It carries the problem document of RFC 9457."""

    def __init__(self, problem: dict[str, Any], faults: tuple[Fault, ...] = ()) -> None:
        self.problem = problem
        """The whole document, with keys that this version does not know."""
        self.status = int(problem.get("status", 0))
        """Status code of HTTP."""
        self.kind = str(problem.get("type", "about:blank"))
        """Kind of the problem, such as `urn:hyclus:problem:invalid`."""
        self.title = str(problem.get("title", ""))
        """The kind in words."""
        self.detail = str(problem.get("detail", ""))
        """The refusal in words, and a remedy."""
        self.instance = str(problem.get("instance", ""))
        """The requested path."""
        self.faults = faults
        """Every fault of a wrong request, each with its path."""
        super().__init__(self.detail or self.title or f"the daemon answered {self.status}")


class NotReady(Refused):
    """The rig is doing something else, or is faulted (409)."""


class NotAllowed(Refused, Forbidden):
    """The role of this user does not allow the call (403)."""


class TrayError(HyclusError, ValueError):
    """A tray map cannot be read from its file, or cannot be sent."""


class NoData(HyclusError):
    """The data root is unknown, or lacks what was asked for."""


class MissingExtra(HyclusError, ImportError):
    """A package of an extra is not installed."""

    def __init__(self, package: str, purpose: str) -> None:
        super().__init__(f"{purpose} need the package {package}: pip install 'hyclus[data]'")


class Superseded(HyclusError):
    """Parts that were followed have been replaced. The scan was made again with the references of both ends."""

    def __init__(self, scan: str, encoder: str) -> None:
        named = "" if encoder == "main" else f", encoder={encoder!r}"
        super().__init__(
            f"the rows of {scan} were made again. Those that were followed no longer hold; embeddings({scan!r}{named}) has the new ones."
        )
        self.scan = scan


class Incomplete(HyclusError):
    """A scan did not reach its planned end. What was scanned is kept."""

    def __init__(self, record: ScanRecord) -> None:
        super().__init__(f"the scan {record.id} is incomplete: {record.reason or 'no reason is known'}. What was scanned is kept.")
        self.record = record
        """The record of the scan."""


class Detached(KeyboardInterrupt):
    """Waiting for a scan was interrupted. The scan goes on."""

    def __init__(self, scan: str) -> None:
        super().__init__(f"the scan {scan} goes on. rig.attach({scan!r}) takes it up again: .wait() waits, .stop() ends it.")
        self.scan = scan
        """Id of the scan."""


def forbidden(path: str) -> Forbidden:
    """The error for a socket that this user may not open. It names the group to join."""
    try:
        group = grp.getgrgid(os.stat(path).st_gid).gr_name
    except (OSError, KeyError):
        group = "root"
    if group == "root":
        advice = "its group is not one to join; see `group` of the control socket in the rig's configuration"
    else:
        advice = f"join its group (`sudo usermod -aG {group} $USER`) and log in again"
    return Forbidden(f"you may not connect to {Path(path)}: {advice}.")
