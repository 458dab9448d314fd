"""Everything between rigs and tables is killed at seeded moments: shippers, archiver, server and link. This needs a pace of its own."""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from conftest import Archive, program, seaweed, wait_for
from link import Link
from making import Scan
from shipper import Rig
from test_troubles import ship_to, taken, whole

from hyclus_archive.place import Place

# Kills in the test. HYCLUS_KILLS asks for more.
KILLS = int(os.environ.get("HYCLUS_KILLS", "6"))
# One after the other; which shipper, and when, is seeded.
VICTIMS = ("shipper", "link", "shipper", "archiver", "shipper", "server")
# A shipper or an archiver waits for a minute at most between two tries, and a server that was killed finds its volumes again after some time.
PATIENCE_S = 150.0 + KILLS


class Killed:
    """A program that is started again after each kill."""

    def __init__(self, start: Callable[[], subprocess.Popen[Any]]) -> None:
        self._start = start
        self.process = start()

    def kill(self) -> None:
        self.end()
        self.process = self._start()

    def end(self) -> None:
        assert self.process.poll() is None, "it ended by itself"
        self.process.kill()
        self.process.wait()


def test_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    """Three rigs, one server, one archiver, and the link between them. A scan is added with each kill."""
    choice = random.Random(28)
    killed: Counter[str] = Counter()
    scans: list[Scan] = []
    (tmp_path / "weed").mkdir()
    with seaweed(tmp_path / "weed") as server, Link(server.endpoint, 28, (1_000_000, 100_000_000)) as link, ExitStack() as ending:
        options = ["--endpoint", link.endpoint, "--credentials", str(server.credentials)]
        archive = Archive(Place.open("s3://hyclus/kills", server.endpoint, credentials=server.credentials), options)
        rigs = [Rig(tmp_path, f"r{number}", ship_to(archive)) for number in (1, 2, 3)]
        shippers = [Killed(rig.start) for rig in rigs]
        log = tmp_path / "log"
        archiver = Killed(lambda: archive.start("serve", "--poll", "0.2", log=log))
        for one in (*shippers, archiver):
            ending.callback(one.end)
        for number in range(KILLS):
            # One of four is put in parts.
            raw = choice.randrange(17 << 20, 30 << 20) if number % 4 == 1 else choice.randrange(1000, 4 << 20)
            scans.append(choice.choice(rigs).scan(f"S{number}", raw))
            time.sleep(choice.uniform(0.0, 0.6))
            victim = VICTIMS[number % len(VICTIMS)]
            killed[victim] += 1
            if victim == "server":
                server.kill()
                time.sleep(choice.uniform(0.0, 0.3))
                server.launch()
            elif victim == "link":
                link.cut()
            elif victim == "archiver":
                archiver.kill()
            else:
                choice.choice(shippers).kill()
        link.heal()
        begin = time.monotonic()
        wait_for(lambda: sum(rig.shipped() for rig in rigs) == len(scans), "all scans are shipped", PATIENCE_S)
        assert [rig.trouble() for rig in rigs] == [""] * 3
        # A kill may fall between the rows of a scan and the line that says so.
        wait_for(lambda: taken(log.read_text()) >= len(scans) - killed["archiver"], "nearly all scans are taken", PATIENCE_S)
        status, errors = archive.serve_once()
        assert status == 0, errors
        caught_up = time.monotonic() - begin
        whole(archive, scans)
        by_name = {rig.name: rig for rig in rigs}
        for scan in scans:
            fetched = tmp_path / "fetched" / scan.rig
            ship = [program("hyclus-ship"), "--config", str(by_name[scan.rig].config), "fetch", scan.id, "--into", str(fetched)]
            verify = [program("hyclus"), "verify", "--data", str(fetched), scan.id]
            for command in (ship, verify):
                ran = subprocess.run(command, capture_output=True, text=True)
                assert ran.returncode == 0, ran.stdout + ran.stderr
            assert "all as scan.json says" in ran.stdout
    assert "Traceback" not in log.read_text()
    print(f"killed {dict(killed)}, {link.cuts} cuts, {len(scans)} scans, caught up after {caught_up:.0f} s")
