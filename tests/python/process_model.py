#!/usr/bin/env python3
"""Writes an encoder that is one matrix, and the matrix. usage: process_model.py OUT BANDS [WAVELENGTHS]. Needs numpy and onnx."""

import os
import sys

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper, numpy_helper

out, bands, wavelengths = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
matrix = np.random.default_rng(11).normal(size=(bands, 4)).astype("f4")
graph = helper.make_graph(
    [helper.make_node("MatMul", ["x", "matrix"], ["y"])],
    "encoder",
    [helper.make_tensor_value_info("x", T.FLOAT, ["n", bands])],
    [helper.make_tensor_value_info("y", T.FLOAT, ["n", 4])],
    [numpy_helper.from_array(matrix, "matrix")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
if wavelengths:
    helper.set_model_props(model, {"hyclus.wavelengths_nm": wavelengths[0]})
onnx.checker.check_model(model)
np.save(os.path.join(out, "encoder.npy"), matrix)
onnx.save(model, os.path.join(out, "encoder.onnx"))
