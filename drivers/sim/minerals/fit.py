"""Fits the minerals of `src/minerals/ores.rs` to laboratory records, and prints that file. Needs NumPy and SciPy.

    python3 drivers/sim/minerals/fit.py ../shared/data/minerals/usgs_minerals.npz >drivers/sim/src/minerals/ores.rs

A fit starts from a straight continuum with a flank at each end. It adds an absorption where the record lies furthest below it, until
the rest is noise. No figure is set by hand.
"""

import sys

import numpy as np
from scipy.optimize import least_squares

# Name, record, density (g/cm³). Where the library has several records of a group, the first one is left to other uses.
MINERALS = [
    ("jarosite", "jarosite__02", 3.15),
    ("goethite", "goethite__02", 4.28),
    ("epidote", "epidote__01", 3.45),
    ("ferrihydrite", "ferrihydrite__00", 3.96),
    ("magnetite", "magnetite__01", 5.18),
    ("pyrite", "pyrite__03", 5.02),
    ("chalcopyrite", "chalcopyrite__03", 4.20),
    ("sphalerite", "sphalerite__01", 4.05),
    ("galena", "galena__01", 7.58),
    ("cuprite", "cuprite__01", 6.14),
    ("malachite", "malachite__01", 4.05),
    ("azurite", "azurite__00", 3.77),
    ("chrysocolla", "chrysocolla__01", 2.15),
    ("dickite", "dickite__00", 2.60),
    ("pyrophyllite", "pyrophyllite__02", 2.84),
    ("illite", "illite__01", 2.75),
    ("montmorillonite", "montmorillonite__00", 2.35),
    ("talc", "talc__01", 2.75),
    ("serpentine", "serpentine__01", 2.57),
    ("actinolite", "actinolite__01", 3.04),
    ("hornblende", "hornblende__01", 3.23),
    ("phlogopite", "phlogopite__01", 2.80),
    ("biotite", "biotite__01", 3.09),
    ("topaz", "topaz__00", 3.55),
    ("dolomite", "dolomite__01", 2.84),
    ("siderite", "siderite__00", 3.96),
    ("microcline", "k_feldspar__01", 2.56),
    ("albite", "albite__01", 2.62),
]

# Wavelengths of a fit, nm: finer where narrow bands of hydroxyl and carbonate lie.
GRID = np.unique(np.r_[np.arange(400, 2501, 5.0), np.arange(1360, 1480, 2.0), np.arange(2140, 2420, 2.0)])
MOST = 24


def model(values, nm):
    out = values[0] + values[1] * (nm - 1450.0) / 1050.0
    for centre, width, depth in values[2:].reshape(-1, 3):
        out = out * (1.0 - depth * np.exp(-0.5 * ((nm - centre) / width) ** 2))
    return out


def slopes(values, nm):
    """Derivatives of the model by each of its values, [nm][value]."""
    line = values[0] + values[1] * (nm - 1450.0) / 1050.0
    whole = model(values, nm)
    out = np.empty((len(nm), len(values)))
    out[:, 0] = whole / line
    out[:, 1] = out[:, 0] * (nm - 1450.0) / 1050.0
    for i, (centre, width, depth) in enumerate(values[2:].reshape(-1, 3)):
        z = (nm - centre) / width
        bell = np.exp(-0.5 * z**2)
        rest = -whole / (1.0 - depth * bell)
        out[:, 2 + 3 * i] = rest * depth * bell * z / width
        out[:, 3 + 3 * i] = rest * depth * bell * z**2 / width
        out[:, 4 + 3 * i] = rest * bell
    return out


def fit(nm, measured):
    keep = np.isfinite(measured) & (measured > 0.0)
    measured = np.interp(GRID, nm[keep], measured[keep])
    weight = 1.0 / (measured + 0.02)

    def solve(values):
        count = (len(values) - 2) // 3
        low = np.r_[0.02, -1.0, np.tile([200.0, 7.0, 0.0], count)]
        high = np.r_[1.3, 1.0, np.tile([2850.0, 500.0, 0.92], count)]
        start = np.clip(values, low + 1e-9, high - 1e-9)
        scale = np.r_[1.0, 1.0, np.tile([20.0, 20.0, 0.1], count)]
        off = lambda v: (model(v, GRID) - measured) * weight
        steep = lambda v: slopes(v, GRID) * weight[:, None]
        found = least_squares(off, start, steep, bounds=(low, high), x_scale=scale, max_nfev=60)
        return found.x, np.sqrt(np.mean(found.fun**2))

    values, rest = solve(np.r_[measured.max(), 0.0, 200.0, 200.0, 0.3, 2800.0, 300.0, 0.3])
    while len(values) < 2 + 3 * MOST and rest > 0.0007:
        short = (model(values, GRID) - measured) * weight
        best = None
        for width in (9.0, 22.0, 55.0, 130.0):
            kernel = np.exp(-0.5 * ((GRID[:, None] - GRID[None, :]) / width) ** 2)
            gain = (kernel @ short) / np.sqrt(kernel.sum(1))
            at = int(np.argmax(gain))
            depth = float(np.clip((kernel[at] @ short) / (kernel[at] @ kernel[at]), 0.01, 0.5))
            tried, left = solve(np.r_[values, GRID[at], width, depth])
            if best is None or left < best[1]:
                best = tried, left
        if best[1] > 0.985 * rest:
            break
        values, rest = best
    features = values[2:].reshape(-1, 3)
    features = features[features[:, 2] > 0.002]
    features = features[np.argsort(features[:, 0])]
    return values[:2], features, rest


def lines_of(words, indent, width=136):
    line = " " * indent
    for word in words:
        if len(line) + len(word) > width:
            yield line.rstrip()
            line = " " * indent
        line += word + " "
    yield line.rstrip()


def main():
    records = np.load(sys.argv[1])
    print("//! Minerals of the ores that a configuration describes. `minerals/fit.py` of this crate makes this file.")
    print()
    print("use super::Mineral;")
    print()
    print("/// The minerals that an ore may name, besides the plants'. Where both have one of a name, this one counts.")
    print("#[rustfmt::skip]")
    print('#[expect(clippy::approx_constant, reason = "a depth of 0.318 is measured")]')
    print("pub const ORES: &[Mineral] = &[")
    only = sys.argv[2:]
    for name, record, density in MINERALS:
        if only and name not in only:
            continue
        (level, slope), features, rest = fit(records[record + "__wl_um"] * 1000.0, records[record + "__refl"])
        print(f"{name}: {len(features)} absorptions leave {100 * rest:.2f} % of {record}", file=sys.stderr, flush=True)
        print("    Mineral {")
        print(f'        name: "{name}",')
        print(f'        record: "{record}",')
        print(f"        density: {density:.2f},")
        print(f"        level: {level:.3f},")
        print(f"        slope: {slope:.3f},")
        print("        features: &[")
        for line in lines_of([f"({c:.1f}, {w:.1f}, {d:.3f})," for c, w, d in features], 12):
            print(line)
        print("        ],")
        print("    },")
    print("];")


main()
