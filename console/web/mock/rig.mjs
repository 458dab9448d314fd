// The invented rig: state, references, lamps, belt, lease, alarms and events.
import { EventEmitter } from "node:events";

const iso = (t = Date.now()) => new Date(t).toISOString();

export class Rig extends EventEmitter {
  constructor({ connected = true, empty = false } = {}) {
    super();
    this.setMaxListeners(0);
    this.connected = connected;
    this.since = connected ? null : iso(Date.now() - 40e3);
    this.state = "idle";
    this.cause = null;
    this.taken = { dark: Date.now() - 11 * 60e3, white: empty ? null : Date.now() - 10 * 60e3 };
    this.lamps = { halogen_left: empty ? 0 : 1, halogen_right: empty ? 0 : 1 };
    this.position = 0;
    this.speed = 0;
    this.progress = null;
    this.holder = null; // {session, user}
    this.held = null;
    this.alarms = empty ? [] : [
      { id: 2, time: iso(Date.now() - 9 * 60e3), message: "the disk holds 6 hours at this rate", severity: "warning", acknowledged_by: null, acknowledged_at: null },
      { id: 1, time: iso(Date.now() - 3600e3), message: "the belt slipped by 0.8 mm", severity: "warning", acknowledged_by: "maria", acknowledged_at: iso(Date.now() - 3500e3) },
    ];
    this.events = 100;
  }

  lease(session) {
    return { holder: this.holder?.user ?? null, since: this.held, mine: !!this.holder && this.holder.session === session };
  }

  take(session, user, takeOver) {
    if (this.holder && this.holder.session !== session && !takeOver) return false;
    this.holder = { session, user };
    this.held = iso();
    this.emit("lease");
    return true;
  }

  release(session) {
    if (this.holder?.session === session) {
      this.holder = this.held = null;
      this.emit("lease");
    }
  }

  event(kind, data = {}) {
    this.emit("event", { id: ++this.events, time: iso(), event: kind, ...data });
  }

  set(state, cause = null) {
    this.state = state;
    this.cause = cause;
    this.event("state", { state, cause });
    this.emit("status");
  }

  alarm(message, severity = "alarm") {
    this.alarms.unshift({ id: (this.alarms[0]?.id ?? 0) + 1, time: iso(), message, severity, acknowledged_by: null, acknowledged_at: null });
    this.emit("alarms");
  }

  stop(user) {
    this.speed = 0;
    for (const name of Object.keys(this.lamps)) this.lamps[name] = 0;
    this.set("faulted", `emergency stop by ${user}`);
    this.alarm(`emergency stop by ${user}`);
    this.emit("stopped");
  }

  acknowledge() {
    if (this.state === "faulted") this.set("idle");
  }

  /** Take a reference; false where the rig is busy. */
  reference(kind) {
    if (!["idle", "ready"].includes(this.state)) return false;
    this.set("referencing");
    setTimeout(() => {
      if (this.state !== "referencing") return;
      this.taken[kind] = Date.now();
      for (const r of this.references().filter((r) => r.kind === kind)) this.event("reference_taken", r);
      this.set(this.taken.white && this.taken.dark ? "ready" : "idle");
    }, 2000).unref();
    return true;
  }

  references() {
    const of = (camera, kind, mean) => this.taken[kind] && {
      camera, kind, taken: iso(this.taken[kind]), age_s: (Date.now() - this.taken[kind]) / 1000, frames: 200, mean_counts: mean, noise_counts: kind === "dark" ? 2.1 : 9.4, saturated: 0,
      ...(kind === "white" ? { flicker: 0.0007, evenness: 0.71, dirt: 0.004, least_signal_counts: 210 } : {}), bad_elements: { mended: camera === "swir" ? 0.0031 : 0.0004, missing: 0 }, temperature_c: camera === "swir" ? -73.1 : 31.2,
    };
    return [of("vnir", "dark", 104), of("vnir", "white", 2610), of("swir", "dark", 612), of("swir", "white", 3105)].filter(Boolean);
  }

  readiness() {
    const missing = [];
    if (this.state === "faulted") missing.push({ what: "fault", reason: `${this.cause}; look at the rig, then acknowledge` });
    if (!this.taken.dark) missing.push({ what: "device", reason: "no dark reference is held; take one" });
    if (!this.taken.white) missing.push({ what: "device", reason: "no white reference is held; take one" });
    return { ready: missing.length === 0, missing };
  }

