// The invented ore: wavelengths, minerals, trays, samples. Everything follows from names by a hash, so that each start gives the same data.

export const VNIR = axis(400, 1000, 224);
export const SWIR = axis(1004, 2500, 288);
export const GRID = new Float32Array([...VNIR, ...SWIR]);
export const BANDS = GRID.length;
export const PIXEL_MM = 0.5;
export const TRAY = { width_mm: 260, length_mm: 340, pitch_mm: 80, side_mm: 60, margin_mm: 20 };
export const DIMENSIONS = 16;
const MINERALS = 5; // quartz, clay, iron oxide, chlorite, sulphide

function axis(from, to, count) {
  return Float32Array.from({ length: count }, (_, i) => from + ((to - from) * i) / (count - 1));
}

/** A whole number from a text. */
export function hash(text) {
  let h = 2166136261;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 16777619);
  return mix(h);
}

function mix(h) {
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** 0 to 1 from whole numbers. */
export function unit(seed, a, b = 0) {
  return mix(seed ^ Math.imul(a | 0, 0x9e3779b1) ^ Math.imul(b | 0, 0x7f4a7c15)) / 4294967296;
}

function gauss(seed, a, b = 0) {
  return (unit(seed, a, b) + unit(seed + 1, a, b) + unit(seed + 2, a, b) - 1.5) * 2;
}

function noise(seed, x, y) {
  const [i, j] = [Math.floor(x), Math.floor(y)];
  const [u, v] = [x - i, y - j];
  const [s, t] = [u * u * (3 - 2 * u), v * v * (3 - 2 * v)];
  const top = unit(seed, i, j) * (1 - s) + unit(seed, i + 1, j) * s;
  const low = unit(seed, i, j + 1) * (1 - s) + unit(seed, i + 1, j + 1) * s;
  return top * (1 - t) + low * t;
}

const dip = (nm, at, width, depth) => depth * Math.exp(-0.5 * ((nm - at) / width) ** 2);
const rise = (nm, at, width) => 1 / (1 + Math.exp(-(nm - at) / width));

/** Reflectance of each mineral in each band. */
export const MINERAL = [
  (nm) => 0.52 + 0.08 * rise(nm, 600, 120) - dip(nm, 1910, 25, 0.05),
  (nm) => 0.44 + 0.16 * rise(nm, 560, 90) - dip(nm, 1412, 14, 0.12) - dip(nm, 1912, 28, 0.16) - dip(nm, 2206, 18, 0.2) - dip(nm, 2350, 30, 0.05),
  (nm) => 0.06 + 0.34 * rise(nm, 575, 24) - dip(nm, 900, 70, 0.13) - dip(nm, 660, 30, 0.03) - dip(nm, 1930, 40, 0.05),
  (nm) => 0.16 + 0.09 * rise(nm, 1200, 180) - dip(nm, 720, 90, 0.04) - dip(nm, 2255, 18, 0.06) - dip(nm, 2338, 24, 0.11) - dip(nm, 1400, 16, 0.03),
  (nm) => 0.07 + 0.03 * rise(nm, 1500, 500),
].map((of) => Float32Array.from(GRID, of));

const PLANTS = ["north", "south", "east"];
const SIZES = ["M100", "M140", "M200"];
const TOWARDS = {
  north: [0.4, 0.3, 0.12, 0.1, 0.08],
  south: [0.22, 0.16, 0.42, 0.1, 0.1],
  east: [0.25, 0.14, 0.1, 0.36, 0.15],
};

const monthBefore = (date, months) => new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() - months, 1)).toISOString().slice(0, 7);

/** The containers of the scan with this number; 0 is the newest. */
export function containers(number, started) {
  const two = [PLANTS[number % 3], PLANTS[(number + 1) % 3]];
  const months = [monthBefore(started, 1), monthBefore(started, 2)];
  return Array.from({ length: 12 }, (_, i) => {
    const [row, column] = [Math.floor(i / 3), i % 3];
    const [plant, month, size] = [two[row >> 1], months[row & 1], SIZES[column]];
    const sample = `${plant[0].toUpperCase()}-${month}-${size}`;
    return {
      at: `${"ABCD"[row]}${column + 1}`, cell: [row, column], sample,
      footprint: { x_mm: 20 + column * TRAY.pitch_mm, y_mm: 20 + row * TRAY.pitch_mm, width_mm: TRAY.side_mm, length_mm: TRAY.side_mm, round: column === 1 },
      keys: { plant, month, size },
      vars: { cu_percent: +(0.35 + 0.6 * unit(hash(plant + month), 3) + 0.2 * unit(hash(sample), 4)).toFixed(2) },
    };
  });
}

