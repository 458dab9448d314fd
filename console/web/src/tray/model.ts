import type { TrayContainer, TrayMap } from '../lib/types';

/** Where a container lies, mm from the tray's side and its leading edge. */
export interface Foot {
  x: number;
  y: number;
  width: number;
  length: number;
  round: boolean;
}

/** A place of the tray, with what lies in it. No sample: it is empty. */
export interface Place {
  at: string;
  foot: Foot | null;
  height: number | null;
  sample: string;
  values: Record<string, string>;
  vars: Record<string, number>;
}

export interface Sheet {
  name: string;
  keys: string[];
  grid: { rows: number; columns: number } | null;
  places: Place[];
}

const fixed = new Set(['at', 'sample', 'x_mm', 'y_mm', 'width_mm', 'length_mm', 'diameter_mm', 'height_mm', 'vars']);

export function placeName(row: number, column: number): string {
  return String.fromCharCode(65 + row) + (column + 1);
}

function empty(at: string): Place {
  return { at, foot: null, height: null, sample: '', values: {}, vars: {} };
}

/** A regular tray without samples. */
export function blank(rows = 4, columns = 3, keys: string[] = ['plant', 'month', 'size']): Sheet {
  const places: Place[] = [];
  for (let row = 0; row < rows; row += 1) for (let column = 0; column < columns; column += 1) places.push(empty(placeName(row, column)));
  return { name: '', keys, grid: { rows, columns }, places };
}

function foot(container: TrayContainer): Foot | null {
  if (typeof container.x_mm !== 'number' || typeof container.y_mm !== 'number') return null;
  if (typeof container.diameter_mm === 'number') {
    return { x: container.x_mm, y: container.y_mm, width: container.diameter_mm, length: container.diameter_mm, round: true };
  }
  if (typeof container.width_mm !== 'number' || typeof container.length_mm !== 'number') return null;
  return { x: container.x_mm, y: container.y_mm, width: container.width_mm, length: container.length_mm, round: false };
}

/** The sheet of a map, with the empty places of its grid. */
export function fromMap(map: TrayMap): Sheet {
  const keys = Array.isArray(map.keys) ? map.keys.map(String) : [];
  const grid = map.grid && Number.isInteger(map.grid.rows) && Number.isInteger(map.grid.columns) ? { rows: map.grid.rows, columns: map.grid.columns } : null;
  const containers = Array.isArray(map.container) ? map.container : [];
  const given = containers.map((container, k): Place => {
    const values: Record<string, string> = {};
    for (const [key, value] of Object.entries(container)) if (!fixed.has(key) && value != null) values[key] = String(value);
    return {
      at: container.at ?? String(k + 1),
      foot: foot(container),
      height: typeof container.height_mm === 'number' ? container.height_mm : null,
      sample: String(container.sample ?? ''),
      values,
      vars: { ...container.vars },
    };
  });
  // Places of the grid that the map does not name lie where nobody said: they are drawn only where none has measures.
  const places = grid && !given.some((place) => place.foot) ? mergeGrid(grid, given) : given;
  return { name: String(map.tray ?? ''), keys, grid, places };
}

function mergeGrid(grid: { rows: number; columns: number }, given: Place[]): Place[] {
  const named = new Map(given.map((place) => [place.at, place]));
  const cells = blank(Math.min(26, grid.rows), Math.min(99, grid.columns), []).places;
  const known = new Set(cells.map((place) => place.at));
  return [...cells.map((place) => named.get(place.at) ?? place), ...given.filter((place) => !known.has(place.at))];
}

/** A sheet on the places of another, where they go together: places that it does not name stay, and are empty. */
export function layOn(shape: Sheet, sheet: Sheet): Sheet {
  const named = new Map(sheet.places.map((place) => [place.at, place]));
  const fits = sheet.places.every((place) => shape.places.some((one) => one.at === place.at && Boolean(one.foot) === Boolean(place.foot)));
  if (!fits) return sheet;
  const places = shape.places.map((place) => named.get(place.at) ?? { ...place, sample: '', values: {}, vars: {} });
  return { ...sheet, grid: sheet.grid ?? shape.grid, places };
}

