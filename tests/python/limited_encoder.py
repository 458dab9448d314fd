#!/usr/bin/env python3
"""Writes an encoder that also tells how far embeddings are from zero, with a limit of so many. usage: limited_encoder.py MODEL LIMIT OUT."""
import json
import sys

import numpy as np
import onnx
from onnx import helper

source, limit, out = sys.argv[1], float(sys.argv[2]), sys.argv[3]
model = onnx.load(source)
(output,) = model.graph.output
numbers = output.type.tensor_type.shape.dim[1].dim_value
about = {entry.key: entry.value for entry in model.metadata_props}
about["hyclus.codes_mean"] = json.dumps(np.zeros(numbers).tolist())
about["hyclus.codes_covariance"] = json.dumps(np.eye(numbers).tolist())
about["hyclus.codes_limit"] = json.dumps(limit)
helper.set_model_props(model, about)
onnx.save(model, out)
