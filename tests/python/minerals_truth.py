#!/usr/bin/env python3
"""Compares the shares of minerals in scan.json with what lies on the simulated tray.
usage: minerals_truth.py TRUTH.json SCAN.json. TRUTH.json is from `cargo run -p sim --example truth -- RIG.toml TRUTH.json`.

Ground ores (C3, D1 and D2 of the demo's tray) are listed and not judged: their grains are smaller than a pixel. Fails where fewer than
90 % of the other shares lie within their own intervals. Hornblende and pyrite are counted apart: docs/minerals.md says that they cannot be told."""
import json
import sys

truth, scan = (json.load(open(path)) for path in sys.argv[1:])
ores = {of["at"]: of for of in truth["truth"]["containers"]}
doubtful, ground = {"hornblende", "pyrite"}, {"C3", "D1", "D2"}
counts = {"judged": [0, 0], "doubtful": [0, 0], "ground": [0, 0]}
errors = []
for sample in scan["samples"]:
    at = sample["container"]
    true = dict(ores[at]["minerals"]["area"])
    for group in sample["minerals"]["groups"]:
        for name, found in group["minerals"].items():
            wanted, (low, high) = true.get(name, 0.0), found["interval"]
            if wanted == 0 and found["share"] < 0.01:
                continue
            kind = "ground" if at in ground else "doubtful" if name in doubtful else "judged"
            inside = low <= wanted <= high
            counts[kind][0] += inside
            counts[kind][1] += 1
            if kind == "judged":
                errors.append(abs(found["share"] - wanted))
            print(f"{at} {name:16} {wanted:.3f} found {found['share']:.3f} ({low:.3f} to {high:.3f}) {'' if inside else 'OUTSIDE '}{'' if kind == 'judged' else kind}")
for kind, (inside, all) in counts.items():
    print(f"{kind}: {inside} of {all} inside their intervals")
print(f"mean error {sum(errors) / len(errors):.3f}")
assert counts["judged"][0] >= 0.9 * counts["judged"][1], counts
