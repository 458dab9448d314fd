#!/usr/bin/env bash
# Scans a tray on the simulated rig through the control socket, and shows what came out. HYCLUS_BIN is the folder of the binaries.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bin=${HYCLUS_BIN:-target/debug}
python=${HYCLUS_PYTHON:-python3}
data=${HYCLUS_DEMO_DATA:-data}
socket="$data/control.sock"
log="$data/demo.log"
mkdir -p "$data"

hyclus() { "$bin/hyclus" --socket "$socket" "$@"; }

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

say "The daemon starts on config/simulated.toml (log: $log)"
"$bin/hyclusd" --config config/simulated.toml --data "$data" --socket "$socket" --listen 127.0.0.1:0 2>"$log" &
daemon=$!
trap 'kill "$daemon" 2>/dev/null || true; wait "$daemon" 2>/dev/null || true' EXIT
until [ -S "$socket" ] && hyclus --json status >/dev/null 2>&1; do
    if ! kill -0 "$daemon" 2>/dev/null; then
        cat "$log" >&2
        exit 1
    fi
    sleep 0.1
done
hyclus status

say "A scan of config/trays/demo.toml, twelve containers"
scan=$(hyclus scan --tray config/trays/demo.toml)
hyclus scans "$scan" >/dev/null

say "Embeddings, while the belt still moves (the first ten)"
# `head` takes what it needs and goes.
hyclus tail --data "$data" --scan "$scan" --follow | head -n 11 || true
hyclus --json status | "$python" -c '
import json, sys
status = json.load(sys.stdin)
scan = status["scan"]
if scan: print("  the belt is at {position_mm:.0f} of {end_mm:.0f} mm".format(**scan))'

# Events end by themselves once the scan is closed.
"$python" tests/python/wait_for_scan.py "$socket" "$scan"
# A busy machine identifies some minerals after the scan, from the sample files.
until hyclus --json status | "$python" -c 'import json, sys; sys.exit(bool(json.load(sys.stdin).get("pending_minerals")))'; do sleep 0.5; done

say "What came out"
hyclus scans "$scan"
"$python" - "$data" "$scan" <<'PYTHON'
import glob, json, os, sys
import h5py
import pyarrow.dataset as ds

data, scan = sys.argv[1:]
record = json.load(open(f"{data}/scans/{scan}/scan.json"))
print("\nlines, from scan.json")
for name, camera in record["cameras"].items():
    print(f"  {name}: {camera['received']} received + {camera['lost']} lost = {camera['expected']} expected")
print("\nsamples, read with h5py")
for path in sorted(glob.glob(f"{data}/scans/{scan}/samples/*.h5")):
    with h5py.File(path) as f:
        g = f["entry/reflectance"]
        nm = g["wavelength"]
        print(f"  {os.path.basename(path)}  {g['reflectance'].shape}  {nm[0]:.0f}-{nm[-1]:.0f} nm  {int(g['mask'][...].sum())} pixels")
print("\nminerals in % of the pixels, with 95 % intervals, from scan.json")
for sample in record["samples"]:
    shares = [entry for group in sample["minerals"]["groups"] for entry in group["minerals"].items() if entry[1]["share"] >= 0.01]
    shares = sorted(shares, key=lambda entry: -entry[1]["share"])[:4] or [("not identified", sample["minerals"]["not_identified"])]
    percent = lambda share: f"{100 * share['share']:.0f} ({' to '.join(f'{100 * end:.0f}' for end in share['interval'])})"
    print(f"  {sample['container']}  " + ", ".join(f"{name} {percent(share)}" for name, share in shares))
table = ds.dataset(f"{data}/embeddings", partitioning="hive").to_table(filter=ds.field("scan") == scan)
print(f"\nParquet, read with pyarrow: {table.num_rows} rows, the first of them")
for row in table.slice(0, 5).to_pylist():
    print(" ", row["sample"], row["container"], f"line {row['line']} pixel {row['pixel']}", [round(x, 4) for x in row["embedding"]])
PYTHON

say "Where everything lies"
printf '  %s\n' "$data/scans/$scan/scan.json" "$data/scans/$scan/quicklook.png" "$data/scans/$scan/minerals.png" "$data/scans/$scan/samples/" "$data/scans/$scan/raw/" \
    "$data/embeddings/scan=$scan/"

say "The rig in a browser"
printf '  %s   how it looks\n  make console   starts it, and prints a link\n' docs/images/console-rig.png
