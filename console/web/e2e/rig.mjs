// A real daemon on a simulated rig, and a real console beside it, in a temporary folder. HYCLUS_BIN is the folder of the binaries.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync, existsSync, openSync, readdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { views } from '../tests/browser.mjs';

export { browser, views } from '../tests/browser.mjs';

const root = new URL('../../..', import.meta.url).pathname;
const bin = process.env.HYCLUS_BIN ?? join(root, 'target/debug');
const python = process.env.HYCLUS_PYTHON ?? 'python3';

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** Waits until `ready` gives something true. */
export async function until(ready, what, ms = 60_000) {
  const end = Date.now() + ms;
  for (;;) {
    const got = await ready();
    if (got) return got;
    if (Date.now() > end) throw new Error(`waited ${ms / 1000} s for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** The rig of the demo, on a port of its own. */
function demo(folder, port, pace = 'as_read') {
  const text = readFileSync(join(root, 'config/simulated.toml'), 'utf8').replace(/\n\[console\][^[]*/, '\n');
  return (
    text
      // As fast as the frames are read: a slow machine loses no line.
      .replace('seed = 1', `seed = 1\npace = "${pace}"`)
      .replace('data_dir = "../data"', 'data_dir = "data"')
      .replace('socket = "../data/control.sock"', 'socket = "s"')
      .replace(/listen = "[^"]*"/, 'listen = ""')
      .replace('model = "encoders/', `model = "${root}config/encoders/`).replace('library = "minerals/', `library = "${root}config/minerals/`) + `\n[console]\nlisten = "127.0.0.1:${port}"\nstate_dir = "${folder}/console"\n`
  );
}

function configuration(folder, port, { rows = 2, columns = 2, more = '' } = {}) {
  const camera = (name, pixels, bands, rate, rest) =>
    `[[camera]]\nname = "${name}"\nfield_of_view_mm = 300.0\nexposure_us = 2000.0\nframe_rate_hz = ${rate}\npool_slots = 32\n${rest}`;
  return `
[rig]
name = "browser"
data_dir = "data"
[control]
socket = "s"
listen = ""
[console]
listen = "127.0.0.1:${port}"
state_dir = "${folder}/console"
[simulation]
seed = 3
pace = "real_time"
warm_up_s = 0.01
[simulation.tray]
rows = ${rows}
columns = ${columns}
[conveyor]
speed_mm_per_s = 60.0
device = { kind = "simulated" }
${camera('vnir', 128, 60, '40.0', 'device = { kind = "simulated", pixels = 128, bands = 60, lost_per_thousand = 15.0 }\n')}
${camera('swir', 96, 48, '32.0', 'offset_mm = 40.0\nshift_mm = 1.5\ndevice = { kind = "simulated", pixels = 96, bands = 48, first_nm = 1000.0, last_nm = 2500.0, offset_mm = 40.0, shift_mm = 1.5, bits = 16 }\n')}
[[light]]
name = "halogen"
device = { kind = "simulated" }
[scan]
warm_up_s = 0.05
[lamps]
window_s = 0.3
[references]
panel = { reflectance = 0.95 }
panel_mm = [-70.0, -25.0]
frames = 12
[grid]
pixel_mm = 2.4
[segment.tray]
length_mm = ${30 + 75 * rows}.0
[encoder]
model = "${root}config/encoders/simulated-pca4.onnx"
batch = 64
[publish]
max_age_s = 0.1
${more}`;
}

/** Starts daemon and console. `options` change the rig. */
export async function start(options = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'hyclus-console-'));
  const port = await freePort();
  const file = join(folder, 'rig.toml');
  writeFileSync(file, options.demo ? demo(folder, port, options.pace) : configuration(folder, port, options));
  const socket = join(folder, 's');
  const rig = {
    folder,
    port,
    socket,
    url: `http://127.0.0.1:${port}/`,
    data: join(folder, 'data'),
    daemon: null,
    console: null,
    /** Asks the daemon itself. */
    ask: (method, path, body) => ask(socket, method, path, body),
    status: async () => (await ask(socket, 'GET', '/v1/status')).body,
    async startDaemon() {
      const log = openSync(join(folder, 'daemon.log'), 'a');
      rig.daemon = spawn(join(bin, 'hyclusd'), ['--config', file, '--data', rig.data, '--socket', socket], { stdio: ['ignore', log, log] });
      await until(async () => (rig.daemon.exitCode === null ? existsSync(socket) && (await ask(socket, 'GET', '/v1/status').catch(() => null)) : fail(folder, 'daemon')), 'the daemon');
    },
    async startConsole() {
      const log = openSync(join(folder, 'console.log'), 'a');
      rig.console = spawn(join(bin, 'hyclus-console'), ['--config', file, 'serve'], { stdio: ['ignore', log, log] });
      await until(async () => (rig.console.exitCode === null ? fetch(rig.url).then((r) => r.ok, () => false) : fail(folder, 'console')), 'the console');
    },
    /** A link that lets somebody in. */
    link(role, name) {
      const made = spawnSync(join(bin, 'hyclus-console'), ['--config', file, 'link', '--role', role, '--for', '1h', '--name', name], { encoding: 'utf8' });
      if (made.status !== 0) throw new Error(made.stderr);
      return made.stdout.trim();
    },
    log: (name) => readFileSync(join(folder, `${name}.log`), 'utf8'),
    record: (id) => JSON.parse(readFileSync(join(rig.data, 'scans', id, 'scan.json'), 'utf8')),
    scans: () => (existsSync(join(rig.data, 'scans')) ? readdirSync(join(rig.data, 'scans')).filter((name) => !name.startsWith('.')) : []),
    /** Scans a tray over the control socket, and waits for its end. */
    async scan(map = tray(options.rows ?? 2, options.columns ?? 2)) {
      const { status, body } = await ask(socket, 'POST', '/v1/scans', { tray: map });
      if (status !== 201) throw new Error(JSON.stringify(body));
      await until(async () => (await rig.status()).state === 'idle', 'the end of the scan');
      return body.id;
    },
    async stop() {
      for (const child of [rig.console, rig.daemon]) {
        if (child && child.exitCode === null && child.signalCode === null) {
          child.kill('SIGKILL');
          await new Promise((resolve) => child.once('exit', resolve));
        }
      }
      rmSync(folder, { recursive: true, force: true });
    },
  };
  await rig.startDaemon();
  await rig.startConsole();
  return rig;
}

