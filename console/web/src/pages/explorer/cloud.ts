// The points of the explorer, and what is counted of them.
import { api } from '../../lib/api';
import { csv } from '../../lib/csv';
import { categoryColour, NOT_IDENTIFIED, okabeIto, parse, viridis } from '../../lib/colour';
import type { ExplorerFacts, ExplorerSample } from '../../lib/data/types';
import type { Look, Projection } from './look';

export interface Cloud {
  scans: string;
  projection: Projection;
  count: number;
  xy: Float32Array;
  samples: Uint32Array;
  /** Least and largest x, then y. */
  bounds: [number, number, number, number];
}

export const query = (scans: readonly string[], more: Record<string, string> = {}): string => '?' + new URLSearchParams({ scans: scans.join(','), ...more });

export async function fetchCloud(scans: readonly string[], projection: Projection, signal: AbortSignal): Promise<Cloud> {
  const { data } = await api.binary('/api/explorer/points' + query(scans, { projection }), signal);
  const [floats, whole] = [new Float32Array(data), new Uint32Array(data)];
  const count = floats.length / 3;
  const xy = new Float32Array(count * 2);
  const samples = new Uint32Array(count);
  const bounds: Cloud['bounds'] = [Infinity, -Infinity, Infinity, -Infinity];
  for (let k = 0; k < count; k += 1) {
    const [x, y] = [floats[3 * k] ?? 0, floats[3 * k + 1] ?? 0];
    xy[2 * k] = x;
    xy[2 * k + 1] = y;
    samples[k] = whole[3 * k + 2] ?? 0;
    if (x < bounds[0]) bounds[0] = x;
    if (x > bounds[1]) bounds[1] = x;
    if (y < bounds[2]) bounds[2] = y;
    if (y > bounds[3]) bounds[3] = y;
  }
  return { scans: scans.join(','), projection, count, xy, samples, bounds };
}

/** Values of an embedding number (`embedding:3`), clusters (`cluster:4`) or minerals of a group (`mineral:2`), one for each point. */
export async function fetchValues(wanted: string, cloud: Cloud, signal: AbortSignal): Promise<Float32Array> {
  const [by, number] = wanted.split(':');
  const of: Record<string, string> = by === 'cluster' ? { of: 'cluster', k: number || '4' } : by === 'mineral' ? { of: 'mineral', n: number || '2' } : { of: 'embedding', n: number || '0' };
  const { data } = await api.binary('/api/explorer/values' + query(cloud.scans.split(','), { ...of, projection: cloud.projection }), signal);
  const values = new Float32Array(data);
  if (values.length !== cloud.count) throw new Error(`The server told ${values.length} values for ${cloud.count} points.`);
  return values;
}

/** What a sample has of a key; `scan` and `sample` are keys too. */
export function valueOf(sample: ExplorerSample, key: string): string {
  if (key === 'scan') return sample.scan;
  if (key === 'sample') return sample.sample;
  return sample.keys[key] ?? '';
}

export function passes(sample: ExplorerSample, filter: ReadonlyMap<string, ReadonlySet<string>>, but?: string): boolean {
  for (const [key, values] of filter) if (key !== but && !values.has(valueOf(sample, key))) return false;
  return true;
}

/** Colours of the samples for the renderer; those that the filter leaves out are hidden. */
export function sampleColours(facts: ExplorerFacts, look: Look): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(facts.samples.length * 4);
  const range = varRange(facts, look.of);
  facts.samples.forEach((sample, k) => {
    if (!passes(sample, look.filter)) return;
    const value = sample.vars[look.of];
    const colour =
      look.by === 'var' ? (value === undefined ? parse('#999999') : viridis((value - range[0]) / (range[1] - range[0]))) : look.by === 'embedding' || look.by === 'cluster' || look.by === 'mineral' ? parse('#999999') : parse(colourOf(look, sample));
    out.set([...colour, 255], 4 * k);
  });
  return out;
}

/** The key by which points are coloured. */
export const colourKey = (look: Look): string => (look.by === 'key' ? look.of : look.by);
function colourOf(look: Look, sample: ExplorerSample): string {
  const key = colourKey(look);
  const value = valueOf(sample, key);
  return value ? categoryColour(key, value) : '#999999';
}

