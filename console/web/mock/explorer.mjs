// Answers of the explorer over several scans.
import { within } from "./samples.mjs";
import * as world from "./world.mjs";

const SHOWN = 20000; // most points of t-SNE

export class Explorer {
  constructor(scans) {
    this.scans = scans;
    this.clouds = new Map();
    this.done = new Set(); // chosen scans whose t-SNE is done
  }

  /** All points of chosen scans, or null where one is unknown. */
  cloud(ids) {
    const key = [...ids].sort().join(",");
    if (this.clouds.has(key)) return this.clouds.get(key);
    const chosen = ids.map((id) => this.scans.find(id));
    if (!chosen.length || chosen.some((scan) => !scan)) return null;
    const samples = chosen.flatMap((scan) => scan.samples.map((sample) => ({ scan, ...sample })));
    const count = samples.reduce((sum, s) => sum + s.rows, 0);
    const cloud = { key, samples, count, points: Buffer.alloc(count * 12), places: new Float32Array(count * 2), at: new Uint32Array(count * 2) };
    const [f32, u32] = [new Float32Array(cloud.points.buffer, cloud.points.byteOffset, count * 3), new Uint32Array(cloud.points.buffer, cloud.points.byteOffset, count * 3)];
    let i = 0;
    samples.forEach(({ model: m, rows }, index) => {
      for (let r = 0; r < rows; r++, i++) {
        let [line, pixel] = [Math.floor(world.unit(m.seed, r, 7) * m.lines), Math.floor(world.unit(m.seed, r, 8) * m.pixels)];
        if (!world.inside(m, line, pixel)) [line, pixel] = [(line + m.lines) >> 2, (pixel + m.pixels) >> 2].map((v) => v + 8);
        const [x, y] = world.plane(world.shares(m, line, pixel));
        f32[i * 3] = x + 0.05 * (world.unit(m.seed, r, 21) - 0.5);
        f32[i * 3 + 1] = y + 0.05 * (world.unit(m.seed, r, 22) - 0.5);
        u32[i * 3 + 2] = index;
        cloud.at.set([line, pixel], i * 2);
        cloud.places.set([m.f.x_mm + (pixel + 0.5) * world.PIXEL_MM, m.f.y_mm + (line + 0.5) * world.PIXEL_MM], i * 2);
      }
    });
    Object.assign(cloud, { f32, u32 });
    if (this.clouds.size > 3) this.clouds.clear();
    this.clouds.set(key, cloud);
    return cloud;
  }

  facts(cloud) {
    const keys = {};
    for (const s of cloud.samples) for (const [key, value] of Object.entries(s.keys)) (keys[key] ??= new Set()).add(value);
    return {
      count: cloud.count, dimensions: world.DIMENSIONS, models: ["a07e".repeat(16)],
      samples: cloud.samples.map((s) => ({ scan: s.scan.id, sample: s.sample, container: s.at, keys: s.keys, vars: s.vars, rows: s.rows })),
      keys: Object.fromEntries(Object.entries(keys).map(([key, set]) => [key, [...set].sort()])), vars: ["cu_percent"], variance: [0.614, 0.221, 0.083, 0.031, 0.014, 0.008],
    };
  }

  /** Which points a projection shows. */
  shown(cloud, projection) {
    if (projection !== "tsne") return null;
    const step = Math.max(1, Math.ceil(cloud.count / SHOWN));
    return Uint32Array.from({ length: Math.ceil(cloud.count / step) }, (_, i) => i * step);
  }

  /** Points of a projection, or null where it is not made yet. */
  points(cloud, projection) {
    if (projection !== "tsne") return cloud.points;
    if (!this.done.has(cloud.key)) return null;
    cloud.tsne ??= this.#tsne(cloud);
    return cloud.tsne;
  }

