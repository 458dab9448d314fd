"""Broken connections, daemons of other versions, wrong replies and slow ones, by a server that is not the daemon."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake import Fake, answer, event, problem, raw, silent, stream

from hyclus import (
    AsyncRig,
    Broken,
    Busy,
    EventsMissed,
    Forbidden,
    HyclusError,
    NotAllowed,
    NotReady,
    NotRunning,
    Refused,
    Rig,
    Unreadable,
    _http,
    _stream,
)
from hyclus.errors import forbidden

STATUS: dict[str, Any] = {
    "state": "idle", "cause": None, "rig": "r", "version": "9.9.9", "devices": [], "references": [], "disk_free_bytes": 1, "queues": {},
    "scan": None,
}  # fmt: skip


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts follow each other faster than outside of tests."""
    monkeypatch.setattr(_http, "PATIENCE_S", 0.3)
    monkeypatch.setattr(_stream, "PATIENCE_S", 0.3)
    monkeypatch.setattr(_http, "STOP_PATIENCE_S", 0.3)
    monkeypatch.setattr(_stream, "RETRY_S", 0.01)


def both(path: str, timeout: float = 5.0) -> list[Callable[[], Any]]:
    """The same call by both clients."""
    return [Rig(path, timeout=timeout).status, lambda: asyncio.run(AsyncRig(path, timeout=timeout).status())]


def each_fails(fake: Fake, error: type[HyclusError], words: str, timeout: float = 5.0) -> None:
    for call in both(fake.path, timeout):
        with pytest.raises(error, match=words):
            call()


def test_a_later_daemon_may_say_more() -> None:
    later = STATUS | {"state": "levitating", "mood": {"good": True}, "scan": None}
    with Fake(answer(later)) as fake:
        for call in both(fake.path):
            status = call()
            assert (status.state, status.version, status.raw["mood"]) == ("levitating", "9.9.9", {"good": True})


def test_a_key_that_is_missing_is_named() -> None:
    less = {key: value for key, value in STATUS.items() if key != "disk_free_bytes"}
    with Fake(answer(less)) as fake:
        each_fails(fake, Unreadable, r"GET /v1/status cannot be read: disk_free_bytes is missing.*Is the client of the daemon's version\?")
    with Fake(answer(STATUS | {"devices": [{"device": "camera", "model": 3, "connected": True}]})) as fake:
        each_fails(fake, Unreadable, r"devices\[0\]\.model is a whole number, and must be a text")


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        (b"", Broken, "broke: it ended before the answer. Look at status"),
        (b"HTTP/1.1 200 OK\r\nconten", Broken, "it ended before the answer"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{\"state\"", Broken, "it ended in the middle of the answer"),
        (b"220 mail.example.org ESMTP\r\n\r\n", Unreadable, "no status line of HTTP"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n<html", Unreadable, "it is no JSON"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]", Unreadable, "the document is a list, and must be an object"),
        (b"HTTP/1.1 404 Not Found\r\ncontent-length: 6\r\n\r\n<html>", Refused, "GET /v1/status was answered with 404"),
    ],
)
def test_wrong_replies(data: bytes, error: type[HyclusError], words: str) -> None:
    with Fake(raw(data)) as fake:
        each_fails(fake, error, words)


def test_a_slow_reply_ends_the_call_and_drops_of_one_do_not() -> None:
    def drops(connection: socket.socket) -> None:
        ticks = threading.Event()
        body = b'{"state":"idle","cause":null,"rig":"r","version":"1","devices":[],"references":[],"disk_free_bytes":1,"scan":null}'
        for byte in b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body:
            connection.sendall(bytes([byte]))
            ticks.wait(0.002)

    with Fake(silent) as fake:
        begin = time.monotonic()
        each_fails(fake, Broken, "no answer came in 0.2 s. Look at status", timeout=0.2)
        assert time.monotonic() - begin < 5
    with Fake(drops) as fake:
        assert [call().rig for call in both(fake.path, timeout=0.2)] == ["r", "r"]


