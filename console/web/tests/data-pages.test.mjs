// The pages of scans, samples and the explorer: nothing serious by axe, nothing wider than its window, in each theme, size and language.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { serious } from './common.mjs';
import { fits, stage, until } from './stage.mjs';

let set;
before(async () => (set = await stage({ points: 20000 })));
after(() => set.close());

const pages = () => {
  const scan = set.scans.list.find((one) => one.warnings.length && one.complete);
  const two = set.scans.list.slice(0, 2).map((one) => one.id).join(',');
  const drawn = (page) => until(page, 'cloudDrawn', () => true);
  return [
    ['scans', '#/scans', (page) => page.getByTestId('scan-card').first().waitFor()],
    ['scan', `#/scans/${scan.id}`, (page) => page.getByTestId('sample-tile').first().waitFor()],
    ['sample', `#/scans/${scan.id}/${scan.samples[0].sample}?pins=40,40&region=20,20;20,60;60,60`, (page) => until(page, 'against', (a) => a.curves.length > 1)],
    ['sample, quality', `#/scans/${scan.id}/${scan.samples[0].sample}?see=quality`, (page) => page.getByTestId('quality-legend').waitFor()],
    ['picker', '#/explorer', (page) => page.getByTestId('picker-scan').first().waitFor()],
    ['explorer', `#/explorer?scans=${two}&selection=-1,-1;1,-1;1,1;-1,1&only=plant:south`, async (page) => (await drawn(page), page.getByTestId('places').first().waitFor())],
    ['clusters', `#/explorer?scans=${two}&tab=clusters&colour=cluster:4`, async (page) => (await drawn(page), until(page, 'elbow', () => true))],
    ['spectra', `#/explorer?scans=${two}&tab=spectra&colour=var:cu_percent`, async (page) => (await drawn(page), until(page, 'heatMap', () => true))],
    ['keys', `#/explorer?scans=${two}&tab=classify&projection=tsne`, async (page) => (await page.getByTestId('classify-start').click(), page.getByTestId('confusion').waitFor())],
  ];
};

for (const [name, options] of [
  ['dark', {}],
  ['light, in Spanish', { view: 'light', locale: 'es-CL' }],
  ['phone', { view: 'phone' }],
]) {
  test(name, async (t) => {
    for (const [what, hash, ready] of pages()) {
      await t.test(what, async () => {
        const page = await set.open(hash, options);
        await ready(page);
        assert.deepEqual(await serious(page), []);
        assert.ok(await fits(page), 'wider than the window');
        assert.deepEqual(page.faults, []);
        await page.context().close();
      });
    }
  });
}
