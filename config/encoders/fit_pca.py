#!/usr/bin/env python3
"""Fits principal components to the spectra of sample files and writes them as an ONNX encoder.

    fit_pca.py SAMPLE.h5 [SAMPLE.h5 ...] --dims 4 --name NAME --out MODEL.onnx [--wavelengths FIRST,LAST,STEP] [--no-novelty]

The spectra are those of pixels on the sample with a valid quality and no missing band. They are resampled by linear
interpolation to --wavelengths (nm, inclusive; default: the bands of the first file that lie within the range of every file);
the model carries that grid, so hyclus resamples to it in the same way. Each component's sign is such that its largest weight is
positive. The same spectra give the same file. The model also carries mean, covariance and limits of these spectra, and gives the residual
of each spectrum, so that hyclusd warns of what is unlike them; --no-novelty leaves that out. Needs numpy, h5py and onnx.
"""

import argparse
import json
import sys

import h5py
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# Flags without which a spectrum is invalid, by the names that the file gives its bits; see src/calibrate/quality.rs.
INVALID = {"saturated", "gap", "out_of_view", "no_data"}
REFERENCES = 3
# Share of the spectra within each limit.
WITHIN = 0.999
# Components that the residual leaves out. Few of them leave so much over that nothing new shows.
RESIDUAL_DIMS = 32


def invalid_bits(quality):
    """The bits of the quality byte that make a spectrum invalid, by the flags that the file names."""
    masks = np.atleast_1d(quality.attrs["flag_masks"])
    meanings = quality.attrs["flag_meanings"]
    names = (meanings.decode() if isinstance(meanings, bytes) else str(meanings)).split()
    return int(sum(int(mask) for mask, name in zip(masks, names, strict=True) if name in INVALID))


def read(path):
    """Wavelengths (nm) and valid spectra [n, band] of a sample file."""
    with h5py.File(path, "r") as file:
        group = file["/entry/reflectance"]
        wavelength = group["wavelength"][:].astype("f8")
        on_sample = group["mask"][:] == 1
        good = on_sample & (group["quality"][:] & invalid_bits(group["quality"]) == 0)
        spectra = group["reflectance"][:][good]
    return wavelength, spectra[np.isfinite(spectra).all(axis=1)]


def grid(files, wanted):
    """The wavelengths of the model, nm."""
    first = max(wavelength[0] for _, wavelength, _ in files)
    last = min(wavelength[-1] for _, wavelength, _ in files)
    if wanted is None:
        bands = files[0][1]
        return bands[(bands >= first) & (bands <= last)]
    start, stop, step = wanted
    bands = start + step * np.arange(int(np.floor((stop - start) / step + 1e-9)) + 1)
    if bands[0] < first or bands[-1] > last:
        sys.exit(f"--wavelengths {bands[0]:g} to {bands[-1]:g} nm reach beyond what all files measured: {first:g} to {last:g} nm")
    return bands


def resample(spectra, measured, wanted):
    """Linear interpolation of spectra [n, band] between bands."""
    below = np.clip(np.searchsorted(measured, wanted, side="right") - 1, 0, len(measured) - 2)
    weight = (wanted - measured[below]) / (measured[below + 1] - measured[below])
    return spectra[:, below] * (1.0 - weight) + spectra[:, below + 1] * weight


def fit(spectra):
    """Mean and components [component, band] of spectra [n, band], and the share of the variance that each explains."""
    mean = spectra.mean(axis=0)
    # The bands are few and the spectra many: the singular vectors come from R of a QR decomposition.
    r = np.linalg.qr(spectra - mean, mode="r")
    _, values, components = np.linalg.svd(r, full_matrices=False)
    largest = np.take_along_axis(components, np.abs(components).argmax(axis=1)[:, None], axis=1)
    return mean, components * np.where(largest < 0, -1.0, 1.0), values**2 / (values**2).sum()


def known(spectra, mean, components, span):
    """What the model knows of its training: mean and covariance of the codes, and the limits of distance and residual, as metadata. The
    residual is what the components `span` leave over."""
    centred = spectra - mean
    codes = centred @ components.T
    covariance = np.atleast_2d(np.cov(codes, rowvar=False))
    from_mean = codes - codes.mean(axis=0)
    distance = np.sqrt(np.sum(from_mean * np.linalg.solve(covariance, from_mean.T).T, axis=1))
    residual = np.sqrt(np.mean((centred - centred @ span.T @ span) ** 2, axis=1))
    return {
        "hyclus.codes_mean": json.dumps(codes.mean(axis=0).tolist()),
        "hyclus.codes_covariance": json.dumps(((covariance + covariance.T) / 2).tolist()),
        "hyclus.codes_limit": json.dumps(float(np.quantile(distance, WITHIN, method="higher"))),
        "hyclus.residual_limit": json.dumps(float(np.quantile(residual, WITHIN, method="higher"))),
    }


