import { api, Problem } from '../lib/api';
import { i18n } from '../lib/i18n/index.svelte';
import { keep, kept } from '../lib/theme.svelte';
import type { Fault, TrayMap } from '../lib/types';
import { asPreset, blank, fromMap, layOn, toMap, whereIs, type Place, type Sheet } from './model';
import { sound } from './sound';

export type Said = { kind: 'taken' | 'unknown' | 'twice'; code: string; at: string } | null;

function stored(): Sheet {
  try {
    const text = kept('tray');
    return text ? fromMap(JSON.parse(text) as TrayMap) : blank();
  } catch {
    return blank();
  }
}

/** The tray that is laid, its faults, and the worklist. It outlives the page and a reload. */
class Editor {
  sheet = $state.raw<Sheet>(stored());
  selected = $state(0);
  faults = $state.raw<Fault[]>([]);
  /** Whether the daemon judged the present sheet. */
  checked = $state(false);
  checkFailed = $state.raw<unknown>(null);
  worklist = $state.raw<{ tray: TrayMap; faults: Fault[] }[] | null>(null);
  worklistName = $state('');
  said = $state.raw<Said>(null);
  /** Places whose container was scanned. */
  scanned = $state.raw<ReadonlySet<string>>(new Set());
  #past = $state.raw<Sheet[]>([]);
  #field = '';
  #timer = 0;
  #asked = 0;
  #order: number[] = [];

  get canUndo(): boolean {
    return this.#past.length > 0;
  }

  get place(): Place | undefined {
    return this.sheet.places[this.selected];
  }

  get filled(): number {
    return this.sheet.places.filter((place) => place.sample).length;
  }

  /** Changes the sheet. Changes of one field by and by are undone at once. */
  change(next: Sheet, field = ''): void {
    if (field === '' || field !== this.#field) this.#past = [...this.#past.slice(-99), this.sheet];
    this.#field = field;
    this.#put(next);
  }

  undo(): void {
    const before = this.#past.at(-1);
    if (!before) return;
    this.#past = this.#past.slice(0, -1);
    this.#field = '';
    this.#put(before);
  }

  #put(next: Sheet): void {
    this.sheet = next;
    this.selected = Math.min(this.selected, Math.max(0, next.places.length - 1));
    keep('tray', JSON.stringify(asPreset(next)));
    this.check();
  }

  setPlace(index: number, change: Partial<Place>, field: string): void {
    const places = this.sheet.places.map((place, k) => (k === index ? { ...place, ...change } : place));
    this.change({ ...this.sheet, places }, field + index);
  }

  setValue(index: number, key: string, value: string): void {
    const place = this.sheet.places[index];
    if (place) this.setPlace(index, { values: { ...place.values, [key]: value } }, 'value ' + key);
  }

  /** Gives each filled place a value of a key. */
  toAll(key: string, value: string): void {
    const places = this.sheet.places.map((place) => (place.sample ? { ...place, values: { ...place.values, [key]: value } } : place));
    this.change({ ...this.sheet, places });
  }

  /** Lays a map, on the places that there are where `keep` says so. */
  load(map: TrayMap, keep = false): void {
    this.change(keep ? layOn(this.sheet, fromMap(map)) : fromMap(map));
    this.selected = 0;
    this.scanned = new Set();
    this.said = null;
  }

  clear(): void {
    const places = this.sheet.places.map((place) => ({ ...place, sample: '', values: {}, vars: {} }));
    this.change({ ...this.sheet, name: '', places });
    this.selected = 0;
    this.scanned = new Set();
    this.said = null;
  }

  /** Asks the daemon, once the changes rest. */
  check(): void {
    this.checked = false;
    window.clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => void this.#check(), 250);
  }

