#!/usr/bin/env python3
"""Compares positions and depths of features with those below the convex hull of the package pysptools, on an ENVI image.
usage: minerals_hull.py HYCLUS LIBRARY.toml IMAGE.hdr FOLDER. Needs numpy, h5py and pysptools; says so and ends where that is missing."""

import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from minerals_common import envi, identify

program, library, header, folder = sys.argv[1:]
if find_spec("pysptools") is None:
    print("skipped: the package pysptools is missing; python3 -m pip install pysptools")
    sys.exit()
sys.path.insert(0, str(Path(find_spec("pysptools").origin).parent / "spectro"))
import types  # noqa: E402

# The package imports plots that the hull does not need.
package = types.ModuleType("hull_only")
package.__path__ = [str(Path(find_spec("pysptools").origin).parent / "spectro")]
sys.modules["hull_only"] = package
from hull_only.hull_removal import convex_hull_removal  # noqa: E402

cube, nm = envi(header)
_, features, _ = identify(program, library, header, folder)
with open(library, "rb") as file:
    known = {feature["name"]: feature for feature in tomllib.load(file)["feature"]}


def by_hull(values, x, inside):
    """Position and depth of the deepest value, by a parabola through it and its neighbours, below the package's hull."""
    ratio, _, _ = convex_hull_removal(list(values), list(x))
    depth = 1 - np.asarray(ratio)
    at = int(np.argmax(np.where(inside, depth, -1)))
    if not 0 < at < len(x) - 1:
        return np.nan, depth[at]
    a, b, c = np.polyfit(x[at - 1 : at + 2] - x[at], depth[at - 1 : at + 2], 2)
    return (x[at] - b / (2 * a), c - b * b / (4 * a)) if a < 0 else (x[at], depth[at])


CLEAR = 0.02
away, off, compared, each = [], [], 0, {}
for name in ("1400_OH", "1900_H2O", "2200_AlOH", "2250_FeOH", "2320_MgOH", "2335_CO3", "2350_AlOH", "2390_MgOH"):
    begin, end = known[name]["window_nm"]
    within = (nm >= begin) & (nm <= end)
    low, high = known[name].get("minimum_nm", (begin, end))
    x = nm[within]
    for line, pixel in np.ndindex(cube.shape[:2]):
        values = cube[line, pixel, within]
        if (values <= 0).any():
            continue
        depth, position = features[f"{name}_depth"][line, pixel], features[f"{name}_position"][line, pixel]
        at, deep = by_hull(values, x, (x >= low) & (x <= high))
        compared += 1
        off.append(abs(depth - deep))
        each.setdefault(name, []).append(off[-1])
        # Noise decides where a shallower minimum lies.
        if np.isfinite(position) and depth >= CLEAR:
            away.append(abs(position - at))
            each.setdefault(f"{name} position", []).append(away[-1] / 100)
away, off = np.array(away), np.array(off)
print({name: f"{100 * (np.array(of) <= 0.005).mean():.1f} %" for name, of in each.items()})
print(f"{compared} features, {len(away)} with a position")
print(f"positions: {100 * (away <= 0.5).mean():.2f} % within 0.5 nm, quantile 0.99 {np.quantile(away, 0.99):.3f} nm")
print(f"depths: {100 * (off <= 0.005).mean():.2f} % within 0.005, quantile 0.99 {np.quantile(off, 0.99):.5f}")
assert (away <= 0.5).mean() >= 0.99 and (off <= 0.005).mean() >= 0.99
