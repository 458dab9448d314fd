#!/usr/bin/env python3
"""Writes an encoder that gives the first numbers of another one's embeddings. usage: fewer_dimensions.py MODEL NUMBERS OUT [NAME]."""
import json
import sys

import numpy as np
import onnx
from onnx import helper, numpy_helper

source, numbers, out = sys.argv[1], int(sys.argv[2]), sys.argv[3]
model = onnx.load(source)
(output,) = model.graph.output
model.graph.initializer.append(numpy_helper.from_array(np.arange(numbers, dtype=np.int64), "kept"))
model.graph.node.append(helper.make_node("Gather", [output.name, "kept"], ["fewer"], axis=1))
dimensions = output.type.tensor_type.shape.dim[1].dim_value
del model.graph.output[:]
model.graph.output.append(helper.make_tensor_value_info("fewer", onnx.TensorProto.FLOAT, ["n", numbers]))
about = {entry.key: entry.value for entry in model.metadata_props}
if "hyclus.reference_output" in about:
    rows = np.ravel(json.loads(about["hyclus.reference_output"])).reshape(-1, dimensions)[:, :numbers]
    about["hyclus.reference_output"] = json.dumps(rows.ravel().tolist())
about["hyclus.name"] = (sys.argv[4:] or [f"{about.get('hyclus.name', 'encoder')}-{numbers}"])[0]
helper.set_model_props(model, about)
onnx.checker.check_model(model)
onnx.save(model, out)
