// The live stream: a scan that runs in a loop, as messages of the contract.
import { EventEmitter } from "node:events";
import * as world from "./world.mjs";

const SPEED = 30; // mm/s
const STEP_MM = world.PIXEL_MM;
const END_MM = world.TRAY.length_mm + 2 * world.TRAY.margin_mm;
const [VNIR, SWIR, GRID] = [0, 1, 2];
const PIXELS = [512, 384, 520];
const WIDTH = [260 / 512, 260 / 384, 0.5];
const BANDS = [224, 288, world.BANDS];
const FIRST = [0, 224, 0];
const RGB = [[93, 56, 22], [230, 120, 40], [93, 56, 22]];
const NAMES = ["vnir", "swir", "grid"];
const HISTORY = 4096;
const MINERALS = ["kaolinite", "muscovite", "calcite", "chlorite", "alunite"];

export const json = (kind, value) => Buffer.concat([Buffer.from([kind]), Buffer.from(JSON.stringify(value))]);

const half = (v) => {
  if (!Number.isFinite(v)) return 0x7e00;
  const f = new Float32Array([v]);
  const x = new Uint32Array(f.buffer)[0];
  const [sign, exponent] = [(x >>> 16) & 0x8000, ((x >>> 23) & 255) - 112];
  return exponent <= 0 ? sign : sign | (exponent << 10) | ((x >>> 13) & 0x3ff);
};

export class Live extends EventEmitter {
  constructor(rig, scans, loop) {
    super();
    this.setMaxListeners(0);
    Object.assign(this, { rig, scans, loop });
    this.scan = null;
    this.rows = [[], [], []]; // {index, y_mm, planes} held to draw any bands
    this.held = [];
    rig.on("stopped", () => this.end("emergency stop"));
    this.timer = setInterval(() => this.#tick(), 100);
    this.timer.unref?.();
    this.rest = Date.now() + 500;
  }

  /** Begin a scan of a tray. */
  begin(tray) {
    this.scan = this.scans.begin(tray);
    this.rows = [[], [], []];
    this.held = [];
    this.y = -world.TRAY.margin_mm;
    this.open = new Set();
    this.stored = 0;
    this.rig.progress = { scan: this.scan.id, end_mm: END_MM, lines: 0, samples: 0 };
    this.rig.speed = SPEED;
    this.rig.set("scanning");
    this.rig.event("scan_started", { scan: this.scan.id });
    this.emit("message", this.description());
    return this.scan;
  }

  end(reason) {
    if (!this.scan || this.scan.ended) return;
    const { scan } = this;
    scan.ended = new Date();
    scan.complete = !reason;
    scan.reason = reason ?? null;
    this.rig.speed = 0;
    this.rig.event("scan_closed", { scan: scan.id, complete: !reason, reason: reason ?? null });
    this.emit("message", this.description());
    if (this.rig.state === "scanning") {
      this.rig.set("draining");
      setTimeout(() => this.rig.state === "draining" && this.rig.set("idle"), 1500).unref();
    }
    this.rest = Date.now() + 6000;
  }

  description() {
    const { scan } = this;
    if (!scan) return json(4, null);
    const camera = (name, i, wavelengths) => ({ name, kind: "camera", pixels: PIXELS[i], detector_pixels: PIXELS[i], wavelengths_nm: [...wavelengths], full_scale_counts: 4095, left_mm: 0, pixel_mm: WIDTH[i], rgb: RGB[i] });
    return json(4, {
      scan: scan.id, tray: scan.tray, started: scan.started.toISOString(), ended: scan.ended?.toISOString() ?? null, end_mm: END_MM,
      grid: { pixel_mm: 0.5, x0_mm: 0, width: 520, wavelengths_nm: [...world.GRID] },
      sources: [camera("vnir", 0, world.VNIR), camera("swir", 1, world.SWIR), { name: "grid", kind: "grid", pixels: 520, wavelengths_nm: [...world.GRID], left_mm: 0, pixel_mm: 0.5, rgb: RGB[2] }],
      containers: scan.all.map(({ at, sample, footprint: f }) => ({ at, sample, ...f })),
      minerals: MINERALS,
    });
  }

  /** Values `[band][pixel]` of a source's row at `y_mm`. */
  #row(source, y_mm, bands) {
    const [width, count] = [WIDTH[source], PIXELS[source]];
    const grid = source === GRID;
    const out = new Float32Array(bands.length * count).fill(grid ? NaN : 0.012);
    for (const { model: m, footprint: f } of this.scan.samples) {
      if (y_mm < f.y_mm || y_mm >= f.y_mm + f.length_mm) continue;
      const line = Math.floor((y_mm - f.y_mm) / STEP_MM);
      for (let p = Math.ceil(f.x_mm / width); p < (f.x_mm + f.width_mm) / width && p < count; p++) {
        const pixel = Math.floor((p * width - f.x_mm) / STEP_MM);
        if (pixel < 0 || !world.inside(m, line, pixel)) continue;
        const s = world.shares(m, line, pixel);
        bands.forEach((band, k) => (out[k * count + p] = world.value(s, m, line, pixel, band + FIRST[source])));
      }
    }
    return out;
  }

