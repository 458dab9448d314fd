"""`verify`: every object of scans against its scan.json."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

from .errors import ArchiveError, Damaged
from .place import Place, add_place, place_of
from .seals import Seal, read_seal
from .shipped import fault_of_content, faults_of_sizes, find_rig, listing, prefix_of, read_shipped, rigs, scans, state


def register(commands: Any) -> None:
    parser = commands.add_parser("verify", help="compare every object with the size and hash in scan.json; status 1 where one differs")
    add_place(parser)
    parser.add_argument("scan", metavar="SCAN", nargs="?", help="one scan; absent: all")
    parser.add_argument("--rig", metavar="RIG", help="of one rig")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    place = place_of(arguments)
    if arguments.scan is not None:
        wanted = [(find_rig(place, arguments.scan, arguments.rig), arguments.scan)]
    else:
        chosen = [rig for rig in rigs(place) if arguments.rig in (None, rig)]
        if arguments.rig is not None and not chosen:
            raise ArchiveError(f"{place.name} has no rig {arguments.rig}")
        wanted = [(rig, scan) for rig in chosen for scan in scans(place, rig)]
    status = 0
    for rig, scan in wanted:
        found = state(place, rig, scan)
        name = f"scan {scan} of rig {rig}"
        if found.withdrawn:
            print(f"{name}: withdrawn")
            continue
        if not found.revision:
            print(f"{name}: not whole yet")
            # Asked for by its name, it cannot be said to be right.
            status = 1 if arguments.scan is not None else status
            continue
        try:
            read = verify(place, rig, scan, found.revision)
        except Damaged as error:
            status = 1
            for fault in error.faults:
                print(f"{name}: damaged: {fault}")
            continue
        more = f" and seal {read.seal.number}" if read.seal else ""
        more += f", {read.left_out} of the raw recording left out by the rig" if read.left_out else ""
        print(f"{name}, revision {found.revision}: {read.objects} objects, {read.bytes} bytes, as scan.json says{more}")
    return status


@dataclass(frozen=True)
class Verified:
    """What was read of a scan. objects, bytes: of its files. left_out: files of the raw recording that its rig leaves out. seal: its seal."""

    objects: int
    bytes: int
    left_out: int
    seal: Seal | None


def verify(place: Place, rig: str, scan: str, revision: int) -> Verified:
    """Reads all objects of a whole revision, and compares them with its record and its seal. Raises Damaged with all faults."""
    entries = listing(place, rig, scan)
    shipped = read_shipped(place, rig, scan, revision, entries)
    seal = read_seal(place, shipped, entries, prefix_of(rig, scan))
    faults = faults_of_sizes(shipped)
    there = [item for item in shipped.items.values() if item.stored is not None]
    sealed = seal.sha256 if seal else {}
    faults += [fault for item in there if item.stored == item.bytes and (fault := fault_of_content(place, item, sealed.get(item.rest)))]
    faults += seal.faults if seal else []
    if faults:
        raise Damaged(rig, scan, faults)
    return Verified(len(there), sum(item.bytes for item in there), len(shipped.items) - len(there), seal)
