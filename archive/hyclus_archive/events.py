"""Events of rigs, by NATS JetStream. An event says `look at this scan now`, and nothing else of it is believed.

The listing stays the truth: an event that is lost, doubled, wrong or forged changes nothing but when a scan is looked at.
This module alone imports nats-py, and `serve` imports it where it is asked for events.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import logging
import os
import re
import stat
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nats.errors
import nats.js.errors
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, DiscardPolicy, RetentionPolicy, StorageType, StreamConfig

from .errors import ArchiveError
from .place import server_url
from .shipped import RIG, SCAN

log = logging.getLogger("hyclus-archive")

STREAM = "HYCLUS"
SUBJECTS = "hyclus.scan.>"
CONSUMER = "hyclus-archive"
# Of a stream that does not exist yet. The shipper makes the same one.
MAX_AGE_S = 7 * 86400
MAX_MESSAGES = 1_000_000
DUPLICATES_S = 2 * 3600
# The most scans that wait for a look.
BATCH = 32
LARGEST = 4096
# The server sends an event again when it hears nothing of it for so long.
ACK_WAIT_S = 30.0
WORKING_S = 10.0
# A request for events ends after this time, and the server says now and then that it is still there.
REQUEST_S = 30.0
HEARTBEAT_S = 5.0
SILENCE_S = 15.0
ANSWER_S = 5.0
FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 30.0
# A connection that ends sooner is no sign that all is well. So many in a row are told, and the others after them are not.
LASTS_S = 60.0
SHORT_TOLD = 2
# After a look that did not get through, the server sends the event again in 10 s.
AGAIN = b'-NAK {"delay": 10000000000}'


@dataclass(frozen=True)
class Server:
    """Where events come from. credentials: a .creds file, which is read for each connection."""

    url: str
    credentials: Path | None
    user: str | None
    password: str | None

    def __repr__(self) -> str:
        return f"Server({self.url!r})"


@dataclass(frozen=True)
class Batch:
    """Scans to look at now, as (rig, scan). looked: to be called after that, from any thread, with whether the look got through."""

    scans: list[tuple[str, str]]
    looked: Callable[[bool], None]


def server_of(url: str, credentials: str | Path | None = None, environment: Mapping[str, str] = os.environ) -> Server:
    """A server by its URL, with credentials of a file or else of the environment. Raises ArchiveError. No message repeats a password."""
    if "@" in url:
        raise ArchiveError(
            "--events: anybody on this machine can read a password in the command line; leave it out of the URL, and set NATS_USER and"
            " NATS_PASSWORD, or give --events-credentials FILE"
        )
    expected = "--events: expected nats://HOST:PORT or tls://HOST:PORT"
    parsed = server_url(url, ("nats", "tls"), expected)
    if url != f"{parsed.scheme}://{parsed.netloc}":
        raise ArchiveError(expected)
    user, password = environment.get("NATS_USER") or None, environment.get("NATS_PASSWORD") or None
    if credentials is not None:
        read_credentials(Path(credentials))
        user = password = None
    elif (user is None) != (password is None):
        raise ArchiveError("set both NATS_USER and NATS_PASSWORD, or neither")
    return Server(url, None if credentials is None else Path(credentials), user, password)


def read_credentials(path: Path) -> tuple[str, Ed25519PrivateKey]:
    """The token and the key of a .creds file of NATS. Raises ArchiveError, which names the file and none of its content."""
    try:
        with open(path, encoding="ascii") as file:
            if os.fstat(file.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise ArchiveError(f"{path} can be read by others; run: chmod 600 {path}")
            text = file.read(1 << 16)
    except (OSError, UnicodeDecodeError) as error:
        raise ArchiveError(f"cannot read the credentials of NATS: {type(error).__name__}: {path}") from None
    token = re.search(r"-BEGIN NATS USER JWT-+\s+([A-Za-z0-9_.-]+?)\s+-+END", text)
    seed = re.search(r"-BEGIN USER NKEY SEED-+\s+([A-Z2-7]+)\s+-+END", text)
    if token is None or seed is None:
        raise ArchiveError(f"{path} is no .creds file of NATS; it has a user's JWT and NKEY seed, as `nsc generate creds` writes them")
    try:
        raw = base64.b32decode(seed[1] + "=" * (-len(seed[1]) % 8))
    except binascii.Error:
        raw = b""
    # Two bytes say that it is the seed of a user, and the last two are a checksum.
    whole = len(raw) == 36 and raw[0] & 0xF8 == 18 << 3 and (raw[0] & 7) << 5 | raw[1] >> 3 == 20 << 3
    if not whole or binascii.crc_hqx(raw[:-2], 0) != int.from_bytes(raw[-2:], "little"):
        raise ArchiveError(f"{path}: the NKEY seed is no seed of a user, or is damaged")
    return token[1], Ed25519PrivateKey.from_private_bytes(raw[2:34])


def announced(data: bytes) -> tuple[str, str] | None:
    """The rig and the scan of an event, None where it is none of the shipper's."""
    if len(data) > LARGEST:
        return None
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    rig, scan = found.get("rig"), found.get("scan")
    if not isinstance(rig, str) or not isinstance(scan, str) or not RIG.fullmatch(f"rig={rig}") or not SCAN.fullmatch(f"scan={scan}"):
        return None
    return rig, scan


