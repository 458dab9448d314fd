#!/usr/bin/env python3
"""Writes small ONNX models, good and bad ones, that the encoder is tested with. usage: make_models.py OUT. Needs numpy and onnx."""

import json
import os
import sys

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper, numpy_helper

BANDS, DIMS = 12, 4
rng = np.random.default_rng(7)


def tensor(name, values):
    return numpy_helper.from_array(np.ascontiguousarray(values), name)


def scalar(name, value, dtype):
    return numpy_helper.from_array(np.array(value, dtype), name)


def save(out, name, nodes, weights, inputs, outputs, metadata=None, opset=17):
    graph = helper.make_graph(
        nodes,
        "encoder",
        [helper.make_tensor_value_info(n, t, shape) for n, t, shape in inputs],
        [helper.make_tensor_value_info(n, t, shape) for n, t, shape in outputs],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    helper.set_model_props(model, metadata or {})
    onnx.checker.check_model(model)
    onnx.save(model, os.path.join(out, name + ".onnx"))


def dense(out, name, bands=BANDS, batch="n", dtype="f4", metadata=None):
    w1, b1 = rng.normal(size=(bands, 8)).astype(dtype), rng.normal(size=8).astype(dtype)
    w2, b2 = rng.normal(size=(8, DIMS)).astype(dtype), rng.normal(size=DIMS).astype(dtype)
    kind = T.FLOAT if dtype == "f4" else T.DOUBLE
    nodes = [
        helper.make_node("Gemm", ["x", "w1", "b1"], ["g1"]),
        helper.make_node("Tanh", ["g1"], ["t1"]),
        helper.make_node("Gemm", ["t1", "w2", "b2"], ["y"]),
    ]
    if callable(metadata):
        metadata = metadata(lambda x: np.tanh(x @ w1 + b1) @ w2 + b2)
    weights = [tensor("w1", w1), tensor("b1", b1), tensor("w2", w2), tensor("b2", b2)]
    save(out, name, nodes, weights, [("x", kind, [batch, bands])], [("y", kind, [batch, DIMS])], metadata)


def channel(out):
    nodes = [
        helper.make_node("Conv", ["x", "k", "b"], ["c"], kernel_shape=[3], pads=[1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Flatten", ["r"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["y"]),
    ]
    weights = [
        tensor("k", rng.normal(size=(5, 1, 3)).astype("f4")),
        tensor("b", rng.normal(size=5).astype("f4")),
        tensor("w", rng.normal(size=(5 * BANDS, DIMS)).astype("f4")),
    ]
    save(out, "channel", nodes, weights, [("x", T.FLOAT, ["n", 1, BANDS])], [("y", T.FLOAT, ["n", DIMS])])


def normal(name, *shape):
    return tensor(name, rng.normal(size=shape).astype("f4"))


def convolutional(out):
    """Convolutions along the bands: `conv_pools` with pooling and normalisation; `conv_branches` of an old opset, with a sum and tensors that are used
    twice; `conv_same` padded by itself; `conv_computed`, whose kernel is no constant."""
    node, inputs, outputs = helper.make_node, [("x", T.FLOAT, ["n", BANDS])], [("y", T.FLOAT, ["n", DIMS])]
    channel = tensor("channel", np.array([1], "i8"))
    nodes = [
        node("Unsqueeze", ["x", "channel"], ["u"]),
        node("Conv", ["u", "k1", "b1"], ["c1"], kernel_shape=[5], pads=[2, 2]),
        node("BatchNormalization", ["c1", "s", "o", "m", "v"], ["n1"]),
        node("LeakyRelu", ["n1"], ["r1"], alpha=0.1),
        node("MaxPool", ["r1"], ["p1"], kernel_shape=[3], strides=[2], pads=[1, 0], ceil_mode=1),
        node("Conv", ["p1", "k2"], ["c2"], kernel_shape=[3], dilations=[2], strides=[2], pads=[2, 1], group=2),
        node("Tanh", ["c2"], ["t2"]),
        node("AveragePool", ["t2"], ["p2"], kernel_shape=[2], pads=[1, 0], count_include_pad=1),
        node("Flatten", ["p2"], ["f"]),
        node("MatMul", ["f", "w"], ["y"]),
    ]
    variance = tensor("v", rng.uniform(0.5, 2.0, 16).astype("f4"))
    weights = [channel, normal("k1", 16, 1, 5), normal("b1", 16), normal("s", 16), normal("o", 16), normal("m", 16), variance]
    save(out, "conv_pools", nodes, weights + [normal("k2", 32, 8, 3), normal("w", 32 * 3, DIMS)], inputs, outputs)

    nodes = [
        node("Unsqueeze", ["x"], ["u"], axes=[1]),
        node("Conv", ["u", "k1"], ["c1"], kernel_shape=[3], pads=[1, 1]),
        node("Relu", ["c1"], ["r1"]),
        node("Conv", ["r1", "k2"], ["c2"], kernel_shape=[3], pads=[1, 1]),
        node("Add", ["c2", "r1"], ["s"]),
        node("GlobalAveragePool", ["s"], ["g"]),
        node("ReduceMax", ["r1"], ["h"], axes=[2]),
        node("Add", ["g", "h"], ["a"]),
        node("Flatten", ["a"], ["f"]),
        node("MatMul", ["f", "w"], ["y"]),
    ]
    save(out, "conv_branches", nodes, [normal("k1", 16, 1, 3), normal("k2", 16, 16, 3), normal("w", 16, DIMS)], inputs, outputs, opset=11)

    kernel = helper.make_tensor("k", T.FLOAT, (16, 1, 4), rng.normal(size=64).tolist())
    nodes = [
        node("Unsqueeze", ["x", "channel"], ["u"]),
        node("Conv", ["u", "k"], ["c1"], auto_pad="SAME_UPPER", strides=[2]),
        node("Conv", ["c1", "k2"], ["c2"]),
        node("Flatten", ["c2"], ["f"]),
        node("MatMul", ["f", "w"], ["y"]),
    ]
    save(out, "conv_same", nodes, [channel, kernel, normal("k2", 4, 16, 3), normal("w", 16, DIMS)], inputs, outputs)

    nodes = [
        node("Unsqueeze", ["x", "channel"], ["u"]),
        node("Neg", ["k"], ["computed"]),
        node("Conv", ["u", "computed"], ["c1"], pads=[1, 1]),
        node("Flatten", ["c1"], ["f"]),
        node("MatMul", ["f", "w"], ["y"]),
    ]
    save(out, "conv_computed", nodes, [channel, normal("k", 2, 1, 3), normal("w", 2 * BANDS, DIMS)], inputs, outputs)


def reference(wrong):
    def metadata(model):
        x = rng.random((3, BANDS)).astype("f4")
        y = model(x)
        if wrong:
            y[1, 2] += 0.01
        return {
            "hyclus.name": "with reference",
            "hyclus.reference_input": json.dumps(x.tolist()),
            "hyclus.reference_output": ",".join(str(v) for v in y.ravel().tolist()),
        }

    return metadata


def loops(out, name, turns):
    """The input, after a loop of so many turns; `turns` gives its nodes and weights. The last node's output is `turns`."""
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["going"], ["goes"]), helper.make_node("Identity", ["old"], ["new"])],
        "body",
        [value("i", T.INT64, []), value("going", T.BOOL, []), value("old", T.FLOAT, ["n", BANDS])],
        [value("goes", T.BOOL, []), value("new", T.FLOAT, ["n", BANDS])],
    )
    nodes, weights = turns
    nodes = nodes + [helper.make_node("Loop", ["turns", "true", "x"], ["y"], body=body)]
    weights = weights + [scalar("true", True, "?")]
    save(out, name, nodes, weights, [("x", T.FLOAT, ["n", BANDS])], [("y", T.FLOAT, ["n", BANDS])])


