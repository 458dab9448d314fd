"""Parts of a data set: their files, and following them as they appear."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import HyclusError, MissingExtra, Superseded

if TYPE_CHECKING:
    import pyarrow as pa

PART = re.compile(r"part-([0-9]+)\.parquet")
SCAN = re.compile(r"scan=([A-Za-z0-9_-][A-Za-z0-9._-]{0,127})")
FORMAT_VERSIONS = {"embeddings": 2, "minerals": 1}
BATCH_ROWS = 1 << 15
SETTLED_S = 1.0
"""A folder that has not changed for so long is not listed again. Times of folders are coarser than the clock."""


def part_files(folder: Path, scan: str | None = None) -> list[Path]:
    """The parts of one scan or of all, in order."""
    scans = [folder / f"scan={scan}"] if scan is not None else sorted(folder.glob("scan=*"))
    return [path for each in scans if SCAN.fullmatch(each.name) for _, path in numbered(each)]


def numbered(folder: Path) -> list[tuple[int, Path]]:
    """The parts of a scan's folder by their numbers."""
    try:
        found = [(PART.fullmatch(path.name), path) for path in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted((int(match[1]), path) for match, path in found if match)


def identity(path: Path) -> tuple[int, int, int]:
    """What tells a file from another one of its name."""
    about = path.stat()
    return about.st_ino, about.st_size, about.st_mtime_ns


@dataclass
class _Scan:
    """What was taken of a scan."""

    taken: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    changed_ns: int = -1
    """Time of the folder when it was last listed."""
    settled: bool = False


@dataclass
class Follower:
    """Looks for new parts of a data set."""

    folder: Path
    scan: str | None
    encoder: str
    scans: dict[str, _Scan] = field(default_factory=dict)

    def look(self) -> list[tuple[str, int, Path]]:
        """Parts that were not taken: scan, number and file. Raises `Superseded` where a taken one was replaced."""
        new: list[tuple[str, int, Path]] = []
        for name, folder in self._folders():
            known = self.scans.setdefault(name, _Scan())
            try:
                about = folder.stat()
            except FileNotFoundError:
                if known.taken:
                    raise Superseded(name, self.encoder) from None
                continue
            if known.settled and about.st_mtime_ns == known.changed_ns:
                continue
            known.changed_ns = about.st_mtime_ns
            known.settled = time.time_ns() - about.st_mtime_ns > SETTLED_S * 1e9
            parts = dict(numbered(folder))
            for number, before in known.taken.items():
                try:
                    same = number in parts and identity(parts[number]) == before
                except FileNotFoundError:
                    same = False
                if not same:
                    raise Superseded(name, self.encoder)
            new += [(name, number, path) for number, path in parts.items() if number not in known.taken]
        return new

    def _folders(self) -> list[tuple[str, Path]]:
        if self.scan is not None:
            return [(self.scan, self.folder / f"scan={self.scan}")]
        try:
            names = sorted(path.name for path in self.folder.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            names = []
        found = {match[1] for name in names if (match := SCAN.fullmatch(name))}
        return [(name, self.folder / f"scan={name}") for name in sorted(found | set(self.scans))]

    def take(self, scan: str, number: int, path: Path) -> None:
        """Notes a part as taken."""
        try:
            self.scans.setdefault(scan, _Scan()).taken[number] = identity(path)
        except FileNotFoundError:
            raise Superseded(scan, self.encoder) from None


def following(folder: Path, scan: str | None, encoder: str, poll_s: float, record: Path | None) -> Generator[pa.RecordBatch, None, None]:
    """Rows of parts as they close. Parts that are there already count as taken where no scan is named."""
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise MissingExtra("pyarrow", "embeddings") from error
    follower = Follower(folder, scan, encoder)
    if scan is None:
        for each in follower.look():
            follower.take(*each)
    return _rows(follower, poll_s, record)


def _rows(follower: Follower, poll_s: float, record: Path | None) -> Generator[pa.RecordBatch, None, None]:
    while True:
        # Asked before the folder is listed, so that the last parts are read too.
        last = record is not None and ended(record)
        for scan, number, path in follower.look():
            follower.take(scan, number, path)
            try:
                yield from batches(scan, path)
            except FileNotFoundError:
                raise Superseded(scan, follower.encoder) from None
        if last:
            # A scan that was made again had its parts replaced before its end was written.
            for known in follower.scans.values():
                known.settled = False
            if not follower.look():
                return
            continue
        time.sleep(poll_s)


def ended(record: Path) -> bool:
    """Whether `scan.json` says that the scan has ended."""
    try:
        value: Any = json.loads(record.read_bytes())
    except FileNotFoundError:
        return True
    except (OSError, ValueError) as error:
        raise HyclusError(f"{record} cannot be read: {error}") from error
    return not isinstance(value, dict) or value.get("ended") is not None


def batches(scan: str, path: Path) -> Iterator[pa.RecordBatch]:
    """The rows of a part, with the column `scan` behind them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from .data import checked

    with pq.ParquetFile(path) as part:
        checked(part.schema_arrow, path)
        for batch in part.iter_batches(batch_size=BATCH_ROWS):
            names = pa.array([scan] * batch.num_rows, pa.string())
            fields = [*batch.schema, pa.field("scan", pa.string())]
            yield pa.RecordBatch.from_arrays([*batch.columns, names], schema=pa.schema(fields, metadata=batch.schema.metadata))
