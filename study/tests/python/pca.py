#!/usr/bin/env python3
"""Holds principal components against scikit-learn's. usage: pca.py MODEL.json SPECTRA.f32 CODES.f32"""
import json
import sys

import numpy as np
from sklearn.decomposition import PCA

model = json.load(open(sys.argv[1]))
components = np.array(model["components"])
spectra = np.fromfile(sys.argv[2], "<f4").reshape(-1, components.shape[1])
codes = np.fromfile(sys.argv[3], "<f4").reshape(len(spectra), -1)
pca = PCA(len(components), svd_solver="full").fit(spectra.astype("f8"))
np.testing.assert_allclose(model["variances"], pca.explained_variance_, rtol=1e-6)
np.testing.assert_allclose(np.array(model["variances"]) / model["total_variance"], pca.explained_variance_ratio_, rtol=1e-6)
np.testing.assert_allclose(model["mean"], pca.mean_, atol=1e-7)
# Cosines of the angles between the two subspaces.
cosines = np.linalg.svd(components @ pca.components_.T, compute_uv=False)
assert cosines.min() > 1 - 1e-9, cosines
signs = np.sign(np.sum(components * pca.components_, axis=1))
np.testing.assert_allclose(codes, pca.transform(spectra.astype("f8")) * signs, atol=1e-4)
