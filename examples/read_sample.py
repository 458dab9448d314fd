#!/usr/bin/env python3
"""Reads one sample file, as any program can: with h5py and numpy, and nothing of hyclus.

    read_sample.py SAMPLE.h5 ...

Prints what each sample is, how many of its pixels carry which quality flag, and the mean spectrum of its valid pixels at five
wavelengths. A pixel is valid where it lies on the sample and carries no flag that makes its spectrum unusable.
"""

import sys

import h5py
import numpy as np

# Flags without which a spectrum can be used. The others are remarks: `bad_pixel`, `low_signal` and `edge`.
UNUSABLE = {"saturated", "gap", "out_of_view", "no_data"}


def flags(quality):
    """The bit of every quality flag by its name, as the file itself gives them."""
    names = quality.attrs["flag_meanings"]
    names = names.decode() if isinstance(names, bytes) else str(names)
    return dict(zip(names.split(), (int(mask) for mask in np.atleast_1d(quality.attrs["flag_masks"])), strict=True))


def main(path):
    with h5py.File(path) as file:
        about = file["entry/sample"]
        # The group that the file itself points to.
        entry = file[file.attrs["default"]]
        data = entry[entry.attrs["default"]]
        name, container, tray = (about[key].asstr()[()] for key in ("name", "container", "tray"))
        doubts = list(about["doubts"].asstr()[:]) if "doubts" in about else []
        cube = data["reflectance"][:]  # [line, pixel, band], 1 is all light; NaN where there is no value
        nm = data["wavelength"][:]  # [band], nm
        y_mm, x_mm = data["line"][:], data["pixel"][:]  # [line] and [pixel], centres on the tray, mm
        on_sample = data["mask"][:] == 1  # [line, pixel]
        quality = data["quality"][:]  # [line, pixel], a bit for each flag
        bits = flags(data["quality"])

    unusable = sum(bit for flag, bit in bits.items() if flag in UNUSABLE)
    valid = on_sample & (quality & unusable == 0)
    print(f"{name}, in {container} of tray {tray}: {cube.shape[0]} lines, {cube.shape[1]} pixels, {cube.shape[2]} bands")
    print(f"  x {x_mm[0]:.1f} to {x_mm[-1]:.1f} mm, y {y_mm[0]:.1f} to {y_mm[-1]:.1f} mm, {nm[0]:.0f} to {nm[-1]:.0f} nm")
    print(f"  {valid.sum()} of {on_sample.sum()} pixels on the sample are valid")
    for flag, bit in bits.items():
        count = np.count_nonzero(on_sample & (quality & bit != 0))
        if count:
            print(f"  {count} carry the flag {flag}")
    for doubt in doubts:
        print(f"  doubtful: {doubt}")
    if not valid.any():
        return
    spectra = cube[valid]  # [valid pixel, band]
    for wanted in np.linspace(nm[0], nm[-1], 5):
        band = int(np.argmin(abs(nm - wanted)))
        values = spectra[:, band]
        print(f"  {nm[band]:7.1f} nm  {np.nanmean(values):.4f}, sd {np.nanstd(values):.4f}")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for path in sys.argv[1:]:
        main(path)
