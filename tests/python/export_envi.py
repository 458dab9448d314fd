"""Spectral Python on an ENVI export, against the sample's HDF5. usage: export_envi.py IMAGE SAMPLE.h5 (IMAGE without ending)"""

import sys

import h5py
import numpy as np
import spectral.io.envi as envi

image, sample = sys.argv[1:]
with h5py.File(sample) as f:
    data = {name: f["entry/reflectance"][name][()] for name in ("reflectance", "mask", "quality", "wavelength", "fwhm", "line", "pixel")}

cube = envi.open(image + ".hdr")
assert cube.filename == image + ".img" and cube.shape == data["reflectance"].shape, cube
about = cube.metadata
assert (about["interleave"], about["data type"], about["byte order"]) == ("bil", "4", "0"), about
bits = np.ascontiguousarray(data["reflectance"]).view(np.uint32)
assert (np.ascontiguousarray(cube.open_memmap(interleave="bip")).view(np.uint32) == bits).all(), "not bit for bit"
assert (np.ascontiguousarray(cube.read_band(17)).view(np.uint32) == bits[:, :, 17]).all()
assert np.isnan(data["reflectance"]).any() and np.isnan(float(about["data ignore value"]))
assert float(about["reflectance scale factor"]) == 1 and cube.scale_factor == 1
assert cube.bands.centers == data["wavelength"].tolist() and about["wavelength units"] == "nm"
assert cube.bands.bandwidths == data["fwhm"].tolist()
nm = data["wavelength"][[int(band) - 1 for band in about["default bands"]]]
assert (np.abs(nm - [640, 550, 460]) <= 2.5).all(), nm

with h5py.File(sample) as f:
    keys = f["entry/sample"]
    for name in ("container", "tray"):
        assert about["hyclus " + name] == keys[name][()].decode(), about
    assert about["hyclus sample"] == keys["name"][()].decode()
    assert about["key month"] == "2018-07" and about["key plant"] == "Süd (1)", about
    assert about["var cu_fe"] == "0.61" and about["var cu_fe 2"] == "2", about
    assert about.get("hyclus doubts") == ("; ".join(keys.attrs["doubts"]) if "doubts" in keys.attrs else None)
assert float(about["hyclus first x mm"]) == data["pixel"][0] and float(about["hyclus first y mm"]) == data["line"][0]
assert abs(float(about["hyclus pixel mm"]) - 0.6) < 1e-9

for name in ("mask", "quality"):
    flags = envi.open(f"{image}_{name}.hdr")
    assert flags.metadata["data type"] == "1" and flags.shape == data[name].shape + (1,)
    assert (flags.open_memmap()[:, :, 0] == data[name]).all()
    assert data[name].any() and flags.metadata["description"]
