#!/usr/bin/env python3
"""Puts each error of a real rig into the simulated one, and shows what is left of it in the results, without and with its correction.
usage: effects.py HYCLUSD HYCLUS [WORD...]

Every effect is compared with the same rig without it: same tray, same places. WORDs choose the effects that have one of them in their name.
Exits with 1 where an error is larger than its limit, or an effect that is not corrected is not told. Needs numpy and h5py."""
import copy
import glob
import json
import os
import subprocess
import sys
import tempfile
import time

import h5py
import numpy as np

ROWS, COLUMNS = 2, 3
# The simulated belt and tray reflect this at every wavelength.
BACKGROUND = 0.03

# Little noise, so that an error shows. What the noise does is another matter.
QUIET = {"read_noise": 0.4, "shot_noise_per_count": 0.0005, "dead_elements": 0, "hot_elements": 0}

RIG = {
    "rig": {"name": "effects", "data_dir": "data"},
    "control": {"socket": "s"},
    "simulation": {
        "seed": 11, "pace": "real_time", "time_scale": 4.0, "warm_up_s": 0.01, "lamp_drift": 0.0, "lamp_distance_mm": 500.0,
        "tray": {"rows": ROWS, "columns": COLUMNS}, "panel": {"after_mm": [240.0, 285.0]},
    },
    "conveyor": {"speed_mm_per_s": 60.0, "device": {"kind": "simulated"}},
    "camera": [
        {"name": "vnir", "field_of_view_mm": 300.0, "exposure_us": 2000.0, "frame_rate_hz": 50.0, "pool_slots": 256,
         "device": {"kind": "simulated", "pixels": 192, "bands": 200, **QUIET}},
        {"name": "swir", "offset_mm": 40.0, "field_of_view_mm": 300.0, "exposure_us": 2000.0, "frame_rate_hz": 50.0, "pool_slots": 256,
         "device": {"kind": "simulated", "pixels": 192, "bands": 240, "first_nm": 1000.0, "last_nm": 2500.0, "offset_mm": 40.0, "bits": 16,
                    **QUIET}},
    ],
    "light": [{"name": "halogen", "device": {"kind": "simulated", "share": 0.8}}, {"name": "led", "device": {"kind": "simulated", "share": 0.2}}],
    "scan": {"warm_up_s": 0.05},
    "lamps": {"window_s": 0.3, "max_warm_up_s": 20.0},
    "references": {"panel": {"reflectance": 0.95}, "panel_mm": [-70.0, -25.0], "frames": 60},
    "grid": {"pixel_mm": 1.2},
    "segment": {"tray": {"length_mm": 180.0}},
}


