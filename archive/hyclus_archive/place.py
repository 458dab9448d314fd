"""Where an archive lies: a bucket of an S3 server with a prefix, or a folder."""

from __future__ import annotations

import argparse
import functools
import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TypeVar
from urllib.parse import ParseResult, unquote, urlparse

import pyarrow.fs as fs

from .errors import ArchiveError, Unreachable, told

T = TypeVar("T")

CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


@dataclass(frozen=True)
class Entry:
    """One object or folder of a listing.

    key: relative to the archive, with `/`. bytes: -1 for a folder. time: when it was written, None where unknown.
    """

    key: str
    bytes: int
    time: datetime | None

    @property
    def name(self) -> str:
        return self.key.rsplit("/", 1)[-1]

    @property
    def folder(self) -> bool:
        return self.bytes < 0


@dataclass(frozen=True)
class Place:
    """An opened archive. It can be pickled, so workers in other processes open the same one.

    name: as it was given. root: path for `filesystem`. uri: what tables' URIs begin with. storage_options: for deltalake.
    """

    name: str
    root: str
    uri: str
    storage_options: dict[str, str] = field(repr=False)
    endpoint: str | None = None
    region: str = "us-east-1"

    @staticmethod
    def open(
        name: str,
        endpoint: str | None = None,
        region: str | None = None,
        credentials: str | Path | None = None,
        environment: Mapping[str, str] = os.environ,
    ) -> Place:
        """Opens `s3://BUCKET/PREFIX`, `file:///FOLDER` or an absolute folder.

        endpoint: URL of the S3 server, None for AWS. credentials: a file of KEY=VALUE lines, None for the environment.
        Raises ArchiveError where the place, the endpoint or the credentials cannot be used. It does not ask the server yet.
        """
        # A URL with `@` may have a password, and is not repeated.
        shown = "PLACE" if "://" in name and "@" in name else name
        expected = "an archive is s3://BUCKET/PREFIX, file:///FOLDER or an absolute folder"
        try:
            parsed = urlparse(name)
        except ValueError:
            # Its message has parts of the URL.
            raise ArchiveError(f"PLACE: {expected}") from None
        if parsed.scheme == "s3":
            return _open_s3(name, shown, endpoint, region, credentials, environment)
        if parsed.scheme == "file":
            if parsed.netloc not in ("", "localhost"):
                raise ArchiveError(f"{shown}: a file URL names no host; write file:///FOLDER")
            folder = unquote(parsed.path)
        elif parsed.scheme and "://" in name:
            raise ArchiveError(f"{shown}: {expected}")
        else:
            folder = name
        if not folder.startswith("/"):
            raise ArchiveError(f"{shown}: give the folder with its whole path, from / on")
        if endpoint is not None:
            raise ArchiveError(f"{name} is a folder; --endpoint is for s3://BUCKET/PREFIX")
        folder = os.path.normpath(folder)
        if not os.path.isdir(folder):
            raise ArchiveError(f"{folder} is no folder; make it first, or mount it")
        return Place(name, folder, folder, {})

    @property
    def remote(self) -> bool:
        """Whether it is on an S3 server."""
        return self.uri.startswith("s3://")

    @property
    def filesystem(self) -> fs.FileSystem:
        """The filesystem of pyarrow on which `root` lies."""
        if not self.remote:
            return fs.LocalFileSystem()
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        return _s3(*(self.storage_options.get(name) for name in names), self.region, self.endpoint)

    def path(self, *parts: str) -> str:
        """Path of a key for `filesystem`."""
        return "/".join((self.root, *parts))

    def table_uri(self, table: str) -> str:
        """URI of a table for deltalake, with `storage_options`."""
        return f"{self.uri}/tables/{table}"

    def key(self, path: str) -> str:
        """Key of a path of `filesystem`."""
        return path[len(self.root) + 1 :]

    def list(self, prefix: str, recursive: bool = False) -> list[Entry]:
        """Objects and folders below a prefix, by name; empty where it is absent."""
        selector = fs.FileSelector(self.path(prefix), allow_not_found=True, recursive=recursive)
        found = self._ask(lambda: self.filesystem.get_file_info(selector), prefix)
        entries = [
            Entry(self.key(info.path), info.size if info.type == fs.FileType.File else -1, info.mtime)
            for info in found
            # A file whose name begins with a dot is not complete yet.
            if not info.base_name.startswith(".")
        ]
        return sorted(entries, key=lambda entry: entry.key)

    def size(self, key: str) -> int | None:
        """Bytes of an object, None where it is absent."""
        info = self._ask(lambda: self.filesystem.get_file_info(self.path(key)), key)
        return int(info.size) if info.type == fs.FileType.File else None

    def read(self, key: str) -> bytes:
        """A whole object, for small ones. Raises FileNotFoundError."""

        def read() -> bytes:
            with self.filesystem.open_input_stream(self.path(key)) as stream:
                return bytes(stream.read())

        return self._ask(read, key)

    def chunks(self, key: str, size: int = 1 << 22) -> Iterator[bytes]:
        """An object piece by piece. Raises FileNotFoundError."""
        stream = self._ask(lambda: self.filesystem.open_input_stream(self.path(key)), key)
        with stream:
            while piece := self._ask(lambda: stream.read(size), key):
                yield piece

    def write(self, key: str, data: bytes) -> None:
        """Writes a small object whole, in place of an older one."""

        def write() -> None:
            if self.remote:
                with self.filesystem.open_output_stream(self.path(key)) as stream:
                    stream.write(data)
                return
            path = Path(self.path(key))
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(file.name, 0o644)
            os.replace(file.name, path)

        self._ask(write, key)

    def delete(self, key: str) -> None:
        """Deletes an object; an absent one is no error."""

        def delete() -> None:
            try:
                self.filesystem.delete_file(self.path(key))
            except FileNotFoundError:
                pass

        self._ask(delete, key)

    def put(self, local: Path, key: str) -> int:
        """Copies a local file to a key. Returns its bytes. A folder gets the file whole or not at all."""

        def put() -> int:
            path = self.path(key)
            if self.remote:
                fs.copy_files(str(local), path, source_filesystem=fs.LocalFileSystem(), destination_filesystem=self.filesystem)
            else:
                os.makedirs(os.path.dirname(path), exist_ok=True)
                part = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.part")
                fs.copy_files(str(local), part, source_filesystem=fs.LocalFileSystem(), destination_filesystem=self.filesystem)
                with open(part, "rb") as file:
                    os.fsync(file.fileno())
                os.replace(part, path)
            return local.stat().st_size

        return self._ask(put, key)

    def _ask(self, action: Callable[[], T], key: str) -> T:
        try:
            return action()
        except FileNotFoundError:
            raise
        except OSError as error:
            raise Unreachable(f"{self.name}: {key}: {told(error)}") from error


