import { api } from './api';
import type { Alarm, Lease, LiveSample, LiveScan, ProblemBody, Readiness, RigAnswer, RigEvent, Status } from './types';

const noLease: Lease = { holder: null, since: null, mine: false };

/** What is known of the rig now. Rows of pictures do not pass here: they are too many. */
class Rig {
  status = $state.raw<Status | null>(null);
  readiness = $state.raw<Readiness | null>(null);
  lease = $state.raw<Lease>(noLease);
  alarms = $state.raw<Alarm[]>([]);
  scan = $state.raw<LiveScan | null>(null);
  samples = $state.raw<LiveSample[]>([]);
  dropped = $state(0);
  refused = $state.raw<ProblemBody | null>(null);
  /** Whether the daemon answers the console, and since when it does not. */
  connected = $state(true);
  since = $state<string | null>(null);
  /** Whether the console answers this page. */
  reached = $state(false);
  lost = $state<string | null>(null);
  /** Whether anything was heard yet. */
  known = $state(false);
  #asking = false;

  /** Whether what is shown is now, and not what was. */
  get fresh(): boolean {
    return this.reached && this.connected;
  }

  /** Since when the picture is old: the console's silence goes before the daemon's. */
  get silentSince(): string | null {
    return this.reached ? this.since : this.lost;
  }

  get newAlarms(): Alarm[] {
    return this.alarms.filter((alarm) => alarm.acknowledged_by === null);
  }

  socketChanged(open: boolean): void {
    this.reached = open;
    if (open) {
      this.lost = null;
      void this.ask();
    } else if (!this.lost) {
      this.lost = new Date().toISOString();
    }
  }

  takeStatus(status: Status): void {
    const before = this.status;
    this.status = status;
    this.known = true;
    if (before?.state !== status.state || before?.cause !== status.cause) void this.ask();
  }

  takeLink(link: { connected: boolean; since: string | null }): void {
    const changed = link.connected !== this.connected;
    this.connected = link.connected;
    this.since = link.since;
    this.known = true;
    if (changed) void this.ask();
  }

  takeScan(scan: LiveScan | null): void {
    if (scan?.scan !== this.scan?.scan) this.samples = [];
    this.scan = scan;
  }

  takeSample(sample: LiveSample): void {
    const others = this.samples.filter((one) => one.number !== sample.number);
    this.samples = [...others, sample].sort((a, b) => a.number - b.number);
  }

  takeEvent(event: RigEvent): void {
    // These change whether a scan could be asked for.
    if (event.event === 'state' || event.event === 'reference_taken' || event.event === 'scan_closed') void this.ask();
  }

  /** Reads the whole: readiness is told nowhere else. */
  async ask(): Promise<void> {
    if (this.#asking) return;
    this.#asking = true;
    try {
      const answer = await api.get<RigAnswer>('/api/rig');
      this.connected = answer.connected;
      this.since = answer.since;
      if (answer.status) this.status = answer.status;
      this.readiness = answer.readiness;
      this.lease = answer.lease;
      this.alarms = answer.alarms;
      this.known = true;
    } catch {
      // The socket tells of silence; this is asked again.
    } finally {
      this.#asking = false;
    }
  }
}

export const rig = new Rig();
