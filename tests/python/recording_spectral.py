#!/usr/bin/env python3
"""Opens a raw recording with Spectral Python. usage: recording_spectral.py CAPTURE_FOLDER NAME LINES LOST"""
import csv
import sys

import numpy as np
import spectral.io.envi as envi

folder, name, lines, lost = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
image = envi.open(f"{folder}/{name}.hdr", f"{folder}/{name}.raw")
assert image.shape[0] == lines, (image.shape, lines)
assert image.metadata["interleave"] == "bil" and image.metadata["data type"] == "12" and image.metadata["byte order"] == "0"
(errors,) = image.metadata["errors"]
assert errors.startswith(f"{lost} lines lost; frames ") if lost else errors == "none", errors
assert image.metadata["wavelength units"] == "nm"
assert len(image.bands.centers) == image.shape[2] and np.all(np.diff(image.bands.centers) > 0)
dark, white = (envi.open(f"{folder}/{ref}_{name}.hdr", f"{folder}/{ref}_{name}.raw").load() for ref in ("DARKREF", "WHITEREF"))
assert dark.shape[1:] == white.shape[1:] == image.shape[1:]
assert np.median(white) > 2 * np.median(dark)
rows = list(csv.DictReader(open(f"{folder}/{name}.lines.csv")))
assert len(rows) == lines and [int(row["line"]) for row in rows] == list(range(lines))
assert {row["status"] for row in rows} == {"ok"}
positions = np.array([float(row["position_mm"]) for row in rows])
assert np.all(np.diff(positions) > 0)
