"""What nexusformat sees in the sample file that tests/store.rs writes. usage: sample_nexusformat.py SAMPLE.h5 CUBE.f32"""

import sys
import warnings

import numpy as np
from nexusformat.nexus import nxload

warnings.simplefilter("error")
truth = np.fromfile(sys.argv[2], np.uint32).reshape(300, 5, 40)
with nxload(sys.argv[1]) as root:
    assert (root.nxclass, root.entry.nxclass) == ("NXroot", "NXentry")
    data = root.get_default()
    assert data.nxpath == "/entry/reflectance" and data.nxclass == "NXdata" and root.plottable_data.nxpath == data.nxpath
    cube = data.nxsignal
    assert cube.nxname == "reflectance" and cube.dtype == np.float32 and cube.attrs["units"] == "1"
    assert (cube.nxvalue.view(np.uint32) == truth).all()
    axes = data.nxaxes
    assert [axis.nxname for axis in axes] == ["line", "pixel", "wavelength"]
    assert [axis.attrs["units"] for axis in axes] == ["mm", "mm", "nm"]
    assert np.array_equal(axes[0].nxvalue, 5 + 0.5 * np.arange(300)) and np.array_equal(axes[2].nxvalue, 400 + 10.0 * np.arange(40))
    # Where a place is picked by its coordinate, the coordinates are those of the picked part.
    part = data[10.0:20.0, :, 500.0:600.0]
    assert part.nxsignal.shape == (21, 5, 11) and (part.nxsignal.nxvalue.view(np.uint32) == truth[10:31, :, 10:21]).all()
    time = np.datetime64("1970-01-01", "ns") + data.time.nxvalue.astype("timedelta64[ns]")
    assert data.time.attrs["units"] == "nanoseconds since 1970-01-01T00:00:00Z" and str(time[0]) == "2018-07-03T14:15:02.000000000"
    assert root.entry.sample.nxclass == "NXsample" and root.entry.sample.name.nxvalue == "P1-M100"
    assert root.entry.instrument.vnir.nxclass == "NXdetector" and root.entry.instrument.vnir.count_time.attrs["units"] == "us"
    assert str(root.entry.start_time) == "2018-07-03T14:15:02Z", root.entry.start_time