def toml(value):
    """A value of TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


def written(config):
    """A configuration as TOML."""
    lines = []
    for name, section in config.items():
        for table in section if isinstance(section, list) else [section]:
            lines.append(f"[[{name}]]" if isinstance(section, list) else f"[{name}]")
            lines.extend(f"{key} = {toml(value)}" for key, value in table.items())
    return "\n".join(lines) + "\n"


def merged(config, change):
    """A configuration with a change. A change of a list goes to each of its tables, or to the camera of its name."""
    config = copy.deepcopy(config)
    for key, value in change.items():
        if key in ("vnir", "swir"):
            camera = next(camera for camera in config["camera"] if camera["name"] == key)
            camera.update(merged(camera, value))
        elif key == "cameras":
            config["camera"] = [merged(camera, value) for camera in config["camera"]]
        elif isinstance(value, dict):
            config[key] = merged(config.get(key, {}), value)
        else:
            config[key] = value
    return config


class Scan:
    """A scan of the simulated tray, and what came out."""

    def __init__(self, programs, config, word):
        self.folder = tempfile.TemporaryDirectory()
        rig = os.path.join(self.folder.name, "rig.toml")
        with open(rig, "w") as file:
            file.write(written(config))
        tray = {"tray": "T", "keys": [], "grid": {"rows": ROWS, "columns": COLUMNS},
                "container": [{"at": f"{'AB'[row]}{column + 1}", "sample": f"{'AB'[row]}{column + 1}"}
                              for row in range(ROWS) for column in range(COLUMNS)]}
        with open(os.path.join(self.folder.name, "tray.json"), "w") as file:
            json.dump(tray, file)
        daemon, client = programs
        log = open(os.path.join(self.folder.name, "log"), "w")
        running = subprocess.Popen([daemon, "--config", rig], cwd=self.folder.name, stderr=log)
        try:
            command = [client, "--socket", os.path.join(self.folder.name, "s"), "--json"]
            until = time.monotonic() + 60.0
            while subprocess.run([*command, "status"], capture_output=True).returncode != 0:
                if running.poll() is not None or time.monotonic() > until:
                    raise SystemExit(f"{word}: the daemon does not start:\n" + open(log.name).read())
            # The outcome stands in the record, whatever the exit status.
            subprocess.run([*command, "scan", "--wait", "--tray", os.path.join(self.folder.name, "tray.json")], capture_output=True)
        finally:
            running.terminate()
            running.wait()
        found = glob.glob(os.path.join(self.folder.name, "data/scans/*/scan.json"))
        if len(found) != 1:
            raise SystemExit(f"{word}: no scan:\n" + open(log.name).read())
        self.record = json.load(open(found[0]))
        self.warnings = self.record["warnings"]
        if not self.record["complete"]:
            raise SystemExit(f"{word}: {self.record['reason']}")
        self.samples = {}
        for path in sorted(glob.glob(os.path.join(os.path.dirname(found[0]), "samples/*.h5"))):
            with h5py.File(path) as file:
                group = file["entry/reflectance"]
                self.samples[os.path.basename(path)[:-3]] = {
                    "nm": group["wavelength"][...], "x": group["pixel"][...], "y": group["line"][...],
                    "mask": group["mask"][...] == 1, "quality": group["quality"][...], "values": group["reflectance"][...].astype(np.float64),
                }
        if len(self.samples) != ROWS * COLUMNS:
            raise SystemExit(f"{word}: {sorted(self.samples)} are not all samples: {self.record['missing']}")


def spectrum(sample, where=None):
    """Mean spectrum over the mask."""
    chosen = sample["mask"] & (sample["quality"] == 0) if where is None else where
    return np.nanmean(sample["values"][chosen], axis=0)


def smooth(values, n=5):
    """Means over neighbouring bands, so that noise is out of the worst band."""
    return np.convolve(values, np.ones(n) / n, mode="valid")


def at(nm, sample, values):
    """A spectrum of another sample at wavelengths, by cubic interpolation within each camera."""
    out = np.empty_like(nm)
    for camera in (lambda nm: nm < 1000.0, lambda nm: nm >= 1000.0):
        here, there = camera(nm), camera(sample["nm"])
        x, y = sample["nm"][there], values[there]
        slope = np.gradient(y, x)
        i = np.clip(np.searchsorted(x, nm[here]) - 1, 0, len(x) - 2)
        h, t = x[i + 1] - x[i], (nm[here] - x[i]) / (x[i + 1] - x[i])
        out[here] = ((2 * t**3 - 3 * t**2 + 1) * y[i] + (t**3 - 2 * t**2 + t) * h * slope[i]
                     + (-2 * t**3 + 3 * t**2) * y[i + 1] + (t**3 - t**2) * h * slope[i + 1])
    return out


def of_mean(scan, ideal):
    """Largest error of a sample's mean over all bands, %."""
    return max(abs(spectrum(s).mean() / spectrum(ideal.samples[name]).mean() - 1.0) for name, s in scan.samples.items()) * 100.0


def of_spread(scan, ideal):
    """How much the errors of the samples' means differ across the tray, %."""
    errors = [spectrum(s).mean() / spectrum(ideal.samples[name]).mean() for name, s in scan.samples.items()]
    return (max(errors) - min(errors)) * 100.0


def of_band(scan, ideal):
    """Largest error of a sample's mean spectrum in any band, %, without the outermost bands."""
    worst = 0.0
    for name, sample in scan.samples.items():
        truth = at(sample["nm"], ideal.samples[name], spectrum(ideal.samples[name]))
        for camera in (sample["nm"] < 1000.0, sample["nm"] >= 1000.0):
            worst = max(worst, np.abs((spectrum(sample) / truth - 1.0)[camera][2:-2]).max())
    return worst * 100.0


def blacks(scan):
    """Mean spectra of the black tray beside the samples of each row, in groups of bands."""
    rows = {}
    for name, sample in scan.samples.items():
        # What a sample covers in part lies beside its rim, at its corners too.
        near = sample["mask"]
        for axis in (0, 1):
            near = np.any([np.roll(near, step, axis) for step in range(-4, 5)], axis=0)
        away = (sample["quality"] == 0) & ~near
        rows.setdefault(name[0], []).append(sample["values"][away])
    return {row: smooth(np.nanmean(np.concatenate(values), axis=0), 15) for row, values in rows.items()}


def of_black(reflectance):
    """Largest error of the black tray beside the samples of a row, in any group of bands, % of a reflectance."""
    def error(scan, ideal):
        truth = blacks(ideal)
        return max(np.abs(found - truth[row]).max() for row, found in blacks(scan).items()) / reflectance * 100.0
    return error


