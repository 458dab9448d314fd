import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { saved, seen, stage, until } from './stage.mjs';

let set;
let two;
before(async () => {
  set = await stage({ points: 40000 });
  two = set.scans.list.slice(0, 2).map((scan) => scan.id).join(',');
});
after(() => set.close());
const SQUARE = '-1,-1;1,-1;1,1;-1,1';

test('scans are chosen and shown', async () => {
  const page = await set.open('#/explorer');
  await page.getByTestId('picker-scan').first().check();
  await page.getByTestId('picker-show').click();
  const cloud = await until(page, 'cloud', () => true);
  assert.equal(cloud.count, set.scans.list[0].samples.reduce((sum, s) => sum + s.rows, 0));
  await until(page, 'cloudDrawn', (n) => n === cloud.count);
  assert.deepEqual(page.faults, []);
});

test('the lasso selects what the server selects, and the link shows it again', async () => {
  const page = await set.open(`#/explorer?scans=${two}`);
  await until(page, 'cloudDrawn', () => true);
  await page.getByTestId('tool').getByText('Lasso').click();
  const box = await page.getByTestId('cloud').boundingBox();
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  await page.mouse.move(x - 90, y - 60);
  await page.mouse.down();
  for (const [dx, dy] of [[90, -80], [100, 70], [-70, 90]]) await page.mouse.move(x + dx, y + dy, { steps: 6 });
  await page.mouse.up();
  const { selected } = await until(page, 'cloud', (c) => c.selected > 0);
  await until(page, 'selection', (s) => s.curves[0].values.length === 512);
  const hash = new URL(page.url()).hash;
  const polygon = decodeURIComponent(/selection=([^&]+)/.exec(hash)[1]).split(';').map((p) => p.split(',').map(Number));
  const told = await page.evaluate(async ([scans, polygon]) => {
    const { token } = await (await fetch('/api/session')).json();
    return (await fetch('/api/explorer/selection', { method: 'POST', headers: { 'content-type': 'application/json', 'x-hyclus-token': token }, body: JSON.stringify({ scans, projection: 'pca', polygon }) })).json();
  }, [two.split(','), polygon]);
  assert.equal(selected, told.count);
  await page.getByTestId('places').first().waitFor();
  const again = await set.open(hash);
  assert.equal((await until(again, 'cloud', (c) => c.selected > 0)).selected, selected);
});

test('a bar filters the others', async () => {
  const page = await set.open(`#/explorer?scans=${two}&selection=${SQUARE}&colour=key:size`);
  await page.getByTestId('bar-plant-south').waitFor();
  const count = async () => Number((await page.getByTestId('selected-count').textContent()).replaceAll(/\D/g, ''));
  const all = await count();
  await page.getByTestId('bar-plant-south').click();
  assert.ok((await count()) < all);
  assert.match(decodeURIComponent(page.url()), /only=plant:south/);
  await page.getByTestId('show-all').click();
  assert.equal(await count(), all);
  await page.getByTestId('legend-M140').click();
  assert.match(decodeURIComponent(page.url()), /only=size:M140/);
});

test('a rectangle by keys, and zoom by keys', async () => {
  const page = await set.open(`#/explorer?scans=${two}`);
  await until(page, 'cloudDrawn', () => true);
  await page.getByTestId('cloud').focus();
  await page.keyboard.press('r');
  await page.keyboard.press('ArrowLeft');
  await page.keyboard.press('Shift+ArrowRight');
  await page.keyboard.press('Enter');
  await until(page, 'cloud', (c) => c.selected > 0);
  await page.getByTestId('cloud').focus();
  await page.keyboard.press('+');
  await page.waitForURL(/view=/);
  await page.keyboard.press('0');
  await page.waitForURL((url) => !url.hash.includes('view='));
});

