"""Connections to the real server of NATS: what it refuses, what is told of it, and how often."""

from __future__ import annotations

import base64
import binascii
import datetime
import ipaddress
import json
import logging
import re
import traceback
from collections.abc import Mapping
from pathlib import Path

import pytest
from conftest import wait_for
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID
from eventing import PASSWORDS, PAYLOAD, Listener, Nats, announce, documented, server
from nats.js.api import AckPolicy, ConsumerConfig

from hyclus_archive.errors import ArchiveError
from hyclus_archive.events import AGAIN, SHORT_TOLD, STREAM, Events, read_credentials, server_of


def test_an_event_comes_again_where_its_look_failed(
    server: Nats, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert AGAIN == b'-NAK {"delay": 10000000000}'
    monkeypatch.setattr("hyclus_archive.events.AGAIN", b'-NAK {"delay": 50000000}')
    server.start()
    with Listener(server, caplog) as listener:
        wait_for(lambda: listener.log("events come from") == 1, "the connection")
        announce(server)
        announce(server, b"{}")
        # Sooner than the server sends one again that it hears nothing of.
        for _ in range(3):
            batch = listener.batches.get(timeout=20)
            assert batch.scans == [("rig-1", "A")]
            batch.looked(False)
        listener.batches.get(timeout=20).looked(True)
        wait_for(lambda: server.waiting() == 0, "acknowledgements")
        assert listener.log("is not from hyclus-ship") == 1, "it does not come again"


def test_a_refused_acknowledgement_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is told with the first of the connections that end by it, and then no more: each gets events, and so comes up."""
    page = documented()
    allowed = ', "$JS.ACK.HYCLUS.hyclus-archive.>"'
    assert page.count(allowed) == 1
    server = Nats(tmp_path, page.replace(allowed, ""))
    server.start()
    try:
        with Listener(server, caplog) as listener:
            wait_for(lambda: listener.log("events come from") == 1, "the connection")
            for number in range(4):
                # Each connection gets an event of its own, as one that is not acknowledged comes again after half a minute.
                announce(server, PAYLOAD.replace(b"A", b"%d" % number))
                batch = listener.batches.get(timeout=30)
                assert batch.scans == [("rig-1", str(number))]
                batch.looked(True)
                wait_for(lambda: listener.events._short == number + 1, "the end of the connection")
            assert listener.log("no events from") == listener.log("events come from") == SHORT_TOLD
            # nats-py gives the server's message in small letters.
            assert listener.log('permissions violation for publish to "$js.ack.hyclus.hyclus-archive.') == SHORT_TOLD
    finally:
        server.kill()


def test_a_connection_that_lasts_is_told(server: Nats, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hyclus_archive.events.SHORT_TOLD", 0)
    monkeypatch.setattr("hyclus_archive.events.LASTS_S", 0.0)
    server.start()
    with Listener(server, caplog) as listener:
        wait_for(lambda: listener.log("events come from") == 1, "the connection")
        for number in range(2, 5):
            server.kill()
            wait_for(lambda: listener.log("no events from") == number - 1, "the end of the server")
            server.start()
            wait_for(lambda: listener.log("events come from") == number, "the next connection")
        assert listener.events._short == 0


def test_a_stream_that_cannot_be_made_is_told_with_its_reason(server: Nats, caplog: pytest.LogCaptureFixture) -> None:
    server.start()
    server.ask("admin", lambda client: client.jetstream().add_stream(name="OTHER", subjects=["hyclus.>"]))
    with Listener(server, caplog) as listener:
        wait_for(lambda: listener.log("no events from") == 1, "the refusal")
        assert listener.log("subjects overlap with an existing stream") == 1
        server.ask("admin", lambda client: client.jetstream().delete_stream("OTHER"))
        wait_for(lambda: listener.log("events come from") == 1, "the stream")


def test_a_consumer_that_cannot_be_made_is_told_with_its_reason(server: Nats, caplog: pytest.LogCaptureFixture) -> None:
    server.start()
    queued = {"name": STREAM, "subjects": ["hyclus.>"], "retention": "workqueue"}
    server.ask("admin", lambda client: client.jetstream().add_stream(**queued))
    other = ConsumerConfig(durable_name="other", ack_policy=AckPolicy.EXPLICIT)
    server.ask("admin", lambda client: client.jetstream().add_consumer(STREAM, other))
    with Listener(server, caplog) as listener:
        wait_for(lambda: listener.log("no events from") == 1, "the refusal")
        assert listener.log("consumer") == 1 and listener.log("NotFound") == 0 and listener.log("workqueue") == 1


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


URLS = ["nats://me:hidden@host:4222", "nats://hidden@host", "nats://me:hid[den@host:4222", "nats://me:hid\u2100den@host:4222"]
URLS += ["nats://me:hid\uff20den", "nats://[hidden", "http://host", "nats://", "nats://host:0", "nats://host:65536", "nats://host/x"]


@pytest.mark.parametrize("url", URLS)
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(ArchiveError, match="--events: ") as error:
        server_of(url, None, {})
    assert not re.search("hid", "".join(traceback.format_exception(error.value)))
    assert ("NATS_PASSWORD" in str(error.value)) == ("@" in url)


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
