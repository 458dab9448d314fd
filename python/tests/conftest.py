"""A daemon on a small simulated rig, for all tests. HYCLUS_BIN names the folder of the programs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PYTHON = Path(__file__).resolve().parents[1]
ROOT = PYTHON.parent
sys.path[:0] = [str(PYTHON), str(PYTHON / "tests")]

TRAY = ROOT / "config/trays/demo.toml"
PATIENCE_S = 60.0


def program(name: str) -> Path:
    """A program of the workspace."""
    path = Path(os.environ.get("HYCLUS_BIN", ROOT / "target/debug")) / name
    if not path.exists():
        pytest.exit(f"{path} is missing: run `make build`, or set HYCLUS_BIN to the folder of the programs", returncode=2)
    return path


def configuration(pace: str = "as_read", time_scale: float = 1.0) -> str:
    """`config/simulated.toml` with its ores, at a quarter of its resolution. Scans are as fast as the machine, or have a pace."""
    text = (ROOT / "config/simulated.toml").read_text()
    for old, new in [
        (r'data_dir = .*', 'data_dir = "data"'),
        (r'socket = .*', 'socket = "s"'),
        (r'listen = .*', 'listen = "127.0.0.1:0"'),
        (r"\[simulation\]", f'[simulation]\npace = "{pace}"\ntime_scale = {time_scale}'),
        (r"pixels = 512", "pixels = 192"),
        (r"pixels = 384", "pixels = 160"),
        (r"bands = 224", "bands = 112"),
        (r"bands = 288", "bands = 144"),
        (r"frame_rate_hz = 68.0", "frame_rate_hz = 40.0"),
        (r"frame_rate_hz = 50.0", "frame_rate_hz = 32.0"),
        (r"speed_mm_per_s = 40.0", "speed_mm_per_s = 60.0"),
        (r"pixel_mm = 0.6", "pixel_mm = 1.6"),
        (r"frames = 50", "frames = 20"),
        (r'model = "', f'batch = 256\nmodel = "{ROOT}/config/'),
        (r'library = "', f'library = "{ROOT}/config/'),
        (r'(?s)# The rig in a browser.*', "[publish]\nmax_age_s = 0.2\n"),
    ]:
        text, count = re.subn(old, lambda _: new, text)
        assert count == 1, f"config/simulated.toml has {count} times {old}"
    return text


@dataclass
class Daemon:
    """A daemon that runs."""

    folder: Path
    process: subprocess.Popen[str]
    log: list[str]

    @property
    def socket(self) -> Path:
        """Its control socket."""
        return self.folder / "s"

    @property
    def data(self) -> Path:
        """Its data root."""
        return self.folder / "data"

    def end(self) -> None:
        """Ends it in order."""
        self.process.terminate()
        self.process.wait(PATIENCE_S)


def launch(folder: Path, text: str | None = None) -> Daemon:
    """Starts a daemon and waits until it is ready."""
    if text is not None:
        (folder / "rig.toml").write_text(text)
    environment = {**os.environ, "HYCLUS_LOG": "info", "HYCLUS_LOG_FORMAT": "json", "ORT_DISABLE_TELEMETRY": "1"}
    arguments = [str(program("hyclusd")), "--config", str(folder / "rig.toml")]
    process = subprocess.Popen(arguments, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=environment)
    assert process.stderr is not None
    log: list[str] = []
    for line in process.stderr:
        log.append(line)
        message: Any = json.loads(line) if line.startswith("{") else {}
        if message.get("fields", {}).get("message") == "hyclusd is ready":
            break
    else:
        raise AssertionError(f"hyclusd did not start:\n{''.join(log)}")
    threading.Thread(target=lambda stream=process.stderr: log.extend(stream), daemon=True).start()
    return Daemon(folder, process, log)


@pytest.fixture(scope="session")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon whose scans are as fast as the machine."""
    running = launch(tmp_path_factory.mktemp("rig"), configuration())
    yield running
    running.end()


@pytest.fixture(scope="session")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon whose scans take some seconds, so that something can happen during one."""
    running = launch(tmp_path_factory.mktemp("slow"), configuration("real_time", 3.0))
    yield running
    running.end()