  picture(source, index, y_mm, bands) {
    const values = this.#row(source, y_mm, bands);
    const grid = source === GRID;
    const head = Buffer.alloc(29 + bands.length * 2);
    head.writeUInt8(5, 0);
    head.writeUInt8(source, 1);
    head.writeUInt8(grid ? 1 : 0, 2);
    head.writeUInt8(bands.length, 3);
    head.writeUInt32LE(PIXELS[source], 5);
    head.writeUInt32LE(1, 9);
    head.writeBigInt64LE(BigInt(index), 13);
    head.writeDoubleLE(y_mm, 21);
    bands.forEach((band, k) => head.writeUInt16LE(band, 29 + k * 2));
    const body = Buffer.alloc(values.length * (grid ? 2 : 1));
    for (let i = 0; i < values.length; i++) {
      if (grid) body.writeUInt16LE(half(values[i]), i * 2);
      else body[i] = values[i] > 0.62 ? 255 : Math.min(254, Math.round(Math.sqrt(Math.max(0, values[i])) * 254));
    }
    return Buffer.concat([head, body]);
  }

  /** Everything held of the scan, for one viewer. */
  history(bands) {
    const rows = this.rows.flatMap((list, source) => list.map(({ index, y_mm }) => this.picture(source, index, y_mm, bands[NAMES[source]] ?? RGB[source])));
    return [...rows, ...this.held];
  }

