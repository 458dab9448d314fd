"""`status`: what each rig has in the archive, and what is not in its tables."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass, field
from typing import Any

from .place import Place, add_place, place_of
from .shipped import read_damage, rigs, scans, state
from .tables import done, find_table


@dataclass
class RigStatus:
    """Scans of one rig. Rows are those of the scans in the tables; bytes are those of their files, raw recordings too."""

    rig: str
    scans: int = 0
    samples: int = 0
    embeddings: int = 0
    spectra: int = 0
    bytes: int = 0
    damaged: dict[str, list[str]] = field(default_factory=dict)
    not_taken: list[str] = field(default_factory=list)
    not_whole: list[str] = field(default_factory=list)
    withdrawn: list[str] = field(default_factory=list)


def register(commands: Any) -> None:
    parser = commands.add_parser("status", help="scans and rows of each rig; what is damaged, not yet taken, or withdrawn")
    add_place(parser)
    parser.add_argument("--json", action="store_true", help="one object")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    found = status(place_of(arguments))
    if arguments.json:
        print(json.dumps({"rigs": [asdict(rig) for rig in found]}, indent=1))
        return 0
    numbers = f"{'scans':>6} {'samples':>8} {'embeddings':>12} {'spectra':>12} {'GB':>8}"
    print(f"{'rig':<16} {numbers} {'damaged':>8} {'not taken':>9} {'withdrawn':>9}")
    for rig in found:
        numbers = f"{rig.scans:>6} {rig.samples:>8} {rig.embeddings:>12} {rig.spectra:>12} {rig.bytes / 1e9:>8.2f}"
        print(f"{rig.rig:<16} {numbers} {len(rig.damaged):>8} {len(rig.not_taken):>9} {len(rig.withdrawn):>9}")
    for rig in found:
        for scan, faults in rig.damaged.items():
            for fault in faults:
                print(f"damaged: {fault}" if scan in fault else f"damaged: scan {scan} of rig {rig.rig}: {fault}")
        for text, names in (("not taken yet", rig.not_taken), ("not whole yet", rig.not_whole), ("withdrawn", rig.withdrawn)):
            for scan in names:
                print(f"{text}: scan {scan} of rig {rig.rig}")
    return 0


def status(place: Place) -> list[RigStatus]:
    """One entry for each rig, by name."""
    found = {rig: RigStatus(rig) for rig in rigs(place)}
    table = find_table(place, "scans")
    if table is not None:
        columns = ["rig", "samples", "embeddings", "spectra", "bytes"]
        for row in table.to_pyarrow_dataset().to_table(columns=columns).to_pylist():
            rig = found.setdefault(row["rig"], RigStatus(row["rig"]))
            rig.scans += 1
            for name in columns[1:]:
                setattr(rig, name, getattr(rig, name) + row[name])
    for rig in found.values():
        for scan in scans(place, rig.rig):
            at = state(place, rig.rig, scan)
            damage = None
            if at.withdrawn:
                rig.withdrawn.append(scan)
            elif not at.revision:
                rig.not_whole.append(scan)
            elif table is not None and done(table, f"{rig.rig}/{scan}", at.revision):
                continue
            elif damage := read_damage(place, rig.rig, scan):
                rig.damaged[scan] = damage["faults"]
            else:
                rig.not_taken.append(scan)
    return sorted(found.values(), key=lambda rig: rig.rig)
