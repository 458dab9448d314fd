import { live } from '../lib/live';
import type { LedgerRun, LightSample, MineralRow, OutlineRow } from '../lib/live/decode';
import type { LiveScan, SourceInfo } from '../lib/types';
import { testHook } from '../lib/testhook';
import { MineralPicture } from './minerals';
import { Ring } from './ring';

/** Left and right end of a sample on each grid row, in grid pixels. */
export interface Outline {
  sample: number;
  rows: Map<number, [number, number]>;
}

const LIGHT_KEPT = 4000;
const RUNS_KEPT = 20_000;

/** What is seen of the scan. Rows are too many for the page's own bookkeeping: `version` tells painters that something is new. */
class Scene {
  rings: Ring[] = [];
  outlines = new Map<number, Outline>();
  /** Minerals of each sample, by its number. */
  minerals = new Map<number, MineralPicture>();
  ledger: LedgerRun[][] = [];
  light: LightSample[][] = [];
  version = 0;
  /** Rises with the outlines and the minerals. */
  outlined = 0;
  /** Which scan the rows are of. */
  #of = '';
  sources = $state.raw<SourceInfo[]>([]);
  /** Rises a few times a second while something comes in, for small curves. */
  tick = $state(0);
  #timer = 0;

  constructor() {
    live.on('scan', (scan) => this.#begin(scan));
    live.on('picture', (row) => {
      this.rings[row.source]?.take(row);
      this.#touch();
    });
    live.on('ledger', (run) => this.#ledger(run));
    live.on('light', (sample) => this.#light(sample));
    live.on('outline', (row) => this.#outline(row));
    live.on('minerals', (row) => this.#minerals(row));
    testHook('scene', this);
  }

  get rows(): number {
    return this.rings.reduce((sum, ring) => sum + ring.count, 0);
  }

  /** The name, the frame and the pixel of each camera that has a line at a place, mm. */
  frames(x: number, y: number): [string, number, number][] {
    const found: [string, number, number][] = [];
    this.sources.forEach((source, k) => {
      const ring = this.rings[k];
      if (source.kind === 'grid' || !ring) return;
      const slot = ring.at(y);
      const pixel = Math.floor((x - source.left_mm) / source.pixel_mm);
      if (slot >= 0 && pixel >= 0 && pixel < source.pixels) found.push([source.name, ring.index[slot] ?? 0, pixel]);
    });
    return found;
  }

  #begin(scan: LiveScan | null): void {
    const of = scan ? scan.scan + ' ' + scan.sources.map((source) => source.name + source.pixels).join(' ') : '';
    if (of === this.#of) return;
    this.#of = of;
    this.sources = scan?.sources ?? [];
    this.rings = this.sources.map((source) => new Ring(source.pixels, source.kind === 'grid'));
    this.ledger = this.sources.map(() => []);
    this.light = this.sources.map(() => []);
    this.outlines.clear();
    this.minerals.clear();
    this.outlined += 1;
    this.#touch(true);
  }

  #ledger(run: LedgerRun): void {
    const runs = this.ledger[run.camera];
    if (!runs) return;
    const last = runs.at(-1);
    if (last && run.first < last.first + last.count) return;
    if (last && last.status === run.status && last.first + last.count === run.first) {
      last.count += run.count;
      last.toMm = run.toMm;
    } else {
      runs.push(run);
      if (runs.length > RUNS_KEPT) runs.splice(0, RUNS_KEPT / 2);
    }
    this.#touch();
  }

  #light(sample: LightSample): void {
    const samples = this.light[sample.camera];
    if (!samples) return;
    const last = samples.at(-1);
    if (last && sample.yMm <= last.yMm) return;
    samples.push(sample);
    // Half of the older ones go: the curve keeps its whole length.
    if (samples.length > LIGHT_KEPT) this.light[sample.camera] = samples.filter((_, k) => k % 2 === 0);
    this.#touch();
  }

  #outline(row: OutlineRow): void {
    let outline = this.outlines.get(row.sample);
    if (!outline) {
      outline = { sample: row.sample, rows: new Map() };
      this.outlines.set(row.sample, outline);
    }
    const first = Math.min(...row.runs.map((run) => run[0]));
    const last = Math.max(...row.runs.map((run) => run[1]));
    if (row.runs.length > 0) outline.rows.set(row.row, [first, last]);
    this.outlined += 1;
    this.#touch();
  }

  #minerals(row: MineralRow): void {
    let picture = this.minerals.get(row.sample);
    if (!picture) this.minerals.set(row.sample, (picture = new MineralPicture(row)));
    picture.take(row);
    this.outlined += 1;
    this.#touch();
  }

  #touch(now = false): void {
    this.version += 1;
    if (now) {
      this.tick += 1;
    } else if (this.#timer === 0) {
      // What comes last is told too, after a while.
      this.#timer = window.setTimeout(() => {
        this.#timer = 0;
        this.tick += 1;
      }, 400);
    }
  }
}

export const scene = new Scene();
