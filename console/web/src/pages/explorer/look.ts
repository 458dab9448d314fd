// What of the explorer the address says is seen.
import { pairs } from '../../lib/data/spectra';

export type Projection = 'pca' | 'tsne';
export type ColourBy = 'key' | 'var' | 'embedding' | 'cluster' | 'mineral' | 'scan' | 'sample';
export type Tab = 'selection' | 'clusters' | 'spectra' | 'classify';

export interface Look {
  scans: string[];
  projection: Projection;
  by: ColourBy;
  /** Name of the key or number, or which number of the embedding, or how many clusters. */
  of: string;
  /** Values of keys that are shown; a key without an entry shows all. */
  filter: Map<string, Set<string>>;
  polygon: [number, number][];
  /** Middle and scale of the view: data, data, px for one. */
  view: [number, number, number] | null;
  tab: Tab;
}

export function lookOf(query: URLSearchParams): Look {
  const colour = query.get('colour') ?? '';
  const mark = colour.indexOf(':');
  const by = mark < 0 ? colour : colour.slice(0, mark);
  const kinds: readonly string[] = ['key', 'var', 'embedding', 'cluster', 'mineral', 'scan', 'sample'];
  const tabs: readonly string[] = ['selection', 'clusters', 'spectra', 'classify'];
  const view = (query.get('view') ?? '').split(',').map(Number);
  const tab = query.get('tab') ?? '';
  return {
    scans: [...new Set((query.get('scans') ?? '').split(',').filter(Boolean))],
    projection: query.get('projection') === 'tsne' ? 'tsne' : 'pca',
    by: (kinds.includes(by) ? by : 'key') as ColourBy,
    of: mark < 0 ? '' : colour.slice(mark + 1),
    filter: filterOf(query.get('only')),
    polygon: pairs(query.get('selection')),
    view: view.length === 3 && view.every(Number.isFinite) && (view[2] ?? 0) > 0 ? (view as [number, number, number]) : null,
    tab: (tabs.includes(tab) ? tab : 'selection') as Tab,
  };
}

// plant:north,south;size:M100, with each word encoded
function filterOf(text: string | null): Map<string, Set<string>> {
  const out = new Map<string, Set<string>>();
  for (const part of (text ?? '').split(';')) {
    const mark = part.indexOf(':');
    if (mark < 1) continue;
    out.set(decode(part.slice(0, mark)), new Set(part.slice(mark + 1).split(',').map(decode)));
  }
  return out;
}

export function filterText(filter: ReadonlyMap<string, ReadonlySet<string>>): string {
  return [...filter].filter(([, values]) => values.size).map(([key, values]) => `${encodeURIComponent(key)}:${[...values].map(encodeURIComponent).join(',')}`).join(';');
}

/** The filter with a value turned on or off. The last value off shows all again. */
export function toggled(filter: ReadonlyMap<string, ReadonlySet<string>>, key: string, value: string): Map<string, Set<string>> {
  const out = new Map([...filter].map(([name, values]) => [name, new Set(values)]));
  const values = out.get(key) ?? new Set<string>();
  if (!values.delete(value)) values.add(value);
  if (values.size) out.set(key, values);
  else out.delete(key);
  return out;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
