"""What goes wrong between rigs, `serve` and a real server: a link that is cut, a full bucket, credentials that count no more, a wrong clock."""

from __future__ import annotations

import glob
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from conftest import Archive, Server, wait_for, write_credentials
from link import Link
from making import Scan, key_of
from shipper import Rig
from test_once import each_once

from hyclus_archive.place import Place

# The shipper waits for a minute at most between two tries.
PATIENCE_S = 150.0
CUTS = 25
ROOM = "room"
FILLER_BYTES = 3 << 20


def archive_of(server: Server, bucket: str, prefix: str, endpoint: str | None = None, credentials: Path | None = None) -> Archive:
    """An archive of its own. Its commands go to an endpoint with credentials; its place goes to the server with all rights."""
    options = ["--endpoint", endpoint or server.endpoint, "--credentials", str(credentials or server.credentials)]
    return Archive(Place.open(f"s3://{bucket}/{prefix}", server.endpoint, credentials=server.credentials), options)


def ship_to(archive: Archive, credentials: Path | None = None, more: str = "") -> str:
    """The section `[ship]` of a rig."""
    endpoint, own = archive.options[1], archive.options[3]
    return f'archive = "{archive.place.name}"\nendpoint = "{endpoint}"\ncredentials = "{credentials or own}"\n{more}'


