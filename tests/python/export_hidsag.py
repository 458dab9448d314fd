"""Reads a HIDSAG data set as formats.md describes it, and compares it to the scans. usage: export_hidsag.py DATASET SCAN_FOLDER..."""

import glob
import json
import os
import struct
import sys

import h5py
import numpy as np

KEYS = {"path_hsi", "path_rgb", "image_dims", "real_dims"}
NUMBERS = {"spectral_binning", "spatial_binning", "sample_frequency", "integrations_time", "dolly_speed"}
KEYS |= NUMBERS

# dataset, then the samples of the scans by name and cube; --whole where no value is missing in them
whole = "--whole" in sys.argv
dataset, *scans = [argument for argument in sys.argv[1:] if argument != "--whole"]
cubes = {}
for path in (path for scan in scans for path in glob.glob(f"{scan}/samples/*.h5")):
    with h5py.File(path) as f:
        cubes.setdefault(f["entry/sample/name"][()].decode(), []).append(path)

wavelengths = json.load(open(f"{dataset}/wavelengths.json"))
assert set(wavelengths) == {"wavelength_VNIR", "wavelength_SWIR"}
vnir, swir = (np.array(wavelengths["wavelength_" + name]) for name in ("VNIR", "SWIR"))
samples = sorted(os.path.basename(os.path.dirname(path)) for path in glob.glob(f"{dataset}/*/"))
assert samples == sorted(cubes), (samples, cubes)


def same(a, b):
    return a.shape == b.shape and np.array_equal(np.ascontiguousarray(a).view(np.uint32), np.ascontiguousarray(b).view(np.uint32))


def close(found, wanted):
    return abs(found - wanted) < 1e-6


for name in samples:
    metadata = json.load(open(f"{dataset}/{name}/metadata.json"))
    assert set(metadata) == {"sample_name", "vars", "crops"} and metadata["sample_name"] == name
    assert all(isinstance(value, float) for value in metadata["vars"].values()) and metadata["vars"]
    left = list(cubes[name])
    assert len(metadata["crops"]) == len(left)
    folders = {entry for entry in os.listdir(f"{dataset}/{name}")}
    assert folders == {"metadata.json"} | {f"{n:02}" for n in range(1, len(left) + 1)}, folders
    for number, crop in enumerate(metadata["crops"], 1):
        assert set(crop) == {f"{number:02}", "tags"} and crop["tags"] and all(isinstance(tag, str) for tag in crop["tags"])
        kinds = crop[f"{number:02}"]
        assert set(kinds) == {"swir_low", "vnir_low", "vnir_high"}
        assert set(os.listdir(f"{dataset}/{name}/{number:02}")) == {f"{kind}.{ending}" for kind in kinds for ending in ("h5", "png")}
        data = {}
        for kind, about in kinds.items():
            assert KEYS <= set(about) <= KEYS | {"resampled"}, about
            assert all(isinstance(about[key], (int, float)) and about[key] > 0 for key in NUMBERS), about
            assert about["path_hsi"] == f"{number:02}/{kind}.h5" and about["path_rgb"] == f"{number:02}/{kind}.png"
            with h5py.File(os.path.join(dataset, name, about["path_hsi"])) as f:
                assert list(f) == ["hsi_data"] and f["hsi_data"].dtype == np.float32
                data[kind] = f["hsi_data"][()]
            height, width, bands = data[kind].shape
            assert about["image_dims"] == {"width": width, "height": height}, (about, data[kind].shape)
            assert set(about["real_dims"]) == {"width", "height"}
            assert bands == len(swir if kind == "swir_low" else vnir)
            with open(os.path.join(dataset, name, about["path_rgb"]), "rb") as png:
                assert png.read(8) == b"\x89PNG\r\n\x1a\n"
                png.read(8)
                assert struct.unpack(">II", png.read(8)) == (width, height)
        assert kinds["swir_low"]["image_dims"] == kinds["vnir_low"]["image_dims"]

        # the cube that this crop was made of
        for path in left:
            with h5py.File(path) as f:
                entry = f["entry"]
                cube, nm = entry["reflectance/reflectance"][()], entry["reflectance/wavelength"][()]
                cut = len(vnir)
                assert np.array_equal(nm, np.concatenate([vnir, swir])), (nm, vnir, swir)
                if not same(data["swir_low"], cube[:, :, cut:]):
                    continue
                assert same(data["vnir_low"], cube[:, :, :cut]), path
                assert np.isnan(data["vnir_low"]).any() != whole and np.isfinite(data["vnir_low"]).any()
                native = entry.get("vnir_native", entry["reflectance"])
                pick = np.isin(native["wavelength"][()], vnir)
                assert pick.sum() == cut and same(data["vnir_high"], native["reflectance"][()][:, :, pick]), path
                assert ("resampled" in kinds["vnir_high"]) == ("vnir_native" not in entry)
                for kind, group in (("swir_low", entry["reflectance"]), ("vnir_low", entry["reflectance"]), ("vnir_high", native)):
                    for axis, side in (("pixel", "width"), ("line", "height")):
                        mm = group[axis][()]
                        assert close(kinds[kind]["real_dims"][side], len(mm) * (mm[1] - mm[0])), (kind, side, kinds[kind])
                for kind, camera in (("swir_low", "swir"), ("vnir_low", "vnir"), ("vnir_high", "vnir")):
                    detector = entry["instrument"][camera]
                    assert close(kinds[kind]["sample_frequency"], detector["frame_rate"][()])
                    assert close(kinds[kind]["integrations_time"], detector["count_time"][()] / 1000)
            left.remove(path)
            break
        else:
            raise AssertionError(f"crop {number} of {name} is no sample of the scans")
    assert not left
