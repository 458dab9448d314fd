#!/usr/bin/env python3
"""Stands in for `hyclus fit` where bands agree: picks the model's wavelengths out of the grid, and resamples nothing.

usage: fit_standin.py fit MODEL --grid GRID.json --out FITTED. It refuses as the program does, with status 1.
"""

import hashlib
import json
import sys

import numpy as np
import onnx
from onnx import helper, numpy_helper


def main() -> int:
    _, command, source, _, bands, _, out = sys.argv
    assert command == "fit"
    with open(bands, encoding="utf-8") as file:
        grid = json.load(file)["wavelengths_nm"]
    with open(source, "rb") as file:
        data = file.read()
    model = onnx.load_model_from_string(data)
    said = {entry.key: entry.value for entry in model.metadata_props}
    wanted = json.loads(said.get("hyclus.wavelengths_nm", json.dumps(grid)))
    if not set(wanted) <= set(grid):
        print(
            f"hyclus: {source}: wants {wanted[0]:g} to {wanted[-1]:g} nm, and {grid[0]:g} to {grid[-1]:g} nm are measured", file=sys.stderr
        )
        return 1
    taken = model.graph.input[0]
    width = taken.type.tensor_type.shape.dim[1].dim_value
    if width != len(wanted):
        print(f"hyclus: {source}: takes {width} bands, and {len(wanted)} are measured", file=sys.stderr)
        return 1
    added = {"hyclus.sha256": hashlib.sha256(data).hexdigest()}
    if wanted != grid:
        reads = [grid.index(nm) for nm in wanted]
        added["hyclus.reads"] = json.dumps(reads)
        model.graph.initializer.append(numpy_helper.from_array(np.array(reads, np.int64), "bands_read"))
        for node in model.graph.node:
            node.input[:] = ["picked" if name == taken.name else name for name in node.input]
        model.graph.node.insert(0, helper.make_node("Gather", [taken.name, "bands_read"], ["picked"], axis=1))
        taken.type.tensor_type.shape.dim[1].dim_value = len(grid)
    helper.set_model_props(model, {**said, **added})
    onnx.save(model, out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
