import { keep, kept } from '../theme.svelte';
import { en } from './en';
import { es } from './es';

export type Dictionary = typeof en;
export type Language = 'en' | 'es';

const dictionaries: Record<Language, Dictionary> = { en, es };

function first(): Language {
  const chosen = kept('language');
  if (chosen === 'en' || chosen === 'es') return chosen;
  return navigator.language.toLowerCase().startsWith('es') ? 'es' : 'en';
}

class I18n {
  language = $state<Language>(first());

  constructor() {
    document.documentElement.lang = this.language;
  }

  /** The words of the present language: `i18n.t.rig.ready`. */
  get t(): Dictionary {
    return dictionaries[this.language];
  }

  set(language: Language): void {
    this.language = language;
    keep('language', language);
    document.documentElement.lang = language;
  }
}

export const i18n = new I18n();

/** Puts values into the places of a text: `fill('{n} samples', { n: 3 })`. */
export function fill(text: string, values: Record<string, string | number>): string {
  return text.replace(/\{(\w+)\}/g, (whole, key: string) => (key in values ? String(values[key]) : whole));
}

/** The form for one or for several. */
export function plural(n: number, one: string, several: string, shown: string | number = n): string {
  return fill(n === 1 ? one : several, { n: shown });
}