test('t-SNE is made with progress, and kept', async () => {
  const page = await set.open(`#/explorer?scans=${two}&projection=tsne`);
  await page.getByTestId('tsne-make').click();
  await page.getByTestId('tsne-cancel').waitFor();
  const cloud = await until(page, 'cloud', (c) => c.count > 0);
  assert.ok(cloud.count <= 20000);
  await page.getByTestId('colour-by').selectOption('embedding');
  await until(page, 'cloudDrawn', (n) => n === cloud.count);
});

test('an observer cannot make t-SNE', async () => {
  const page = await set.open(`#/explorer?scans=${set.scans.list[3].id}&projection=tsne`, { role: 'observe' });
  await page.getByTestId('tsne-ask').waitFor();
  assert.equal(await page.getByTestId('tsne-make').count(), 0);
});

test('clusters with their elbow', async () => {
  const page = await set.open(`#/explorer?scans=${two}&tab=clusters`);
  const elbow = await until(page, 'elbow', () => true);
  assert.equal(elbow.x.length, 10);
  await page.getByTestId('cluster-k').fill('3');
  await page.getByTestId('cluster-colour').click();
  await page.getByText('Cluster 3').waitFor();
  assert.match(decodeURIComponent(page.url()), /colour=cluster:3/);
});

test('points by their minerals', async () => {
  const page = await set.open(`#/explorer?scans=${two}`);
  await page.getByTestId('colour-by').selectOption('mineral:2');
  await page.getByTestId('legend-mineral').getByText('not identified').waitFor();
  assert.match(decodeURIComponent(page.url()), /colour=mineral:2/);
});

test('spectra by key, and what the keys can be told by', async () => {
  const page = await set.open(`#/explorer?scans=${two}&tab=spectra`);
  const map = await until(page, 'heatMap', () => true);
  assert.deepEqual([map.bands, map.rows > 300], [512, true]);
  await page.getByTestId('spectra-group').selectOption('size');
  assert.match(page.url(), /group=size/);
  await page.getByTestId('tabs').getByText('Keys').click();
  await page.getByTestId('classify-start').click();
  await page.getByTestId('confusion').waitFor();
  assert.equal(await page.getByTestId('confusion').locator('tbody tr').count(), 3);
});

test('points as CSV', async () => {
  const page = await set.open(`#/explorer?scans=${two}&selection=${SQUARE}`);
  const { selected } = await until(page, 'cloud', (c) => c.selected > 0);
  const file = await saved(page, () => page.getByTestId('cloud-csv').click());
  assert.equal(file.text.trimEnd().split('\r\n').length, selected + 1);
  assert.ok(file.text.startsWith('scan,sample,container,plant,month,size,pca_1,pca_2'));
});

test('unknown scans are refused in words', async () => {
  const page = await set.open('#/explorer?scans=none');
  await page.getByTestId('explorer-problem').getByText('Choose others.').waitFor();
});

test('a million points are all drawn, and move', async (t) => {
  const big = await stage({ points: 1_000_000 });
  try {
    const page = await big.open(`#/explorer?scans=${big.scans.list.slice(0, 4).map((scan) => scan.id).join(',')}`);
    const { count } = await until(page, 'cloud', () => true, 60_000);
    assert.ok(count > 990_000);
    await until(page, 'cloudDrawn', (n) => n === count, 60_000);
    const box = await page.getByTestId('cloud').boundingBox();
    await page.mouse.move(box.x + 200, box.y + 200);
    await page.mouse.down();
    for (const end = Date.now() + 4000, k = { n: 0 }; Date.now() < end; k.n++) await page.mouse.move(box.x + 200 + 60 * Math.sin(k.n / 9), box.y + 200 + 40 * Math.cos(k.n / 9));
    await page.mouse.up();
    const { fps, points } = await seen(page, 'cloudFps');
    t.diagnostic(`${fps.toFixed(1)} frames a second while moving, ${points} points in a frame, by software`);
    assert.ok(fps > 1, `${fps} frames a second`);
  } finally {
    await big.close();
  }
});
