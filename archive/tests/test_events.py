"""Events of rigs by the real server of NATS: a scan is taken at once, and nothing else changes."""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import nats
import pytest
from conftest import Archive, wait_for
from eventing import PASSWORDS, Listener, Nats, announce, server
from making import Scan, make_scan, ship
from shipper import Rig
from test_serve import counts, expected

from hyclus_archive.errors import ArchiveError
from hyclus_archive.events import BATCH, STREAM, Batch, announced
from hyclus_archive.place import Place
from hyclus_archive.serve import Archiver, _between, _Told
from hyclus_archive.tables import SCHEMAS, open_table


class Served:
    """`hyclus-archive serve` in a process of its own, with its log."""

    def __init__(self, archive: Archive, *arguments: str) -> None:
        self.process = archive.start("serve", *arguments)
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)

    def log(self, text: str) -> int:
        """Lines with a text."""
        assert self.process.poll() is None, "".join(self.lines)
        return sum(text in line for line in list(self.lines))

    def end(self) -> str:
        """Ends it as systemd does. Returns its log."""
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0 and time.monotonic() - begun < 10
        self._reader.join()
        text = "".join(self.lines)
        assert "Traceback" not in text and not any(password in text for password in PASSWORDS.values())
        return text


@pytest.fixture
def served(place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Served]]:
    """Starts `serve` as the user `archiver`, and sees that it ends."""
    monkeypatch.setenv("NATS_USER", "archiver")
    monkeypatch.setenv("NATS_PASSWORD", PASSWORDS["NATS_ARCHIVER"])
    started: list[Served] = []

    def start(*arguments: str) -> Served:
        started.append(Served(Archive(place, []), *arguments))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.wait()


def taken(place: Place, *scans: Scan) -> Callable[[], bool]:
    """Whether the tables have these scans."""

    def look() -> bool:
        try:
            return counts(place) == expected(*scans)
        except ArchiveError:
            # A table is not made yet.
            return False

    return look


def versions(place: Place) -> dict[str, int]:
    return {name: open_table(place, name).version() for name in SCHEMAS}


def names(place: Place) -> list[str]:
    return sorted(str(path) for path in Path(place.root).rglob("*"))


FORGED = {
    "an unknown scan": b'{"rig": "rig-1", "scan": "nowhere", "revision": 1}',
    "an unknown rig": b'{"rig": "..", "scan": "..", "revision": -1}',
    "a path": b'{"rig": "../..", "scan": "../../../etc", "revision": 1}',
    "a line": b'{"rig": "rig-1\\n", "scan": "S1", "revision": 1}',
    "no text": b'{"rig": ["rig-1"], "scan": 7}',
    "huge": b'{"rig": "rig-1", "scan": "S1", "more": "' + b"x" * 900_000 + b'"}',
    "no JSON": b"\xff\xfe\x00look at me",
    "deep": b"[" * 4000,
    "a list": b"[]",
    "nothing": b"",
}


async def double(client: nats.NATS) -> None:
    """Publishes more events of one scan than are handed over at once."""
    for _ in range(3 * BATCH):
        await client.publish("hyclus.scan.rig-1", b'{"rig": "rig-1", "scan": "S1", "revision": 1}')
    await client.flush()


async def forge(client: nats.NATS) -> int:
    """Publishes all sorts of things. Returns how many of them name no scan."""
    for payload in FORGED.values():
        await client.publish("hyclus.scan.rig-1", payload)
    await client.publish("hyclus.scan.\x1b[31m", b"{}")
    # As if the server had said it, to those who read headers.
    for status in ("404", "408", "503", "409", "100"):
        await client.publish("hyclus.scan.rig-1", b'{"rig": "rig-1", "scan": "nowhere"}', headers={"Status": status})
    await client.flush()
    return len(FORGED) - 2 + 1


def forge_bytes(port: int) -> int:
    """Publishes what no client library would: a subject and headers that are no UTF-8."""
    password = PASSWORDS["NATS_ADMIN"]
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connect = {"verbose": False, "headers": True, "user": "admin", "pass": password}
        header = b"NATS/1.0 \xff\xfe\xfd\r\n\r\n"
        connection.sendall(b"CONNECT " + json.dumps(connect).encode() + b"\r\n")
        connection.sendall(b"PUB hyclus.scan.\xff\xfe 2\r\n{}\r\n")
        connection.sendall(b"HPUB hyclus.scan.rig-1 %d %d\r\n" % (len(header), len(header) + 2) + header + b"{}\r\n")
        connection.sendall(b"PING\r\n")
        while b"PONG" not in (found := connection.recv(1 << 16)):
            assert found and b"-ERR" not in found
    return 2


