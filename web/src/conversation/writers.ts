/**
 * Who writes just now. The server tells it to everybody, the writer too, and forgets it; and a person is the same person on
 * each of their devices. So what comes back of what was told here is counted off, and what nobody repeats is over.
 */

import type { Command, Frame } from "./frames.ts";

/** How often it is told again while somebody writes, and after how much silence it is over. */
const AGAIN = 3_000;
const PAUSE = 4_000;
const FORGOTTEN = 8_000;

type Told = Extract<Frame, { type: "user_typing" | "user_typing_stop" }>;

export class Writers {
  private toldAt = 0;
  private pause: ReturnType<typeof setTimeout> | undefined;
  private readonly echoes = { user_typing: 0, user_typing_stop: 0 };
  private readonly others = new Map<string, ReturnType<typeof setTimeout>>();
  private readonly say: (command: Command) => boolean;
  private readonly show: (told: Told) => void;

  constructor(say: (command: Command) => boolean, show: (told: Told) => void) {
    this.say = say;
    this.show = show;
  }

  /** Somebody has written here. */
  note(text: string): void {
    clearTimeout(this.pause);
    if (text.trim() === "") {
      this.stop();
      return;
    }
    this.pause = setTimeout(() => this.stop(), PAUSE);
    if (Date.now() - this.toldAt < AGAIN) return;
    this.toldAt = Date.now();
    if (this.say({ type: "typing" })) this.echoes.user_typing += 1;
  }

  stop(): void {
    clearTimeout(this.pause);
    if (this.toldAt === 0) return;
    this.toldAt = 0;
    if (this.say({ type: "stop_typing" })) this.echoes.user_typing_stop += 1;
  }

  /** `me`: by which name what was told here comes back. */
  hear(told: Told, me: string | undefined): void {
    if (told.user === me && this.echoes[told.type] > 0) {
      this.echoes[told.type] -= 1;
      return;
    }
    clearTimeout(this.others.get(told.user));
    this.others.delete(told.user);
    if (told.type === "user_typing") {
      const over = () => this.hear({ type: "user_typing_stop", user: told.user }, undefined);
      this.others.set(told.user, setTimeout(over, FORGOTTEN));
    }
    this.show(told);
  }

  /** Another line: what was told on the one before does not come back. */
  forget(): void {
    clearTimeout(this.pause);
    this.toldAt = 0;
    this.echoes.user_typing = 0;
    this.echoes.user_typing_stop = 0;
    for (const timer of this.others.values()) clearTimeout(timer);
    this.others.clear();
  }
}
