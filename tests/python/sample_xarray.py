"""What xarray sees in the sample file that tests/store.rs writes."""

import sys
import warnings

import numpy as np
import xarray

warnings.simplefilter("error")
with xarray.open_dataset(sys.argv[1], engine="h5netcdf", group="/entry/reflectance") as data:
    assert dict(data.sizes) == {"line": 300, "pixel": 5, "wavelength": 40}, data.sizes
    cube = data.reflectance
    assert cube.dims == ("line", "pixel", "wavelength") and cube.attrs["units"] == "1" and cube.dtype == np.float32
    assert set(data.indexes) == {"line", "pixel", "wavelength"} and {"time", "fwhm"} <= set(cube.coords)
    assert data.time.dtype == "datetime64[ns]" and data.time.dims == ("line",)
    assert str(data.time.values[0]) == "2018-07-03T14:15:02.000000000", data.time.values[0]
    assert data.wavelength.attrs["units"] == "nm" and data.line.attrs["units"] == "mm"
    picked = cube.sel(wavelength=512, method="nearest").isel(line=1)
    assert picked.values.tolist() == [11161, 11211, 11261, 11311, 11361], picked.values
    valid = cube.where((data.mask == 1) & (data.quality == 0))
    assert int(valid.isel(wavelength=0).count()) == 300 * 3 - 1
for group in ("calibration/vnir", "ledger/vnir", "instrument/vnir"):
    with xarray.open_dataset(sys.argv[1], engine="h5netcdf", group="/entry/" + group) as data:
        assert not [name for name in data.sizes if name.startswith("phony")], (group, data.sizes)
