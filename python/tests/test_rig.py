"""The client against a real daemon on the simulated rig."""

from __future__ import annotations

import asyncio
import io
import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import PATIENCE_S, PYTHON, TRAY, Daemon, program

from hyclus import AsyncRig, Detached, Event, EventsMissed, Incomplete, NotReady, Refused, Rig, Scan, TrayError, Unreadable, events, tray_of
from hyclus.progress import Terminal


@pytest.fixture
def rig(daemon: Daemon) -> Rig:
    return Rig(daemon.socket, data=daemon.data)


@pytest.fixture
def slow_rig(slow: Daemon) -> Iterator[Rig]:
    rig = Rig(slow.socket, data=slow.data)
    yield rig
    until(rig, "idle")


@pytest.fixture(scope="session")
def scan(daemon: Daemon) -> Scan:
    """A scan of the demo's tray."""
    return Rig(daemon.socket, data=daemon.data).scan(TRAY, progress=False)


def until(rig: Rig, *states: str) -> None:
    """Waits until the rig is in a state."""
    deadline = time.monotonic() + PATIENCE_S
    for notice in rig.events():
        if rig.status().state in states:
            return
        assert time.monotonic() < deadline, notice


def tray() -> dict[str, Any]:
    return tray_of(TRAY)


def rounded(text: str) -> Any:
    """JSON with 12 digits: the daemon reads `scan.json` again, and the last digit of a number may differ."""
    return json.loads(text, parse_float=lambda number: f"{float(number):.12g}")


def test_the_status_is_that_of_the_program(daemon: Daemon, rig: Rig, scan: Scan) -> None:
    told = subprocess.run([program("hyclus"), "--json", "--socket", daemon.socket, "status"], capture_output=True, check=True)
    judge, status = json.loads(told.stdout), rig.status()
    assert (status.state, status.rig, status.version) == (judge["state"], "simulated", judge["version"])
    assert [device.raw["device"] for device in status.devices] == [device["device"] for device in judge["devices"]]
    assert {(each.camera, each.kind) for each in status.references} == {(c, k) for c in ("vnir", "swir") for k in ("dark", "white")}
    assert status.disk_free_bytes > 1 << 20 and status.scan is None
    assert rig.ready().ready and rig.ready().missing == ()


def test_a_scan_has_every_sample_and_its_books_balance(daemon: Daemon, rig: Rig, scan: Scan) -> None:
    names = {container["sample"] for container in tray()["container"]}
    assert scan.complete and {sample.sample for sample in scan.record.samples} == names
    assert scan.record.embeddings == sum(sample.valid for sample in scan.record.samples) > 10_000
    for counts in scan.record.cameras.values():
        assert counts.received + counts.lost == counts.expected > 100 and counts.lost == 0
    judge = (daemon.data / "scans" / scan.id / "scan.json").read_text()
    assert rounded(json.dumps(scan.record.raw)) == rounded(judge) and rig.record(scan.id) == scan.record
    assert scan.id in [record.id for record in rig.scans()]
    assert rig.attach(scan.id).record == scan.record and "complete, 12 samples" in repr(scan)
    shares = scan.record.samples[0].minerals
    assert shares is not None and shares.pixels > 1000 and len(shares.groups) == 2
    assert all(0 <= share.share <= 1 for group in shares.groups for share in group.minerals.values())


