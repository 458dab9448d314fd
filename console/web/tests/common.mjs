// What the checks share: the mock server, a browser, a page that is logged in, and axe.
import { AxeBuilder } from '@axe-core/playwright';
import { start } from '../mock/server.mjs';
import { views } from './browser.mjs';

export { browser, views } from './browser.mjs';

/** Starts the mock server: `{ url, close }`. */
export async function serve(options = {}) {
  const server = await start({ port: 0, points: 6000, ...options });
  const port = server.port ?? server.server?.address().port ?? server.address?.().port;
  return { url: server.url ?? `http://127.0.0.1:${port}/`, close: () => server.close(), server };
}

/** A page that somebody is logged in on. What it logs as an error is in `page.faults`. */
export async function enter(browser, url, { user = 'operate', view = 'dark', locale = 'en', hash = '#/rig' } = {}) {
  const context = await browser.newContext({ ...views[view], locale });
  const page = await context.newPage();
  page.faults = [];
  page.on('pageerror', (error) => page.faults.push(String(error)));
  page.on('console', (message) => {
    // A refusal is part of the checks, and drivers of graphics talk.
    if (message.type() === 'error' && !/Failed to load resource|GL Driver/.test(message.text())) page.faults.push(message.text());
  });
  await page.goto(url + '?test');
  await page.fill('[data-test=login-user]', user);
  await page.fill('[data-test=login-password]', 'any');
  await page.click('[data-test=login-submit]');
  await page.waitForSelector('[data-test=emergency-stop]');
  await page.evaluate((to) => (location.hash = to), hash);
  return page;
}

/** What axe finds that is serious or critical, in words. */
export async function serious(page) {
  const { violations } = await new AxeBuilder({ page }).analyze();
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => node.target.join(' ') + ' ' + (node.failureSummary ?? '').split('\n')[1]).join(' | ')}`);
}

/** Modules of the page itself, without a browser. */
export async function modules() {
  const { createServer } = await import('vite');
  const vite = await createServer({ configFile: false, root: new URL('..', import.meta.url).pathname, server: { middlewareMode: true, ws: false, hmr: false, watch: null }, appType: 'custom', logLevel: 'error', optimizeDeps: { noDiscovery: true } });
  return { load: (path) => vite.ssrLoadModule(path), close: () => vite.close() };
}
