#!/usr/bin/env python3
"""hyclus against the pipeline that a user would write in Python, on the same recordings, in turn.

usage: bench.py SHARED [--hyclus FILE] [--work DIR] [--lines N] [--runs N] [--case NAME]... [--processors LIST] [--every-pixel]

SHARED holds bench/make_captures.py, make_encoders.py and peer_python.py. For each case (none, gzip1, cnn16) both run --runs times in
turn; printed are the lines per second of every pair, their ratio, and the median ratio: as hyclus is, with every file seen on the disk,
and without that (store.sync = false), as the other does not wait for the disk either. Both encode the pixels above a mean reflectance
of 0.05, as the other is written; with --every-pixel hyclus encodes all. Then both results are compared: where both report a pixel,
reflectance agrees within 1e-5 and embeddings within 1e-4, and fewer than one in a thousand are in one only, else the exit status is 1.
For cnn16 the rate of ONNX Runtime alone is measured too, with several sizes of batches and numbers of threads. Needs numpy, h5py, onnx,
onnxruntime and pyarrow.
"""
import argparse
import glob
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROWS, COLUMNS, VIEW_MM, PIXELS, RATE_HZ = 4, 3, 300.0, 384, 330.0
PIXEL_MM = VIEW_MM / PIXELS
# Mean reflectance up to which the other drops a pixel.
DARK = 0.05
CASES = {
    # name: encoder, compression of the other, [store] and [encoder] of hyclus
    "none": ("sae4.onnx", "none", "", ""),
    "gzip1": ("sae4.onnx", "gzip1", 'compression = "deflate"\n', ""),
    "cnn16": ("cnn16.onnx", "none", "", "workers = 2\nbatch = 64\n"),
}


def write_rig(work, name, encoder, store, encode, dark):
    cameras = "".join(
        f'[[camera]]\nname = "{camera}"\nfield_of_view_mm = {VIEW_MM}\nexposure_us = 2000.0\nframe_rate_hz = {RATE_HZ}\n'
        f'device = {{ kind = "replay", path = "{work}/captures/{camera}" }}\n'
        for camera in ("vnir", "swir")
    )
    path = f"{work}/{name}.toml"
    with open(path, "w") as f:
        f.write(
            f'[rig]\nname = "bench"\ndata_dir = "{work}/unused"\n[conveyor]\nspeed_mm_per_s = {PIXEL_MM * RATE_HZ}\n'
            f'device = {{ kind = "recorded" }}\n{cameras}[references]\npanel = {{ reflectance = 1.0 }}\n[grid]\npixel_mm = {PIXEL_MM}\n'
            f'[join]\noverlap = "keep"\n[segment]\nmethod = "footprint"\nshadow_reflectance = {dark}\n[store]\n{store}'
            f'[encoder]\nmodel = "{work}/encoders/{encoder}"\n{encode}'
        )
    return path


def write_tray(work, lines):
    """The grid of containers that the other pipeline cuts: equal shares of lines and pixels."""
    path = f"{work}/tray.toml"
    with open(path, "w") as f:
        f.write('tray = "B"\n')
        for row in range(ROWS):
            for column in range(COLUMNS):
                top, bottom = row * lines // ROWS, (row + 1) * lines // ROWS
                left, right = column * PIXELS // COLUMNS, (column + 1) * PIXELS // COLUMNS
                f.write(
                    f'[[container]]\nsample = "{row}{column}"\nx_mm = {left * PIXEL_MM}\ny_mm = {(top - 0.5) * PIXEL_MM}\n'
                    f"width_mm = {(right - left) * PIXEL_MM}\nlength_mm = {(bottom - top) * PIXEL_MM}\n"
                )
    return path


def run(command, out):
    """Seconds of wall-clock time, everything included, and what was printed."""
    shutil.rmtree(out, ignore_errors=True)
    os.sync()
    begin = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    seconds = time.perf_counter() - begin
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return seconds, done.stdout


