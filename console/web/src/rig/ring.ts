import type { PictureRow } from '../lib/live/decode';

/** Rows of a source that are kept. */
export const CAPACITY = 4096;

/** Reflectance that the largest byte of a kept grid row stands for. */
export const GRID_FULL = 1.25;

/** What the alpha of a kept pixel says. */
export const VALID = 255;
export const SATURATED = 128;
export const NOTHING = 0;

// Half floats to the byte code of cameras: share = (v/254)². One look-up for each value.
const halfBytes = new Uint8Array(65536);
const halfValid = new Uint8Array(65536);
for (let bits = 0; bits < 65536; bits += 1) {
  const exponent = (bits >> 10) & 31;
  const mantissa = bits & 1023;
  if (exponent === 31) {
    halfValid[bits] = mantissa === 0 ? 1 : 0;
    halfBytes[bits] = bits < 32768 && mantissa === 0 ? 254 : 0;
    continue;
  }
  const value = exponent === 0 ? mantissa * 2 ** -24 : (1 + mantissa / 1024) * 2 ** (exponent - 15);
  halfValid[bits] = 1;
  halfBytes[bits] = bits >= 32768 ? 0 : Math.min(254, Math.round(254 * Math.sqrt(Math.min(1, value / GRID_FULL))));
}

/** The last rows of one source, as RGBA: three bands (or one, thrice) in the byte code of cameras, and what each pixel is. */
export class Ring {
  readonly pixels: number;
  /** Whether the rows are reflectance, and not shares of full scale. */
  grid: boolean;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Line number or grid row, by slot. */
  readonly index = new Float64Array(CAPACITY);
  readonly stride = new Uint32Array(CAPACITY);
  /** Place along the tray, mm, never falling: where the belt went back, the furthest place. */
  readonly y = new Float64Array(CAPACITY);
  /** Bands of each row, by slot. */
  readonly bands: number[][] = [];
  /** Rows ever taken. The oldest that is kept has the ordinal `first`. */
  count = 0;
  /** Rises with each change of rows that were taken before. */
  rewritten = 0;
  /** Distance of lines, mm, as a running mean. */
  pitch = 0;

  constructor(pixels: number, grid: boolean) {
    this.pixels = pixels;
    this.grid = grid;
    this.bytes = new Uint8Array(pixels * CAPACITY * 4);
  }

  get first(): number {
    return Math.max(0, this.count - CAPACITY);
  }

  /** Lines that the last row stands for. */
  get step(): number {
    return this.count > 0 ? (this.stride[this.slot(this.count - 1)] ?? 1) : 1;
  }

  slot(ordinal: number): number {
    return ordinal % CAPACITY;
  }

  take(row: PictureRow): void {
    if (row.pixels !== this.pixels || row.bands.length === 0) return;
    const last = this.count > 0 ? this.slot(this.count - 1) : -1;
    if (last >= 0 && row.index <= (this.index[last] ?? 0)) {
      this.#replace(row);
      return;
    }
    // A camera that gives reflectance itself sends it as the grid does.
    this.grid = row.encoding === 1;
    const slot = this.slot(this.count);
    const before = last >= 0 ? (this.y[last] ?? 0) : -Infinity;
    if (last >= 0) {
      const step = (row.yMm - before) / (row.index - (this.index[last] ?? 0));
      if (step > 0) this.pitch = this.pitch === 0 ? step : this.pitch + 0.05 * (step - this.pitch);
    }
    this.index[slot] = row.index;
    this.stride[slot] = Math.max(1, row.stride);
    this.y[slot] = Math.max(row.yMm, before);
    this.#write(slot, row);
    this.count += 1;
  }

