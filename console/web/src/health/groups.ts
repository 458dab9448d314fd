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
