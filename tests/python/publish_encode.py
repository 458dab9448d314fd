#!/usr/bin/env python3
"""Embeds spectra with onnxruntime, as an independent answer to compare with.
usage: publish_encode.py MODEL SPECTRA.f32 MEASURED_NM.json OUT.f32. Needs numpy and onnxruntime."""

import json
import sys

import numpy as np
import onnxruntime

model, spectra, measured, out = sys.argv[1:]
with open(measured, encoding="utf-8") as file:
    measured = np.array(json.load(file))
spectra = np.fromfile(spectra, "<f4").reshape(-1, len(measured))
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
wanted = session.get_modelmeta().custom_metadata_map.get("hyclus.wavelengths_nm")
if wanted is not None:
    wanted = np.array([float(item) for item in wanted.strip("[] ").split(",")])
    spectra = np.stack([np.interp(wanted, measured, spectrum) for spectrum in spectra]).astype("f4")
entry = session.get_inputs()[0]
if len(entry.shape) == 3:
    spectra = spectra[:, None, :]
session.run(None, {entry.name: np.ascontiguousarray(spectra)})[0].astype("<f4").tofile(out)
