// The invented past: scans, their records, pictures, ledgers and files.
import { png } from "./png.mjs";
import * as world from "./world.mjs";

const HOUR = 3600e3;
const WARNINGS = [
  "the dark level of swir rose by 3.1 counts during the scan",
  "container C2 is half empty",
  "line rate of vnir fell to 318 Hz for 0.4 s",
  "vnir and swir see the containers 0.31 mm apart along the belt",
];

export class Scans {
  /** `count` ended scans before `now`; `points` is the sum of embeddings of the newest four. */
  constructor(count, now, points) {
    this.points = points;
    this.list = Array.from({ length: count }, (_, i) => this.#make(i, new Date(now - i * 9.7 * HOUR - 0.6 * HOUR), true));
    this.pictures = new Map();
  }

  #make(number, started, ended) {
    const stamp = started.toISOString().replace(/[-:]|\.\d+/g, "").slice(0, 15);
    const tray = `T-${started.toISOString().slice(0, 7)}-${"ABCDE"[number % 5]}`;
    const id = `${stamp}Z-${tray}`;
    const all = world.containers(number, started);
    const early = ended && number % 17 === 6;
    const found = early ? all.slice(0, 7) : all;
    const warnings = ended ? WARNINGS.filter((_, w) => world.unit(world.hash(id), w) < 0.07) : [];
    const rows = number < 4 ? Math.round(this.points / 48) : 4000;
    const samples = found.map((container) => ({ ...container, rows, model: world.model(container, id), doubts: world.unit(world.hash(id + container.at), 1) < 0.05 ? ["the container touches its neighbour"] : [] }));
    return { number, id, tray, started, ended: ended ? new Date(+started + 95e3) : null, complete: ended ? !early : null, reason: early ? "the drive stopped at 187 mm: overcurrent" : null, warnings, samples, all };
  }

  /** Begin a scan now. */
  begin(tray) {
    const scan = this.#make(this.list.length + 2, new Date(), false);
    if (tray?.tray) scan.tray = tray.tray;
    this.list.unshift(scan);
    if (this.list.length > 90) this.list.pop();
    return scan;
  }

  find(id) {
    return this.list.find((scan) => scan.id === id);
  }

  sample(id, name) {
    return this.find(id)?.samples.find((sample) => sample.sample === name);
  }

  /** The answer of `/api/scans`. */
  page(query) {
    const search = (query.get("search") ?? "").toLowerCase();
    const [from, to] = [query.get("from"), query.get("to")];
    const words = (scan) => [scan.id, scan.tray, ...scan.samples.flatMap((s) => [s.sample, ...Object.values(s.keys)])].join("\n").toLowerCase();
    const hits = this.list.filter((scan) => {
      const day = scan.started.toISOString().slice(0, 10);
      return (!search || words(scan).includes(search)) && (!from || day >= from) && (!to || day <= to) && (query.get("warnings") !== "1" || scan.warnings.length > 0 || scan.complete === false);
    });
    const offset = +(query.get("offset") ?? 0);
    return { total: hits.length, scans: hits.slice(offset, offset + +(query.get("limit") ?? 50)).map((scan) => this.brief(scan)) };
  }

  brief(scan) {
    const keys = {};
    for (const sample of scan.all) for (const [key, value] of Object.entries(sample.keys)) (keys[key] ??= new Set()).add(value);
    return {
      id: scan.id, tray: scan.tray, started: scan.started.toISOString(), complete: scan.complete, reason: scan.reason, samples: scan.ended ? scan.samples.length : 0,
      embeddings: scan.ended ? scan.samples.reduce((sum, s) => sum + s.rows, 0) : 0, warnings: scan.warnings,
      keys: Object.fromEntries(Object.entries(keys).map(([key, set]) => [key, [...set].sort()])), running: !scan.ended,
    };
  }

