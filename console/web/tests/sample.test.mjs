import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { saved, seen, stage, until } from './stage.mjs';

let set;
let scan;
let sample;
before(async () => {
  set = await stage();
  scan = set.scans.list[0];
  sample = scan.samples[4];
});
after(() => set.close());
const at = (more = '') => `#/scans/${scan.id}/${sample.sample}${more}`;
const spectrum = (page, line, pixel) => page.evaluate((path) => fetch(path).then((r) => r.json()), `/api/samples/${scan.id}/${sample.sample}/spectrum?line=${line}&pixel=${pixel}`);

test('the first picture comes in under a second', async () => {
  const page = await set.open(at());
  const ms = await until(page, 'firstPicture', () => true);
  assert.ok(ms < 1000, `${ms} ms`);
  assert.deepEqual(page.faults, []);
});

test('a large sample shows a coarse picture first', async () => {
  const page = await set.open('#/scans');
  const [lines, pixels] = [400, 300];
  const asked = [];
  await page.route(`**/api/samples/${scan.id}/${sample.sample}`, async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ response: answer, json: { ...(await answer.json()), lines, pixels } });
  });
  await page.route(`**/api/samples/${scan.id}/${sample.sample}/image**`, async (route) => {
    const stride = Number(new URL(route.request().url()).searchParams.get('stride'));
    asked.push(stride);
    const shape = [3, Math.ceil(lines / stride), Math.ceil(pixels / stride)];
    await route.fulfill({ body: Buffer.alloc(shape[0] * shape[1] * shape[2] * 4), headers: { 'x-shape': shape.join(','), 'x-stride': String(stride), 'content-type': 'application/octet-stream' } });
  });
  await page.evaluate((to) => (location.hash = to), at());
  await until(page, 'image', (i) => i.stride === 3);
  await until(page, 'image', (i) => i.stride === 1);
  assert.deepEqual(asked, [3, 1]);
});

test('the spectrum under the cursor is that of the pixel', async () => {
  const page = await set.open(at());
  await until(page, 'image', () => true);
  await page.getByTestId('sample-image').focus();
  await page.keyboard.press('ArrowRight');
  const shown = await until(page, 'spectra', (s) => s.curves.some((c) => c.label === 'Line 60, pixel 61'));
  const told = await spectrum(page, 60, 61);
  assert.deepEqual(shown.curves.find((c) => c.label === 'Line 60, pixel 61').values, told.reflectance);
});

test('the mouse finds the same pixel', async () => {
  const page = await set.open(at());
  await until(page, 'image', () => true);
  const box = await page.getByTestId('sample-image').boundingBox();
  const k = Math.min(box.width / 120, box.height / 120);
  await page.mouse.move(box.x + box.width / 2 + 10.5 * k, box.y + box.height / 2 - 5.5 * k);
  await until(page, 'spectra', (s) => s.curves.some((c) => c.label === 'Line 54, pixel 70'));
});

test('pins and a region by keys stand in the address', async () => {
  const page = await set.open(at());
  await until(page, 'image', () => true);
  await page.getByTestId('sample-image').focus();
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('Enter');
  await page.getByTestId('unpin').waitFor();
  assert.match(page.url(), /pins=60(%2C|,)61/);
  await page.getByTestId('draw-region').click();
  await page.getByTestId('sample-image').focus();
  await page.keyboard.press('Enter');
  for (const key of ['ArrowRight', 'ArrowDown']) {
    for (let n = 0; n < 2; n++) await page.keyboard.press(`Shift+${key}`);
    await page.keyboard.press('Enter');
  }
  await page.getByTestId('close-region').click();
  await until(page, 'spectra', (s) => s.curves.some((c) => c.label.startsWith('Region of')));
  const again = await set.open(new URL(page.url()).hash);
  await until(again, 'spectra', (s) => s.curves.some((c) => c.label.startsWith('Region of')) && s.curves.some((c) => c.label === 'Line 60, pixel 61'));
  await again.getByTestId('unpin').click();
  await again.getByTestId('unpin').waitFor({ state: 'detached' });
});

