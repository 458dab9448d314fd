#!/usr/bin/env python3
"""Fits two encoders to the samples of a scan: one by config/encoders/fit_pca.py, and the same one without its residual.
usage: novel_encoders.py SAMPLES WHOLE.onnx CODES.onnx. Needs numpy, h5py and onnx."""

import glob
import os
import subprocess
import sys

import onnx
from onnx import helper

samples, whole, codes = sys.argv[1:]
script = os.path.join(os.path.dirname(__file__), "..", "..", "config", "encoders", "fit_pca.py")
files = sorted(glob.glob(os.path.join(samples, "*.h5")))
subprocess.run([sys.executable, script, *files, "--dims", "4", "--name", "whole", "--out", whole], check=True)
model = onnx.load(whole)
del model.graph.output[1]
used = {"embedding"}
for node in reversed(list(model.graph.node)):
    if used & set(node.output):
        used |= set(node.input)
    else:
        model.graph.node.remove(node)
for weight in [weight for weight in model.graph.initializer if weight.name not in used]:
    model.graph.initializer.remove(weight)
about = {entry.key: entry.value for entry in model.metadata_props if entry.key != "hyclus.residual_limit"}
helper.set_model_props(model, about | {"hyclus.name": "codes"})
onnx.checker.check_model(model, full_check=True)
onnx.save(model, codes)
