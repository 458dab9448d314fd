// Pictures of the console for the documents: pictures.mjs FOLDER. The rig of the demo scans its tray meanwhile.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { browser as launch, enter, judge, said, show, start, until } from './rig.mjs';

const folder = process.argv[2];
mkdirSync(folder, { recursive: true });
const root = new URL('../../..', import.meta.url).pathname;
const map = judge('import json, sys\ntry:\n    import tomllib\nexcept ImportError:\n    import tomli as tomllib\nprint(json.dumps(tomllib.load(open(sys.argv[1], "rb"))))', join(root, 'config/trays/demo.toml'));
const rig = await start({ demo: true });
const browser = await launch();
try {
  const page = await enter(browser, rig, { name: 'maria' });
  await page.setViewportSize({ width: 1440, height: 900 });
  const { body } = await rig.ask('POST', '/v1/scans', { tray: map });
  await said(page, 'state', 'Scanning');
  // Two rows of containers have passed.
  await until(async () => ((await rig.status()).scan?.samples ?? 0) >= 6, 'six samples');
  // A sample that is stored already.
  const found = () => page.evaluate(() => window.__hyclus.spectrum?.curves.some((curve) => curve.values.filter((v) => v !== null).length > 50) ?? false);
  const pane = await page.locator('[data-test=waterfall-grid]').boundingBox();
  for (let n = 0; n < 16 && !(await found()); n++) {
    await page.mouse.move(pane.x + pane.width * (0.18 + 0.01 * (n % 8)), pane.y + pane.height * 0.29);
    await page.waitForTimeout(500);
  }
  await page.screenshot({ path: join(folder, 'console-rig.png') });
  await until(async () => (await rig.status()).state === 'idle', 'the end of the scan', 400_000);
  await show(page, `#/explorer?scans=${body.id}`);
  await page.waitForFunction(() => window.__hyclus.cloud?.count > 1000, null, { timeout: 60_000 });
  await page.waitForTimeout(1500);
  await page.screenshot({ path: join(folder, 'console-explorer.png') });
} finally {
  await browser.close();
  await rig.stop();
}
