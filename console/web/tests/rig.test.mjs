// What an operator does at the rig, in a browser against the mock server.
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { browser as launch, enter, serious, serve } from './common.mjs';

let browser, mock, page;
before(async () => (browser = await launch()));
after(() => browser.close());
beforeEach(async () => (mock = await serve()));
afterEach(async () => {
  assert.deepEqual(page.faults, []);
  await page.context().close();
  await mock.close();
});

async function stateIs(word) {
  await page.waitForFunction((wanted) => document.querySelector('[data-test=state]')?.textContent === wanted, word);
}
const take = async () => page.click('[data-test=take-control]');

test('rows come in, samples are found, and the ledger fills', async () => {
  page = await enter(browser, mock.url);
  await stateIs('Scanning');
  await page.waitForFunction(() => window.__hyclus?.scene?.rings?.every((ring) => ring.count > 150), null, { timeout: 20000 });
  await page.waitForFunction(() => window.__hyclus.scene.outlines.size > 0, null, { timeout: 20000 });
  assert.equal(await page.evaluate(() => window.__hyclus.painter), 'webgl2');
  await page.waitForFunction(() => window.__hyclus.frames > 10);
  assert.match(await page.locator('[data-test=ledger-vnir]').getAttribute('aria-label'), /vnir: \d+ good/);
});

test('the spectrum under the cursor comes for a stored sample, and is pinned by a click and by keys', async () => {
  page = await enter(browser, mock.url);
  await page.waitForFunction(() => window.__hyclus?.scene?.outlines.size > 2, null, { timeout: 20000 });
  await page.waitForTimeout(6000);
  const pane = page.locator('[data-test=waterfall-grid]');
  const box = await pane.boundingBox();
  await page.mouse.move(box.x + box.width * 0.23, box.y + box.height * 0.22);
  await page.waitForFunction(() => window.__hyclus.spectrum?.curves.some((curve) => curve.values.filter((v) => v !== null).length > 50));
  await page.mouse.click(box.x + box.width * 0.23, box.y + box.height * 0.22);
  await page.waitForSelector('[data-test=pins] li');
  await page.mouse.move(box.x + 2, box.y + 2);
  await page.waitForFunction(() => /No sample is stored/.test(document.querySelector('[data-test=spectrum-state]').textContent));
  await pane.focus();
  await page.keyboard.press('ArrowRight');
  assert.match(await pane.getAttribute('aria-label'), /mm across/);
});

test('minerals lie over the joined picture as they are identified, and the address names them', async () => {
  page = await enter(browser, mock.url);
  await page.waitForFunction(() => window.__hyclus?.scene?.minerals.size > 1, null, { timeout: 20000 });
  assert.equal(await page.locator('[data-test=live-minerals]').count(), 0, 'off until somebody asks');
  await page.click('[data-test=look]');
  await page.click('[data-test=look-minerals] label:has(input[value="2"])');
  await page.waitForSelector('[data-test=live-minerals] li');
  assert.match(await page.innerText('[data-test=live-minerals]'), /kaolinite/);
  assert.match(page.url(), /minerals=2/);
  // Some pixel over the joined picture has the colour of the legend.
  await page.waitForFunction(() => {
    const rgb = (text) => text.match(/\d+/g).slice(0, 3).map(Number);
    const wanted = [...document.querySelectorAll('[data-test=live-minerals] .box')].map((box) => rgb(getComputedStyle(box).backgroundColor).join());
    const over = document.querySelector('[data-test=waterfall-grid] canvas');
    const { data } = over.getContext('2d').getImageData(0, 0, over.width, over.height);
    const seen = new Set();
    for (let at = 0; at < data.length; at += 4) if (data[at + 3] === 255) seen.add(data.slice(at, at + 3).join());
    return wanted.filter((colour) => seen.has(colour)).length >= 3;
  });
  await page.keyboard.press('Escape');
  assert.deepEqual(await serious(page), []);
  if (process.env.SHOT) await page.screenshot({ path: process.env.SHOT });
});

