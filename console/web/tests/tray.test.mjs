// A tray by clicks, by a barcode scanner, by a worklist, by keys; and its scan. In a browser against the mock server.
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { labelled as says, scanner } from './browser.mjs';
import { browser as launch, enter, serious, serve } from './common.mjs';

let browser, mock, page;
before(async () => (browser = await launch()));
after(() => browser.close());
beforeEach(async () => {
  mock = await serve({ still: true });
  page = await enter(browser, mock.url, { hash: '#/tray' });
  await page.waitForSelector('[data-test=tray-drawing]');
});
afterEach(async () => {
  assert.deepEqual(page.faults, []);
  await page.context().close();
  await mock.close();
});

const scan = (code) => scanner(page, code);
const labelled = (at, words) => says(page, at, words);
const csv = 'tray,at,sample,plant,month,size\nT-9,A1,W-101,north,2026-12,M100\nT-9,A2,W-102,south,2026-12,M140\nT-10,A1,W-103,south,2026-12,M200\n';
const worklist = () => page.setInputFiles('[data-test=worklist-file]', { name: 'list.csv', mimeType: 'text/csv', buffer: Buffer.from(csv) });

test('a tray is laid by clicks and keys, checked at each change, and scanned', async () => {
  await page.fill('[data-test=tray-name]', 'T-77');
  await page.click('[data-test=place-B2]');
  await page.fill('[data-test=place-sample]', 'S-1');
  await page.waitForSelector('[data-test=faults] >> text=B2, plant');
  for (const [key, value] of [['plant', 'north'], ['month', '2026-12'], ['size', 'M100']]) await page.fill(`[data-test=place-key-${key}]`, value);
  await page.waitForSelector('[data-test=no-faults]');
  assert.equal(await page.locator('[data-test=scan]').isDisabled(), true);
  await page.click('[data-test=take-control]');
  await page.waitForFunction(() => !document.querySelector('[data-test=scan]').disabled);
  await page.click('[data-test=scan]');
  await page.waitForSelector('[data-test=page-rig]');
  await page.waitForFunction(() => ['Scanning', 'Taking references', 'Warming up'].includes(document.querySelector('[data-test=state]')?.textContent));
});

test('the arrow keys go from place to place, and Enter begins to write', async () => {
  await page.locator('[data-test=place-A1]').focus();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('ArrowRight');
  assert.equal(await page.evaluate(() => document.activeElement.dataset.test), 'place-B2');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.activeElement.dataset.test === 'place-sample');
});

test('a scanner fills place after place, wherever the focus is', async () => {
  await page.evaluate(() => document.activeElement.blur());
  await scan('AB-001');
  await scan('AB-002');
  await labelled('A1', 'AB-001');
  await labelled('A2', 'AB-002');
  await page.locator('[data-test=tray-name]').focus();
  await page.waitForTimeout(100);
  await scan('AB-003');
  assert.equal(await page.inputValue('[data-test=tray-name]'), '');
  await labelled('A3', 'AB-003');
  await scan('AB-001');
  await page.waitForSelector('[data-test=said-refused]');
  assert.match(await page.locator('[data-test=said-refused]').innerText(), /lies at A1 already/);
  await labelled('B1', 'empty');
});

test('what a hand types is no code', async () => {
  await page.locator('[data-test=tray-name]').focus();
  await page.keyboard.type('T-SLOW', { delay: 90 });
  await page.keyboard.press('Enter');
  assert.equal(await page.inputValue('[data-test=tray-name]'), 'T-SLOW');
  await labelled('A1', 'empty');
});

test('a worklist is laid, and a code that it does not name is refused', async () => {
  await worklist();
  await page.waitForFunction(() => /W-101/.test(document.querySelector('[data-test=place-A1]').getAttribute('aria-label')));
  assert.equal(await page.inputValue('[data-test=tray-name]'), 'T-9');
  await page.evaluate(() => document.activeElement.blur());
  await scan('W-999');
  assert.match(await page.locator('[data-test=said-refused]').innerText(), /W-999 is not in the worklist/);
  await scan('W-102');
  await labelled('A1', 'W-102.*scanned');
  await labelled('A2', 'W-101');
  assert.equal(await page.inputValue('[data-test=place-key-plant]'), 'north');
  await page.selectOption('[data-test=worklist-tray]', 'T-10');
  await labelled('A1', 'W-103');
  assert.deepEqual(await serious(page), []);
});

test('undo takes back, and a preset is kept', async () => {
  await scan('AB-001');
  await scan('AB-002');
  await page.click('[data-test=undo]');
  await labelled('A2', 'empty');
  await labelled('A1', 'AB-001');
  await page.click('[data-test=presets]');
  await page.fill('[data-test=preset-name]', 'Mine');
  await page.click('[data-test=preset-save]');
  await page.waitForSelector('[data-test=preset-list] >> text=Mine');
  await page.click('[data-test=preset-list] >> text=Twelve containers');
  await page.waitForFunction(() => /N-2026-11-1/.test(document.querySelector('[data-test=place-A1]').getAttribute('aria-label')));
  assert.deepEqual(await serious(page), []);
});

test('the list writes the same tray, and a reload keeps it', async () => {
  await page.evaluate(() => (location.hash = '#/tray?view=list'));
  await page.fill('[data-test=list-A1-sample]', 'S-5');
  await page.locator('[data-test=list-A1-sample]').press('Enter');
  assert.equal(await page.evaluate(() => document.activeElement.dataset.test), 'list-A2-sample');
  await page.reload();
  await page.waitForSelector('[data-test=tray-list]');
  assert.equal(await page.inputValue('[data-test=list-A1-sample]'), 'S-5');
});
