"""Server-sent events, resumed behind broken connections."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field

from ._decode import Misfit
from ._flow import Flow, Pause
from ._http import PATIENCE_S, Opened, Request, Transport, again, closing, refusal
from .errors import Broken, Busy, HyclusError, NotRunning, Unreadable
from .events import Event, EventsMissed, event_of

PATH = "/v1/events"
LAGGED = "lagged"
SILENCE_S = 60.0
"""The daemon sends a comment every 15 s. A stream that is silent for longer than this is dead."""
ATTEMPTS = 5
"""Attempts to reopen a lost stream. They last long enough for systemd to restart the daemon."""
RETRY_S = 1.0


@dataclass
class Message:
    """A message of a stream."""

    event: str
    data: str


@dataclass
class Parser:
    """Reads a stream (WHATWG HTML, section 9.2) from bytes in any portions."""

    ready: deque[Message] = field(default_factory=deque)
    _line: bytearray = field(default_factory=bytearray)
    _carriage: bool = False
    _event: str = ""
    _data: list[str] = field(default_factory=list)

    def feed(self, data: bytes) -> None:
        """Takes bytes. Whole messages are then in `ready`."""
        if self._carriage and data.startswith(b"\n"):
            data = data[1:]
        if data:
            self._carriage = data.endswith(b"\r")
        pieces = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        for piece in pieces[:-1]:
            self._line += piece
            self._end_of_line(bytes(self._line).decode("utf-8", "replace"))
            self._line.clear()
        self._line += pieces[-1]

    def _end_of_line(self, line: str) -> None:
        if not line:
            # An event without data is no message.
            if self._data:
                self.ready.append(Message(self._event, "\n".join(self._data)))
            self._event, self._data = "", []
            return
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._event = value
        elif name == "data":
            self._data.append(value)


@dataclass
class Stream:
    """Events in order. A broken connection is reopened behind the last event that was read."""

    transport: Transport
    last: int | None = None
    """Number of the last event that was read."""
    reopened: int = 0
    """How often the connection was lost."""
    _parser: Parser = field(default_factory=Parser)
    _opened: Opened | None = None

    def open(self) -> Flow[None]:
        """Connects. Refusals are raised."""
        headers = () if self.last is None else (("last-event-id", str(self.last)),)
        request = Request("GET", PATH, headers=headers, timeout=SILENCE_S)

        def once() -> Flow[Opened]:
            opened = yield from self.transport.open(request)
            if opened.answer.status == 200:
                return opened
            body = bytearray()
            while data := (yield from opened.read(self.transport.path)):
                body += data
            yield from closing(opened.handle)
            answer = opened.answer
            raise refusal(request.name, self.transport.path, answer.status, answer.headers.get("content-type", ""), bytes(body))

        self._parser = Parser()
        self._opened = yield from again(once, PATIENCE_S)

    def next(self) -> Flow[Event | EventsMissed]:
        """The next event. Waits for it."""
        attempts = 0
        while True:
            if self._parser.ready:
                return self._read(self._parser.ready.popleft())
            if self._opened is None:
                if attempts > 0:
                    yield Pause(RETRY_S)
                attempts += 1
                self.reopened += 1
                try:
                    yield from self.open()
                except (NotRunning, Broken, Busy):
                    if attempts >= ATTEMPTS:
                        raise
                continue
            lost: HyclusError | None = None
            try:
                data = yield from self._opened.read(self.transport.path)
            except Broken as error:
                data, lost = b"", error
            if data:
                self._parser.feed(data)
                continue
            yield from self.close()
            if attempts >= ATTEMPTS:
                raise lost or Broken(self.transport.path, "the daemon ends the stream of events each time")

    def close(self) -> Flow[None]:
        """Hangs up."""
        opened, self._opened = self._opened, None
        if opened is not None:
            yield from closing(opened.handle)

    def _read(self, message: Message) -> Event | EventsMissed:
        try:
            value = json.loads(message.data)
            if message.event == LAGGED:
                missed = value.get("missed") if isinstance(value, dict) else None
                return EventsMissed(missed if isinstance(missed, int) else None)
            event = event_of(value)
        except (ValueError, Misfit) as error:
            raise Unreadable(f"GET {PATH}", f"the data of an event `{message.event}`: {error}") from error
        self.last = event.id
        return event