def novel(out):
    """Models that tell how far a spectrum is from their training, whose limits half of it exceeds; and such models with faults."""
    node, x = helper.make_node, rng.random((4000, BANDS)).astype("f4")
    weight = np.linalg.qr(rng.normal(size=(BANDS, DIMS)))[0].astype("f4")
    mean = x.mean(axis=0)
    codes = (x - mean) @ weight
    residual = np.sqrt(np.mean((x - mean - codes @ weight.T) ** 2, axis=1))
    covariance = np.cov(codes.astype("f8"), rowvar=False)
    centred = codes - codes.mean(axis=0)
    distance = np.sqrt(np.einsum("ij,jk,ik->i", centred, np.linalg.inv(covariance), centred))
    statistics = {
        "hyclus.codes_mean": json.dumps(codes.mean(axis=0).tolist()),
        "hyclus.codes_covariance": json.dumps(covariance.tolist()),
        "hyclus.codes_limit": json.dumps(float(np.quantile(distance, 0.5))),
    }
    limit = {"hyclus.residual_limit": str(float(np.quantile(residual, 0.5)))}
    encode = [node("Sub", ["x", "m"], ["c"]), node("MatMul", ["c", "w"], ["y"])]

    def decode(keepdims):
        return [
            node("MatMul", ["y", "v"], ["d"]),
            node("Sub", ["c", "d"], ["r"]),
            node("Mul", ["r", "r"], ["s"]),
            node("ReduceMean", ["s"], ["q"], axes=[1], keepdims=keepdims),
            node("Sqrt", ["q"], ["residual"]),
        ]

    weights = [tensor("m", mean), tensor("w", weight), tensor("v", weight.T)]
    inputs, embedding = [("x", T.FLOAT, ["n", BANDS])], [("y", T.FLOAT, ["n", DIMS])]
    column, flat = embedding + [("residual", T.FLOAT, ["n", 1])], embedding + [("residual", T.FLOAT, ["n"])]
    save(out, "novel_codes", encode, weights[:2], inputs, embedding, statistics)
    save(out, "novel_residual", encode + decode(1), weights, inputs, column, limit)
    save(out, "novel_both", encode + decode(0), weights, inputs, flat, statistics | limit)
    # Convolutions, which a processor runs in another form.
    nodes = [
        node("Conv", ["x", "k"], ["u"], kernel_shape=[3], pads=[1, 1]),
        node("Tanh", ["u"], ["t"]),
        node("Flatten", ["t"], ["f"]),
        node("MatMul", ["f", "wide"], ["y"]),
        node("ReduceL2", ["t"], ["residual"], axes=[1, 2], keepdims=0),
    ]
    conv = [normal("k", 4, 1, 3), normal("wide", 4 * BANDS, DIMS)]
    channel = [("x", T.FLOAT, ["n", 1, BANDS])]
    save(out, "novel_channel", nodes, conv, channel, flat, {"hyclus.residual_limit": "4.5"})

    alone = {key: statistics[key] for key in ["hyclus.codes_mean", "hyclus.codes_covariance"]}
    save(out, "codes_alone", encode, weights[:2], inputs, embedding, alone)
    three = {"hyclus.codes_mean": "0, 0, 0", "hyclus.codes_covariance": json.dumps(np.eye(3).tolist()), "hyclus.codes_limit": "3"}
    save(out, "codes_of_three", encode, weights[:2], inputs, embedding, three)
    save(out, "unlimited", encode + decode(1), weights, inputs, column, statistics)
    save(out, "limit_alone", encode, weights[:2], inputs, embedding, limit)
    three = [node("Slice", ["c", "from", "to", "axis"], ["residual"])]
    places = [tensor(name, np.array([at], "i8")) for name, at in [("from", 0), ("to", 3), ("axis", 1)]]
    save(out, "residual3", encode + three, weights[:2] + places, inputs, embedding + [("residual", T.FLOAT, ["n", 3])], limit)


