"""A server that answers as a test says: broken connections, other versions, wrong and slow replies."""

from __future__ import annotations

import json
import socket
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

Script = Callable[[socket.socket], None]


class Fake:
    """Serves one script per connection, in order, and the last one again. `requests` has the heads that came."""

    def __init__(self, *scripts: Script, backlog: int = 16) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.path = str(Path(self.folder.name) / "s")
        self.scripts, self.requests = scripts, list[str]()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(backlog)
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Fake:
        self.thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.ended.set()
        # It wakes the thread that accepts.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(10)
        self.folder.cleanup()

    def _serve(self) -> None:
        number = 0
        while not self.ended.is_set():
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(10)
                try:
                    head = b""
                    while b"\r\n\r\n" not in head and (data := connection.recv(1 << 16)):
                        head += data
                    self.requests.append(head.decode())
                    self.scripts[min(number, len(self.scripts) - 1)](connection)
                except OSError:
                    pass
            number += 1


def raw(data: bytes) -> Script:
    """Sends bytes and hangs up."""
    return lambda connection: connection.sendall(data)


def answer(value: Any, status: int = 200, media: str = "application/json") -> Script:
    """Answers with JSON."""
    body = json.dumps(value).encode()
    return raw(f"HTTP/1.1 {status} X\r\ncontent-type: {media}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)


def problem(status: int, kind: str = "about:blank", **more: Any) -> Script:
    """Answers with a problem document."""
    return answer({"type": kind, "title": "T", "status": status, "detail": "D", **more}, status, "application/problem+json")


def stream(*messages: dict[str, Any] | str, then: Script | None = None) -> Script:
    """Sends events, each a JSON object, or text as it is. Then it hangs up, or goes on."""

    def script(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        for message in messages:
            text = message
            if not isinstance(text, str):
                text = f"id: {text['id']}\nevent: {text['event']}\ndata: {json.dumps(message)}\n\n"
            connection.sendall(f"{len(text.encode()):x}\r\n{text}\r\n".encode())
        if then is not None:
            then(connection)

    return script


def silent(connection: socket.socket) -> None:
    """Says nothing until the other side hangs up."""
    while connection.recv(1 << 16):
        pass


def event(number: int, kind: str = "warning", **keys: Any) -> dict[str, Any]:
    """An event."""
    return {"id": number, "time": "2026-01-01T00:00:00Z", "event": kind, **({"message": str(number)} if kind == "warning" else {}), **keys}
