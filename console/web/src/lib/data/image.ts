// Images of samples: slices as the server sends them, and how they are shown.
import { api, path } from '../api';
import { table, viridis, type Rgb } from '../colour';

/** What of a sample is seen. */
export interface Slice {
  of: 'bands' | 'embedding' | 'quality' | 'mask' | 'mineral';
  bands?: readonly number[];
  n?: number;
}

export interface Planes {
  data: Float32Array;
  /** Planes, lines and pixels of the data. */
  shape: [number, number, number];
  stride: number;
}

/** Lowest and highest shown value of each plane. */
export type Range = [number, number];

export async function fetchPlanes(scan: string, sample: string, slice: Slice, stride: number, signal?: AbortSignal): Promise<Planes> {
  const query = new URLSearchParams({ of: slice.of, stride: String(stride) });
  if (slice.bands) query.set('bands', slice.bands.join(','));
  if (slice.n !== undefined) query.set('n', String(slice.n));
  const { data, headers } = await api.binary(`${path('samples', scan, sample, 'image')}?${query}`, signal);
  const shape = (headers.get('x-shape') ?? '').split(',').map(Number);
  const [planes = 0, lines = 0, pixels = 0] = shape;
  if (planes * lines * pixels * 4 !== data.byteLength) throw new Error('The image has not the size that was told.');
  return { data: new Float32Array(data), shape: [planes, lines, pixels], stride: Number(headers.get('x-stride')) || stride };
}

/** The range that holds all but the outermost values, at least a little wide. */
export function rangeOf(values: Float32Array, leftOut = 0.02): Range {
  const step = Math.max(1, Math.floor(values.length / 20_000));
  const some: number[] = [];
  for (let k = 0; k < values.length; k += step) {
    const value = values[k] ?? NaN;
    if (Number.isFinite(value)) some.push(value);
  }
  if (!some.length) return [0, 1];
  some.sort((a, b) => a - b);
  const low = some[Math.floor(leftOut * (some.length - 1))] ?? 0;
  const high = some[Math.ceil((1 - leftOut) * (some.length - 1))] ?? 1;
  return high > low ? [low, high] : [low, low + 1e-6];
}

/** The range of each plane. */
export function ranges({ data, shape: [planes, lines, pixels] }: Planes, leftOut?: number): Range[] {
  const size = lines * pixels;
  return Array.from({ length: planes }, (_, k) => rangeOf(data.subarray(k * size, (k + 1) * size), leftOut));
}

const scalars = table(viridis);

/** Puts planes onto a canvas of their size. Three planes are colours, one is a scale. Where no value is, nothing is painted. */
export function paint(canvas: HTMLCanvasElement, planes: Planes, shown: readonly Range[], root: boolean): void {
  const [count, lines, pixels] = planes.shape;
  const size = lines * pixels;
  const context = canvas.getContext('2d');
  if (!context || !size) return;
  canvas.width = pixels;
  canvas.height = lines;
  const image = context.createImageData(pixels, lines);
  const share = (plane: number, at: number): number => {
    const [low, high] = shown[plane] ?? [0, 1];
    const value = ((planes.data[plane * size + at] ?? NaN) - low) / (high - low);
    const held = Math.min(1, Math.max(0, value));
    return root ? Math.sqrt(held) : held;
  };
  for (let at = 0; at < size; at += 1) {
    const first = planes.data[at] ?? NaN;
    if (!Number.isFinite(first)) continue;
    const to = at * 4;
    if (count >= 3) {
      for (let k = 0; k < 3; k += 1) image.data[to + k] = Math.round(255 * share(k, at));
    } else {
      const colour = 4 * Math.round(255 * share(0, at));
      for (let k = 0; k < 3; k += 1) image.data[to + k] = scalars[colour + k] ?? 0;
    }
    image.data[to + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

/** Paints codes by their colours, and counts the pixels of each. Where no code is, nothing is painted. */
export function paintCodes(canvas: HTMLCanvasElement, { data, shape: [, lines, pixels] }: Planes, colours: readonly Rgb[]): Map<number, number> {
  canvas.width = pixels;
  canvas.height = lines;
  const counts = new Map<number, number>();
  const context = canvas.getContext('2d');
  if (!context || !data.length) return counts;
  const image = context.createImageData(pixels, lines);
  for (let at = 0; at < data.length; at += 1) {
    const code = data[at] ?? NaN;
    if (!Number.isFinite(code)) continue;
    counts.set(code, (counts.get(code) ?? 0) + 1);
    image.data.set([...(colours[code] ?? [245, 245, 245]), 255], at * 4);
  }
  context.putImageData(image, 0, 0);
  return counts;
}

/** The band nearest to a wavelength. */
function bandAt(wavelengths: readonly number[], nm: number): number {
  let best = 0;
  wavelengths.forEach((value, k) => {
    if (Math.abs(value - nm) < Math.abs((wavelengths[best] ?? 0) - nm)) best = k;
  });
  return best;
}

/** Bands that look as the eye sees; where the cameras see no such light, three spread over the range. */
export function natural(wavelengths: readonly number[]): [number, number, number] {
  const [first, last] = [wavelengths[0] ?? 0, wavelengths[wavelengths.length - 1] ?? 0];
  const wanted: [number, number, number] = first <= 480 && last >= 620 ? [640, 550, 460] : [0.8, 0.5, 0.2].map((share) => first + share * (last - first)) as [number, number, number];
  return wanted.map((nm) => bandAt(wavelengths, nm)) as [number, number, number];
}
