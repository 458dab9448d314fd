#!/usr/bin/env python3
"""Judges a library of minerals by records of the USGS that its spectra are not made of, by mixtures, and by spectra of nothing.
usage: minerals_usgs.py HYCLUS LIBRARY.toml usgs_minerals.npz usgs_minerals_meta.json FOLDER [--matrix]. Needs numpy and h5py."""

import sys
from collections import Counter
from pathlib import Path

import numpy as np
from minerals_common import Library, identify, simulated_rig, usgs, write_envi

program, library, npz, meta, folder = sys.argv[1:6]
folder = Path(folder)
library = Library(library)
nm, fwhm = simulated_rig()
keys, minerals, spectra = usgs(npz, meta, library, nm, fwhm)

# Feldspars have no hydroxyl. A record that shows an absorption of it holds an alteration mineral, and says so itself.
ALTERED = {"albite__00": "muscovite", "albite__01": "muscovite", "albite__02": "muscovite", "k_feldspar__00": "kaolinite", "k_feldspar__01": "kaolinite"}


def answers(name, rows):
    """The winners of both groups for rows [spectrum][band]."""
    width = 64
    lines = -(-len(rows) // width)
    cube = np.full((lines * width, len(nm)), np.nan, "f4")
    cube[: len(rows)] = rows
    write_envi(folder / f"{name}.hdr", cube.reshape(lines, width, -1), nm, fwhm)
    winners, _, _ = identify(program, library.path, folder / f"{name}.hdr", folder)
    return winners.reshape(2, -1)[:, : len(rows)].T


def judged(winners, true, also=()):
    """`right`, `wrong` or `none` of the two winners, by families."""
    families = {library.family[name] for name in (*true, *also)}
    found = [library.family[library.names[code]] for code in winners if code > 0]
    return "none" if not found else "right" if set(found) <= families else "wrong"


found = answers("records", spectra)
made_of = np.array([key in library.records for key in keys])
counts = {}
for kind, of in (("of the library", made_of), ("held out", ~made_of)):
    counts[kind] = Counter(judged(found[i], [minerals[i]]) for i in np.nonzero(of)[0])
    print(f"{of.sum()} records {kind}: {dict(counts[kind])}")
for i in np.nonzero(~made_of)[0]:
    if judged(found[i], [minerals[i]]) == "wrong":
        note = " (an alteration mineral of the specimen)" if keys[i] in ALTERED else ""
        print(f"  wrong: {keys[i]} is called {[library.names[code] for code in found[i]]}{note}")
held = counts["held out"]
assert held["wrong"] <= 0.03 * held.total(), held
assert held["right"] + held["none"] >= 0.9 * held.total(), held
identifiable = [i for i in np.nonzero(~made_of)[0] if minerals[i] not in library.never]
named = sum(judged(found[i], [minerals[i]]) == "right" for i in identifiable)
print(f"{named} of {len(identifiable)} held-out records of minerals that can be told are named")
assert named >= 0.8 * len(identifiable)

pairs = [(a, b) for a in range(len(keys)) for b in range(a) if library.family[minerals[a]] != library.family[minerals[b]]]
for share in (0.5, 0.7):
    mixed = answers(f"mixed_{100 * share:.0f}", np.array([share * spectra[a] + (1 - share) * spectra[b] for a, b in pairs]))
    also = lambda pair: [ALTERED[keys[i]] for i in pair if keys[i] in ALTERED]
    of = [judged(winners, [minerals[i] for i in pair], also(pair)) for pair, winners in zip(pairs, mixed)]
    count = Counter(of)
    sure = count["right"] / (count["right"] + count["wrong"])
    print(f"{len(pairs)} mixtures of {100 * share:.0f} %: {dict(count)}; of those with a winner, {100 * sure:.1f} % are one of the two")
    assert sure >= 0.95, count
    pure = [{library.family[minerals[i]]} & {library.family[library.names[c]] for c in found[i] if c > 0} for i in range(len(keys))]
    both = [name for (a, b), name in zip(pairs, of) if pure[a] and pure[b]]
    print(f"  {100 * both.count('right') / len(both):.1f} % of the {len(both)} whose components are both identified when pure are named")

rng = np.random.default_rng(1)
count = 20_000
level = rng.choice([0.0, 0.02, 0.1, 0.3, 0.6], count)[:, None]
noise = rng.choice([0.0, 0.001, 0.01, 0.05], count)[:, None] * np.maximum(level, 0.1)
absorb = sum(d * np.exp(-(((nm - at) / w) ** 2)) for at, d, w in ((970, 0.05, 40), (1190, 0.15, 50), (1450, 1.0, 60), (1940, 1.6, 70)))
water = rng.choice([0.0, 0.5, 1.0], count)[:, None]
void = answers("nothing", level * np.exp(-water * absorb) + noise * rng.standard_normal((count, len(nm))))
wrong = (void > 0).any(1).sum()
print(f"{count} spectra of noise, flat, black and water: {wrong} are called a mineral")
assert wrong <= 0.001 * count

if "--matrix" in sys.argv:
    table = Counter((minerals[i], library.names[code]) for i in range(len(keys)) if not made_of[i] for code in found[i])
    print("\n| held-out record of | group 1 | group 2 |\n| --- | --- | --- |")
    for mineral in sorted(set(minerals)):
        rows = [i for i in range(len(keys)) if minerals[i] == mineral and not made_of[i]]
        if rows:
            cells = [Counter(library.names[found[i][group]] for i in rows) for group in (0, 1)]
            print(f"| {mineral} | " + " | ".join(", ".join(f"{name} {n}" for name, n in cell.most_common()) for cell in cells) + " |")