@contextmanager
def ended(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> Iterator[None]:
    """A process that must run on, and is ended then."""
    try:
        yield
        assert process.poll() is None, "it ended by itself"
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def serving(archive: Archive, log: Path) -> Iterator[Callable[[], str]]:
    """`serve` in a process of its own. Gives its log."""
    with ended(archive.start("serve", "--poll", "0.2", log=log)):
        yield log.read_text


def taken(log: str) -> int:
    return log.count("INFO took scan")


def whole(archive: Archive, scans: list[Scan]) -> None:
    """All objects are what was put, with no others beside them, and all rows are there once."""
    objects = {entry.key: archive.place.read(entry.key) for entry in archive.place.list("objects", recursive=True) if not entry.folder}
    expected = {key_of(scan, path): content for scan in scans for path, content in scan.files.items()}
    records = {key_of(scan, f"scans/{scan.id}/scan.json") for scan in scans}
    assert set(objects) == set(expected) | records
    assert not [key for key, content in expected.items() if objects[key] != content]
    each_once(archive, scans)


@pytest.fixture(scope="module", autouse=True)
def room(server: Server) -> Place:
    """A bucket with something in it. The server notices how much after seconds, in which other tests run."""
    server.shell(f"s3.bucket.create -name={ROOM}")
    place = archive_of(server, ROOM, "lab").place
    place.write("filler", os.urandom(FILLER_BYTES))
    return place


def test_a_link_that_is_cut(server: Server, tmp_path: Path) -> None:
    """The link of three rigs and of the archiver is cut after seeded numbers of bytes, in requests and in answers."""
    with ExitStack() as running, Link(server.endpoint, 28, (300, 1_000_000)) as link:
        archive = archive_of(server, "hyclus", "link", link.endpoint)
        rigs = [Rig(tmp_path, f"r{number}", ship_to(archive)) for number in (1, 2, 3)]
        # One file is put in parts.
        scans = [rig.scan(f"S{number}", 17 << 20 if rig is rigs[0] and number == 1 else 100_000) for rig in rigs for number in (1, 2, 3)]
        log = running.enter_context(serving(archive, tmp_path / "log"))
        for rig in rigs:
            running.enter_context(ended(rig.start()))
        wait_for(lambda: link.cuts >= CUTS, "the link is cut", PATIENCE_S)
        link.heal()
        for rig in rigs:
            wait_for(lambda: rig.shipped() == 3, "all scans are shipped", PATIENCE_S)
            assert rig.trouble() == ""
        wait_for(lambda: taken(log()) == len(scans), "all scans are taken", PATIENCE_S)
    whole(archive, scans)
    told = [line for rig in rigs for line in rig.log().splitlines() if " ERROR " in line]
    told += [line for line in log().splitlines() if " ERROR " in line]
    assert told and not [line for line in told if "the archive does not answer; is its server running, and the network up? (" not in line]
    assert "Traceback" not in log()


def test_a_bucket_that_is_full(server: Server, room: Place, tmp_path: Path) -> None:
    """A quota that is used up is set while a scan is shipped, and raised later. Set before, the server would act on it within a minute."""
    archive = archive_of(server, ROOM, "lab")

    def size() -> int:
        found = re.search(rf'collection:"{ROOM}".*size:(\d+)', server.shell("collection.list"))
        return int(found[1]) if found else 0

    wait_for(lambda: size() >= FILLER_BYTES, "the server knows how full the bucket is", PATIENCE_S)
    rig = Rig(tmp_path, "r1", ship_to(archive, more="max_mib_per_s = 1.0"))
    scan = rig.scan("S1", 12 << 20)
    with ended(rig.start()):
        # What comes next takes twelve seconds.
        wait_for(lambda: room.size(key_of(scan, "scans/S1/quicklook.png")) is not None, "the first files are shipped")
        server.shell(f"s3.bucket.quota -name={ROOM} -op=set -sizeMB=1", "s3.bucket.quota.enforce -apply")
        with serving(archive, tmp_path / "log") as log:
            wait_for(lambda: rig.trouble() != "" and "ERROR" in log(), "the bucket is full", PATIENCE_S)
            for text in (rig.trouble(), log()):
                assert "the archive failed inside; is it full, or the quota of the bucket used up?" in text
            status, out, _ = archive.run("status")
            assert status == 0 and "not whole yet: scan S1 of rig r1" in out
            server.shell(f"s3.bucket.quota -name={ROOM} -op=set -sizeMB=100", "s3.bucket.quota.enforce -apply")
            wait_for(lambda: rig.shipped() == 1, "the scan is shipped", PATIENCE_S)
            wait_for(lambda: taken(log()) == 1, "the scan is taken", PATIENCE_S)
        assert rig.trouble() == ""
    whole(archive, [scan])


def test_credentials_that_are_taken_away(server: Server, tmp_path: Path) -> None:
    """New ones count without a restart, and no message has a secret."""
    users = {"rig": ["a-first-secret", "a-second-secret"], "archiver": ["another-first-secret", "another-second-secret"]}
    files = {user: tmp_path / f"{user}.credentials" for user in users}

    def give(number: int) -> None:
        for user, secrets in users.items():
            server.allow(f"{user}-of-keys", f"{user}-{number}", secrets[number])
            write_credentials(files[user], f"{user}-{number}", secrets[number])

    give(0)
    archive = archive_of(server, "hyclus", "keys", credentials=files["archiver"])
    rig = Rig(tmp_path, "r1", ship_to(archive, files["rig"]))
    scans = [rig.scan("S1")]
    with serving(archive, tmp_path / "log") as log, ended(rig.start()):
        wait_for(lambda: taken(log()) == 1, "the first scan is taken", PATIENCE_S)
        for user in users:
            server.forbid(f"{user}-of-keys", f"{user}-0")
        scans.append(rig.scan("S2"))
        wait_for(lambda: rig.trouble() != "" and "ERROR" in log(), "the credentials are refused", PATIENCE_S)
        refused = "the archive refuses the credentials; put good ones into the file of "
        assert f"{refused}ship.credentials, which is read again (" in rig.trouble()
        assert f"{refused}--credentials (`serve` reads it again) (" in log()
        told = rig.trouble() + rig.log()
        give(1)
        wait_for(lambda: taken(log()) == 2, "the second scan is taken", PATIENCE_S)
        assert rig.trouble() == "" and "answers again" in log()
    whole(archive, scans)
    told += rig.log() + log()
    assert not [secret for secrets in users.values() for secret in secrets if secret in told]


@pytest.mark.parametrize("days", [-3, 3])
def test_a_clock_that_is_wrong(server: Server, tmp_path: Path, days: int) -> None:
    """S3 refuses what is signed at another time. Nothing is shipped, taken or removed until the clock is right."""
    wrong = {"LD_PRELOAD": faketime(), "FAKETIME": f"{days:+}d", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    archive = archive_of(server, "hyclus", f"clock{days}")
    # A wrong clock makes a scan old enough to be removed here.
    rig = Rig(tmp_path, "r1", ship_to(archive, more="keep_days = 1.0"))
    scan = rig.scan("S1")
    advice = "this machine's clock and the archive's differ too much; set the clock (timedatectl) ("
    assert rig.start("--once", **wrong).wait(PATIENCE_S) == 1
    assert advice in rig.trouble()
    served = archive.start("serve", "--once", **wrong)
    assert advice in served.communicate(timeout=PATIENCE_S)[1] and served.returncode == 1
    assert archive.place.list("", recursive=True) == []
    assert rig.start("--once").wait(PATIENCE_S) == 0 and rig.trouble() == ""
    assert archive.serve_once()[0] == 0
    assert rig.here(scan)
    whole(archive, [scan])


def faketime() -> str:
    """The library that gives a program another time."""
    named = os.environ.get("HYCLUS_FAKETIME")
    found = [named] if named else glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
    if not found or not os.path.exists(found[0]):
        pytest.skip("libfaketime is missing: run `make setup`, or set HYCLUS_FAKETIME")
    return found[0]
