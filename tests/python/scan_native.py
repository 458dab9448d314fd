"""Compares the cameras' own grids of a sample with the raw recording of its scan, lost lines and bad elements included.
usage: scan_native.py SAMPLE.h5 RAW; the rig is that of tests/daemon/rig.rs."""

import csv
import glob
import os
import sys

import h5py
import numpy as np

PANEL = 0.95
LINE_MM = {"vnir": 80.0 / 40.0, "swir": 80.0 / 32.0}


def read(path, bands, pixels):
    return np.fromfile(path, "<u2").reshape(-1, bands, pixels).transpose(0, 2, 1).astype("f8")


sample, raw = sys.argv[1:]
with h5py.File(sample) as f:
    cube = f["entry/reflectance"]
    grid = cube["pixel"][1] - cube["pixel"][0]
    top, bottom = cube["line"][0] - grid / 2, cube["line"][-1] + grid / 2
    for camera, (pixels, bands, offset, shift) in {"vnir": (128, 40, 0.0, 0.0), "swir": (96, 48, 40.0, 1.5)}.items():
        native = f[f"entry/{camera}_native"]
        folder = os.path.join(raw, camera, "capture")
        (lines,) = glob.glob(os.path.join(folder, "*.lines.csv"))
        name = os.path.basename(lines)[: -len(".lines.csv")]
        with open(lines) as text:
            rows = [row for row in csv.DictReader(text) if row["status"] == "ok"]
        y = np.array([float(row["position_mm"]) for row in rows]) - offset
        half = LINE_MM[camera] / 2
        # Positions are written to a tenth of a micrometre.
        along = (y + half > top + 1e-3) & (y - half < bottom - 1e-3)
        near = (y + half > top - 1e-3) & (y - half < bottom + 1e-3)
        line = native["line"][()]
        assert along.sum() <= len(line) <= near.sum(), (camera, len(line), along.sum(), near.sum())
        at = np.array([np.abs(y - mm).argmin() for mm in line])
        assert np.abs(y[at] - line).max() < 1e-3 and (np.diff(at) == 1).all(), camera
        assert (np.diff(line) > 1.5 * LINE_MM[camera]).any() or np.diff([int(rows[i]["frame"]) for i in at]).max() == 1, "a gap is a gap"
        centres = (np.arange(pixels) + 0.5) * 300.0 / pixels + shift
        across = np.array([np.abs(centres - mm).argmin() for mm in native["pixel"]])
        assert np.abs(centres[across] - native["pixel"]).max() < 1e-3, camera
        counts = read(os.path.join(folder, name + ".raw"), bands, pixels)
        dark = read(os.path.join(folder, f"DARKREF_{name}.raw"), bands, pixels).mean(0)
        white = read(os.path.join(folder, f"WHITEREF_{name}.raw"), bands, pixels).mean(0)
        assert len(counts) >= len(rows)
        used = np.array([int(row["line"]) for row in rows])
        with np.errstate(divide="ignore", invalid="ignore"):
            wanted = ((counts[used] - dark) * PANEL / (white - dark))[at][:, across]
        seen = native["reflectance"][()]
        # Bad elements are interpolated, here as in the cube.
        good = f[f"entry/calibration/{camera}/bad_pixel"][()][across] == 0
        good = np.broadcast_to(good, seen.shape)
        assert 0.98 < good.mean() < 1.0 and np.isfinite(seen).all(), (camera, good.mean())
        worst = np.abs(seen[good] - wanted[good]).max()
        assert worst < 1e-6, (camera, worst)
        print(f"{camera}: {seen.shape} of {len(rows)} lines, within {worst:.1e}")
