// Shapes of what was scanned, as far as the page reads them.
import type { LineCounts } from '../types';

export type Keys = Record<string, string>;

export interface ScanBrief {
  id: string;
  tray: string;
  started: string;
  complete: boolean | null;
  reason: string | null;
  samples: number;
  embeddings: number;
  warnings: string[];
  keys: Record<string, string[]>;
  running: boolean;
}

export interface ScanList {
  total: number;
  scans: ScanBrief[];
}

export interface SampleRecord {
  sample: string;
  container: string;
  file: string;
  shape: [number, number, number];
  pixels: number;
  valid: number;
  doubts: string[];
}

export interface TrayRecord {
  tray: string;
  keys: string[];
  containers: { at: string; sample: string; keys: Keys; vars: Record<string, number> }[];
}

export interface ScanRecord {
  id: string;
  tray: TrayRecord;
  started: string;
  ended: string | null;
  complete: boolean | null;
  reason: string | null;
  cameras: Record<string, LineCounts>;
  samples: SampleRecord[];
  missing: string[];
  warnings: string[];
  embeddings: number;
  pending?: { reason: string; spectra: number } | null;
  set_aside?: string | null;
  version: string;
}

export interface LedgerCamera {
  name: string;
  expected: number;
  received: number;
  lost: number;
  runs: { first: number; count: number; status: number }[];
}

export interface FileEntry {
  path: string;
  bytes: number;
  blake3?: string;
}

export interface SampleFacts {
  scan: string;
  /** By what it is asked for. */
  sample: string;
  /** What it is called. */
  name: string;
  container: string;
  keys: Keys;
  vars: Record<string, number>;
  lines: number;
  pixels: number;
  bands: number;
  wavelengths_nm: number[];
  fwhm_nm: number[] | null;
  /** Stretches of wavelengths that are valid; none where it is not known. */
  valid_nm: [number, number][];
  x0_mm: number;
  y0_mm: number;
  pixel_mm: number;
  doubts: string[];
  mean: (number | null)[];
  sd: (number | null)[];
  u_mean: (number | null)[] | null;
  snr: (number | null)[] | null;
  embedding_dimensions: number;
  minerals: SampleMinerals | null;
  provenance: Record<string, unknown>;
}

export interface Share {
  share: number;
  /** Holds the share of the whole container in 95 % of all cases. */
  interval?: [number, number];
}

export interface SampleMinerals {
  library: string;
  /** Names of the codes from 1. */
  names: string[];
  /** Why they are not identified yet. */
  deferred?: string;
  pixels: number;
  not_identified?: Share;
  /** Group 1 (VNIR) and group 2 (SWIR). */
  groups?: { not_identified: Share; minerals: Record<string, Share> }[];
  features?: Record<string, { unit: string; pixels: number; median: number; spread: number }>;
}

export interface ExplorerMinerals {
  /** Names of the codes from 1. */
  names: string[];
  /** Points of each code from 0, in group 1 and in group 2. */
  points: [number[], number[]];
}

export interface SampleBrief {
  scan: string;
  sample: string;
  container: string;
  keys: Keys;
  vars: Record<string, number>;
}

export interface Region {
  n: number;
  wavelengths_nm: number[];
  mean: (number | null)[];
  sd: (number | null)[];
}

export interface ExplorerSample extends SampleBrief {
  rows: number;
}

export interface ExplorerFacts {
  count: number;
  dimensions: number;
  models: string[];
  samples: ExplorerSample[];
  keys: Record<string, string[]>;
  vars: string[];
  variance: number[];
}

export interface Selection {
  count: number;
  spectra: number;
  wavelengths_nm: number[];
  mean: (number | null)[];
  sd: (number | null)[];
  samples: { index: number; points: number }[];
  keys: Record<string, Record<string, number>>;
  places: [number, number, number][];
}

export interface Elbow {
  k: number[];
  inertia: number[];
  chosen: number;
}

export interface Confusion {
  classes: string[];
  matrix: number[][];
  accuracy: number;
  balanced_accuracy: number;
  n: number;
  note: string;
}
