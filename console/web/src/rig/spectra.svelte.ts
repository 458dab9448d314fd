import { api, isAbort, path, Problem } from '../lib/api';
import { pinColour } from '../lib/colour';
import { rig } from '../lib/rig.svelte';
import type { CameraCounts, Spectrum } from '../lib/types';
import { scene } from './scene.svelte';

export interface Pin {
  colour: string;
  spectrum: Spectrum;
}

const MOST_PINS = 7;

/** The spectrum under the cursor, and those that are pinned. */
class Spectra {
  now = $state.raw<Spectrum | null>(null);
  /** What the cameras counted, where no sample is stored yet. */
  counts = $state.raw<CameraCounts[]>([]);
  /** Why there is no spectrum of a sample. */
  state = $state<'none' | 'missing' | 'failed' | 'shown'>('none');
  pins = $state.raw<Pin[]>([]);
  #timer = 0;
  #asked: AbortController | null = null;

  /** Asks for the spectrum at a place, once the cursor rests. */
  point(x: number, y: number, pin = false): void {
    window.clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => void this.#ask(x, y, pin), pin ? 0 : 90);
  }

  async #ask(x: number, y: number, pin: boolean): Promise<void> {
    const scan = rig.scan?.scan;
    if (!scan) return;
    this.#asked?.abort();
    const asked = new AbortController();
    this.#asked = asked;
    try {
      const query = `?x_mm=${x.toFixed(2)}&y_mm=${y.toFixed(2)}`;
      const spectrum = await api.get<Spectrum>(path('scans', scan, 'spectrum') + query, asked.signal);
      this.now = spectrum;
      this.counts = [];
      this.state = 'shown';
      if (pin) this.#pin(spectrum);
    } catch (error) {
      if (isAbort(error)) return;
      const missing = error instanceof Problem && error.status === 404;
      const counts = missing ? await this.#counted(scan, x, y, asked.signal) : [];
      if (asked.signal.aborted) return;
      this.now = null;
      this.counts = counts;
      this.state = missing ? 'missing' : 'failed';
    }
  }

  /** What the cameras counted at a place, from the recording. Nothing where there is none. */
  async #counted(scan: string, x: number, y: number, signal: AbortSignal): Promise<CameraCounts[]> {
    const at = scene.frames(x, y).map(([name, frame, pixel]) => [name, frame, pixel].join(':'));
    if (at.length === 0) return [];
    try {
      const found = await api.get<{ cameras: CameraCounts[] }>(path('scans', scan, 'counts') + '?at=' + encodeURIComponent(at.join(';')), signal);
      return found.cameras;
    } catch {
      return [];
    }
  }

  #pin(spectrum: Spectrum): void {
    const same = (pin: Pin): boolean => pin.spectrum.sample === spectrum.sample && pin.spectrum.line === spectrum.line && pin.spectrum.pixel === spectrum.pixel;
    if (this.pins.some(same)) {
      this.pins = this.pins.filter((pin) => !same(pin));
      return;
    }
    const used = new Set(this.pins.map((pin) => pin.colour));
    let n = 0;
    while (used.has(pinColour(n)) && n < MOST_PINS) n += 1;
    const kept = this.pins.length >= MOST_PINS ? this.pins.slice(1) : this.pins;
    this.pins = [...kept, { colour: this.pins.length >= MOST_PINS ? (this.pins[0]?.colour ?? pinColour(0)) : pinColour(n), spectrum }];
  }

  remove(pin: Pin): void {
    this.pins = this.pins.filter((one) => one !== pin);
  }

  clear(): void {
    this.pins = [];
  }

  /** Forgets what is of another scan. */
  reset(): void {
    window.clearTimeout(this.#timer);
    this.#asked?.abort();
    this.now = null;
    this.counts = [];
    this.state = 'none';
    this.pins = [];
  }
}

export const spectra = new Spectra();
