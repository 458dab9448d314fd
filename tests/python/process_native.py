"""Compares the cameras' own grids of a sample with counts and references.
usage: process_native.py SAMPLE.h5 VNIR_CAPTURE VNIR_OFFSET_MM SWIR_CAPTURE SWIR_OFFSET_MM; the rig is that of tests/process/rig.rs."""

import glob
import os
import sys
import warnings

import h5py
import hyperspy.api as hs
import numpy as np
import xarray
from silx.io import nxdata

warnings.simplefilter("error")
VIEW_MM, LINE_MM, PANEL = 40.0, 1.0, 0.95
path = sys.argv[1]
cameras = {"vnir": (sys.argv[2], float(sys.argv[3])), "swir": (sys.argv[4], float(sys.argv[5]))}


def read(folder, prefix, bands, pixels):
    (file,) = glob.glob(os.path.join(folder, prefix + "*.raw"))
    return np.fromfile(file, "<u2").reshape(-1, bands, pixels).transpose(0, 2, 1).astype("f8")


with h5py.File(path) as f:
    cube = f["entry/reflectance"]
    line, pixel, mask = cube["line"][()], cube["pixel"][()], cube["mask"][()]
    grid = pixel[1] - pixel[0]
    top, bottom, left, right = line[0] - grid / 2, line[-1] + grid / 2, pixel[0] - grid / 2, pixel[-1] + grid / 2
    assert nxdata.get_default(f).group.name == "/entry/reflectance", "the cube is still what is shown first"
    for name, (folder, offset) in cameras.items():
        native, bands = f[f"entry/{name}_native"], len(f[f"entry/instrument/{name}/wavelength"])
        # What overlaps the cube, by its edges.
        pixels = {"vnir": 110, "swir": 18}[name]
        size = VIEW_MM / pixels
        x = (np.arange(pixels) + 0.5) * size
        across = (x + size / 2 > left + 1e-6) & (x - size / 2 < right - 1e-6)
        counts, dark, white = read(folder, name, bands, pixels), read(folder, "DARKREF_", bands, pixels), read(folder, "WHITEREF_", bands, pixels)
        y = np.arange(len(counts)) * LINE_MM - offset
        along = (y + LINE_MM / 2 > top + 1e-6) & (y - LINE_MM / 2 < bottom - 1e-6)
        assert np.allclose(native["line"], y[along], rtol=0, atol=1e-9), (name, native["line"][:3], native["line"][-3:], y[along][[0, -1]])
        assert np.allclose(native["pixel"], x[across], rtol=0, atol=1e-9), (name, native["pixel"][()], x[across])
        response = white.mean(0) - dark.mean(0)
        wanted = ((counts - dark.mean(0)) * PANEL / response)[along][:, across]
        seen = native["reflectance"][()]
        assert seen.shape == wanted.shape and seen.dtype == np.float32
        worst = np.abs(seen - wanted).max()
        assert worst <= 1e-6, (name, worst)
        assert np.array_equal(native["wavelength"][()], f[f"entry/instrument/{name}/wavelength"][()])
        assert not native["quality"][()].any()
        # On the sample where the pixel of the cube in which its centre lies is.
        ats = [np.floor((centre - edge) / grid + 1e-9).astype(int) for centre, edge in ((y[along], top), (x[across], left))]
        inside = [(at >= 0) & (at < n) for at, n in zip(ats, mask.shape)]
        nearest = mask[np.ix_(*(np.clip(at, 0, n - 1) for at, n in zip(ats, mask.shape)))] * np.outer(*inside)
        clear = [np.abs((centre - edge) / grid - np.round((centre - edge) / grid)) > 1e-6 for centre, edge in ((y[along], top), (x[across], left))]
        clear = np.logical_and.outer(*clear)
        assert clear.any() and (native["mask"][()] == nearest)[clear].all(), name
        assert native["mask"][()].any() and not native["mask"][()].all()
        assert (np.diff(native["time"]) == 50_000_000).all(), "20 lines a second"
        about = {key: value for key, value in native.attrs.items() if key != "NX_class"}
        joined = {key: value for key, value in cube.attrs.items() if key != "NX_class"}
        # The own grid of a camera has the uncertainty in its calibration.
        joined_fields = [name for name in cube if "variance" not in name and name not in ("line_squares", "camera", "camera_index", "u_common")]
        assert sorted(native) == sorted(joined_fields) and sorted(about) == sorted(joined), "another shape of group"
        print(f"{name}: {seen.shape}, within {worst:.1e}")

for name in cameras:
    for engine in ("h5netcdf", "netcdf4"):
        with xarray.open_dataset(path, engine=engine, group=f"/entry/{name}_native") as data:
            assert data.reflectance.dims == ("line", "pixel", "wavelength") and data.mask.dims == ("line", "pixel")
            assert set(data.indexes) == {"line", "pixel", "wavelength"} and {"time", "fwhm"} <= set(data.reflectance.coords)
            units = [data[axis].attrs["units"] for axis in ("line", "pixel", "wavelength")]
            assert units == ["mm", "mm", "nm"] and data.time.dtype == "datetime64[ns]", (units, data.time.dtype)

signals = hs.load(path, file_format="NeXus", nxdata_only=True)
assert sorted(signal.metadata.General.title for signal in signals) == ["reflectance", "swir_native", "vnir_native"]
