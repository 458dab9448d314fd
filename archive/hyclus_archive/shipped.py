"""What rigs shipped: scans with their revisions, and whether each object is what scan.json says."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blake3 import blake3

from . import __version__
from .errors import ArchiveError, Damaged
from .place import Entry, Place

RIG = re.compile(r"rig=([A-Za-z0-9._-]{1,64})")
SCAN = re.compile(r"scan=([A-Za-z0-9._-]{1,200})")
REVISION = re.compile(r"revision=([1-9][0-9]{0,8})")
RECORD_FORMAT = 1
# Hashed always. Of larger files, those that no table is made of are hashed where all is asked for.
SMALL = 16 << 20


@dataclass(frozen=True)
class Item:
    """One file of a scan.

    rest: below the scan's prefix, such as `samples/X.h5`. key: of its object. stored: bytes of the object, None where it is absent.
    """

    rest: str
    key: str
    bytes: int
    algorithm: str
    digest: str
    stored: int | None

    @property
    def raw(self) -> bool:
        return self.rest.startswith("raw/")


@dataclass(frozen=True)
class Shipped:
    """One whole revision of a scan."""

    rig: str
    scan: str
    revision: int
    record: dict[str, Any]
    items: dict[str, Item]

    @property
    def app_id(self) -> str:
        """The id of its Delta transactions. The version is the revision."""
        return f"{self.rig}/{self.scan}"


@dataclass(frozen=True)
class State:
    """What lies below a scan's prefix at a glance. revision: the highest whole one, 0 where none is."""

    revision: int
    withdrawn: bool


def prefix_of(rig: str, scan: str) -> str:
    """Prefix of a scan's objects."""
    return f"objects/rig={rig}/scan={scan}"


def rigs(place: Place) -> list[str]:
    """Rigs that shipped something."""
    return [match[1] for entry in place.list("objects") if entry.folder and (match := RIG.fullmatch(entry.name))]


def scans(place: Place, rig: str) -> list[str]:
    """Scans of a rig of which something lies there, whole or not."""
    return [match[1] for entry in place.list(f"objects/rig={rig}") if entry.folder and (match := SCAN.fullmatch(entry.name))]


def state(place: Place, rig: str, scan: str) -> State:
    """Looks at a scan with one listing, and one question for each later revision."""
    prefix = prefix_of(rig, scan)
    names = {entry.name: entry.folder for entry in place.list(prefix)}
    # A first try that was cut off may leave objects in the way of revision 1, so that the first whole one is a later one.
    revision = 1 if names.get("scan.json") is False else 0
    later = sorted((int(match[1]) for name, folder in names.items() if folder and (match := REVISION.fullmatch(name))), reverse=True)
    for number in later:
        if number > 1 and place.size(f"{prefix}/revision={number}/scan.json") is not None:
            revision = number
            break
    return State(revision, names.get("withdrawn.json") is False)


def listing(place: Place, rig: str, scan: str) -> list[Entry]:
    """All objects of a scan."""
    return [entry for entry in place.list(prefix_of(rig, scan), recursive=True) if not entry.folder]


def fingerprint(entries: list[Entry], how: str) -> str:
    """Changes when an object of a scan changes, or a program that judges it."""
    text = "\n".join(f"{entry.key} {entry.bytes} {entry.time}" for entry in entries)
    return hashlib.sha256(f"{__version__} {how}\n{text}".encode()).hexdigest()


def read_shipped(place: Place, rig: str, scan: str, revision: int, entries: list[Entry]) -> Shipped:
    """Reads scan.json of a whole revision and finds its objects. Raises Damaged."""
    prefix = prefix_of(rig, scan)
    key = f"{prefix}/scan.json" if revision == 1 else f"{prefix}/revision={revision}/scan.json"

    def damaged(text: str) -> Damaged:
        return Damaged(rig, scan, [f"{key}: {text}"])

    try:
        record = json.loads(place.read(key))
    except FileNotFoundError:
        raise damaged("it is missing") from None
    except ValueError as error:
        raise damaged(f"it is no JSON: {error}") from error
    if not isinstance(record, dict):
        raise damaged("it is no object")
    version = record.get("format_version", 1)
    if not isinstance(version, int) or version > RECORD_FORMAT:
        raise damaged(newer("scan.json", version, RECORD_FORMAT))
    if record.get("id") != scan:
        raise damaged(f"it is the record of scan {record.get('id')}")
    found: dict[str, dict[int, Entry]] = {}
    for entry in entries:
        rest = entry.key[len(prefix) + 1 :]
        number, _, below = rest.partition("/")
        if match := REVISION.fullmatch(number):
            found.setdefault(below, {})[int(match[1])] = entry
        else:
            found.setdefault(rest, {})[1] = entry
    items = {}
    try:
        for file in record["files"]:
            rest = rest_of(file["path"], scan)
            algorithm = "blake3" if "blake3" in file else "sha256"
            kept = found.get(rest, {})
            highest = max((one for one in kept if one <= revision), default=0)
            stored = kept[highest] if highest else None
            key_of_item, size = (stored.key, stored.bytes) if stored else (f"{prefix}/{rest}", None)
            items[rest] = Item(rest, key_of_item, int(file["bytes"]), algorithm, file[algorithm], size)
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(f"`files` is not as hyclus writes it: {error}") from error
    return Shipped(rig, scan, revision, record, items)