function fail(folder, name) {
  throw new Error(`the ${name} ended:\n${readFileSync(join(folder, `${name}.log`), 'utf8')}`);
}

function ask(socketPath, method, path, body) {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? '' : JSON.stringify(body);
    const headers = { host: 'rig', ...(text && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }) };
    const call = request({ socketPath, method, path, headers }, (answer) => {
      let all = '';
      answer.setEncoding('utf8').on('data', (piece) => (all += piece)).on('end', () => resolve({ status: answer.statusCode, body: all ? JSON.parse(all) : null }));
    });
    call.on('error', reject).end(text);
  });
}

/** A tray map for the simulated tray. */
export function tray(rows, columns) {
  const container = [];
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const at = String.fromCharCode(65 + row) + (column + 1);
      container.push({ at, sample: `S-${at}`, plant: row % 2 ? 'south' : 'north', size: column % 2 ? 'M140' : 'M100' });
    }
  }
  return { tray: 'T', keys: ['plant', 'size'], grid: { rows, columns }, container };
}

/** Runs a Python program on arguments, and gives what it printed as JSON. */
export function judge(program, ...arguments_) {
  const ran = spawnSync(python, ['-c', program, ...arguments_], { encoding: 'utf8', maxBuffer: 1 << 28 });
  if (ran.status !== 0) throw new Error(ran.stderr);
  return JSON.parse(ran.stdout);
}

/** A page of somebody who came by a link. */
export async function enter(browser, rig, { role = 'operate', name = 'maria', view = 'dark', locale = 'en', hash } = {}) {
  const context = await browser.newContext({ ...views[view], locale });
  const page = await context.newPage();
  page.faults = [];
  page.on('pageerror', (error) => page.faults.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error' && !/Failed to load resource|GL Driver|WebSocket connection/.test(message.text())) page.faults.push(message.text());
  });
  const link = new URL(rig.link(role, name));
  await page.goto(`${rig.url}?test${link.hash}`);
  await page.waitForSelector('[data-test=emergency-stop]', { timeout: 30_000 });
  if (hash) await show(page, hash);
  return page;
}

/** Goes to another page of the console. */
export async function show(page, hash) {
  await page.evaluate((to) => (location.hash = to), hash);
}

export const said = (page, test, words) =>
  page.waitForFunction(([name, text]) => new RegExp(text).test(document.querySelector(`[data-test=${name}]`)?.textContent ?? ''), [test, words], { timeout: 60_000 });