  status() {
    const busy = this.state === "scanning";
    const wave = Math.sin(Date.now() / 4000);
    const camera = (name, model, serial, shape, temperature) => ({ device: "camera", name, model, serial, connected: true, shape, exposure: { exposure_us: 2400, frame_rate_hz: 330, binning: [1, 1] }, temperature_c: temperature + 0.1 * wave, pool: [busy ? 52 + Math.round(6 * wave) : 64, 64] });
    const light = (name) => ({ device: "light", name, model: "simulated lamp", connected: true, state: { on: this.lamps[name] > 0, level: this.lamps[name] } });
    const counts = () => ({ received: Math.round(this.progress.lines), lost: 3, expected: Math.round(this.progress.lines) + 3, lost_pool: 0, lost_link: 3, unusable: 0, unrecorded: 0, gaps: [[212, 3]] });
    return {
      state: this.state, cause: this.cause, rig: "atacama-1", version: "0.9.0",
      devices: [camera("vnir", "simulated VNIR", "SIM-001", [512, 224], 31.2), camera("swir", "simulated SWIR", "SIM-002", [384, 288], -73.1), { device: "conveyor", model: "simulated belt", connected: true, state: { moving: this.speed !== 0, speed_mm_per_s: this.speed, position_mm: this.position } }, light("halogen_left"), light("halogen_right")],
      references: this.references(), disk_free_bytes: 412_000_000_000,
      queues: { "acquire-rectify": [busy ? 3 : 0, 64], "rectify-segment": [busy ? 2 : 0, 32], "segment-store": [busy ? 5 : 0, 64], "encode-publish": [busy ? 11 : 0, 128] },
      scan: this.progress && busy ? { scan: this.progress.scan, position_mm: this.position, end_mm: this.progress.end_mm, cameras: { vnir: counts(), swir: counts() }, samples: this.progress.samples, embeddings: this.progress.samples * 1200 } : null,
    };
  }

  rig(session) {
    const answers = this.connected;
    return { connected: answers, since: this.since, status: answers ? this.status() : null, readiness: answers ? this.readiness() : null, lease: this.lease(session), alarms: this.alarms };
  }
}

/** Curves of the last hour. */
export function health() {
  const now = Math.floor(Date.now() / 5000) * 5;
  const t = Array.from({ length: 720 }, (_, i) => now - (719 - i) * 5);
  const busy = (x) => ((x / 240) % 1 < 0.55 ? 1 : 0);
  const wave = (x, i) => 0.5 + 0.3 * Math.sin(x / 97 + i) + 0.2 * Math.sin(x / 13 + 3 * i);
  const series = (name, label, unit, of) => ({ name, label, unit, values: t.map((x, i) => (i < 40 ? null : +of(x).toFixed(4))) });
  return {
    t,
    series: [
      series("lines_vnir", "lines of vnir", "1/s", (x) => 320 * busy(x)), series("lines_swir", "lines of swir", "1/s", (x) => 318 * busy(x)),
      series("stage_rectify", "stage rectify", "% of a core", (x) => busy(x) * 22 * (0.7 + wave(x, 1))), series("stage_segment", "stage segment", "% of a core", (x) => busy(x) * 9 * (0.7 + wave(x, 2))), series("stage_encode", "stage encode", "% of a core", (x) => busy(x) * 64 * (0.6 + wave(x, 3))), series("stage_store", "stage store", "% of a core", (x) => busy(x) * 14 * (0.7 + wave(x, 4))),
      series('hyclus_queue_items{queue="store"}', "Queue filled: store", "%", (x) => (x % 400 < 5 ? 100 : busy(x) * 8 * wave(x, 5))), series('hyclus_queue_items{queue="publish"}', "Queue filled: publish", "%", (x) => busy(x) * 30 * wave(x, 6)),
      series("lost_vnir", "lost lines of vnir", "lines", (x) => (x % 1500 < 5 ? 3 : 0)), series("lost_swir", "lost lines of swir", "lines", (x) => (x % 2200 < 5 ? 1 : 0)),
      series("disk_free", "free disk", "GB", (x) => 412 + (now - x) / 300), series("temperature_vnir", "temperature of vnir", "°C", (x) => 31 + 0.4 * wave(x / 9, 7)), series("temperature_swir", "temperature of swir", "°C", (x) => -73 + 0.2 * wave(x / 9, 8)),
    ],
  };
}
