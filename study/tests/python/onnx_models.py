#!/usr/bin/env python3
"""Checks exported models and holds their results against the training framework's.
usage: onnx_models.py FOLDER SPECTRA.f32 CODES.f32 [DECODED.f32], FOLDER with encoder.onnx and, for the last, decoder.onnx"""
import json
import sys

import numpy as np
import onnx
import onnxruntime

folder, *files = sys.argv[1:]
spectra, codes, *decoded = (np.fromfile(file, "<f4") for file in files)
models = [("encoder", spectra, codes)] + [("decoder", codes, values) for values in decoded]
for name, given, expected in models:
    model = onnx.load(f"{folder}/{name}.onnx")
    onnx.checker.check_model(model, full_check=True)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    session = onnxruntime.InferenceSession(f"{folder}/{name}.onnx", providers=["CPUExecutionProvider"])
    (taken,), (given_back,) = session.get_inputs(), session.get_outputs()
    width = taken.shape[1]
    (found,) = session.run(None, {taken.name: given.reshape(-1, width)})
    assert found.shape[1] == given_back.shape[1], (found.shape, given_back.shape)
    off = np.abs(found.ravel() - expected) / np.maximum(1, np.abs(expected))
    assert off.max() < (1e-5 if decoded else 2e-5), (name, off.max())
    nm = json.loads(metadata["hyclus.wavelengths_nm"])
    assert len(nm) == (width if name == "encoder" else found.shape[1]) and nm == sorted(nm)
    reference = np.array(json.loads(metadata["hyclus.reference_input"]), "f4").reshape(-1, width)
    (again,) = session.run(None, {taken.name: reference})
    wanted = np.array(json.loads(metadata["hyclus.reference_output"]))
    assert (np.abs(again.ravel() - wanted) / np.maximum(1, np.abs(wanted))).max() < (1e-5 if decoded else 2e-5)
