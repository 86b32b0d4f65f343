/**
 * A WebSocket that comes back by itself, after a wait that grows and has chance in it, as docs/streaming.md asks. It ends
 * only when it is closed, or when coming back would not help.
 */

import { socketAddress } from "./http.ts";

export type LineState = "connecting" | "open" | "away" | "signed_out" | "gone";

/** Closes after which coming back does not help. */
const FINAL: Readonly<Record<number, LineState>> = { 4001: "signed_out", 4004: "gone" };
const FIRST_WAIT = 500;
const LONGEST_WAIT = 30_000;
/** The page cannot see the server's pings: it asks itself whether somebody is there. */
const SILENCE = 25_000;
const PATIENCE = 10_000;
const IMPATIENCE = 3_000;

export class Line {
  state: LineState = "connecting";
  private socket: WebSocket | null = null;
  private tries = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private closed = false;
  private readonly path: () => string;
  private readonly hear: (frame: unknown) => void;
  private readonly changed: (state: LineState) => void;

  constructor(path: () => string, hear: (frame: unknown) => void, changed: (state: LineState) => void) {
    this.path = path;
    this.hear = hear;
    this.changed = changed;
    addEventListener("online", this.comeBack);
    addEventListener("offline", this.goAway);
    this.open();
  }

  /** False where nobody is there to hear it. */
  say(command: unknown): boolean {
    if (this.state !== "open" || this.socket?.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(command));
    return true;
  }

  close(): void {
    this.closed = true;
    removeEventListener("online", this.comeBack);
    removeEventListener("offline", this.goAway);
    this.drop();
  }

  /** At once, rather than when the wait is over. A line that seems open may have died while the machine slept. */
  readonly comeBack = (): void => {
    if (this.closed) return;
    if (this.state === "open") {
      this.probe(IMPATIENCE);
    } else {
      this.tries = 0;
      this.drop();
      this.open();
    }
  };

  private readonly goAway = (): void => {
    this.drop();
    this.retry();
  };

  private open(): void {
    this.turn("connecting");
    const socket = new WebSocket(socketAddress(this.path()));
    this.socket = socket;
    socket.onopen = () => this.turn("open");
    socket.onmessage = (event) => {
      if (socket !== this.socket) return;
      this.tries = 0;
      this.watch();
      this.hear(JSON.parse(event.data as string));
    };
    socket.onclose = (event) => {
      if (socket !== this.socket) return;
      this.socket = null;
      const final = FINAL[event.code];
      if (final === undefined) this.retry();
      else this.turn(final);
    };
    this.watch();
  }

  private watch(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.probe(PATIENCE), SILENCE);
  }

  /** Is somebody there? Whatever is heard is an answer. */
  private probe(patience: number): void {
    this.say({ type: "ping" });
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.drop();
      this.retry();
    }, patience);
  }

  private retry(): void {
    if (this.closed) return;
    this.turn("away");
    const wait = Math.random() * Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** this.tries);
    this.tries += 1;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.open(), wait);
  }

  private drop(): void {
    clearTimeout(this.timer);
    const socket = this.socket;
    this.socket = null;
    socket?.close();
  }

  private turn(state: LineState): void {
    if (this.state === state) return;
    this.state = state;
    this.changed(state);
  }
}
