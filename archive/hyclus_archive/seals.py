"""The seal of a scan (`hyclus seal`) as it was shipped: `seal=N/FILE` below the scan's prefix. The highest whole one counts."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from .place import Entry, Place
from .shipped import Shipped, rest_of

NAME = re.compile(r"seal=([1-9][0-9]{0,8})/(.+)")
METADATA = "ro-crate-metadata.json"
SIGNATURE = METADATA + ".minisig"
RECORD = "scan.json"


@dataclass(frozen=True)
class Seal:
    """A whole seal. number: N. sha256: of the sealed files but `scan.json`, by where they lie below the scan's prefix.

    faults: sentences about the seal itself.
    """

    number: int
    sha256: dict[str, str]
    faults: list[str]


def read_seal(place: Place, shipped: Shipped, entries: list[Entry], prefix: str) -> Seal | None:
    """Reads the seal that counts and compares it with the record. None where the scan has none. The signature is minisign's to verify."""
    names = [match for entry in entries if (match := NAME.fullmatch(entry.key[len(prefix) + 1 :]))]
    numbers = [int(match[1]) for match in names if match[2] == SIGNATURE]
    if not numbers:
        return None
    number = max(numbers)
    base = f"{prefix}/seal={number}"
    sha256: dict[str, str] = {}
    faults = []
    try:
        text, sealed = place.read(f"{base}/{METADATA}"), place.read(f"{base}/{RECORD}")
        for entity in json.loads(text)["@graph"]:
            if entity.get("@type") != "File":
                continue
            path, size, digest = entity["@id"], int(entity["contentSize"]), entity["sha256"]
            rest = rest_of(path, shipped.scan)
            if rest == RECORD:
                if (len(sealed), hashlib.sha256(sealed).hexdigest()) != (size, digest):
                    faults.append(f"{base}/{RECORD} is not the record that was sealed")
            else:
                sha256[rest] = digest
        if _compared(json.loads(sealed)) != _compared(shipped.record):
            faults.append(f"{base}: the scan changed since it was sealed; seal it again on its rig if that was meant")
    except FileNotFoundError as error:
        faults.append(f"{base} is not whole: {error}")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        faults.append(f"{base}/{METADATA} is not as hyclus writes it: {error}")
    return Seal(number, sha256, faults)


def _compared(record: dict[str, Any]) -> dict[str, Any]:
    """A record without what it says of archives, which is not sealed."""
    return {name: value for name, value in record.items() if name != "archived"}
