#!/usr/bin/env python3
"""Puts the simulated world's truth into the form that the bench's scorer reads, and holds the samples against it.
usage: score_simulated.py SCORER TRUTH.json SAMPLES_FOLDER"""
import glob
import json
import subprocess
import sys
import tempfile

import numpy as np

scorer, truth, samples = sys.argv[1:]
world = json.load(open(truth))
spectra = [np.full(len(world["wavelengths_nm"]), world["background_reflectance"])]
boxes = []
for box in world["containers"]:
    spectra += [np.array(box["lower"]), np.array(box["upper"])]
    boxes.append({key: box[key] for key in ("x_mm", "y_mm", "width_mm", "length_mm")})
with tempfile.TemporaryDirectory() as folder:
    json.dump(
        dict(containers=boxes, tilt_deg=world["tilt_deg"], fov_mm=world["field_mm"], tray_length_mm=world["tray_length_mm"]),
        open(f"{folder}/truth.json", "w"),
    )
    np.savez(f"{folder}/truth.npz", wavelength_nm=np.array(world["wavelengths_nm"]), spectra=np.array(spectra, "f4"))
    files = sorted(glob.glob(f"{samples}/*.h5"))
    scored = subprocess.run([sys.executable, scorer, folder, *files, "--json"], capture_output=True, text=True)
    assert scored.returncode == 0, scored.stderr
    score = json.loads(scored.stdout)
print(score)
assert score["found"] == score["expected"] == len(files), score
assert score["iou_worst"] >= 0.94 and abs(score["bias"]) <= 0.01 and score["registration_mm"] <= 0.3, score
assert score["rmse_vnir"] <= 0.012 and score["rmse_swir"] <= 0.012, score
