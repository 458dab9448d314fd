"""HDF5 files that nobody would write in good faith. usage: hostile_hdf5.py SAMPLE.h5 FOLDER"""

import os
import shutil
import struct
import sys
import zlib

import h5py
import numpy as np

sample, folder = sys.argv[1:]
os.makedirs(folder, exist_ok=True)


def path(name):
    return os.path.join(folder, f"{name}.h5")


def fixed(length):
    kind = h5py.h5t.C_S1.copy()
    kind.set_size(length)
    kind.set_cset(h5py.h5t.CSET_UTF8)
    return kind


ODD = b"ab\xff\xfe\x80c"
CONTROL = b"x\x1b[31m\xc2\x9b31m\r\ny\xe2\x80\xae\xe2\x81\xa6z"

# Text that is no UTF-8, wherever text stands: values, attributes, lists of them, names of links, attributes and members.
with h5py.File(path("text"), "w") as file:
    scalar = h5py.h5s.create(h5py.h5s.SCALAR)
    kind, value = fixed(8), np.array(ODD, "S8")
    dataset = h5py.h5d.create(file.id, b"fixed", kind, scalar)
    dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, value, mtype=kind)
    # The name is Latin-1.
    for name in (b"a_fixed", b"fixed_\xfc"):
        h5py.h5a.create(file.id, name, kind, scalar).write(value, mtype=kind)
    file.create_dataset("variable", data=ODD, dtype=h5py.string_dtype())
    file.create_dataset("ascii", data=ODD, dtype=h5py.string_dtype("ascii"))
    file.attrs.create("variable", [ODD, b"good"], dtype=h5py.string_dtype())
    h5py.h5g.create(file.id, b"gr\xfcn")
    compound = h5py.h5t.create(h5py.h5t.COMPOUND, 8)
    compound.insert(b"l\xe4nge", 0, h5py.h5t.NATIVE_DOUBLE)
    h5py.h5d.create(file.id, b"compound", compound, h5py.h5s.create_simple((3,)))
    file.attrs.create("list", [ODD, b"good"], dtype="S8")
    h5py.h5g.create(file.id, CONTROL)
    file.attrs["control"] = np.bytes_(CONTROL)

# The same in a sample: its names are read by `inspect` and by `export`.
shutil.copy(sample, path("sample"))
with h5py.File(path("sample"), "r+") as file:
    about = file["entry/sample"]
    del about["name"]
    about.create_dataset("name", data=ODD, dtype=h5py.string_dtype())
    about.attrs.create("doubts", [ODD, CONTROL], dtype=h5py.string_dtype())

# Sizes that no file has.
with h5py.File(path("sizes"), "w") as file:
    file.create_dataset("contiguous", (10**6, 10**6), "f8")
    file.create_dataset("chunked", (10**6, 10**6), "f8", chunks=(1000, 1000))
    kind = fixed(1 << 30)
    h5py.h5d.create(file.id, b"long", kind, h5py.h5s.create(h5py.h5s.SCALAR))
    file.create_dataset("lists", (1,), h5py.vlen_dtype("f8"))

# Attributes that are large.
with h5py.File(path("attributes"), "w", libver="latest") as file:
    file.attrs["large"] = np.zeros(4 << 20, "f8")
    for number in range(1000):
        file.attrs[f"a{number}"] = number

# Groups in groups, and groups that lead back.
with h5py.File(path("deep"), "w") as file:
    group = file
    for _ in range(3000):
        group = group.create_group("g")
with h5py.File(path("cycle"), "w") as file:
    group = file.create_group("a/b")
    group["back"] = file["a"]
    group["root"] = file["/"]
    file["soft"] = h5py.SoftLink("/soft")
    file["there"] = h5py.SoftLink("/a/b")
    file["nowhere"] = h5py.SoftLink("/none")

# What lies in other files.
with h5py.File(path("elsewhere"), "w") as file:
    file.create_dataset("secret", data=4711)
    file["array"] = np.arange(4)
with h5py.File(path("followed"), "w") as file:
    file["external"] = h5py.ExternalLink("elsewhere.h5", "/secret")
    layout = h5py.VirtualLayout((4,), "i8")
    layout[:] = h5py.VirtualSource("elsewhere.h5", "array", (4,))
    file.create_virtual_dataset("virtual", layout)
with h5py.File(path("links"), "w") as file:
    file["external"] = h5py.ExternalLink("elsewhere.h5", "/secret")
    # A link that leads on to another file.
    file["soft"] = h5py.SoftLink("/external")
    file["pipe"] = h5py.ExternalLink("pipe", "/")
    layout = h5py.VirtualLayout((4,), "i8")
    layout[:] = h5py.VirtualSource("elsewhere.h5", "array", (4,))
    file.create_virtual_dataset("virtual", layout)
    file.create_dataset("raw", (4,), "i8", external=[(os.path.join(folder, "raw.bin"), 0, 32)])

# Flags whose chunk becomes larger than it says: one of 3 MB that becomes 3 GB, and one that is small enough for its place.
for name, mebibytes in (("bomb", 3 << 10), ("swollen", 16)):
    shutil.copy(sample, path(name))
    with h5py.File(path(name), "r+") as file:
        data = file["entry/reflectance"]
        shape = data["quality"].shape
        del data["quality"]
        new = data.create_dataset("quality", shape, "u1", chunks=shape, compression="gzip")
        packer = zlib.compressobj(9)
        packed = b"".join([packer.compress(bytes(1 << 20)) for _ in range(mebibytes)] + [packer.flush()])
        new.id.write_direct_chunk((0, 0), packed)

# A filter that nobody has.
shutil.copy(sample, path("filter"))
with h5py.File(path("filter"), "r+") as file:
    data = file["entry/reflectance"]
    shape = data["mask"].shape
    del data["mask"]
    created = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    created.set_chunk(shape)
    created.set_filter(32768 - 1, h5py.h5z.FLAG_OPTIONAL, (1,))
    h5py.h5d.create(data.id, b"mask", h5py.h5t.NATIVE_UINT8, h5py.h5s.create_simple(shape), created)

# A text of 4 GB, by its own words.
shutil.copy(sample, path("length"))
with h5py.File(path("length"), "r+") as file:
    dataset = file["entry/sample/name"]
    at = dataset.id.get_offset()
with open(path("length"), "r+b") as file:
    file.seek(at)
    file.write(struct.pack("<I", 0xFFFFFFF0))

# No HDF5 at all, or not all of it.
whole = open(sample, "rb").read()
open(path("zeros"), "wb").write(bytes(1 << 16))
open(path("empty"), "wb")
open(path("cut"), "wb").write(whole[: len(whole) // 2])
open(path("start"), "wb").write(whole[:64])
os.mkfifo(path("pipe"))
os.mkfifo(os.path.join(folder, "pipe"))
os.mkdir(path("folder"))
