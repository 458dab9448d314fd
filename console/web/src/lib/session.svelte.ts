import { api, Problem, setToken, whenExpired } from './api';
import { live } from './live';
import { rig } from './rig.svelte';
import { router } from './router.svelte';
import type { Role, Session } from './types';

const rank: Record<Role, number> = { observe: 0, operate: 1, administer: 2 };

class SessionState {
  now = $state.raw<Session | null>(null);
  /** Whether it is known if somebody is logged in. */
  known = $state(false);
  /** Whether a session ended by itself. */
  expired = $state(false);
  /** Whether the console did not answer when asked. */
  silent = $state(false);
  /** Where to go after the login. */
  target = '';
  #timer = 0;

  /** Whether the user may do what needs a role. */
  may(role: Role): boolean {
    return this.now !== null && rank[this.now.role] >= rank[role];
  }

  /** Whether the user may move things now: the role and the lease. */
  get drives(): boolean {
    return this.may('operate') && rig.lease.mine;
  }

  async load(): Promise<void> {
    this.silent = false;
    try {
      this.#take(await api.get<Session>('/api/session'));
    } catch (error) {
      this.now = null;
      this.silent = !(error instanceof Problem) || error.status === 0 || error.status >= 500;
    }
    this.known = true;
  }

  async login(user: string, password: string): Promise<void> {
    this.#take(await api.post<Session>('/api/login', { user, password }));
  }

  async link(code: string): Promise<void> {
    this.#take(await api.post<Session>('/api/link', { code }));
  }

  async logout(): Promise<void> {
    await api.post('/api/logout').catch(() => undefined);
    this.end(false);
  }

  end(expired: boolean): void {
    if (expired && this.now) this.target = location.hash;
    this.expired = expired;
    this.now = null;
    setToken('');
    live.stop();
    window.clearTimeout(this.#timer);
  }

  #take(session: Session): void {
    this.now = session;
    this.expired = false;
    this.known = true;
    setToken(session.token);
    rig.lease = session.lease;
    live.start();
    window.clearTimeout(this.#timer);
    const left = Date.parse(session.expires) - Date.now();
    // Timers hold at most 2^31 ms.
    if (Number.isFinite(left)) this.#timer = window.setTimeout(() => this.end(true), Math.min(Math.max(left, 0), 2 ** 31 - 1));
    if (router.page === 'login' || router.page === 'link') {
      location.hash = this.target && !/^#\/(login|link)/.test(this.target) ? this.target : '#/rig';
      this.target = '';
    }
  }
}

export const session = new SessionState();
whenExpired(() => session.end(true));