  #tsne(cloud) {
    const which = this.shown(cloud, "tsne");
    const out = new Float32Array(which.length * 3);
    const index = new Uint32Array(out.buffer);
    which.forEach((p, i) => {
      const sample = cloud.u32[p * 3 + 2];
      const keys = cloud.samples[sample].keys;
      const angle = (world.hash(keys.plant + keys.month) % 628) / 100;
      const [x, y] = [cloud.f32[p * 3], cloud.f32[p * 3 + 1]];
      const turn = angle + 1.2 * Math.atan(x - y);
      out[i * 3] = 38 * Math.cos(angle) + 11 * (x - 0.4) * Math.cos(turn) - 9 * y * Math.sin(turn);
      out[i * 3 + 1] = 38 * Math.sin(angle) + 11 * (x - 0.4) * Math.sin(turn) + 9 * y * Math.cos(turn);
      index[i * 3 + 2] = sample;
    });
    return Buffer.from(out.buffer);
  }

  subset(data, width, which) {
    if (!which) return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    const out = new Float32Array(which.length * width);
    which.forEach((p, i) => out.set(data.subarray(p * width, p * width + width), i * width));
    return Buffer.from(out.buffer);
  }

  values(cloud, query) {
    const out = new Float32Array(cloud.count);
    if (query.get("of") === "cluster") {
      const { centres } = kmeans(cloud, +(query.get("k") ?? 4));
      for (let i = 0; i < out.length; i++) out[i] = nearest(centres, cloud.f32[i * 3], cloud.f32[i * 3 + 1]);
    } else if (query.get("of") === "mineral") {
      const group = +(query.get("n") ?? 2);
      for (let i = 0; i < out.length; i++) out[i] = world.mineral(world.shares(cloud.samples[cloud.u32[i * 3 + 2]].model, cloud.at[i * 2], cloud.at[i * 2 + 1]), group);
    } else {
      const n = +(query.get("n") ?? 0);
      for (let i = 0; i < out.length; i++) out[i] = world.embedding(world.shares(cloud.samples[cloud.u32[i * 3 + 2]].model, cloud.at[i * 2], cloud.at[i * 2 + 1]), n);
    }
    return out;
  }

  minerals(cloud) {
    const points = [1, 2].map((n) => {
      const counts = Array(world.MINERAL_NAMES.length + 1).fill(0);
      for (const code of this.values(cloud, new URLSearchParams({ of: "mineral", n }))) counts[code]++;
      return counts;
    });
    return { names: world.MINERAL_NAMES, points };
  }

  elbow(cloud, most) {
    const k = Array.from({ length: most }, (_, i) => i + 1);
    return { k, inertia: k.map((n) => kmeans(cloud, n).inertia), chosen: 4 };
  }

  selection(cloud, projection, polygon) {
    const points = this.points(cloud, projection);
    const which = this.shown(cloud, projection);
    const f32 = new Float32Array(points.buffer, points.byteOffset, points.length / 4);
    const hits = [];
    for (let i = 0; i < f32.length / 3; i++) if (within(polygon, f32[i * 3], f32[i * 3 + 1])) hits.push(which ? which[i] : i);
    const [samples, keys] = [new Map(), {}];
    for (const i of hits) {
      const s = cloud.u32[i * 3 + 2];
      samples.set(s, (samples.get(s) ?? 0) + 1);
    }
    for (const [s, n] of samples) for (const [key, value] of Object.entries(cloud.samples[s].keys)) (keys[key] ??= {})[value] = (keys[key]?.[value] ?? 0) + n;
    const every = (most) => hits.filter((_, i) => i % Math.ceil(hits.length / most) === 0);
    const [sum, square] = [new Float64Array(world.BANDS), new Float64Array(world.BANDS)];
    const drawn = every(600);
    for (const i of drawn) world.spectrum(cloud.samples[cloud.u32[i * 3 + 2]].model, cloud.at[i * 2], cloud.at[i * 2 + 1]).forEach((v, b) => ((sum[b] += v), (square[b] += v * v)));
    const n = drawn.length || 1;
    return {
      count: hits.length, spectra: drawn.length, wavelengths_nm: Array.from(world.GRID), mean: hits.length ? Array.from(sum, (v) => v / n) : [], sd: hits.length ? Array.from(sum, (v, b) => Math.sqrt(Math.max(0, square[b] / n - (v / n) ** 2))) : [],
      samples: [...samples].map(([index, points]) => ({ index, points })), keys, places: every(5000).map((i) => [cloud.places[i * 2], cloud.places[i * 2 + 1], cloud.u32[i * 3 + 2]]),
    };
  }

  spectra(cloud, group, rows) {
    const order = cloud.samples.map((_, i) => i).sort((a, b) => String(cloud.samples[a].keys[group]).localeCompare(String(cloud.samples[b].keys[group])) || a - b);
    const each = Math.max(1, Math.floor(rows / order.length));
    const count = each * order.length;
    const out = Buffer.alloc(8 + world.BANDS * 4 + count * 4 + count * world.BANDS * 4);
    out.writeUInt32LE(count, 0);
    out.writeUInt32LE(world.BANDS, 4);
    world.GRID.forEach((nm, b) => out.writeFloatLE(nm, 8 + b * 4));
    let row = 0;
    for (const s of order)
      for (let e = 0; e < each; e++, row++) {
        const m = cloud.samples[s].model;
        out.writeUInt32LE(s, 8 + world.BANDS * 4 + row * 4);
        const from = 8 + world.BANDS * 4 + count * 4 + row * world.BANDS * 4;
        world.spectrum(m, Math.floor(m.lines * (0.2 + 0.6 * world.unit(m.seed, e, 31))), Math.floor(m.pixels * (0.2 + 0.6 * world.unit(m.seed, e, 32)))).forEach((v, b) => out.writeFloatLE(v, from + b * 4));
      }
    return out;
  }

  classify(cloud, key) {
    const classes = [...new Set(cloud.samples.map((s) => s.keys[key]))].sort();
    const of = classes.map((c) => cloud.samples.filter((s) => s.keys[key] === c).reduce((sum, s) => sum + s.rows, 0));
    const matrix = classes.map((c, i) => {
      const wrong = classes.map((d, j) => (i === j ? 0 : Math.round(of[i] * 0.3 * world.unit(world.hash(c + d), 1))));
      wrong[i] = of[i] - wrong.reduce((a, b) => a + b, 0);
      return wrong;
    });
    const n = of.reduce((a, b) => a + b, 0);
    const right = matrix.map((row, i) => row[i] / of[i]);
    return { classes, matrix, accuracy: matrix.reduce((sum, row, i) => sum + row[i], 0) / n, balanced_accuracy: right.reduce((a, b) => a + b, 0) / classes.length, n, note: "Linear discriminants over the embeddings. Each container was left out once." };
  }
}

