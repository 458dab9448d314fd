"""`verify`: every object of scans against its scan.json."""

from __future__ import annotations

import argparse
from typing import Any

from .errors import ArchiveError, Damaged
from .place import Place, add_place, place_of
from .shipped import fault_of_content, faults_of_sizes, find_rig, listing, read_shipped, rigs, scans, state


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
            objects, size, left_out = verify(place, rig, scan, found.revision)
        except Damaged as error:
            status = 1
            for fault in error.faults:
                print(f"{name}: damaged: {fault}")
            continue
        more = f", {left_out} of the raw recording left out by the rig" if left_out else ""
        print(f"{name}, revision {found.revision}: {objects} objects, {size} bytes, as scan.json says{more}")
    return status


def verify(place: Place, rig: str, scan: str, revision: int) -> tuple[int, int, int]:
    """Reads all objects of a whole revision. Returns objects, bytes, and files of the raw recording that are left out.

    Raises Damaged with all faults.
    """
    shipped = read_shipped(place, rig, scan, revision, listing(place, rig, scan))
    faults = faults_of_sizes(shipped)
    there = [item for item in shipped.items.values() if item.stored is not None]
    faults += [fault for item in there if item.stored == item.bytes and (fault := fault_of_content(place, item))]
    if faults:
        raise Damaged(rig, scan, faults)
    return len(there), sum(item.bytes for item in there), len(shipped.items) - len(there)
