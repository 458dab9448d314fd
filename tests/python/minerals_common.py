"""What the judges of minerals share: the library's tables, a rig's bands, ENVI images, and the program's answers."""

import json
import subprocess
import tomllib
from pathlib import Path

import h5py
import numpy as np

SIGMAS = 2.354820045


class Library:
    """The names, families and records of a library."""

    def __init__(self, path):
        with open(path, "rb") as file:
            text = tomllib.load(file)
        self.path = path
        self.records = {record["key"] for record in text["record"]}
        self.names = ["-"] + [entry["name"] for entry in text["entry"]]
        self.family = {entry["name"]: entry.get("family", entry["name"]) for entry in text["entry"]} | {"-": "-"}
        self.never = {entry["name"] for entry in text["entry"] if "not_identified" in entry}
        self.fwhm = {one["name"]: np.array(one["fwhm_nm"]) for one in text["instrument"]}


def simulated_rig():
    """Centres and widths of the bands of config/simulated.toml, nm."""
    nm = np.r_[np.linspace(400, 1000, 224), np.linspace(1000, 2500, 288)[1:]]
    return nm, np.where(nm <= 1000, 5.5, 8.0)


def resampled(nm, values, own, centres, widths):
    """A spectrum of bands of width `own` as bands of these centres and widths see it. NaN outside its range."""
    good = np.isfinite(values)
    nm, values, own = nm[good], values[good], np.broadcast_to(own, good.shape)[good]
    out = np.full(len(centres), np.nan)
    if len(nm) < 2:
        return out
    step = np.gradient(nm)
    for i, (centre, width) in enumerate(zip(centres, widths)):
        if not nm[0] - 0.01 <= centre <= nm[-1] + 0.01:
            continue
        sigma = np.sqrt(max(width**2 - np.interp(centre, nm, own) ** 2, 0.0)) / SIGMAS
        near = np.abs(nm - centre) < 4 * sigma
        if near.sum() < 3:
            out[i] = np.interp(centre, nm, values)
            continue
        away = nm[near] - centre
        weight = np.exp(-0.5 * (away / sigma) ** 2) * step[near]
        weight *= 1 - away * (weight * away).sum() / (weight * away**2).sum()
        out[i] = (weight * values[near]).sum() / weight.sum()
    return out


def write_envi(path, cube, nm, fwhm):
    """Writes a cube [line][pixel][band] of reflectance."""
    cube = np.asarray(cube, "<f4")
    lines, samples, bands = cube.shape
    listed = {"wavelength": nm, "fwhm": fwhm}
    cube.tofile(Path(path).with_suffix(".dat"))
    with open(path, "w") as file:
        file.write(f"ENVI\nsamples = {samples}\nlines = {lines}\nbands = {bands}\nheader offset = 0\ndata type = 4\n")
        file.write("interleave = bip\nbyte order = 0\nwavelength units = nm\n")
        for key, values in listed.items():
            file.write(f"{key} = {{{', '.join(f'{value:.4f}' for value in values)}}}\n")


def identify(program, library, image, out):
    """Runs `hyclus identify` on an image. Gives the winners [group][line][pixel], the features by name, and the printed summary."""
    command = [program, "--json", "identify", "--library", library, "--out", out, image]
    ran = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    said = json.loads(ran.stdout)
    with h5py.File(said["written"]) as file:
        group = file["entry/minerals"]
        winners = np.stack([group["winner_1"][...], group["winner_2"][...]])
        names = [name.decode() for name in group["feature/name"][...]]
        features = {name: group["features"][..., i] for i, name in enumerate(names)}
        meanings = group["winner_1"].attrs["flag_meanings"].split()
        assert len(meanings) == len(group["winner_1"].attrs["flag_values"])
    return winners, features, said


def usgs(npz, meta, library, centres, widths):
    """Every record on a rig's bands: keys, names of minerals, and spectra [record][band]."""
    other_names = {"muscovite_sericite": "muscovite"}
    spectra = np.load(npz)
    grid = np.arange(352.0, 2501.0, 2.0)
    keys, minerals, rows = [], [], []
    for entry in json.load(open(meta)):
        nm, values = spectra[entry["key"] + "__wl_um"] * 1000.0, spectra[entry["key"] + "__refl"]
        good = np.isfinite(values) & (values > -0.01) & (values < 1.5)
        nm, first = np.unique(nm[good], return_index=True)
        values = np.interp(grid, nm, values[good][first], left=np.nan, right=np.nan)
        instrument = "AVIRIS" if "AVIRIS" in entry["instrument"] else entry["instrument"]
        own = np.interp(grid, *library.fwhm[instrument].T)
        keys.append(entry["key"])
        minerals.append(other_names.get(entry["mineral"], entry["mineral"]))
        rows.append(resampled(grid, values, own, centres, widths))
    return keys, minerals, np.array(rows)


def envi(header):
    """Values `[line][sample][band]` from 0 to 1 and wavelengths, nm, of an ENVI image of 16 bits."""
    with open(header, encoding="latin-1") as file:
        text = file.read()
    number = lambda key: int(text.split(f"{key} = ")[1].split()[0])
    lines, samples, bands = (number(key) for key in ("lines", "samples", "bands"))
    nm = np.array([float(word) for word in text.split("wavelength = {")[1].split("}")[0].split(",")])
    return np.fromfile(header.replace(".hdr", ".dat"), "<u2").reshape(bands, lines, samples).transpose(1, 2, 0) / 65535.0, nm
