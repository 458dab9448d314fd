"""Adds a VNIR camera's own grid to a sample, as a configuration that keeps it would. usage: export_native.py SAMPLE.h5"""

import sys

import h5py
import numpy as np

with h5py.File(sys.argv[1], "a") as f:
    native = f["entry"].create_group("vnir_native")
    nm = f["entry/instrument/vnir/wavelength"][()]
    native["reflectance"] = np.random.default_rng(1).random((19, 47, len(nm)), dtype=np.float32)
    native["line"], native["pixel"] = 5 + 0.2 * np.arange(19), 0.25 * np.arange(47)
    native["wavelength"], native["fwhm"] = nm, f["entry/instrument/vnir/fwhm"][()]
