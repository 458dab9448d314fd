#!/usr/bin/env python3
"""Checks exported models and holds their results against the training framework's.
usage: onnx_models.py FOLDER SPECTRA.f32 CODES.f32 [DECODED.f32], FOLDER with encoder.onnx and, for the last, decoder.onnx. The encoder's residual is that
of 12 principal components of the spectra it was trained on."""
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
    (taken,), (given_back, *more) = session.get_inputs(), session.get_outputs()
    assert [output.name for output in more] == (["residual"] if name == "encoder" else [])
    width = taken.shape[1]
    found, *residual = session.run(None, {taken.name: given.reshape(-1, width)})
    assert found.shape[1] == given_back.shape[1], (found.shape, given_back.shape)
    off = np.abs(found.ravel() - expected) / np.maximum(1, np.abs(expected))
    assert off.max() < (1e-5 if decoded else 2e-5), (name, off.max())
    nm = json.loads(metadata["hyclus.wavelengths_nm"])
    assert len(nm) == (width if name == "encoder" else found.shape[1]) and nm == sorted(nm)
    reference = np.array(json.loads(metadata["hyclus.reference_input"]), "f4").reshape(-1, width)
    again, *_ = session.run(None, {taken.name: reference})
    wanted = np.array(json.loads(metadata["hyclus.reference_output"]))
    assert (np.abs(again.ravel() - wanted) / np.maximum(1, np.abs(wanted))).max() < (1e-5 if decoded else 2e-5)
    if name == "decoder":
        assert not [key for key in metadata if "limit" in key]
        continue

    # What it knows of the spectra that it was trained on. Those of pairs have two odd ones behind them.
    known = {key: np.array(json.loads(value)) for key, value in metadata.items() if "limit" in key or "codes" in key}
    training = len(found) if decoded else len(found) - 2
    x, codes_of = given.reshape(-1, width)[:training].astype("f8"), expected.reshape(found.shape)[:training].astype("f8")
    mean, covariance = codes_of.mean(axis=0), np.atleast_2d(np.cov(codes_of, rowvar=False))
    np.testing.assert_allclose(known["hyclus.codes_mean"], mean, rtol=1e-9, atol=1e-12)
    stated = known["hyclus.codes_covariance"].reshape(covariance.shape)
    np.testing.assert_allclose(stated, covariance, rtol=1e-7, atol=1e-9 * np.trace(covariance))
    distance = np.sqrt(np.sum((codes_of - mean) * np.linalg.solve(covariance, (codes_of - mean).T).T, axis=1))
    from sklearn.decomposition import PCA

    components = PCA(12, svd_solver="full").fit(x)
    rest = x - components.inverse_transform(components.transform(x))
    np.testing.assert_allclose(residual[0][:training, 0], np.sqrt(np.mean(rest**2, axis=1)), rtol=1e-3, atol=2e-6)
    for values, limit in [(distance, known["hyclus.codes_limit"]), (residual[0][:training, 0], known["hyclus.residual_limit"])]:
        beyond = np.count_nonzero(values > limit * (1 + 1e-4))
        assert beyond <= training / 1000 and np.count_nonzero(values > limit * (1 - 1e-3)) >= 1, (beyond, limit, values.max())
