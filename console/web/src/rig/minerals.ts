import { categoryColour, NOT_IDENTIFIED, parse, type Rgb } from '../lib/colour';
import type { MineralRow } from '../lib/live/decode';

/** The byte of a pixel that was not judged. */
const NOT_JUDGED = 255;

/** Groups of minerals: 1 electronic, 2 vibrational. */
export type Group = 1 | 2;

/** The colour of a code: 0 is not identified, `n` the n-th name. */
export function mineralColour(code: number, names: readonly string[]): string {
  const name = code > 0 ? names[code - 1] : undefined;
  return name ? categoryColour('mineral', name) : NOT_IDENTIFIED;
}

/** The minerals of a sample so far: a pixel for each pixel and row of the grid's picture. */
export class MineralPicture {
  /** First pixel of the grid's picture. */
  readonly first: number;
  readonly firstRow: number;
  readonly pixels: number;
  /** Pixels of each code, by group. */
  readonly counts: [Map<number, number>, Map<number, number>] = [new Map(), new Map()];
  #rows: MineralRow[] = [];
  #seen = new Set<number>();
  #canvas = document.createElement('canvas');
  #group: Group = 1;
  #painted = 0;

  constructor(row: MineralRow) {
    [this.first, this.firstRow, this.pixels] = [row.first, row.row, row.pixels];
    this.#canvas.width = this.pixels;
    this.#canvas.height = 0;
  }

  take(row: MineralRow): void {
    if (row.pixels !== this.pixels || row.row < this.firstRow || this.#seen.has(row.row)) return;
    this.#seen.add(row.row);
    this.#rows.push(row);
    row.winners.forEach((codes, group) => {
      const counts = this.counts[group as 0 | 1];
      for (const code of codes) if (code !== NOT_JUDGED) counts.set(code, (counts.get(code) ?? 0) + 1);
    });
  }

  /** The picture of a group and its height in rows. A row that came stands for `stride` of them. Only new rows are painted. */
  paint(group: Group, stride: number, names: readonly string[]): { canvas: HTMLCanvasElement; rows: number } {
    if (group !== this.#group) [this.#group, this.#painted] = [group, 0];
    const rows = this.#rows.reduce((most, row) => Math.max(most, row.row - this.firstRow + stride), 0);
    if (rows > this.#canvas.height) {
      // A canvas that changes its size is empty.
      this.#canvas.height = Math.max(256, 2 * rows);
      this.#painted = 0;
    }
    const context = this.#canvas.getContext('2d');
    if (context && this.#painted < this.#rows.length) {
      const colours = new Map<number, Rgb>();
      const image = context.createImageData(this.pixels, stride);
      for (const row of this.#rows.slice(this.#painted)) {
        const codes = row.winners[group - 1];
        for (let at = 0; at < this.pixels * stride; at += 1) {
          const code = codes?.[at % this.pixels] ?? NOT_JUDGED;
          let colour = colours.get(code);
          if (!colour) colours.set(code, (colour = parse(mineralColour(code, names))));
          image.data.set([...colour, code === NOT_JUDGED ? 0 : 255], 4 * at);
        }
        context.putImageData(image, 0, row.row - this.firstRow);
      }
      this.#painted = this.#rows.length;
    }
    return { canvas: this.#canvas, rows };
  }
}
