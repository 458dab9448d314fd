// Answers about one sample: its facts, images, spectra and regions.
import * as world from "./world.mjs";

const NAMES = [[1, "saturated"], [2, "bad_pixel"], [4, "gap"], [8, "low_signal"], [16, "out_of_view"], [32, "no_data"], [64, "edge"], [128, "missing_bands"]];
const clean = (list) => Array.from(list, (v) => (Number.isFinite(v) ? +v.toPrecision(6) : null));

/** Facts of a sample. */
export function facts(scan, sample) {
  const { model: m, footprint: f } = sample;
  const some = Array.from({ length: 300 }, (_, i) => [Math.floor(world.unit(m.seed, i, 1) * m.lines), Math.floor(world.unit(m.seed, i, 2) * m.pixels)]).filter(([l, p]) => world.inside(m, l, p));
  const { mean, sd } = world.statistics(m, some);
  return {
    scan: scan.id, sample: sample.sample, name: sample.sample, container: sample.at, tray: scan.tray, keys: sample.keys, vars: sample.vars, lines: m.lines, pixels: m.pixels, bands: world.BANDS,
    wavelengths_nm: clean(world.GRID), fwhm_nm: Array.from(world.GRID, (nm) => (nm < 1002 ? 2.9 : 5.6)), valid_nm: [420, 1350, 1450, 2450], x0_mm: f.x_mm, y0_mm: f.y_mm, pixel_mm: world.PIXEL_MM,
    doubts: sample.doubts, mean: clean(mean), sd: clean(sd), u_mean: clean(mean.map((v, b) => 0.006 * v + 0.3 * world.spread[b])), snr: clean(mean.map((v, b) => v / world.spread[b])),
    embedding_dimensions: world.DIMENSIONS,
    minerals: minerals(m, some),
    provenance: {
      scan: scan.id, started: scan.started.toISOString(), version: "0.9.0", configuration_sha256: "6f1c".repeat(16), encoder_sha256: "a07e".repeat(16),
      panel: { serial: "SRT-99-120-0417", certified: "2026-05-11" },
      cameras: { vnir: { model: "simulated VNIR 512 x 224", serial: "SIM-001", exposure_us: 2400, temperature_c: 31.2 }, swir: { model: "simulated SWIR 384 x 288", serial: "SIM-002", exposure_us: 2900, temperature_c: -73.1 } },
    },
  };
}

/** Shares of minerals at some places, with intervals. */
function minerals(m, some) {
  const share = (n) => ({ share: n / some.length, interval: [Math.max(0, n / some.length - 0.04), Math.min(1, n / some.length + 0.05)] });
  const groups = [1, 2].map((group) => {
    const counts = Array(world.MINERAL_NAMES.length + 1).fill(0);
    for (const [l, p] of some) counts[world.mineral(world.shares(m, l, p), group)]++;
    return { not_identified: share(counts[0]), minerals: Object.fromEntries(world.MINERAL_NAMES.map((name, k) => [name, share(counts[k + 1])]).filter(([, one]) => one.share)) };
  });
  const features = { "2200_AlOH_position": { unit: "nm", pixels: some.length, median: 2206.4, spread: 1.8 }, "2200_AlOH_depth": { unit: "1", pixels: some.length, median: 0.142, spread: 0.03 } };
  return { library: "usgs", names: world.MINERAL_NAMES, part: 0, pixels: m.lines * m.pixels, not_identified: share(12), groups, features };
}

