// A rig that is not there: serves dist/ and the whole interface of the console with invented data, for building and testing the pages.
//   node mock/server.mjs [--port 8099] [--points 60000] [--disconnected] [--empty] [--still]
// Names observe, operate and administer log in with any password but "wrong". --still starts no scan by itself.
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { WebSocketServer } from "ws";
import { commands } from "./commands.mjs";
import { data } from "./data.mjs";
import { Explorer } from "./explorer.mjs";
import { Jobs } from "./jobs.mjs";
import { Live, NAMES, RGB, json } from "./live.mjs";
import { Rig } from "./rig.mjs";
import { Scans } from "./scans.mjs";
import { EXAMPLE } from "./trays.mjs";

const DIST = fileURLToPath(new URL("../dist/", import.meta.url));
const CSP = "default-src 'self'; img-src 'self' blob: data:; style-src 'self'; script-src 'self'; connect-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'";
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".png": "image/png", ".json": "application/json", ".ico": "image/x-icon", ".webmanifest": "application/manifest+json" };

/** Start a server; `close()` ends it. */
export function start({ port = 0, points = 60000, disconnected = false, empty = false, still = false, dist = DIST } = {}) {
  const rig = new Rig({ connected: !disconnected, empty });
  const scans = new Scans(empty ? 0 : 60, Date.now(), points);
  const world = { scans, explorer: new Explorer(scans) };
  const live = new Live(rig, scans, !still && !empty && !disconnected);
  const jobs = new Jobs();
  const presets = new Map(empty ? [] : [["Twelve containers", EXAMPLE]]);
  const sessions = new Map();
  const tries = new Map();

  const sessionOf = (request) => sessions.get(/hyclus=([0-9a-f]+)/.exec(request.headers.cookie ?? "")?.[1]);
  const told = (s) => ({ user: s.user, role: s.role, token: s.token, expires: s.expires, rig: "atacama-1", version: "0.9.0", lease: rig.lease(s.id) });

  function login(reply, user, role) {
    const session = { id: randomBytes(16).toString("hex"), user, role, token: randomBytes(16).toString("hex"), expires: new Date(Date.now() + 12 * 3600e3).toISOString() };
    sessions.set(session.id, session);
    return reply.json(told(session), 200, { "set-cookie": `hyclus=${session.id}; HttpOnly; SameSite=Strict; Path=/` });
  }

  function enter(path, body, reply) {
    if (path === "/api/link") {
      const role = { observe: "observe", operate: "operate", administer: "administer" }[body.code];
      return role ? login(reply, `guest-${role}`, role) : reply.problem(401, "The link is used or too old", "Ask for a new link.");
    }
    const role = ["observe", "operate", "administer"].find((r) => String(body.user ?? "").startsWith(r));
    if (role && body.password && body.password !== "wrong") return login(reply, body.user, role);
    const count = (tries.get(body.user) ?? 0) + 1;
    tries.set(body.user, count);
    if (count > 5) return reply.json({ status: 429, title: "Too many tries", detail: "Wait, then try again.", retry_after_s: 30 }, 429, { "content-type": "application/problem+json" });
    return reply.problem(401, "Name or password is wrong", "Try again.");
  }

  async function handle(request, response) {
    const url = new URL(request.url, "http://x");
    const send = (status, body, headers) => (response.writeHead(status, { "content-security-policy": CSP, "x-content-type-options": "nosniff", "referrer-policy": "no-referrer", "cache-control": "no-store", ...headers }), response.end(body), true);
    const reply = {
      json: (value, status = 200, headers = {}) => send(status, JSON.stringify(value), { "content-type": "application/json", ...headers }),
      problem: (status, title, detail, faults = []) => reply.json({ status, title, detail, faults }, status, { "content-type": "application/problem+json" }),
      octets: (buffer, type, headers = {}) => send(200, buffer, { "content-type": type, ...headers }),
    };
    const path = url.pathname;
    if (!path.startsWith("/api/")) return file(dist, path, send);
    let body = null;
    if (!["GET", "HEAD"].includes(request.method)) {
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      try {
        body = chunks.length ? JSON.parse(Buffer.concat(chunks)) : {};
      } catch {
        return reply.problem(400, "No JSON", "Send JSON.");
      }
      if (path === "/api/login" || path === "/api/link") return enter(path, body, reply);
    }
    const session = sessionOf(request);
    if (!session) return reply.problem(401, "Not logged in", "Log in.");
    if (body !== null && request.headers["x-hyclus-token"] !== session.token) return reply.problem(403, "No token", "Load the page again.");
    if (path === "/api/session") return reply.json(told(session));
    if (path === "/api/logout") return sessions.delete(session.id), rig.release(session.id), reply.json({});
    const ctx = { path, query: url.searchParams, method: request.method, reply, rig, session, body, live, world, jobs, presets };
    if (commands(ctx) || data(ctx)) return true;
    return reply.problem(404, "No such route", "There is nothing here.");
  }

  const server = createServer((request, response) => {
    handle(request, response).catch((error) => {
      console.error(error);
      if (!response.headersSent) response.writeHead(500, { "content-type": "application/problem+json" });
      response.end(JSON.stringify({ status: 500, title: "The mock failed", detail: String(error), faults: [] }));
    });
  });

  const sockets = new WebSocketServer({ noServer: true });
  server.on("upgrade", (request, socket, head) => {
    const session = sessionOf(request);
    if (!session || !request.url.startsWith("/api/live")) return socket.end("HTTP/1.1 401 Unauthorized\r\n\r\n");
    sockets.handleUpgrade(request, socket, head, (ws) => viewer(ws, session, rig, live));
  });
  return new Promise((done) =>
    server.listen(port, "127.0.0.1", () =>
      done({ port: server.address().port, rig, live, scans, jobs, close: () => (clearInterval(live.timer), sockets.clients.forEach((c) => c.terminate()), server.closeAllConnections(), new Promise((end) => server.close(end))) }),
    ),
  );
}

