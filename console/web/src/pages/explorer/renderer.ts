// Points by WebGL 2. They lie in the buffers in a mixed order, so that any first part of them is a fair picture of all: while something moves
// as many are drawn as the machine keeps up with, and all of them, part by part, once it stands.

const VERTEX = `#version 300 es
layout(location = 0) in vec2 place;
layout(location = 1) in uint sample_;
layout(location = 2) in float value;
layout(location = 3) in float chosen;
uniform vec4 view; // scale, then offset
uniform float size;
uniform float alpha;
uniform float faded; // what of the alpha is left for points that are not chosen
uniform bool scalar;
uniform vec2 range;
uniform sampler2D colours; // of samples, alpha 0 hides
uniform sampler2D scale;
uniform int width;
out vec4 colour;
void main() {
  ivec2 at = ivec2(int(sample_) % width, int(sample_) / width);
  vec4 own = texelFetch(colours, at, 0);
  if (own.a == 0.0) {
    gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
    gl_PointSize = 1.0;
    colour = vec4(0.0);
    return;
  }
  if (scalar) {
    float share = clamp((value - range.x) / (range.y - range.x), 0.0, 1.0);
    own.rgb = isnan(value) ? vec3(0.5) : texelFetch(scale, ivec2(int(share * 255.0 + 0.5), 0), 0).rgb;
  }
  float a = alpha * mix(faded, 1.0, chosen);
  colour = vec4(own.rgb * a, a);
  gl_Position = vec4(place * view.xy + view.zw, 0.0, 1.0);
  gl_PointSize = size;
}`;

const FRAGMENT = `#version 300 es
precision mediump float;
in vec4 colour;
out vec4 shown;
void main() {
  shown = colour;
}`;

const TEXTURE = 256; // samples in a row of the texture
const PART = 200_000; // points of one part while it stands
const FEWEST = 20_000;

export interface Frame {
  /** Scale and offset from data to the clip space. */
  view: [number, number, number, number];
  background: [number, number, number];
  size: number;
  alpha: number;
  faded: number;
  scalar: boolean;
  range: [number, number];
}

/** A step that has no common factor with the count, near its golden part. */
function stepOf(count: number): number {
  const common = (a: number, b: number): number => (b === 0 ? a : common(b, a % b));
  let step = Math.max(1, Math.round(count * 0.618034));
  while (common(step, count) !== 1) step += 1;
  return step;
}

export class Renderer {
  readonly gl: WebGL2RenderingContext;
  #program: WebGLProgram;
  #places: Record<string, WebGLUniformLocation | null> = {};
  #buffers: WebGLBuffer[] = [];
  #array: WebGLVertexArrayObject;
  #textures: WebGLTexture[] = [];
  #count = 0;
  #step = 1;
  #most = 150_000; // points of one frame while it moves
  #drawn = 0;

