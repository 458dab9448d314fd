#!/usr/bin/env python3
"""Writes a head: the mean reflectance at some wavelengths in per cent, one to either side of it, and a constant distance.
usage: make_head.py NM,NM... DISTANCE OUT"""
import json
import sys

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper, numpy_helper

nm, distance, out = [float(nm) for nm in sys.argv[1].split(",")], float(sys.argv[2]), sys.argv[3]
weights = np.zeros((len(nm), 4), np.float32)
weights[:, :3] = 100.0 / len(nm)
constants = np.array([[0.0, -1.0, 1.0, distance]], np.float32)
graph = helper.make_graph(
    [helper.make_node("MatMul", ["spectrum", "weights"], ["linear"]), helper.make_node("Add", ["linear", "constants"], ["judged"])],
    "head",
    [helper.make_tensor_value_info("spectrum", T.FLOAT, ["n", len(nm)])],
    [helper.make_tensor_value_info("judged", T.FLOAT, ["n", 4])],
    [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(constants, "constants")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
about = {"kind": "head", "target": "brightness", "unit": "%", "level": "0.9", "wavelengths_nm": json.dumps(nm)}
helper.set_model_props(model, {f"hyclus.{key}": value for key, value in about.items()})
onnx.checker.check_model(model)
onnx.save(model, out)
