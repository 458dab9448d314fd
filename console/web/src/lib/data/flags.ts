// Quality flags of pixels: the gravest of each is shown.
import { parse, okabeIto } from '../colour';
import type { Planes } from './image';

export type FlagName = 'saturated' | 'bad_pixel' | 'gap' | 'low_signal' | 'out_of_view' | 'no_data' | 'edge' | 'missing_bands';

/** From the gravest to the least. Those before `low_signal` take the pixel out. */
export const FLAGS: readonly { name: FlagName; bit: number; colour: string }[] = [
  { name: 'saturated', bit: 1, colour: okabeIto[5] ?? '' },
  { name: 'gap', bit: 4, colour: okabeIto[6] ?? '' },
  { name: 'out_of_view', bit: 16, colour: okabeIto[7] ?? '' },
  { name: 'no_data', bit: 32, colour: '#ffffff' },
  { name: 'low_signal', bit: 8, colour: okabeIto[0] ?? '' },
  { name: 'missing_bands', bit: 128, colour: okabeIto[2] ?? '' },
  { name: 'bad_pixel', bit: 2, colour: okabeIto[3] ?? '' },
  { name: 'edge', bit: 64, colour: okabeIto[4] ?? '' },
];
export const GOOD = '#3b4650';

/** Paints flags, and counts the pixels that have each. */
export function paintFlags(canvas: HTMLCanvasElement, { data, shape: [, lines, pixels] }: Planes): Map<FlagName | 'good', number> {
  canvas.width = pixels;
  canvas.height = lines;
  const counts = new Map<FlagName | 'good', number>();
  const context = canvas.getContext('2d');
  if (!context || !data.length) return counts;
  const image = context.createImageData(pixels, lines);
  const colours = FLAGS.map((flag) => parse(flag.colour));
  const good = parse(GOOD);
  for (let at = 0; at < data.length; at += 1) {
    const flags = data[at] ?? NaN;
    if (!Number.isFinite(flags)) continue;
    const worst = FLAGS.findIndex((flag) => (flags & flag.bit) !== 0);
    const name = FLAGS[worst]?.name ?? 'good';
    counts.set(name, (counts.get(name) ?? 0) + 1);
    image.data.set([...(colours[worst] ?? good), 255], at * 4);
  }
  context.putImageData(image, 0, 0);
  return counts;
}
