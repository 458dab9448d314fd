// Spectra of a sample, kept while the page is open, and their order for charts.
import { api, path } from '../api';
import type { Spectrum } from '../types';

const kept = new Map<string, Spectrum>();

export async function spectrumOf(scan: string, sample: string, line: number, pixel: number, signal?: AbortSignal): Promise<Spectrum> {
  const id = [scan, sample, line, pixel].join('/');
  const found = kept.get(id);
  if (found) return found;
  const spectrum = await api.get<Spectrum>(`${path('samples', scan, sample, 'spectrum')}?line=${line}&pixel=${pixel}`, signal);
  if (kept.size > 400) kept.clear();
  kept.set(id, spectrum);
  return spectrum;
}

/** The order in which wavelengths rise: where two cameras overlap, they do not by themselves. */
export function rising(wavelengths: readonly number[]): { x: number[]; sort: <T>(values: readonly T[]) => T[] } {
  const order = wavelengths.map((_, k) => k).sort((a, b) => (wavelengths[a] ?? 0) - (wavelengths[b] ?? 0));
  const straight = order.every((at, k) => at === k);
  const sort = <T,>(values: readonly T[]): T[] => (straight ? [...values] : order.map((k) => values[k] as T));
  return { x: sort(wavelengths), sort };
}

/** What lies outside of the valid stretches, for charts. */
export function outside(wavelengths: readonly number[], valid: readonly (readonly [number, number])[]): [number, number][] {
  const last = wavelengths[wavelengths.length - 1] ?? 0;
  if (!valid.length) return [];
  const out: [number, number][] = [];
  let at = wavelengths[0] ?? 0;
  for (const [from, to] of [...valid].sort((a, b) => a[0] - b[0])) {
    if (from > at) out.push([at, from]);
    at = Math.max(at, to);
  }
  if (at < last) out.push([at, last]);
  return out;
}

/** `line,pixel;line,pixel` of an address. */
export function pairs(text: string | null): [number, number][] {
  return (text ?? '')
    .split(';')
    .map((pair) => pair.split(',').map(Number))
    .filter((pair): pair is [number, number] => pair.length === 2 && pair.every(Number.isFinite));
}
export const text = (list: readonly (readonly number[])[]): string => list.map((pair) => pair.join(',')).join(';');
