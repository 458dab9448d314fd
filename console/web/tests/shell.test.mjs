// The shell and the pages of the rig, in a browser against the mock server.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { browser as launch, enter, serious, serve, views } from './common.mjs';

let browser, mock;
before(async () => {
  mock = await serve();
  browser = await launch();
});
after(async () => {
  await browser.close();
  await mock.close();
});

const pages = { rig: '#/rig', 'rig move': '#/rig?side=move', 'rig references': '#/rig?side=references', 'rig alarms': '#/rig?side=alarms', tray: '#/tray', 'tray list': '#/tray?view=list', health: '#/health' };

for (const view of Object.keys(views)) {
  test(`axe finds nothing serious, ${view}`, async () => {
    const page = await enter(browser, mock.url, { view });
    for (const [name, hash] of Object.entries(pages)) {
      await page.evaluate((to) => (location.hash = to), hash);
      await page.waitForSelector(`[data-test=page-${name.split(' ')[0]}]`);
      await page.waitForTimeout(700);
      assert.deepEqual(await serious(page), [], name);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      assert.ok(wide <= 0, `${name} is ${wide} px too wide`);
    }
    await page.click('[data-test=lease]');
    assert.deepEqual(await serious(page), [], 'lease');
    await page.click('[data-test=alarm-menu]');
    assert.deepEqual(await serious(page), [], 'alarms');
    await page.click('[data-test=user-menu]');
    assert.deepEqual(await serious(page), [], 'user');
    assert.deepEqual(page.faults, []);
    await page.context().close();
  });
}

describe('login', () => {
  test('a wrong password is told, and a link opens', async () => {
    const context = await browser.newContext(views.dark);
    const page = await context.newPage();
    await page.goto(mock.url);
    await page.waitForSelector('[data-test=page-login]');
    assert.deepEqual(await serious(page), []);
    await page.fill('[data-test=login-user]', 'operate');
    await page.fill('[data-test=login-password]', 'wrong');
    await page.click('[data-test=login-submit]');
    await page.waitForSelector('[data-test=login-wrong]');
    await page.goto(mock.url + '#/link/none');
    await page.waitForSelector('[data-test=link-wrong]');
    await page.goto(mock.url + '#/link/observe');
    await page.waitForSelector('[data-test=page-rig]');
    assert.match(page.url(), /#\/rig$/);
    await context.close();
  });

  test('who logs out is asked to log in', async () => {
    const page = await enter(browser, mock.url);
    await page.click('[data-test=user-menu]');
    await page.click('[data-test=logout]');
    await page.waitForSelector('[data-test=page-login]');
    await page.context().close();
  });

  test('an observer sees no button that moves things, and may stop', async () => {
    const page = await enter(browser, mock.url, { user: 'observe', hash: '#/rig?side=move' });
    await page.waitForSelector('[data-test=move]');
    for (const hidden of ['take-control', 'jog-forward', 'travel-go', 'belt-stop']) assert.equal(await page.locator(`[data-test=${hidden}]`).count(), 0, hidden);
    assert.equal(await page.locator('[data-test=emergency-stop]').isVisible(), true);
    await page.evaluate(() => (location.hash = '#/tray'));
    await page.waitForSelector('[data-test=scan-box]');
    assert.equal(await page.locator('[data-test=scan]').count(), 0);
    await page.context().close();
  });
});

test('the language and the theme change at once and stay', async () => {
  const page = await enter(browser, mock.url, { hash: '#/health' });
  await page.click('[data-test=user-menu]');
  await page.click('[data-test=language] label:has-text("Español")');
  assert.equal(await page.locator('[data-test=nav-tray]').innerText(), 'Bandeja');
  assert.equal(await page.getAttribute('html', 'lang'), 'es');
  await page.click('[data-test=theme] label:has-text("Clara")');
  assert.equal(await page.getAttribute('html', 'data-theme'), 'light');
  await page.reload();
  await page.waitForSelector('[data-test=page-health]');
  assert.equal(await page.getAttribute('html', 'lang'), 'es');
  assert.equal(await page.getAttribute('html', 'data-theme'), 'light');
  await page.context().close();
});

test('Health is calm at a burst in a queue, and tells of one that stays full', async () => {
  const page = await enter(browser, mock.url, { hash: '#/health' });
  const words = page.locator('[data-test=queues]');
  await words.waitFor();
  assert.match(await words.innerText(), /^The queues (keep up|are empty)/);
  const t = Array.from({ length: 20 }, (_, i) => 1000 + 5 * i);
  const answer = (values) => page.route('**/api/health', (route) => route.fulfill({ json: { t, series: [{ name: 'hyclus_queue_items{queue="store"}', label: 'Queue filled: store', unit: '%', values }] } }));
  for (const [values, wanted, mood] of [
    [t.map((_, i) => (i === 19 ? 100 : 2)), 'The queues keep up. The fullest was store: 10% on average in the last minute.', 'good'],
    [t.map((_, i) => (i > 11 ? 100 : 2)), 'Full for 35 sec: store. No line is lost while the frame pools have free slots.', 'doubt'],
  ]) {
    await answer(values);
    await page.reload();
    await words.waitFor();
    assert.equal((await words.innerText()).trim(), wanted);
    assert.equal(await words.locator(`svg.${mood}`).count(), 1);
    assert.deepEqual(await serious(page), []);
  }
  await page.context().close();
});

test('the first key goes to the page, and the bar is reached by keys', async () => {
  const page = await enter(browser, mock.url, { hash: '#/health' });
  await page.waitForSelector('[data-test=page-health]');
  await page.evaluate(() => document.body.focus());
  await page.reload();
  await page.waitForSelector('[data-test=page-health]');
  await page.keyboard.press('Tab');
  assert.match(await page.evaluate(() => document.activeElement.textContent), /Go to the page/);
  const reached = [];
  for (let k = 0; k < 10; k += 1) {
    await page.keyboard.press('Tab');
    reached.push(await page.evaluate(() => document.activeElement.dataset.test ?? ''));
  }
  for (const name of ['bar-state', 'nav-rig', 'nav-health', 'lease', 'alarm-menu', 'user-menu', 'emergency-stop']) assert.ok(reached.includes(name), `${name} in ${reached}`);
  await page.context().close();
});

test('a silent daemon is told with its time', async () => {
  const silent = await serve({ disconnected: true });
  const page = await enter(browser, silent.url);
  await page.waitForSelector('[data-test=daemon-silent]');
  assert.match(await page.locator('[data-test=daemon-silent]').innerText(), /The daemon does not answer since \d\d:\d\d:\d\d/);
  assert.equal(await page.locator('[data-test=state]').innerText(), 'No answer');
  assert.deepEqual(await serious(page), []);
  await page.context().close();
  await silent.close();
});