def add_place(parser: argparse.ArgumentParser) -> None:
    """Adds PLACE and how to reach it to a command."""
    parser.add_argument("place", metavar="PLACE", help="s3://BUCKET/PREFIX, file:///FOLDER or an absolute folder")
    parser.add_argument("--endpoint", metavar="URL", help="the S3 server, such as http://127.0.0.1:8333; absent: AWS")
    parser.add_argument("--region", metavar="NAME", help="region of the bucket (AWS_REGION, else us-east-1)")
    text = "lines KEY=VALUE of AWS_ACCESS_KEY_ID and so on, readable by its owner alone; absent: the environment"
    parser.add_argument("--credentials", metavar="FILE", help=text)


def place_of(arguments: argparse.Namespace) -> Place:
    """The place of a command with the options of `add_place`. Raises ArchiveError."""
    return Place.open(arguments.place, arguments.endpoint, arguments.region, arguments.credentials)


def read_credentials(path: str | Path) -> dict[str, str]:
    """Reads a file of credentials. Raises ArchiveError where others may read it, or a line is not understood."""
    try:
        with open(path, encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            if mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise ArchiveError(f"{path} can be read by others; run: chmod 600 {path}")
            lines = file.read().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ArchiveError(f"cannot read the credentials: {error}") from error
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals or name.strip() not in CREDENTIALS:
            # The line itself may be a secret, so the message does not repeat it.
            raise ArchiveError(f"{path}, line {number}: expected NAME=VALUE with one of {', '.join(CREDENTIALS)}")
        found[name.strip()] = value.strip().strip("\"'")
    return found


def server_url(text: str, schemes: tuple[str, ...], expected: str) -> ParseResult:
    """The URL of a server with one of these schemes. Raises ArchiveError(expected), which repeats nothing of the text."""
    try:
        url = urlparse(text)
        named = url.scheme in schemes and url.hostname and url.port != 0
    except ValueError:
        # Its message has parts of the URL.
        raise ArchiveError(expected) from None
    if not named:
        raise ArchiveError(expected)
    return url


def _open_s3(
    name: str, shown: str, endpoint: str | None, region: str | None, credentials: str | Path | None, environment: Mapping[str, str]
) -> Place:
    """shown: the name in messages."""
    match = re.fullmatch(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*?))?/*", name)
    if not match:
        raise ArchiveError(f"{shown}: expected s3://BUCKET/PREFIX")
    bucket, prefix = match[1], match[2] or ""
    if "//" in prefix:
        raise ArchiveError(f"{shown}: the prefix has an empty part")
    endpoint = endpoint or environment.get("AWS_ENDPOINT_URL") or None
    if endpoint is not None:
        expected = "--endpoint: expected http://HOST:PORT or https://HOST:PORT"
        url = server_url(endpoint, ("http", "https"), expected)
        if url.path not in ("", "/") or "@" in url.netloc:
            raise ArchiveError(expected)
        endpoint = f"{url.scheme}://{url.netloc}"
    named = {name: environment[name] for name in CREDENTIALS if environment.get(name)}
    given = read_credentials(credentials) if credentials else named
    missing = [name for name in CREDENTIALS[:2] if not given.get(name)]
    if missing:
        source = str(credentials) if credentials else "the environment"
        raise ArchiveError(f"{' and '.join(missing)} not in {source}; set them, or give --credentials FILE")
    region = region or environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or "us-east-1"
    options = {**given, "AWS_REGION": region, "timeout": "60s", "connect_timeout": "10s"}
    if endpoint is not None:
        options["AWS_ENDPOINT_URL"] = endpoint
        options["AWS_ALLOW_HTTP"] = "true" if endpoint.startswith("http://") else "false"
    root = f"{bucket}/{prefix}" if prefix else bucket
    return Place(name, root, f"s3://{root}", options, endpoint, region)


@functools.lru_cache(maxsize=8)
def _s3(access: str | None, secret: str | None, token: str | None, region: str, endpoint: str | None) -> fs.FileSystem:
    """One filesystem for each server and identity, as it holds connections."""
    url = urlparse(endpoint) if endpoint else None
    return fs.S3FileSystem(
        access_key=access,
        secret_key=secret,
        session_token=token,
        region=region,
        endpoint_override=url.netloc if url else None,
        scheme=url.scheme if url else "https",
        connect_timeout=10,
        request_timeout=60,
    )
