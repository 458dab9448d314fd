// The live messages, the ring of rows and the tray's model, without a browser.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { modules } from './common.mjs';

let vite, decode, ring, model, mend, health;
before(async () => {
  vite = await modules();
  ({ decode } = await vite.load('/src/lib/live/decode.ts'));
  ring = await vite.load('/src/rig/ring.ts');
  model = await vite.load('/src/tray/model.ts');
  health = await vite.load('/src/health/groups.ts');
  ({ mend } = await vite.load('/src/rig/mend.ts'));
});
after(() => vite.close());

function message(kind, size, fill) {
  const buffer = new ArrayBuffer(1 + size);
  const view = new DataView(buffer, 1);
  new DataView(buffer).setUint8(0, kind);
  fill(view);
  return buffer;
}

function picture({ index, stride = 1, y, encoding = 0, values, bands = [3, 2, 1] }) {
  const wide = encoding === 0 ? 1 : 2;
  const pixels = values.length / bands.length;
  return message(5, 28 + 2 * bands.length + wide * values.length, (view) => {
    view.setUint8(0, 1);
    view.setUint8(1, encoding);
    view.setUint8(2, bands.length);
    view.setUint32(4, pixels, true);
    view.setUint32(8, stride, true);
    view.setBigInt64(12, BigInt(index), true);
    view.setFloat64(20, y, true);
    bands.forEach((band, k) => view.setUint16(28 + 2 * k, band, true));
    values.forEach((value, k) => {
      const at = 28 + 2 * bands.length + wide * k;
      if (wide === 1) view.setUint8(at, value);
      else view.setUint16(at, value, true);
    });
  });
}

test('a row of a picture is read as it was sent', () => {
  const { kind, body } = decode(picture({ index: 7, stride: 2, y: 12.5, values: [1, 2, 3, 4, 5, 255] }));
  assert.equal(kind, 'picture');
  assert.deepEqual([body.source, body.index, body.stride, body.yMm, body.pixels], [1, 7, 2, 12.5, 2]);
  assert.deepEqual(body.bands, [3, 2, 1]);
  assert.deepEqual([...body.bytes], [1, 2, 3, 4, 5, 255]);
});

test('rows of the grid may be negative, and have half floats', () => {
  const { body } = decode(picture({ index: -3, y: -1.5, encoding: 1, bands: [9], values: [0x3800, 0x7e00] }));
  assert.equal(body.index, -3);
  assert.deepEqual([...body.halves], [0x3800, 0x7e00]);
});

test('ledger, light, outline and JSON are read', () => {
  const ledger = decode(message(6, 32, (view) => {
    view.setUint8(0, 1);
    view.setUint8(1, 5);
    view.setUint32(4, 9, true);
    view.setBigUint64(8, 400n, true);
    view.setFloat64(16, NaN, true);
    view.setFloat64(24, NaN, true);
  })).body;
  assert.deepEqual([ledger.camera, ledger.status, ledger.count, ledger.first], [1, 5, 9, 400]);
  const light = decode(message(7, 16, (view) => {
    view.setUint8(0, 1);
    view.setFloat32(4, 0.5, true);
    view.setFloat64(8, 33, true);
  })).body;
  assert.deepEqual(light, { camera: 1, level: 0.5, yMm: 33 });
  const outline = decode(message(8, 16, (view) => {
    view.setUint16(0, 4, true);
    view.setUint16(2, 1, true);
    view.setBigInt64(4, -2n, true);
    view.setUint16(12, 10, true);
    view.setUint16(14, 20, true);
  })).body;
  assert.deepEqual(outline, { sample: 4, row: -2, runs: [[10, 20]] });
  const minerals = decode(message(12, 20, (view) => {
    view.setUint16(0, 3, true);
    view.setUint16(2, 7, true);
    view.setUint16(4, 2, true);
    view.setBigInt64(8, -5n, true);
    [1, 0, 255, 2].forEach((code, k) => view.setUint8(16 + k, code));
  })).body;
  assert.deepEqual(minerals, { sample: 3, first: 7, pixels: 2, row: -5, winners: [new Uint8Array([1, 0]), new Uint8Array([255, 2])] });
  const text = new TextEncoder().encode('{"holder":null,"since":null,"mine":false}');
  const lease = new Uint8Array([16, ...text]).buffer;
  assert.equal(decode(lease).body.mine, false);
});

test('an unknown kind is passed over, and a message that is cut off is refused', () => {
  assert.equal(decode(new Uint8Array([99, 1, 2]).buffer), null);
  assert.throws(() => decode(picture({ index: 1, y: 0, values: [1, 2, 3] }).slice(0, 30)));
});

const row = (index, y, value = 100, stride = 1) => ({ source: 0, encoding: 0, bands: [0], pixels: 2, stride, index, yMm: y, bytes: new Uint8Array([value, 255]), halves: null });

test('a missing line is a gap and no row', () => {
  const rows = new ring.Ring(2, false);
  for (const index of [0, 1, 2, 6, 7]) rows.take(row(index, index * 0.5));
  assert.equal(rows.at(0.5), 1);
  assert.equal(rows.at(2.0), -2);
  assert.equal(rows.at(3.0), 3);
  assert.equal(rows.at(-5), -1);
  assert.equal(rows.at(9), -1);
});

test('rows that stand for several lines have no gap between them', () => {
  const rows = new ring.Ring(2, false);
  for (let k = 0; k < 5; k += 1) rows.take(row(4 * k, 2 * k, 100, 4));
  for (let y = 0; y < 8; y += 0.25) assert.ok(rows.at(y) >= 0, String(y));
});

