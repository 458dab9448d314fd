"""What HyperSpy sees in the sample file that tests/store.rs writes. usage: sample_hyperspy.py SAMPLE.h5 CUBE.f32"""

import sys
import warnings

import hyperspy.api as hs
import numpy as np

warnings.simplefilter("error")
truth = np.fromfile(sys.argv[2], np.uint32).reshape(300, 5, 40)
for lazy in (False, True):
    # HyperSpy asks for the format because several of its readers take files ending in .h5.
    signal = hs.load(sys.argv[1], file_format="NeXus", nxdata_only=True, lazy=lazy)
    # One signal, not a list of several: nothing but the cube is NXdata.
    assert isinstance(signal, hs.signals.Signal1D) and signal._lazy == lazy, signal
    if lazy:
        signal.compute(show_progressbar=False)
    assert signal.metadata.General.title == "reflectance" and signal.data.dtype == np.float32
    assert (signal.data.view(np.uint32) == truth).all()
    seen = [(axis.name, axis.units, axis.size) for axis in signal.axes_manager._axes]
    assert seen == [("line", "mm", 300), ("pixel", "mm", 5), ("wavelength", "nm", 40)], seen
    assert [axis.navigate for axis in signal.axes_manager._axes] == [True, True, False]
    spectra = signal.axes_manager.signal_axes[0]
    assert (spectra.offset, spectra.scale) == (400, 10) and signal.axes_manager["line"].offset == 5
    about = signal.original_metadata
    assert about.sample.name == "P1-M100" and about.start_time == "2018-07-03T14:15:02Z", about.start_time
    # Time is a coordinate within the NXdata, of which HyperSpy keeps axes and signal alone; the ledger's comes through.
    assert about.ledger.vnir.time.attrs.units == "nanoseconds since 1970-01-01T00:00:00Z"
    assert np.asarray(about.ledger.vnir.time.value)[0] == 1_530_627_302_180_000_000
