"""Compares what the console says with what h5py, pyarrow and numpy read from the data root."""

import glob
import json
import os
import re
import sys
import urllib.parse
import urllib.request

import h5py
import numpy as np
import pyarrow.dataset as ds

what, base, root = sys.argv[1:]


def get(path, **query):
    url = base + path + ("?" + urllib.parse.urlencode(query) if query else "")
    with urllib.request.urlopen(url) as answer:
        return answer.read(), answer.headers


def ask(path, **query):
    return json.loads(get(path, **query)[0])


def post(path, body):
    request = urllib.request.Request(base + path, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read())


def numbers(values):
    return np.array([np.nan if v is None else v for v in values], dtype=float)


def same(a, b, tolerance=1e-6):
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True)


def samples():
    for path in sorted(glob.glob(f"{root}/scans/*/samples/*.h5")):
        yield path.split("/")[-3], os.path.basename(path)[:-3], h5py.File(path)


def valid(group):
    return (group["mask"][:] == 1) & (group["quality"][:] & (1 | 4 | 16 | 32) == 0)


def stored():
    count = 0
    for scan, name, file in samples():
        group = file["entry/reflectance"]
        cube, mask = group["reflectance"][:], group["mask"][:]
        lines, pixels, bands = cube.shape
        about = ask(f"/api/samples/{scan}/{name}")
        assert (about["lines"], about["pixels"], about["bands"]) == cube.shape
        assert about["container"] == file["entry/sample/container"][()].decode()
        assert about["keys"]["note"] == "<script>alert(1)</script>" and about["vars"] == {"cu_percent": 0.5}
        same(numbers(about["mean"]), file["entry/mean/reflectance"][:])
        same(numbers(about["u_mean"]), file["entry/mean/reflectance_errors"][:])
        same(numbers(about["snr"]), file["entry/mean/snr"][:])
        spread = np.nanstd(cube[valid(group)].astype(float), axis=0, ddof=1)
        assert np.median(np.abs(numbers(about["sd"]) / spread - 1)) < 0.2
        assert about["embedding_dimensions"] == 4
        for stride in [1, 3]:
            octets, headers = get(f"/api/samples/{scan}/{name}/image", of="bands", bands="40,3,80", stride=stride)
            shape = [int(n) for n in headers["x-shape"].split(",")]
            image = np.frombuffer(octets, "<f4").reshape(shape)
            wanted = np.where(mask == 1, cube[:, :, [40, 3, 80]].transpose(2, 0, 1), np.nan)[:, ::stride, ::stride]
            assert headers["x-stride"] == str(stride) and image.tobytes() == np.ascontiguousarray(wanted).astype("<f4").tobytes() or same(image, wanted) is None
            octets, headers = get(f"/api/samples/{scan}/{name}/image", of="mask", stride=stride)
            assert (np.frombuffer(octets, "<f4").reshape(wanted.shape[1:]) == mask[::stride, ::stride]).all()
            octets, headers = get(f"/api/samples/{scan}/{name}/image", of="quality", stride=stride)
            same(np.frombuffer(octets, "<f4").reshape(wanted.shape[1:]), np.where(mask == 1, group["quality"][:], np.nan)[::stride, ::stride])
        for line, pixel in [(lines // 2, pixels // 2), (0, 0), (lines - 1, pixels - 1)]:
            spectrum = ask(f"/api/samples/{scan}/{name}/spectrum", line=line, pixel=pixel)
            value = cube[line, pixel].astype(float)
            same(numbers(spectrum["reflectance"]), value)
            index = group["camera_index"][:]
            random = group["random_variance_0"][pixel] + group["random_variance_1"][pixel].astype(float) * value
            column = sum(group[f"column_variance_{n}"][pixel].astype(float) * value**n for n in range(3))
            common = group["u_common"][:] * value if "u_common" in group else 0 * value
            u = np.sqrt(np.maximum(random * group["line_squares"][line][index], 0) + np.maximum(column, 0) + common**2)
            same(numbers(spectrum["u"]), u)
            runs = [(c["first_band"], c["bands"]) for c in spectrum["cameras"]]
            assert sum(n for _, n in runs) == bands and [c["name"] for c in spectrum["cameras"]][:1] == ["vnir"]
            for camera in spectrum["cameras"]:
                assert len(camera["white"]) == camera["bands"] and np.mean(camera["white"]) > np.mean(camera["dark"])
        line, pixel = lines // 2, pixels // 2
        here = ask(f"/api/scans/{scan}/spectrum", x_mm=group["pixel"][pixel] + 0.3, y_mm=group["line"][line] - 0.3)
        assert (here["sample"], here["line"], here["pixel"]) == (name, line, pixel), here
        region = ask(f"/api/samples/{scan}/{name}/region", points="-1,-1;-1,9.5;9.5,9.5;9.5,-1")
        some = cube[:10, :10][valid(group)[:10, :10]].astype(float)
        assert region["n"] == len(some), (region["n"], len(some))
        same(numbers(region["mean"]), np.nanmean(some, axis=0))
        same(numbers(region["sd"]), np.nanstd(some, axis=0, ddof=1), 1e-5)
        octets, headers = get(f"/api/samples/{scan}/{name}/image", of="embedding", n=2)
        image = np.frombuffer(octets, "<f4").reshape(lines, pixels)
        rows = ds.dataset(f"{root}/embeddings/scan={scan}").to_table(filter=ds.field("sample") == name).to_pydict()
        wanted = np.full((lines, pixels), np.nan, "f4")
        for y, x, embedding in zip(rows["line"], rows["pixel"], rows["embedding"]):
            wanted[y, x] = embedding[2]
        same(image, wanted)
        assert np.isfinite(wanted).sum() > 10
        if "entry/minerals" in file:
            minerals, told = file["entry/minerals"], about["minerals"]
            names = minerals["winner_2"].attrs["flag_meanings"].split()
            assert [name.replace(" ", "_") for name in told["names"]] == names[1:] and told["pixels"] == minerals.attrs["pixels"]
            for number in [1, 2]:
                codes = minerals[f"winner_{number}"][:].astype("f4")
                codes[codes == 65535] = np.nan
                octets, headers = get(f"/api/samples/{scan}/{name}/image", of="mineral", n=number, stride=2)
                same(np.frombuffer(octets, "<f4").reshape(codes[::2, ::2].shape), codes[::2, ::2])
                shares = told["groups"][number - 1]
                stored = minerals[f"winner_{number}"].attrs["share"]
                assert abs(shares["not_identified"]["share"] - stored[0]) < 1e-9
                for mineral, share in shares["minerals"].items():
                    assert abs(share["share"] - stored[names.index(mineral.replace(" ", "_"))]) < 1e-9, (mineral, share)
        else:
            assert about["minerals"] is None
        count += 1
    assert count == 8, count
    recorded = []
    for scan in sorted(os.listdir(f"{root}/scans")):
        record = json.load(open(f"{root}/scans/{scan}/scan.json"))
        assert ask(f"/api/scans/{scan}") == record
        gaps = 0
        for name in record["cameras"]:
            capture = f"{root}/scans/{scan}/raw/{name}/capture"
            if not os.path.isdir(capture):
                continue
            header = open(f"{capture}/{scan}.hdr").read()
            pixels, bands = (int(re.search(rf"^{key} *= *([0-9]+)", header, re.M)[1]) for key in ["samples", "bands"])
            frames = [int(row.split(",")[1]) for row in open(f"{capture}/{scan}.lines.csv").read().splitlines()[1:]]
            raw = np.fromfile(f"{capture}/{scan}.raw", "<u2").reshape(len(frames), bands, pixels)
            for at in [0, len(frames) // 2, len(frames) - 1]:
                [seen] = ask(f"/api/scans/{scan}/counts", at=f"{name}:{frames[at]}:{pixels - 3}")["cameras"]
                assert (seen["name"], seen["frame"], seen["pixel"]) == (name, frames[at], pixels - 3)
                assert seen["counts"] == raw[at, :, pixels - 3].tolist() and len(seen["wavelengths_nm"]) == bands
                for key, file in [("dark", "DARKREF"), ("white", "WHITEREF")]:
                    mean = np.fromfile(f"{capture}/{file}_{scan}.raw", "<u2").reshape(-1, bands, pixels).mean(0)[:, pixels - 3]
                    same(seen[key], mean.astype("f4"), 1e-6)
            recorded.append(name)
            # A frame that was lost: the nearest one.
            [seen] = ask(f"/api/scans/{scan}/counts", at=f"{name}:{frames[-1] + 40}:0")["cameras"]
            assert seen["frame"] == frames[-1]
        for camera in ask(f"/api/scans/{scan}/ledger")["cameras"]:
            counts = record["cameras"][camera["name"]]
            assert [camera[k] for k in ["expected", "received", "lost"]] == [counts[k] for k in ["expected", "received", "lost"]]
            assert [[r["first"], r["count"]] for r in camera["runs"] if r["status"] == 5] == counts["gaps"]
            assert sum(r["count"] for r in camera["runs"] if r["status"] != 5) == counts["received"]
            assert sum(r["count"] for r in camera["runs"] if r["status"] not in (0, 5)) == counts["unusable"]
            gaps += len(counts["gaps"])
        assert gaps > 3, gaps
        for file in ask(f"/api/scans/{scan}/files"):
            octets, headers = get(f"/api/scans/{scan}/files/{file['path']}")
            assert octets == open(f"{root}/scans/{scan}/{file['path']}", "rb").read()
            assert headers["content-disposition"].startswith("attachment") and headers["x-content-type-options"] == "nosniff"
    assert recorded, "a scan has a recording"
    print("samples, ledgers and files are as h5py and json read them")


def pca(values):
    centred = values - values.mean(axis=0)
    _, singular, axes = np.linalg.svd(centred, full_matrices=False)
    return centred @ axes[:2].T, singular**2 / (singular**2).sum()


def explorer():
    scans = sorted(os.listdir(f"{root}/scans"))
    for chosen in [scans, scans[:1], scans[1:]]:
        names = ",".join(chosen)
        info = ask("/api/explorer", scans=names)
        tables = [ds.dataset(sorted(glob.glob(f"{root}/embeddings/scan={scan}/*.parquet"))).to_table() for scan in chosen]
        values = np.concatenate([np.array(t["embedding"].to_pylist()) for t in tables])
        named = [(scan, name) for scan, t in zip(chosen, tables) for name in t["sample"].to_pylist()]
        assert info["count"] == len(values) and info["dimensions"] == 4 and len(info["models"]) == 1
        points = np.frombuffer(get("/api/explorer/points", scans=names, projection="pca")[0], [("at", "<f4", 2), ("sample", "<u4")])
        at, shares = pca(values)
        same(numbers(info["variance"]), shares, 1e-5)
        for axis in range(2):
            sign = np.sign(np.dot(points["at"][:, axis], at[:, axis]))
            same(points["at"][:, axis], sign * at[:, axis], 1e-4)
        assert [(info["samples"][i]["scan"], info["samples"][i]["sample"]) for i in points["sample"]] == named
        assert [s["rows"] for s in info["samples"]] == [named.count((s["scan"], s["sample"])) for s in info["samples"]]
        assert info["keys"]["plant"] == ["north", "south"] and info["vars"] == ["cu_percent"]
        same(np.frombuffer(get("/api/explorer/values", scans=names, of="embedding", n=1)[0], "<f4"), values[:, 1])
        places = np.frombuffer(get("/api/explorer/places", scans=names)[0], "<f4").reshape(-1, 2)
        same(places, np.concatenate([np.stack([t["x_mm"].to_numpy(), t["y_mm"].to_numpy()], 1) for t in tables]))
        if chosen == scans[1:]:
            found = ask("/api/explorer/minerals", scans=names)
            codes = np.frombuffer(get("/api/explorer/values", scans=names, of="mineral", n=2)[0], "<f4")
            wanted, [table] = [], tables
            maps = {name: file["entry/minerals/winner_2"][:] for scan, name, file in samples() if scan == scans[1]}
            for name, line, pixel in zip(table["sample"].to_pylist(), table["line"].to_pylist(), table["pixel"].to_pylist()):
                wanted.append(np.nan if maps[name][line, pixel] == 65535 else maps[name][line, pixel])
            same(codes, np.array(wanted))
            assert found["points"][1] == [int((codes == code).sum()) for code in range(len(found["names"]) + 1)]
        clusters = np.frombuffer(get("/api/explorer/values", scans=names, of="cluster", k=3)[0], "<f4")
        assert set(clusters) == {0, 1, 2}
        elbow = ask("/api/explorer/elbow", scans=names, most=6)
        assert elbow["k"] == list(range(1, 7)) and all(a >= b for a, b in zip(elbow["inertia"], elbow["inertia"][1:]))
        same(elbow["inertia"][0], ((values - values.mean(axis=0)) ** 2).sum(), 1e-4)
        low, middle = points["at"].min(axis=0) - 1, np.median(points["at"], axis=0)
        polygon = [[low[0], low[1]], [middle[0], low[1]], [middle[0], middle[1]], [low[0], middle[1]]]
        polygon = [[float(x) for x in corner] for corner in polygon]
        selection = post("/api/explorer/selection", {"scans": chosen, "projection": "pca", "polygon": polygon})
        within = (points["at"] < middle).all(axis=1)
        assert selection["count"] == within.sum() > 50, selection["count"]
        assert selection["spectra"] == min(within.sum(), 4000)
        spectra = []
        for i in np.flatnonzero(within):
            scan, name = named[i]
            table = [t for s, t in zip(chosen, tables) if s == scan][0]
            row = i - sum(len(t) for s, t in zip(chosen, tables) if s < scan)
            spectra.append((scan, name, table["line"][row].as_py(), table["pixel"][row].as_py()))
        files = {(scan, name): file["entry/reflectance/reflectance"][:] for scan, name, file in samples()}
        spectra = np.array([files[scan, name][line, pixel] for scan, name, line, pixel in spectra], float)
        if within.sum() <= 4000:
            same(numbers(selection["mean"]), np.nanmean(spectra, axis=0))
            same(numbers(selection["sd"]), np.nanstd(spectra, axis=0, ddof=1), 1e-5)
        counts = np.bincount(points["sample"][within], minlength=len(info["samples"]))
        assert {s["index"]: s["points"] for s in selection["samples"]} == {i: n for i, n in enumerate(counts) if n}
        assert sum(selection["keys"]["plant"].values()) == within.sum() and len(selection["places"]) == min(within.sum(), 5000)
        octets = get("/api/explorer/spectra", scans=names, group="plant", rows=50)[0]
        rows, bands = np.frombuffer(octets[:8], "<u4")
        assert (rows, bands) == (50, spectra.shape[1])
        of = np.frombuffer(octets[8 + 4 * bands : 8 + 4 * bands + 4 * rows], "<u4")
        plants = [info["samples"][i]["keys"]["plant"] for i in of]
        assert plants == sorted(plants) and set(plants) == {"north", "south"}
        assert len(octets) == 8 + 4 * bands + 4 * rows + 4 * rows * bands
        classes = ask("/api/explorer/classify", scans=names, key="plant")
        matrix = np.array(classes["matrix"])
        assert classes["classes"] == ["north", "south"] and matrix.sum() == classes["n"]
        same(classes["accuracy"], np.trace(matrix) / matrix.sum())
        same(classes["balanced_accuracy"], np.mean(np.diag(matrix) / matrix.sum(axis=1)))
        print(f"{len(values)} points of {len(chosen)} scans as numpy has them; plant by container: {classes['accuracy']:.2f}")


{"stored": stored, "explorer": explorer}[what]()