export function varRange(facts: ExplorerFacts, name: string): [number, number] {
  const values = facts.samples.map((sample) => sample.vars[name]).filter((value): value is number => value !== undefined);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return Number.isFinite(low) ? [low, high > low ? high : low + 1e-6] : [0, 1];
}

/** The palette of clusters as a scale: the n-th colour at n of 255. */
export function clusterScale(): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(256 * 4);
  for (let k = 0; k < 256; k += 1) out.set([...parse(okabeIto[k % okabeIto.length] ?? '#999999'), 255], 4 * k);
  return out;
}

/** Colours of minerals as a scale: that of code n at n of 255. */
export function mineralScale(names: readonly string[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(256 * 4);
  for (let k = 0; k < 256; k += 1) out.set([...parse(mineralColour(names, k)), 255], 4 * k);
  return out;
}

export function mineralColour(names: readonly string[], code: number): string {
  const name = names[code - 1];
  return name ? categoryColour('mineral', name) : NOT_IDENTIFIED;
}

/** Which points lie in a polygon, and how many of each sample. */
export function choose(cloud: Cloud, polygon: readonly (readonly [number, number])[], samples: number): { mask: Uint8Array; counts: Float64Array } {
  const mask = new Uint8Array(cloud.count);
  const counts = new Float64Array(samples);
  const [xs, ys] = [Float64Array.from(polygon, (p) => p[0]), Float64Array.from(polygon, (p) => p[1])];
  const [left, right, low, high] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  for (let k = 0; k < cloud.count; k += 1) {
    const [x, y] = [cloud.xy[2 * k] ?? 0, cloud.xy[2 * k + 1] ?? 0];
    if (x < left || x > right || y < low || y > high) continue;
    let odd = false;
    for (let i = 0, j = xs.length - 1; i < xs.length; j = i, i += 1) {
      const [yi, yj] = [ys[i] ?? 0, ys[j] ?? 0];
      if (yi > y !== yj > y && x < (((xs[j] ?? 0) - (xs[i] ?? 0)) * (y - yi)) / (yj - yi) + (xs[i] ?? 0)) odd = !odd;
    }
    if (!odd) continue;
    mask[k] = 1;
    const of = cloud.samples[k] ?? 0;
    counts[of] = (counts[of] ?? 0) + 1;
  }
  return { mask, counts };
}

/** Points of each value of a key, by what the other keys' filters leave. */
export function bars(facts: ExplorerFacts, key: string, counts: Float64Array | null, filter: ReadonlyMap<string, ReadonlySet<string>>): { value: string; count: number }[] {
  const sums = new Map<string, number>((facts.keys[key] ?? []).map((value) => [value, 0]));
  facts.samples.forEach((sample, k) => {
    if (!passes(sample, filter, key)) return;
    const value = valueOf(sample, key);
    sums.set(value, (sums.get(value) ?? 0) + (counts ? (counts[k] ?? 0) : sample.rows));
  });
  return [...sums].map(([value, count]) => ({ value, count }));
}

/** Points that the filter shows, of those that are counted. */
export function shownCount(facts: ExplorerFacts, counts: Float64Array | null, filter: ReadonlyMap<string, ReadonlySet<string>>): number {
  return facts.samples.reduce((sum, sample, k) => (passes(sample, filter) ? sum + (counts ? (counts[k] ?? 0) : sample.rows) : sum), 0);
}

const MOST_ROWS = 1_000_000;

/** The chosen points, or all, as a table. */
export function table(facts: ExplorerFacts, cloud: Cloud, mask: Uint8Array | null, values: Float32Array | null, name: string): string {
  const keys = Object.keys(facts.keys);
  const rows: unknown[][] = [];
  for (let k = 0; k < cloud.count && rows.length < MOST_ROWS; k += 1) {
    const sample = facts.samples[cloud.samples[k] ?? 0];
    if ((mask && !mask[k]) || !sample) continue;
    rows.push([sample.scan, sample.sample, sample.container, ...keys.map((key) => sample.keys[key]), cloud.xy[2 * k], cloud.xy[2 * k + 1], ...(values ? [values[k]] : [])]);
  }
  return csv(['scan', 'sample', 'container', ...keys, cloud.projection + '_1', cloud.projection + '_2', ...(values ? [name] : [])], rows);
}