def test_refusals() -> None:
    kinds: list[tuple[int, type[Refused]]] = [(409, NotReady), (403, NotAllowed), (422, Refused), (507, Refused)]
    for status, kind in kinds:
        with Fake(problem(status, "urn:hyclus:problem:x", more=[1])) as fake:
            for call in both(fake.path):
                with pytest.raises(kind) as caught:
                    call()
                assert (type(caught.value), caught.value.status, str(caught.value)) == (kind, status, "D")
                assert caught.value.problem["more"] == [1]
    assert issubclass(NotAllowed, Forbidden)


def test_a_busy_daemon_is_asked_again() -> None:
    busy = problem(503, _http.BUSY_KIND)
    for call in (0, 1):
        with Fake(busy, busy, answer(STATUS)) as fake:
            assert both(fake.path)[call]().state == "idle"
            assert len(fake.requests) == 3
    with Fake(busy) as fake:
        each_fails(fake, Busy, "too many connections are open on .*try again")
        assert len(fake.requests) > 4


def test_a_full_queue_of_connections_is_busy(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listener, contextlib.ExitStack() as waiting:
        listener.bind(path)
        # It never accepts.
        listener.listen(0)
        with pytest.raises(BlockingIOError):
            for _ in range(100):
                other = waiting.enter_context(socket.socket(socket.AF_UNIX))
                other.setblocking(False)
                other.connect(path)
        for call in both(path):
            with pytest.raises(Busy, match="too many connections"):
                call()


def test_nobody_there(tmp_path: Path) -> None:
    for call in both(str(tmp_path / "s")):
        words = r"nothing answers on .*/s: No such file or directory.*systemctl status hyclusd.*HYCLUS_SOCKET"
        with pytest.raises(NotRunning, match=words):
            call()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
    for call in both(str(tmp_path / "s")):
        with pytest.raises(NotRunning, match="Connection refused"):
            call()


def test_a_socket_that_is_not_ours(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.touch()
    assert "its group is not one to join" in str(forbidden("/dev/null")) and "is not one to join" in str(forbidden(str(tmp_path / "none")))
    if os.geteuid() == 0:
        os.chown(path, 0, 1)
        assert "join its group (`sudo usermod -aG daemon $USER`)" in str(forbidden(str(path)))
        return
    with socket.socket(socket.AF_UNIX) as listener:
        path.unlink()
        listener.bind(str(path))
        listener.listen()
        path.chmod(stat.S_IRUSR)
        for call in both(str(path)):
            with pytest.raises(Forbidden, match="you may not connect to"):
                call()


def test_the_emergency_stop_is_made_again() -> None:
    with Fake(raw(b""), problem(503, _http.BUSY_KIND), answer(STATUS | {"state": "faulted"})) as fake:
        assert Rig(fake.path).emergency_stop().state == "faulted"
        assert [head.split(" HTTP")[0] for head in fake.requests] == ["POST /v1/stop"] * 3
    with Fake(raw(b"")) as fake:
        with pytest.raises(Broken):
            Rig(fake.path).emergency_stop()
    with Fake(raw(b"")) as fake:
        with pytest.raises(Broken):
            Rig(fake.path).acknowledge()
        assert len(fake.requests) == 1, "what may have been done is not made again"


def test_the_person_is_named() -> None:
    with Fake(answer(STATUS)) as fake:
        Rig(fake.path, person="María").status()
        assert "x-hyclus-for: María\r\n" in fake.requests[0]
    for name in ("", " ", "a\r\nb: c", "x" * 65):
        with pytest.raises(ValueError, match="person must be a name"):
            Rig(person=name)


# Events.


def numbers(notices: list[Any]) -> list[Any]:
    return [("missed", notice.count) if isinstance(notice, EventsMissed) else notice.id for notice in notices]


def followed(path: str, count: int, last: int | None = None) -> list[list[Any]]:
    """The first events, by both clients."""

    async def follow() -> list[Any]:
        events = AsyncRig(path).events(last)
        found = [await anext(events) for _ in range(count)]
        await events.aclose()
        return numbers(found)

    events = Rig(path).events(last)
    first = numbers([next(events) for _ in range(count)])
    events.close()
    return [first, asyncio.run(follow())]


def test_events_resume_behind_the_last_one() -> None:
    cut = raw(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n20\r\nid: 9\nevent: w")
    scripts = [stream(event(1), ": keep-alive\n\n", event(2)), cut, raw(b""), stream(event(3), event(4), then=silent)]
    with Fake(*scripts, *scripts) as fake:
        assert followed(fake.path, 4) == [[1, 2, 3, 4]] * 2
        asked = [next((line for line in head.split("\r\n") if line.startswith("last-event-id")), None) for head in fake.requests]
        assert asked == [None, *["last-event-id: 2"] * 3] * 2


def test_missed_events_are_said() -> None:
    lagged = ['event: lagged\ndata: {"missed": 5}\n\n', 'event: lagged\ndata: {"missed": null}\n\n']
    with Fake(stream(lagged[0], event(9), lagged[1], event(1), then=silent)) as fake:
        assert followed(fake.path, 4, last=3) == [[("missed", 5), 9, ("missed", None), 1]] * 2
        assert all("last-event-id: 3\r\n" in head for head in fake.requests)


def test_a_daemon_that_does_not_come_back() -> None:
    with Fake(stream(event(1)), raw(b"")) as fake:
        events = Rig(fake.path).events()
        assert next(events).id == 1  # type: ignore[union-attr]
        with pytest.raises(Broken):
            next(events)
        assert len(fake.requests) == 1 + _stream.ATTEMPTS
    with Fake(stream(then=raw(b"0\r\n\r\n"))) as fake:
        with pytest.raises(Broken, match="ends the stream of events each time"):
            next(Rig(fake.path).events())


def test_a_dead_stream_is_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_stream, "SILENCE_S", 0.1)
    with Fake(stream(event(1), then=silent), stream(event(2), then=silent)) as fake:
        events = Rig(fake.path).events()
        assert numbers([next(events), next(events)]) == [1, 2]
        events.close()


def test_events_that_cannot_be_read_or_followed() -> None:
    with Fake(stream("event: state\ndata: {]\n\n", then=silent)) as fake, pytest.raises(Unreadable, match="GET /v1/events.*`state`"):
        next(Rig(fake.path).events())
    with Fake(stream(event(1, "part_closed", scan="x"), then=silent)) as fake, pytest.raises(Unreadable, match="path is missing"):
        next(Rig(fake.path).events())
    with Fake(problem(429)) as fake, pytest.raises(Refused) as caught:
        Rig(fake.path).events()
    assert caught.value.status == 429


# Waiting for a scan.


def record(ended: bool) -> dict[str, Any]:
    return {
        "format_version": 1, "id": "x", "tray": {"tray": "T", "keys": [], "grid": None, "containers": []}, "started": "t",
        "ended": "t" if ended else None, "complete": True if ended else None, "reason": None, "cameras": {}, "samples": [], "missing": [],
        "warnings": [], "embeddings": 3, "files": [], "version": "1", "configuration_sha256": "", "encoder_sha256": None,
    }  # fmt: skip


def test_a_scan_that_ends_unseen_is_found_to_have_ended() -> None:
    """The stream breaks, and the daemon no longer has the event of the end."""
    scripts = [answer(record(False), 201), stream(event(1, "scan_started", scan="x")), answer(record(False)), raw(b""),
               stream(event(1)), answer(record(True))]  # fmt: skip
    with Fake(*scripts) as fake:
        scan = Rig(fake.path).scan({"tray": "T"}, progress=False)
        assert (scan.complete, scan.record.embeddings) == (True, 3)


def test_missed_events_make_it_look() -> None:
    lagged = 'event: lagged\ndata: {"missed": 1}\n\n'

    async def scan() -> bool | None:
        return (await AsyncRig(fake.path).scan({"tray": "T"}, progress=False)).complete

    scripts = [answer(record(False), 201), stream(event(1), lagged), answer(record(False)), answer(record(True))]
    with Fake(*scripts) as fake:
        # One connection at a time is served: the stream has ended, and its bytes wait.
        assert asyncio.run(scan()) is True