def edges(profiles, at):
    """Middle of an object between its two edges, where each profile crosses half of its own height; the median over the profiles."""
    middles = []
    for profile in profiles:
        n = len(profile)
        half = np.median(profile[n // 3: -(n // 3)]) / 2.0
        inside = np.flatnonzero(profile > half)
        if half < 0.01 or len(inside) < n // 3 or inside[0] == 0 or inside[-1] == n - 1:
            continue
        ends = []
        for inner, outer in ((inside[0], inside[0] - 1), (inside[-1], inside[-1] + 1)):
            share = (profile[inner] - half) / (profile[inner] - profile[outer])
            ends.append(at[inner] + share * (at[outer] - at[inner]))
        middles.append(np.mean(ends))
    return np.median(middles) if len(middles) > 4 else np.nan


def places(sample, bands):
    """Middle of a sample between its edges in some bands, mm across and along."""
    image = np.nan_to_num(np.nanmean(sample["values"][:, :, bands], axis=2) - BACKGROUND)
    rows, columns = image.shape
    across = edges(image[rows // 4: -(rows // 4)], sample["x"])
    return np.array([across, edges(image.T[columns // 4: -(columns // 4)], sample["y"])])


def apart(scan, ideal, first, second):
    """Largest distance between the places of a sample in two sets of bands, against that of the ideal rig, mm."""
    worst = 0.0
    for name, sample in scan.samples.items():
        difference = places(sample, first(sample["nm"])) - places(sample, second(sample["nm"]))
        truth = ideal.samples[name]
        worst = max(worst, np.abs(difference - places(truth, first(truth["nm"])) + places(truth, second(truth["nm"]))).max())
    return worst


def of_cameras(scan, ideal):
    """How far apart the cameras see a sample, mm."""
    return apart(scan, ideal, lambda nm: nm < 1000.0, lambda nm: nm >= 1000.0)


def of_ends(scan, ideal):
    """How far apart the two ends of a camera's spectrum see a sample, mm."""
    vnir = apart(scan, ideal, lambda nm: nm < 460.0, lambda nm: (nm > 940.0) & (nm < 1000.0))
    return max(vnir, apart(scan, ideal, lambda nm: (nm >= 1000.0) & (nm < 1150.0), lambda nm: nm > 2350.0))


def of_place(scan, ideal):
    """How far a sample lies from its place, mm."""
    def all_bands(nm):
        return nm > 0.0
    return max(np.abs(places(s, all_bands(s["nm"])) - places(ideal.samples[n], all_bands(ideal.samples[n]["nm"]))).max()
               for n, s in scan.samples.items())


def of_rows(scan, ideal):
    """Scatter from row to row of a sample's mean, beyond that of the ideal rig, %."""
    def scatter(sample):
        clear = sample["mask"] & (sample["quality"] == 0)
        rows = np.array([np.nanmean(values[where]) for values, where in zip(sample["values"], clear) if where.sum() > 10])
        # Neighbouring rows: the sample's own slope is out of it.
        return np.diff(rows).std() / np.sqrt(2.0) / rows.mean()
    worst = 0.0
    for name, sample in scan.samples.items():
        worst = max(worst, scatter(sample) ** 2 - scatter(ideal.samples[name]) ** 2)
    return np.sqrt(max(worst, 0.0)) * 100.0


# Optics and lines that show an edge: a point spread, and pixels of 0.6 mm. Fewer bands do.
FINE = {"cameras": {"frame_rate_hz": 100.0, "device": {"pixels": 480, "bands": 60, "psf_mm": 1.0}}, "grid": {"pixel_mm": 0.6}}
# References whose own noise is out of dark values.
MANY_FRAMES = {"references": {"frames": 400}}
STRIP = {"simulation": {"strip_mm": [280.0, 300.0], "tray": {"pitch_across_mm": 90.0}}, "lamps": {"strip_mm": [280.0, 300.0]},
         "segment": {"tray": {"left_mm": 0.0, "width_mm": 270.0}}}
PANEL_BEHIND = {"references": {"panel_after_mm": [240.0, 285.0]}}


def both(change):
    return {"cameras": {"device": change}}


# Name, size, its change of the rig, its correction, what is measured, largest error that may be left, unit, and a word of the warning
# without the correction. Without a limit an effect is shown, and judged by a test of its own. The correction's own change of the rig belongs
# to the ideal rig too where it is a part of the rig, as a strip is.
EFFECTS = [
    ("ideal rig, bands", "nothing", {}, {}, of_band, None, "%", None),
    ("ideal rig, black", "nothing", {}, {}, of_black(0.03), 1.0, "%", None),
    ("smile", "1 nm at the edges", both({"smile_nm": 1.0}), {"cameras": {"correction": {"smile_nm": 1.0}}}, of_band, 0.2, "%", None),
    ("wavelength scale", "1 nm", both({"wavelength_shift_nm": 1.0}), {"cameras": {"correction": {"wavelength_shift_nm": 1.0}}},
     of_band, 0.2, "%", None),
    ("keystone, place", "0.5 px at the edges", both({"keystone_px": 1.0}), {"cameras": {"correction": {"keystone_px": 1.0}}}, of_ends, 0.08,
     "mm", None),
    ("yaw of a camera, place", "0.3 degrees", {"swir": {"device": {"yaw_deg": 0.3}}}, {"swir": {"correction": {"yaw_deg": 0.3}}}, of_cameras,
     0.05, "mm", "turned by"),
    ("nonlinearity", "1 % of full scale", both({"nonlinearity": 0.01}), {"vnir": {"correction": {"linearity": [0.0381, 0.0029]}}, "swir": {"correction": {"linearity": [0.0371, 0.0028]}}}, of_mean,
     0.08, "%", None),
    ("stray light, black", "0.5 %", both({"stray_light": 0.005}), {"cameras": {"correction": {"stray_light": 0.005}}}, of_black(0.03), 1.0,
     "%", None),
    ("lamp drift, strip", "2 % over the scan", {"simulation": {"lamp_changes": [{"share": -0.02, "over_s": 4.0, "from_mm": 0.0}]}},
     {"lamps": {"max_correction": 0.3}}, of_mean, 0.2, "%", None),
    ("lamp step, strip", "9 %", {"simulation": {"lamp_changes": [{"share": -0.09, "over_s": 0.0, "from_mm": 90.0}]}},
     {"lamps": {"max_correction": 0.3}}, of_mean, 0.2, "%", "of that of the white reference"),
    ("ripple of the mains, strip", "1 %", {"simulation": {"mains_ripple": 0.01, "mains_ripple_hz": 107.0}}, {"lamps": {"max_correction": 0.3}}, of_rows, None, "%", None),
    ("lamp drift, two whites", "2 % over the scan", {"simulation": {"lamp_changes": [{"share": -0.3, "over_s": 150.0}]}},
     PANEL_BEHIND, of_mean, 0.3, "%", None),
    ("dark drift, black", "5 of 4095 counts in the scan", {"vnir": {"device": {"dark_drift_per_h": 3000.0}}}, {"references": {"make_again": True}},
     of_black(0.05), 1.0, "%", "the dark level moved"),
    ("panel uneven", "3 % across", {"simulation": {"panel": {"unevenness": 0.03}}},
     {"references": {"panel": {"evenness": [-0.02392, 0.00984, -0.00121]}}}, of_spread, 0.3, "%", None),
    ("container higher, place", "10 mm at 500 mm", {"simulation": {"tray": {"height_mm": 10.0}}},
     {"scan": {"tray_height_mm": 10.0}, "cameras": {"distance_mm": 500.0}, "lamps": {"distance_mm": 500.0}}, of_place, 0.1, "mm", None),
    ("container higher, light", "10 mm at 500 mm", {"simulation": {"tray": {"height_mm": 10.0}}},
     {"scan": {"tray_height_mm": 10.0}, "cameras": {"distance_mm": 500.0}, "lamps": {"distance_mm": 500.0}}, of_mean, 0.3, "%", None),
]
# Rigs of their own, by a word of the effect.
RIGS = {"strip": STRIP, "place": FINE, "black": MANY_FRAMES, "nonlinearity": MANY_FRAMES}
OFF = {"strip": {"lamps": {"max_correction": 0.0}}, "dark": {"references": {"make_again": False}}}


def main():
    programs, words = [os.path.abspath(program) for program in sys.argv[1:3]], sys.argv[3:]
    chosen = [effect for effect in EFFECTS if not words or any(word in effect[0] for word in words)]
    ideals, failed = {}, []
    print(f"{'effect':28} {'put in':30} {'without':>11} {'corrected':>11} {'at most':>9}  told")
    for name, size, change, correction, measure, limit, unit, word in chosen:
        kind = next((part for part in RIGS if part in name), "")
        rig = merged(RIG, RIGS[kind]) if kind else RIG
        if kind not in ideals:
            ideals[kind] = Scan(programs, rig, "ideal")
        off = next((off for part, off in OFF.items() if part in name), {})
        before = Scan(programs, merged(merged(rig, change), off), name)
        after = Scan(programs, merged(merged(rig, change), correction), name)
        errors = [measure(scan, ideals[kind]) for scan in (before, after)]
        told = any(word in warning for warning in before.warnings) if word else False
        wanted = "-" if limit is None else f"{limit:.2f}"
        print(f"{name:28} {size:30} {errors[0]:9.3f} {unit:2}{errors[1]:9.3f} {unit:2}{wanted:>7} {unit:2} {'yes' if told else '-'}", flush=True)
        if limit is not None and errors[1] > limit:
            failed.append(f"{name}: {errors[1]:.3f} {unit} are left, at most {limit} {unit}")
        if word and not told:
            failed.append(f"{name}: no warning has `{word}`: {before.warnings}")
    for fault in failed:
        print(fault, file=sys.stderr)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
