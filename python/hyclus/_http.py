"""HTTP/1.1 as the control socket speaks it: a reader of answers, and one call per connection."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from ._flow import Close, Connect, Effect, Flow, Pause, Receive, Send
from .errors import Broken, Busy, HyclusError, NotAllowed, NotReady, Refused, Unreadable
from .models import Fault

PROBLEM_JSON = "application/problem+json"
BUSY_KIND = "urn:hyclus:problem:busy"
PATIENCE_S = 5.0
"""A call is made again for so long while too many connections are open."""
STOP_PATIENCE_S = 20.0
"""The same for the emergency stop."""
RETRY_S = 0.02
MOST_HEAD_BYTES = 1 << 16
MOST_BODY_BYTES = 1 << 30


class WireError(Exception):
    """The bytes are no answer of HTTP/1.1."""


class Cut(WireError):
    """The connection ended before the answer did."""


@dataclass(frozen=True)
class Request:
    """A call. `timeout` is the longest silence in seconds."""

    method: str
    path: str
    body: bytes = b""
    media: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    timeout: float | None = 60.0

    @property
    def name(self) -> str:
        """Method and path, as errors name the call."""
        return f"{self.method} {self.path}"

    def encode(self) -> bytes:
        """The bytes on the wire."""
        lines = [f"{self.method} {self.path} HTTP/1.1", "host: localhost", "connection: close"]
        if self.body:
            lines.append(f"content-type: {self.media}")
        if self.body or self.method != "GET":
            lines.append(f"content-length: {len(self.body)}")
        lines += [f"{name}: {value}" for name, value in self.headers]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8") + self.body


def segment(text: str) -> str:
    """A segment of a path, percent-encoded."""
    return quote(text, safe="-._~")


@dataclass
class Answer:
    """Reads an answer from bytes in any portions. `feed(b"")` tells the end of the stream."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    done: bool = False
    _buffer: bytearray = field(default_factory=bytearray)
    _length: int | None = None
    _chunked: bool = False
    _left: int | None = None
    _trailers: bool = False

    def feed(self, data: bytes) -> bytes:
        """Takes bytes and gives those of the body.

        Raises `WireError` where they are no answer, or where it ends before its end.
        """
        self._buffer += data
        if not self.status and not self._head():
            if not data:
                raise Cut("it ended before the answer")
            return b""
        body = self._body()
        if not data and not self.done:
            if self._chunked or self._length is not None:
                raise Cut("it ended in the middle of the answer")
            self.done = True
        return body

    def _head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > MOST_HEAD_BYTES:
                raise WireError("its head is too large")
            return False
        lines = bytes(self._buffer[:end]).decode("latin-1").split("\r\n")
        del self._buffer[: end + 4]
        version, _, rest = lines[0].partition(" ")
        code = rest[:3]
        if version not in ("HTTP/1.1", "HTTP/1.0") or not (code.isascii() and code.isdigit() and len(code) == 3):
            raise WireError(f"{lines[0][:80]!r} is no status line of HTTP/1.1")
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if not colon:
                raise WireError(f"{line[:80]!r} is no header")
            self.headers[name.strip().lower()] = value.strip()
        if code[0] == "1":
            # An interim answer. The real one follows.
            self.headers.clear()
            return self._head()
        self.status = int(code)
        self._chunked = "chunked" in self.headers.get("transfer-encoding", "").lower()
        length = self.headers.get("content-length")
        if not self._chunked and length is not None:
            if not (length.isascii() and length.isdigit()):
                raise WireError(f"its length {length[:40]!r} is no number")
            self._length = self._left = int(length)
        if self.status in (204, 304):
            self._length = self._left = 0
        return True

    def _body(self) -> bytes:
        if self._chunked:
            return self._chunks()
        if self._left is None:
            body = bytes(self._buffer)
            self._buffer.clear()
            return body
        body = bytes(self._buffer[: self._left])
        del self._buffer[: len(body)]
        self._left -= len(body)
        self.done = self._left == 0
        return body

    def _chunks(self) -> bytes:
        body = bytearray()
        while not self.done:
            if self._left:
                part = self._buffer[: self._left]
                del self._buffer[: len(part)]
                body += part
                self._left -= len(part)
                if self._left:
                    break
            end = self._buffer.find(b"\r\n")
            if end < 0:
                break
            line = bytes(self._buffer[:end])
            if self._trailers:
                self.done = not line
            elif self._left == 0:
                # The end of the data of a chunk.
                if line:
                    raise WireError("a chunk is longer than it says")
                self._left = None
            else:
                try:
                    self._left = int(line.split(b";")[0].strip() or b"-", 16)
                except ValueError:
                    raise WireError(f"{line[:40]!r} is no length of a chunk") from None
                if self._left == 0:
                    self._trailers, self._left = True, None
            del self._buffer[: end + 2]
        return bytes(body)


