// The browser of all checks, and the views in which a page is looked at. HYCLUS_CHROMIUM names another Chromium.
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';

const places = [process.env.HYCLUS_CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].filter(Boolean);

export function browser() {
  return chromium.launch({
    executablePath: places.find((place) => existsSync(place)),
    args: ['--no-sandbox', '--use-gl=angle', '--use-angle=swiftshader', '--enable-unsafe-swiftshader'],
  });
}

/** Types as a scanner of barcodes does: no key waits for the one before. */
export const scanner = (page, code) => Promise.all([...code, 'Enter'].map((key) => page.keyboard.press(key)));

/** Waits until a place of the drawn tray says these words. */
export const labelled = (page, at, words) =>
  page.waitForFunction(([place, text]) => new RegExp(text).test(document.querySelector(`[data-test=place-${place}]`).getAttribute('aria-label')), [at, words]);

export const views = {
  dark: { viewport: { width: 1280, height: 800 }, colorScheme: 'dark' },
  light: { viewport: { width: 1280, height: 800 }, colorScheme: 'light' },
  phone: { viewport: { width: 390, height: 844 }, colorScheme: 'dark' },
};
