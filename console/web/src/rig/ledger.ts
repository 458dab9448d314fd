// Colour and texture of what became of a line. They are shared with the page of a scan.

export type LedgerStatus = 'ok' | 'incomplete' | 'stalled' | 'reversed' | 'misplaced' | 'lost';

/** Colours by status; `token` gives the theme's. */
export function ledgerColours(token: (name: string) => string): string[] {
  return [token('accent'), '#E69F00', '#56B4E9', '#CC79A7', '#D55E00', token('gap')];
}

/** Whether a pixel of the strip is painted: each status has a texture of its own. */
export function ledgerPattern(status: number, x: number, y: number): boolean {
  switch (status) {
    case 0:
      return y >= 4 && y < 12;
    case 1:
      return (x + y) % 4 < 2;
    case 2:
      return y % 4 < 2;
    case 3:
      return (x - y + 64) % 4 < 2;
    case 4:
      return x % 2 === 0 || y % 4 < 2;
    default:
      return (x + y) % 8 < 6;
  }
}
