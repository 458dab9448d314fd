"""The README runs. The notebooks run from top to bottom on the simulated rig, and are kept without outputs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PATIENCE_S, PYTHON, TRAY, Daemon

from hyclus import Rig

NOTEBOOKS = sorted((PYTHON / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize(("name", "figures"), [("first_scan", 1), ("embeddings_to_map", 2), ("minerals_and_assays", 3)])
def test_a_notebook_runs(name: str, figures: int, daemon: Daemon, tmp_path: Path) -> None:
    rig = Rig(daemon.socket, data=daemon.data)
    if name != "first_scan" and not any(record.complete for record in rig.scans()):
        rig.scan(TRAY, progress=False)
    environment = {
        **os.environ,
        "PYTHONPATH": f"{PYTHON}:{os.environ.get('PYTHONPATH', '')}",
        "HYCLUS_SOCKET": str(daemon.socket),
        "HYCLUS_DATA": str(daemon.data),
        "PYTHONWARNINGS": "error::UserWarning,error::FutureWarning,error::RuntimeWarning",
    }
    kept = os.environ.get("HYCLUS_FIGURES", str(tmp_path))
    command = [sys.executable, str(PYTHON / "tests/run_notebook.py"), str(PYTHON / f"notebooks/{name}.ipynb"), kept]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=PATIENCE_S)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1] == f"{figures} figures"
    for number in range(1, figures + 1):
        assert (Path(kept) / f"{name}-{number}.png").stat().st_size > 10_000


def test_the_readme_runs(daemon: Daemon) -> None:
    text = (PYTHON / "README.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)
    assert len(blocks) == 4 and text.count("```") == 2 * (len(blocks) + 2)
    code = "\n".join(blocks).replace("/var/lib/hyclus", str(daemon.data)).replace("tray.toml", str(TRAY))
    environment = {**os.environ, "PYTHONPATH": f"{PYTHON}:{os.environ.get('PYTHONPATH', '')}", "HYCLUS_SOCKET": str(daemon.socket)}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=PATIENCE_S)
    assert ran.returncode == 0, ran.stderr
    last = Rig(daemon.socket).scans()[-1]
    assert ran.stdout.splitlines()[-1] == str(last.embeddings)
    assert sum(int(line.split()[0]) for line in ran.stdout.splitlines() if line.endswith(" P1-2018-07-M100")) > 0


def test_every_notebook_is_run() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["embeddings_to_map", "first_scan", "minerals_and_assays"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_has_no_outputs(path: Path) -> None:
    notebook = json.loads(path.read_text())
    assert (notebook["nbformat"], notebook["metadata"]["kernelspec"]["name"]) == (4, "python3")
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)
    for cell in notebook["cells"]:
        assert cell["cell_type"] == "markdown" or (cell["outputs"], cell["execution_count"]) == ([], None)