class Events:
    """Gives scans that rigs announce to a function, from a thread of its own. One batch is given at a time.

    An absent server is told once. It is tried again and again, and no failure gets out of the thread.
    """

    def __init__(self, server: Server, give: Callable[[Batch], None]) -> None:
        self.server = server
        self._give = give
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._live, name="events", daemon=True)
        self._stopping = False
        self._through = False
        # What was said last, None for nothing yet.
        self._told_up: bool | None = None
        # When the connection gave its first answer, by the loop's clock.
        self._up: float | None = None
        # Connections in a row that gave an answer and ended soon.
        self._short = 0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread. Events that were not looked at come again after the next start."""
        self._stopping = True
        try:
            self._loop.call_soon_threadsafe(self._task.cancel)
        except (AttributeError, RuntimeError):
            # It has not begun, or has ended.
            pass
        self._thread.join(timeout=5)

    def _live(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._looked = asyncio.Event()
        self._looked.set()
        self._task = self._loop.create_task(self._run())
        try:
            self._loop.run_until_complete(self._task)
        except asyncio.CancelledError:
            pass
        finally:
            self._loop.close()

    async def _run(self) -> None:
        wait = FIRST_WAIT_S
        while not self._stopping:
            # What the last connection gave is looked at first, so that never more than one batch waits.
            await self._looked.wait()
            client = _Client(self.server)
            try:
                await self._session(client)
            except (Exception, asyncio.CancelledError) as error:
                # nats-py cancels what waits for an answer when it closes.
                if self._stopping:
                    return
                if self._up is not None:
                    self._short = 0 if self._lasts() else self._short + 1
                    wait = min(FIRST_WAIT_S * 2 ** min(self._short, 10), LONGEST_WAIT_S)
                    self._up = None
                if self._told_up is not False:
                    log.warning("no events from %s: %s; scans are found by listing meanwhile", self.server.url, client.reason(error))
                    self._told_up = False
            finally:
                await client.end()
            await asyncio.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT_S)

    async def _session(self, client: _Client) -> None:
        """Gives events for as long as a connection lasts. Ends by an error only."""
        await client.begin()
        await _prepare(client.jetstream(timeout=ANSWER_S))
        await client.listen()
        while True:
            messages = await client.next(BATCH, wait=False)
            if self._up is None:
                self._up = self._loop.time()
            if not self._told_up and (self._short < SHORT_TOLD or self._lasts()):
                log.info("events come from %s", self.server.url)
                self._told_up = True
            await self._hand_over(client, messages or await client.next(1, wait=True))

    def _lasts(self) -> bool:
        return self._up is not None and self._loop.time() - self._up >= LASTS_S

    async def _hand_over(self, client: _Client, messages: list[Msg]) -> None:
        named = [announced(message.data) for message in messages]
        for message, scan in zip(messages, named):
            if scan is None:
                log.warning("an event on %.200s is not from hyclus-ship, and is passed over", ascii(message.subject))
        if scans := list(dict.fromkeys(scan for scan in named if scan is not None)):
            self._looked.clear()
            self._give(Batch(scans, self._note_looked))
            while not self._looked.is_set():
                try:
                    await asyncio.wait_for(self._looked.wait(), WORKING_S)
                except asyncio.TimeoutError:
                    for message in messages:
                        await client.publish(message.reply, b"+WPI")
        for message, scan in zip(messages, named):
            await client.publish(message.reply, b"+ACK" if scan is None or self._through else AGAIN)

    def _note_looked(self, through: bool) -> None:
        def note() -> None:
            self._through = through
            self._looked.set()

        try:
            self._loop.call_soon_threadsafe(note)
        except RuntimeError:
            # The thread has ended.
            pass


class _Client(Client):
    """One connection, which does not come back by itself."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self._server = server
        self._heard: Exception | None = None
        self._arrived: asyncio.Queue[Msg | None] = asyncio.Queue()
        self._inbox = ""

    async def begin(self) -> None:
        """Connects. Raises what nats-py raises."""
        options: dict[str, Any] = {"user": self._server.user, "password": self._server.password}
        if self._server.credentials is not None:
            token, key = read_credentials(self._server.credentials)
            options = {
                "user_jwt_cb": lambda: bytearray(token, "ascii"),
                "signature_cb": lambda nonce: base64.b64encode(key.sign(nonce.encode())),
            }
        await self.connect(
            self._server.url,
            name=CONSUMER,
            error_cb=self._note_error,
            closed_cb=self._note_end,
            allow_reconnect=False,
            connect_timeout=10,
            # nats-py counts from none, and tries without an end where this is 0.
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            ping_interval=20,
            **options,
        )

    async def listen(self) -> None:
        """Makes the inbox that events come to."""
        self._inbox = self.new_inbox()
        await self.subscribe(self._inbox, cb=self._arrived.put)

    async def next(self, count: int, wait: bool) -> list[Msg]:
        """Events that are there, at most `count`. wait: for the first one, if need be, for a while. Raises what ended the connection."""
        request: dict[str, Any] = {"batch": count}
        if wait:
            request |= {"expires": int(REQUEST_S * 1e9), "idle_heartbeat": int(HEARTBEAT_S * 1e9)}
        else:
            request |= {"no_wait": True}
        await self.publish(f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{CONSUMER}", json.dumps(request).encode(), reply=self._inbox)
        found: list[Msg] = []
        while len(found) < count:
            try:
                message = await asyncio.wait_for(self._arrived.get(), SILENCE_S)
            except asyncio.TimeoutError:
                raise nats.errors.StaleConnectionError from None
            if message is None:
                raise nats.errors.ConnectionClosedError
            # Only the server sets the subject for answers. The headers of an event are its sender's.
            if message.reply.startswith("$JS.ACK."):
                found.append(message)
                continue
            headers = message.headers or {}
            status = headers.get("Status", "none")
            if status in ("404", "408"):
                break
            if status == "503":
                raise nats.js.errors.ServiceUnavailableError
            if status != "100":
                raise nats.errors.Error(f"status {status} {headers.get('Description', '')}")
        return found

    async def end(self) -> None:
        """Closes the connection, whatever state it is in."""
        try:
            await asyncio.wait_for(self.close(), ANSWER_S)
        except Exception:
            # It is given up either way.
            pass

    def reason(self, error: BaseException) -> str:
        """What went wrong, in one line. What the server said last tells more than that no answer came."""
        if isinstance(error, nats.js.errors.ServiceUnavailableError):
            return "the server has no JetStream, or it is not ready"
        told = error
        if isinstance(error, (asyncio.TimeoutError, asyncio.CancelledError, nats.errors.NoServersError, nats.errors.ConnectionClosedError)):
            told = self._heard or error
        text = " ".join(str(told).split())[:300] or type(told).__name__
        if "authorization" in text.lower():
            text += " (--events-credentials FILE, or NATS_USER and NATS_PASSWORD)"
        return text

    async def _note_error(self, error: Exception) -> None:
        self._heard = error
        if "permissions violation" in str(error).lower():
            # The server goes on, and nothing else would tell of a refused acknowledgement.
            await self._arrived.put(None)

    async def _note_end(self) -> None:
        await self._arrived.put(None)

    def _connect_command(self) -> bytes:
        # nats-py takes tls:// as nats://, and would send the password to a server that asks for no TLS.
        if self._server.url.startswith("tls://") and not self._server_info.get("tls_required"):
            raise nats.errors.SecureConnWantedError
        return super()._connect_command()

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        try:
            await super()._process_msg(sid, subject, reply, data, headers)
        except Exception:
            # Subjects and headers may hold any bytes, and nats-py would stop reading without a word.
            if not reply.startswith(b"$JS.ACK."):
                raise
            shown = subject.decode("ascii", "backslashreplace")
            await self._arrived.put(Msg(self, subject=shown, reply=reply.decode("ascii", "replace")))


async def _prepare(context: JetStreamContext) -> None:
    """Makes the consumer where there is none, and the stream. Existing ones are taken as they are."""
    if await _exists(context.consumer_info(STREAM, CONSUMER)):
        return
    if not await _exists(context.stream_info(STREAM)):
        stream = StreamConfig(
            name=STREAM,
            subjects=[SUBJECTS],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            discard=DiscardPolicy.OLD,
            max_age=MAX_AGE_S,
            max_msgs=MAX_MESSAGES,
            duplicate_window=DUPLICATES_S,
        )
        try:
            await context.add_stream(stream)
        except nats.js.errors.BadRequestError:
            # A rig may have made it in between.
            if not await _exists(context.stream_info(STREAM)):
                raise
    consumer = ConsumerConfig(
        durable_name=CONSUMER,
        deliver_policy=DeliverPolicy.ALL,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=ACK_WAIT_S,
        filter_subject=SUBJECTS,
    )
    try:
        await context.add_consumer(STREAM, consumer)
    except nats.js.errors.BadRequestError:
        # Another archiver may have made it in between.
        if not await _exists(context.consumer_info(STREAM, CONSUMER)):
            raise


async def _exists(information: Awaitable[object]) -> bool:
    try:
        await information
        return True
    except nats.js.errors.NotFoundError:
        return False
