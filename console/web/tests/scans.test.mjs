import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { saved, stage } from './stage.mjs';

let set;
before(async () => (set = await stage()));
after(() => set.close());

test('scans are listed with pictures, and paged', async () => {
  const page = await set.open('#/scans');
  await page.getByTestId('scan-card').nth(23).waitFor();
  assert.equal(await page.getByTestId('scan-card').count(), 24);
  assert.equal(await page.getByTestId('scans-range').textContent(), '1 to 24 of 60');
  await page.getByTestId('scan-card').first().locator('img').evaluate((img) => img.complete || new Promise((done) => (img.onload = done)));
  assert.ok(await page.getByTestId('scan-card').first().locator('img').evaluate((img) => img.naturalWidth > 100));
  await page.getByTestId('scans-older').click();
  await page.getByText('25 to 48 of 60').waitFor();
  assert.match(page.url(), /offset=24/);
  assert.deepEqual(page.faults, []);
});

test('search by key, day and warning', async () => {
  const page = await set.open('#/scans');
  await page.getByTestId('scans-search').fill('east');
  await page.getByText('of 40').waitFor();
  const day = set.scans.list[5].started.toISOString().slice(0, 10);
  await page.getByTestId('scans-search').fill('');
  await page.getByTestId('scans-from').fill(day);
  await page.getByTestId('scans-to').fill(day);
  const ofDay = set.scans.list.filter((scan) => scan.started.toISOString().startsWith(day)).length;
  await page.getByText(`of ${ofDay}`, { exact: false }).first().waitFor();
  await page.getByTestId('scans-from').fill('');
  await page.getByTestId('scans-to').fill('');
  await page.getByTestId('scans-warnings').check();
  const doubtful = set.scans.list.filter((scan) => scan.warnings.length || scan.complete === false).length;
  await page.getByTestId('scans-range').getByText(`of ${doubtful}`).waitFor();
  await page.getByTestId('scans-search').fill('no such thing');
  await page.getByTestId('scans-no-hit').waitFor();
});

test('chosen scans go to the explorer', async () => {
  const page = await set.open('#/scans');
  for (const n of [0, 2]) await page.getByTestId('scan-choose').nth(n).check();
  await page.getByTestId('scans-explore').click();
  await page.getByTestId('cloud').waitFor();
  assert.match(page.url(), new RegExp(`explorer\\?scans=${set.scans.list[0].id},${set.scans.list[2].id}`));
});

test('a scan shows picture, warnings, lines, samples and files', async () => {
  const scan = set.scans.list.find((one) => one.warnings.length && one.complete);
  const page = await set.open(`#/scans/${scan.id}`);
  await page.getByText(scan.warnings[0]).waitFor();
  await page.getByTestId('scan-picture').locator('img').waitFor();
  assert.equal(await page.getByTestId('sample-tile').count(), 12);
  await page.getByTestId('ledger-vnir').getByText('received').waitFor();
  const transform = () => page.getByTestId('scan-picture').locator('.picture').evaluate((one) => one.style.transform);
  const before = await transform();
  await page.getByTestId('scan-picture').focus();
  await page.keyboard.press('+');
  assert.notEqual(await transform(), before);
  await page.keyboard.press('0');
  assert.equal(await transform(), before);
  await page.getByTestId('files').locator('summary').click();
  const file = await saved(page, () => page.getByRole('link', { name: 'Download scan.json' }).click());
  assert.match(file.text, /scan\.json/);
  assert.deepEqual(page.faults, []);
});

test('jobs run with progress, give a result, and can be cancelled', async () => {
  const page = await set.open(`#/scans/${set.scans.list[1].id}`);
  await page.getByTestId('scan-verify').click();
  await page.getByTestId('job-verify').getByText('done').waitFor();
  const result = await saved(page, () => page.getByTestId('job-result').first().click());
  assert.match(result.text, /41 files/);
  await page.getByTestId('scan-export-envi').click();
  await page.getByTestId('job-cancel').click();
  await page.getByTestId('job-export').getByText('cancelled').waitFor();
});

test('what an observer may not do is not shown', async () => {
  const page = await set.open(`#/scans/${set.scans.list[1].id}`, { role: 'observe' });
  await page.getByTestId('scan-verify').waitFor();
  assert.equal(await page.getByTestId('scan-process').count(), 0);
  assert.equal(await page.getByTestId('scan-export-envi').count(), 0);
});

test('a refusal is told in words', async () => {
  const page = await set.open(`#/scans/${set.scans.list[2].id}`);
  await page.getByTestId('scan-process').waitFor();
  set.rig.state = 'scanning';
  await page.getByTestId('scan-process').click();
  await page.getByText('Wait until the scan has ended.').waitFor();
  set.rig.state = 'idle';
});

test('a scan that is not there', async () => {
  const page = await set.open('#/scans/20200101T000000Z-none');
  await page.getByTestId('scan-gone').waitFor();
});

test('an incomplete scan says why, and what is missing', async () => {
  const scan = set.scans.list.find((one) => one.complete === false);
  const page = await set.open(`#/scans/${scan.id}`);
  await page.getByTestId('scan-reason').getByText(scan.reason).waitFor();
  await page.getByTestId('scan-warnings').getByText('Nothing was found in').waitFor();
});

test('nothing scanned yet', async () => {
  const empty = await stage({ empty: true });
  try {
    const page = await empty.open('#/scans');
    await page.getByTestId('scans-empty').waitFor();
    await page.evaluate(() => (location.hash = '#/explorer'));
    await page.getByTestId('explorer-empty').waitFor();
  } finally {
    await empty.close();
  }
});

test('each page asks once', async () => {
  const scan = set.scans.list[0];
  const page = await set.open('#/health');
  const asked = new Map();
  page.on('request', (request) => {
    const { pathname, search } = new URL(request.url());
    if (pathname.startsWith('/api/') && !/picture\.png|\/api\/(rig|health|jobs)/.test(pathname)) asked.set(pathname + search, (asked.get(pathname + search) ?? 0) + 1);
  });
  for (const hash of ['#/scans', `#/scans/${scan.id}`, `#/scans/${scan.id}/${scan.samples[0].sample}?pins=60,60`, '#/explorer', `#/explorer?scans=${scan.id}&selection=-1,-1;1,-1;1,1&colour=embedding:2`]) {
    await page.evaluate((to) => (location.hash = to), hash);
    await page.waitForTimeout(1500);
    assert.deepEqual([...asked].filter(([path, n]) => n > 1 && !/^\/api\/samples\/[^/]+\/[^/]+$/.test(path)), [], hash);
    asked.clear();
  }
});
