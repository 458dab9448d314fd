"""The uncertainty of a sample's values against other arithmetic: numpy from the references, punpy by Monte Carlo, obsarray as a reader.

SAMPLE.h5 of a rig whose cameras have a field of view of 300 mm; the second begins 1.5 mm further right.
"""

import sys

import h5py
import numpy as np
import obsarray  # noqa: F401  it adds `unc` to xarray's data sets
import punpy
import xarray

FIELD_MM = 300.0
SHIFT_MM = {"vnir": 0.0, "swir": 1.5}
STEPS = 40_000
path = sys.argv[1]


def measurement(counts, dark, white, panel):
    """Reflectance from counts."""
    return panel * (counts - dark) / (white - dark)


def weights(x, pixels, shift, pixel_mm):
    """Weights of a camera's pixels in a grid pixel at x: areas of smaller pixels, else between the two nearest centres."""
    camera_mm = FIELD_MM / pixels
    centre = (x - shift) / camera_mm
    w = np.zeros(pixels)
    if pixel_mm > camera_mm:
        edges = np.arange(pixels + 1.0)
        half = pixel_mm / camera_mm / 2
        w = np.clip(np.minimum(edges[1:], centre + half) - np.maximum(edges[:-1], centre - half), 0, None)
    else:
        at = np.clip(centre - 0.5, 0, pixels - 1)
        low = min(int(at), pixels - 2)
        w[low], w[low + 1] = low + 1 - at, at - low
    return w / w.sum()


with h5py.File(path) as file:
    group = file["entry/reflectance"]
    nm, x_mm = group["wavelength"][:], group["pixel"][:]
    pixel_mm = x_mm[1] - x_mm[0]
    cameras = group["camera_index"].attrs["flag_meanings"].split()
    index = group["camera_index"][:]
    random = [group[f"random_variance_{power}"][:] for power in range(2)]
    column = [group[f"column_variance_{power}"][:] for power in range(3)]
    squares = group["line_squares"][:]
    assert squares.shape == (len(group["line"]), len(cameras)) and ((squares > 0.3) & (squares < 1 + 1e-6)).all(), squares
    cube, mask, quality = group["reflectance"][:], group["mask"][:] == 1, group["quality"][:]
    checked = 0
    for number, camera in enumerate(cameras):
        references = file[f"entry/calibration/{camera}"]
        dark, white, dark_sd, white_sd = (references[name][:].astype(float) for name in ("dark", "white", "dark_sd", "white_sd"))
        panel, bad = references["panel_reflectance"][:].astype(float), references["bad_pixel"][:] != 0
        frames = references["dark"].attrs["frames"], references["white"].attrs["frames"]
        detector = file[f"entry/instrument/{camera}"]
        gain = detector["overall_system_gain"][()]
        signal = white - dark
        plain = (white_sd**2 - dark_sd**2)[~bad].sum() / signal[~bad].sum()
        assert abs(plain / gain - 1) < 0.05, f"{camera}: {plain} by the plain formula, {gain}"
        ratio = np.where(bad, np.nan, signal / np.sqrt(gain * signal + np.maximum(dark_sd**2, 1 / 12)))
        assert np.allclose(np.nanmedian(ratio, axis=0), detector["snr_panel"][:], rtol=0.02), camera
        bands = np.flatnonzero(index == number)
        native = [int(np.argmin(abs(references["wavelength"][:] - nm[band]))) for band in bands]
        pixels = dark.shape[0]
        for pixel in range(0, len(x_mm), 7):
            w = weights(x_mm[pixel], pixels, SHIFT_MM[camera], pixel_mm)
            used = np.flatnonzero(w > 0)
            for band, own in list(zip(bands, native, strict=True))[:: len(bands) // 4]:
                if bad[used, own].any():
                    continue
                line = cube.shape[0] // 2
                value = float(cube[line, pixel, band])
                # By hand: each element on its own, all with the same reflectance.
                d, s, sigma = dark[used, own], signal[used, own], np.sqrt(np.maximum(dark_sd[used, own] ** 2, 1 / 12))
                counts = d + value * s / panel[own]
                u_counts = np.sqrt(gain * (counts - d) + sigma**2)
                u_dark, u_white = sigma / np.sqrt(frames[0]), np.sqrt((gain * s + sigma**2) / frames[1])
                of_line = (w[used] ** 2 * (panel[own] / s * u_counts) ** 2).sum()
                found = random[0][pixel, band] + random[1][pixel, band] * value
                assert np.isclose(found, of_line, rtol=1e-4), f"{camera}, pixel {pixel}, {nm[band]} nm: {found} {of_line}"
                # By Monte Carlo, all inputs at once. They are independent.
                propagation = punpy.MCPropagation(STEPS)
                inputs = [counts, d, white[used, own], np.full(len(used), panel[own])]
                uncertainties = [u_counts, u_dark, u_white, np.zeros(len(used))]
                single = propagation.propagate_random(measurement, inputs, uncertainties)
                expected = np.sqrt((w[used] ** 2 * single**2).sum())
                powers = sum(column[power][pixel, band] * value**power for power in range(3))
                assert np.isclose(np.sqrt(found + powers), expected, rtol=0.03), f"{camera}, pixel {pixel}: {np.sqrt(found + powers)} {expected}"
                checked += 1
    assert checked > 20, checked

    mean = file["entry/mean"]
    # The panel is known to 0.5 % of its reflectance of 0.95.
    assert np.allclose(group["u_common"][:], 0.005) and np.allclose(mean["u_common"][:], 0.005 * mean["reflectance"][:])
    valid = mask & (quality & (1 | 4 | 16 | 32) == 0)
    assert valid.sum() == mean.attrs["pixels"]
    assert np.allclose(np.nanmean(cube[valid].astype(float), axis=0), mean["reflectance"][:], rtol=1e-9, equal_nan=True)
    ranges = mean.attrs["valid_nm"].reshape(-1, 2)
    inside = ((nm[:, None] >= ranges[:, 0]) & (nm[:, None] <= ranges[:, 1])).any(axis=1)
    assert (inside == (mean["snr"][:] >= 3)).all()

with xarray.open_dataset(path, engine="h5netcdf", group="/entry/mean") as data:
    data = data.load()
known = data.unc["reflectance"]
assert known.keys() == ["u_random", "u_column", "u_common"], known.keys()
assert known["u_random"].is_random and known["u_column"].is_random and known["u_common"].is_systematic
assert np.allclose(known.total_unc().values, data.reflectance_errors.values, equal_nan=True)
assert known[10:20]["u_column"].err_corr_matrix().shape == (10, 10)
print(f"{checked} values agree")