function file(dist, path, send) {
  const at = join(dist, normalize(path === "/" ? "/index.html" : path));
  if (!at.startsWith(dist) || !existsSync(at)) return send(404, "not found", { "content-type": "text/plain" });
  return send(200, readFileSync(at), { "content-type": TYPES[extname(at)] ?? "application/octet-stream", "cache-control": path.startsWith("/assets/") ? "max-age=31536000, immutable" : "no-cache" });
}

function viewer(ws, session, rig, live) {
  const bands = {};
  let dropped = 0;
  const send = (message) => {
    if (ws.bufferedAmount > 4 << 20) dropped++;
    else ws.send(message);
  };
  const lease = () => send(json(16, rig.lease(session.id)));
  const alarms = () => send(json(18, rig.alarms));
  const row = (source, index, y_mm) => send(live.picture(source, index, y_mm, bands[NAMES[source]] ?? RGB[source]));
  const event = (e) => send(json(2, e));
  const status = () => rig.connected && send(json(3, rig.status()));
  send(json(1, { format: 1, rig: "atacama-1", version: "0.9.0", time: new Date().toISOString() }));
  send(json(17, { connected: rig.connected, since: rig.since }));
  lease();
  alarms();
  status();
  send(live.description());
  if (live.scan) live.history(bands).forEach(send);
  const timer = setInterval(() => {
    status();
    if (dropped) send(json(11, { messages: dropped }));
  }, 500);
  const on = [[rig, "lease", lease], [rig, "alarms", alarms], [rig, "event", event], [rig, "status", status], [live, "row", row], [live, "message", send]];
  for (const [of, name, call] of on) of.on(name, call);
  let watch = null;
  ws.on("message", (text) => {
    let wish;
    try {
      wish = JSON.parse(text);
    } catch {
      return;
    }
    if (wish.bands) Object.assign(bands, wish.bands);
    if ("jog" in wish) {
      clearTimeout(watch);
      if (!wish.jog) rig.speed = 0;
      else if (session.role === "observe" || !rig.lease(session.id).mine) send(json(19, { status: 409, title: "Not yours", detail: "Take the control first.", faults: [] }));
      else if (["scanning", "faulted"].includes(rig.state)) send(json(19, { status: 409, title: "Refused", detail: `The rig is ${rig.state}.`, faults: [] }));
      else {
        rig.speed = wish.jog.speed_mm_per_s;
        watch = setTimeout(() => (rig.speed = 0), 500);
      }
    }
  });
  ws.on("close", () => {
    clearInterval(timer);
    for (const [of, name, call] of on) of.off(name, call);
  });
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { values } = parseArgs({ options: { port: { type: "string", default: "8099" }, points: { type: "string", default: "60000" }, disconnected: { type: "boolean" }, empty: { type: "boolean" }, still: { type: "boolean" } } });
  const { port } = await start({ ...values, port: +values.port, points: +values.points });
  console.log(`http://127.0.0.1:${port}/  log in as observe, operate or administer with any password`);
}
