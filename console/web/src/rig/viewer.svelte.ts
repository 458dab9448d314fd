import { live } from '../lib/live';
import { router } from '../lib/router.svelte';
import { rig } from '../lib/rig.svelte';
import type { SourceInfo } from '../lib/types';
import type { Group } from './minerals';
import { scene } from './scene.svelte';

/** Where a pane looks: place of its upper left corner, and mm per CSS pixel. */
export interface Frame {
  leftMm: number;
  topMm: number;
  mmPerPixel: number;
}

/** What of the pictures is seen, the same in every pane. The address names it. */
class Viewer {
  /** `all`, or the name of a source. */
  shown = $state('all');
  one = $state(false);
  intensity = $state(false);
  root = $state(false);
  saturation = $state(true);
  /** Group of the minerals that lie over the joined picture. 0 shows none. */
  minerals = $state<0 | Group>(0);
  bands = $state.raw<Record<string, number[]>>({});
  /** 1 is the whole. */
  zoom = $state(1);
  centre = $state.raw<[number, number] | null>(null);
  cursor = $state.raw<[number, number] | null>(null);
  #written = '';

  /** Takes what the address says, but for what this wrote itself. An address without words keeps what was seen. */
  read(query: URLSearchParams): void {
    if (query.toString() === this.#written || query.toString() === '') return;
    this.#written = query.toString();
    this.shown = query.get('view') ?? 'all';
    this.one = query.get('one') === '1';
    this.intensity = query.get('colours') === 'intensity';
    this.root = query.get('root') === '1';
    this.saturation = query.get('saturation') !== '0';
    const group = Number(query.get('minerals'));
    this.minerals = group === 1 || group === 2 ? group : 0;
    const bands: Record<string, number[]> = {};
    for (const part of (query.get('bands') ?? '').split(';')) {
      const [name, list] = part.split(':');
      const numbers = (list ?? '').split(',').map(Number).filter(Number.isInteger);
      if (name && list && numbers.length === 3) bands[name] = numbers;
    }
    this.bands = bands;
    const at = (query.get('at') ?? '').split(',').map(Number);
    if (at.length === 3 && at.every(Number.isFinite)) {
      this.centre = [at[0] ?? 0, at[1] ?? 0];
      this.zoom = Math.min(32, Math.max(1, at[2] ?? 1));
    }
  }

  /** Writes the address, and asks for the bands. */
  tell(): void {
    const bands = Object.entries(this.bands).map(([name, list]) => name + ':' + list.join(','));
    router.set({
      view: this.shown === 'all' ? null : this.shown,
      one: this.one ? '1' : null,
      colours: this.intensity ? 'intensity' : null,
      root: this.root ? '1' : null,
      saturation: this.saturation ? null : '0',
      minerals: this.minerals ? String(this.minerals) : null,
      bands: bands.join(';'),
      at: this.zoom > 1 && this.centre ? [...this.centre, this.zoom].map((value) => Number(value.toFixed(1))).join(',') : null,
    });
    this.#written = router.query.toString();
    const wanted: Record<string, number[]> = {};
    for (const source of scene.sources) {
      if (this.shown !== 'all' && this.shown !== source.name) continue;
      const three = this.of(source);
      wanted[source.name] = this.one ? [three[0]] : three;
    }
    if (scene.sources.length > 0) live.bands(wanted);
  }

  /** Bands of a source: the chosen ones, or its own. */
  of(source: SourceInfo): [number, number, number] {
    const bands = this.bands[source.name] ?? source.rgb;
    const most = Math.max(0, source.wavelengths_nm.length - 1);
    return [0, 1, 2].map((k) => Math.min(most, Math.max(0, bands[k] ?? 0))) as [number, number, number];
  }

  choose(source: SourceInfo, channel: number, band: number): void {
    const bands = [...this.of(source)];
    bands[channel] = band;
    this.bands = { ...this.bands, [source.name]: bands };
  }

  /** The part of the tray that there is: left, top, right, bottom, mm. */
  get extent(): [number, number, number, number] {
    void scene.tick;
    let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
    scene.sources.forEach((source, k) => {
      left = Math.min(left, source.left_mm);
      right = Math.max(right, source.left_mm + source.pixels * source.pixel_mm);
      const rows = scene.rings[k]?.extent;
      if (!rows) return;
      top = Math.min(top, rows[0]);
      bottom = Math.max(bottom, rows[1]);
    });
    for (const place of rig.scan?.containers ?? []) {
      top = Math.min(top, place.y_mm - 10);
      bottom = Math.max(bottom, place.y_mm + place.length_mm + 10);
    }
    if (!Number.isFinite(left)) return [0, 0, 300, 400];
    if (!Number.isFinite(top)) [top, bottom] = [0, right - left];
    // Without places of containers, the end is not known: it grows by steps, so that the picture does not shrink with each row.
    if (!rig.scan?.containers.length) bottom = top + Math.max(right - left, Math.ceil((bottom - top) / 100) * 100);
    return [left, top, right, bottom];
  }

  /** Where a pane of a size looks. */
  frame(width: number, height: number): Frame {
    const [left, top, right, bottom] = this.extent;
    const whole = Math.max((right - left) / width, (bottom - top) / height);
    const mmPerPixel = whole / this.zoom;
    const [x, y] = this.zoom > 1 && this.centre ? this.centre : [(left + right) / 2, (top + bottom) / 2];
    return { leftMm: x - (width / 2) * mmPerPixel, topMm: y - (height / 2) * mmPerPixel, mmPerPixel };
  }

  /** Zooms by a factor and keeps a place where it is in its frame. */
  zoomAt(factor: number, place: [number, number], frame: Frame, width: number, height: number): void {
    const zoom = Math.min(32, Math.max(1, this.zoom * factor));
    const ratio = this.zoom / zoom;
    const centre: [number, number] = [frame.leftMm + (width / 2) * frame.mmPerPixel, frame.topMm + (height / 2) * frame.mmPerPixel];
    this.centre = [place[0] + (centre[0] - place[0]) * ratio, place[1] + (centre[1] - place[1]) * ratio];
    this.zoom = zoom;
  }

  /** Zooms about the cross, or the middle of what is seen. */
  zoomBy(factor: number): void {
    const [left, top, right, bottom] = this.extent;
    this.centre = this.cursor ?? this.centre ?? [(left + right) / 2, (top + bottom) / 2];
    this.zoom = Math.min(32, Math.max(1, this.zoom * factor));
  }

  whole(): void {
    this.zoom = 1;
    this.centre = null;
  }
}

export const viewer = new Viewer();
