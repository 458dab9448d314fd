#!/usr/bin/env python3
"""Writes the table of spectra of a library of minerals.

    make.py usgs_minerals.npz usgs_minerals_meta.json usgs.toml > usgs.csv

The .npz holds `KEY__wl_um` and `KEY__refl` of each record, as made from USGS Spectral Library Version 7 (Kokaly et al. 2017, USGS Data
Series 1035, doi 10.3133/ds1035, public domain). The records that `usgs.toml` names are brought onto one grid of wavelengths by a monotone
cubic. Spectra keep the width of their spectrometer: `usgs.toml` gives it.
"""

import json
import sys
import tomllib

import numpy as np
from scipy.interpolate import PchipInterpolator

STEP_NM = 2.0
FIRST_NM, LAST_NM = 352.0, 2500.0


def on_grid(grid, wavelengths_nm, reflectance):
    """The record on the grid. NaN beyond its ends, of which the last 1 % of a nanometre counts as reached."""
    good = np.isfinite(reflectance) & (reflectance > -0.01) & (reflectance < 1.5)
    nm, first = np.unique(np.round(wavelengths_nm[good], 4), return_index=True)
    values = PchipInterpolator(nm, reflectance[good][first])(np.clip(grid, nm[0], nm[-1]))
    values[(grid < nm[0] - 0.01) | (grid > nm[-1] + 0.01)] = np.nan
    return np.maximum(values, 0.0)


def main(npz, meta, library):
    spectra = np.load(npz)
    known = {entry["key"] for entry in json.load(open(meta))}
    with open(library, "rb") as file:
        records = [record["key"] for record in tomllib.load(file)["record"]]
    unknown = [key for key in records if key not in known]
    if unknown:
        sys.exit(f"{meta} has no record {', '.join(unknown)}")
    grid = np.arange(FIRST_NM, LAST_NM + STEP_NM / 2, STEP_NM)
    columns = [on_grid(grid, spectra[f"{key}__wl_um"] * 1000.0, spectra[f"{key}__refl"]) for key in records]
    print("# USGS Spectral Library Version 7, Kokaly et al. 2017, doi 10.3133/ds1035, public domain. Made by make.py.")
    print(",".join(["wavelength_nm", *records]))
    for i, nm in enumerate(grid):
        print(",".join([f"{nm:g}"] + ["" if np.isnan(column[i]) else f"{column[i]:.5f}" for column in columns]))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
