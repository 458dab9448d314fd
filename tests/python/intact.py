"""Fails unless everything that scans left is whole: DATA...

For every scan.json below each data root: its samples open in h5py with the shapes that it gives, its Parquet parts open in pyarrow
with as many rows as it says, each raw recording holds, line for line, what its table of lines and its sums say, and every file has the
size and the hash that it gives.
"""

import json
import pathlib
import re
import sys

import blake3
import h5py
import pyarrow.parquet

scans = lines = samples = files = 0
for root in map(pathlib.Path, sys.argv[1:]):
    for path in sorted(root.glob("scans/*/scan.json")):
        record = json.loads(path.read_text())
        folder, scan = path.parent, record["id"]
        assert record["ended"] and record["complete"] is not None, f"{path}: not closed"
        assert record["complete"] == (record["reason"] is None), f"{path}: {record['reason']}"
        for sample in record["samples"]:
            with h5py.File(folder / sample["file"]) as file:
                group = file["entry/reflectance"]
                assert list(group["reflectance"].shape) == sample["shape"], f"{path}: {sample}"
                assert group["mask"][:].sum() == sample["pixels"], f"{path}: {sample}"
                group["reflectance"][:]
            samples += 1
        assert len(list(folder.glob("samples/*"))) == len(record["samples"]), f"{path}: samples that it does not name"
        parts = sorted(root.glob(f"embeddings/scan={scan}/*.parquet"))
        rows = sum(pyarrow.parquet.read_table(part).num_rows for part in parts)
        assert rows == record["embeddings"], f"{path}: {rows} rows of embeddings, not {record['embeddings']}"
        for camera, sums in record["cameras"].items():
            assert sums["received"] + sums["lost"] == sums["expected"], f"{path}: {camera}: {sums}"
            capture = folder / "raw" / camera / "capture"
            if not capture.exists():
                assert sums["received"] == sums["unrecorded"], f"{path}: {camera}: no recording"
                continue
            table = (capture / f"{scan}.lines.csv").read_text().splitlines()[1:]
            header = dict(re.findall(r"^(\w+)\s*=\s*(\d+)\s*$", (capture / f"{scan}.hdr").read_text(), re.MULTILINE))
            line_bytes = int(header["samples"]) * int(header["bands"]) * 2
            size = (capture / f"{scan}.raw").stat().st_size
            assert len(table) == int(header["lines"]), f"{path}: {camera}: {len(table)} rows, header {header}"
            assert size == len(table) * line_bytes, f"{path}: {camera}: {size} bytes for {len(table)} lines of {line_bytes}"
            assert len(table) + sums["unrecorded"] == sums["received"], f"{path}: {camera}: {len(table)} lines, {sums}"
            lines += len(table)
        for file in record["files"]:
            content = (root / file["path"]).read_bytes()
            assert len(content) == file["bytes"], f"{path}: {file} has {len(content)} bytes"
            assert blake3.blake3(content).hexdigest() == file["blake3"], f"{path}: {file} has another hash"
            files += 1
        scans += 1
print(f"{scans} scans, {lines} lines, {samples} samples, {files} files are whole")