function nearest(centres, x, y) {
  let [best, least] = [0, Infinity];
  for (let c = 0; c < centres.length; c++) {
    const d = (x - centres[c][0]) ** 2 + (y - centres[c][1]) ** 2;
    if (d < least) [best, least] = [c, d];
  }
  return best;
}

function kmeans(cloud, k) {
  const step = Math.max(1, Math.floor(cloud.count / 3000));
  let centres = Array.from({ length: k }, (_, c) => {
    const i = Math.floor(((c + 0.5) / k) * cloud.count);
    return [cloud.f32[i * 3], cloud.f32[i * 3 + 1]];
  });
  let inertia = 0;
  for (let round = 0; round < 12; round++) {
    const sums = centres.map(() => [0, 0, 0]);
    inertia = 0;
    for (let i = 0; i < cloud.count; i += step) {
      const [x, y] = [cloud.f32[i * 3], cloud.f32[i * 3 + 1]];
      const c = nearest(centres, x, y);
      sums[c][0] += x;
      sums[c][1] += y;
      sums[c][2]++;
      inertia += (x - centres[c][0]) ** 2 + (y - centres[c][1]) ** 2;
    }
    centres = sums.map(([x, y, n], c) => (n ? [x / n, y / n] : centres[c]));
  }
  return { centres, inertia };
}
