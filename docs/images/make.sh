#!/usr/bin/env bash
# Draws tray.png and minerals.png again: scans the demo's tray and reduces its pictures to few colours. HYCLUS_BIN is the folder of the binaries.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
bin=${HYCLUS_BIN:-target/debug}
work=$(mktemp -d)
daemon=
trap '[ -z "$daemon" ] || kill "$daemon" 2>/dev/null || true; wait; rm -rf "$work"' EXIT

"$bin/hyclusd" --config config/simulated.toml --data "$work/data" --socket "$work/socket" --listen "" 2>"$work/log" &
daemon=$!
until [ -S "$work/socket" ]; do
    kill -0 "$daemon" 2>/dev/null || { cat "$work/log" >&2; exit 1; }
    sleep 0.1
done
"$bin/hyclus" --socket "$work/socket" scan --tray config/trays/demo.toml --wait
# A busy machine identifies some minerals after the scan, from the sample files.
pending='import json, sys; sys.exit(bool(json.load(sys.stdin).get("pending_minerals")))'
until "$bin/hyclus" --json --socket "$work/socket" status | "${HYCLUS_PYTHON:-python3}" -c "$pending"; do sleep 0.5; done
"${HYCLUS_PYTHON:-python3}" - "$work"/data/scans/* docs/images <<'PYTHON'
import sys
from PIL import Image

scan, images = sys.argv[1:]
for picture, target in [("quicklook", "tray"), ("minerals", "minerals")]:
    few = Image.open(f"{scan}/{picture}.png").convert("RGB").quantize(128, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(f"{images}/{target}.png", optimize=True)
PYTHON
