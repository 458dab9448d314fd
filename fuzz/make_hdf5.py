"""Small HDF5 files for the corpus: a sample cut down to a few lines, pixels and bands, and files of odd links and texts.
usage: make_hdf5.py SAMPLE.h5 FOLDER"""

import os
import sys

import h5py
import numpy as np

sample, folder = sys.argv[1:]
LEFT_OUT = ("DIMENSION_LIST", "REFERENCE_LIST", "CLASS", "NAME")


def copy(group, to, packed):
    for name, value in group.attrs.items():
        if name not in LEFT_OUT and name != "doubts":
            to.attrs[name] = value
    for name, thing in group.items():
        if isinstance(thing, h5py.Group):
            if name in ("entry", "reflectance", "sample"):
                copy(thing, to.create_group(name), packed)
            continue
        if h5py.check_string_dtype(thing.dtype):
            to.create_dataset(name, data=thing[()][:40], dtype=h5py.string_dtype())
        else:
            part = thing[tuple(slice(0, 3) for _ in thing.shape)]
            filters = {"chunks": tuple(2 for _ in part.shape), "compression": 9, "shuffle": True} if packed and part.ndim > 1 else {}
            to.create_dataset(name, data=part, **filters)
        for key, value in thing.attrs.items():
            if key not in LEFT_OUT:
                to[name].attrs[key] = value
    for name in ("line", "pixel", "wavelength"):
        if name in to and "reflectance" in to:
            to[name].make_scale(name)
            to["reflectance"].dims[("line", "pixel", "wavelength").index(name)].attach_scale(to[name])


for name, packed, version in (("plain", False, "v108"), ("latest", True, "latest")):
    with h5py.File(sample) as file, h5py.File(os.path.join(folder, name), "w", libver=version) as to:
        copy(file, to, packed)
with h5py.File(os.path.join(folder, "links"), "w") as file:
    file.create_group("a/b")
    file["a/b/back"] = file["a"]
    file["soft"] = h5py.SoftLink("/a/b")
    file["external"] = h5py.ExternalLink("other.h5", "/x")
    file["kind"] = np.dtype([("x", "f8"), ("s", "S4"), ("list", h5py.vlen_dtype("i2"))])
    file["records"] = np.zeros(2, np.dtype([("x", "f8"), ("s", "S4")]))
    file["lists"] = h5py.Empty("f4")
    file.attrs.create("texts", [b"a\xff", b"b"], dtype=h5py.string_dtype())
    file.attrs["fixed"] = np.array([b"ab", b"c"])
    layout = h5py.VirtualLayout((4,), "i8")
    layout[:] = h5py.VirtualSource("other.h5", "array", (4,))
    file.create_virtual_dataset("virtual", layout)