def main(out):
    os.makedirs(out, exist_ok=True)
    dense(out, "dense", metadata={"hyclus.name": "dense test"})
    dense(out, "unnamed")
    channel(out)
    convolutional(out)
    # As close as the measured bands, so that they are interpolated.
    grid = np.linspace(430.0, 970.0, 15)
    dense(out, "grid", bands=15, metadata={"hyclus.wavelengths_nm": json.dumps(grid.tolist())})
    dense(out, "commas", bands=15, metadata={"hyclus.wavelengths_nm": ", ".join(map(str, grid.tolist()))})
    dense(out, "beyond", bands=15, metadata={"hyclus.wavelengths_nm": json.dumps((grid + 50.0).tolist())})
    dense(out, "finer", bands=15, metadata={"hyclus.wavelengths_nm": json.dumps(grid.tolist()), "hyclus.fwhm_nm": "20"})
    dense(out, "widths", bands=15, metadata={"hyclus.wavelengths_nm": json.dumps(grid.tolist()), "hyclus.fwhm_nm": "[60, 60]"})
    dense(out, "miscounted", bands=9, metadata={"hyclus.wavelengths_nm": "430, 431"})
    dense(out, "unreadable", bands=9, metadata={"hyclus.wavelengths_nm": "[430, \"x\"]"})
    dense(out, "reference", metadata=reference(False))
    dense(out, "wrong_reference", metadata=reference(True))
    dense(out, "half_reference", metadata={"hyclus.reference_input": "[1]"})
    dense(out, "fixed", batch=7)
    dense(out, "double", dtype="f8")

    identity = [helper.make_node("Identity", ["x"], ["y"])]
    save(out, "rank4", identity, [], [("x", T.FLOAT, ["n", 1, 1, BANDS])], [("y", T.FLOAT, ["n", 1, 1, BANDS])])
    save(out, "channels3", identity, [], [("x", T.FLOAT, ["n", 3, BANDS])], [("y", T.FLOAT, ["n", 3, BANDS])])
    save(out, "output3", identity, [], [("x", T.FLOAT, ["n", 1, BANDS])], [("y", T.FLOAT, ["n", 1, BANDS])])
    add = [helper.make_node("Add", ["x", "z"], ["y"])]
    save(out, "two_inputs", add, [], [("x", T.FLOAT, ["n", BANDS]), ("z", T.FLOAT, ["n", BANDS])], [("y", T.FLOAT, ["n", BANDS])])
    twice = [helper.make_node("Identity", ["x"], ["y"]), helper.make_node("Neg", ["x"], ["z"])]
    save(out, "two_outputs", twice, [], [("x", T.FLOAT, ["n", BANDS])], [("y", T.FLOAT, ["n", BANDS]), ("z", T.FLOAT, ["n", BANDS])])
    # What it declares is right; only a run shows that two spectra become one row.
    pairs = [helper.make_node("Reshape", ["x", "shape"], ["y"])]
    shape = tensor("shape", np.array([-1, 2 * BANDS], "i8"))
    save(out, "half_rows", pairs, [shape], [("x", T.FLOAT, ["n", BANDS])], [("y", T.FLOAT, ["m", 2 * BANDS])])
    # No number for what is darker than white.
    roots = [helper.make_node("Sub", ["x", "one"], ["d"]), helper.make_node("Sqrt", ["d"], ["y"])]
    one = tensor("one", np.ones(BANDS, "f4"))
    save(out, "no_number", roots, [one], [("x", T.FLOAT, ["n", BANDS])], [("y", T.FLOAT, ["n", BANDS])])
    # Loops without end: always, and where a value is above 0.05, which none of a trial is.
    loops(out, "endless", ([], [scalar("turns", 2**62, "i8")]))
    bright = [
        helper.make_node("ReduceMax", ["x"], ["most"], keepdims=0),
        helper.make_node("Greater", ["most", "little"], ["bright"]),
        helper.make_node("Cast", ["bright"], ["one"], to=T.INT64),
        helper.make_node("Mul", ["one", "endless"], ["turns"]),
    ]
    loops(out, "endless_if_bright", (bright, [scalar("little", 0.05, "f4"), scalar("endless", 2**62, "i8")]))
    # A constant of 8 GiB, which is computed when the model is loaded.
    greedy = [
        helper.make_node("ConstantOfShape", ["huge"], ["ones"], value=helper.make_tensor("one", T.FLOAT, [1], [1.0])),
        helper.make_node("ReduceSum", ["ones"], ["sum"], keepdims=0),
        helper.make_node("Mul", ["x", "sum"], ["y"]),
    ]
    save(out, "greedy", greedy, [tensor("huge", np.array([2**31], "i8"))], [("x", T.FLOAT, ["n", BANDS])], [("y", T.FLOAT, ["n", BANDS])])
    novel(out)
    with open(os.path.join(out, "text.onnx"), "w", encoding="utf-8") as file:
        file.write("this is no model\n")


main(sys.argv[1])