  constructor(canvas: HTMLCanvasElement) {
    const gl = canvas.getContext('webgl2', { antialias: false, alpha: false, depth: false, preserveDrawingBuffer: true, powerPreference: 'high-performance' });
    if (!gl) throw new Error('no WebGL 2');
    this.gl = gl;
    this.#program = program(gl);
    for (const name of ['view', 'size', 'alpha', 'faded', 'scalar', 'range', 'colours', 'scale', 'width']) this.#places[name] = gl.getUniformLocation(this.#program, name);
    this.#array = gl.createVertexArray();
    this.#textures = [texture(gl), texture(gl)];
    this.#buffers = Array.from({ length: 4 }, () => gl.createBuffer());
    gl.bindVertexArray(this.#array);
    const bind = (at: number): void => {
      gl.enableVertexAttribArray(at);
      gl.bindBuffer(gl.ARRAY_BUFFER, this.#buffers[at] ?? null);
    };
    bind(0);
    gl.vertexAttribPointer(0, 2, gl.FLOAT, false, 0, 0);
    bind(1);
    gl.vertexAttribIPointer(1, 1, gl.UNSIGNED_SHORT, 0, 0);
    bind(2);
    gl.vertexAttribPointer(2, 1, gl.FLOAT, false, 0, 0);
    bind(3);
    gl.vertexAttribPointer(3, 1, gl.UNSIGNED_BYTE, true, 0, 0);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  }

  /** Takes points as the server sends them. */
  points(xy: Float32Array, samples: Uint32Array): void {
    this.#count = samples.length;
    this.#step = stepOf(this.#count);
    const places = new Float32Array(this.#count * 2);
    const of = new Uint16Array(this.#count);
    for (let k = 0, at = 0; k < this.#count; k += 1, at = (at + this.#step) % this.#count) {
      places[2 * k] = xy[2 * at] ?? 0;
      places[2 * k + 1] = xy[2 * at + 1] ?? 0;
      of[k] = samples[at] ?? 0;
    }
    this.#upload(0, places);
    this.#upload(1, of);
    this.#upload(2, new Float32Array(this.#count));
    this.#upload(3, new Uint8Array(this.#count).fill(255));
  }

  values(values: Float32Array): void {
    this.#upload(2, this.#mixed(values, new Float32Array(this.#count)));
  }

  /** Which points are chosen (1); all where null. */
  chosen(mask: Uint8Array | null): void {
    const out = new Uint8Array(this.#count);
    if (mask) for (let k = 0, at = 0; k < this.#count; k += 1, at = (at + this.#step) % this.#count) out[k] = mask[at] ? 255 : 0;
    else out.fill(255);
    this.#upload(3, out);
  }

  /** The colour of each sample, RGBA; alpha 0 hides it. */
  colours(rgba: Uint8Array<ArrayBuffer>): void {
    const { gl } = this;
    const rows = Math.max(1, Math.ceil(rgba.length / 4 / TEXTURE));
    const whole = new Uint8Array(rows * TEXTURE * 4);
    whole.set(rgba);
    gl.bindTexture(gl.TEXTURE_2D, this.#textures[0] ?? null);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, TEXTURE, rows, 0, gl.RGBA, gl.UNSIGNED_BYTE, whole);
  }

  scale(rgba: Uint8Array<ArrayBuffer>): void {
    const { gl } = this;
    gl.bindTexture(gl.TEXTURE_2D, this.#textures[1] ?? null);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, 256, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, rgba);
  }

  /** Draws the first part. While it moves, that is all; it is told how long the last frame took, to find how many points the machine bears. */
  begin(frame: Frame, moving: boolean, lastMs: number): void {
    const { gl } = this;
    if (moving && lastMs > 0) {
      if (lastMs > 40) this.#most = Math.max(FEWEST, Math.round(this.#most * 0.75));
      else if (lastMs < 24) this.#most = Math.min(Math.max(this.#count, FEWEST), Math.round(this.#most * 1.2));
    }
    gl.viewport(0, 0, gl.drawingBufferWidth, gl.drawingBufferHeight);
    gl.clearColor(...frame.background, 1);
    gl.clear(gl.COLOR_BUFFER_BIT);
    const part = Math.min(this.#count, moving ? this.#most : Math.min(this.#most, PART));
    // Fewer points are drawn stronger, so that the cloud keeps its weight.
    const weight = moving ? Math.min(3, Math.sqrt(this.#count / Math.max(1, part))) : 1;
    this.#use(frame, Math.min(1, frame.alpha * weight));
    this.#draw(0, part);
    this.#drawn = part;
  }

  /** Draws the next part of a picture that stands. Returns whether more is to come. */
  more(frame: Frame): boolean {
    if (this.#drawn >= this.#count) return false;
    const part = Math.min(PART, Math.max(FEWEST, this.#most), this.#count - this.#drawn);
    this.#use(frame, frame.alpha);
    this.#draw(this.#drawn, part);
    this.#drawn += part;
    return this.#drawn < this.#count;
  }

  get drawn(): number {
    return this.#drawn;
  }

  end(): void {
    const { gl } = this;
    for (const buffer of this.#buffers) gl.deleteBuffer(buffer);
    for (const one of this.#textures) gl.deleteTexture(one);
    gl.deleteVertexArray(this.#array);
    gl.deleteProgram(this.#program);
  }

  #mixed<T extends Float32Array>(values: T, out: T): T {
    for (let k = 0, at = 0; k < this.#count; k += 1, at = (at + this.#step) % this.#count) out[k] = values[at] ?? NaN;
    return out;
  }

  #upload(at: number, data: AllowSharedBufferSource): void {
    const { gl } = this;
    gl.bindBuffer(gl.ARRAY_BUFFER, this.#buffers[at] ?? null);
    gl.bufferData(gl.ARRAY_BUFFER, data, gl.STATIC_DRAW);
  }

  #use(frame: Frame, alpha: number): void {
    const { gl } = this;
    const at = this.#places;
    gl.useProgram(this.#program);
    gl.activeTexture(gl.TEXTURE1);
    gl.bindTexture(gl.TEXTURE_2D, this.#textures[1] ?? null);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, this.#textures[0] ?? null);
    gl.uniform4f(at.view ?? null, ...frame.view);
    gl.uniform1f(at.size ?? null, frame.size);
    gl.uniform1f(at.alpha ?? null, alpha);
    gl.uniform1f(at.faded ?? null, frame.faded);
    gl.uniform1i(at.scalar ?? null, frame.scalar ? 1 : 0);
    gl.uniform2f(at.range ?? null, ...frame.range);
    gl.uniform1i(at.colours ?? null, 0);
    gl.uniform1i(at.scale ?? null, 1);
    gl.uniform1i(at.width ?? null, TEXTURE);
  }

  #draw(first: number, count: number): void {
    const { gl } = this;
    gl.bindVertexArray(this.#array);
    gl.drawArrays(gl.POINTS, first, count);
  }
}

function program(gl: WebGL2RenderingContext): WebGLProgram {
  const made = gl.createProgram();
  for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]] as const) {
    const shader = gl.createShader(kind);
    if (!shader) throw new Error('no shader');
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    gl.attachShader(made, shader);
  }
  gl.linkProgram(made);
  if (!gl.getProgramParameter(made, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(made) ?? 'no program');
  return made;
}

function texture(gl: WebGL2RenderingContext): WebGLTexture {
  const made = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_2D, made);
  for (const [name, value] of [[gl.TEXTURE_MIN_FILTER, gl.NEAREST], [gl.TEXTURE_MAG_FILTER, gl.NEAREST], [gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE], [gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE]] as const) gl.texParameteri(gl.TEXTURE_2D, name, value);
  return made;
}