def test_a_scan_is_taken_at_its_event(server: Nats, place: Place, served: Callable[..., Served], tmp_path: Path) -> None:
    server.start()
    scans = [make_scan(tmp_path, "rig-1", f"S{number}", number) for number in range(3)]
    ship(place, scans[0])
    process = served("--events", server.url, "--poll", "3600")
    wait_for(lambda: taken(place, scans[0])() and process.log("events come from") == 1, "the first look")

    for number in (1, 2):
        ship(place, scans[number])
        assert not server.publish(scans[number])
        wait_for(taken(place, *scans[: number + 1]), "the event")
    wait_for(lambda: server.waiting() == 0, "acknowledgements")

    # Doubled by the shipper, which the server sees, and under other names, which it does not see.
    before, files = versions(place), names(place)
    assert server.publish(scans[1])
    server.ask("rig-1", double)
    wrong = server.ask("admin", forge) + forge_bytes(server.port)
    wait_for(lambda: server.waiting() == 0, "forged events")
    assert versions(place) == before and names(place) == files and counts(place) == expected(*scans)

    later = make_scan(tmp_path, "rig-1", "S1", 1, samples=3)
    ship(place, later, 2, only={path for path in later.files if later.files[path] != scans[1].files.get(path)})
    server.publish(later, 2)
    wait_for(taken(place, scans[0], later, scans[2]), "the later revision")
    log = process.end()
    assert log.count("is not from hyclus-ship") == wrong and log.count("WARNING") == wrong and "ERROR" not in log
    assert log.count("'hyclus.scan.\\x1b[31m'") == 1 and "\x1b" not in log


def test_a_scan_is_taken_when_the_shipper_says_so(server: Nats, place: Place, served: Callable[..., Served], tmp_path: Path) -> None:
    """`hyclus-ship` with the permissions that the documents give it."""
    server.start()
    process = served("--events", server.url, "--poll", "3600")
    wait_for(lambda: process.log("events come from") == 1, "the archiver")
    rig = Rig(tmp_path, "rig-1", f'archive = "{place.root}"\nevents = "{server.url}"')
    shipper = rig.start(NATS_USER="rig-1", NATS_PASSWORD=PASSWORDS["NATS_RIG_1"])
    try:
        scans = [rig.scan("S1")]
        wait_for(taken(place, *scans), "the first scan")
        scans.append(rig.scan("S2"))
        wait_for(taken(place, *scans), "the second scan")
    finally:
        shipper.terminate()
        shipper.wait(30)
    wait_for(lambda: server.waiting() == 0, "acknowledgements")
    log = process.end()
    assert "WARNING" not in log + rig.log() and "ERROR" not in log + rig.log() and PASSWORDS["NATS_RIG_1"] not in rig.log()


def test_without_the_server_the_listing_takes_scans(
    server: Nats, place: Place, served: Callable[..., Served], tmp_path: Path
) -> None:
    scans = [make_scan(tmp_path, "rig-1", f"S{number}", number) for number in range(4)]
    process = served("--events", server.url, "--poll", "0.3")
    ship(place, scans[0])
    wait_for(lambda: taken(place, scans[0])() and process.log("no events from") == 1, "the first look")
    server.start()
    wait_for(lambda: process.log("events come from") == 1, "the server")
    ship(place, scans[1])
    server.publish(scans[1])
    wait_for(lambda: taken(place, *scans[:2])() and server.waiting() == 0, "an event")

    server.kill()
    wait_for(lambda: process.log("no events from") == 2, "the end of the server")
    ship(place, scans[2])
    wait_for(taken(place, *scans[:3]), "the listing")
    server.start()
    server.publish(scans[2])
    ship(place, scans[3])
    server.publish(scans[3])
    # A server that is killed may have lost an acknowledgement, and then sends the first event again, half a minute later.
    wait_for(lambda: taken(place, *scans)() and server.waiting() <= 1, "events after the restart")
    log = process.end()
    assert log.count("WARNING") == 2 and log.count("events come from") == 2 and "ERROR" not in log


