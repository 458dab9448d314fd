#!/usr/bin/env bash
# Makes the encoder of the simulated rig again: scans its tray without an encoder, and fits four principal components to the spectra.
# HYCLUS_BIN is the folder of the binaries.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
bin=${HYCLUS_BIN:-target/debug}
work=$(mktemp -d)
daemon=
trap '[ -z "$daemon" ] || kill "$daemon" 2>/dev/null || true; wait; rm -rf "$work"' EXIT

# Without [encoder], which does not exist yet; frames as fast as they are read.
sed -e '/^\[encoder\]/,$d' -e 's/^warm_up_s = 0.2/&\npace = "as_read"\nlamp_drift = 0.0/' config/simulated.toml >"$work/rig.toml"
"$bin/hyclusd" --config "$work/rig.toml" --data "$work/data" --socket "$work/socket" --listen "" 2>"$work/log" &
daemon=$!
until [ -S "$work/socket" ]; do
    kill -0 "$daemon" 2>/dev/null || { cat "$work/log" >&2; exit 1; }
    sleep 0.1
done
"$bin/hyclus" --socket "$work/socket" scan --tray config/trays/demo.toml --wait
"${HYCLUS_PYTHON:-python3}" config/encoders/fit_pca.py "$work"/data/scans/*/samples/*.h5 --dims 4 --name simulated-pca4 \
    --wavelengths 420,2480,5 --no-novelty --out "${1:-config/encoders/simulated-pca4.onnx}"