/** What tells one sample's pixels. */
export function model(container, scan) {
  const seed = hash(`${scan}/${container.sample}`);
  const shift = hash(container.keys.month);
  const weights = TOWARDS[container.keys.plant].map((w, k) => Math.max(0.02, w + 0.1 * gauss(shift, k) + 0.03 * gauss(seed, k)));
  const grain = { M100: 3, M140: 5, M200: 8 }[container.keys.size] ?? 5;
  const { footprint: f } = container;
  return { seed, weights, grain, f, lines: Math.round(f.length_mm / PIXEL_MM), pixels: Math.round(f.width_mm / PIXEL_MM) };
}

/** Whether a pixel lies on the sample. */
export function inside(m, line, pixel) {
  if (!m.f.round) return true;
  return Math.hypot((line + 0.5) / m.lines - 0.5, (pixel + 0.5) / m.pixels - 0.5) <= 0.5;
}

const share = new Float32Array(MINERALS + 1);

/** Shares of the minerals and the brightness at a pixel; the array is used again by the next call. */
export function shares(m, line, pixel) {
  let sum = 0;
  for (let k = 0; k < MINERALS; k++) {
    const n = noise(m.seed + k * 77, line / m.grain, pixel / m.grain);
    const fine = unit(m.seed + k, line, pixel);
    share[k] = m.weights[k] * (0.25 + 2.2 * n * n + 0.25 * fine);
    sum += share[k];
  }
  for (let k = 0; k < MINERALS; k++) share[k] /= sum;
  share[MINERALS] = 0.72 + 0.42 * noise(m.seed + 991, line / (m.grain * 0.7), pixel / (m.grain * 0.7));
  return share;
}

/** Spread of the noise in a band, reflectance. */
export const spread = Float32Array.from(GRID, (nm) => 0.002 + 0.006 * Math.exp(-(nm - 400) / 40) + 0.008 * rise(nm, 2420, 25) + 0.004 * Math.exp(-Math.abs(nm - 1004) / 25));

/** Reflectance of a pixel in a band. */
export function value(s, m, line, pixel, band) {
  let sum = 0;
  for (let k = 0; k < MINERALS; k++) sum += s[k] * MINERAL[k][band];
  return sum * s[MINERALS] + spread[band] * gauss(m.seed + 13, line * 4099 + pixel, band);
}

/** The whole spectrum of a pixel. */
export function spectrum(m, line, pixel) {
  const s = Float32Array.from(shares(m, line, pixel));
  return Float32Array.from({ length: BANDS }, (_, b) => value(s, m, line, pixel, b));
}

/** One number of an embedding. */
export function embedding(s, n) {
  let sum = -0.4;
  for (let k = 0; k < MINERALS; k++) sum += s[k] * (unit(4242, n, k) * 4 - 1.6);
  return sum + (s[MINERALS] - 0.9) * (unit(4343, n) - 0.5);
}

/** Names of the mock's minerals, by their codes from 1. */
export const MINERAL_NAMES = ["goethite", "hematite", "muscovite", "chlorite", "gypsum"];

/** The code of the mineral of a group, 1 or 2; 0 is not identified. */
export function mineral(s, group) {
  if (group === 1) return s[2] > 0.3 ? 1 : s[2] > 0.22 ? 2 : 0;
  return s[1] > 0.24 && s[1] > s[3] ? 3 : s[3] > 0.24 ? 4 : s[0] > 0.6 ? 5 : 0;
}

/** The place of a spectrum in the plane of the first two components. */
export function plane(s) {
  const x = 3.2 * s[0] + 1.4 * s[1] - 4.4 * s[2] - 0.4 * s[3] + 0.8 * s[4];
  const y = 0.5 * s[0] + 2.6 * s[1] + 1.2 * s[2] - 4.1 * s[3] - 1.2 * s[4];
  return [x, y - 0.3 * (s[MINERALS] - 0.9)];
}

/** Quality flags of a pixel. */
export function quality(m, line, pixel) {
  const rim = Math.min(line, pixel, m.lines - 1 - line, m.pixels - 1 - pixel);
  let flags = rim < 2 ? 64 : 0;
  if (unit(m.seed + 5, line, pixel) < 0.004) flags |= 2;
  if (unit(m.seed + 6, line, pixel) < 0.001) flags |= 1;
  if (unit(m.seed + 7, line) < 0.008) flags |= 4;
  if (shares(m, line, pixel)[MINERALS] < 0.77) flags |= 8;
  return flags;
}

/** Mean and spread over pixels `[line, pixel]`. */
export function statistics(m, pixels) {
  const [sum, square] = [new Float64Array(BANDS), new Float64Array(BANDS)];
  for (const [line, pixel] of pixels) {
    const s = spectrum(m, line, pixel);
    for (let b = 0; b < BANDS; b++) {
      sum[b] += s[b];
      square[b] += s[b] * s[b];
    }
  }
  const n = pixels.length;
  const mean = Array.from(sum, (v) => v / n);
  const sd = mean.map((v, b) => Math.sqrt(Math.max(0, square[b] / n - v * v)));
  return { n, mean, sd };
}
