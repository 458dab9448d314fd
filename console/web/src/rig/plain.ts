import { cividis, table } from '../lib/colour';
import type { View } from './gl';
import { NOTHING, SATURATED, share } from './ring';

const scale = table(cividis);

/** Paints all pictures on a plain canvas, where there is no WebGL2: one sample a pixel. */
export class PlainPainter {
  #context: CanvasRenderingContext2D;

  private constructor(context: CanvasRenderingContext2D) {
    this.#context = context;
  }

  static on(canvas: HTMLCanvasElement): PlainPainter | null {
    const context = canvas.getContext('2d');
    return context ? new PlainPainter(context) : null;
  }

  paint(views: readonly View[]): void {
    this.#context.clearRect(0, 0, this.#context.canvas.width, this.#context.canvas.height);
    for (const view of views) this.#paint(view);
  }

  #paint({ ring, leftMm, pixelMm, window, look, x: left, y: top, width, height }: View): void {
    const image = this.#context.createImageData(width, height);
    const out = image.data;
    const channel = (rgb: readonly number[], k: number): number => 255 * (rgb[k] ?? 0);
    // One table a channel: 256 values are known beforehand.
    const shown = [0, 1, 2].map((k) =>
      Uint8Array.from({ length: 256 }, (_, byte) => {
        const value = Math.min(1, share(byte, ring.grid) / (look.gain[k] ?? 1));
        return 255 * (look.root ? Math.sqrt(value) : value);
      }),
    );
    const level = Uint8Array.from({ length: 256 }, (_, byte) => {
      const value = Math.min(1, share(byte, ring.grid));
      return 255 * (look.root ? Math.sqrt(value) : value);
    });
    const columns = Int32Array.from({ length: width }, (_, x) => Math.floor((window.leftMm + (x + 0.5) * window.mmPerPixel - leftMm) / pixelMm));
    for (let y = 0, at = 0; y < height; y += 1) {
      const slot = window.slots[2 * y] ?? -1;
      for (let x = 0; x < width; x += 1, at += 4) {
        out[at + 3] = 255;
        const column = columns[x] ?? -1;
        const from = (slot * ring.pixels + column) * 4;
        const kind = slot >= 0 && column >= 0 && column < ring.pixels ? ring.bytes[from + 3] : NOTHING;
        if (slot === -2 || kind === NOTHING) {
          const striped = slot === -2 && (x + y) % 8 < 2;
          for (let k = 0; k < 3; k += 1) out[at + k] = channel(striped ? look.hatch : look.ground, k);
        } else if (kind === SATURATED && look.saturation) {
          out[at] = 237;
          out[at + 1] = 41;
          out[at + 2] = 36;
        } else if (look.intensity) {
          const most = Math.max(ring.bytes[from] ?? 0, ring.bytes[from + 1] ?? 0, ring.bytes[from + 2] ?? 0);
          const step = 4 * (level[most] ?? 0);
          for (let k = 0; k < 3; k += 1) out[at + k] = scale[step + k] ?? 0;
        } else {
          for (let k = 0; k < 3; k += 1) out[at + k] = shown[k]?.[ring.bytes[from + k] ?? 0] ?? 0;
        }
      }
    }
    this.#context.putImageData(image, left, top);
  }

  end(): void {
    // Nothing is held.
  }
}