  #say(message) {
    this.held.push(message);
    this.emit("message", message);
  }

  #tick() {
    const { rig } = this;
    if (rig.state !== "scanning") {
      rig.position += rig.speed * 0.1;
      if (this.loop && ["idle", "ready"].includes(rig.state) && Date.now() > this.rest && !rig.holder && rig.connected) this.begin();
      return;
    }
    const until = this.y + SPEED * 0.1;
    for (; this.y < until; this.y += STEP_MM) this.#line(this.y);
    rig.position = this.y + world.TRAY.margin_mm;
    if (rig.position >= END_MM) this.end();
  }

  #line(y_mm) {
    const line = Math.round((y_mm + world.TRAY.margin_mm) / STEP_MM);
    this.rig.progress.lines = line;
    for (const source of [VNIR, SWIR]) {
      const lost = (source === VNIR && line >= 212 && line < 216) || (source === SWIR && line >= 501 && line < 503);
      const stalled = source === VNIR && line === 400;
      this.#say(this.#ledger(source, lost ? 5 : stalled ? 2 : 0, line, y_mm));
      if (lost) {
        if (line === 212) this.rig.event("lines_lost", { scan: this.scan.id, camera: NAMES[source], first: 212, count: 4 });
        continue;
      }
      this.#keep(source, line, y_mm);
      if (line % 8 === 0) this.#say(this.#light(source, y_mm));
    }
    const late = y_mm - 6;
    this.#keep(GRID, Math.round(late / STEP_MM), late);
    this.#outlines(late);
  }

  #keep(source, index, y_mm) {
    const list = this.rows[source];
    list.push({ index, y_mm });
    if (list.length > HISTORY) list.shift();
    this.emit("row", source, index, y_mm);
  }

  #outlines(y_mm) {
    const row = Math.round(y_mm / STEP_MM);
    this.scan.samples.forEach(({ model: m, footprint: f, at, sample, doubts }, number) => {
      const line = Math.floor((y_mm - f.y_mm) / STEP_MM);
      const told = (closed) => ({ number, sample, container: at, first_row: f.y_mm / STEP_MM, first_pixel: f.x_mm / STEP_MM, width: m.pixels, closed, doubts: closed ? doubts : [] });
      if (line >= 0 && line < m.lines) {
        if (!this.open.has(number)) {
          this.open.add(number);
          this.#say(json(10, told(false)));
          this.rig.event("sample_opened", { scan: this.scan.id, sample, container: at });
        }
        let [first, last] = [0, m.pixels - 1];
        while (first < m.pixels && !world.inside(m, line, first)) first++;
        while (last > first && !world.inside(m, line, last)) last--;
        const out = Buffer.alloc(17);
        out.writeUInt8(8, 0);
        out.writeUInt16LE(number, 1);
        out.writeUInt16LE(1, 3);
        out.writeBigInt64LE(BigInt(row), 5);
        out.writeUInt16LE(f.x_mm / STEP_MM + first, 13);
        out.writeUInt16LE(f.x_mm / STEP_MM + last, 15);
        if (first <= last) this.#say(out);
        if (first <= last) this.#say(this.#minerals(number, m, f, row, first, last));
        if (line % 6 === 0) this.emit("message", this.#embeddings(number, m, f, line));
      } else if (line >= m.lines && this.open.has(number)) {
        this.open.delete(number);
        this.#say(json(10, told(true)));
        this.rig.progress.samples = ++this.stored;
        this.rig.event("sample_stored", { scan: this.scan.id, record: { sample, container: at, file: `samples/${sample}.h5`, shape: [m.lines, m.pixels, world.BANDS], pixels: m.lines * m.pixels, valid: m.lines * m.pixels - 300, doubts } });
      }
    });
  }

  #minerals(number, m, f, row, first, last) {
    const out = Buffer.alloc(17 + 2 * m.pixels, 255);
    out.writeUInt8(12, 0);
    out.writeUInt16LE(number, 1);
    out.writeUInt16LE(f.x_mm / STEP_MM, 3);
    out.writeUInt16LE(m.pixels, 5);
    out.writeUInt16LE(0, 7);
    out.writeBigInt64LE(BigInt(row), 9);
    for (let pixel = first; pixel <= last; pixel++) {
      out.writeUInt8(0, 17 + pixel);
      out.writeUInt8((number + Math.floor(pixel / 20) + Math.floor(row / 20)) % MINERALS.length, 17 + m.pixels + pixel);
    }
    return out;
  }

  #embeddings(number, m, f, line) {
    const [count, dimensions] = [8, world.DIMENSIONS];
    const out = Buffer.alloc(5 + count * 12 + count * dimensions * 4);
    out.writeUInt8(9, 0);
    out.writeUInt16LE(count, 1);
    out.writeUInt16LE(dimensions, 3);
    for (let i = 0; i < count; i++) {
      const pixel = Math.floor(((i + 0.5) / count) * m.pixels);
      out.writeUInt16LE(number, 5 + i * 12);
      out.writeFloatLE(f.x_mm + pixel * STEP_MM, 9 + i * 12);
      out.writeFloatLE(f.y_mm + line * STEP_MM, 13 + i * 12);
      const s = world.shares(m, line, pixel);
      for (let n = 0; n < dimensions; n++) out.writeFloatLE(world.embedding(s, n), 5 + count * 12 + (i * dimensions + n) * 4);
    }
    return out;
  }

  #ledger(camera, status, line, y_mm) {
    const out = Buffer.alloc(33);
    out.writeUInt8(6, 0);
    out.writeUInt8(camera, 1);
    out.writeUInt8(status, 2);
    out.writeUInt32LE(1, 5);
    out.writeBigUInt64LE(BigInt(line), 9);
    out.writeDoubleLE(status === 5 ? NaN : y_mm, 17);
    out.writeDoubleLE(status === 5 ? NaN : y_mm + STEP_MM, 25);
    return out;
  }

  #light(camera, y_mm) {
    const out = Buffer.alloc(17);
    out.writeUInt8(7, 0);
    out.writeUInt8(camera, 1);
    out.writeFloatLE(0.997 + 0.004 * Math.sin(y_mm / 31 + camera), 5);
    out.writeDoubleLE(y_mm, 9);
    return out;
  }
}

export { NAMES, RGB, BANDS };
