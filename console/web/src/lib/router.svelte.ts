// Addresses behind the `#`: they never reach the server or its log.

class Router {
  parts = $state.raw<string[]>([]);
  query = $state.raw(new URLSearchParams());

  constructor() {
    this.#read();
    window.addEventListener('hashchange', () => this.#read());
  }

  get page(): string {
    return this.parts[0] ?? 'rig';
  }

  #read(): void {
    const hash = location.hash.replace(/^#\/?/, '');
    const mark = hash.indexOf('?');
    const path = mark < 0 ? hash : hash.slice(0, mark);
    this.parts = path.split('/').filter(Boolean).map(decode);
    this.query = new URLSearchParams(mark < 0 ? '' : hash.slice(mark + 1));
  }

  go(...parts: (string | number)[]): void {
    location.hash = href(...parts);
  }

  /** Changes some parameters of the address without a new step in the history. */
  set(changes: Record<string, string | null>): void {
    const query = new URLSearchParams(this.query);
    for (const [key, value] of Object.entries(changes)) {
      if (value === null || value === '') query.delete(key);
      else query.set(key, value);
    }
    if (query.toString() === this.query.toString()) return;
    const text = query.toString();
    history.replaceState(null, '', href(...this.parts) + (text ? '?' + text : ''));
    this.query = query;
  }
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** `#/scans/ID`, from its parts. */
export function href(...parts: (string | number)[]): string {
  return '#/' + parts.map((part) => encodeURIComponent(String(part))).join('/');
}

export const router = new Router();
