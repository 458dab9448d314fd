#!/usr/bin/env python3
"""Compares the messages of the live tap with the files of the scan: live_tap.py MESSAGES SCAN_FOLDER"""
import glob
import json
import struct
import sys

import h5py
import live_messages
import numpy as np
from PIL import Image

folder = sys.argv[2]
record = json.load(open(f"{folder}/scan.json"))

found = live_messages.read(sys.argv[1])

assert json.loads(found[1][0])["format"] == 1
about = [json.loads(m) for m in found[4]]
assert about[0] is None and about[-1]["scan"] == record["id"] and about[-1]["ended"], about
assert {"state", "devices"} <= json.loads(found[3][0]).keys() and len(found[3]) >= 2
events = [json.loads(m)["event"] for m in found[2]]
assert "scan_started" in events and "scan_closed" in events, events
about = about[-1]
names = [source["name"] for source in about["sources"]]
assert names == ["vnir", "swir", "grid"], names
assert 11 not in found, "messages were dropped"

# Pictures.
pictures = {}
for m in found[5]:
    source, encoding, bands, _, pixels, stride, index, y_mm = struct.unpack_from("<BBBBIIqd", m)
    numbers = np.frombuffer(m, "<u2", bands, 28)
    values = np.frombuffer(m, "u1" if encoding == 0 else "<f2", bands * pixels, 28 + 2 * bands).reshape(bands, pixels)
    pictures.setdefault(source, []).append((index, stride, y_mm, numbers, values))
for source, rows in pictures.items():
    indexes = [row[0] for row in rows]
    assert indexes == sorted(set(indexes)), f"{names[source]}: rows come once and in order"

# The camera's bytes are the root of the share of full scale of the recording's counts.
rows = pictures[0]
assert list(rows[0][3]) == [3, 20], rows[0][3]
raw = f"{folder}/raw/vnir/capture"
header = {k.strip().lower(): v.strip() for k, v in (l.split("=", 1) for l in open(glob.glob(f"{raw}/{record['id']}.hdr")[0]) if "=" in l)}
bands, pixels = int(header["bands"]), int(header["samples"])
counts = np.fromfile(glob.glob(f"{raw}/{record['id']}.raw")[0], "<u2").reshape(-1, bands, pixels)
lines = [line.split(",") for line in open(glob.glob(f"{raw}/{record['id']}.lines.csv")[0]) if not line.startswith("#")]
place = {name: n for n, name in enumerate(lines[0])}
frames = np.array([int(line[place["frame"]]) for line in lines[1:]])
full = about["sources"][0]["full_scale_counts"]
same = 0
for index, stride, y_mm, numbers, values in rows:
    at = np.flatnonzero((frames >= index) & (frames < index + stride))
    if len(at) == 0:
        continue
    line = counts[at[0]][numbers]
    wanted = np.where(line >= full, 255, np.minimum(np.round(254 * np.sqrt(line / full)), 254))
    assert np.abs(wanted - values).max() <= 1, (index, np.abs(wanted - values).max())
    same += 1
assert same > 50, same

# The grid's half floats are the cubes' reflectance.
rows = {row[0]: row for row in pictures[2]}
rgb = about["sources"][2]["rgb"]
assert all(list(row[3]) == rgb for row in rows.values()), rgb
opened = {json.loads(m)["sample"]: json.loads(m) for m in found[10]}
assert len(opened) == len(record["samples"]) and all(sample["closed"] for sample in opened.values()), opened
outlines = {}
for m in found[8]:
    number, runs, row = struct.unpack_from("<HHq", m)
    pairs = np.frombuffer(m, "<u2", 2 * runs, 12).reshape(-1, 2)
    outlines.setdefault(number, {})[row] = pairs
compared = 0
for name, sample in opened.items():
    with h5py.File(f"{folder}/samples/{name}.h5") as f:
        cube = f["entry/reflectance/reflectance"][:]
        mask = f["entry/reflectance/mask"][:]
    assert cube.shape[1] == sample["width"], (cube.shape, sample)
    for line in range(cube.shape[0]):
        row = rows.get(sample["first_row"] + line)
        if row is None:
            continue
        first = sample["first_pixel"]
        here = row[4][:, first : first + sample["width"]].astype("f4")
        there = cube[line][:, rgb].T
        both = np.isfinite(here) & np.isfinite(there)
        assert np.allclose(here[both], there[both], rtol=1e-3, atol=1e-6), (name, line)
        compared += both.sum()
        pairs = outlines.get(sample["number"], {}).get(sample["first_row"] + line)
        on = np.zeros(cube.shape[1], bool)
        for a, b in pairs if pairs is not None else []:
            on[a - first : b - first + 1] = True
        assert not np.any((mask[line] == 1) & ~on), (name, line, "the mask lies within the outline")
assert compared > 1000, compared

# The picture that is written at the end has the same rows: one stretch, and a gamma of 2.2, explain all but outlines and words.
picture = np.asarray(Image.open(f"{folder}/quicklook.png").convert("RGB")).astype("f8")
width = about["grid"]["width"]
zoom = picture.shape[1] // width
seen = np.stack([rows[index][4].T for index in sorted(rows)]).astype("f8")
assert len(rows) == max(rows) - min(rows) + 1, "no row is missing"
drawn = picture[zoom // 2 : zoom * len(seen) : zoom, zoom // 2 : zoom * width : zoom]
known = np.isfinite(seen) & (drawn > 20) & (drawn < 235)
top = np.median((seen[known] / (drawn[known] / 255) ** 2.2))
wanted = 255 * np.clip(seen / top, 0, 1) ** (1 / 2.2)
alike = np.abs(wanted - drawn)[known] <= 3
assert known.sum() > 5000 and alike.mean() > 0.9, (known.sum(), alike.mean())

# The ledger: every line once, and the gaps of the record.
for camera, name in enumerate(names[:2]):
    runs = [struct.unpack_from("<BBHIQdd", m) for m in found[6] if m[0] == camera]
    runs.sort(key=lambda run: run[4])
    end = next(run[4] for run in runs if run[1] == 0)
    gaps = []
    for _, status, _, count, first, _, _ in runs:
        if first >= end or status != 5:
            assert first == end, f"{name}: run at {first} where {end} was expected"
            end = first + count
        if status == 5:
            if gaps and gaps[-1][0] + gaps[-1][1] == first:
                gaps[-1][1] += count
            else:
                gaps.append([first, count])
    sums = record["cameras"][name]
    assert gaps == sums["gaps"], (name, gaps, sums["gaps"])

batches = found[9]
count, wide = struct.unpack_from("<HH", batches[0])
assert len(batches[0]) == 4 + count * (12 + 4 * wide) and wide == 4, (count, wide)
print(f"{same} lines, {compared} values, {len(batches)} batches")