def compare(ours, theirs, lines):
    """Largest differences of reflectance and embeddings over the pixels that both report, how many these are, and how many one does."""
    import h5py
    import numpy as np
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq

    samples = glob.glob(f"{ours}/scans/*/samples/*.h5")
    assert len(samples) == ROWS * COLUMNS, f"{len(samples)} samples"
    table = ds.dataset(f"{ours}/embeddings", partitioning="hive").to_table(columns=["sample", "line", "pixel", "embedding"])
    width = table["embedding"].type.list_size
    stacked = lambda t: t["embedding"].combine_chunks().flatten().to_numpy().reshape(-1, t["embedding"].type.list_size)
    ours_z = np.full((lines, PIXELS, width), np.nan, "f4")
    name = np.array(table["sample"].to_pylist())
    row, column = (name.astype("U1").astype(int), np.array([n[1] for n in name]).astype(int)) if len(name) else (0, 0)
    ours_z[row * lines // ROWS + table["line"].to_numpy(), column * PIXELS // COLUMNS + table["pixel"].to_numpy()] = stacked(table)
    table = pq.read_table(f"{theirs}/embeddings.parquet")
    theirs_z = np.full_like(ours_z, np.nan)
    theirs_z[table["line"].to_numpy(), table["pixel"].to_numpy()] = stacked(table)
    here, there = np.isfinite(ours_z).all(-1), np.isfinite(theirs_z).all(-1)
    both = here & there
    z = np.abs(ours_z - theirs_z)[both].max(initial=0.0)
    r = 0.0
    for path in samples:
        name = os.path.basename(path)[:2]
        with h5py.File(path) as a, h5py.File(f"{theirs}/sample-{name}.h5") as b:
            cube, other = a["entry/reflectance/reflectance"], b["hsi_data"]
            assert cube.shape == other.shape, f"{name}: {cube.shape} and {other.shape}"
            for first in range(0, len(cube), 64):
                difference = np.abs(cube[first : first + 64] - other[first : first + 64])
                r = max(r, float(np.nanmax(difference)))
                assert np.isfinite(difference).all(), f"{name}: a value is missing"
    return r, float(z), int(both.sum()), int((here ^ there).sum())


def runtime_alone(model, spectra):
    """Spectra per second of ONNX Runtime: the best over sizes of batches and numbers of threads."""
    import onnxruntime

    best = (0.0, 0, 0)
    for threads in sorted({1, os.cpu_count() or 1}):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        for batch in (8, 16, 32, 64, 128, 256, 1024):
            session.run(None, {name: spectra[:batch]})
            begin, count = time.perf_counter(), 0
            while count < len(spectra) // batch * batch:
                session.run(None, {name: spectra[count : count + batch]})
                count += batch
            best = max(best, (count / (time.perf_counter() - begin), batch, threads))
    return best


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("shared")
    arguments.add_argument("--hyclus", default="hyclus")
    arguments.add_argument("--work")
    arguments.add_argument("--lines", type=int, default=1200)
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument("--case", action="append", choices=CASES)
    arguments.add_argument("--processors", default="0,1", help="those that both may use")
    arguments.add_argument("--every-pixel", action="store_true", help="hyclus encodes dark pixels, too, which the other drops")
    o = arguments.parse_args()
    if o.lines % ROWS:
        arguments.error(f"--lines must be a multiple of {ROWS}")
    os.sched_setaffinity(0, {int(n) for n in o.processors.split(",")})
    work = os.path.abspath(o.work or tempfile.mkdtemp(prefix="hyclus-bench-"))
    bench = os.path.join(os.path.abspath(o.shared), "bench")
    made = f"{work}/captures-{o.lines}"
    if not os.path.exists(made):
        os.makedirs(work, exist_ok=True)
        shutil.rmtree(f"{work}/captures", ignore_errors=True)
        subprocess.run([sys.executable, f"{bench}/make_captures.py", f"{work}/captures", str(o.lines)], check=True)
        subprocess.run([sys.executable, f"{bench}/make_encoders.py", f"{work}/encoders"], check=True)
        open(made, "w").close()
    vnir, swir, tray = f"{work}/captures/vnir", f"{work}/captures/swir", write_tray(work, o.lines)
    ours, theirs, good = f"{work}/ours", f"{work}/theirs", True
    for case in o.case or CASES:
        encoder, compression, store, encode = CASES[case]
        model = f"{work}/encoders/{encoder}"
        dark = 0.0 if o.every_pixel else DARK
        rigs = {True: write_rig(work, case, encoder, store, encode, dark)}
        rigs[False] = write_rig(work, f"{case}-nosync", encoder, store + "sync = false\n", encode, dark)
        peer = [sys.executable, f"{bench}/peer_python.py", vnir, swir, model, theirs, "--compression", compression]
        ratios, rates = {True: [], False: []}, []
        for number in range(o.runs):
            seconds, printed = run(peer, theirs)
            # Its own figure leaves out that Python starts.
            other = float(re.search(r"lines/s (\d+)", printed).group(1))
            for sync, rig in rigs.items():
                command = [o.hyclus, "--json", "process", "--config", rig, "--tray", tray, "--out", ours]
                command += ["--capture", f"vnir={vnir}", "--capture", f"swir={swir}"]
                seconds, printed = run(command, ours)
                rate = o.lines / seconds
                ratios[sync].append(rate / other)
                rates.append(json.loads(printed)["embeddings"] / seconds)
                state = "synced" if sync else "not synced"
                print(f"{case} {number + 1}: Python {other:.0f}, hyclus {rate:.0f} lines/s ({state}), ratio {rate / other:.2f}", flush=True)
        for sync, state in ((True, "synced"), (False, "not synced")):
            print(f"{case}: median ratio {statistics.median(ratios[sync]):.2f} ({state})")
        r, z, pixels, one = compare(ours, theirs, o.lines)
        agree = r <= 1e-5 and z <= 1e-4 and pixels > 0 and (o.every_pixel or 1000 * one < pixels)
        good &= agree
        print(f"{case}: {pixels} pixels in both, {one} in one; ", end="")
        print(f"reflectance within {r:.1e}, embeddings within {z:.1e}{'' if agree else ': TOO FAR'}")
        if case == "cnn16":
            import h5py

            with h5py.File(f"{theirs}/sample-11.h5") as f:
                spectra = f["hsi_data"][:].reshape(-1, f["hsi_data"].shape[-1])
            alone, batch, threads = runtime_alone(model, spectra)
            share = statistics.median(rates) / alone
            print(f"cnn16: ONNX Runtime alone {alone:.0f} spectra/s (batch {batch}, {threads} threads); the whole program {100 * share:.0f} %")
        shutil.rmtree(ours, ignore_errors=True)
        shutil.rmtree(theirs, ignore_errors=True)
    if not o.work:
        shutil.rmtree(work)
    sys.exit(0 if good else 1)


main()