@dataclass
class Opened:
    """A connection on which the head of the answer has come."""

    handle: Any
    answer: Answer
    first: bytes

    def read(self, path: str) -> Flow[bytes]:
        """Further bytes of the body. Nothing at its end."""
        if self.first:
            first, self.first = self.first, b""
            return first
        while not self.answer.done:
            data = yield Receive(self.handle)
            try:
                body = self.answer.feed(data)
            except WireError as error:
                raise Broken(path, str(error)) from error
            if body:
                return body
        return b""


@dataclass(frozen=True)
class Transport:
    """The socket, and the person for whom calls are made."""

    path: str
    person: str | None = None

    def open(self, request: Request) -> Flow[Opened]:
        """Sends a request and waits for the head of the answer. It is made once."""
        headers = request.headers + ((("x-hyclus-for", self.person),) if self.person else ())
        request = Request(request.method, request.path, request.body, request.media, headers, request.timeout)
        handle = yield Connect(self.path, request.timeout)
        try:
            answer = Answer()
            try:
                yield Send(handle, request.encode())
            except Broken as error:
                # The daemon speaks first where it turns a connection away. Its answer is read below.
                sending: Broken | None = error
            else:
                sending = None
            body = b""
            while not answer.status:
                try:
                    data = yield Receive(handle)
                    body = answer.feed(data)
                except WireError as error:
                    if sending is not None:
                        raise sending from None
                    if isinstance(error, Cut):
                        raise Broken(self.path, str(error)) from error
                    raise Unreadable(request.name, str(error)) from error
            return Opened(handle, answer, body)
        except BaseException:
            yield from closing(handle)
            raise

    def exchange(self, request: Request) -> Flow[tuple[int, str, bytes]]:
        """A call, once: status, media type and body of its answer."""
        opened = yield from self.open(request)
        try:
            body = bytearray()
            while data := (yield from opened.read(self.path)):
                body += data
                if len(body) > MOST_BODY_BYTES:
                    raise Unreadable(request.name, f"it is longer than {MOST_BODY_BYTES >> 20} MiB")
            return opened.answer.status, opened.answer.headers.get("content-type", ""), bytes(body)
        finally:
            yield from closing(opened.handle)

    def send(self, request: Request) -> Flow[bytes]:
        """A call, again while too many connections are open. Gives the body. Refusals are raised."""

        def once() -> Flow[bytes]:
            status, media, body = yield from self.exchange(request)
            if 200 <= status < 300:
                return body
            raise refusal(request.name, self.path, status, media, body)

        body: bytes = yield from again(once, PATIENCE_S)
        return body

    def json(self, request: Request) -> Flow[Any]:
        """The same. Gives the body as JSON."""
        return parse(request.name, (yield from self.send(request)))

    def emergency_stop(self, request: Request) -> Flow[Any]:
        """The same for 20 s, also where the connection breaks: to stop twice does no harm."""
        return (yield from again(lambda: self.json(request), STOP_PATIENCE_S, Broken))


def closing(handle: Any) -> Flow[None]:
    """Closes a handle."""
    yield Close(handle)


def again(once: Callable[[], Flow[Any]], patience_s: float, *also: type[HyclusError]) -> Flow[Any]:
    """Makes a call again while it fails for want of a connection."""
    begin = time.monotonic()
    reasons: tuple[type[HyclusError], ...] = (Busy, *also)
    while True:
        try:
            return (yield from once())
        except reasons:
            if time.monotonic() - begin >= patience_s:
                raise
        pause: Effect = Pause(RETRY_S)
        yield pause


def parse(call: str, body: bytes) -> Any:
    """A body as JSON."""
    try:
        return json.loads(body)
    except ValueError as error:
        raise Unreadable(call, f"it is no JSON ({error})") from error


def refusal(call: str, path: str, status: int, media: str, body: bytes) -> HyclusError:
    """The error for an answer that is no success."""
    problem: Any = None
    if media.split(";")[0].strip().lower() == PROBLEM_JSON:
        try:
            problem = json.loads(body)
        except ValueError:
            problem = None
    if not isinstance(problem, dict):
        problem = {"type": "about:blank", "title": "", "detail": f"{call} was answered with {status}"}
    problem["status"] = status
    if status == 503 and problem.get("type") == BUSY_KIND:
        return Busy(path)
    kind: type[Refused] = {409: NotReady, 403: NotAllowed}.get(status, Refused)
    return kind(problem, Fault.list_of(problem.get("faults")))
