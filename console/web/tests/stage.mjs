// A browser before the invented rig, for the pages of what was scanned.
import { selectors } from 'playwright-core';
import { browser, enter, serve } from './common.mjs';

selectors.setTestIdAttribute('data-test');

/** A mock and a browser; `open` gives a page of somebody logged in at an address behind the `#`. */
export async function stage(options = {}) {
  const mock = await serve({ still: true, points: 60_000, ...options });
  const own = await browser();
  async function open(hash, { role = 'operate', view = 'dark', locale = 'en-GB' } = {}) {
    const page = await enter(own, mock.url, { user: role, view, locale, hash });
    page.setDefaultTimeout(30_000);
    return page;
  }
  async function close() {
    await own.close();
    await mock.close();
  }
  return { ...mock.server, open, close };
}

/** What tests may read of the page. */
export const seen = (page, name) => page.evaluate((key) => window.__hyclus?.[key] ?? null, name);

/** Waits until what tests may read fulfils a condition. */
export async function until(page, name, holds, ms = 30_000) {
  const end = Date.now() + ms;
  let value;
  do {
    value = await seen(page, name);
    if (value !== null && holds(value)) return value;
    await page.waitForTimeout(50);
  } while (Date.now() < end);
  throw new Error(`${name} stayed ${JSON.stringify(value)?.slice(0, 300)}`);
}

/** Whether the page is no wider than its window. */
export const fits = (page) => page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth);

/** The text of a file that a press gives. */
export async function saved(page, press) {
  const [file] = await Promise.all([page.waitForEvent('download'), press()]);
  const chunks = [];
  for await (const chunk of await file.createReadStream()) chunks.push(chunk);
  return { name: file.suggestedFilename(), text: Buffer.concat(chunks).toString() };
}
