import type { Fault, ProblemBody } from './types';

/** A refusal in words, as the server gives it (problem+json), or the silence of the network (status 0). */
export class Problem extends Error {
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  readonly faults: Fault[];
  readonly retryAfter: number | null;

  constructor(body: ProblemBody) {
    super(body.detail || body.title);
    this.status = body.status;
    this.title = body.title;
    this.detail = body.detail ?? '';
    this.faults = body.faults ?? [];
    this.retryAfter = body.retry_after_s ?? null;
  }
}

let token = '';
let onExpired: (() => void) | null = null;

export function setToken(value: string): void {
  token = value;
}

/** Called when the server no longer knows the session. */
export function whenExpired(callback: () => void): void {
  onExpired = callback;
}

async function refusal(response: Response): Promise<Problem> {
  const body: unknown = await response.json().catch(() => null);
  if (body && typeof body === 'object' && 'title' in body) {
    return new Problem({ ...(body as ProblemBody), status: response.status });
  }
  return new Problem({ status: response.status, title: response.statusText || String(response.status) });
}

async function call(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Response> {
  const headers: Record<string, string> = {};
  if (method !== 'GET') {
    headers['content-type'] = 'application/json';
    if (token) headers['x-hyclus-token'] = token;
  }
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers,
      credentials: 'same-origin',
      ...(method === 'GET' ? {} : { body: JSON.stringify(body ?? {}) }),
      ...(signal ? { signal } : {}),
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new Problem({ status: 0, title: 'no answer' });
  }
  if (!response.ok) {
    const problem = await refusal(response);
    const login = path === '/api/login' || path === '/api/link' || path === '/api/session';
    if (problem.status === 401 && !login) onExpired?.();
    throw problem;
  }
  return response;
}

async function json<T>(response: Response): Promise<T> {
  if (response.status === 204) return undefined as T;
  const text = await response.text();
  return (text ? JSON.parse(text) : undefined) as T;
}

export const api = {
  get: async <T>(path: string, signal?: AbortSignal): Promise<T> => json<T>(await call('GET', path, undefined, signal)),
  post: async <T>(path: string, body?: unknown, signal?: AbortSignal): Promise<T> => json<T>(await call('POST', path, body, signal)),
  put: async <T>(path: string, body?: unknown): Promise<T> => json<T>(await call('PUT', path, body)),
  delete: async <T>(path: string): Promise<T> => json<T>(await call('DELETE', path)),
  text: async (path: string, signal?: AbortSignal): Promise<string> => (await call('GET', path, undefined, signal)).text(),
  /** Octets with the answer's headers. */
  binary: async (path: string, signal?: AbortSignal): Promise<{ data: ArrayBuffer; headers: Headers }> => {
    const response = await call('GET', path, undefined, signal);
    return { data: await response.arrayBuffer(), headers: response.headers };
  },
};

/** A path of the API from parts, each encoded. */
export function path(...parts: (string | number)[]): string {
  return '/api/' + parts.map((part) => encodeURIComponent(String(part))).join('/');
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError';
}
