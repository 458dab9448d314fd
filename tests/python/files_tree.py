"""Prints the tree of a file for tests/files.rs: files_tree.py FILE OUT.

A row of OUT is: path, path as docs/files.md writes it (names of cameras, keys, ... in braces), type, unit; tabs between them.
"""

import json
import os
import re
import sys

# What the HDF5 library needs for dimension scales; docs/files.md names them in words.
SCALES = {"CLASS", "NAME", "REFERENCE_LIST", "DIMENSION_LIST"}


def hdf5(path):
    import h5py

    def element(dtype):
        return "string" if h5py.check_string_dtype(dtype) else dtype.name

    def shape(dataset):
        """The scale of each axis by its name; a scale is its own axis."""
        if dataset.is_scale:
            return f" ({dataset.name.rsplit('/', 1)[1]})"
        axes = [[scale.name.rsplit("/", 1)[1] for scale in axis.values()] for axis in dataset.dims]
        return f" ({', '.join('+'.join(axis) or '?' for axis in axes)})" if axes else ""

    def attribute(item, name):
        kind = item.attrs.get_id(name)
        return element(kind.dtype) + (" []" if kind.shape else "")

    with h5py.File(path) as file:
        cameras = list(file["entry/instrument"])
        grids = {"reflectance", *(f"{camera}_native" for camera in cameras)}
        sample = file["entry/sample"]
        # A key that would hide one of ours has a `_` behind it.
        ours = ("name", "container", "tray", "footprint", "vars")
        keys = {f"{key}_" if key in ours else key for key in sample.attrs.get("keys", [])}

        def pattern(name):
            parts = name.split("/")
            for i, part in enumerate(parts):
                if i == 2 and part in grids:
                    parts[i] = "{grid}"
                elif i == 3 and parts[2] in ("instrument", "calibration", "ledger") and part in cameras:
                    parts[i] = "{camera}"
                elif i == 3 and parts[2] == "sample" and part in keys:
                    parts[i] = "{key}"
                elif i == 3 and parts[2] == "minerals":
                    parts[i] = re.sub(r"_[12]$", "_{group}", part)
                elif i == 4 and parts[2] == "instrument" and part in ("snr_panel", "snr_10", "snr_5"):
                    parts[i] = "snr_{level}"
            return "/".join(parts)

        def show(name, item):
            group = isinstance(item, h5py.Group)
            units = item.attrs.get("units", "-")
            kind = item.attrs["NX_class"] if group else element(item.dtype) + shape(item)
            yield name, pattern(name), kind, units
            for attr in item.attrs:
                if attr in SCALES or attr == "units" or (group and attr == "NX_class"):
                    continue
                correlation = attr == "pdf_shape" or attr.startswith("err_corr_")
                written = "{var}" if name == "/entry/sample/vars" else "{correlation}" if correlation else attr
                yield f"{name}@{attr}", f"{pattern(name)}@{written}", attribute(item, attr), "-"

        rows = list(show("/", file))
        file.visititems(lambda name, item: rows.extend(show(f"/{name}", item)))
        return rows


# A unit is the last part of a name.
UNITS = {"mm": "mm", "nm": "nm", "ns": "ns", "s": "s", "h": "h"}


def unit(name):
    return UNITS.get(name.rpartition("_")[2], "-") if "_" in name else "-"


def parquet(path):
    import pyarrow.parquet

    file = pyarrow.parquet.ParquetFile(path)
    schema = file.schema_arrow

    def kind(of):
        text = str(of)
        text = re.sub(r"fixed_size_list<element: float not null>\[\d+\]", "fixed_size_list<float32>", text)
        return {"float": "float32"}.get(text, text)

    minerals = ", minerals" if "mineral_1" in schema.names else ""
    rows = [("/", "/", f"{file.metadata.row_group(0).column(0).compression.lower()}{minerals}", "-")]
    # The sample keys stand between two columns of fixed names.
    keys = schema.names[schema.names.index("container") + 1 : schema.names.index("line")]
    features = schema.names[schema.names.index("runner_up_score_2") + 1 :] if minerals else []
    for field in schema:
        written = "/{key}" if field.name in keys else "/{feature}" if field.name in features else f"/{field.name}"
        rows.append((f"/{field.name}", written, kind(field.type) + (" | null" if field.nullable else ""), unit(field.name)))
    # In the footer and in the Arrow schema.
    footer = {key.decode() for key in file.metadata.metadata} - {"ARROW:schema"}
    assert footer == {key.decode() for key in schema.metadata}, (footer, schema.metadata)
    rows += [(f"/@{key}", f"/@{key}", "string", unit(key)) for key in sorted(footer)]
    return rows


