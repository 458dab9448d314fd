#!/bin/sh
# Keeps a small scan in the formats that this version writes, as tests/formats/N/. N is the highest version among its files.
#
# Run it once after a format version was raised, and commit the new folder. It never changes a folder that is there.
# `hyclus process` makes the scan from a recording of a scene of numbers (tests/process/rig.rs). The raw recording is not kept.
# It needs the environment of `make test`: Python with numpy and onnx, and ONNX Runtime (ORT_DYLIB_PATH).
set -eu
cd "$(dirname "$0")/../.."
cargo test --locked --test formats -- --ignored --exact make
du -sh tests/formats/*/
