// Scalars by viridis or cividis, categories by Okabe and Ito: read as well by those who see few colours.

export type Rgb = [number, number, number];

/** Okabe and Ito's palette without black, in an order whose neighbours differ most. */
export const okabeIto: readonly string[] = ['#E69F00', '#56B4E9', '#009E73', '#CC79A7', '#0072B2', '#D55E00', '#F0E442', '#999999'];

/**
 * Colours of minerals, one for each of the forty of the demo's library: Okabe and Ito's first, those of the daemon's own map, and those
 * that differ most from all before them.
 */
const mineralPalette: readonly string[] = [
  ...okabeIto.slice(0, 7),
  '#999933', '#882255', '#44AA99', '#DDCC77', '#AA4499', '#BEE696', '#966E3C',
  '#3C5AE1', '#FF2D5A', '#00FF96', '#1E9600', '#FF9687', '#B4A5FF', '#00FFE1', '#FF78FF', '#A5F05A', '#FF2D96', '#A53C2D', '#4B693C', '#78F0FF',
  '#B4B496', '#FFD2FF', '#963CC3', '#C30F0F', '#785A96', '#E15A78', '#965A5A', '#5AC369', '#007887', '#B4F0D2', '#2D96FF', '#96B400', '#FFA5FF',
];
/** Pixels without a mineral. */
export const NOT_IDENTIFIED = '#707074';

const viridisStops =
  '440154 482173 433e85 38598c 2d708e 25858e 1e9b8a 2ab07f 52c569 86d549 c2df23 fde725';
const cividisStops =
  '00224e 08306f 2a3f6d 434e6c 575d6d 696d71 7c7b78 918b78 a69d75 bcae6c d3c164 ebd454 fee838';

function ramp(stops: string): (value: number) => Rgb {
  const colours = stops.split(' ').map((hex) => parse('#' + hex));
  return (value) => {
    const at = Math.min(1, Math.max(0, value)) * (colours.length - 1);
    const low = colours[Math.floor(at)] ?? [0, 0, 0];
    const high = colours[Math.min(colours.length - 1, Math.floor(at) + 1)] ?? low;
    const share = at - Math.floor(at);
    return [0, 1, 2].map((k) => Math.round((low[k] ?? 0) + share * ((high[k] ?? 0) - (low[k] ?? 0)))) as Rgb;
  };
}

/** Colour of a value from 0 to 1. */
export const viridis = ramp(viridisStops);
export const cividis = ramp(cividisStops);

/** A table of 256 colours, RGBA, for textures and image data. */
export function table(scale: (value: number) => Rgb): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(256 * 4);
  for (let k = 0; k < 256; k += 1) out.set([...scale(k / 255), 255], 4 * k);
  return out;
}

export function parse(hex: string): Rgb {
  const value = Number.parseInt(hex.slice(1), 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}

/** Black or white, whichever is read better on a colour. */
export function ink(colour: Rgb): string {
  const light = colour.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
  const luminance = 0.2126 * (light[0] ?? 0) + 0.7152 * (light[1] ?? 0) + 0.0722 * (light[2] ?? 0);
  return luminance > 0.179 ? '#000' : '#fff';
}

export function css([r, g, b]: Rgb, alpha = 1): string {
  return alpha === 1 ? `rgb(${r} ${g} ${b})` : `rgb(${r} ${g} ${b} / ${alpha})`;
}

/**
 * The colours of the values of a key, the same on every page. The known ones are taken in their sorted order, so that colours do not
 * depend on the order of scans; a value that is not among them gets one by its name.
 */
export function categories(values: readonly string[]): (value: string) => string {
  const sorted = [...new Set(values)].sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  const index = new Map(sorted.map((value, k) => [value, k]));
  return (value) => okabeIto[(index.get(value) ?? hash(value)) % okabeIto.length] ?? '#999999';
}

const known = new Map<string, Map<string, string>>();

/**
 * The colour of one value of one key wherever it is seen. The name decides, so that it is the same in every browser and on every page.
 * Only where another value of the key has that colour already is the next free one taken.
 */
export function categoryColour(key: string, value: string): string {
  let of = known.get(key);
  if (!of) known.set(key, (of = new Map()));
  const found = of.get(value);
  if (found) return found;
  const taken = new Set(of.values());
  const palette = key === 'mineral' ? mineralPalette : okabeIto.slice(0, -1);
  let at = hash(value) % palette.length;
  for (let step = 0; step < palette.length && taken.has(palette[at] ?? ''); step += 1) at = (at + 1) % palette.length;
  const colour = palette[at] ?? '#999999';
  of.set(value, colour);
  return colour;
}

/** Gives the values of keys their colours in a fixed order. */
export function registerCategories(keys: Record<string, readonly string[]>): void {
  for (const [key, values] of Object.entries(keys)) for (const value of [...values].sort()) categoryColour(key, value);
}

function hash(text: string): number {
  let value = 2166136261;
  for (let k = 0; k < text.length; k += 1) value = Math.imul(value ^ text.charCodeAt(k), 16777619) >>> 0;
  return value;
}

/** Colour of a pin: the n-th of the palette. */
export function pinColour(n: number): string {
  return okabeIto[n % okabeIto.length] ?? '#999999';
}
