import { decode, type Kind, type Messages } from './decode';

type Listener<K extends Kind> = (body: Messages[K]) => void;

/** The one WebSocket of this tab. It connects again by itself, ever more slowly up to 5 s. */
export class LiveSocket {
  #socket: WebSocket | null = null;
  #wanted = false;
  #wait = 250;
  #timer = 0;
  #bands: Record<string, number[]> | null = null;
  #listeners = new Map<string, Set<(body: never) => void>>();
  /** Octets received, for the page's own watch of its rate. */
  received = 0;
  /** Messages that could not be read. */
  unreadable = 0;

  constructor(private readonly changed: (open: boolean) => void) {}

  on<K extends Kind>(kind: K, listener: Listener<K>): () => void {
    const set = this.#listeners.get(kind) ?? new Set();
    set.add(listener as (body: never) => void);
    this.#listeners.set(kind, set);
    return () => set.delete(listener as (body: never) => void);
  }

  start(): void {
    this.#wanted = true;
    if (!this.#socket) this.#connect();
  }

  stop(): void {
    this.#wanted = false;
    window.clearTimeout(this.#timer);
    this.#socket?.close();
    this.#socket = null;
  }

  get open(): boolean {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** False where nothing is connected. */
  send(message: unknown): boolean {
    if (!this.open) return false;
    this.#socket?.send(JSON.stringify(message));
    return true;
  }

  /** Which bands this tab shows, by source; said again after each connection. */
  bands(bands: Record<string, number[]>): void {
    if (JSON.stringify(bands) === JSON.stringify(this.#bands)) return;
    this.#bands = bands;
    this.send({ bands });
  }

  #connect(): void {
    const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
    const socket = new WebSocket(`${scheme}//${location.host}/api/live`);
    socket.binaryType = 'arraybuffer';
    this.#socket = socket;
    socket.onopen = () => {
      this.#wait = 250;
      if (this.#bands) this.send({ bands: this.#bands });
      this.changed(true);
    };
    socket.onmessage = (event) => this.#take(event.data as ArrayBuffer | string);
    socket.onclose = () => {
      if (this.#socket !== socket) return;
      this.#socket = null;
      this.changed(false);
      if (!this.#wanted) return;
      this.#timer = window.setTimeout(() => this.#connect(), this.#wait);
      this.#wait = Math.min(5000, this.#wait * 2);
    };
  }

  #take(data: ArrayBuffer | string): void {
    if (typeof data === 'string' || data.byteLength === 0) return;
    this.received += data.byteLength;
    let message;
    try {
      message = decode(data);
    } catch {
      this.unreadable += 1;
      return;
    }
    if (!message) return;
    for (const listener of this.#listeners.get(message.kind) ?? []) listener(message.body as never);
  }
}
