#!/usr/bin/env python3
"""Follows the embeddings of a scan while it runs, from the data set alone: no daemon is asked.

    follow_embeddings.py DATA [SCAN]

A part of the data set appears under its name when it is complete, and never changes again. So a follower lists the folder and
reads the parts that it has not seen. The newest scan is taken where none is named. The end of a scan is written in its
scan.json: `complete` is null until then. Needs pyarrow.
"""

import json
import pathlib
import sys
import time

import pyarrow.compute as pc
import pyarrow.parquet as pq

POLL_S = 0.5


def newest(data):
    """The id of the newest scan; ids begin with the time of their start."""
    while True:
        scans = sorted(folder.name for folder in data.glob("scans/*") if (folder / "scan.json").exists())
        if scans:
            return scans[-1]
        time.sleep(POLL_S)


def ended(data, scan):
    """Whether the scan is closed."""
    return json.loads((data / "scans" / scan / "scan.json").read_text())["complete"] is not None


def rows(path):
    """The rows of a part and, by sample, how many there are and the mean of their first component."""
    table = pq.read_table(path, columns=["sample", "embedding"], partitioning=None)
    first = pc.list_element(table["embedding"], 0)
    means = table.append_column("first", first).group_by("sample").aggregate([("first", "mean"), ("first", "count")])
    return table.num_rows, sorted(means.to_pylist(), key=lambda row: row["sample"])


def main(data, scan=None):
    data = pathlib.Path(data)
    scan = scan or newest(data)
    seen, total = set(), 0
    print(f"following {scan}", flush=True)
    while True:
        # Asked before the folder is listed: parts that come later belong to what a scan left for later.
        last = ended(data, scan)
        for part in sorted(set((data / "embeddings" / f"scan={scan}").glob("*.parquet")) - seen):
            seen.add(part)
            count, samples = rows(part)
            total += count
            print(f"{part.name}: {count} rows", flush=True)
            for row in samples:
                print(f"  {row['sample']}: {row['first_count']} rows, mean of the first component {row['first_mean']:.4f}", flush=True)
        if last:
            print(f"{total} rows")
            return
        time.sleep(POLL_S)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(*sys.argv[1:])
