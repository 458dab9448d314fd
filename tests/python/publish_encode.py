#!/usr/bin/env python3
"""Embeds spectra with onnxruntime, as an independent answer to compare with.
usage: publish_encode.py MODEL SPECTRA.f32 MEASURED_NM.json OUT.f32 [novelty]. With `novelty`, it gives the distance from the training instead, by
the model's metadata. Needs numpy and onnxruntime."""

import json
import sys

import numpy as np
import onnxruntime

model, spectra, measured, out = sys.argv[1:5]
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
outputs = session.run(None, {entry.name: np.ascontiguousarray(spectra)})
result = outputs[0]
if sys.argv[5:] == ["novelty"]:
    entries = session.get_modelmeta().custom_metadata_map
    numbers = lambda key: np.array(json.loads(entries["hyclus." + key]), "f8")
    distances = []
    if "hyclus.codes_mean" in entries:
        from_mean = outputs[0].astype("f8") - numbers("codes_mean")
        squared = np.sum(from_mean * np.linalg.solve(numbers("codes_covariance"), from_mean.T).T, axis=1)
        distances.append(np.sqrt(squared) / numbers("codes_limit"))
    if "hyclus.residual_limit" in entries:
        distances.append(outputs[1].reshape(-1).astype("f8") / numbers("residual_limit"))
    result = np.max(distances, axis=0)
result.astype("<f4").tofile(out)
