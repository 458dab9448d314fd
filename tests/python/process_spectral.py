#!/usr/bin/env python3
"""Writes recordings of reflectance with Spectral Python, and compares what was made of them with what it reads.
usage: process_spectral.py write FOLDER | compare FOLDER DATA. Needs numpy, spectral and h5py."""

import glob
import sys

import h5py
import numpy as np
import spectral.io.envi as envi

LINES, PIXELS, BANDS = 24, 16, 5
# Number type, interleave, byte order, gain, offset, scale factor, number to ignore as it is written.
CASES = [
    ("float32", "bil", 0, 0.5, 0.25, 1.0, "-9999.99"),
    ("float32", "bip", 1, None, None, 100.0, "0.1"),
    ("float64", "bsq", 0, 2.0, -0.5, 10.0, "1e-5"),
    ("int16", "bip", 1, 0.01, 0.125, 4.0, "-32768"),
    ("int32", "bsq", 1, 1e-6, 0.0, 1.0, "16777217"),
    ("uint16", "bil", 0, 0.001, None, 1.0, "65535"),
    ("uint16", "bsq", 1, None, 0.5, 100.0, "7"),
]


def per_band(value):
    return None if value is None else [value * (1 + band / 8) for band in range(BANDS)]


if sys.argv[1] == "write":
    for number, (kind, interleave, order, gain, offset, scale, ignore) in enumerate(CASES):
        chance = np.random.default_rng(number)
        cube = chance.uniform(20, 90, (LINES, PIXELS, BANDS)).astype(kind)
        if kind == "int32":
            cube = chance.integers(16777210, 16777224, cube.shape).astype(kind)
        cube[3, 4, 1] = np.dtype(kind).type(ignore)
        metadata = {
            "wavelength": [500 + 100 * band for band in range(BANDS)],
            "wavelength units": "nm",
            "reflectance scale factor": scale,
            "data ignore value": ignore,
            "fps": 10,
            "acquisition time": f"2018-07-0{number + 1}T12:00:00Z",
        }
        for key, values in (("data gain values", per_band(gain)), ("data offset values", per_band(offset))):
            if values:
                metadata[key] = values
        envi.save_image(f"{sys.argv[2]}/case{number}.hdr", cube, dtype=kind, interleave=interleave, byteorder=order, ext="img", metadata=metadata)
else:
    folder, data = sys.argv[2:]
    worst = 0.0
    for number, (kind, interleave, order, gain, offset, scale, ignore) in enumerate(CASES):
        image = envi.open(f"{folder}/case{number}.hdr")
        image.scale_factor = 1.0
        stored = np.array(image.open_memmap(interleave="bip"))
        with h5py.File(glob.glob(f"{data}/scans/2018070{number + 1}T120000Z-*/samples/all.h5")[0]) as file:
            cube = file["entry/reflectance/reflectance"][...]
        void = stored == np.dtype(kind).type(ignore)
        wanted = stored.astype("f8") * (per_band(gain) or [1.0]) + (per_band(offset) or [0.0])
        wanted /= scale
        assert void.any() and (np.isnan(cube) == void).all(), (number, np.isnan(cube).sum(), void.sum())
        worst = max(worst, np.abs(cube / wanted - 1)[~void].max())
    assert worst < 2e-7, f"off by {worst}"
    print(f"{len(CASES)} recordings, reflectance within {worst:.1e}")
