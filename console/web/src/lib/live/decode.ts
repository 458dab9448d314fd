import type { Alarm, Lease, LiveSample, LiveScan, ProblemBody, RigEvent, Status } from '../types';

/** A row of a picture. Values lie `[band][pixel]`. */
export interface PictureRow {
  source: number;
  /** 0: one byte, share of full scale is (v/254)², 255 is saturated. 1: half floats of reflectance, NaN is no value. */
  encoding: number;
  bands: number[];
  pixels: number;
  /** Lines that the row stands for. */
  stride: number;
  /** Line number of a camera, or row of the grid (may be negative). */
  index: number;
  yMm: number;
  bytes: Uint8Array | null;
  halves: Uint16Array | null;
}

export interface LedgerRun {
  camera: number;
  /** 0 ok, 1 incomplete, 2 stalled, 3 reversed, 4 misplaced, 5 lost. */
  status: number;
  count: number;
  first: number;
  fromMm: number;
  toMm: number;
}

export interface LightSample {
  camera: number;
  level: number;
  yMm: number;
}

export interface OutlineRow {
  sample: number;
  row: number;
  /** First and last pixel of each run, both included. */
  runs: [number, number][];
}

export interface EmbeddingRows {
  dimensions: number;
  samples: Uint16Array;
  xMm: Float32Array;
  yMm: Float32Array;
  values: Float32Array;
}

/** The winners of a row of a sample, as they were identified. */
export interface MineralRow {
  sample: number;
  /** First pixel of the grid's picture, and pixels. */
  first: number;
  pixels: number;
  /** Row of the grid. */
  row: number;
  /** Codes of group 1 and group 2 by pixel: 0 not identified, 255 not judged. */
  winners: [Uint8Array, Uint8Array];
}

export interface Messages {
  hello: { format: number; rig: string; version: string; time: string };
  event: RigEvent;
  status: Status;
  scan: LiveScan | null;
  picture: PictureRow;
  ledger: LedgerRun;
  light: LightSample;
  outline: OutlineRow;
  embeddings: EmbeddingRows;
  minerals: MineralRow;
  sample: LiveSample;
  dropped: { messages: number };
  lease: Lease;
  link: { connected: boolean; since: string | null };
  alarms: Alarm[];
  refused: ProblemBody;
}

export type Kind = keyof Messages;
export type Message = { [K in Kind]: { kind: K; body: Messages[K] } }[Kind];

const jsonKinds: Record<number, Kind> = {
  1: 'hello',
  2: 'event',
  3: 'status',
  4: 'scan',
  10: 'sample',
  11: 'dropped',
  16: 'lease',
  17: 'link',
  18: 'alarms',
  19: 'refused',
};

const text = new TextDecoder();

/** One message, or null where it is of a kind that this page does not know. Throws where it is cut off. */
export function decode(buffer: ArrayBuffer): Message | null {
  const view = new DataView(buffer);
  const kind = view.getUint8(0);
  const named = jsonKinds[kind];
  if (named) {
    return { kind: named, body: JSON.parse(text.decode(new Uint8Array(buffer, 1))) } as Message;
  }
  switch (kind) {
    case 5:
      return { kind: 'picture', body: picture(view) };
    case 6:
      return {
        kind: 'ledger',
        body: {
          camera: view.getUint8(1),
          status: view.getUint8(2),
          count: view.getUint32(5, true),
          first: Number(view.getBigUint64(9, true)),
          fromMm: view.getFloat64(17, true),
          toMm: view.getFloat64(25, true),
        },
      };
    case 7:
      return { kind: 'light', body: { camera: view.getUint8(1), level: view.getFloat32(5, true), yMm: view.getFloat64(9, true) } };
    case 8:
      return { kind: 'outline', body: outline(view) };
    case 9:
      return { kind: 'embeddings', body: embeddings(view) };
    case 12:
      return { kind: 'minerals', body: minerals(view) };
    default:
      return null;
  }
}

function picture(view: DataView): PictureRow {
  const encoding = view.getUint8(2);
  const count = view.getUint8(3);
  const pixels = view.getUint32(5, true);
  const bands: number[] = [];
  for (let k = 0; k < count; k += 1) bands.push(view.getUint16(29 + 2 * k, true));
  const at = 29 + 2 * count;
  const values = count * pixels;
  let bytes: Uint8Array | null = null;
  let halves: Uint16Array | null = null;
  if (encoding === 0) {
    bytes = new Uint8Array(view.buffer, at, values);
  } else {
    // The body has an odd offset, so the octets are copied to an aligned place. Every browser's machine is little-endian.
    halves = new Uint16Array(view.buffer.slice(at, at + 2 * values));
  }
  return {
    source: view.getUint8(1),
    encoding,
    bands,
    pixels,
    stride: view.getUint32(9, true),
    index: Number(view.getBigInt64(13, true)),
    yMm: view.getFloat64(21, true),
    bytes,
    halves,
  };
}

function outline(view: DataView): OutlineRow {
  const count = view.getUint16(3, true);
  const runs: [number, number][] = [];
  for (let k = 0; k < count; k += 1) {
    runs.push([view.getUint16(13 + 4 * k, true), view.getUint16(15 + 4 * k, true)]);
  }
  return { sample: view.getUint16(1, true), row: Number(view.getBigInt64(5, true)), runs };
}

function minerals(view: DataView): MineralRow {
  const pixels = view.getUint16(5, true);
  const winners = (group: number): Uint8Array => new Uint8Array(view.buffer, 17 + group * pixels, pixels);
  return {
    sample: view.getUint16(1, true),
    first: view.getUint16(3, true),
    pixels,
    row: Number(view.getBigInt64(9, true)),
    winners: [winners(0), winners(1)],
  };
}

function embeddings(view: DataView): EmbeddingRows {
  const count = view.getUint16(1, true);
  const dimensions = view.getUint16(3, true);
  const samples = new Uint16Array(count);
  const xMm = new Float32Array(count);
  const yMm = new Float32Array(count);
  for (let k = 0; k < count; k += 1) {
    const at = 5 + 12 * k;
    samples[k] = view.getUint16(at, true);
    xMm[k] = view.getFloat32(at + 4, true);
    yMm[k] = view.getFloat32(at + 8, true);
  }
  const at = 5 + 12 * count;
  const values = new Float32Array(view.buffer.slice(at, at + 4 * count * dimensions));
  return { dimensions, samples, xMm, yMm, values };
}
