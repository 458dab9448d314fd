"""Protocol logic without input and output.

A flow is a generator. It yields what it needs (a connection, bytes, a pause) and is sent the outcome. So each call is written
once, and is driven by blocking sockets or by asyncio.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

from .errors import Broken, Busy, HyclusError, NotRunning, forbidden

T = TypeVar("T")

RECEIVE_BYTES = 1 << 16


@dataclass(frozen=True)
class Connect:
    """Open the socket `path`. Each later wait for bytes lasts at most `timeout` seconds. Gives a handle."""

    path: str
    timeout: float | None


@dataclass(frozen=True)
class Send:
    """Send bytes on a handle."""

    handle: Any
    data: bytes


@dataclass(frozen=True)
class Receive:
    """Wait for bytes on a handle. Gives them, or nothing at the end of the stream."""

    handle: Any


@dataclass(frozen=True)
class Close:
    """Close a handle."""

    handle: Any


@dataclass(frozen=True)
class Pause:
    """Wait for some seconds."""

    seconds: float


@dataclass(frozen=True)
class Work:
    """Do work that blocks, such as reading a file. Gives its result."""

    work: Callable[[], Any]


Effect = Connect | Send | Receive | Close | Pause | Work
Flow = Generator[Effect, Any, T]


def connection_error(path: str, error: OSError) -> HyclusError:
    """What a failed connection means."""
    if isinstance(error, PermissionError):
        return forbidden(path)
    # The kernel's queue of connections is full.
    if error.errno in (errno.EAGAIN, errno.EWOULDBLOCK):
        return Busy(path)
    return NotRunning(path, error.strerror or str(error))


def broken(path: str, error: Exception, timeout: float | None) -> Broken:
    """What a failed transfer means."""
    if isinstance(error, TimeoutError):
        return Broken(path, f"no answer came in {timeout:g} s" if timeout is not None else "no answer came")
    return Broken(path, getattr(error, "strerror", None) or str(error))


def connected(path: str) -> socket.socket:
    """A connection that does not block. The kernel gives it at once, or EAGAIN, of which asyncio would make a connection."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        connection.connect(path)
    except OSError as error:
        connection.close()
        raise connection_error(path, error) from error
    return connection


class _Handle:
    """A blocking connection."""

    def __init__(self, effect: Connect) -> None:
        self.path, self.timeout = effect.path, effect.timeout
        self.socket = connected(effect.path)
        self.socket.settimeout(effect.timeout)

    def do(self, effect: Send | Receive) -> bytes | None:
        try:
            if isinstance(effect, Receive):
                return self.socket.recv(RECEIVE_BYTES)
            self.socket.sendall(effect.data)
            return None
        except OSError as error:
            raise broken(self.path, error, self.timeout) from error


def _perform(effect: Effect) -> Any:
    if isinstance(effect, Connect):
        return _Handle(effect)
    if isinstance(effect, Pause):
        return time.sleep(effect.seconds)
    if isinstance(effect, Work):
        return effect.work()
    if isinstance(effect, Close):
        return effect.handle.socket.close()
    return effect.handle.do(effect)


def drive(flow: Flow[T]) -> T:
    """Runs a flow on blocking sockets."""
    try:
        effect = next(flow)
        while True:
            try:
                outcome = _perform(effect)
            except BaseException as error:
                effect = flow.throw(error)
            else:
                effect = flow.send(outcome)
    except StopIteration as end:
        result: T = end.value
        return result


class _AsyncHandle:
    """A connection of asyncio."""

    def __init__(self, effect: Connect, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.path, self.timeout, self.reader, self.writer = effect.path, effect.timeout, reader, writer

    @classmethod
    async def open(cls, effect: Connect) -> _AsyncHandle:
        reader, writer = await asyncio.open_unix_connection(sock=connected(effect.path))
        return cls(effect, reader, writer)

    async def do(self, effect: Send | Receive) -> bytes | None:
        try:
            if isinstance(effect, Receive):
                return await asyncio.wait_for(self.reader.read(RECEIVE_BYTES), self.timeout)
            self.writer.write(effect.data)
            await asyncio.wait_for(self.writer.drain(), self.timeout)
            return None
        # Before Python 3.11 asyncio has a TimeoutError of its own.
        except asyncio.TimeoutError as error:
            raise broken(self.path, TimeoutError(), self.timeout) from error
        except OSError as error:
            raise broken(self.path, error, self.timeout) from error

    def close(self) -> None:
        with contextlib.suppress(OSError, RuntimeError):
            self.writer.close()


async def _perform_async(effect: Effect) -> Any:
    if isinstance(effect, Connect):
        return await _AsyncHandle.open(effect)
    if isinstance(effect, Pause):
        return await asyncio.sleep(effect.seconds)
    if isinstance(effect, Work):
        return await asyncio.to_thread(effect.work)
    if isinstance(effect, Close):
        return effect.handle.close()
    return await effect.handle.do(effect)


async def drive_async(flow: Flow[T]) -> T:
    """Runs a flow on asyncio. A cancelled call closes its connection."""
    try:
        effect = next(flow)
        while True:
            try:
                outcome = await _perform_async(effect)
            except BaseException as error:
                effect = flow.throw(error)
            else:
                effect = flow.send(outcome)
    except StopIteration as end:
        result: T = end.value
        return result