test('a saturated pixel is told, and a row that comes again is written over', () => {
  const rows = new ring.Ring(2, false);
  rows.take(row(0, 0, 100));
  rows.take(row(1, 0.5, 100));
  assert.equal(rows.bytes[3], ring.VALID);
  assert.equal(rows.bytes[7], ring.SATURATED);
  rows.take(row(0, 0, 50));
  assert.equal(rows.count, 2);
  assert.equal(rows.bytes[0], 50);
  assert.equal(rows.rewritten, 1);
});

test('NaN of the grid has no value, and zero is a value', () => {
  const rows = new ring.Ring(2, true);
  rows.take({ ...row(0, 0), encoding: 1, bytes: null, halves: new Uint16Array([0, 0x7e00]) });
  assert.deepEqual([rows.bytes[0], rows.bytes[3], rows.bytes[7]], [0, ring.VALID, ring.NOTHING]);
  const half = new ring.Ring(2, true);
  half.take({ ...row(0, 0), encoding: 1, bytes: null, halves: new Uint16Array([0x3800, 0x3400]) });
  assert.ok(Math.abs(ring.share(half.bytes[0], true) - 0.5) < 0.01);
  assert.ok(Math.abs(ring.share(half.bytes[4], true) - 0.25) < 0.01);
});

test('the ring forgets the oldest rows and keeps the order', () => {
  const rows = new ring.Ring(2, false);
  for (let k = 0; k < ring.CAPACITY + 10; k += 1) rows.take(row(k, k));
  assert.equal(rows.first, 10);
  assert.equal(rows.at(5), -1);
  assert.equal(rows.at(ring.CAPACITY + 9), 9);
});

test('a tray map comes back as it was', () => {
  const map = {
    tray: 'T-1',
    keys: ['plant'],
    grid: { rows: 1, columns: 2 },
    container: [{ at: 'A1', sample: 'S-1', plant: 'north', x_mm: 1, y_mm: 2, diameter_mm: 30, height_mm: 4, vars: { cu: 0.5 } }, { at: 'A2', sample: 'S-2', plant: 'south', x_mm: 40, y_mm: 2, width_mm: 20, length_mm: 30 }],
  };
  assert.deepEqual(model.toMap(model.fromMap(map)).map, map);
});

test('faults find their places past the empty ones', () => {
  const sheet = model.blank(1, 3, ['plant']);
  sheet.places[0].sample = 'S-1';
  sheet.places[2].sample = 'S-3';
  const { map, order } = model.toMap(sheet);
  assert.equal(map.container.length, 2);
  assert.deepEqual(model.whereIs('container[1].plant', order), { place: 2, field: 'plant' });
  assert.equal(model.whereIs('tray', order), null);
});

test('one thing mends the rig', () => {
  const camera = { device: 'camera', name: 'vnir' };
  const light = (on) => ({ device: 'light', name: 'l', connected: true, state: { on, level: on ? 1 : 0 } });
  const held = (...kinds) => kinds.map((kind) => ({ camera: 'vnir', kind }));
  const ready = { ready: true, missing: [] };
  const status = (state, references, on) => ({ state, devices: [camera, light(on)], references });
  assert.equal(mend(status('faulted', [], false), { ready: false, missing: [{ what: 'fault', reason: '' }] }), 'acknowledge');
  assert.equal(mend(status('idle', [], true), { ready: false, missing: [{ what: 'device', reason: '' }] }), 'health');
  assert.equal(mend(status('idle', [], true), ready), 'dark');
  assert.equal(mend(status('idle', held('dark'), true), ready), 'white');
  assert.equal(mend(status('idle', held('dark', 'white'), false), ready), 'lamps');
  assert.equal(mend(status('idle', held('dark', 'white'), true), ready), null);
});

test('a burst in a queue is no matter, and a queue that stays full is told', () => {
  const t = Array.from({ length: 24 }, (_, i) => 1000 + 5 * i);
  const queue = (name, last, before = 0) => ({ name: `hyclus_queue_items{queue="${name}"}`, label: name, unit: '%', values: [...Array(t.length - last.length).fill(before), ...last] });
  const now = (...series) => health.queuesNow(t, series);
  assert.equal(now(), null);
  assert.equal(now(queue('store', [], null)), null, 'no scan was run');
  assert.deepEqual(now(queue('join-vnir', []), queue('store', [100, 100, 100])), { full: [], seconds: 0, fullest: 'store', level: 0.25 });
  assert.deepEqual(now(queue('store', Array(6).fill(100))).full, [], '25 s');
  const kept = now(queue('store', Array(7).fill(100)), queue('encode', Array(9).fill(95)), queue('publish', [...Array(9).fill(100), 0]));
  assert.deepEqual([kept.full, kept.seconds], [['encode', 'store'], 40]);
  assert.deepEqual(now(queue('store', [...Array(9).fill(100), null])).full, [], 'nobody knows of it');
});

test('each of forty minerals has a colour of its own', async () => {
  const { categoryColour, NOT_IDENTIFIED } = await vite.load('/src/lib/colour.ts');
  const colours = new Set(Array.from({ length: 40 }, (_, k) => categoryColour('mineral', `mineral ${k}`)));
  assert.equal(colours.size, 40);
  assert.ok(!colours.has(NOT_IDENTIFIED));
});