  /** Writes a row again that is kept: the history after a change of bands. */
  #replace(row: PictureRow): void {
    let low = this.first;
    let high = this.count - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const index = this.index[this.slot(middle)] ?? 0;
      if (index === row.index) {
        this.#write(this.slot(middle), row);
        this.rewritten += 1;
        return;
      }
      if (index < row.index) low = middle + 1;
      else high = middle - 1;
    }
  }

  #write(slot: number, row: PictureRow): void {
    const { bytes, pixels } = this;
    const bands = row.bands.length;
    this.bands[slot] = row.bands;
    const g = bands > 1 ? pixels : 0;
    const b = bands > 2 ? 2 * pixels : 0;
    let at = slot * pixels * 4;
    if (row.bytes) {
      const values = row.bytes;
      for (let x = 0; x < pixels; x += 1, at += 4) {
        const [u, v, w] = [values[x] ?? 0, values[g + x] ?? 0, values[b + x] ?? 0];
        bytes[at] = u;
        bytes[at + 1] = v;
        bytes[at + 2] = w;
        bytes[at + 3] = u === 255 || v === 255 || w === 255 ? SATURATED : VALID;
      }
    } else if (row.halves) {
      const values = row.halves;
      for (let x = 0; x < pixels; x += 1, at += 4) {
        const [u, v, w] = [values[x] ?? 0, values[g + x] ?? 0, values[b + x] ?? 0];
        bytes[at] = halfBytes[u] ?? 0;
        bytes[at + 1] = halfBytes[v] ?? 0;
        bytes[at + 2] = halfBytes[w] ?? 0;
        bytes[at + 3] = halfValid[u] && halfValid[v] && halfValid[w] ? VALID : NOTHING;
      }
    }
  }

  /** First place, and the place of the last row with half of its height. Null where there are no rows. */
  get extent(): [number, number] | null {
    if (this.count === 0) return null;
    const last = this.slot(this.count - 1);
    const half = ((this.stride[last] ?? 1) * this.pitch) / 2;
    return [(this.y[this.slot(this.first)] ?? 0) - half, (this.y[last] ?? 0) + half];
  }

  /** The slot of the row at a place; -1 before the first and behind the last row, -2 where lines are missing. */
  at(y: number): number {
    if (this.count === 0) return -1;
    let low = this.first - 1;
    let high = this.count - 1;
    // The last row that begins at or before y; `first - 1` where none does.
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.y[this.slot(middle)] ?? 0) <= y) low = middle;
      else high = middle - 1;
    }
    if (low < this.first) {
      const slot = this.slot(this.first);
      return y >= (this.y[slot] ?? 0) - this.#half(slot) ? slot : -1;
    }
    const slot = this.slot(low);
    const here = this.y[slot] ?? 0;
    if (low === this.count - 1) return y <= here + this.#half(slot) ? slot : -1;
    const next = this.slot(low + 1);
    const there = this.y[next] ?? 0;
    if ((this.index[next] ?? 0) <= (this.index[slot] ?? 0) + (this.stride[slot] ?? 1)) return y - here <= there - y ? slot : next;
    if (y <= here + this.#half(slot)) return slot;
    return y >= there - this.#half(next) ? next : -2;
  }

  #half(slot: number): number {
    return ((this.stride[slot] ?? 1) * this.pitch) / 2;
  }
}

/** The share of full scale (cameras) or the reflectance (grid) behind a byte. */
export function share(byte: number, grid: boolean): number {
  const root = Math.min(byte, 254) / 254;
  return root * root * (grid ? GRID_FULL : 1);
}

/** For each of three channels, the share that 98 % of the last rows stay below. */
export function brightness(ring: Ring): [number, number, number] {
  const counts = [new Uint32Array(256), new Uint32Array(256), new Uint32Array(256)];
  let total = 0;
  const step = Math.max(1, Math.floor(ring.pixels / 64));
  const from = ring.first;
  const rows = Math.max(1, Math.floor((ring.count - from) / 128));
  for (let ordinal = from; ordinal < ring.count; ordinal += rows) {
    const base = ring.slot(ordinal) * ring.pixels * 4;
    for (let x = 0; x < ring.pixels; x += step) {
      if (ring.bytes[base + 4 * x + 3] === NOTHING) continue;
      total += 1;
      for (let k = 0; k < 3; k += 1) {
        const channel = counts[k];
        const value = ring.bytes[base + 4 * x + k] ?? 0;
        if (channel) channel[value] = (channel[value] ?? 0) + 1;
      }
    }
  }
  return counts.map((channel) => {
    let left = total * 0.02;
    for (let value = 255; value > 8; value -= 1) {
      left -= channel[value] ?? 0;
      if (left < 0) return share(value, ring.grid);
    }
    return share(total > 0 ? 16 : 254, ring.grid);
  }) as [number, number, number];
}
