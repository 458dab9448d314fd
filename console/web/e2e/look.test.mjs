// Every page in dark, in light and on a phone: axe finds nothing serious, nothing leaves the width. HYCLUS_SHOTS is a folder for pictures.
import { AxeBuilder } from '@axe-core/playwright';
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { browser as launch, enter, show, start, tray, views } from './rig.mjs';

const shots = process.env.HYCLUS_SHOTS;
let browser, rig, id;
before(async () => {
  browser = await launch();
  rig = await start();
  id = await rig.scan(tray(2, 2));
  if (shots) mkdirSync(shots, { recursive: true });
});
after(async () => {
  await browser.close();
  await rig.stop();
});

for (const view of Object.keys(views)) {
  test(`every page in ${view}`, async () => {
    const page = await enter(browser, rig, { view, locale: view === 'light' ? 'es' : 'en' });
    const pages = { rig: '#/rig', tray: '#/tray', scans: '#/scans', scan: `#/scans/${id}`, sample: `#/scans/${id}/S-A1`, explorer: `#/explorer?scans=${id}`, health: '#/health' };
    for (const [name, hash] of Object.entries(pages)) {
      await show(page, hash);
      await page.waitForSelector(`[data-test=page-${name}]`);
      await page.waitForLoadState('networkidle');
      // What takes a while is there before it is looked at.
      if (name === 'sample') await page.waitForFunction(() => window.__hyclus?.image?.shape, null, { timeout: 30_000 });
      if (name === 'explorer') await page.waitForFunction(() => window.__hyclus?.cloud?.count > 100, null, { timeout: 30_000 });
      if (shots) await page.screenshot({ path: join(shots, `${name}-${view}.png`) });
      const { violations } = await new AxeBuilder({ page }).analyze();
      const bad = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
      assert.deepEqual(bad.map(({ id: rule, nodes }) => `${rule}: ${nodes[0].target.join(' ')}`), [], `${name} in ${view}`);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wide <= 0, `${name} in ${view} is ${wide} px too wide`);
    }
    assert.deepEqual(page.faults, []);
    await page.context().close();
  });
}
