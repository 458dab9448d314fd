"""Tray maps: as a dict, or as a TOML or JSON file."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import TrayError

TrayMap = Mapping[str, Any] | str | os.PathLike[str]
"""A tray map, or the path of its file: JSON where its name ends in `.json`, else TOML."""

MOST_BYTES = 4 << 20


def tray_of(tray: TrayMap) -> dict[str, Any]:
    """A tray map as the daemon takes it.

    Raises `TrayError` where the file cannot be read, or holds what JSON cannot say.
    """
    if isinstance(tray, Mapping):
        return _plain(dict(tray), "the tray map")
    path = Path(tray)
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise TrayError(f"{path} cannot be read: {error.strerror or error}. Give the path of a tray map, or the map as a dict.") from error
    if len(text) > MOST_BYTES:
        raise TrayError(f"{path} is larger than {MOST_BYTES >> 20} MiB. Is it a tray map?")
    kind = "JSON" if path.suffix.lower() == ".json" else "TOML"
    try:
        value = json.loads(text) if kind == "JSON" else _toml(text.decode("utf-8"))
    except ValueError as error:
        raise TrayError(f"{path} is not {kind}: {error}") from error
    if not isinstance(value, dict):
        raise TrayError(f"{path} holds no object. A tray map has tray, keys, grid and container.")
    return _plain(value, str(path))


def _toml(text: str) -> Any:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    return tomllib.loads(text)


def _plain(tray: dict[str, Any], name: str) -> dict[str, Any]:
    try:
        json.dumps(tray, allow_nan=False)
    except (TypeError, ValueError) as error:
        advice = "Write dates as texts, in quotes, and numbers as finite ones."
        raise TrayError(f"{name} holds a value that JSON cannot say: {error}. {advice}") from error
    return tray
