"""Runs the code cells of a notebook in order, in one namespace and in its folder, and saves every figure.

    run_notebook.py NOTEBOOK FIGURES

There is no kernel: magics of IPython do not work, and the last value of a cell is not shown.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402


def main(notebook: Path, figures: Path) -> None:
    """Runs the notebook. Figures become NAME-NUMBER.png."""
    cells = json.loads(notebook.read_text())["cells"]
    os.chdir(notebook.parent)
    shown = 0

    def show() -> None:
        nonlocal shown
        for number in plt.get_fignums():
            shown += 1
            plt.figure(number).savefig(figures / f"{notebook.stem}-{shown}.png", dpi=90)
        plt.close("all")

    vars(plt)["show"] = show
    namespace: dict[str, object] = {"__name__": "__main__"}
    for number, cell in enumerate(cells):
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), f"{notebook.name}[{number}]", "exec"), namespace)
    print(f"{shown} figures")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
