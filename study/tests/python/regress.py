#!/usr/bin/env python3
"""Compares the regression with scikit-learn, SciPy and ONNX Runtime: regress.py models|head FILE.json"""

import json
import sys

import numpy as np


def models(found):
    from scipy.signal import savgol_filter
    from sklearn.cross_decomposition import PLSRegression
    from sklearn.linear_model import Ridge

    for case in found["cases"]:
        spectra, labels = np.array(case["spectra"]), np.array(case["labels"])
        for treated in case["treated"]:
            expected = spectra
            if treated["start"] == "Absorbance":
                expected = -np.log10(np.maximum(expected, 1e-3))
            elif treated["start"] == "Variates":
                expected = (expected - expected.mean(1, keepdims=True)) / expected.std(1, ddof=1, keepdims=True)
            if treated["derivative"]:
                order, window = treated["derivative"]
                expected = savgol_filter(expected, window, 2, deriv=order, delta=case["step"], mode="interp")
            scale = np.abs(expected).max()
            worst = np.abs(np.array(treated["features"]) - expected).max() / scale
            print(f"{treated['start']}, derivative {treated['derivative']}: off by {worst:.2g}")
            assert worst < 1e-9
        half = len(spectra) // 2
        for fitted in case["models"]:
            first, last = spectra[:half], spectra[half:]
            if fitted["scaled"]:
                mean, spread = first.mean(0), first.std(0, ddof=1)
                first, last = (first - mean) / spread, (last - mean) / spread
            values = np.array(fitted["values"])
            theirs = [
                PLSRegression(n, scale=False, tol=1e-15).fit(first, labels[:half]).predict(last).ravel()
                for n in range(1, found["components"] + 1)
            ] + [Ridge(alpha=p * fitted["unit"], solver="svd").fit(first, labels[:half]).predict(last) for p in found["penalties"]]
            worst = np.abs(values - np.array(theirs).T).max(0)
            print(f"{half} samples, scaled {fitted['scaled']}: off by {worst.max():.2g}")
            assert values.shape == (len(spectra) - half, len(theirs))
            assert worst.max() < 1e-6, worst


def head(found):
    import onnx
    import onnxruntime

    model = onnx.load(found["model"])
    onnx.checker.check_model(model, full_check=True)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert metadata["hyclus.kind"] == "head" and metadata["hyclus.target"] == "fe" and metadata["hyclus.unit"] == "%"
    assert float(metadata["hyclus.level"]) == 0.9 and json.loads(metadata["hyclus.wavelengths_nm"]) == found["nm"]
    session = onnxruntime.InferenceSession(found["model"], providers=["CPUExecutionProvider"])
    (taken,) = session.get_inputs()
    assert [(output.name, output.shape[1]) for output in session.get_outputs()] == [("judged", 4)]
    spectra, judged = np.array(found["spectra"], "f4"), np.array(found["judged"])
    together = np.hstack(session.run(None, {taken.name: spectra}))
    np.testing.assert_allclose(together, judged, rtol=1e-3, atol=1e-3)
    alone = np.vstack([np.hstack(session.run(None, {taken.name: spectra[i : i + 1]})) for i in range(len(spectra))])
    np.testing.assert_allclose(alone, together, rtol=1e-4, atol=1e-4)
    print(f"off by {np.abs(together - judged).max(0)} in value, lower, upper and distance")
    reference = np.array(json.loads(metadata["hyclus.reference_input"]), "f4").reshape(-1, spectra.shape[1])
    output = np.array(json.loads(metadata["hyclus.reference_output"])).reshape(-1, 4)
    np.testing.assert_allclose(np.hstack(session.run(None, {taken.name: reference})), output, rtol=1e-3, atol=1e-3)


what, file = sys.argv[1:]
{"models": models, "head": head}[what](json.load(open(file)))
