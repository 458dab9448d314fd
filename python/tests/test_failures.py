"""A daemon that crashes in the middle of a scan, and one that makes a scan again at its end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import TRAY, Daemon, configuration, launch

from hyclus import AsyncRig, Busy, Event, EventsMissed, HyclusError, Incomplete, Rig, Superseded, _calls, _http, _stream, events


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon that a test may kill, or start again in the same folder."""
    daemon = launch(tmp_path, configuration("real_time", 3.0))
    yield daemon
    daemon.end()


def crash(daemon: Daemon) -> None:
    """Kills the daemon, and starts it again."""
    daemon.process.kill()
    daemon.process.wait()
    again = launch(daemon.folder)
    daemon.process, daemon.log = again.process, again.log


def test_a_crash_during_a_scan_is_seen_and_nothing_comes_twice(own: Daemon) -> None:
    rig = Rig(own.socket, data=own.data)
    scan = rig.scan(TRAY, wait=False)
    followed = rig.events()
    for notice in followed:
        if isinstance(notice, events.PartClosed):
            break
    rows = scan.follow()
    begun = next(rows).num_rows
    crash(own)
    # The recovered scan closes as incomplete. Those who wait are told, though the events of the first daemon are gone.
    with pytest.raises(Incomplete) as ended:
        scan.wait(progress=False)
    assert ended.value.record.complete is False and ended.value.record.samples
    after = next(followed)
    assert isinstance(after, (EventsMissed, Event))
    followed.close()
    try:
        begun += sum(batch.num_rows for batch in rows)
    except Superseded:
        # The recovery made the rows again, and said so.
        return
    assert begun == ended.value.record.embeddings


def test_a_crash_while_waiting(own: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_stream, "RETRY_S", 0.2)
    monkeypatch.setattr(_stream, "ATTEMPTS", 100)

    async def use() -> None:
        rig = AsyncRig(own.socket, data=own.data)
        scan = await rig.scan(TRAY, wait=False)
        moving = asyncio.Event()

        def show(event: Event) -> None:
            if isinstance(event, events.ScanProgress):
                moving.set()

        waiting = asyncio.create_task(scan.wait(progress=show))
        await moving.wait()
        await asyncio.to_thread(crash, own)
        with pytest.raises(Incomplete):
            await waiting

    asyncio.run(asyncio.wait_for(use(), 60))


def test_a_daemon_that_ends_for_good(own: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_stream, "RETRY_S", 0.01)
    rig = Rig(own.socket)
    followed = rig.events()
    own.end()
    with pytest.raises(HyclusError, match="nothing answers on|broke"):
        for _ in followed:
            pass


def test_rows_that_are_made_again_are_said(tmp_path: Path) -> None:
    """The dark level moves. The scan is made again from its recording before it closes, and its parts are replaced."""
    text = configuration("real_time", 3.0)
    assert text.count("bits = 12\n") == 1
    daemon = launch(tmp_path, text.replace("bits = 12\n", "bits = 12\ndark_drift_per_h = 3600.0\n"))
    try:
        rig = Rig(daemon.socket, data=daemon.data)
        scan = rig.scan(TRAY, wait=False)
        with pytest.raises(Superseded, match="made again"):
            for batch in scan.follow():
                assert batch.num_rows
        record = scan.wait(progress=False)
        assert any("the scan was made again" in warning for warning in record.warnings)
        assert scan.embeddings().count_rows() == record.embeddings == sum(batch.num_rows for batch in scan.follow()) > 10_000
    finally:
        daemon.end()


def test_a_daemon_without_free_places(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others hold every place. Calls are busy, the emergency stop is not, and calls work once there are places."""
    monkeypatch.setattr(_http, "PATIENCE_S", 0.3)
    monkeypatch.setattr(_calls, "PATIENCE_S", 0.3)
    rig = Rig(daemon.socket)
    with contextlib.ExitStack() as held:
        busy = False
        for number in range(2000):
            other = held.enter_context(socket.socket(socket.AF_UNIX))
            other.setblocking(False)
            try:
                other.connect(str(daemon.socket))
            except BlockingIOError:
                continue
            if number % 50 == 49:
                try:
                    rig.status()
                except Busy:
                    busy = True
                    break
        assert busy
        with pytest.raises(Busy, match="too many connections are open"):
            rig.ready()
        assert rig.emergency_stop().state == "faulted"
    monkeypatch.setattr(_http, "PATIENCE_S", 20.0)
    assert rig.acknowledge().state == "idle"
