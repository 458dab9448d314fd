"""From a rig to the archive, with the programs of the rig: re-encoded rows are the daemon's own, bit by bit."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pyarrow as pa
import pytest
from conftest import program, wait_for
from onnx import TensorProto, helper, numpy_helper

from hyclus_archive.cli import main
from hyclus_archive.place import Place
from hyclus_archive.tables import open_table

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 180.0


def model(path: Path, convolution: bool) -> Path:
    """A model of its own bands: some wider than the camera's, so that they are means, and some picked here and there."""
    wanted = np.concatenate([np.arange(440.0, 900.0, 23.0), [1100.3, 1204.0, 1399.7], np.arange(1500.0, 2400.0, 41.0)])
    random = np.random.default_rng(3)
    channel = ", 1" if convolution else ""
    if convolution:
        nodes = [
            helper.make_node("Conv", ["spectra", "kernel"], ["found"], strides=[3]),
            helper.make_node("Relu", ["found"], ["positive"]),
            helper.make_node("Flatten", ["positive"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weights"], ["codes"]),
        ]
        steps = (len(wanted) - 5) // 3 + 1
        tensors = {"kernel": random.normal(size=(4, 1, 5)), "weights": random.normal(size=(4 * steps, 6))}
        shape: list[str | int | None] = ["N", 1, len(wanted)]
    else:
        nodes = [helper.make_node("MatMul", ["spectra", "weights"], ["hidden"]), helper.make_node("Tanh", ["hidden"], ["codes"])]
        tensors = {"weights": random.normal(size=(len(wanted), 6)) / 9}
        shape = ["N", len(wanted)]
    graph = helper.make_graph(
        nodes,
        f"bands{channel}",
        [helper.make_tensor_value_info("spectra", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("codes", TensorProto.FLOAT, ["N", 6])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in tensors.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(made, {"hyclus.wavelengths_nm": json.dumps(list(wanted)), "hyclus.name": path.stem})
    onnx.save(made, path)
    return path


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A rig with two encoders that scanned a tray, at a quarter of its resolution, and shipped it into the folder `archive`."""
    folder = tmp_path_factory.mktemp("rig")
    (folder / "archive").mkdir()
    for name in ("dense", "conv"):
        model(folder / f"{name}.onnx", name == "conv")
    text = (ROOT / "config/simulated.toml").read_text(encoding="utf-8").split("[encoder]")[0]
    for old, new in [
        ('data_dir = "../data"', 'data_dir = "data"'),
        ('socket = "../data/control.sock"', 'socket = "s"'),
        ('listen = "127.0.0.1:9420"', 'listen = "127.0.0.1:0"'),
        ("[simulation]\n", '[simulation]\npace = "as_read"\n'),
        ("pixels = 512", "pixels = 192"),
        ("pixels = 384", "pixels = 160"),
        ("frame_rate_hz = 68.0", "frame_rate_hz = 40.0"),
        ("frame_rate_hz = 50.0", "frame_rate_hz = 32.0"),
        ("speed_mm_per_s = 40.0", "speed_mm_per_s = 60.0"),
        ("pixel_mm = 0.6", "pixel_mm = 1.6"),
    ]:
        assert text.count(old) == 1, f"config/simulated.toml has {text.count(old)} times {old}"
        text = text.replace(old, new)
    text += '[[encoder]]\nmodel = "dense.onnx"\n[[encoder]]\nname = "conv"\nmodel = "conv.onnx"\n'
    text += f'[ship]\narchive = "{folder}/archive"\nstate_dir = "state"\n'
    (folder / "rig.toml").write_text(text, encoding="utf-8")
    with open(folder / "log", "wb") as log:
        daemon = subprocess.Popen([program("hyclusd"), "--config", str(folder / "rig.toml")], stdout=log, stderr=log)
    try:
        command = [program("hyclus"), "--socket", str(folder / "s"), "--json"]

        def state() -> str:
            assert daemon.poll() is None, (folder / "log").read_text()[-3000:]
            ran = subprocess.run([*command, "status"], capture_output=True, text=True)
            return str(json.loads(ran.stdout)["state"]) if ran.returncode == 0 else ""

        wait_for(lambda: state() == "idle", "the daemon is idle", PATIENCE_S)
        subprocess.run([*command, "scan", "--wait", "--tray", str(ROOT / "config/trays/demo.toml")], check=True, capture_output=True)
        ships = [program("hyclus-ship"), "--config", str(folder / "rig.toml"), "run", "--once"]
        # A busy machine encodes a part after the scan.
        wait_for(lambda: subprocess.run(ships, capture_output=True).returncode == 0, "the scan is shipped", PATIENCE_S)
        seals = [program("hyclus"), "seal", "--data", str(folder / "data")]
        subprocess.run([*seals, "--new-key", str(folder / "key")], check=True, capture_output=True)
        scan = next((folder / "data/scans").iterdir()).name
        subprocess.run([*seals, "--key", str(folder / "key"), "--by", "Ada", scan], check=True, capture_output=True)
        subprocess.run(ships, check=True, capture_output=True)
    finally:
        daemon.terminate()
        daemon.wait()
    assert main(["serve", str(folder / "archive"), "--once"]) == 0
    return folder


@pytest.mark.parametrize(("own", "name"), [("main", "dense"), ("conv", "conv")])
def test_rows_are_the_daemons_own(rig: Path, own: str, name: str) -> None:
    place = str(rig / "archive")
    command = ["reencode", place, "--encoder", str(rig / f"{name}.onnx"), "--name", f"{name}-again", "--workers", "1"]
    assert main([*command, "--hyclus", program("hyclus")]) == 0
    rows = open_table(Place.open(place), "embeddings").to_pyarrow_table()
    columns = ["sample", "container", "line", "pixel", "x_mm", "y_mm", "time_ns", "quality", "embedding"]

    def of(encoder: str) -> pa.Table:
        chosen = rows.filter(pa.compute.equal(rows["encoder"], encoder)).select(columns)
        return chosen.sort_by([(column, "ascending") for column in ("sample", "line", "pixel")])

    daemons, again = of(own), of(f"{name}-again")
    assert len(daemons) > 10_000
    assert again.drop_columns(["embedding"]) == daemons.drop_columns(["embedding"])
    bits = [np.asarray(table["embedding"].combine_chunks().flatten()).view(np.uint32) for table in (again, daemons)]
    assert np.array_equal(bits[0], bits[1])


def test_a_seal_travels_along(rig: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(rig / "archive")]) == 0
    assert "as scan.json says and seal 1" in capsys.readouterr().out
    copy = tmp_path / "archive"
    shutil.copytree(rig / "archive", copy)
    (scan,) = copy.glob("objects/rig=*/scan=*")
    for name, told in [("scan.json", "is not the record that was sealed"), ("ro-crate-metadata.json", "not as hyclus writes it")]:
        path = scan / "seal=1" / name
        whole = path.read_bytes()
        path.write_bytes(whole[:-5])
        assert main(["verify", str(copy)]) == 1 and told in capsys.readouterr().out
        path.write_bytes(whole)
    path = scan / "seal=1/ro-crate-metadata.json"
    document = json.loads(path.read_text())
    one = next(entity for entity in document["@graph"] if entity["@id"].endswith("quicklook.png"))
    one["sha256"] = one["sha256"][::-1]
    path.write_text(json.dumps(document))
    assert main(["verify", str(copy)]) == 1
    out = capsys.readouterr().out
    assert "quicklook.png has sha256" in out and "its seal says" in out


def test_the_tree_of_tiled_has_the_seal(rig: Path) -> None:
    pytest.importorskip("tiled.server.app", reason="the package tiled is not installed")
    from hyclus_archive.tiled_tree import about

    (scan,) = (rig / "archive").glob("objects/rig=*/scan=*")
    assert about(scan)["ro_crate"]["@graph"][0]["@id"] == "ro-crate-metadata.json"
