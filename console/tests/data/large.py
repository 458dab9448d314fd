"""Makes a large data root out of a small one: a thousand scans, a cube of 2 GB, and a million embeddings."""

import json
import os
import shutil
import sys

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

small, large = sys.argv[1:]
first = sorted(os.listdir(f"{small}/scans"))[0]
record = json.load(open(f"{small}/scans/{first}/scan.json"))


def scan(name, started):
    folder = f"{large}/scans/{name}"
    os.makedirs(f"{folder}/samples", exist_ok=True)
    json.dump({**record, "id": name, "started": started}, open(f"{folder}/scan.json", "w"), indent=1)
    return folder


for i in range(1000):
    month, day, hour, minute = 1 + i // 250, 1 + i % 25, i % 24, i % 60
    scan(f"2020{month:02d}{day:02d}T{hour:02d}{minute:02d}00Z-M{i}", f"2020-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:00.000Z")

lines, pixels, bands = 1800, 640, 450
path = scan("20300101T000000Z-CUBE", "2030-01-01T00:00:00.000Z") + "/samples/S-1.h5"
shutil.copy(f"{small}/scans/{first}/samples/S-1.h5", path)
with h5py.File(path, "r+") as file:
    group = file["entry/reflectance"]
    for name in list(group):
        del group[name]
    for name in list(group.attrs):
        del group.attrs[name]
    cube = group.create_dataset("reflectance", (lines, pixels, bands), "f4", chunks=(1, pixels, bands))
    base = np.random.default_rng(0).random((pixels, bands), dtype="f4")
    for line in range(lines):
        cube[line] = base * (0.5 + line / lines)
    group["mask"] = np.ones((lines, pixels), "u1")
    group["quality"] = np.zeros((lines, pixels), "u1")
    group["line"], group["pixel"] = np.arange(lines) * 0.3, np.arange(pixels) * 0.3
    group["wavelength"], group["fwhm"] = np.linspace(400, 2500, bands), np.full(bands, 5.0)
    group["time"] = np.arange(lines, dtype="i8")

rows, width, spectrum, parts = 1_000_000, 16, 100, 4
name = "20310101T000000Z-ROWS"
scan(name, "2031-01-01T00:00:00.000Z")
folder = f"{large}/embeddings/scan={name}"
os.makedirs(folder, exist_ok=True)
random = np.random.default_rng(1)
count = rows // parts
metadata = {
    "hyclus.format_version": "2",
    "hyclus.encoder_sha256": "ab" * 32,
    "hyclus.wavelengths_nm": json.dumps(list(np.linspace(400, 2500, spectrum))),
}
for part in range(parts):
    sample = record["samples"][part]
    embedding = (random.normal(size=(count, width)) * np.linspace(3, 0.5, width) + part % 2 * 2).astype("f4")
    spectra = random.random((count, spectrum), dtype="f4")
    index = np.arange(count, dtype="i4")
    table = pa.table(
        {
            "sample": pa.array([sample["sample"]] * count),
            "container": pa.array([sample["container"]] * count),
            "plant": pa.array(["north"] * count),
            "line": pa.array(index // 500),
            "pixel": pa.array(index % 500),
            "x_mm": pa.array(random.random(count, dtype="f4") * 100),
            "y_mm": pa.array(random.random(count, dtype="f4") * 100),
            "time": pa.array(np.arange(count), pa.timestamp("us", tz="UTC")),
            "time_ns": pa.array(np.arange(count) * 1000),
            "quality": pa.array(np.zeros(count, "i2")),
            "embedding": pa.FixedSizeListArray.from_arrays(pa.array(embedding.ravel()), width),
            "spectrum": pa.FixedSizeListArray.from_arrays(pa.array(spectra.ravel()), spectrum),
        }
    ).replace_schema_metadata(metadata)
    pq.write_table(table, f"{folder}/part-{part:05d}.parquet", compression="zstd", row_group_size=70_000, use_dictionary=["sample", "container", "plant"])