test('a region drawn by the mouse', async () => {
  const page = await set.open(at());
  await until(page, 'image', () => true);
  await page.getByTestId('draw-region').click();
  await page.getByTestId('sample-image').scrollIntoViewIfNeeded();
  const box = await page.getByTestId('sample-image').boundingBox();
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  await page.mouse.move(x - 40, y - 40);
  await page.mouse.down();
  for (const [dx, dy] of [[40, -40], [40, 40], [-40, 40]]) await page.mouse.move(x + dx, y + dy, { steps: 4 });
  await page.mouse.up();
  await until(page, 'spectra', (s) => s.curves.some((c) => c.label.startsWith('Region of')));
});

test('one band, an embedding number and quality', async () => {
  const page = await set.open(at('?see=band&band=300&root=1'));
  await until(page, 'image', (i) => i.of === 'bands' && i.shape[0] === 1);
  await page.getByTestId('sample-view').getByText('Embedding').click();
  await until(page, 'image', (i) => i.of === 'embedding');
  await page.getByTestId('embedding-n').fill('3');
  assert.match(page.url(), /n=3/);
  await page.getByTestId('sample-view').getByText('Quality').click();
  await page.getByTestId('quality-legend').getByText('edge').waitFor();
});

test('the minerals of a sample, with shares, intervals and features', async () => {
  const page = await set.open(at('?see=mineral'));
  const image = await until(page, 'image', (i) => i.of === 'mineral');
  // What the mock's samples hold hangs on the day.
  assert.ok(Object.keys(image.codes).every((code) => [0, 3, 4, 5].includes(Number(code))), JSON.stringify(image.codes));
  const legend = page.getByTestId('mineral-legend');
  assert.match(await legend.innerText(), /(muscovite|chlorite|gypsum)[^]*% to [^]*not identified/);
  await page.getByText('Features of the spectra').click();
  assert.match(await page.getByTestId('features').innerText(), /2200 AlOH position\s*2,206 ± 1.8 nm/);
  await page.getByTestId('mineral-group').getByText('Electronic').click();
  await until(page, 'image', (i) => i.of === 'mineral' && Object.keys(i.codes).every((code) => Number(code) < 3));
  assert.doesNotMatch(await legend.innerText(), /muscovite|chlorite|gypsum/);
  assert.match(page.url(), /group=1/);
});

test('white and dark, noise, others, and each chart as CSV', async () => {
  const page = await set.open(at('?pins=60,60'));
  await until(page, 'spectra', (s) => s.curves.some((c) => c.label === 'Line 60, pixel 60'));
  await page.getByTestId('show-references').click();
  const references = await until(page, 'references', () => true);
  assert.deepEqual(references.curves.map((c) => c.label), ['vnir, white', 'vnir, dark', 'swir, white', 'swir, dark']);
  const against = await until(page, 'against', (a) => a.curves.length > 3);
  assert.equal(against.curves.at(-1).label, `${sample.sample} (this one)`);
  await page.getByTestId('against-key').selectOption('month');
  assert.match(page.url(), /key=month/);
  const told = await spectrum(page, 60, 60);
  const file = await saved(page, () => page.getByTestId('spectrum-chart').getByText('CSV').click());
  const [head, first] = file.text.split('\r\n');
  const column = head.split('","').length > 1 ? -1 : head.split(',').length;
  assert.ok(head.startsWith('Wavelength (nm),'));
  assert.ok(first.includes(String(told.reflectance[0])), `${column} ${first}`);
  for (const chart of ['snr-chart', 'noise-chart', 'against-chart', 'reference-chart']) {
    const other = await saved(page, () => page.getByTestId(chart).getByText('CSV').click());
    assert.ok(other.text.split('\r\n').length > 500, chart);
  }
  assert.ok((await seen(page, 'snr')).curves[0].values.length === 512);
  await page.getByTestId('provenance').locator('summary').click();
  await page.getByText('SRT-99-120-0417').waitFor();
});

test('a sample that is not there', async () => {
  const page = await set.open(`#/scans/${scan.id}/none`);
  await page.getByTestId('sample-gone').waitFor();
});