def test_trays_are_checked_however_they_are_given(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "tray.json").write_text(json.dumps(tray()))
    for given in (TRAY, str(TRAY), tmp_path / "tray.json", tray()):
        assert rig.check(given) == []
    wrong = tray()
    wrong["container"][3]["sample"] = "../etc"
    del wrong["container"][4]["plant"]
    faults = rig.check(wrong)
    assert [fault.path for fault in faults] == ["container[3].sample", "container[4].plant"]
    with pytest.raises(Refused, match="fault") as caught:
        rig.scan(wrong)
    assert (caught.value.status, caught.value.kind) == (422, "urn:hyclus:problem:invalid")
    assert [str(fault) for fault in caught.value.faults] == [f"tray.{fault}" for fault in faults]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.toml", "tray = ", "is not TOML"),
        ("a.json", "{", "is not JSON"),
        ("a.json", "[]", "holds no object"),
        ("a.toml", "tray = \"T\"\nmonth = 2018-07-03", "Write dates as texts"),
        ("a.toml", "x_mm = nan", "numbers as finite ones"),
    ],
)
def test_a_tray_that_cannot_be_read_says_why(rig: Rig, tmp_path: Path, name: str, text: str, words: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(TrayError, match=words):
        rig.check(tmp_path / name)
    with pytest.raises(TrayError, match="cannot be read: No such file"):
        rig.scan(tmp_path / "none.toml")


def test_a_worklist_becomes_trays(rig: Rig) -> None:
    trays = rig.worklist("sample,plant,at\nore-1,P1,A1\nore-2,P2,A2\n").trays
    assert [len(sheet.tray["container"]) for sheet in trays] == [2]
    rows = rig.worklist(rows=[{"sample": "ore-1", "plant": "P1", "at": "A1"}]).trays
    assert rows[0].tray["container"][0]["sample"] == "ore-1"
    with pytest.raises(Refused, match="csv"):
        rig.worklist()


def test_belt_lamps_and_references(rig: Rig, scan: Scan) -> None:
    assert {(each.kind, each.camera) for each in rig.reference("dark")} >= {("dark", "vnir"), ("dark", "swir")}
    assert all(each.noise_counts > 0 for each in rig.reference("white") if each.kind == "white")
    lights = [device for device in rig.lamps(0.5, "led") if device.device == "light"]
    assert {light.name: light.raw["state"]["level"] for light in lights}["led"] == 0.5
    assert all(not light.raw["state"]["on"] for light in rig.lamps(0.0))
    assert rig.belt(run_mm_per_s=20.0).raw["state"]["moving"]
    assert rig.belt(stop=True).device == "conveyor"
    for wrong in ({}, {"to_mm": 1.0, "stop": True}):
        with pytest.raises(ValueError, match="give one of"):
            rig.belt(**wrong)  # type: ignore[arg-type]
    with pytest.raises(Refused) as caught:
        rig.lamps(0.5, "moon")
    assert caught.value.status == 404
    with pytest.raises(Refused, match="level"):
        rig.lamps(1.5)
    with pytest.raises(ValueError, match="'dark' or 'white'"):
        rig.reference("grey")  # type: ignore[arg-type]


def test_encoders(rig: Rig) -> None:
    (encoder,) = rig.encoders()
    assert (encoder.encoder, encoder.dimensions, encoder.replaced) == ("main", 4, False)
    with pytest.raises(Refused) as caught:
        rig.replace_encoder("main", b"no model")
    assert caught.value.status == 422 and rig.encoders() == [encoder]
    assert rig.restore_encoder("main").replaced is False


def test_an_unknown_scan(rig: Rig) -> None:
    for call in (rig.record, rig.attach, rig.stop_scan):
        with pytest.raises(Refused, match="there is no scan") as caught:
            call("../x y")
        assert (caught.value.status, caught.value.kind) == (404, "urn:hyclus:problem:unknown")


def test_events_are_typed_and_resume(rig: Rig, scan: Scan) -> None:
    of_scan: list[Event] = []
    for notice in rig.events():
        assert not isinstance(notice, EventsMissed) and type(notice) is events.KINDS[notice.event]
        if notice.scan_id == scan.id:
            of_scan.append(notice)
        if isinstance(notice, events.ScanClosed) and notice.scan == scan.id:
            break
    assert isinstance(of_scan[0], events.ScanStarted)
    stored = [event.record for event in of_scan if isinstance(event, events.SampleStored)]
    assert {record.sample for record in stored} == {sample.sample for sample in scan.record.samples}
    assert sum(event.rows for event in of_scan if isinstance(event, events.PartClosed)) == scan.record.embeddings
    progress = [event.progress for event in of_scan if isinstance(event, events.ScanProgress)]
    assert progress and all(each.scan == scan.id and set(each.cameras) == {"vnir", "swir"} for each in progress)
    again = rig.events(last_event_id=of_scan[2].id)
    assert next(again).id == of_scan[2].id + 1  # type: ignore[union-attr]
    again.close()


def test_progress_on_a_terminal(slow_rig: Rig) -> None:
    seen: list[Event] = []
    scan = slow_rig.scan(TRAY, progress=seen.append)
    stream = io.StringIO()
    shown = Terminal(stream)
    for event in seen:
        shown.show(event)
    shown.end(scan.record)
    lines = stream.getvalue().split("\r\x1b[K")
    told = sum(isinstance(event, events.ScanProgress) for event in seen)
    assert stream.getvalue().count("\n") == 1 and told > 2 and len(lines) == told + 2
    assert "[" in lines[1] and " lines, 0 lost" in lines[1]
    assert lines[-1] == f"{scan.id}  12 samples  {scan.record.embeddings} embeddings  complete"[:79] + "\n"


def test_progress_in_a_notebook_is_one_display(slow_rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand-ins for IPython, which is no dependency. They take what its `display` and handle take."""
    texts: list[tuple[str, str]] = []

    class Handle:
        def update(self, data: dict[str, str], raw: bool) -> None:
            texts.append(("update", data["text/plain"]))

    def display(data: dict[str, str], raw: bool, display_id: bool) -> Handle:
        texts.append(("display", data["text/plain"]))
        return Handle()

    ipython, module = types.ModuleType("IPython"), types.ModuleType("IPython.display")
    vars(ipython)["get_ipython"] = lambda: types.SimpleNamespace(kernel=object())
    vars(module)["display"] = display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    scan = slow_rig.scan(TRAY)
    assert [how for how, _ in texts] == ["display"] + ["update"] * (len(texts) - 1) and len(texts) > 2
    assert " lines, 0 lost" in texts[0][1] and texts[-1][1] == f"{scan.id}  12 samples  {scan.record.embeddings} embeddings  complete"
    # A shell of IPython in a terminal has no kernel, and gets a line or nothing.
    vars(ipython)["get_ipython"] = lambda: types.SimpleNamespace()
    slow_rig.scan(TRAY)
    assert texts[-1][1].startswith(scan.id)


def test_only_a_terminal_shows_progress(slow: Daemon) -> None:
    """A program whose standard error is a pipe shows nothing. On a pseudo-terminal it shows one line."""
    code = f"import hyclus; hyclus.Rig({str(slow.socket)!r}).scan({str(TRAY)!r})"
    environment = {**os.environ, "PYTHONPATH": f"{PYTHON}:{os.environ.get('PYTHONPATH', '')}"}
    piped = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment, timeout=PATIENCE_S, check=True)
    assert (piped.stdout, piped.stderr) == (b"", b"")
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "wb") as terminal:
        process = subprocess.Popen([sys.executable, "-c", code], stderr=terminal, env=environment)
    shown = b""
    while True:
        try:
            data = os.read(ours, 1 << 16)
        except OSError:
            # The other end is closed.
            break
        if not data:
            break
        shown += data
    os.close(ours)
    assert process.wait(PATIENCE_S) == 0
    assert b" lines, 0 lost" in shown and shown.count(b"\n") == 1


def test_a_function_gets_every_event_of_a_scan(rig: Rig) -> None:
    seen: list[Event] = []
    scan = rig.scan(tray(), progress=seen.append)
    assert {event.scan_id for event in seen} == {scan.id}
    assert isinstance(seen[-1], events.ScanClosed) and isinstance(seen[0], events.ScanStarted)


def test_a_scan_that_is_stopped_is_incomplete_and_kept(slow_rig: Rig) -> None:
    scan = slow_rig.scan(TRAY, wait=False)
    assert scan.complete is None and "running" in repr(scan)
    with pytest.raises(NotReady) as caught:
        slow_rig.scan(TRAY)
    assert (caught.value.status, caught.value.kind) == (409, "urn:hyclus:problem:not-ready")
    until(slow_rig, "scanning")
    progress = slow_rig.status().scan
    assert progress is not None and progress.scan == scan.id
    with pytest.raises(NotReady):
        slow_rig.lamps(0.1)
    scan.stop()
    with pytest.raises(Incomplete, match="stopped.*What was scanned is kept") as ended:
        scan.wait(progress=False)
    assert ended.value.record.complete is False and scan.record == ended.value.record == scan.refresh()
    with pytest.raises(NotReady):
        scan.stop()


def test_an_emergency_stop_latches(slow_rig: Rig) -> None:
    scan = slow_rig.scan(TRAY, wait=False)
    until(slow_rig, "scanning")
    assert slow_rig.emergency_stop().state in ("draining", "faulted")
    with pytest.raises(Incomplete, match="emergency stop"):
        scan.wait(progress=False)
    until(slow_rig, "faulted")
    assert "emergency stop" in (slow_rig.status().cause or "") and not slow_rig.ready().ready
    assert slow_rig.ready().missing[0].what == "fault"
    with pytest.raises(NotReady, match="acknowledge"):
        slow_rig.scan(TRAY)
    assert slow_rig.acknowledge().state == "idle"
    with pytest.raises(NotReady):
        slow_rig.acknowledge()


def test_control_c_detaches_and_the_scan_goes_on(slow_rig: Rig) -> None:
    def interrupt(event: Event) -> None:
        if isinstance(event, events.ScanProgress):
            # As a terminal does: to the main thread, while it waits for the next event.
            threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGINT)).start()

    # A program that was started in the background ignores the signal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(Detached, match=r"goes on. rig.attach\(") as caught:
            slow_rig.scan(TRAY, progress=interrupt)
    finally:
        signal.signal(signal.SIGINT, before)
    assert isinstance(caught.value, KeyboardInterrupt)
    scan = slow_rig.attach(caught.value.scan)
    assert scan.complete is None
    assert scan.wait(progress=False).complete is True and len(scan.record.samples) == 12


def test_the_asynchronous_client_does_the_same(slow: Daemon) -> None:
    async def use() -> None:
        rig = AsyncRig(slow.socket, data=slow.data)
        assert (await rig.status()).state == "idle" and (await rig.ready()).ready
        assert await rig.check(TRAY) == [] and (await rig.worklist("sample,at\nx,A1\n")).trays
        assert [encoder.encoder for encoder in await rig.encoders()] == ["main"]
        with pytest.raises(Refused):
            await rig.scan({})
        scan = await rig.scan(TRAY, wait=False)
        rows, kinds = 0, set()

        async def watch() -> None:
            async for notice in rig.events():
                assert isinstance(notice, Event)
                if notice.scan_id == scan.id:
                    kinds.add(type(notice))
                    if isinstance(notice, events.ScanClosed):
                        return

        watching = asyncio.create_task(watch())
        # A program may give up waiting: the scan goes on.
        waiting = asyncio.create_task(scan.wait(progress=False))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        async for batch in scan.follow():
            rows += batch.num_rows
        record = await scan.wait(progress=False)
        await watching
        assert record.complete and rows == record.embeddings == scan.embeddings().count_rows()
        assert {events.ScanStarted, events.ScanProgress, events.SampleStored, events.PartClosed, events.ScanClosed} <= kinds
        assert (await rig.attach(scan.id)).complete and scan.id in [each.id for each in await rig.scans()]
        while (await rig.status()).pending_minerals:
            # A busy machine identifies samples after the scan.
            await asyncio.sleep(0.1)
        assert len(scan.samples()) == 12 and scan.minerals().count_rows() > 10_000
        assert (await rig.belt(to_mm=0.0)).device == "conveyor" and await rig.lamps(0.0)
        assert (await rig.emergency_stop()).state == "faulted" and (await rig.acknowledge()).state == "idle"

    asyncio.run(asyncio.wait_for(use(), PATIENCE_S))


def test_a_call_that_is_cancelled_hangs_up(daemon: Daemon) -> None:
    async def use() -> None:
        rig = AsyncRig(daemon.socket)
        for _ in range(50):
            stream = rig.events()
            await anext(stream)
            await stream.aclose()
        # Places for followers are few: those that hung up are free again.
        assert (await rig.status()).state

    asyncio.run(asyncio.wait_for(use(), PATIENCE_S))


def test_errors_name_the_version(rig: Rig) -> None:
    with pytest.raises(Unreadable, match="GET /v1/metrics cannot be read.*daemon's version"):
        from hyclus._flow import drive

        drive(rig._calls._call(dict[str, Any], "GET", "/v1/metrics"))
