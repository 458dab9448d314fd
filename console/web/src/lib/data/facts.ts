import { api, path } from '../api';
import type { SampleFacts, SampleRecord } from './types';

interface Told extends Omit<SampleFacts, 'name' | 'valid_nm' | 'embedding_dimensions'> {
  name?: string;
  /** Pairs of the first and last wavelength of each valid stretch. */
  valid_nm: number[] | null;
  embedding_dimensions: number | null;
}

/** The facts of a sample. What its file lacks is null, and not empty. */
export async function fetchFacts(scan: string, sample: string, signal?: AbortSignal): Promise<SampleFacts> {
  const told = await api.get<Told>(path('samples', scan, sample), signal);
  const valid: [number, number][] = [];
  for (let k = 0; k + 1 < (told.valid_nm?.length ?? 0); k += 2) valid.push([told.valid_nm?.[k] ?? 0, told.valid_nm?.[k + 1] ?? 0]);
  return {
    ...told,
    name: told.name || told.sample,
    valid_nm: valid,
    u_mean: told.u_mean?.length ? told.u_mean : null,
    snr: told.snr?.length ? told.snr : null,
    embedding_dimensions: told.embedding_dimensions ?? 0,
    minerals: told.minerals ?? null,
  };
}

/** By what a stored sample is asked for: the name of its file. */
export function sampleId(record: SampleRecord): string {
  return record.file.split('/').pop()?.replace(/\.h5$/, '') || record.sample;
}
