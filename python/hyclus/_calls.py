"""Every call of the control socket as a flow. `Rig` and `AsyncRig` drive them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from ._decode import Misfit, decode
from ._flow import Flow, Work
from ._http import PATIENCE_S, Request, Transport, again, parse, refusal, segment
from ._stream import Stream
from .errors import Unreadable
from .events import Event, EventsMissed, ScanClosed
from .models import Checked, DeviceStatus, EncoderStatus, Fault, Readiness, ReferenceStatus, ScanRecord, Status, Trays, WorklistStatus
from .progress import Shown
from .trays import TrayMap, tray_of

DEFAULT_SOCKET = "/run/hyclus/control.sock"
REFERENCE_TIMEOUT_S = 1800.0
"""Lamps warm up first, and the belt goes to the panel."""

ReferenceKind = Literal["dark", "white"]


def default_socket(socket: str | os.PathLike[str] | None) -> str:
    """The socket: the argument, else HYCLUS_SOCKET, else the service's."""
    return os.fspath(socket) if socket is not None else os.environ.get("HYCLUS_SOCKET") or DEFAULT_SOCKET


class Calls:
    """The calls of one socket. Answers are typed. Failures are errors of `hyclus.errors`."""

    def __init__(self, socket: str | os.PathLike[str] | None, person: str | None, timeout: float | None) -> None:
        if person is not None and not (person.isprintable() and person.strip() and len(person.encode()) <= 64):
            raise ValueError("person must be a name of 1 to 64 bytes, without control characters")
        self.transport = Transport(default_socket(socket), person)
        self.timeout = timeout

    def _call(self, kind: Any, method: str, path: str, body: Any = None, timeout: float | None = None) -> Flow[Any]:
        data = b"" if body is None else json.dumps(body, allow_nan=False).encode()
        request = Request(method, path, data, timeout=self.timeout if timeout is None else timeout)
        value = yield from self.transport.json(request)
        return typed(kind, value, request.name)

    def status(self) -> Flow[Status]:
        """`GET /v1/status`"""
        return self._call(Status, "GET", "/v1/status")

    def ready(self) -> Flow[Readiness]:
        """`GET /v1/health/ready`: 503 is an answer too."""
        request = Request("GET", "/v1/health/ready", timeout=self.timeout)

        def once() -> Flow[Readiness]:
            status, media, body = yield from self.transport.exchange(request)
            if status not in (200, 503) or media.split(";")[0] != "application/json":
                raise refusal(request.name, self.transport.path, status, media, body)
            readiness: Readiness = typed(Readiness, parse(request.name, body), request.name)
            return readiness

        return again(once, PATIENCE_S)

    def check(self, tray: TrayMap) -> Flow[list[Fault]]:
        """`POST /v1/trays/check`"""
        checked: Checked = yield from self._call(Checked, "POST", "/v1/trays/check", {"tray": tray_of(tray)})
        return list(checked.faults)

    def worklist(self, csv: str | None, rows: Sequence[Mapping[str, Any]] | None, tray: TrayMap | None) -> Flow[Trays]:
        """`POST /v1/trays/worklist`"""
        return self._call(Trays, "POST", "/v1/trays/worklist", self._list(csv, rows, tray))

    def _list(self, csv: str | None, rows: Sequence[Mapping[str, Any]] | None, tray: TrayMap | None) -> dict[str, Any]:
        given = {"csv": csv, "rows": None if rows is None else [dict(row) for row in rows], "tray": None if tray is None else tray_of(tray)}
        return {key: value for key, value in given.items() if value is not None}

    def held_worklist(self) -> Flow[WorklistStatus]:
        """`GET /v1/worklist`"""
        return self._call(WorklistStatus, "GET", "/v1/worklist")

    def put_worklist(self, csv: str | None, rows: Sequence[Mapping[str, Any]] | None, tray: TrayMap | None) -> Flow[WorklistStatus]:
        """`PUT /v1/worklist`"""
        return self._call(WorklistStatus, "PUT", "/v1/worklist", self._list(csv, rows, tray))

    def remove_worklist(self) -> Flow[WorklistStatus]:
        """`DELETE /v1/worklist`"""
        return self._call(WorklistStatus, "DELETE", "/v1/worklist")

    def start_scan(self, tray: TrayMap | None, next_tray: bool = False, listed: str | None = None, again: bool = False) -> Flow[ScanRecord]:
        """`POST /v1/scans`"""
        given = {"tray": None if tray is None else tray_of(tray), "next": next_tray or None, "listed": listed, "again": again or None}
        return self._call(ScanRecord, "POST", "/v1/scans", {key: value for key, value in given.items() if value is not None})

    def scans(self) -> Flow[list[ScanRecord]]:
        """`GET /v1/scans`"""
        return (yield from self._listed(ScanRecord, "GET", "/v1/scans"))

    def _listed(self, kind: Any, method: str, path: str, body: Any = None, timeout: float | None = None) -> Flow[list[Any]]:
        return list((yield from self._call(tuple[kind, ...], method, path, body, timeout)))

    def record(self, scan: str) -> Flow[ScanRecord]:
        """`GET /v1/scans/{id}`"""
        return self._call(ScanRecord, "GET", f"/v1/scans/{segment(scan)}")

    def stop_scan(self, scan: str) -> Flow[ScanRecord]:
        """`POST /v1/scans/{id}/stop`"""
        return self._call(ScanRecord, "POST", f"/v1/scans/{segment(scan)}/stop")

    def reference(self, kind: ReferenceKind, accept_change: bool) -> Flow[list[ReferenceStatus]]:
        """`POST /v1/references/{kind}`"""
        if kind not in ("dark", "white"):
            raise ValueError(f"a reference is 'dark' or 'white', not {kind!r}")
        body = {"accept_change": accept_change}
        return self._listed(ReferenceStatus, "POST", f"/v1/references/{kind}", body, REFERENCE_TIMEOUT_S)

    def lamps(self, level: float, light: str | None) -> Flow[list[DeviceStatus]]:
        """`PUT /v1/lighting`"""
        return self._listed(DeviceStatus, "PUT", "/v1/lighting", {"level": level} | ({} if light is None else {"light": light}))

    def belt(self, run: float | None, to_mm: float | None, jog: float | None, stop: bool) -> Flow[DeviceStatus]:
        """`PUT /v1/conveyor`"""
        wanted: list[dict[str, Any]] = []
        if run is not None:
            wanted.append({"action": "run", "speed_mm_per_s": run})
        if to_mm is not None:
            wanted.append({"action": "travel", "to_mm": to_mm})
        if jog is not None:
            wanted.append({"action": "jog", "speed_mm_per_s": jog})
        if stop:
            wanted.append({"action": "stop"})
        if len(wanted) != 1:
            raise ValueError("give one of run_mm_per_s, to_mm, jog_mm_per_s and stop=True")
        return self._call(DeviceStatus, "PUT", "/v1/conveyor", wanted[0])

    def encoders(self) -> Flow[list[EncoderStatus]]:
        """`GET /v1/encoders`"""
        return self._listed(EncoderStatus, "GET", "/v1/encoders")

    def replace_encoder(self, name: str, model: bytes | str | os.PathLike[str]) -> Flow[EncoderStatus]:
        """`PUT /v1/encoders/{name}`"""
        data = model if isinstance(model, bytes) else (yield Work(Path(model).read_bytes))
        path = f"/v1/encoders/{segment(name)}"
        # An empty body goes without its type, and the daemon says that it is empty.
        request = Request("PUT", path, data, "application/octet-stream", timeout=REFERENCE_TIMEOUT_S)
        encoder: EncoderStatus = typed(EncoderStatus, (yield from self.transport.json(request)), request.name)
        return encoder

    def restore_encoder(self, name: str) -> Flow[EncoderStatus]:
        """`DELETE /v1/encoders/{name}`"""
        return self._call(EncoderStatus, "DELETE", f"/v1/encoders/{segment(name)}", timeout=REFERENCE_TIMEOUT_S)

    def emergency_stop(self) -> Flow[Status]:
        """`POST /v1/stop`"""
        request = Request("POST", "/v1/stop", timeout=10.0)
        status: Status = typed(Status, (yield from self.transport.emergency_stop(request)), request.name)
        return status

    def acknowledge(self) -> Flow[Status]:
        """`POST /v1/acknowledge`"""
        return self._call(Status, "POST", "/v1/acknowledge")

    def openapi(self) -> Flow[dict[str, Any]]:
        """`GET /v1/openapi.json`"""
        return self._call(dict[str, Any], "GET", "/v1/openapi.json")

    def wait(self, scan: str, shown: Shown) -> Flow[ScanRecord]:
        """Waits for the end of a scan, shows its progress, and gives its record."""
        # Events since its start are still held.
        stream = Stream(self.transport)
        try:
            yield from stream.open()
            # It may have ended before the oldest of them.
            seen, look = 0, True
            while True:
                if look:
                    record = yield from self.record(scan)
                    if record.ended is not None:
                        shown.end(record)
                        return record
                notice: Event | EventsMissed = yield from stream.next()
                # The event of the end may be among those that were missed, or a restarted daemon no longer has it.
                look = isinstance(notice, EventsMissed) or stream.reopened != seen
                seen = stream.reopened
                if isinstance(notice, Event) and notice.scan_id == scan:
                    shown.show(notice)
                    look = look or isinstance(notice, ScanClosed)
        finally:
            yield from stream.close()


def typed(kind: Any, value: Any, call: str) -> Any:
    """A typed answer. Raises `Unreadable` where a key is missing or of another type."""
    try:
        return decode(kind, value, "")
    except Misfit as misfit:
        raise Unreadable(call, str(misfit)) from misfit
