#!/usr/bin/env python3
"""Plays scenes on simulated rigs before a Prometheus with the alarms of config/monitoring/, and sees each alarm fire, and no other.

usage: monitoring_scenes.py [SCENE...]   all scenes, or those whose names hold one of these words

HYCLUS_BIN names the folder of hyclusd, and HYCLUS_PROMETHEUS Prometheus. All scenes together also check that rules and dashboard name
what `/metrics` serves, and that no panel is empty. Needs pyyaml and onnx. Alarms that no simulated rig raises are tried by hyclus.test.yml
alone."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from monitoring import Failed, Prometheus, check_names, until
from monitoring_rig import RIG, ROOT, Daemon, tray

# Scenes at a time. Most of a scene is waiting for Prometheus, which takes up new targets every five seconds.
AT_ONCE = 8
PTRACE_ATTACH, PTRACE_DETACH, WALL = 16, 17, 0x40000000

ENCODER = f"[encoder]\nmodel = '{ROOT / 'config/encoders/simulated-pca4.onnx'}'\nbatch = 64\n[publish]\nmax_age_s = 0.1\n"
MINERALS = "[minerals]\nlibrary = 'minerals/usgs.toml'\n"
# A grid of bands on which minerals are identified.
FINE = ("bands = 48", "bands = 160")


@dataclass
class Scene:
    """What is done, and the alarms that come of it. `rig` are changes of the configuration, `more` stands at its end."""

    name: str
    alarms: set[str]
    play: Callable[[Daemon], None]
    rig: list[tuple[str, str]] = field(default_factory=list)
    more: str = ""
    # Written before the daemon starts: `faults.toml`, other files by name, and what else is to be done.
    faults: str = ""
    files: dict[str, str] = field(default_factory=dict)
    prepare: Callable[[Path], None] = lambda folder: None
    # Alarms that may come of it, as threads happen to run.
    may: set[str] = field(default_factory=set)
    # Rows of the tray, of two containers each.
    rows: int = 1
    # Size of a file system of its own for the data, MiB.
    room_mib: int = 0


def scans(complete: bool | None = True) -> Callable[[Daemon], None]:
    """A scan to its end, which is to be complete or not, or either (None)."""

    def play(daemon: Daemon) -> None:
        record = daemon.closed(daemon.begin())
        if complete is not None and record["complete"] != complete:
            raise Failed(f"the scan is complete: {record['complete']}, {record.get('reason')}, {record.get('warnings')}")

    return play


def asks(method: str, path: str, status: int, body: Any = None) -> Callable[[Daemon], None]:
    """A call that is answered with a status."""

    def play(daemon: Daemon) -> None:
        if (answer := daemon.call(method, path, body))[0] != status:
            raise Failed(f"{method} {path}: {answer}")

    return play


def two_scans(daemon: Daemon) -> None:
    # What the rules look for is then in the metrics.
    asks("POST", "/v1/references/dark", 200, {})(daemon)
    if daemon.get("/v1/health/ready")[0] != 200:
        raise Failed(daemon.get("/v1/health/ready")[1])
    for _ in range(2):
        scans()(daemon)
    # The numbers of a scan that is whole, so that this scene cannot pass without one.
    text = daemon.get("/metrics")[1]
    for line in ('hyclus_scans_total{outcome="complete"} 2', "hyclus_samples_stored_total 4", "hyclus_pending_spectra 0"):
        if f"\n{line}\n" not in text:
            raise Failed(f"{line} is not in\n{text}")


def restart(daemon: Daemon) -> None:
    """It is killed, stays away, and begins anew on the same port."""
    # The counter of scrapes has to fall: it begins anew at 1.
    count = f'hyclus_http_requests_total{{route="/metrics", instance="{daemon.address}"}} > 2'
    until("several scrapes", lambda: bool(seen.prometheus.query(count)))
    daemon.end(signal.SIGKILL)
    text = (daemon.folder / "rig.toml").read_text()
    (daemon.folder / "rig.toml").write_text(text.replace("127.0.0.1:0", daemon.address))
    seen.wait_firing(daemon, "HyclusDown")
    daemon.start()


def not_ready(daemon: Daemon) -> None:
    """The folder of the data goes away, and somebody asks for readiness, as the blackbox exporter does."""
    daemon.data.rename(daemon.folder / "elsewhere")
    end = threading.Event()

    def ask() -> None:
        while not end.wait(0.2) and daemon.get("/readyz")[0] == 503:
            pass

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        seen.wait_firing(daemon, "HyclusNotReady")
    finally:
        end.set()
        thread.join()


def stuck(daemon: Daemon) -> None:
    """The stage that joins stands still, as on a disk that hangs, until the frame pools ran over, and goes on before the scan ends."""
    libc = ctypes.CDLL(None, use_errno=True)
    scan = daemon.begin()
    tasks = Path(f"/proc/{daemon.process.pid}/task")

    def threads() -> list[int]:
        return [int(task.name) for task in tasks.iterdir() if (task / "comm").read_text().strip() == "join"]

    daemon.wait("scanning")
    until("there is a thread join", lambda: bool(threads()))
    thread = threads()[0]
    # A thread that is traced stands still. The one that traces it must let it go.
    if libc.ptrace(PTRACE_ATTACH, thread, None, None):
        raise Failed(f"the thread cannot be stopped: {os.strerror(ctypes.get_errno())}")
    os.waitpid(thread, WALL)
    try:
        for alarm in ("HyclusPoolFilling", "HyclusStuck"):
            seen.wait_firing(daemon, alarm)
    finally:
        libc.ptrace(PTRACE_DETACH, thread, None, None)
    daemon.closed(scan)


def emergency(daemon: Daemon) -> None:
    daemon.done("POST", "/v1/stop")
    if daemon.state() != "faulted":
        raise Failed(f"the rig is {daemon.state()}")


def stopped(daemon: Daemon) -> None:
    scan = daemon.begin()
    daemon.wait("scanning")
    daemon.done("POST", f"/v1/scans/{scan}/stop")
    daemon.closed(scan)


def disk_fills(daemon: Daemon) -> None:
    """Something else takes all the room while a scan runs."""
    daemon.begin()
    daemon.wait("scanning")
    filler = Path(f"/proc/{daemon.process.pid}/root{daemon.data}/filler")
    with filler.open("wb", buffering=0) as out:
        for size in (1 << 20, 1 << 12):
            try:
                while True:
                    out.write(bytes(size))
            except OSError:
                pass
    # The record finds no room either, until the fault is acknowledged. So it is not closed.
    daemon.wait("faulted")


def block_embeddings(daemon: Daemon) -> None:
    """A file lies in the place of the data set."""
    (daemon.data / "embeddings").write_text("")
    scans()(daemon)


def lose_library(daemon: Daemon) -> None:
    shutil.rmtree(daemon.folder / "minerals")
    scans()(daemon)


def warming(daemon: Daemon) -> None:
    daemon.begin()
    daemon.wait("warming")
    seen.wait_firing(daemon, "HyclusLampsNotWarm")
    daemon.done("POST", "/v1/scans/" + daemon.done("GET", "/v1/scans")[0]["id"] + "/stop")


def library(folder: Path) -> None:
    shutil.copytree(ROOT / "config/minerals", folder / "minerals")


def stranger(folder: Path) -> None:
    """An encoder whose training lay within limits that nothing meets."""
    import onnx

    model = onnx.load(str(ROOT / "config/encoders/simulated-pca4.onnx"))
    shape = model.graph.output[0].type.tensor_type.shape.dim
    dims = shape[len(shape) - 1].dim_value
    about = {entry.key: entry.value for entry in model.metadata_props}
    identity = [[float(row == column) for column in range(dims)] for row in range(dims)]
    about |= {"hyclus.codes_mean": json.dumps([1e3] * dims), "hyclus.codes_covariance": json.dumps(identity), "hyclus.codes_limit": "1.0"}
    onnx.helper.set_model_props(model, about)
    onnx.save(model, str(folder / "stranger.onnx"))


FEATURES = 'name = "panel"\nleast = 1\n[[feature]]\nnm = 2130.0\nwindow_nm = 60.0\ntolerance_nm = 0.05\n'
ABSORBS = "\npanel = { features = [{ nm = 2130.0, depth = 0.2, width_nm = 14.0 }] }\n"
SWIR = "pixels = 96, bands = 48"
FAULTED = "HyclusScanIncomplete"
# Pictures in which the places of containers are seen well.
SHARP = [
    ("pixels = 128", "pixels = 256, psf_mm = 1.2"),
    ("pixels = 96", "pixels = 192, psf_mm = 1.6"),
    ("frame_rate_hz = 40.0", "frame_rate_hz = 70.0"),
    ("frame_rate_hz = 32.0", "frame_rate_hz = 60.0"),
    ("offset_mm = 40.0", "offset_mm = 60.0"),
    ("pixel_mm = 2.4", "pixel_mm = 1.2"),
]

SCENES = [
    Scene("clean scans", set(), two_scans, more=ENCODER + MINERALS, prepare=library, rig=[FINE]),
    Scene("killed, and begun anew", {"HyclusDown", "HyclusRestarted"}, restart),
    Scene("data folder away", {"HyclusNotReady"}, not_ready),
    Scene(
        "a stage stands still",
        {"HyclusStuck", "HyclusQueueFull", "HyclusPoolFilling", "HyclusLinesLostAtPool"},
        stuck,
        rig=[("256", "24"), ("time_scale = 2.0", "time_scale = 0.5")],
        rows=8,
        may={"HyclusPoolLow"},
    ),
    Scene("emergency stop", {"HyclusEmergencyStop"}, emergency),
    Scene(
        "camera falls silent", {"HyclusCameraFault", FAULTED}, scans(False), faults="camera_silent = { camera = 'swir', from_frame = 30 }"
    ),
    Scene("drive trips", {"HyclusBeltFault", FAULTED}, scans(False), faults="drive_trips = { at_mm = 30.0 }"),
    Scene(
        "lamp fails",
        {"HyclusLightFault", FAULTED},
        scans(False),
        faults="lamp_fails = { light = 'halogen', at_mm = 30.0, reported = true }",
    ),
    Scene("lines lost on the link", {"HyclusLinesLostOnLink"}, scans(), rig=[(SWIR, SWIR + ", lost_per_thousand = 100.0")]),
    Scene("short frames", {"HyclusLinesUnusable"}, scans(), faults="camera_short = { camera = 'vnir', from_frame = 30, frames = 6 }"),
    Scene("slow encoder", {"HyclusEmbeddingsPending"}, scans(), more=ENCODER + "[simulation.faults.encoder_slow]\nbatch_s = 2.0\n"),
    Scene("stopped by its operator", {"HyclusScanIncomplete"}, stopped),
    Scene(
        "disk too small",
        {"HyclusScanRefused"},
        asks("POST", "/v1/scans", 507, {"tray": tray(1)}),
        rig=[("reserve_mib = 1", "reserve_mib = 1000000000")],
    ),
    Scene("disk nearly full", {"HyclusDiskNearlyFull"}, scans(), room_mib=64),
    Scene("disk fills", {"HyclusDiskNearlyFull", "HyclusDiskFault", FAULTED}, disk_fills, room_mib=64, may={"HyclusLinesUnrecorded"}),
    Scene(
        "saturated panel",
        {"HyclusReferenceRefused"},
        asks("POST", "/v1/references/white", 422, {}),
        rig=[("exposure_us = 2000.0", "exposure_us = 4000.0")],
    ),
    Scene("lamps do not get steady", {"HyclusLampsNotWarm", FAULTED}, warming, rig=[("warm_up_s = 0.01", "warm_up_s = 300.0")]),
    Scene("dark level moves", {"HyclusDarkDrift"}, scans(), rig=[("dead_elements", "dark_drift_per_h = 7200.0, dead_elements")]),
    Scene(
        "wavelengths off",
        {"HyclusWavelengthShift"},
        scans(),
        rig=[
            (SWIR, "pixels = 192, bands = 224, fwhm_nm = 12.0, wavelength_shift_nm = 2.0"),
            ("lamp_drift = 0.0\n", "lamp_drift = 0.0" + ABSORBS),
            ("{ reflectance = 0.95 }", "{ reflectance = 0.95, features = 'ptfe.toml' }"),
            ("frames = 12", "frames = 50"),
        ],
        files={"ptfe.toml": FEATURES},
    ),
    Scene(
        "panel that is not what it says",
        {"HyclusImplausible"},
        scans(None),
        rig=[("lamp_drift = 0.0\n", "lamp_drift = 0.0\npanel = { reflectance = 0.3 }\n")],
    ),
    Scene("worn detector", {"HyclusBadElements"}, scans(), rig=[("dead_elements = 5", "dead_elements = 400")]),
    Scene("camera moved", {"HyclusMisregistered"}, scans(), rig=[*SHARP, ("shift_mm = 1.5\nfield", "shift_mm = 3.5\nfield")], rows=2),
    Scene(
        "belt slips",
        {"HyclusIrregular", "HyclusMisregistered"},
        scans(),
        faults="belt_slips = { at_mm = -60.0, share = 0.03 }",
        rig=SHARP,
        rows=2,
    ),
    Scene("embeddings cannot be written", {"HyclusEmbeddingsPending"}, block_embeddings, more=ENCODER),
    Scene("library of minerals away", {"HyclusMineralsPending"}, lose_library, more=MINERALS, prepare=library, rig=[FINE]),
    Scene(
        "unknown to the encoder",
        {"HyclusNovel"},
        scans(),
        more=ENCODER.replace(str(ROOT / "config/encoders/simulated-pca4.onnx"), "stranger.onnx"),
        prepare=stranger,
    ),
    Scene(
        "no mineral",
        {"HyclusNotIdentified"},
        scans(),
        more=MINERALS + "[[simulation.tray.ores]]\nat = ['A1']\nminerals = [{ mineral = 'polyethylene', share = 1.0 }]\n",
        prepare=library,
        rig=[FINE],
    ),
]


# True alarms of a machine that plays eight scenes at once. The scene in which nothing may fire is played by itself.
BUSY = {"HyclusPoolFilling", "HyclusPoolLow", "HyclusQueueFull", "HyclusLinesLostAtPool", "HyclusEmbeddingsPending", "HyclusMineralsPending"}


class Seen:
    """The Prometheus that all scenes are seen by."""

    prometheus: Prometheus
    texts: list[str] = []

    def wait_firing(self, daemon: Daemon, alarm: str) -> None:
        """Waits until an alarm of a daemon fires."""
        until(f"{alarm} fires", lambda: alarm in self.prometheus.fired(daemon.address))

    def play(self, scene: Scene) -> str:
        """Plays a scene, and gives a line about it. Raises Failed."""
        begin = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="scene") as name:
            folder = Path(name)
            text = RIG + scene.more
            text = text.replace("rows = 1\n", f"rows = {scene.rows}\n").replace(
                "length_mm = 105.0", f"length_mm = {75 * scene.rows + 30}.0"
            )
            for old, new in scene.rig:
                if old not in text:
                    raise Failed(f"{old!r} is not in the configuration")
                text = text.replace(old, new)
            for path, content in scene.files.items():
                (folder / path).write_text(content)
            if scene.faults:
                (folder / "faults.toml").write_text(f"during = 'scan'\n{scene.faults}\n")
            scene.prepare(folder)
            within: list[str] = []
            if scene.room_mib:
                (folder / "data").mkdir()
                mount = f'mount -t tmpfs -o size={scene.room_mib}m,mode=700 tmpfs "$0" && exec "$@"'
                within = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, str(folder / "data")]
                if subprocess.run([*within, "true"], capture_output=True).returncode:
                    return f"{scene.name:<32} not tried: the system allows no namespaces"
            daemon = Daemon(folder, text, scene.rows, within)
            try:
                self.prometheus.watch(daemon.address, scene=scene.name)
                scene.play(daemon)
                self.prometheus.check(daemon.address, scene.alarms, scene.may | (BUSY if scene.alarms else set()))
                self.texts.append(daemon.get("/metrics")[1])
                self.prometheus.forget(daemon.address)
            except Failed as failed:
                raise Failed(f"{failed}\n{(folder / 'log').read_text()[-6000:]}") from None
            finally:
                daemon.process.kill()
                daemon.process.wait()
        return f"{scene.name:<32} {', '.join(sorted(scene.alarms)) or 'nothing'} [{time.monotonic() - begin:.1f} s]"


seen = Seen()


def main(words: list[str]) -> None:
    chosen = [scene for scene in SCENES if not words or any(word in scene.name for word in words)]
    if not chosen:
        raise Failed(f"no scene is called so; there are: {', '.join(scene.name for scene in SCENES)}")
    begin, failed = time.monotonic(), []
    with tempfile.TemporaryDirectory() as folder, Prometheus(Path(folder)) as seen.prometheus, ThreadPoolExecutor(AT_ONCE) as pool:
        # First what has the machine to itself, then all others at once.
        chosen.sort(key=lambda scene: bool(scene.alarms))
        futures = []
        for scene in chosen:
            futures.append((scene, pool.submit(seen.play, scene)))
            if not scene.alarms:
                wait([futures[-1][1]])
        for scene, future in futures:
            try:
                print(future.result(), flush=True)
            except (Failed, OSError) as error:
                failed.append(scene.name)
                print(f"{scene.name:<32} FAILED: {error}", flush=True)
        if not words and not failed:
            if empty := seen.prometheus.empty_panels():
                raise Failed("nothing is shown by\n" + "\n".join(empty))
            print(f"{check_names(seen.texts)} expressions name what is in /metrics, and every panel shows something")
    print(f"{len(chosen)} scenes in {time.monotonic() - begin:.1f} s")
    if failed:
        raise Failed(f"{len(failed)} failed: {', '.join(failed)}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Failed as failure:
        sys.exit(str(failure))
