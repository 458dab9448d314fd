import { cividis, table } from '../lib/colour';
import { CAPACITY, GRID_FULL, type Ring } from './ring';

/** How a picture is painted. */
export interface Look {
  /** Three bands as they are, or how bright the brightest is, by cividis. */
  intensity: boolean;
  root: boolean;
  /** Share of each channel that is shown brightest. */
  gain: [number, number, number];
  /** Whether saturated pixels are red. */
  saturation: boolean;
  /** Colours of what is no data: ground, and both of the hatching. */
  ground: [number, number, number];
  hatch: [number, number, number];
}

/** Where the picture lies: place across of the canvas' left edge and mm per canvas pixel; slots of the rows, two for each canvas row. */
export interface Window {
  leftMm: number;
  mmPerPixel: number;
  slots: Int16Array;
}

const vertex = `#version 300 es
in vec2 at;
void main() { gl_Position = vec4(at, 0.0, 1.0); }`;

const fragment = `#version 300 es
precision highp float;
precision highp isampler2D;
uniform sampler2D rows;
uniform isampler2D slots;
uniform sampler2D scale;
uniform vec2 origin;   // lower left corner on the canvas
uniform vec2 across;   // source pixel at the left edge, and per canvas pixel
uniform float height;
uniform float pixels;
uniform float full;
uniform vec3 gain;
uniform bool intensity;
uniform bool root;
uniform bool saturation;
uniform vec3 ground;
uniform vec3 hatch;
uniform bool fine;     // up to four values a pixel, else one
out vec4 colour;
void take(int at, int slot, inout vec3 sum, inout float good, inout bool hot, inout bool empty) {
  if (slot < 0 || at < 0 || at >= int(pixels)) return;
  vec4 value = texelFetch(rows, ivec2(at, slot), 0);
  if (value.a < 0.25) { empty = true; return; }
  hot = hot || value.a < 0.75;
  vec3 linear = min(value.rgb * 255.0 / 254.0, vec3(1.0));
  sum += linear * linear * full;
  good += 1.0;
}
void main() {
  float x = gl_FragCoord.x - origin.x;
  float y = height - gl_FragCoord.y + origin.y;
  ivec2 pair = texelFetch(slots, ivec2(int(y), 0), 0).rg;
  bool missing = pair.r == -2 || pair.g == -2;
  vec3 sum = vec3(0.0);
  float good = 0.0;
  bool hot = false;
  bool empty = false;
  float at = across.x + across.y * x;
  int left = int(floor(at - (fine ? 0.25 : 0.0) * across.y));
  take(left, pair.r, sum, good, hot, empty);
  if (fine) {
    int right = int(floor(at + 0.25 * across.y));
    if (right != left) take(right, pair.r, sum, good, hot, empty);
    if (pair.g != pair.r) {
      take(left, pair.g, sum, good, hot, empty);
      if (right != left) take(right, pair.g, sum, good, hot, empty);
    }
  }
  bool stripe = mod(x + y, 8.0) < 2.0;
  if (missing) { colour = vec4(stripe ? hatch : mix(ground, hatch, 0.25), 1.0); return; }
  if (good == 0.0) { colour = vec4(empty ? mix(ground, hatch, mod(x - y, 8.0) < 1.0 ? 0.35 : 0.0) : ground, 1.0); return; }
  if (hot && saturation) { colour = vec4(0.93, 0.16, 0.14, 1.0); return; }
  vec3 value = sum / good;
  if (intensity) {
    float most = max(value.r, max(value.g, value.b));
    if (root) most = sqrt(most);
    colour = vec4(texture(scale, vec2((clamp(most, 0.0, 1.0) * 255.0 + 0.5) / 256.0, 0.5)).rgb, 1.0);
    return;
  }
  value = clamp(value / gain, 0.0, 1.0);
  if (root) value = sqrt(value);
  colour = vec4(value, 1.0);
}`;

function compile(gl: WebGL2RenderingContext): WebGLProgram | null {
  const program = gl.createProgram();
  for (const [type, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]] as const) {
    const shader = gl.createShader(type);
    if (!shader) return null;
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  return gl.getProgramParameter(program, gl.LINK_STATUS) ? program : null;
}

/** One picture on the canvas: which rows, how they look, and where they go, in canvas pixels from the upper left. */
export interface View {
  ring: Ring;
  leftMm: number;
  pixelMm: number;
  window: Window;
  look: Look;
  x: number;
  y: number;
  width: number;
  height: number;
}

interface Held {
  rows: WebGLTexture;
  slots: WebGLTexture;
  uploaded: number;
  rewritten: number;
  height: number;
}

const names = [
  'rows', 'slots', 'scale', 'across', 'origin', 'height', 'pixels', 'full', 'gain', 'intensity', 'root', 'saturation', 'ground', 'hatch', 'fine',
] as const;

/** Paints all pictures on one canvas by WebGL2: one context is much faster than three. New rows are uploaded once, many at a time. */
export class GlPainter {
  #gl: WebGL2RenderingContext;
  #places = new Map<string, WebGLUniformLocation | null>();
  #held = new Map<Ring, Held>();