  async #check(): Promise<void> {
    const { map, order } = toMap(this.sheet);
    this.#asked += 1;
    const mine = this.#asked;
    try {
      const answer = await api.post<{ faults: Fault[] }>('/api/trays/check', { tray: map });
      if (mine !== this.#asked) return;
      this.take(answer.faults, order);
      this.checkFailed = null;
      this.checked = true;
    } catch (error) {
      if (mine !== this.#asked) return;
      this.checkFailed = error;
    }
  }

  take(faults: Fault[], order: number[] = toMap(this.sheet).order): void {
    this.#order = order;
    this.faults = faults;
  }

  /** The fault of a field of a place, in words. */
  faultOf(index: number, field: string): string | undefined {
    return this.faults.find((fault) => {
      const where = whereIs(fault.path, this.#order);
      return where?.place === index && where.field === field;
    })?.problem;
  }

  where(fault: Fault): { place: number; field: string } | null {
    return whereIs(fault.path, this.#order);
  }

  /** Indices of places with a fault. */
  get faulty(): Set<number> {
    const out = new Set<number>();
    for (const fault of this.faults) {
      const where = whereIs(fault.path, this.#order);
      if (where) out.add(where.place);
    }
    return out;
  }

  /** A scanned code goes to the present place. */
  scan(code: string): void {
    const index = this.selected;
    const place = this.sheet.places[index];
    if (!place) return;
    const known = this.#fromWorklist(code);
    const other = this.sheet.places.findIndex((one, k) => k !== index && one.sample === code);
    if (this.worklist && !known) return this.#say({ kind: 'unknown', code, at: place.at }, false);
    if (other >= 0 && (!this.worklist || this.scanned.has(this.sheet.places[other]?.at ?? ''))) {
      return this.#say({ kind: 'twice', code, at: this.sheet.places[other]?.at ?? '' }, false);
    }
    const places = [...this.sheet.places];
    const before = places[index];
    const elsewhere = places[other];
    // What the worklist had elsewhere changes its place with what is here.
    if (elsewhere && before) places[other] = { ...elsewhere, sample: before.sample, values: before.values, vars: before.vars };
    places[index] = { ...place, sample: code, values: known?.values ?? place.values, vars: known?.vars ?? place.vars };
    this.change({ ...this.sheet, places });
    this.scanned = new Set([...this.scanned, place.at]);
    this.#say({ kind: 'taken', code, at: place.at }, true);
    if (index + 1 < places.length) this.selected = index + 1;
  }

  #say(said: Said, taken: boolean): void {
    this.said = said;
    sound(taken);
  }

  #fromWorklist(code: string): { values: Record<string, string>; vars: Record<string, number> } | null {
    for (const { tray } of this.worklist ?? []) {
      const found = fromMap(tray).places.find((place) => place.sample === code);
      if (found) return { values: found.values, vars: found.vars };
    }
    return null;
  }

  /** Reads a worklist, or a tray map as JSON. The first tray of it is laid. */
  async read(file: File): Promise<void> {
    const text = await file.text();
    const body: { csv?: string; rows?: unknown; tray?: TrayMap } = {};
    if (/\.json$/i.test(file.name) || /^\s*[[{]/.test(text)) {
      let value: unknown;
      try {
        value = JSON.parse(text);
      } catch {
        throw new Problem({ status: 422, title: file.name, detail: i18n.t.tray.notJson });
      }
      if (value && typeof value === 'object' && 'container' in value) {
        this.load(value as TrayMap);
        return;
      }
      body.rows = value;
    } else {
      body.csv = text;
    }
    const shape = asPreset(this.sheet);
    // Trays that the worklist does not name are called after this one, where it has a name.
    if (!shape.tray) delete (shape as Partial<TrayMap>).tray;
    if (shape.container.length > 0) body.tray = shape;
    const answer = await api.post<{ trays: { tray: TrayMap; faults: Fault[] }[] }>('/api/trays/worklist', body);
    this.worklist = answer.trays;
    this.worklistName = file.name;
    const first = answer.trays[0];
    if (first) this.load(first.tray, true);
  }

  dropWorklist(): void {
    this.worklist = null;
    this.worklistName = '';
    this.said = null;
  }
}

export const editor = new Editor();
