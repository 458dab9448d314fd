"""What silx sees in the sample file that tests/store.rs writes. usage: sample_silx.py SAMPLE.h5 CUBE.f32"""

import sys
import warnings

import numpy as np
import silx.io
from silx.io import nxdata
from silx.io.utils import get_h5_class

warnings.simplefilter("error")
truth = np.fromfile(sys.argv[2], np.uint32).reshape(300, 5, 40)
with silx.io.open(sys.argv[1]) as f:
    data = nxdata.get_default(f)
    assert data is not None and data.is_valid and not data.issues, "no default plot is found"
    assert data.group.name == "/entry/reflectance" and data.signal_dataset_name == "reflectance"
    assert data.axes_dataset_names == ["line", "pixel", "wavelength"] and data.interpretation == "spectrum"
    assert [axis.attrs["units"] for axis in data.axes] == ["mm", "mm", "nm"] and data.signal.attrs["units"] == "1"
    assert [axis.shape for axis in data.axes] == [(300,), (5,), (40,)]
    assert (data.signal[()].view(np.uint32) == truth).all()
    assert np.array_equal(data.axes[2][()], 400 + 10.0 * np.arange(40)) and np.array_equal(data.axes[0][()], 5 + 0.5 * np.arange(300))
    time = data.group["time"]
    assert time.attrs["units"].startswith("nanoseconds since 1970-01-01") and time[0] == 1_530_627_302_000_000_000
    assert nxdata.get_default(f["entry"]).group.name == "/entry/reflectance"
    for name, kind in (("sample", "NXsample"), ("instrument/vnir", "NXdetector"), ("process", "NXprocess")):
        assert f["entry"][name].attrs["NX_class"] == kind and get_h5_class(f["entry"][name]) is not None
