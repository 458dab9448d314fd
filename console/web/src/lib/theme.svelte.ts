export type Theme = 'auto' | 'dark' | 'light';

const query = window.matchMedia('(prefers-color-scheme: light)');

/** What was kept in this browser; nothing where it keeps nothing. */
export function kept(key: string): string | null {
  try {
    return localStorage.getItem('hyclus.' + key);
  } catch {
    return null;
  }
}

export function keep(key: string, value: string): void {
  try {
    localStorage.setItem('hyclus.' + key, value);
  } catch {
    // A browser that keeps nothing is no fault.
  }
}

class ThemeState {
  choice = $state<Theme>((kept('theme') as Theme | null) ?? 'auto');
  #light = $state(query.matches);

  constructor() {
    query.addEventListener('change', () => {
      this.#light = query.matches;
      this.#apply();
    });
    this.#apply();
  }

  /** The theme that is seen. */
  get shown(): 'dark' | 'light' {
    return this.choice === 'auto' ? (this.#light ? 'light' : 'dark') : this.choice;
  }

  set(choice: Theme): void {
    this.choice = choice;
    keep('theme', choice);
    this.#apply();
  }

  #apply(): void {
    document.documentElement.dataset.theme = this.shown;
  }
}

export const theme = new ThemeState();

/** The value of a colour token in the present theme, for canvases. */
export function token(name: string): string {
  if (theme.shown !== tokensOf) {
    tokens.clear();
    tokensOf = theme.shown;
  }
  let value = tokens.get(name);
  if (value === undefined) {
    value = getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim();
    tokens.set(name, value);
  }
  return value;
}

// Asked for each frame: a look at the style each time would be slow.
const tokens = new Map<string, string>();
let tokensOf = '';
