import type { HealthAnswer } from '../lib/types';

export const groupNames = ['lines', 'stages', 'queues', 'pool', 'losses', 'disk', 'temperatures', 'products', 'network', 'daemon', 'other'] as const;
export type GroupName = (typeof groupNames)[number];
export type Series = HealthAnswer['series'][number];

/** Which group a series is shown in. The name is that of a metric, with its labels behind it. */
export function groupOf(name: string): GroupName {
  const metric = name.split('{')[0] ?? name;
  if (/lost|unusable|unrecorded|irregular|dropped/.test(metric)) return 'losses';
  if (/temperature/.test(metric)) return 'temperatures';
  if (/disk/.test(metric)) return 'disk';
  if (/stage/.test(metric)) return 'stages';
  if (/queue/.test(metric)) return 'queues';
  if (/pool/.test(metric)) return 'pool';
  if (/lines|received/.test(metric)) return 'lines';
  if (/embeddings|samples|parts|scans/.test(metric)) return 'products';
  if (/^process_/.test(metric)) return 'daemon';
  if (/http|link|device/.test(metric)) return 'network';
  return 'other';
}

/** The words of a curve: the values of its labels, which say it in any language, or else its own words. */
export function wordsOf(series: Series): string {
  const labels = [...series.name.matchAll(/="([^"]*)"/g)].map((match) => match[1]);
  return labels.length > 0 ? labels.join(', ') : series.label;
}

/** Series by group and unit: a chart has one unit. */
export function charts(series: readonly Series[]): { group: GroupName; unit: string; series: Series[] }[] {
  const found = new Map<string, { group: GroupName; unit: string; series: Series[] }>();
  for (const one of series) {
    const group = groupOf(one.name);
    const key = group + '\u0000' + one.unit;
    const chart = found.get(key) ?? { group, unit: one.unit, series: [] };
    chart.series.push(one);
    found.set(key, chart);
  }
  return [...found.values()].sort((a, b) => groupNames.indexOf(a.group) - groupNames.indexOf(b.group));
}

/** Lines lost in all: the sum of what was counted from point to point. */
export function lostLines(series: readonly Series[]): number | null {
  const lost = series.filter((one) => /lost/.test(one.name));
  if (lost.length === 0) return null;
  return Math.round(lost.reduce((sum, one) => sum + one.values.reduce<number>((total, value) => total + (value ?? 0), 0), 0));
}

/** Fill of the queues, from their curves in %. */
export interface Queues {
  /** Names of the queues that have been full for `FULL_S` without a break, the longest first. */
  full: string[];
  /** For how long the first of them has been full, s. */
  seconds: number;
  /** The fullest queue, by its mean over the last minute. */
  fullest: string;
  /** That mean, 0 to 1. */
  level: number;
}

/** A queue holds few items: a burst fills it for a moment, and means nothing. From here on it is told, s. */
const FULL_S = 30;
/** From here on a queue counts as full, %. */
const FULL = 90;
const MINUTE_S = 60;

/** How full the queues are now. `t` is the time of each point, s. `null` where the last minute has no figure. */
export function queuesNow(t: readonly number[], series: readonly Series[]): Queues | null {
  const end = t[t.length - 1] ?? 0;
  const full: [string, number][] = [];
  let fullest: [string, number] | null = null;
  for (const one of series) {
    if (groupOf(one.name) !== 'queues' || one.unit !== '%') continue;
    const minute = one.values.filter((value, i): value is number => value !== null && (t[i] ?? 0) > end - MINUTE_S);
    if (minute.length === 0) continue;
    const mean = minute.reduce((sum, value) => sum + value, 0) / minute.length / 100;
    if (fullest === null || mean > fullest[1]) fullest = [wordsOf(one), mean];
    let first = t.length;
    while (first > 0 && (one.values[first - 1] ?? 0) >= FULL) first -= 1;
    const since = t[first];
    if (since !== undefined && end - since >= FULL_S) full.push([wordsOf(one), end - since]);
  }
  if (fullest === null) return null;
  full.sort((a, b) => b[1] - a[1]);
  return { full: full.map(([name]) => name), seconds: full[0]?.[1] ?? 0, fullest: fullest[0], level: fullest[1] };
}
