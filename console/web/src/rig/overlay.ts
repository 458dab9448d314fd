import type { LiveSample, LiveScan } from '../lib/types';
import type { Group, MineralPicture } from './minerals';
import type { Outline } from './scene.svelte';
import type { Pin } from './spectra.svelte';
import type { Frame } from './viewer.svelte';

export interface Drawn {
  frame: Frame;
  scan: LiveScan;
  outlines: Map<number, Outline>;
  samples: readonly LiveSample[];
  cursor: [number, number] | null;
  pins: readonly Pin[];
  /** What was identified, on the joined picture. */
  minerals: { group: Group; stride: number; pictures: Iterable<MineralPicture> } | null;
  colours: { line: string; found: string; doubt: string; text: string; ground: string; font: string };
}

/** Draws what lies over a picture: places of the tray, what was found with its names, the cross and the pins. */
export function drawOverlay(context: CanvasRenderingContext2D, width: number, height: number, drawn: Drawn): void {
  const { frame, scan, colours } = drawn;
  const px = (mm: number): number => (mm - frame.leftMm) / frame.mmPerPixel;
  const py = (mm: number): number => (mm - frame.topMm) / frame.mmPerPixel;
  context.clearRect(0, 0, width, height);
  // Rows and pixels of the grid have their centres at whole numbers; the picture of the grid begins at the edge of its first pixel.
  const { pixel_mm: pixelMm, x0_mm: x0Mm } = scan.grid;
  const grid = scan.sources.find((source) => source.kind === 'grid');
  const edgeMm = grid?.left_mm ?? x0Mm - pixelMm / 2;
  const column = (pixel: number): number => px(edgeMm + pixel * pixelMm);
  const line = (row: number): number => py((row - 0.5) * pixelMm);
  const found = new Map(drawn.samples.map((sample) => [sample.container, sample]));

  if (drawn.minerals) {
    const { group, stride, pictures } = drawn.minerals;
    const shownMm = grid?.pixel_mm ?? pixelMm;
    context.imageSmoothingEnabled = false;
    for (const picture of pictures) {
      const { canvas, rows } = picture.paint(group, stride, scan.minerals ?? []);
      const [width, length] = [(picture.pixels * shownMm) / frame.mmPerPixel, (rows * pixelMm) / frame.mmPerPixel];
      context.drawImage(canvas, 0, 0, picture.pixels, rows, px(edgeMm + picture.first * shownMm), line(picture.firstRow), width, length);
    }
  }

  context.lineWidth = 1;
  context.strokeStyle = colours.line;
  context.setLineDash([3, 4]);
  for (const place of scan.containers) {
    if (found.has(place.at)) continue;
    box(context, px(place.x_mm), py(place.y_mm), place.width_mm / frame.mmPerPixel, place.length_mm / frame.mmPerPixel, place.round);
  }
  context.setLineDash([]);

  context.lineWidth = 2;
  const step = Math.max(1, Math.ceil((1.5 * frame.mmPerPixel) / pixelMm));
  const doubtful = new Map(drawn.samples.map((sample) => [sample.number, sample.doubts.length > 0]));
  for (const outline of drawn.outlines.values()) {
    context.strokeStyle = doubtful.get(outline.sample) ? colours.doubt : colours.found;
    trace(context, outline, step, column, line);
  }

  context.font = colours.font;
  context.textBaseline = 'top';
  for (const sample of drawn.samples) {
    const place = scan.containers.find((one) => one.at === sample.container);
    const x = place ? px(place.x_mm) : column(sample.first_pixel);
    const y = place ? py(place.y_mm) : line(sample.first_row);
    const room = (place ? place.width_mm : sample.width * pixelMm) / frame.mmPerPixel;
    const words = sample.container + ' ' + sample.sample;
    const mark = sample.doubts.length > 0 ? ' ?' : '';
    label(context, fit(context, words, sample.container, room - context.measureText(mark).width) + mark, x, Math.max(0, y - 19), colours);
  }

  drawn.pins.forEach((pin, k) => {
    const [x, y] = [px(pin.spectrum.x_mm), py(pin.spectrum.y_mm)];
    context.beginPath();
    context.arc(x, y, 8, 0, 7);
    context.fillStyle = pin.colour;
    context.fill();
    context.lineWidth = 2;
    context.strokeStyle = '#000';
    context.stroke();
    context.fillStyle = '#000';
    context.textAlign = 'center';
    context.fillText(String(k + 1), x, y - 6);
    context.textAlign = 'start';
  });

  if (drawn.cursor) {
    const [x, y] = [Math.round(px(drawn.cursor[0])) + 0.5, Math.round(py(drawn.cursor[1])) + 0.5];
    for (const [colour, line] of [['rgb(0 0 0 / 0.6)', 3], ['#fff', 1]] as const) {
      context.strokeStyle = colour;
      context.lineWidth = line;
      context.beginPath();
      context.moveTo(x - 14, y);
      context.lineTo(x - 4, y);
      context.moveTo(x + 4, y);
      context.lineTo(x + 14, y);
      context.moveTo(x, y - 14);
      context.lineTo(x, y - 4);
      context.moveTo(x, y + 4);
      context.lineTo(x, y + 14);
      context.stroke();
    }
  }
}

function box(context: CanvasRenderingContext2D, x: number, y: number, width: number, length: number, round: boolean): void {
  context.beginPath();
  if (round) context.ellipse(x + width / 2, y + length / 2, width / 2, length / 2, 0, 0, 7);
  else context.rect(x, y, width, length);
  context.stroke();
}

/** The rim of a sample: its left ends downwards, and its right ends back. */
function trace(context: CanvasRenderingContext2D, outline: Outline, step: number, px: (pixel: number) => number, py: (row: number) => number): void {
  const rows = [...outline.rows.keys()].sort((a, b) => a - b);
  if (rows.length === 0) return;
  const kept = rows.filter((_, k) => k % step === 0 || k === rows.length - 1);
  const [first, last] = [kept[0] ?? 0, kept.at(-1) ?? 0];
  const left = (row: number): number => px(outline.rows.get(row)?.[0] ?? 0);
  const right = (row: number): number => px((outline.rows.get(row)?.[1] ?? 0) + 1);
  context.beginPath();
  context.moveTo(left(first), py(first));
  for (const row of kept) context.lineTo(left(row), py(row + 0.5));
  context.lineTo(left(last), py(last + 1));
  context.lineTo(right(last), py(last + 1));
  for (const row of kept.reverse()) context.lineTo(right(row), py(row + 0.5));
  context.lineTo(right(first), py(first));
  context.closePath();
  context.stroke();
}

/** The long words where they fit, else as many letters as do, else the short ones. */
function fit(context: CanvasRenderingContext2D, words: string, least: string, room: number): string {
  if (context.measureText(words).width <= room) return words;
  // Names of a tray often begin alike: their ends tell them apart.
  for (let length = words.length - least.length - 2; length > 2; length -= 1) {
    const part = least + ' …' + words.slice(-length);
    if (context.measureText(part).width <= room) return part;
  }
  return least;
}

function label(context: CanvasRenderingContext2D, words: string, x: number, y: number, colours: Drawn['colours']): void {
  const width = context.measureText(words).width;
  context.fillStyle = colours.ground;
  context.globalAlpha = 0.8;
  context.fillRect(x - 1, y, width + 8, 18);
  context.globalAlpha = 1;
  context.fillStyle = colours.text;
  context.fillText(words, x + 3, y + 3);
}
