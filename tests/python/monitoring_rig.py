"""A small simulated rig and its daemon, for monitoring_scenes.py."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from monitoring import FOLDER, Failed, until

ROOT = FOLDER.parents[1]

RIG = """
[rig]
name = "scene"
data_dir = "data"
[control]
socket = "s"
listen = "127.0.0.1:0"
[simulation]
seed = 3
pace = "real_time"
time_scale = 2.0
warm_up_s = 0.01
lamp_drift = 0.0
faults_file = "faults.toml"
[simulation.tray]
rows = 1
columns = 2
[conveyor]
speed_mm_per_s = 80.0
device = { kind = "simulated" }
[[camera]]
name = "vnir"
field_of_view_mm = 300.0
exposure_us = 2000.0
frame_rate_hz = 40.0
pool_slots = 256
silence_s = 1.0
device = { kind = "simulated", pixels = 128, bands = 40, dead_elements = 5 }
[[camera]]
name = "swir"
offset_mm = 40.0
shift_mm = 1.5
field_of_view_mm = 300.0
exposure_us = 2000.0
frame_rate_hz = 32.0
pool_slots = 256
silence_s = 1.0
device = { kind = "simulated", pixels = 96, bands = 48, first_nm = 1000.0, last_nm = 2500.0, offset_mm = 40.0, shift_mm = 1.5, bits = 16 }
[[light]]
name = "halogen"
device = { kind = "simulated" }
[scan]
warm_up_s = 0.05
[lamps]
window_s = 0.3
[disk]
reserve_mib = 1
[references]
panel = { reflectance = 0.95 }
panel_mm = [-70.0, -25.0]
frames = 12
[grid]
pixel_mm = 2.4
[segment.tray]
length_mm = 105.0
"""


def tray(rows: int) -> dict[str, Any]:
    """A tray map of so many rows of two containers."""
    places = [f"{chr(ord('A') + row)}{column}" for row in range(rows) for column in (1, 2)]
    container = [{"at": at, "sample": f"S-{at}", "plant": "P1"} for at in places]
    return {"tray": "T", "keys": ["plant"], "grid": {"rows": rows, "columns": 2}, "container": container}


class Daemon:
    """A hyclusd on a small simulated rig in a folder of its own. Ends with its `with` block."""

    def __init__(self, folder: Path, text: str, rows: int, within: list[str]) -> None:
        self.folder, self.data, self.tray, self.within = folder, folder / "data", tray(rows), within
        (folder / "rig.toml").write_text(text)
        self.start()

    def start(self) -> None:
        """Starts it, and waits until it is ready."""
        binary = str(Path(os.environ.get("HYCLUS_BIN", ROOT / "target/debug")) / "hyclusd")
        environment = os.environ | {"HYCLUS_LOG": "info", "HYCLUS_LOG_FORMAT": "json"}
        log = self.folder / "log"
        with log.open("w") as out:
            command = [*self.within, binary, "--config", str(self.folder / "rig.toml")]
            self.process = subprocess.Popen(command, stderr=out, stdout=subprocess.DEVNULL, env=environment)
        until(f"hyclusd is ready or ended: {log}", lambda: self.process.poll() is not None or "hyclusd is ready" in log.read_text())
        lines = [line for line in log.read_text().splitlines() if '"read-only listener"' in line]
        if self.process.poll() is not None or not lines:
            raise Failed(f"hyclusd does not start:\n{log.read_text()}")
        self.address: str = json.loads(lines[0])["fields"]["address"]

    def end(self, how: int) -> None:
        """Sends a signal, and waits for the end."""
        self.process.send_signal(how)
        self.process.wait()

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and body of a call on the control socket."""
        connection = http.client.HTTPConnection("localhost", timeout=60)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(self.folder / "s"))
        connection.request(method, path, None if body is None else json.dumps(body), {"content-type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, json.loads(text) if text else None

    def done(self, method: str, path: str, body: Any = None) -> Any:
        """The body of a call that must be done."""
        status, answer = self.call(method, path, body)
        if status >= 300:
            raise Failed(f"{method} {path}: {status} {answer}")
        return answer

    def state(self) -> str:
        """State of the rig."""
        return str(self.done("GET", "/v1/status")["state"])

    def wait(self, *states: str) -> None:
        """Waits for one of these states."""
        until(f"the rig is {' or '.join(states)}", lambda: self.state() in states)

    def begin(self) -> str:
        """Begins a scan, and gives its id."""
        return str(self.done("POST", "/v1/scans", {"tray": self.tray})["id"])

    def closed(self, scan: str) -> Any:
        """Waits until a scan is closed, and gives its record."""
        record: Any = {}

        def is_closed() -> bool:
            record.update(self.done("GET", f"/v1/scans/{scan}"))
            # A record is written before the rig is idle again.
            return record.get("complete") is not None and self.state() in ("idle", "faulted")

        until(f"{scan} is closed", is_closed)
        return record

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of a path of the read-only listener."""
        try:
            with urllib.request.urlopen(f"http://{self.address}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
