// Who may move the rig, and what stops it. Real daemon, real console, real browser.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, beforeEach, test } from 'node:test';
import { browser as launch, enter, said, show, start, tray, until } from './rig.mjs';

let browser, rig;
before(async () => {
  browser = await launch();
  rig = await start();
});
after(async () => {
  await browser.close();
  await rig.stop();
});
beforeEach(async () => {
  if ((await rig.status()).state === 'faulted') await rig.ask('POST', '/v1/acknowledge');
});

const belt = async () => (await rig.status()).devices.find((device) => device.device === 'conveyor').state;

test('the emergency stop works on every page, latches, and names who pressed it', async () => {
  const page = await enter(browser, rig, { role: 'observe', name: 'lena' });
  for (const [n, hash] of ['#/rig', '#/tray', '#/scans', '#/explorer', '#/health'].entries()) {
    await show(page, hash);
    await page.waitForSelector(`[data-test=page-${hash.slice(2)}]`);
    if (n % 2) await page.keyboard.press('Shift+Escape');
    else await page.click('[data-test=emergency-stop]');
    await until(async () => (await rig.status()).state === 'faulted', 'the latch');
    assert.match((await rig.status()).cause, /emergency stop by lena \(through /);
    const refused = await rig.ask('POST', '/v1/scans', { tray: tray(2, 2) });
    assert.equal(refused.status, 409, 'it is latched');
    assert.equal((await rig.ask('POST', '/v1/acknowledge')).status, 200);
  }
  assert.match(rig.log('daemon'), /emergency stop by lena/);
  await page.context().close();
});

test('one has control, another takes it over, and both see it', async () => {
  const [one, other] = [await enter(browser, rig, { name: 'maria' }), await enter(browser, rig, { name: 'pedro' })];
  await one.click('[data-test=take-control]');
  await other.click('[data-test=lease]');
  await said(other, 'lease-words', 'maria has control');
  await other.click('[data-test=lease-take]');
  await one.waitForSelector('[data-test=take-control]');
  await other.click('[data-test=lease-release]');
  await one.context().close();
  await other.context().close();
});

test('a browser that is gone while it moves the belt leaves it standing within a second', async () => {
  const page = await enter(browser, rig, { hash: '#/rig?side=move' });
  await page.waitForSelector('[data-test=move]');
  await page.click('[data-test=take-control]');
  await page.waitForFunction(() => !document.querySelector('[data-test=jog-forward]').disabled);
  const box = await page.locator('[data-test=jog-forward]').boundingBox();
  await page.mouse.move(box.x + 20, box.y + 20);
  await page.mouse.down();
  await until(async () => (await belt()).moving, 'the belt to move');
  await page.context().close();
  const gone = Date.now();
  await until(async () => !(await belt()).moving, 'the belt to stand', 5000);
  assert.ok(Date.now() - gone < 1300, `${Date.now() - gone} ms`);
});

test('eight tabs all see the same scan', async () => {
  const context = await browser.newContext();
  const pages = [];
  for (let n = 0; n < 8; n++) {
    const page = await context.newPage();
    if (n === 0) {
      await page.goto(rig.url + '?test' + new URL(rig.link('observe', 'many')).hash);
      await page.waitForSelector('[data-test=emergency-stop]');
    } else {
      await page.goto(rig.url + '?test#/rig');
    }
    pages.push(page);
  }
  const id = await rig.scan(tray(2, 2));
  for (const page of pages) {
    await page.waitForFunction(() => window.__hyclus?.scene?.rings?.every((ring) => ring.count > 20), null, { timeout: 60_000 });
  }
  assert.equal(rig.record(id).complete, true);
  await context.close();
});

test('a console that is killed in a scan costs no line, and the page says that it is gone and comes back', async () => {
  const page = await enter(browser, rig, { role: 'observe', name: 'guest' });
  const { body } = await rig.ask('POST', '/v1/scans', { tray: tray(2, 2) });
  await said(page, 'state', 'Scanning');
  rig.console.kill('SIGKILL');
  await page.waitForSelector('[data-test=console-silent]', { timeout: 30_000 });
  await until(async () => (await rig.status()).state === 'idle', 'the end of the scan');
  const record = rig.record(body.id);
  assert.equal(record.complete, true, record.reason);
  assert.ok(Object.values(record.cameras).every((sums) => !sums.lost_pool), JSON.stringify(record.cameras));
  await rig.startConsole();
  await page.waitForFunction(() => !document.querySelector('[data-test=console-silent]'), null, { timeout: 60_000 });
  await page.context().close();
});

test('a console that stands still for a whole scan costs no line, and shows the rig again when it goes on', async () => {
  const page = await enter(browser, rig, { role: 'observe', name: 'guest' });
  await page.waitForFunction(() => window.__hyclus?.scene);
  rig.console.kill('SIGSTOP');
  let record;
  try {
    record = rig.record(await rig.scan(tray(2, 2)));
  } finally {
    rig.console.kill('SIGCONT');
  }
  assert.equal(record.complete, true, record.reason);
  assert.ok(Object.values(record.cameras).every((sums) => !sums.lost_pool), JSON.stringify(record.cameras));
  await said(page, 'state', 'Idle');
  await page.waitForFunction(() => !document.querySelector('[data-test=console-silent]'), null, { timeout: 60_000 });
  await page.context().close();
});

test('a daemon that is killed is told with the time, and found again', async () => {
  const page = await enter(browser, rig, { role: 'observe', name: 'guest' });
  rig.daemon.kill('SIGKILL');
  await page.waitForFunction(() => /does not answer since \d/.test(document.body.textContent), null, { timeout: 30_000 });
  await rig.startDaemon();
  await said(page, 'state', 'Idle');
  await page.context().close();
});

test('a page of another origin can do nothing', async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(rig.url + new URL(rig.link('administer', 'ada')).hash);
  await page.waitForSelector('[data-test=emergency-stop]');
  const evil = createServer((_, answer) => answer.setHeader('content-type', 'text/html').end('<!doctype html><title>evil</title>'));
  await new Promise((resolve) => evil.listen(0, '127.0.0.1', resolve));
  // Another port is another origin, of the same site even: cookies would go along.
  const other = await context.newPage();
  await other.goto(`http://127.0.0.1:${evil.address().port}/`);
  const before = await rig.status();
  const tried = await other.evaluate(async (url) => {
    const said = [];
    const calls = [['POST', 'stop'], ['POST', 'scans'], ['POST', 'acknowledge'], ['PUT', 'lighting'], ['PUT', 'conveyor'], ['POST', 'lease'], ['POST', 'logout'], ['POST', 'references/dark'], ['DELETE', 'lease'], ['POST', 'jobs'], ['PUT', 'trays/x']];
    for (const [method, path] of calls) {
      for (const mode of ['no-cors', 'cors']) {
        for (const type of ['text/plain', 'application/json', 'application/x-www-form-urlencoded']) {
          try {
            const answer = await fetch(url + 'api/' + path, { method, mode, credentials: 'include', headers: { 'content-type': type }, body: '{"level":1,"action":"run","speed_mm_per_s":20}' });
            said.push(answer.type === 'opaque' ? 0 : answer.status);
          } catch {
            said.push(-1);
          }
        }
      }
    }
    for (const path of ['session', 'rig', 'scans']) {
      try {
        const answer = await fetch(url + 'api/' + path, { credentials: 'include' });
        said.push(await answer.text());
      } catch {
        said.push(-1);
      }
    }
    const socket = await new Promise((resolve) => {
      const live = new WebSocket(url.replace('http', 'ws') + 'api/live');
      live.onopen = () => resolve('open');
      live.onerror = () => resolve('refused');
    });
    said.push(socket);
    const form = document.createElement('form');
    form.method = 'post';
    form.enctype = 'text/plain';
    form.action = url + 'api/stop';
    const field = document.createElement('input');
    field.name = '{"a":"';
    field.value = '"}';
    form.append(field);
    document.body.append(form);
    form.submit();
    return said;
  }, rig.url);
  await other.waitForLoadState();
  assert.ok(tried.every((one) => one === -1 || one === 0 || one === 'refused' || (typeof one === 'number' && one >= 400)), JSON.stringify(tried));
  const now = await rig.status();
  assert.equal(now.state, 'idle');
  assert.deepEqual(now.devices.map(({ state }) => state?.on ?? state?.moving), before.devices.map(({ state }) => state?.on ?? state?.moving));
  await page.reload();
  await page.waitForSelector('[data-test=emergency-stop]');
  evil.close();
  await context.close();
});
