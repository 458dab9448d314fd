import { parse } from '../lib/colour';
import { testHook } from '../lib/testhook';
import { token } from '../lib/theme.svelte';
import type { SourceInfo } from '../lib/types';
import { GlPainter, type View } from './gl';
import { PlainPainter } from './plain';
import { brightness } from './ring';
import { scene } from './scene.svelte';
import { viewer } from './viewer.svelte';

/** A pane of the page in which a picture is seen. */
export interface Pane {
  source: SourceInfo;
  which: number;
  element: HTMLElement;
}

/** The one canvas behind all panes. It paints where something is new. */
export class Stage {
  readonly panes = new Set<Pane>();
  #painter: GlPainter | PlainPainter | null;
  #seen = '';
  #gain = new Map<number, { at: number; value: [number, number, number] }>();
  #frames = 0;
  #painted = 0;
  #pace = 16;
  #coarse = false;

  constructor(private readonly canvas: HTMLCanvasElement) {
    this.#painter = GlPainter.on(canvas) ?? PlainPainter.on(canvas);
    testHook('painter', this.#painter instanceof GlPainter ? 'webgl2' : 'plain');
    // A lost context is painted again from the rows that are kept.
    canvas.addEventListener('webglcontextlost', (event) => event.preventDefault());
    canvas.addEventListener('webglcontextrestored', () => {
      this.#painter = GlPainter.on(canvas);
      this.#seen = '';
    });
  }

  /** Paints, unless rows, look and places are those of the last time. */
  paint(key: string): void {
    const box = this.canvas.getBoundingClientRect();
    const places = [...this.panes].map((pane) => ({ pane, box: pane.element.getBoundingClientRect() }));
    const now = [scene.version, key, box.width, box.height, ...places.map(({ pane, box: one }) => [pane.which, one.left - box.left, one.top - box.top, one.width, one.height])].join();
    const still = performance.now() - this.#painted > 400;
    if (box.width === 0 || (now === this.#seen && !(this.#coarse && still))) return;
    this.#seen = now;
    const ratio = Math.min(2, window.devicePixelRatio || 1);
    const [width, height] = [Math.round(box.width * ratio), Math.round(box.height * ratio)];
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    const views = places.flatMap(({ pane, box: one }) => {
      const view = this.#view(pane, one.left - box.left, one.top - box.top, one.width, one.height, ratio);
      return view ? [view] : [];
    });
    this.#painter?.paint(views, this.#fine());
    this.#frames += 1;
    testHook('frames', this.#frames);
  }

  /** Whether this frame is fine. Where frames follow slowly, moving ones are coarse, and a fine one comes once all is still. */
  #fine(): boolean {
    const now = performance.now();
    const step = now - this.#painted;
    this.#painted = now;
    if (step > 400) {
      this.#coarse = false;
      return true;
    }
    this.#pace += 0.1 * (step - this.#pace);
    this.#coarse = this.#pace > 40;
    return !this.#coarse;
  }

  #view(pane: Pane, left: number, top: number, width: number, height: number, ratio: number): View | null {
    const ring = scene.rings[pane.which];
    const tall = Math.round(height * ratio);
    if (!ring || width <= 0 || tall <= 0) return null;
    const frame = viewer.frame(width, height);
    const mmPerPixel = frame.mmPerPixel / ratio;
    const slots = new Int16Array(2 * tall);
    for (let k = 0; k < 2 * tall; k += 1) slots[k] = ring.at(frame.topMm + (k + 0.5) * 0.5 * mmPerPixel);
    return {
      ring,
      leftMm: pane.source.left_mm,
      pixelMm: pane.source.pixel_mm,
      window: { leftMm: frame.leftMm, mmPerPixel, slots },
      look: {
        intensity: viewer.intensity,
        root: viewer.root,
        gain: this.#brightness(pane.which),
        saturation: viewer.saturation,
        ground: unit('picture'),
        hatch: unit('gap'),
      },
      x: Math.round(left * ratio),
      y: Math.round(top * ratio),
      width: Math.round(width * ratio),
      height: tall,
    };
  }

  #brightness(which: number): [number, number, number] {
    const held = this.#gain.get(which);
    const now = performance.now();
    const ring = scene.rings[which];
    if (held && now - held.at < 500) return held.value;
    const value: [number, number, number] = ring ? brightness(ring) : [1, 1, 1];
    this.#gain.set(which, { at: now, value });
    return value;
  }

  end(): void {
    this.#painter?.end();
  }
}

function unit(name: string): [number, number, number] {
  return parse(token(name)).map((value) => value / 255) as [number, number, number];
}