/** Planes of an image: `{data, shape}`. */
export function image(sample, query) {
  const { model: m } = sample;
  const stride = Math.max(1, +(query.get("stride") ?? 1));
  const of = query.get("of") ?? "bands";
  const bands = of === "bands" ? (query.get("bands") ?? "0").split(",").map(Number) : [0];
  if (bands.some((b) => !(b >= 0 && b < world.BANDS))) return null;
  const n = +(query.get("n") ?? 0);
  const [lines, pixels] = [Math.ceil(m.lines / stride), Math.ceil(m.pixels / stride)];
  const data = new Float32Array(bands.length * lines * pixels).fill(NaN);
  for (let l = 0; l < lines; l++)
    for (let p = 0; p < pixels; p++) {
      const [line, pixel] = [l * stride, p * stride];
      if (!world.inside(m, line, pixel)) {
        if (of === "mask") data[l * pixels + p] = 0;
        continue;
      }
      const flags = of === "bands" ? 0 : world.quality(m, line, pixel);
      const s = world.shares(m, line, pixel);
      if (of === "quality") data[l * pixels + p] = flags;
      else if (of === "mask") data[l * pixels + p] = flags & 64 ? 0 : 1;
      else if (of === "mineral") data[l * pixels + p] = flags & 5 ? NaN : world.mineral(s, n || 2);
      else if (of === "embedding") data[l * pixels + p] = flags & 5 ? NaN : world.embedding(s, n);
      else bands.forEach((band, k) => (data[(k * lines + l) * pixels + p] = world.value(s, m, line, pixel, band)));
    }
  return { data, shape: [bands.length, lines, pixels], stride };
}

/** The spectrum of a pixel, or null outside the sample. */
export function spectrum(scan, sample, line, pixel) {
  const { model: m, footprint: f } = sample;
  if (!(line >= 0 && pixel >= 0 && line < m.lines && pixel < m.pixels) || !world.inside(m, line, pixel)) return null;
  const flags = world.quality(m, line, pixel);
  const reflectance = world.spectrum(m, line, pixel);
  if (flags & 2) reflectance[31] = NaN;
  if (flags & 4) reflectance.fill(NaN, 224);
  const lamp = (nm, peak, width) => 3600 * Math.exp(-0.5 * ((nm - peak) / width) ** 2);
  const camera = (name, first, wavelengths, peak, width, dark) => ({
    name, first_band: first, bands: wavelengths.length,
    white: clean(Array.from(wavelengths, (nm, b) => dark + 90 + lamp(nm, peak, width) * (0.94 + 0.1 * world.unit(99, b)))), dark: clean(Array.from(wavelengths, (_, b) => dark + 6 * world.unit(98, b))),
  });
  return {
    scan: scan.id, sample: sample.sample, line, pixel, x_mm: f.x_mm + (pixel + 0.5) * world.PIXEL_MM, y_mm: f.y_mm + (line + 0.5) * world.PIXEL_MM,
    wavelengths_nm: clean(world.GRID), reflectance: clean(reflectance), u: clean(reflectance.map((v, b) => 0.008 * v + 1.4 * world.spread[b])),
    quality: NAMES.filter(([bit]) => flags & bit).map(([, name]) => name),
    cameras: [camera("vnir", 0, world.VNIR, 680, 150, 104), camera("swir", 224, world.SWIR, 1600, 480, 610)],
  };
}

/** Mean and spread of a polygon of `[line, pixel]`. */
export function region(sample, points) {
  const { model: m } = sample;
  const inside = [];
  for (let line = 0; line < m.lines; line++) for (let pixel = 0; pixel < m.pixels; pixel++) if (world.inside(m, line, pixel) && within(points, line + 0.5, pixel + 0.5)) inside.push([line, pixel]);
  if (!inside.length) return null;
  const step = Math.ceil(inside.length / 1200);
  const { mean, sd } = world.statistics(m, inside.filter((_, i) => i % step === 0));
  return { n: inside.length, wavelengths_nm: clean(world.GRID), mean: clean(mean), sd: clean(sd) };
}

/** Whether a point lies in a polygon. */
export function within(polygon, a, b) {
  let odd = false;
  for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i++) {
    const [[ai, bi], [aj, bj]] = [polygon[i], polygon[j]];
    if (bi > b !== bj > b && a < ((aj - ai) * (b - bi)) / (bj - bi) + ai) odd = !odd;
  }
  return odd;
}
