"""A rig with ended scans, and `hyclus-ship`, which ships them. No daemon runs."""

from __future__ import annotations

import json
import os
import random
import subprocess
from pathlib import Path
from typing import Any

from blake3 import blake3
from conftest import program
from making import Scan

ROOT = Path(__file__).resolve().parents[2]
# A scan as the daemon wrote it.
KEPT, KEPT_ID = ROOT / "tests/formats/2", "20000101T000000Z-T1"


class Rig:
    """A rig with a section `[ship]`. Its log is that of `hyclus-ship`."""

    def __init__(self, folder: Path, name: str, ship: str) -> None:
        self.folder, self.name = folder / name, name
        self.data = self.folder / "data"
        self.data.mkdir(parents=True)
        text = (ROOT / "config/simulated.toml").read_text(encoding="utf-8").split("[encoder]")[0]
        for old, new in [
            ('name = "simulated"', f'name = "{name}"'),
            ('data_dir = "../data"', 'data_dir = "data"'),
            ('socket = "../data/control.sock"', 'socket = "s"'),
        ]:
            assert text.count(old) == 1, f"config/simulated.toml has {text.count(old)} times {old}"
            text = text.replace(old, new)
        self.config = self.folder / "rig.toml"
        self.config.write_text(f'{text}[ship]\nstate_dir = "state"\npoll_s = 0.1\n{ship}\n', encoding="utf-8")

    def scan(self, id: str, raw: int = 0) -> Scan:
        """Adds an ended scan: the kept one, with a raw recording of so many random bytes."""
        record = json.loads((KEPT / f"scans/{KEPT_ID}/scan.json").read_text(encoding="utf-8").replace(KEPT_ID, id))
        files = {file["path"]: (KEPT / file["path"].replace(id, KEPT_ID)).read_bytes() for file in record["files"]}
        if raw:
            content = random.Random(f"{self.name} {id}").randbytes(raw)
            path = f"scans/{id}/raw/vnir/capture/{id}.raw"
            files[path] = content
            record["files"].append({"path": path, "bytes": raw, "blake3": blake3(content).hexdigest()})
        # The record comes last.
        for path, content in [*files.items(), (f"scans/{id}/scan.json", json.dumps(record).encode())]:
            (self.data / path).parent.mkdir(parents=True, exist_ok=True)
            part = self.data / path.replace("scan.json", ".scan.json.part")
            part.write_bytes(content)
            part.rename(self.data / path)
        pixels: dict[Any, Any] = {number: None for number in range(record["embeddings"])}
        return Scan(self.name, id, record, files, pixels, record["embeddings"])

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        """Starts `hyclus-ship run`."""
        command = [program("hyclus-ship"), "--config", str(self.config), "run", *arguments]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        with open(self.folder / "log", "ab") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**inherited, **environment})

    def status(self) -> dict[str, Any]:
        """`hyclus-ship status --json`."""
        ran = subprocess.run([program("hyclus-ship"), "--config", str(self.config), "--json", "status"], capture_output=True, text=True)
        found: dict[str, Any] = json.loads(ran.stdout)
        return found

    def shipped(self) -> int:
        return int(self.status()["shipped"])

    def trouble(self) -> str:
        """Why nothing is shipped."""
        return str((self.status()["trouble"] or {}).get("reason", ""))

    def here(self, scan: Scan) -> bool:
        """Whether all files of a scan are here as they were."""
        return all((self.data / path).read_bytes() == content for path, content in scan.files.items())

    def log(self) -> str:
        return (self.folder / "log").read_text(encoding="utf-8")