  record(scan) {
    const counts = (camera) => {
      const gaps = this.gaps(scan, camera);
      const [expected, lost] = [760, gaps.reduce((sum, gap) => sum + gap[1], 0)];
      return { received: expected - lost, lost, expected, lost_pool: 0, lost_link: lost, unusable: camera === "vnir" ? 1 : 0, unrecorded: 0, pool_least_free: 41, gaps };
    };
    return {
      format_version: 1, id: scan.id,
      tray: { tray: scan.tray, keys: ["plant", "month", "size"], grid: { rows: 4, columns: 3 }, containers: scan.all },
      started: scan.started.toISOString(), ended: scan.ended?.toISOString() ?? null, complete: scan.complete, reason: scan.reason,
      cameras: { vnir: counts("vnir"), swir: counts("swir") },
      samples: scan.ended ? scan.samples.map((s) => ({ sample: s.sample, container: s.at, file: `samples/${s.sample}.h5`, shape: [s.model.lines, s.model.pixels, world.BANDS], pixels: s.model.lines * s.model.pixels, valid: Math.round(s.model.lines * s.model.pixels * 0.96), doubts: s.doubts })) : [],
      missing: scan.all.filter((c) => !scan.samples.some((s) => s.at === c.at)).map((c) => c.at),
      residuals_mm: { swir: [0.04, -0.06] }, registration: {}, keystone_mm: {}, dark_drift: { vnir: { counts: 0.4, of_signal: 0.0003 }, swir: { counts: 3.1, of_signal: 0.002 } },
      bad_elements: { vnir: { mended: 0.0004, missing: 0 }, swir: { mended: 0.0031, missing: 0.0001 } },
      light: { vnir: { least: 0.994, largest: 1.003, uncorrected_lines: 0 }, swir: { least: 0.991, largest: 1.001, uncorrected_lines: 0 } },
      plausibility: { vnir: { bright: 0.0002, negative: 0.0001, saturated: 0.001 }, swir: { bright: 0, negative: 0.0004, saturated: 0 } },
      restless_elements: {}, anisotropy: { vnir: 1.002, swir: 0.998 },
      overlap_step: [{ cameras: ["vnir", "swir"], range_nm: [1000, 1004], ratio: 1.012, sd: 0.02, pixels: 140000, levelled: true }],
      warnings: scan.warnings, embeddings: scan.samples.reduce((sum, s) => sum + s.rows, 0), files: this.files(scan).map((f) => ({ path: `scans/${scan.id}/${f.path}`, bytes: f.bytes, blake3: f.blake3 })),
      version: "0.9.0", configuration_sha256: "6f1c".repeat(16), encoder_sha256: "a07e".repeat(16),
    };
  }

  gaps(scan, camera) {
    const seed = world.hash(scan.id + camera);
    return Array.from({ length: world.unit(seed, 0) < 0.4 ? 2 : 0 }, (_, i) => [Math.round(120 + 300 * i + 90 * world.unit(seed, i + 1)), 1 + Math.round(5 * world.unit(seed, i + 9))]);
  }

  ledger(scan) {
    return {
      cameras: ["vnir", "swir"].map((name) => {
        const runs = [];
        let at = 0;
        for (const [first, count] of this.gaps(scan, name)) {
          runs.push({ first: at, count: first - at, status: 0 }, { first, count, status: 5 });
          at = first + count;
        }
        if (name === "vnir") {
          runs.push({ first: at, count: 20, status: 0 }, { first: at + 20, count: 1, status: 1 });
          at += 21;
        }
        runs.push({ first: at, count: 760 - at, status: 0 });
        const lost = runs.reduce((sum, run) => sum + (run.status === 5 ? run.count : 0), 0);
        return { name, expected: 760, received: 760 - lost, lost, runs };
      }),
    };
  }

  files(scan) {
    const file = (path, bytes) => ({ path, bytes, blake3: world.hash(scan.id + path).toString(16).padStart(8, "0").repeat(8) });
    return [
      file("scan.json", 48213), file("quicklook.png", 612044),
      ...scan.samples.map((s) => file(`samples/${s.sample}.h5`, 29_491_200 + (world.hash(s.sample) % 1e6))),
      file(`raw/vnir/capture/${scan.id}.raw`, 174_325_760), file(`raw/vnir/capture/${scan.id}.hdr`, 4211), file(`raw/vnir/capture/${scan.id}.lines.csv`, 31044),
      file(`raw/swir/capture/${scan.id}.raw`, 168_099_840), file(`raw/swir/capture/${scan.id}.hdr`, 4630), file(`raw/swir/capture/${scan.id}.lines.csv`, 30988),
    ];
  }

  /** The quicklook, one pixel for `step` pixels of the grid. */
  picture(scan, width) {
    const step = Math.max(1, Math.floor(520 / Math.max(40, width || 520)));
    const key = `${scan.id} ${step}`;
    if (!this.pictures.has(key)) this.pictures.set(key, this.#draw(scan, step));
    return this.pictures.get(key);
  }

  #draw(scan, step) {
    const [width, height] = [Math.floor(520 / step), Math.floor(680 / step)];
    const rgb = new Uint8Array(width * height * 3).fill(18);
    for (const sample of scan.samples) {
      const { model: m, footprint: f } = sample;
      for (let line = 0; line < m.lines; line += step)
        for (let pixel = 0; pixel < m.pixels; pixel += step) {
          if (!world.inside(m, line, pixel)) continue;
          const s = world.shares(m, line, pixel);
          const [y, x] = [Math.floor((f.y_mm / world.PIXEL_MM + line) / step), Math.floor((f.x_mm / world.PIXEL_MM + pixel) / step)];
          [93, 56, 22].forEach((band, c) => (rgb[(y * width + x) * 3 + c] = 255 * Math.min(1, Math.sqrt(world.value(s, m, line, pixel, band) * 1.3))));
        }
    }
    return png(rgb, width, height);
  }
}
