import { live } from './live';
import { rig } from './rig.svelte';

/** The belt moves only while this beats: every 200 ms, and the server stops it 500 ms after the last beat. */
class Jog {
  speed = $state(0);
  lost = $state(false);
  #timer = 0;

  constructor() {
    // Whatever takes the page or the hand away stops the belt.
    window.addEventListener('blur', () => this.stop());
    window.addEventListener('pagehide', () => this.stop());
    document.addEventListener('visibilitychange', () => this.stop());
    window.addEventListener('pointerup', () => this.stop());
    window.addEventListener('pointercancel', () => this.stop());
    window.addEventListener('keyup', () => this.stop());
    live.on('refused', () => this.stop());
    live.on('lease', (lease) => {
      if (!lease.mine) this.stop();
    });
  }

  get held(): boolean {
    return this.speed !== 0;
  }

  start(speed: number): void {
    if (this.held) return;
    this.speed = speed;
    this.lost = false;
    rig.refused = null;
    this.#beat();
    if (this.held) this.#timer = window.setInterval(() => this.#beat(), 200);
  }

  stop(): void {
    if (!this.held) return;
    this.speed = 0;
    window.clearInterval(this.#timer);
    live.send({ jog: null });
  }

  #beat(): void {
    if (live.send({ jog: { speed_mm_per_s: this.speed } })) return;
    this.lost = true;
    this.stop();
  }
}

export const jog = new Jog();