/** The map that the daemon takes, and for each of its containers the index of its place. */
export function toMap(sheet: Sheet): { map: TrayMap; order: number[] } {
  const order: number[] = [];
  const container: TrayContainer[] = [];
  sheet.places.forEach((place, k) => {
    if (!place.sample) return;
    order.push(k);
    const one: TrayContainer = { sample: place.sample };
    if (sheet.grid) one.at = place.at;
    for (const key of sheet.keys) if (place.values[key]) one[key] = place.values[key];
    if (place.foot) {
      one.x_mm = place.foot.x;
      one.y_mm = place.foot.y;
      if (place.foot.round) one.diameter_mm = place.foot.width;
      else Object.assign(one, { width_mm: place.foot.width, length_mm: place.foot.length });
    }
    if (place.height !== null) one.height_mm = place.height;
    if (Object.keys(place.vars).length > 0) one.vars = { ...place.vars };
    container.push(one);
  });
  return { map: { tray: sheet.name, keys: [...sheet.keys], ...(sheet.grid ? { grid: { ...sheet.grid } } : {}), container }, order };
}

/** The whole sheet as a map, empty places too: what is kept as a preset. */
export function asPreset(sheet: Sheet): TrayMap {
  const filled = { ...sheet, places: sheet.places.map((place) => ({ ...place, sample: place.sample || ' ' })) };
  const { map } = toMap(filled);
  for (const one of map.container) if (one.sample === ' ') one.sample = '';
  return map;
}

/** `container[3].plant` → place and field; null where a fault is of the whole tray. */
export function whereIs(path: string, order: readonly number[]): { place: number; field: string } | null {
  const found = /^container\[(\d+)\](?:\.(.+))?$/.exec(path);
  if (!found) return null;
  const place = order[Number(found[1])];
  return place === undefined ? null : { place, field: found[2] ?? '' };
}

export interface Drawn {
  left: number;
  top: number;
  width: number;
  length: number;
  round: boolean;
}

/** Where each place is drawn, and the size of all. Without measures, all cells are alike. */
export function layout(sheet: Sheet): { boxes: Drawn[]; width: number; length: number; scaled: boolean } {
  const feet = sheet.places.map((place) => place.foot);
  if (feet.length > 0 && feet.every((one) => one !== null)) {
    const all = feet as Foot[];
    const margin = 8;
    const left = Math.min(0, ...all.map((one) => one.x));
    const top = Math.min(0, ...all.map((one) => one.y));
    // The far sides of the tray are not known: they are drawn as far from the places as the near ones.
    const aside = Math.max(0, Math.min(...all.map((one) => one.x)) - left);
    const behind = Math.max(0, Math.min(...all.map((one) => one.y)) - top);
    return {
      boxes: all.map((one) => ({ left: one.x - left + margin, top: one.y - top + margin, width: one.width, length: one.length, round: one.round })),
      width: Math.max(...all.map((one) => one.x + one.width)) - left + aside + 2 * margin,
      length: Math.max(...all.map((one) => one.y + one.length)) - top + behind + 2 * margin,
      scaled: true,
    };
  }
  const columns = sheet.grid?.columns ?? Math.max(1, Math.ceil(Math.sqrt(sheet.places.length)));
  const rows = sheet.grid?.rows ?? Math.ceil(sheet.places.length / columns);
  const [cell, gap] = [60, 12];
  const boxes = sheet.places.map((place, k): Drawn => {
    const found = /^([A-Z])(\d+)$/.exec(place.at);
    const row = found && sheet.grid ? (found[1] ?? 'A').charCodeAt(0) - 65 : Math.floor(k / columns);
    const column = found && sheet.grid ? Number(found[2]) - 1 : k % columns;
    return { left: gap + column * (cell + gap), top: gap + row * (cell + gap), width: cell, length: cell, round: false };
  });
  return { boxes, width: columns * (cell + gap) + gap, length: Math.max(1, rows) * (cell + gap) + gap, scaled: false };
}

/** The nearest place in a direction, for the arrow keys. */
export function neighbour(boxes: readonly Drawn[], from: number, way: [number, number]): number {
  const here = boxes[from];
  if (!here) return from;
  let best = from;
  let least = Infinity;
  boxes.forEach((box, k) => {
    if (k === from) return;
    const dx = box.left + box.width / 2 - here.left - here.width / 2;
    const dy = box.top + box.length / 2 - here.top - here.length / 2;
    const along = dx * way[0] + dy * way[1];
    const aside = Math.abs(dx * way[1]) + Math.abs(dy * way[0]);
    if (along <= 1) return;
    const far = along + 2 * aside;
    if (far < least) [least, best] = [far, k];
  });
  return best;
}