def test_an_existing_stream_is_taken_as_it_is(server: Nats, caplog: pytest.LogCaptureFixture) -> None:
    server.start()
    server.ask("admin", lambda client: client.jetstream().add_stream(name=STREAM, subjects=["hyclus.>"], max_msgs=77))
    with Listener(server, caplog) as listener:
        wait_for(lambda: listener.log("events come from") == 1, "the connection")
        info = server.ask("admin", lambda client: client.jetstream().stream_info(STREAM))
        assert info.config.max_msgs == 77 and info.config.subjects == ["hyclus.>"]
        announce(server, b'{"rig": "rig-1", "scan": "A", "seal": 2, "archive": "x"}')
        batch = listener.batches.get(timeout=30)
        assert batch.scans == [("rig-1", "A")] and server.waiting() == 1, "it is acknowledged after the look"
        # What comes meanwhile waits at the server.
        announce(server)
        assert listener.batches.empty()
        batch.looked(True)
        listener.batches.get(timeout=30).looked(True)
        wait_for(lambda: server.waiting() == 0, "acknowledgements")
        server.ask("admin", lambda client: client.jetstream().delete_stream(STREAM))
        wait_for(lambda: listener.log("events come from") == 2, "the stream is made anew")
        info = server.ask("admin", lambda client: client.jetstream().stream_info(STREAM)).config
        assert info.subjects == ["hyclus.scan.>"] and info.storage == "file" and info.discard == "old"
        assert (info.max_age, info.max_msgs, info.duplicate_window) == (7 * 86400, 1_000_000, 7200)
    assert not listener.events._thread.is_alive()


def test_what_an_event_hears_of_its_look(place: Place, tmp_path: Path) -> None:
    """Where the archive is away it comes again. A damaged scan's does not, as the listing looks at that."""
    scan = make_scan(tmp_path, "r1", "A", 1)
    archiver = Archiver(place, reopen=lambda: Place.open(place.name))
    assert archiver.look() == 0
    ship(place, scan)
    place.delete(f"{scan.prefix}/quicklook.png")
    told, wake = _Told(archiver), queue.SimpleQueue[Batch | None]()
    heard: list[bool] = []

    def looked(through: bool) -> None:
        heard.append(through)
        wake.put(None)

    def event() -> None:
        wake.put(Batch([("r1", "A")], looked))
        _between(archiver, told, threading.Event(), wake, 60.0)

    away = Path(f"{place.root}-away")
    Path(place.root).rename(away)
    event()
    away.rename(place.root)
    event()
    assert heard == [False, True] and archiver.look() == 1


def test_what_an_event_says() -> None:
    assert announced(b'{"rig": "rig-1", "scan": "20260101T000000Z-T1", "revision": 3}') == ("rig-1", "20260101T000000Z-T1")
    for name, payload in FORGED.items():
        assert (announced(payload) is not None) == name.startswith("an unknown"), name


def test_a_look_out_of_turn(place: Place, tmp_path: Path) -> None:
    scans = [make_scan(tmp_path, "r1", name, number) for number, name in enumerate(("A", "B"))]
    for scan in scans:
        ship(place, scan)
    archiver = Archiver(place)
    assert archiver.look_at([("r1", "B"), ("r1", "nowhere"), ("r2", "B")]) == 0
    assert counts(place) == expected(scans[1])
    before = {name: look.at for name, look in archiver._settled.items()}
    for _ in range(20):
        archiver.look_at([("r1", "B")])
    assert {name: look.at for name, look in archiver._settled.items()} == before, "it puts off no look in turn"
    assert archiver.look() == 0 and counts(place) == expected(*scans)


def test_nats_is_not_needed_without_events(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import sys; from hyclus_archive.cli import main; status = main(sys.argv[1:])\n"
    code += "sys.exit(status or ','.join(sorted({name.split('.')[0] for name in sys.modules} & {'nats', 'cryptography'})) or 0)"
    words = [sys.executable, "-c", code, "serve", place.name, "--once"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    found = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    assert found.returncode == 0, found.stderr

    monkeypatch.setitem(sys.modules, "nats", None)
    for name in [name for name in sys.modules if name.startswith("nats.") or name == "hyclus_archive.events"]:
        monkeypatch.delitem(sys.modules, name)
    for number in (signal.SIGTERM, signal.SIGINT):
        monkeypatch.setattr(signal, "signal", lambda *_: None)
    status, _, errors = Archive(place, []).run("serve", "--events", "nats://127.0.0.1:1")
    assert status == 1 and "pip install 'hyclus-archive[events]'" in errors
