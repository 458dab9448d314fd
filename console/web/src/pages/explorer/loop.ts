// When the cloud is drawn: a part of it in each frame while it moves, then the rest, part by part.
import { testHook } from '../../lib/testhook';
import type { Frame, Renderer } from './renderer';

const REST = 180; // ms without movement until all points are drawn

export class Loop {
  #request = 0;
  #moved = 0;
  #last = 0;
  #dirty = false;
  #still = true;
  /** Times of the last frames while it moved, ms. */
  #times: number[] = [];

  constructor(
    readonly renderer: Renderer,
    readonly frame: () => Frame,
  ) {}

  /** The view changes. */
  move(): void {
    this.#moved = performance.now();
    this.redraw();
  }

  /** Something else changed: all is drawn anew. */
  redraw(): void {
    this.#dirty = true;
    if (!this.#request) this.#request = requestAnimationFrame(this.#tick);
  }

  end(): void {
    cancelAnimationFrame(this.#request);
  }

  #tick = (now: number): void => {
    this.#request = 0;
    const moving = performance.now() - this.#moved < REST;
    const wasStill = this.#still;
    const took = wasStill || !this.#last ? 0 : now - this.#last;
    this.#last = now;
    let more = true;
    if (this.#dirty || (wasStill && moving)) {
      this.renderer.begin(this.frame(), moving, moving ? took : 0);
      if (moving && took) this.#note(took);
      this.#dirty = false;
      this.#still = !moving;
      more = moving || this.renderer.drawn > 0;
    } else if (!moving && !wasStill) {
      // It came to rest: all points.
      this.renderer.begin(this.frame(), false, 0);
      this.#still = true;
    } else if (!moving) {
      more = this.renderer.more(this.frame());
      if (!more) testHook('cloudDrawn', this.renderer.drawn);
    }
    if (more) this.#request = requestAnimationFrame(this.#tick);
  };

  #note(took: number): void {
    this.#times.push(took);
    if (this.#times.length > 40) this.#times.shift();
    const mean = this.#times.reduce((a, b) => a + b, 0) / this.#times.length;
    testHook('cloudFps', { fps: 1000 / mean, points: this.renderer.drawn });
  }
}
