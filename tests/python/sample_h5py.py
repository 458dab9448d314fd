"""What h5py sees in the sample file that tests/store.rs writes."""

import sys

import h5py
import numpy as np

with h5py.File(sys.argv[1]) as f:
    assert f.attrs["NX_class"] == "NXroot" and f.attrs["default"] == "entry" and f.attrs["Conventions"] == "CF-1.11"
    # What the CF checker asks for. The history names no time of processing: the same recording gives the same bytes.
    assert f.attrs["title"] == f["entry/title"][()].decode() == "P1-M100 in A1 of tray T1", f.attrs["title"]
    history = f.attrs["history"].split(" ", 2)
    assert history[0] == "2018-07-03T14:15:02Z" and history[1] == "hyclus", history
    assert history[2].endswith(": measured in scan 20180703T141502Z-T1"), history

    def check(name, thing):
        # No group is empty, because NeXus asks for content.
        assert not isinstance(thing, h5py.Group) or len(thing) > 0, name
        if thing.attrs.get("units", "").startswith("nanoseconds since"):
            assert thing.attrs["units_metadata"] == "leap_seconds: none", name

    f.visititems(check)
    entry = f["entry"]
    assert entry.attrs["default"] == "reflectance" and entry.attrs["NX_class"] == "NXentry"
    assert entry["start_time"][()].decode() == "2018-07-03T14:15:02Z", entry["start_time"][()]
    assert entry["end_time"][()].decode() == "2018-07-03T14:15:07.98Z", entry["end_time"][()]

    data = entry["reflectance"]
    assert data.attrs["signal"] == "reflectance" and list(data.attrs["axes"]) == ["line", "pixel", "wavelength"]
    indices = {name: data.attrs[name + "_indices"] for name in ("line", "pixel", "wavelength", "time", "fwhm")}
    assert indices == {"line": 0, "pixel": 1, "wavelength": 2, "time": 0, "fwhm": 2}, indices
    cube = data["reflectance"]
    lines, pixels, bands = 300, 5, 40
    assert cube.shape == (lines, pixels, bands) and cube.dtype == np.float32 and np.isnan(cube.fillvalue)
    truth = np.fromfile(sys.argv[3], np.uint32).reshape(lines, pixels, bands)
    seen = cube[()]
    assert np.isnan(seen[7, 2]).all() and np.isnan(seen).sum() == bands, "the gap is NaN, and nothing else"
    assert (seen.view(np.uint32) == truth).all()
    line, pixel, band = np.ogrid[:lines, :pixels, :bands]
    expected = ((line + 10) * 1000 + (pixel + 3) * 50 + band).astype(np.float32) / np.float32(3)
    assert ((seen == expected) | np.isnan(seen)).all()
    assert cube.attrs["units"] == "1" and cube.attrs["interpretation"] == "spectrum"

    assert np.allclose(data["line"], (10 + np.arange(lines)) * 0.5, rtol=0, atol=1e-12) and data["line"].attrs["units"] == "mm"
    assert np.allclose(data["pixel"], -4 + (3 + np.arange(pixels)) * 0.5, rtol=0, atol=1e-12)
    assert np.allclose(data["wavelength"], 400 + 10 * np.arange(bands)) and data["wavelength"].attrs["units"] == "nm"
    assert data["wavelength"].attrs["standard_name"] == "radiation_wavelength" and data["fwhm"].shape == (bands,)
    assert data["time"].dtype == np.int64 and (np.diff(data["time"]) == 20_000_000).all()
    assert data["mask"].dtype == np.uint8 and data["mask"][0].tolist() == [0, 1, 1, 1, 0] and data["mask"].shape == (lines, pixels)
    quality = data["quality"]
    assert quality.dtype == np.uint8 and quality[7].tolist() == [0, 0, 4, 0, 0]
    assert quality.attrs["flag_masks"].dtype == np.uint8 and quality.attrs["flag_masks"].tolist() == [1, 2, 4, 8, 16, 32, 64, 128]
    assert quality.attrs["flag_meanings"].split()[2] == "gap" and len(quality.attrs["flag_meanings"].split()) == 8

    def axes(dataset):
        """Names of the scales that are attached to each axis, as the HDF5 library finds them."""
        return [[scale.name.rsplit("/", 1)[1] for scale in axis.values()] for axis in dataset.dims]

    for name in ("line", "pixel", "wavelength"):
        assert data[name].is_scale, name
    assert axes(cube) == [["line"], ["pixel"], ["wavelength"]], axes(cube)
    assert axes(data["mask"]) == axes(quality) == [["line"], ["pixel"]]
    assert axes(data["time"]) == [["line"]] and axes(data["fwhm"]) == [["wavelength"]]
    back = [(f[reference].name.rsplit("/", 1)[1], int(axis)) for reference, axis in data["pixel"].attrs["REFERENCE_LIST"]]
    assert back == [("reflectance", 1), ("mask", 1), ("quality", 1)], back

    sample = entry["sample"]
    text = {name: sample[name][()].decode() for name in ("name", "container", "tray", "plant", "name_")}
    assert text == {"name": "P1-M100", "container": "A1", "tray": "T1", "plant": "Süd", "name_": "own"}, text
    assert sample["vars"].attrs["Cu/Fe"] == 0.61
    assert sample["footprint/width"][()] == 1.5 and sample["footprint/x"][()] == -2.25 and sample["footprint/y"][()] == 4.75
    assert list(sample.attrs["doubts"]) == ["looks wet"]

    detector = entry["instrument/vnir"]
    assert detector.attrs["NX_class"] == "NXdetector" and detector["serial_number"][()].decode() == "0815"
    assert detector["count_time"][()] == 2500 and detector["count_time"].attrs["units"] == "us"
    calibration = entry["calibration/vnir"]
    assert calibration["dark"].shape == (4, 3) and calibration["dark"][1].tolist() == [1, 11, 21]
    assert calibration["dark"].attrs["time"] == "2018-07-03T14:00:00Z" and calibration["white"].attrs["frames"] == 100
    assert calibration["bad_pixel"][2].tolist() == [0, 1, 0] and axes(calibration["white_sd"]) == [["pixel"], ["wavelength"]]
    assert calibration["panel_reflectance"][()].tolist() == np.float32([0.99, 0.98, 0.97]).tolist()
    assert entry["calibration/swir/scale"][()] == 10000 and "dark" not in entry["calibration/swir"]
    ledger = entry["ledger/vnir"]
    assert ledger["frame"][()].tolist() == [9, 10, 12, 310], ledger["frame"][()]
    assert ledger["status"][()].tolist() == [0, 0, 1, 2] and ledger["status"].attrs["flag_meanings"] == "ok incomplete stalled reversed misplaced"
    assert (ledger["temperature"][()] == 22.5).all() and ledger["temperature"].attrs["units"] == "degC"
    assert (ledger["exposure"][()] > 0).all() and ledger["exposure"].attrs["units"] == "us"
    assert ledger["device_time"][()].tolist() == [-1, 77, 77, 77] and axes(ledger["position"]) == [["frame"]]
    assert list(entry["ledger/swir"]) == ["description"], "a dataset without a value is more than HyperSpy takes"

    def empty(name, item):
        assert not isinstance(item, h5py.Dataset) or item.size, name

    f.visititems(empty)
    process = entry["process"]
    assert process["configuration"][()].decode().startswith("# rig") and len(process["configuration"][()]) > 100_000
    assert process["encoder_sha256"][()].decode() == "ab" * 32 and process["program"][()].decode() == "hyclus"

with h5py.File(sys.argv[2]) as f:
    packed = f["entry/reflectance/reflectance"]
    assert packed.compression == "gzip" and packed.shuffle and packed.shape == (lines, pixels, bands)
    assert (packed[()].view(np.uint32) == truth).all()
