#!/usr/bin/env python3
"""Compares what heads say in scan.json with ONNX Runtime on the mean spectra of the sample files.
usage: heads.py DATA SCAN NAME=MODEL..."""
import hashlib
import json
import sys

import h5py
import numpy as np
import onnxruntime

data, scan, heads = sys.argv[1], sys.argv[2], [head.split("=") for head in sys.argv[3:]]
with open(f"{data}/scans/{scan}/scan.json") as file:
    record = json.load(file)
assert record["samples"]
for name, path in heads:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map
    nm = json.loads(metadata["hyclus.wavelengths_nm"])
    about = record["heads"][name]
    with open(path, "rb") as file:
        assert about["head_sha256"] == hashlib.sha256(file.read()).hexdigest()
    assert (about["target"], about["unit"], about["level"]) == (metadata["hyclus.target"], metadata["hyclus.unit"], 0.9)
    for sample in record["samples"]:
        with h5py.File(f"{data}/scans/{scan}/{sample['file']}") as file:
            mean = file["entry/mean"]
            # Bands without a known width, so far apart, are interpolated.
            spectrum = np.interp(nm, mean["wavelength"][:], mean["reflectance"][:]).astype("f4")
        (judged,) = session.run(None, {session.get_inputs()[0].name: spectrum[None, :]})[0]
        value = sample["heads"][name]
        found = [value[key] for key in ("value", "lower", "upper", "distance")]
        np.testing.assert_allclose(found, judged, rtol=1e-5)
        assert 1 < value["value"] < 100 and value["lower"] < value["value"] < value["upper"]
        assert value["refused"] == (value["distance"] > 1)
