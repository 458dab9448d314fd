// Both languages have the same words, and no text is forgotten.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { modules } from './common.mjs';

let vite, en, es;
before(async () => {
  vite = await modules();
  ({ en } = await vite.load('/src/lib/i18n/en/index.ts'));
  ({ es } = await vite.load('/src/lib/i18n/es/index.ts'));
});
after(() => vite.close());

function leaves(words, path = '') {
  return Object.entries(words).flatMap(([key, value]) => (typeof value === 'string' ? [[path + key, value]] : leaves(value, path + key + '.')));
}

test('English and Spanish have the same keys', () => {
  assert.deepEqual(leaves(es).map(([key]) => key).sort(), leaves(en).map(([key]) => key).sort());
});

test('each text has the same places for values in both languages', () => {
  const places = (text) => [...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1]).sort();
  const spanish = new Map(leaves(es));
  for (const [key, text] of leaves(en)) assert.deepEqual(places(spanish.get(key) ?? ''), places(text), key);
});

test('no text is empty or shouts', () => {
  for (const [key, text] of [...leaves(en), ...leaves(es)]) {
    assert.ok(text.trim().length > 0, key);
    assert.ok(!/[!¡]/.test(text), `${key}: ${text}`);
  }
});
