"""The types of the client, by mypy. Those who use it get them through `py.typed`."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from conftest import PYTHON

USE = """
from typing import assert_type
import pyarrow as pa
from hyclus import AsyncRig, Event, EventsMissed, Rig, Scan, events
from hyclus.models import ScanRecord, Status

rig = Rig()
assert_type(rig.status(), Status)
assert_type(rig.scan({"tray": "T"}), Scan)
assert_type(rig.record("x").samples[0].valid, int)
for notice in rig.events():
    assert_type(notice, Event | EventsMissed)
    if isinstance(notice, events.PartClosed):
        assert_type(notice.rows, int)

async def use(rig: AsyncRig) -> None:
    assert_type(await rig.record("x"), ScanRecord)
    async for notice in rig.events():
        assert_type(notice, Event | EventsMissed)
    async for batch in rig.follow():
        batch.num_rows
"""
WRONG = "from hyclus import Rig\nRig().reference('grey')\nRig().status().mood\n"


def test_the_client_is_typed_strictly_and_users_see_its_types(tmp_path: Path) -> None:
    assert importlib.util.find_spec("mypy"), "mypy is missing: make setup"
    (tmp_path / "use.py").write_text(USE)
    (tmp_path / "wrong.py").write_text(WRONG)
    # Whether `assert_type` is in `typing` depends on the version.
    options = ["--python-version", "3.11", "--config-file", str(PYTHON / "pyproject.toml"), "--cache-dir", str(tmp_path / "cache")]
    command = [sys.executable, "-m", "mypy", *options, "hyclus", str(tmp_path / "use.py"), str(tmp_path / "wrong.py")]
    checked = subprocess.run(command, capture_output=True, text=True, cwd=PYTHON, env={**os.environ, "MYPYPATH": str(PYTHON)})
    errors = [line for line in checked.stdout.splitlines() if ": error:" in line]
    assert len(errors) == 2 and all("wrong.py" in line for line in errors), checked.stdout + checked.stderr
    assert "incompatible type" in errors[0] and '"Status" has no attribute "mood"' in errors[1], errors
    assert "in 1 file (checked 17 source files)" in checked.stdout