def model(mean, components, span, wavelengths, name, reference, limits):
    """The encoder: (x - mean) times the components. With `limits`, also the root mean square of what those of `span` leave over."""
    bands, dims = components.shape[1], components.shape[0]
    mean, weights = mean.astype("f4"), np.ascontiguousarray(components.T.astype("f4"))
    span = span.astype("f4")
    residual = [
        helper.make_node("MatMul", ["centred", "span"], ["along"]),
        helper.make_node("MatMul", ["along", "span_back"], ["kept"]),
        helper.make_node("Sub", ["centred", "kept"], ["rest"]),
        helper.make_node("Mul", ["rest", "rest"], ["squares"]),
        helper.make_node("ReduceMean", ["squares"], ["mean_square"], axes=[1]),
        helper.make_node("Sqrt", ["mean_square"], ["residual"]),
    ]
    graph = helper.make_graph(
        [helper.make_node("Sub", ["spectrum", "mean"], ["centred"]), helper.make_node("MatMul", ["centred", "components"], ["embedding"])]
        + (residual if limits else []),
        "pca",
        [helper.make_tensor_value_info("spectrum", TensorProto.FLOAT, ["n", bands])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", dims])]
        + ([helper.make_tensor_value_info("residual", TensorProto.FLOAT, ["n", 1])] if limits else []),
        [numpy_helper.from_array(mean, "mean"), numpy_helper.from_array(weights, "components")]
        + ([numpy_helper.from_array(np.ascontiguousarray(span.T), "span"), numpy_helper.from_array(span, "span_back")] if limits else []),
    )
    result = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8, producer_name="hyclus fit_pca")
    reference = reference.astype("f4")
    # In double precision: the reference is what the components mean, not what one machine's float32 sums give.
    embedding = (reference.astype("f8") - mean) @ weights.astype("f8")
    metadata = {
        "hyclus.name": name,
        "hyclus.reference_input": json.dumps(reference.tolist()),
        "hyclus.reference_output": json.dumps(embedding.tolist()),
        "hyclus.wavelengths_nm": json.dumps(wavelengths.tolist()),
    } | limits
    for key in sorted(metadata):
        result.metadata_props.add(key=key, value=metadata[key])
    onnx.checker.check_model(result)
    return result


def three_numbers(text):
    numbers = [float(item) for item in text.split(",")]
    if len(numbers) != 3 or numbers[1] <= numbers[0] or numbers[2] <= 0:
        raise argparse.ArgumentTypeError("expected FIRST,LAST,STEP in nm with FIRST < LAST and STEP > 0")
    return numbers


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("samples", nargs="+", metavar="SAMPLE.h5")
    parser.add_argument("--dims", type=int, default=4, help="numbers of an embedding")
    parser.add_argument("--name", required=True, help="what the model calls itself")
    parser.add_argument("--out", required=True, metavar="MODEL.onnx")
    parser.add_argument("--wavelengths", type=three_numbers, metavar="FIRST,LAST,STEP", help="wavelengths of the model, nm")
    parser.add_argument("--no-novelty", action="store_true", help="leave out what tells spectra that are unlike these")
    options = parser.parse_args()

    files = [(path, *read(path)) for path in options.samples]
    wavelengths = grid(files, options.wavelengths)
    spectra = np.concatenate([resample(spectra.astype("f8"), measured, wavelengths) for _, measured, spectra in files])
    if not 1 <= options.dims <= len(wavelengths) or len(spectra) <= options.dims:
        sys.exit(f"{options.dims} dimensions cannot be fitted to {len(spectra)} spectra of {len(wavelengths)} bands")
    mean, components, explained = fit(spectra)
    span = components[: max(1, min(RESIDUAL_DIMS, len(wavelengths) // 2, len(spectra) - 1))]
    components, explained = components[: options.dims], explained[: options.dims]
    picked = spectra[np.linspace(0, len(spectra) - 1, REFERENCES).astype(int)]
    with open(options.out, "wb") as file:
        limits = {} if options.no_novelty else known(spectra, mean, components, span)
        file.write(model(mean, components, span, wavelengths, options.name, picked, limits).SerializeToString(deterministic=True))
    shares = ", ".join(f"{share:.4f}" for share in explained)
    print(f"{options.out}: {len(spectra)} spectra, {len(wavelengths)} bands from {wavelengths[0]:g} to {wavelengths[-1]:g} nm")
    print(f"variance explained: {shares} (together {explained.sum():.4f})")


if __name__ == "__main__":
    main()
