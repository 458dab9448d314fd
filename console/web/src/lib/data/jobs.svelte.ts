import { api, path } from '../api';
import type { Job } from '../types';

/** Long work on the console, asked for again while some of it goes on and somebody looks. */
class Jobs {
  list = $state.raw<Job[]>([]);
  #timer = 0;
  #lookers = 0;

  /** Looks until the returned function is called. */
  look(): () => void {
    this.#lookers += 1;
    void this.ask();
    return () => {
      this.#lookers -= 1;
    };
  }

  async begin(wish: { kind: Job['kind']; scan?: string; scans?: string[]; format?: string }): Promise<Job> {
    const job = await api.post<Job>('/api/jobs', wish);
    this.list = [job, ...this.list.filter((one) => one.id !== job.id)];
    this.#again();
    return job;
  }

  async cancel(id: string): Promise<void> {
    await api.delete(path('jobs', id));
    await this.ask();
  }

  find(id: string): Job | undefined {
    return this.list.find((job) => job.id === id);
  }

  async ask(): Promise<void> {
    try {
      const told = await api.get<Job[]>('/api/jobs');
      // The newest first; those that wait have no start yet.
      this.list = told.sort((a, b) => ((a.started ?? '~') < (b.started ?? '~') ? 1 : -1));
    } catch {
      // What was told before stays; it is asked again.
    }
    this.#again();
  }

  #again(): void {
    window.clearTimeout(this.#timer);
    const going = this.list.some((job) => active(job));
    if (going && this.#lookers > 0) this.#timer = window.setTimeout(() => void this.ask(), 1000);
  }
}

export function active(job: Job): boolean {
  return job.state === 'waiting' || job.state === 'running';
}

export const jobs = new Jobs();
