"""Fitting a model to a grid, by the daemon's own program: the resampling exists there alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .errors import ArchiveError

# A model is tried in there, which takes up to half a minute for a bad one.
LIMIT_S = 120.0


class Unfit(ArchiveError):
    """The model cannot take spectra on a grid. The message is the program's."""


@dataclass(frozen=True)
class Grid:
    """Bands of spectra: centres and full widths at half maximum, nm. A width is None where it is unknown."""

    wavelengths_nm: tuple[float, ...]
    fwhm_nm: tuple[float | None, ...]


def program(given: str | None) -> str:
    """Path of the program `hyclus`: as given, else in the folder HYCLUS_BIN, else in PATH. Raises ArchiveError."""
    if given is not None:
        found = shutil.which(given)
        if found is None:
            raise ArchiveError(f"--hyclus {given} is no program")
        return found
    folder = os.environ.get("HYCLUS_BIN")
    found = shutil.which("hyclus", path=folder) if folder else shutil.which("hyclus")
    if found is None:
        where = f"the folder {folder} (HYCLUS_BIN)" if folder else "PATH"
        raise ArchiveError(
            f"the program hyclus is not in {where}; it fits models to the grids of rigs. Install hyclus, or give --hyclus FILE"
        )
    return found


def fit(hyclus: str, model: Path, grid: Grid) -> bytes:
    """The model, fitted to a grid: it takes float32 `[N, bands of the grid]`.

    Raises Unfit where the model cannot take such spectra, and ArchiveError where the program fails otherwise.
    """
    with tempfile.TemporaryDirectory(prefix="hyclus-archive-") as folder:
        bands, fitted = Path(folder) / "grid.json", Path(folder) / "fitted.onnx"
        bands.write_text(json.dumps({"wavelengths_nm": grid.wavelengths_nm, "fwhm_nm": grid.fwhm_nm}), encoding="utf-8")
        command = [hyclus, "fit", str(model), "--grid", str(bands), "--out", str(fitted)]
        try:
            ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            raise ArchiveError(f"hyclus fit took longer than {LIMIT_S:.0f} s for {model}") from None
        except OSError as error:
            raise ArchiveError(f"cannot run {hyclus}: {error}") from error
        said = " ".join(ran.stderr.split()) or "it says nothing"
        if ran.returncode == 1:
            raise Unfit(said.removeprefix("hyclus: ").removeprefix("error: "))
        if ran.returncode != 0:
            raise ArchiveError(f"{hyclus} fit ends with status {ran.returncode}: {said}. Is it of this version?")
        try:
            return fitted.read_bytes()
        except OSError as error:
            raise ArchiveError(f"{hyclus} fit wrote no model: {error}. Is it of this version?") from error