  private constructor(gl: WebGL2RenderingContext, program: WebGLProgram) {
    this.#gl = gl;
    const corners = gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, corners);
    gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([-1, -1, 3, -1, -1, 3]), gl.STATIC_DRAW);
    const at = gl.getAttribLocation(program, 'at');
    gl.enableVertexAttribArray(at);
    gl.vertexAttribPointer(at, 2, gl.FLOAT, false, 0, 0);
    gl.useProgram(program);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    gl.enable(gl.SCISSOR_TEST);
    texture(gl, gl.TEXTURE2);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, 256, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, table(cividis));
    for (const name of names) this.#places.set(name, gl.getUniformLocation(program, name));
    gl.uniform1i(this.#place('rows'), 0);
    gl.uniform1i(this.#place('slots'), 1);
    gl.uniform1i(this.#place('scale'), 2);
  }

  static on(canvas: HTMLCanvasElement): GlPainter | null {
    const gl = canvas.getContext('webgl2', { alpha: true, antialias: false, depth: false });
    if (!gl) return null;
    const program = compile(gl);
    return program ? new GlPainter(gl, program) : null;
  }

  #place(name: (typeof names)[number]): WebGLUniformLocation | null {
    return this.#places.get(name) ?? null;
  }

  /** Gives back textures of rings that are no longer shown. */
  #forget(views: readonly View[]): void {
    for (const [ring, held] of this.#held) {
      if (views.some((view) => view.ring === ring)) continue;
      this.#gl.deleteTexture(held.rows);
      this.#gl.deleteTexture(held.slots);
      this.#held.delete(ring);
    }
  }

  #upload(ring: Ring): Held {
    const gl = this.#gl;
    let held = this.#held.get(ring);
    if (!held) {
      held = { rows: texture(gl, gl.TEXTURE0), slots: texture(gl, gl.TEXTURE1), uploaded: 0, rewritten: 0, height: 0 };
      this.#held.set(ring, held);
      gl.activeTexture(gl.TEXTURE0);
      gl.texStorage2D(gl.TEXTURE_2D, 1, gl.RGBA8, ring.pixels, CAPACITY);
    }
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, held.rows);
    if (held.rewritten !== ring.rewritten) {
      held.rewritten = ring.rewritten;
      held.uploaded = 0;
    }
    let from = Math.max(held.uploaded, ring.first);
    while (from < ring.count) {
      const slot = ring.slot(from);
      const rows = Math.min(ring.count - from, CAPACITY - slot);
      const octets = ring.pixels * 4;
      const part = ring.bytes.subarray(slot * octets, (slot + rows) * octets);
      gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, slot, ring.pixels, rows, gl.RGBA, gl.UNSIGNED_BYTE, part);
      from += rows;
    }
    held.uploaded = ring.count;
    return held;
  }

  /** `fine`: several values a pixel, where there are more values than pixels. */
  paint(views: readonly View[], fine: boolean): void {
    const gl = this.#gl;
    this.#forget(views);
    gl.disable(gl.SCISSOR_TEST);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.enable(gl.SCISSOR_TEST);
    gl.uniform1i(this.#place('fine'), fine ? 1 : 0);
    for (const view of views) this.#paint(view);
  }

  #paint({ ring, leftMm, pixelMm, window, look, x, y, width, height }: View): void {
    const gl = this.#gl;
    const held = this.#upload(ring);
    gl.activeTexture(gl.TEXTURE1);
    gl.bindTexture(gl.TEXTURE_2D, held.slots);
    if (held.height !== height) {
      held.height = height;
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RG16I, height, 1, 0, gl.RG_INTEGER, gl.SHORT, window.slots);
    } else {
      gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, height, 1, gl.RG_INTEGER, gl.SHORT, window.slots);
    }
    const bottom = gl.drawingBufferHeight - y - height;
    gl.viewport(x, bottom, width, height);
    gl.scissor(x, bottom, width, height);
    gl.uniform2f(this.#place('origin'), x, bottom);
    gl.uniform2f(this.#place('across'), (window.leftMm - leftMm) / pixelMm, window.mmPerPixel / pixelMm);
    gl.uniform1f(this.#place('height'), height);
    gl.uniform1f(this.#place('pixels'), ring.pixels);
    gl.uniform1f(this.#place('full'), ring.grid ? GRID_FULL : 1);
    gl.uniform3f(this.#place('gain'), ...look.gain);
    gl.uniform1i(this.#place('intensity'), look.intensity ? 1 : 0);
    gl.uniform1i(this.#place('root'), look.root ? 1 : 0);
    gl.uniform1i(this.#place('saturation'), look.saturation ? 1 : 0);
    gl.uniform3f(this.#place('ground'), ...look.ground);
    gl.uniform3f(this.#place('hatch'), ...look.hatch);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  end(): void {
    this.#gl.getExtension('WEBGL_lose_context')?.loseContext();
  }
}

function texture(gl: WebGL2RenderingContext, unit: number): WebGLTexture {
  const made = gl.createTexture();
  gl.activeTexture(unit);
  gl.bindTexture(gl.TEXTURE_2D, made);
  for (const name of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, name, gl.NEAREST);
  for (const name of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, name, gl.CLAMP_TO_EDGE);
  return made;
}
