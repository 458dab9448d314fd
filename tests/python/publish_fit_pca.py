#!/usr/bin/env python3
"""Fits an encoder by config/encoders/fit_pca.py to made-up samples and compares it with scikit-learn.
usage: publish_fit_pca.py FOLDER. Leaves FOLDER/pca.onnx. Needs numpy, h5py, onnx, onnxruntime and scikit-learn."""

import json
import os
import subprocess
import sys

import h5py
import numpy as np
import onnxruntime
from sklearn.covariance import EmpiricalCovariance
from sklearn.decomposition import PCA

folder = sys.argv[1]
script = os.path.join(os.path.dirname(__file__), "..", "..", "config", "encoders", "fit_pca.py")
rng = np.random.default_rng(3)
BASIS = rng.normal(size=(6, 400))
FLAGS = [("saturated", 1), ("bad_pixel", 2), ("gap", 4), ("low_signal", 8), ("out_of_view", 16), ("no_data", 32), ("edge", 64), ("missing_bands", 128)]


def write(path, wavelength, lines, pixels):
    """A sample file; gives the spectra that a fit must use."""
    at = np.linspace(400, 1000, BASIS.shape[1])
    basis = np.stack([np.interp(wavelength, at, np.convolve(row, np.ones(40) / 40, "same")) for row in BASIS])
    weights = rng.normal(size=(lines, pixels, len(basis))) * np.array([3, 2, 1, 0.5, 0.2, 0.1])
    cube = (0.4 + 0.05 * weights @ basis + 0.001 * rng.normal(size=(lines, pixels, len(wavelength)))).astype("f4")
    mask = (rng.random((lines, pixels)) < 0.8).astype("u1")
    quality = rng.choice([0, 0, 0, 2, 8, 64, 1, 4, 16, 32], size=(lines, pixels)).astype("u1")
    use = (mask == 1) & (quality & (1 | 4 | 16 | 32) == 0)
    # What must not be used would spoil the fit.
    cube[~use] = rng.normal(size=(np.count_nonzero(~use), 1)) * 100
    hole = np.argwhere(use)[5]
    cube[hole[0], hole[1], 2] = np.nan
    use[hole[0], hole[1]] = False
    with h5py.File(path, "w") as file:
        group = file.create_group("/entry/reflectance")
        group["reflectance"], group["mask"], group["quality"], group["wavelength"] = cube, mask, quality, wavelength
        group["quality"].attrs["flag_masks"] = np.array([bit for _, bit in FLAGS], "u1")
        group["quality"].attrs["flag_meanings"] = " ".join(name for name, _ in FLAGS)
    return cube[use].astype("f8")


def run(out, *more):
    paths = [os.path.join(folder, name) for name in ("a.h5", "b.h5")]
    command = [sys.executable, script, *paths, "--dims", "4", "--name", "pca test", "--out", out, *more]
    return subprocess.run(command, capture_output=True, text=True)


first, second = np.linspace(420, 1000, 60), np.linspace(418, 1003, 75)
spectra = [write(os.path.join(folder, "a.h5"), first, 30, 40), write(os.path.join(folder, "b.h5"), second, 20, 25)]
out = os.path.join(folder, "pca.onnx")


def check(grid, expected_grid):
    session = onnxruntime.InferenceSession(out, providers=["CPUExecutionProvider"])
    meta = session.get_modelmeta().custom_metadata_map
    wavelengths = np.array([float(v) for v in meta["hyclus.wavelengths_nm"].strip("[]").split(",")])
    assert np.array_equal(wavelengths, expected_grid), wavelengths
    assert meta["hyclus.name"] == "pca test"
    x = np.concatenate([[np.interp(wavelengths, nm, s) for s in some] for nm, some in zip((first, second), spectra, strict=True)])
    pca = PCA(4, svd_solver="full").fit(x)
    signs = np.sign(pca.components_[np.arange(4), np.abs(pca.components_).argmax(axis=1)])
    wanted = pca.transform(x) * signs
    found, residual = session.run(None, {"spectrum": x.astype("f4")})
    worst = np.abs(found - wanted).max()
    assert worst < 1e-5, worst
    span = PCA(min(32, len(wavelengths) // 2), svd_solver="full").fit(x)
    left = np.sqrt(np.mean((x - span.inverse_transform(span.transform(x))) ** 2, axis=1))
    assert np.abs(residual[:, 0] - left).max() < 1e-6
    known = {key: np.array(json.loads(meta[f"hyclus.{key}"])) for key in ("codes_mean", "codes_covariance", "codes_limit", "residual_limit")}
    training = EmpiricalCovariance().fit(wanted)
    n = len(x)
    assert np.allclose(known["codes_mean"], training.location_, atol=1e-9)
    assert np.allclose(known["codes_covariance"], training.covariance_ * n / (n - 1), rtol=1e-6, atol=1e-9)
    # Over n - 1, as the covariance of the model is.
    distance = np.sqrt(training.mahalanobis(wanted) * (n - 1) / n)
    for values, limit in [(distance, known["codes_limit"]), (left, known["residual_limit"])]:
        beyond = np.count_nonzero(values > limit * (1 + 1e-6))
        assert beyond <= n / 1000 < beyond + 2, (beyond, n)
    print(f"{grid}: {len(x)} spectra, {len(wavelengths)} bands, at most {worst:.1e} from scikit-learn")


ran = run(out)
assert ran.returncode == 0, ran.stderr
assert f"{len(spectra[0]) + len(spectra[1])} spectra" in ran.stdout, ran.stdout
check("bands of the first file", first)
again = os.path.join(folder, "again.onnx")
assert run(again).returncode == 0
with open(out, "rb") as a, open(again, "rb") as b:
    assert a.read() == b.read(), "two fits differ"
ran = run(out, "--wavelengths", "410,900,10")
assert ran.returncode != 0 and "410 to 900" in ran.stderr and "420 to 1000" in ran.stderr, ran.stderr
ran = run(out, "--wavelengths", "430,970,10")
assert ran.returncode == 0, ran.stderr
check("--wavelengths", np.arange(430.0, 971.0, 10.0))
plain = os.path.join(folder, "plain.onnx")
assert run(plain, "--no-novelty").returncode == 0
session = onnxruntime.InferenceSession(plain, providers=["CPUExecutionProvider"])
assert [output.name for output in session.get_outputs()] == ["embedding"]
assert not [key for key in session.get_modelmeta().custom_metadata_map if "limit" in key or "codes" in key]
