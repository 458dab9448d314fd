"""A link to a server that is cut. It forwards bytes as they are, so that signatures hold."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
import time
from collections.abc import Iterable
from urllib.parse import urlparse

# A socket that is closed with this option ends by a reset.
RESET = struct.pack("ii", 1, 0)


class Link:
    """Forwards a port to a server. After a seeded number of bytes it ends all connections, and refuses new ones for a seeded time.

    The bytes of both directions count, and all of them are forwarded up to the cut: it falls into requests and answers alike.
    """

    def __init__(self, endpoint: str, seed: int, bytes: tuple[int, int], down_s: tuple[float, float] = (0.0, 0.3)) -> None:
        """bytes: least and most between two cuts. down_s: least and most seconds without a link."""
        url = urlparse(endpoint)
        self.server = (url.hostname, url.port)
        self.cuts = 0
        self._random = random.Random(seed)
        self._bytes = bytes
        self._down_s = down_s
        self._lock = threading.Lock()
        self._closed = False
        self._sockets: set[socket.socket] = set()
        # Bytes until the next cut. None: the link is whole.
        self._left: int | None = self._next()
        # It keeps the port while nobody listens there.
        self._holder = self._bound(0)
        self.port = self._holder.getsockname()[1]
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self._listener: socket.socket | None = None
        self._listen()

    def __enter__(self) -> Link:
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        self._end(reset=True)
        self._holder.close()

    def cut(self) -> None:
        """Cuts now, and returns when the link is whole again."""
        with self._lock:
            if self._left == 0:
                return
            if self._left is not None:
                self._left = 0
        self._cut()

    def heal(self) -> None:
        """Cuts no more."""
        with self._lock:
            self._left = None

    def _next(self) -> int:
        # As many cuts fall after 1 to 10 kB as after 10 to 100 kB.
        least, most = self._bytes
        return round(least * (most / least) ** self._random.random())

    @staticmethod
    def _bound(port: int) -> socket.socket:
        made = socket.socket()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind(("127.0.0.1", port))
        return made

    def _listen(self) -> None:
        with self._lock:
            if self._closed:
                return
            listener = self._listener = self._bound(self.port)
            listener.listen()
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                try:
                    server = socket.create_connection(self.server)
                except OSError:
                    client.close()
                    continue
                with self._lock:
                    alive = self._listener is listener
                    if alive:
                        self._sockets |= {client, server}
                if not alive:
                    _close((client, server), reset=True)
                    return
                for source, target in ((client, server), (server, client)):
                    source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    threading.Thread(target=self._forward, args=(source, target), daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                with self._lock:
                    cut = self._left is not None and len(data) >= self._left > 0
                    if self._left is not None:
                        data = data[: self._left] if cut else data
                        # 0 is a cut link.
                        self._left = max(0, self._left - len(data))
                target.sendall(data)
                if cut:
                    self._cut()
            target.shutdown(socket.SHUT_WR)
            return
        with self._lock:
            self._sockets -= {source, target}
        _close((source, target), reset=True)

    def _cut(self) -> None:
        self.cuts += 1
        self._end(reset=self._random.random() < 0.5)
        time.sleep(self._random.uniform(*self._down_s))
        with self._lock:
            if self._left is not None:
                self._left = self._next()
        self._listen()

    def _end(self, reset: bool) -> None:
        """Ends all connections, by a reset or in order, and listens no more."""
        with self._lock:
            sockets, self._sockets = self._sockets, set()
            listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                # Closing alone leaves `accept` waiting, and with it the port open.
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        _close(sockets, reset)


def _close(sockets: Iterable[socket.socket], reset: bool) -> None:
    for one in sockets:
        with contextlib.suppress(OSError):
            if reset:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            # This wakes the thread that receives from it, and only then it is closed.
            one.shutdown(socket.SHUT_RD if reset else socket.SHUT_RDWR)
        one.close()
