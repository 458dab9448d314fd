#!/usr/bin/env python3
"""Writes one cube of calcite and kaolinite as a sample, as ENVI and in the layout of HIDSAG, and compares what is found in each.
usage: minerals_readers.py HYCLUS LIBRARY.toml SAMPLE.h5 FOLDER. SAMPLE.h5 is copied, and its cube replaced. Needs numpy and h5py."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
from minerals_common import identify, resampled, simulated_rig

program, library, sample, folder = sys.argv[1:]
folder = Path(folder)
nm, fwhm = simulated_rig()
table = np.genfromtxt(Path(library).with_suffix(".csv"), delimiter=",", names=True, skip_header=1)
of = lambda key: resampled(table["wavelength_nm"], table[key], 5.0, nm, fwhm)
with h5py.File(sample) as file:
    mask = file["entry/reflectance/mask"][...] > 0
lines, pixels = mask.shape
left = np.arange(pixels) < pixels // 2
cube = np.where(left[None, :, None], of("calcite__02"), of("kaolinite__00")).astype("f4") * np.ones((lines, 1, 1), "f4")

copy = folder / "sample.h5"
shutil.copy(sample, copy)
with h5py.File(copy, "r+") as file:
    group = file["entry/reflectance"]
    for name in ("reflectance", "wavelength", "fwhm"):
        attributes = {key: value for key, value in group[name].attrs.items() if key not in ("DIMENSION_LIST", "REFERENCE_LIST", "CLASS", "NAME")}
        del group[name]
        group[name] = {"reflectance": cube, "wavelength": nm, "fwhm": fwhm}[name]
        group[name].attrs.update(attributes)

# ENVI: counts of 16 bits, the longest wave first, in µm, with a band of nonsense that `bbl` marks.
order = np.argsort(-nm)
stored = np.round(cube[:, :, order] * 10000).astype("<u2")
bad = 40
stored[:, :, bad] = 65535
envi = folder / "foreign.hdr"
stored.transpose(0, 2, 1).tofile(envi.with_suffix(".raw"))
good = ", ".join("0" if band == bad else "1" for band in range(len(nm)))
envi.write_text(
    f"ENVI\nsamples = {pixels}\nlines = {lines}\nbands = {len(nm)}\ndata type = 12\ninterleave = bil\nbyte order = 0\n"
    f"reflectance scale factor = 10000\nwavelength units = Micrometers\nbbl = {{{good}}}\n"
    f"wavelength = {{{', '.join(f'{value / 1000:.6f}' for value in nm[order])}}}\nfwhm = {{{', '.join(f'{value / 1000:.6f}' for value in fwhm[order])}}}\n"
)

crop = folder / "set/mixture/01"
crop.mkdir(parents=True)
vnir = nm <= 1000
(folder / "set/wavelengths.json").write_text(json.dumps({"wavelength_VNIR": nm[vnir].tolist(), "wavelength_SWIR": nm[~vnir].tolist()}))
for kind, bands in (("vnir_low", vnir), ("swir_low", ~vnir)):
    with h5py.File(crop / f"{kind}.h5", "w") as file:
        file["hsi_data"] = cube[:, :, bands]

for name, path in (("sample", copy), ("ENVI", envi), ("HIDSAG", crop / "swir_low.h5")):
    winners, features, said = identify(program, library, path, folder / name)
    names = {share["mineral"]: share for share in said["summary"]["groups"][1]}
    assert set(names) <= {"calcite", "kaolinite", "not identified"} and names["not identified"]["pixels"] == 0, (name, names)
    inside = mask if name == "sample" else np.ones_like(mask)
    true = inside[:, left].sum() / inside.sum()
    low, high = names["calcite"]["interval"]
    assert abs(names["calcite"]["share"] - true) < 1e-6 and low <= true <= high, (name, names, true)
    assert said["summary"]["pixels"] == inside.sum(), name
    assert len(set(winners[1][:, left].ravel())) == 1 and len(set(winners[1].ravel())) == 2, name
    position = features["2335_CO3_position"][:, left]
    assert np.ptp(position) < 1e-3 and 2335 < position.mean() < 2345, (name, position.mean())
    print(f"{name}: {said['name']}, calcite {names['calcite']['share']:.3f} ({low:.3f} to {high:.3f}), CO3 at {position.mean():.2f} nm")

again = subprocess.run([program, "identify", "--library", library, "--out", str(folder / "sample"), str(copy)], capture_output=True, text=True)
assert again.returncode == 1 and "exists already" in again.stderr, again.stderr
