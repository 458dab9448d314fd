// What of a sample the address says is seen.
import { natural } from '../../lib/data/image';
import { pairs } from '../../lib/data/spectra';
import type { SampleFacts } from '../../lib/data/types';

export type Seen = 'colour' | 'band' | 'embedding' | 'mineral' | 'quality';

export interface Look {
  seen: Seen;
  bands: [number, number, number];
  band: number;
  n: number;
  /** Group of minerals. */
  group: 1 | 2;
  root: boolean;
  stretch: boolean;
  pins: [number, number][];
  region: [number, number][];
}

export function lookOf(query: URLSearchParams, facts: SampleFacts): Look {
  const within = (value: number, most: number, other: number): number => (Number.isInteger(value) && value >= 0 && value < most ? value : other);
  const usual = natural(facts.wavelengths_nm);
  const asked = (query.get('bands') ?? '').split(',').map((text) => (text === '' ? NaN : Number(text)));
  const seen = query.get('see');
  const whole = (name: string): number => (query.has(name) ? Number(query.get(name)) : NaN);
  return {
    seen: seen === 'band' || seen === 'quality' || (seen === 'embedding' && facts.embedding_dimensions > 0) || (seen === 'mineral' && facts.minerals) ? seen : 'colour',
    bands: usual.map((other, k) => within(asked[k] ?? NaN, facts.bands, other)) as [number, number, number],
    band: within(whole('band'), facts.bands, Math.floor(facts.bands / 2)),
    n: within(whole('n'), facts.embedding_dimensions, 0),
    group: query.get('group') === '1' ? 1 : 2,
    root: query.get('root') === '1',
    stretch: query.get('stretch') !== '0',
    pins: pairs(query.get('pins')).slice(0, 8),
    region: pairs(query.get('region')),
  };
}
