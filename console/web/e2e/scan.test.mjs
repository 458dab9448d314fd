// From the first visit to a finished scan, and what the page shows against the files. Real daemon, real console, real browser.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { browser as launch, enter, judge, said, show, start, tray, until } from './rig.mjs';

let browser, rig;
before(async () => {
  browser = await launch();
  rig = await start();
});
after(async () => {
  await browser.close();
  await rig.stop();
});

const SPECTRUM = `
import h5py, json, sys
path, line, pixel = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with h5py.File(path) as f:
    g = f["entry/reflectance"]
    print(json.dumps([None if v != v else float(v) for v in g["reflectance"][line, pixel]]))
`;

const COUNTS = `
import json, re, sys
import numpy as np
capture, scan, frame, pixel = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
head = open(f"{capture}/{scan}.hdr").read()
pixels, bands = (int(re.search(rf"^{key} *= *([0-9]+)", head, re.M)[1]) for key in ["samples", "bands"])
frames = [int(row.split(",")[1]) for row in open(f"{capture}/{scan}.lines.csv").read().splitlines()[1:]]
raw = np.fromfile(f"{capture}/{scan}.raw", "<u2").reshape(len(frames), bands, pixels)
print(json.dumps(raw[frames.index(frame), :, pixel].tolist()))
`;

test('from a link to a finished scan: a tray by clicks, scanned, seen, and its spectrum is the cube', async () => {
  const page = await enter(browser, rig);
  // A link works once.
  const used = new URL(rig.link('observe', 'once'));
  const visit = await browser.newContext();
  for (const wanted of ['[data-test=emergency-stop]', '[data-test=page-login]']) {
    const other = await (wanted.includes('login') ? await browser.newContext() : visit).newPage();
    await other.goto(`${rig.url}${used.hash}`);
    await other.waitForSelector(wanted);
  }
  await show(page, '#/tray');
  await page.waitForSelector('[data-test=tray-drawing]');
  await page.fill('[data-test=tray-name]', 'T-1');
  await page.setInputFiles('[data-test=worklist-file]', {
    name: 'list.csv',
    mimeType: 'text/csv',
    buffer: Buffer.from('tray,at,sample,plant\nT-1,A1,S-A1,north\nT-1,A2,S-A2,south\nT-1,B1,S-B1,north\nT-1,B2,S-B2,south\n'),
  });
  await page.waitForFunction(() => /S-A1/.test(document.querySelector('[data-test=place-A1]')?.getAttribute('aria-label') ?? ''));
  await page.click('[data-test=take-control]');
  await page.waitForFunction(() => !document.querySelector('[data-test=scan]').disabled, null, { timeout: 30_000 });
  await page.click('[data-test=scan]');
  await said(page, 'state', 'Scanning');
  await page.waitForFunction(() => window.__hyclus?.scene?.rings?.every((ring) => ring.count > 40), null, { timeout: 60_000 });
  await until(async () => (await rig.status()).state === 'idle', 'the end of the scan');
  const [id] = rig.scans();
  const record = rig.record(id);
  assert.equal(record.complete, true, record.reason);
  assert.ok(record.tray.containers.every(({ sample, at }) => sample === `S-${at}`), 'the worklist is in the record');
  assert.match(rig.log('daemon'), /maria/);

  // The ledger has exactly the gaps of the record.
  await page.waitForFunction(() => window.__hyclus.scene, null);
  for (const [name, sums] of Object.entries(record.cameras)) {
    const told = await page.locator(`[data-test=ledger-${name}]`).getAttribute('aria-label');
    assert.match(told, new RegExp(`${name}: `));
    if (sums.lost) assert.match(told, new RegExp(`${sums.lost} lost`), told);
  }

  // The spectrum under the cursor.
  const pane = page.locator('[data-test=waterfall-grid]');
  const box = await pane.boundingBox();
  let spectrum = null;
  for (let across = 0.15; across < 0.9 && !spectrum; across += 0.1) {
    for (let along = 0.15; along < 0.9 && !spectrum; along += 0.1) {
      const answer = page.waitForResponse((r) => /\/api\/scans\/.*\/spectrum/.test(r.url()), { timeout: 3000 }).catch(() => null);
      await page.mouse.move(box.x + box.width * across, box.y + box.height * along);
      const got = await answer;
      if (got?.ok()) spectrum = await got.json();
    }
  }
  assert.ok(spectrum, 'a sample lies under the cursor somewhere');
  const cube = judge(SPECTRUM, join(rig.data, 'scans', id, 'samples', `${spectrum.sample}.h5`), String(spectrum.line), String(spectrum.pixel));
  assert.equal(spectrum.reflectance.length, cube.length);
  cube.forEach((value, band) => {
    const shown = spectrum.reflectance[band];
    assert.ok(value === null ? shown === null : Math.abs(shown - value) <= 1e-6, `band ${band}: ${shown} and ${value}`);
  });
  await page.waitForFunction(() => window.__hyclus.spectrum?.curves.some((curve) => curve.values.filter((v) => v !== null).length > 50));

  // Where no sample is stored, what the cameras counted.
  let counted = null;
  for (let along = 0.05; along < 1 && !counted; along += 0.1) {
    const answer = page.waitForResponse((r) => /\/counts\?/.test(r.url()), { timeout: 3000 }).catch(() => null);
    await page.mouse.move(box.x + box.width * 0.5, box.y + box.height * along);
    const got = await answer;
    if (got?.ok()) counted = (await got.json()).cameras;
  }
  assert.deepEqual(counted?.map((camera) => camera.name), ['vnir', 'swir']);
  for (const camera of counted) {
    const capture = join(rig.data, 'scans', id, 'raw', camera.name, 'capture');
    assert.deepEqual(camera.counts, judge(COUNTS, capture, id, String(camera.frame), String(camera.pixel)), camera.name);
  }
  await page.waitForFunction(() => window.__hyclus.spectrum?.curves.length === 6);
  assert.match(await page.textContent('[data-test=spectrum-state]'), /counts of the recording/);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test('a finished scan, its sample and the explorer are there for an observer', async () => {
  const [id] = rig.scans().length ? rig.scans() : [await rig.scan(tray(2, 2))];
  const page = await enter(browser, rig, { role: 'observe', name: 'guest', hash: '#/scans' });
  await page.click('[data-test=scan-card] a, [data-test=scan-link]');
  await page.waitForSelector('[data-test=page-scan]');
  await page.waitForSelector('[data-test=sample-tile]');
  assert.equal(await page.locator('[data-test=scan-process]').count(), 0, 'what is not allowed is not shown');
  await show(page, `#/scans/${id}/S-A1`);
  await page.waitForSelector('[data-test=page-sample]');
  await page.waitForFunction(() => window.__hyclus.image?.shape, null, { timeout: 30_000 });
  await show(page, `#/explorer?scans=${id}`);
  await page.waitForFunction(() => window.__hyclus.cloud?.count > 100, null, { timeout: 30_000 });
  const count = await page.evaluate(() => window.__hyclus.cloud.count);
  assert.equal(count, rig.record(id).embeddings, 'every embedding is a point');
  await show(page, '#/health');
  await page.waitForSelector('[data-test=page-health]');
  assert.deepEqual(page.faults, []);
  await page.context().close();
});
