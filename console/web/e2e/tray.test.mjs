// A tray laid by clicks and by a barcode scanner, scanned by the real daemon, which names its containers so.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { labelled, scanner } from '../tests/browser.mjs';
import { browser as launch, enter, said, start, until } from './rig.mjs';

let browser, rig;
before(async () => {
  browser = await launch();
  rig = await start();
});
after(async () => {
  await browser.close();
  await rig.stop();
});

/** The page of a tray of two by two places that have no keys, with the tray's name. */
async function laying(name) {
  const page = await enter(browser, rig, { hash: '#/tray' });
  await page.waitForSelector('[data-test=tray-drawing]');
  await page.click('[data-test=tray-shape]');
  for (const [field, value] of [['keys', ''], ['rows', '2'], ['columns', '2']]) {
    await page.fill(`[data-test=tray-${field}]`, value);
    await page.locator(`[data-test=tray-${field}]`).press('Tab');
  }
  await page.keyboard.press('Escape');
  await page.fill('[data-test=tray-name]', name);
  return page;
}

async function scanned(page) {
  const before = rig.scans();
  await page.waitForSelector('[data-test=no-faults]');
  if (await page.locator('[data-test=take-control]').count()) await page.click('[data-test=take-control]');
  await page.waitForFunction(() => !document.querySelector('[data-test=scan]').disabled, null, { timeout: 30_000 });
  await page.click('[data-test=scan]');
  await said(page, 'state', 'Scanning');
  await until(async () => (await rig.status()).state === 'idle', 'the end of the scan');
  const [id] = rig.scans().filter((scan) => !before.includes(scan));
  const record = rig.record(id);
  assert.equal(record.complete, true, record.reason);
  return record.tray;
}

const places = (laid) => Object.fromEntries(laid.containers.map(({ at, sample }) => [at, sample]));

test('a tray by clicks: each place is chosen by the mouse and gets its sample', async () => {
  const page = await laying('T-CLICKS');
  for (const at of ['A1', 'B2']) {
    await page.click(`[data-test=place-${at}]`);
    await page.fill('[data-test=place-sample]', `C-${at}`);
    await labelled(page, at, `C-${at}`);
  }
  const laid = await scanned(page);
  assert.equal(laid.tray, 'T-CLICKS');
  assert.deepEqual(places(laid), { A1: 'C-A1', B2: 'C-B2' });
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test('a tray by a barcode scanner: each code goes to the next place, and a code that lies already is refused aloud', async () => {
  const page = await laying('T-CODES');
  await page.evaluate(() => document.activeElement.blur());
  for (const [code, at] of [['AB-001', 'A1'], ['AB-002', 'A2'], ['AB-003', 'B1']]) {
    await scanner(page, code);
    await labelled(page, at, code);
  }
  await scanner(page, 'AB-002');
  await page.waitForSelector('[data-test=said-refused]');
  await labelled(page, 'B2', 'empty');
  await scanner(page, 'AB-004');
  await labelled(page, 'B2', 'AB-004');
  const laid = await scanned(page);
  assert.equal(laid.tray, 'T-CODES');
  assert.deepEqual(places(laid), { A1: 'AB-001', A2: 'AB-002', B1: 'AB-003', B2: 'AB-004' });
  assert.deepEqual(page.faults, []);
  await page.context().close();
});
