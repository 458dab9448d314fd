// Pictures of the console for the documents: pictures.mjs FOLDER. The rig of the demo scans its tray meanwhile.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { browser as launch, enter, judge, said, show, start, until } from './rig.mjs';

const folder = process.argv[2];
mkdirSync(folder, { recursive: true });
const pictures = ['console-rig.png', 'console-explorer.png'].map((name) => join(folder, name));
const root = new URL('../../..', import.meta.url).pathname;
const map = judge('import json, sys\ntry:\n    import tomllib\nexcept ImportError:\n    import tomli as tomllib\nprint(json.dumps(tomllib.load(open(sys.argv[1], "rb"))))', join(root, 'config/trays/demo.toml'));
const rig = await start({ demo: true });
const browser = await launch();
try {
  const page = await enter(browser, rig, { name: 'maria' });
  await page.setViewportSize({ width: 1440, height: 960 });
  const { body } = await rig.ask('POST', '/v1/scans', { tray: map });
  await said(page, 'state', 'Scanning');
  const stored = (n) => until(async () => ((await rig.status()).scan?.samples ?? n) >= n, `${n} samples`);
  await stored(3);
  // In each container of the first row the grain whose spectrum varies most is pinned.
  const pane = await page.locator('[data-test=waterfall-grid]').boundingBox();
  const rest = async (across, along) => {
    const at = { x: pane.x + pane.width * across, y: pane.y + pane.height * along };
    const answer = page.waitForResponse((r) => /\/api\/scans\/.*\/spectrum/.test(r.url()), { timeout: 2000 }).catch(() => null);
    await page.mouse.move(at.x, at.y);
    const got = await answer;
    const curve = got?.ok() ? (await got.json()).reflectance.filter((value) => value !== null) : [];
    return { at, range: Math.max(0, ...curve) - Math.min(1, ...curve) };
  };
  for (const middle of [0.17, 0.5, 0.83]) {
    const tried = [];
    for (const [dx, along] of [[-0.06, 0.28], [0.01, 0.31], [0.06, 0.28]]) tried.push(await rest(middle + dx, along));
    const { at } = tried.reduce((best, one) => (one.range > best.range ? one : best));
    await page.mouse.click(at.x, at.y);
    await page.waitForTimeout(600);
  }
  // Two rows of containers have passed.
  await stored(6);
  await rest(0.43, 0.44);
  await page.waitForTimeout(300);
  await page.screenshot({ path: pictures[0] });
  await until(async () => (await rig.status()).state === 'idle', 'the end of the scan', 400_000);
  await show(page, `#/explorer?scans=${body.id}&colour=mineral:2`);
  await page.waitForFunction(() => window.__hyclus.cloud?.count > 1000, null, { timeout: 60_000 });
  await page.waitForTimeout(1500);
  await page.screenshot({ path: pictures[1] });
  // Of few colours, a fifth of the bytes.
  judge(
    'import sys\nfrom PIL import Image\nfor p in sys.argv[1:]:\n    Image.open(p).convert("RGB").quantize(256, method=Image.Quantize.MAXCOVERAGE, kmeans=2, dither=Image.Dither.NONE).save(p, optimize=True)\nprint(0)',
    ...pictures,
  );
} finally {
  await browser.close();
  await rig.stop();
}
