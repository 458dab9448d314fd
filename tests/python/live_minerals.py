#!/usr/bin/env python3
"""Compares the minerals that the live tap showed with those in the sample files: live_minerals.py MESSAGES SCAN_FOLDER"""
import json
import struct
import sys

import h5py
import live_messages
import numpy as np

found = live_messages.read(sys.argv[1])

about = json.loads(found[4][-1])
grid = about["sources"][-1]
assert grid["name"] == "grid" and grid["stride"] == 1 and grid["merged"] == 1, grid
samples = {}
for message in map(json.loads, found[10]):
    samples[message["number"]] = message
rows = {}
for message in found[12]:
    sample, first, pixels, zero, row = struct.unpack_from("<HHHHq", message)
    assert zero == 0 and len(message) == 16 + 2 * pixels, len(message)
    assert (sample, row) not in rows, (sample, row)
    rows[sample, row] = first, np.frombuffer(message, "u1", 2 * pixels, 16).reshape(2, pixels)
named, compared, lines = 0, 0, 0
for number, sample in samples.items():
    with h5py.File(f"{sys.argv[2]}/samples/{sample['sample']}.h5") as file:
        group = file["entry/minerals"]
        winners = np.stack([group[f"winner_{g}"][...] for g in (1, 2)])
        assert str(group["winner_1"].attrs["flag_meanings"]).split(" ")[1:] == [name.replace(" ", "_") for name in about["minerals"]]
    lines += winners.shape[1]
    for line in range(winners.shape[1]):
        if (number, sample["first_row"] + line) not in rows:
            continue
        first, shown = rows.pop((number, sample["first_row"] + line))
        assert first == sample["first_pixel"] and shown.shape[1] == sample["width"] == winners.shape[2], (first, sample)
        wanted = np.where(winners[:, line] == 65535, 255, winners[:, line])
        assert np.array_equal(shown, wanted), (sample["sample"], line, shown, wanted)
        named += ((shown > 0) & (shown < 254)).sum()
        compared += 1
assert len(samples) == 4 and compared > 0.8 * lines > 50, (compared, lines)
assert named > 100, "no mineral was shown"
print(f"{compared} of {lines} rows, {named} pixels with a mineral")
