#!/usr/bin/env bash
# Starts the simulated rig and its console, prints a link that lets in, and scans a tray. Ctrl-C ends all. HYCLUS_BIN is the folder of the binaries.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bin=${HYCLUS_BIN:-target/debug}
data=data
mkdir -p "$data"
data=$(cd "$data" && pwd)
socket="$data/control.sock"
config="$PWD/config/simulated.toml"

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

# Both read one configuration. Its paths are those of this folder.
"$bin/hyclusd" --config "$config" --data "$data" --socket "$socket" --listen 127.0.0.1:0 2>"$data/demo.log" &
daemon=$!
"$bin/hyclus-console" --config "$config" serve 2>"$data/console.log" &
console=$!
trap 'kill "$daemon" "$console" 2>/dev/null || true; wait 2>/dev/null || true' EXIT
trap 'exit 0' INT TERM
until "$bin/hyclus" --socket "$socket" status >/dev/null 2>&1 && grep -q 'the console is at' "$data/console.log"; do
    if ! kill -0 "$daemon" 2>/dev/null; then
        cat "$data/demo.log" >&2
        exit 1
    fi
    if ! kill -0 "$console" 2>/dev/null; then
        cat "$data/console.log" >&2
        exit 1
    fi
    sleep 0.1
done
say "The console of the simulated rig. This link lets you in once; it lives for 8 hours:"
"$bin/hyclus-console" --config "$config" link --role administer --for 8h --name operator
"$bin/hyclus" --socket "$socket" scan --tray config/trays/demo.toml >/dev/null
say "A tray is being scanned. Another is scanned from the page Tray. Ctrl-C ends rig and console."
[ -z "${HYCLUS_CONSOLE_ONCE:-}" ] || exit 0
wait "$console"