# Objects whose keys are names, by their place in scan.json.
NAMED = {
    "/tray/containers/[]/keys": "{key}",
    "/tray/containers/[]/vars": "{var}",
    "/cameras": "{camera}",
    "/bad_elements": "{camera}",
    "/left_out_nm": "{camera}",
    "/residuals_mm": "{camera}",
    "/registration": "{camera}",
    "/keystone_mm": "{camera}",
    "/dark_drift": "{camera}",
    "/light": "{camera}",
    "/light_change": "{camera}",
    "/plausibility": "{camera}",
    "/wavelength": "{camera}",
    "/restless_elements": "{camera}",
    "/anisotropy": "{camera}",
    "/pending/samples": "{sample}",
    "/encoders": "{encoder}",
    "/heads": "{head}",
    "/samples/[]/heads": "{head}",
    "/encoders/{encoder}/pending/samples": "{sample}",
    "/novelty/containers": "{container}",
    "/encoders/{encoder}/novelty/containers": "{container}",
    "/samples/[]/minerals/groups/[]/minerals": "{mineral}",
    "/samples/[]/minerals/features": "{feature}",
}


def scan_json(path):
    def scalar(value):
        if value is None:
            return "null"
        return {bool: "boolean", int: "integer", float: "number", str: "string"}[type(value)]

    def leaf(value):
        if isinstance(value, list):
            kinds = sorted({leaf(each) for each in value})
            return f"[{' or '.join(kinds)}]"
        return scalar(value)

    def holds_objects(value):
        return isinstance(value, list) and value and all(isinstance(each, dict) for each in value)

    def show(place, written, value):
        name = place.rpartition("/")[2]
        if isinstance(value, dict):
            yield place or "/", written or "/", "object", unit(name)
            for key, each in value.items():
                yield from show(f"{place}/{key}", f"{written}/{NAMED.get(written, key)}", each)
        elif holds_objects(value):
            yield place, written, "[object]", unit(name)
            for i, each in enumerate(value):
                yield from show(f"{place}/{i}", f"{written}/[]", each)
        else:
            yield place, written, leaf(value), unit(name)

    with open(path) as file:
        return list(show("", "", json.load(file)))


def csv(path):
    with open(path) as file:
        names, *lines = (line.strip().split(",") for line in file)

    def fits(form, values):
        try:
            return [form(value) for value in values]
        except ValueError:
            return None

    def kind(values):
        return next((kind for kind, form in (("integer", int), ("number", float)) if fits(form, values)), "string")

    columns = zip(names, zip(*lines, strict=True), strict=True)
    return [("/", "/", "csv", "-")] + [(f"/{name}", f"/{name}", kind(values), unit(name)) for name, values in columns]


def envi_header(path):
    with open(path) as file:
        text = file.read()
    assert text.startswith("ENVI\n"), text[:20]
    rows = [("/", "/", "ENVI", "-")]
    for name, value in re.findall(r"^([a-z ]+?) *= *(\{.*?\}|.*?)$", text, re.MULTILINE | re.DOTALL):
        number = r"-?[\d.]+"
        if re.fullmatch(rf"\{{\s*{number}(,\s*{number})*\s*\}}", value):
            kind = "[number]"
        elif re.fullmatch(number, value):
            kind = "number"
        else:
            kind = "string"
        rows.append((f"/{name}", f"/{name}", kind, "-"))
    return rows


def data_root(path):
    """Every file, with the names of scans, cameras and samples and the numbers of parts in braces."""
    scans = os.listdir(os.path.join(path, "scans"))
    rows = [("/", "/", "folder", "-")]
    for folder, folders, files in os.walk(path):
        for name in sorted(folders + files):
            place = os.path.relpath(os.path.join(folder, name), path)
            written = place
            for scan in scans:
                written = written.replace(scan, "{scan}")
            for form, put in (
                (r"raw/[^/]+", "raw/{camera}"),
                (r"references/[^/]+", "references/{camera}"),
                (r"(dark|white)-\d+", r"\1-{time_ns}"),
                (r"samples/[^/]+\.h5", "samples/{sample}.h5"),
                (r"part-\d{5}", "part-{number}"),
                (r"embeddings-(?!unfinished)[^/]+?(?=-unfinished|/|$)", "embeddings-{encoder}"),
                (r"^/?encoders/[^/]+\.onnx$", "encoders/{encoder}.onnx"),
            ):
                written = re.sub(form, put, written)
            rows.append((f"/{place}", f"/{written}", "folder" if name in folders else "file", "-"))
    return rows


def rows(path):
    if os.path.isdir(path):
        return data_root(path)
    kinds = {".h5": hdf5, ".parquet": parquet, ".json": scan_json, ".csv": csv, ".hdr": envi_header}
    return kinds[os.path.splitext(path)[1]](path)


with open(sys.argv[2], "w") as out:
    for row in rows(sys.argv[1]):
        print(*row, sep="\t", file=out)
