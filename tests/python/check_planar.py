#!/usr/bin/env python3
"""Checks that a model computes what another one does, and convolves over images only. usage: check_planar.py MODEL TURNED. Needs onnx and onnxruntime."""

import sys

import numpy as np
import onnx
import onnxruntime

model, turned = (onnx.load(path) for path in sys.argv[1:3])
onnx.checker.check_model(turned, full_check=True)
weights = {weight.name: weight.dims for weight in turned.graph.initializer}
kernels = [weights[node.input[1]] for node in turned.graph.node if node.op_type == "Conv"]
assert kernels and all(len(dims) == 4 and dims[2] == 1 for dims in kernels), kernels
squeezes = sum(node.op_type == "Squeeze" for node in turned.graph.node)

bands = model.graph.input[0].type.tensor_type.shape.dim[-1].dim_value
shape = (50, 1, bands) if len(model.graph.input[0].type.tensor_type.shape.dim) == 3 else (50, bands)
spectra = np.random.default_rng(1).random(shape, dtype="f4")
options = onnxruntime.SessionOptions()
options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
plain = onnxruntime.InferenceSession(model.SerializeToString(), options).run(None, {model.graph.input[0].name: spectra})[0]
found = onnxruntime.InferenceSession(turned.SerializeToString()).run(None, {model.graph.input[0].name: spectra})[0]
assert found.shape == plain.shape and np.ptp(plain) > 0.1
np.testing.assert_allclose(found, plain, rtol=1e-5, atol=1e-5)
print(len(kernels), squeezes)