def rest_of(path: str, scan: str) -> str:
    """Where a file of `files[].path` lies below its scan's prefix. Raises ValueError."""
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"{path} is no path in the data root")
    if parts[:2] == ["scans", scan] and len(parts) > 2:
        return "/".join(parts[2:])
    if len(parts) == 3 and parts[1] == f"scan={scan}" and (parts[0] in ("embeddings", "minerals") or parts[0].startswith("embeddings-")):
        return f"{parts[0]}/{parts[2]}"
    raise ValueError(f"{path} is no file of the scan")


def newer(what: str, version: object, known: int) -> str:
    """The refusal of a format that is newer than this program."""
    return f"{what} has format version {version}, and this program reads up to {known}; install a newer hyclus-archive"


def faults_of_sizes(shipped: Shipped) -> list[str]:
    """One sentence for each object that is missing or has another size. A rig may leave out its raw recording."""
    faults = []
    for item in shipped.items.values():
        if item.stored is None:
            if not item.raw:
                faults.append(f"{item.key} is missing")
        elif item.stored != item.bytes:
            faults.append(f"{item.key} has {item.stored} bytes, scan.json says {item.bytes}")
    return faults


class Hash:
    """The hash of a file by the algorithm that scan.json uses for it. sealed: its SHA-256 in a seal."""

    def __init__(self, item: Item, sealed: str | None = None) -> None:
        self.item = item
        self._hash: Any = blake3() if item.algorithm == "blake3" else hashlib.sha256()
        self._sealed = sealed
        self._sha256 = hashlib.sha256() if sealed is not None else None

    def update(self, piece: bytes) -> None:
        self._hash.update(piece)
        if self._sha256 is not None:
            self._sha256.update(piece)

    def fault(self) -> str | None:
        """What is wrong, None where the hash is as it should be."""
        found = self._hash.hexdigest()
        if found != self.item.digest:
            return f"{self.item.key} has {self.item.algorithm} {found[:16]}..., scan.json says {self.item.digest[:16]}..."
        if self._sha256 is not None and self._sealed != (found := self._sha256.hexdigest()):
            return f"{self.item.key} has sha256 {found[:16]}..., its seal says {str(self._sealed)[:16]}..."
        return None


def fault_of_content(place: Place, item: Item, sealed: str | None = None) -> str | None:
    """Reads a whole object and compares its hash, and that in a seal. None where it is right."""
    check = Hash(item, sealed)
    try:
        for piece in place.chunks(item.key):
            check.update(piece)
    except FileNotFoundError:
        return f"{item.key} is missing"
    return check.fault()


@contextmanager
def verified(place: Place, item: Item, folder: Path) -> Iterator[Path]:
    """A local path of an object whose hash is right: itself in a folder, else a copy in `folder` for as long as it is needed.

    Raises ArchiveError with the fault.
    """
    if not place.remote:
        if fault := fault_of_content(place, item):
            raise ArchiveError(fault)
        yield Path(place.path(item.key))
        return
    check = Hash(item)
    with tempfile.NamedTemporaryFile(dir=folder, suffix=Path(item.rest).suffix) as file:
        try:
            for piece in place.chunks(item.key):
                check.update(piece)
                file.write(piece)
        except FileNotFoundError:
            raise ArchiveError(f"{item.key} is missing") from None
        file.flush()
        if fault := check.fault():
            raise ArchiveError(fault)
        yield Path(file.name)


def damage_key(rig: str, scan: str) -> str:
    """Where the archiver notes what is wrong with a scan, until its objects change."""
    return f"damaged/rig={rig}/scan={scan}.json"


def read_damage(place: Place, rig: str, scan: str) -> dict[str, Any] | None:
    """The note of a damaged scan, None where there is none or it cannot be understood."""
    try:
        found = json.loads(place.read(damage_key(rig, scan)))
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("faults"), list) and found["faults"] else None


def find_rig(place: Place, scan: str, rig: str | None) -> str:
    """The rig of a scan. Raises ArchiveError where none has it, or several and none is given."""
    if rig is not None and not RIG.fullmatch(f"rig={rig}"):
        raise ArchiveError(f"{rig} is no name of a rig: letters, digits, `.`, `_` and `-`, at most 64")
    if not SCAN.fullmatch(f"scan={scan}"):
        raise ArchiveError(f"{scan} is no id of a scan")
    having = [name for name in ([rig] if rig else rigs(place)) if place.list(prefix_of(name, scan))]
    if not having:
        raise ArchiveError(f"{place.name} has no scan {scan}" + (f" of rig {rig}" if rig else "") + "; see: hyclus-archive status")
    if len(having) > 1:
        raise ArchiveError(f"rigs {', '.join(having)} each have a scan {scan}; choose with --rig")
    return having[0]
