// Routes that change the rig, and those of login, lease, trays and health.
import { health } from "./rig.mjs";
import * as trays from "./trays.mjs";

const RANK = { observe: 0, operate: 1, administer: 2 };

/** Answer a route, or return false where it is none. */
export function commands(ctx) {
  const { path, method, reply, rig, session, body, live } = ctx;
  const may = (role) => RANK[session.role] >= RANK[role] || (reply.problem(403, "Not allowed", `This needs the role ${role}.`), false);
  const holds = () => rig.lease(session.id).mine || (reply.problem(409, "Not yours", rig.holder ? `${rig.holder.user} operates the rig. Take over first.` : "Take the control first."), false);
  const route = `${method} ${path}`;
  const parts = path.split("/").map(decodeURIComponent);
  if (route === "GET /api/rig") return reply.json(rig.rig(session.id));
  if (route === "POST /api/stop") return rig.stop(session.user), reply.json(rig.status());
  if (route === "GET /api/health") return reply.json(health());
  if (route === "GET /api/health.csv") return reply.octets(Buffer.from(csv(health())), "text/csv; charset=utf-8");
  if (route === "POST /api/trays/check") return reply.json({ faults: trays.check(body.tray) });
  if (route === "POST /api/trays/worklist") return reply.json(trays.worklist(body));
  if (route === "GET /api/trays") return reply.json([...ctx.presets].map(([name, tray]) => ({ name, tray })));
  if (route === "POST /api/lease") {
    if (!may("operate")) return true;
    return rig.take(session.id, session.user, body.take_over) ? reply.json(rig.lease(session.id)) : reply.problem(409, "Held", `${rig.holder.user} operates the rig since ${rig.held}.`);
  }
  if (route === "DELETE /api/lease") return rig.release(session.id), reply.json(rig.lease(session.id));
  if (parts[2] === "alarms" && parts[4] === "acknowledge") {
    if (!may("operate")) return true;
    const alarm = rig.alarms.find((a) => String(a.id) === parts[3]);
    if (!alarm) return reply.problem(404, "No such alarm", "The alarm is gone.");
    Object.assign(alarm, { acknowledged_by: session.user, acknowledged_at: new Date().toISOString() });
    return rig.emit("alarms"), reply.json(alarm);
  }
  if (parts[2] === "trays" && parts[3] && method !== "GET") {
    if (!may("operate")) return true;
    if (method === "PUT") ctx.presets.set(parts[3], body.tray);
    else ctx.presets.delete(parts[3]);
    return reply.json({});
  }
  if (route === "PUT /api/conveyor" && body.action === "stop") return (rig.speed = 0), reply.json(rig.status());
  if (route === "POST /api/acknowledge") return may("operate") && holds() ? (rig.acknowledge(), reply.json(rig.status())) : true;
  if (route === "POST /api/scans") {
    if (!may("operate") || !holds()) return true;
    const faults = trays.check(body.tray);
    if (faults.length) return reply.problem(422, "The tray map has faults", "Mend them, then scan.", faults);
    const { ready, missing } = rig.readiness();
    if (!ready) return reply.problem(409, "Not ready", missing[0].reason);
    if (!["idle", "ready"].includes(rig.state)) return reply.problem(409, "Busy", `The rig is ${rig.state}. Wait, or stop it.`);
    return reply.json(ctx.world.scans.record(live.begin(body.tray)), 201);
  }
  if (parts[2] === "scans" && parts[4] === "stop" && method === "POST") return may("operate") && holds() ? (live.end("stopped by " + session.user), reply.json({})) : true;
  if (parts[2] === "references") return may("operate") && holds() ? (rig.reference(parts[3]) ? reply.json(rig.status()) : reply.problem(409, "Busy", `The rig is ${rig.state}.`)) : true;
  if (route === "PUT /api/lighting") {
    if (!may("operate") || !holds()) return true;
    for (const name of Object.keys(rig.lamps)) if (!body.light || body.light === name) rig.lamps[name] = body.level;
    return rig.emit("status"), reply.json(rig.status());
  }
  if (route === "PUT /api/conveyor") {
    if (!may("operate") || !holds()) return true;
    if (body.action === "run") rig.speed = body.speed_mm_per_s ?? 20;
    else rig.position = body.to_mm ?? body.position_mm ?? 0;
    return reply.json(rig.status());
  }
  return false;
}

function csv({ t, series }) {
  const head = ["time", ...series.map((s) => `${s.label} (${s.unit})`)].join(",");
  return [head, ...t.map((x, i) => [new Date(x * 1000).toISOString(), ...series.map((s) => s.values[i] ?? "")].join(","))].join("\n") + "\n";
}
