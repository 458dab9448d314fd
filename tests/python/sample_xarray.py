"""What xarray sees in the sample file that tests/store.rs writes, through h5netcdf and through netCDF4.
usage: sample_xarray.py SAMPLE.h5 CUBE.f32"""

import sys
import warnings

import netCDF4
import numpy as np
import xarray

warnings.simplefilter("error")
path, truth = sys.argv[1], np.fromfile(sys.argv[2], np.uint32).reshape(300, 5, 40)
for engine in ("h5netcdf", "netcdf4"):
    with xarray.open_dataset(path, engine=engine, group="/entry/reflectance") as data:
        assert dict(data.sizes) == {"line": 300, "pixel": 5, "wavelength": 40}, data.sizes
        cube = data.reflectance
        assert cube.dims == ("line", "pixel", "wavelength") and cube.attrs["units"] == "1" and cube.dtype == np.float32
        assert (cube.values.view(np.uint32) == truth).all(), engine
        assert set(data.indexes) == {"line", "pixel", "wavelength"} and {"time", "fwhm"} <= set(cube.coords)
        assert data.time.dtype == "datetime64[ns]" and data.time.dims == ("line",) and data.fwhm.dims == ("wavelength",)
        steps = np.datetime64("2018-07-03T14:15:02", "ns") + np.arange(300) * np.timedelta64(20, "ms")
        assert (data.time.values == steps).all(), data.time.values[:3]
        assert data.wavelength.attrs["units"] == "nm" and data.fwhm.attrs["units"] == "nm"
        assert data.line.attrs["units"] == "mm" and data.pixel.attrs["units"] == "mm"
        picked = cube.sel(wavelength=512, method="nearest").isel(line=1)
        wanted = np.float32([11161, 11211, 11261, 11311, 11361]) / np.float32(3)
        assert picked.values.tolist() == wanted.tolist(), picked.values
        valid = cube.where((data.mask == 1) & (data.quality == 0))
        assert int(valid.isel(wavelength=0).count()) == 300 * 3 - 1
    for group in ("calibration/vnir", "ledger/vnir", "instrument/vnir"):
        with xarray.open_dataset(path, engine=engine, group="/entry/" + group) as data:
            assert not [name for name in data.sizes if name.startswith("phony")], (group, data.sizes)
            if group == "ledger/vnir":
                assert str(data.time.values[0]) == "2018-07-03T14:15:02.180000000", data.time.values[0]
                assert data.position.attrs["units"] == "mm"

# Without xarray on top: the names of the netCDF library itself.
with netCDF4.Dataset(path) as f:
    f.set_auto_mask(False)
    group = f["entry/reflectance"]
    assert list(group.dimensions) == ["line", "pixel", "wavelength"] and f.Conventions == "CF-1.11"
    assert group["reflectance"].dimensions == ("line", "pixel", "wavelength") and group["mask"].dimensions == ("line", "pixel")
    assert (group["reflectance"][:].view(np.uint32) == truth).all()
    time = group["time"]
    assert (time.units, time.calendar) == ("nanoseconds since 1970-01-01T00:00:00Z", "standard")
