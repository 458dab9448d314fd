import { api } from './api';
import { rig } from './rig.svelte';
import type { Status } from './types';

class Stopping {
  /** null before, then whether the last stop reached the rig. */
  reached = $state<boolean | null>(null);
  busy = $state(false);
  #timer = 0;

  /** Emergency stop: no question. It is sent again until the rig has it, for 10 s. */
  async now(): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    this.reached = null;
    const end = Date.now() + 10_000;
    for (;;) {
      try {
        rig.takeStatus(await api.post<Status>('/api/stop'));
        this.reached = true;
        break;
      } catch {
        if (Date.now() > end) {
          this.reached = false;
          break;
        }
        await new Promise((next) => setTimeout(next, 300));
      }
    }
    this.busy = false;
    window.clearTimeout(this.#timer);
    if (this.reached) this.#timer = window.setTimeout(() => (this.reached = null), 6000);
  }
}

export const stopping = new Stopping();

/** Shift+Escape stops, wherever the focus is. */
export function stopKey(event: KeyboardEvent): void {
  if (event.key !== 'Escape' || !event.shiftKey || event.repeat) return;
  event.preventDefault();
  event.stopPropagation();
  void stopping.now();
}