test('the emergency stop works by key and by click, latches, and is acknowledged', async () => {
  page = await enter(browser, mock.url, { hash: '#/health' });
  await page.waitForSelector('[data-test=page-health]');
  await page.keyboard.press('Shift+Escape');
  await page.waitForSelector('[data-test=stop-sent]');
  await page.evaluate(() => (location.hash = '#/rig'));
  await stateIs('Faulted');
  assert.match(await page.locator('[data-test=ready-reason]').innerText(), /emergency stop/);
  assert.deepEqual(await serious(page), []);
  await take();
  await page.click('[data-test=mend]');
  await stateIs('Idle');
  await page.click('[data-test=emergency-stop]');
  await stateIs('Faulted');
});

test('control is taken, taken over by another, and given up', async () => {
  page = await enter(browser, mock.url);
  await take();
  await page.waitForSelector('[data-test=stop-scan], [data-test=to-tray], [data-test=mend]');
  const other = await enter(browser, mock.url, { user: 'administer' });
  await other.click('[data-test=lease]');
  assert.match(await other.locator('[data-test=lease-words]').innerText(), /operate has control/);
  await other.click('[data-test=lease-take]');
  await page.waitForSelector('[data-test=take-control]');
  await other.click('[data-test=lease-release]');
  await page.click('[data-test=lease]');
  await page.waitForFunction(() => /Nobody has control/.test(document.querySelector('[data-test=lease-words]').textContent));
  await other.context().close();
});

test('the belt moves while a key or the pointer holds, and stops after', async () => {
  await mock.close();
  mock = await serve({ still: true });
  page = await enter(browser, mock.url, { hash: '#/rig?side=move' });
  const sent = [];
  // The frames of the socket are seen from a page that connects anew.
  page.on('websocket', (socket) => socket.on('framesent', ({ payload }) => sent.push(String(payload))));
  await page.reload();
  await page.waitForSelector('[data-test=move]');
  await take();
  const button = page.locator('[data-test=jog-forward]');
  await page.waitForFunction(() => !document.querySelector('[data-test=jog-forward]').disabled);
  const jogs = () => sent.filter((text) => text.includes('jog'));
  const box = await button.boundingBox();
  await page.mouse.move(box.x + 20, box.y + 20);
  await page.mouse.down();
  await page.waitForTimeout(900);
  const beats = jogs().length;
  assert.ok(beats >= 4 && beats <= 7, `${beats} beats in 0.9 s`);
  await page.mouse.up();
  await page.waitForTimeout(400);
  assert.equal(jogs().at(-1), '{"jog":null}');
  const after = jogs().length;
  await page.waitForTimeout(500);
  assert.equal(jogs().length, after);
  await button.focus();
  await page.keyboard.down('Space');
  await page.waitForTimeout(500);
  assert.ok(jogs().length > after + 1);
  await page.evaluate(() => window.dispatchEvent(new Event('blur')));
  await page.waitForTimeout(200);
  assert.equal(jogs().at(-1), '{"jog":null}');
  await page.keyboard.up('Space');
});

test('an alarm is acknowledged with its name', async () => {
  page = await enter(browser, mock.url, { hash: '#/rig?side=alarms' });
  await page.click('[data-test=alarm-acknowledge]');
  await page.waitForFunction(() => /operate saw it at/.test(document.querySelector('[data-test=alarms]').textContent));
});

test('bands and colours are in the address, and a link shows the same', async () => {
  page = await enter(browser, mock.url, { hash: '#/rig?view=swir&one=1&colours=intensity&bands=swir:40,20,10' });
  await page.waitForSelector('[data-test=waterfall-swir]');
  assert.equal(await page.locator('[data-test=waterfall-vnir]').count(), 0);
  await page.click('[data-test=look]');
  assert.equal(await page.locator('[data-test=band-swir-0]').inputValue(), '40');
  await page.locator('[data-test=band-swir-0]').fill('77');
  await page.waitForFunction(() => location.hash.includes(encodeURIComponent('swir:77,20,10')));
  await page.waitForFunction(() => window.__hyclus.scene.rings[1].bands.some((bands) => bands?.length === 1 && bands[0] === 77), null, { timeout: 10000 });
});
