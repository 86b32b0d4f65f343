/** A conversation among people that is open here. */

import { ask } from "../api/http.ts";
import type {
  MessageShown,
  MemberShown as Person,
  PersonMessage as Said,
  PersonMessages as SaidPage,
} from "../api/schema.ts";
import type { Frame } from "../conversation/frames.ts";
import { LastOpen, Open } from "../conversation/open.ts";
import { addOlder, type Why, withOlderOf, withWhy } from "../conversation/story.ts";
import { Watched } from "../parts/watched.ts";
import { atParting, nameHere } from "../people/people.ts";
import { pathOf } from "./queries.ts";

const PAGE = 50;
/** As many as the server gives at once. */
const WHOLE_PAGE = 100;
const RETRY = 5_000;
/** Only who asked is told why; that there is no answer is told to all. */
const FAILED: Why = { kind: "failed", words: "" };

export class Talk extends Open<Said> {
  /** How far each has read, by user name. */
  readonly read = new Watched<ReadonlyMap<string, number>>(new Map());
  /** Counts what may have changed who is in it, or how. */
  readonly changed = new Watched(0);
  private told = 0;
  private again: ReturnType<typeof setTimeout> | undefined;
  private readonly people = new Map<string, string>();

  protected get me(): string | undefined {
    return nameHere() ?? undefined;
  }

  protected clientIdOf(message: Said): string | undefined {
    return message.client_message_id ?? undefined;
  }

  async loadOlder(): Promise<void> {
    const page = await this.fetchPage(this.current.messages[0]);
    this.turn(addOlder(this.current, page.messages, page.has_more));
  }

  /** Who they are: what is heard names them by their ids. */
  know(people: readonly Person[]): void {
    for (const { id, username, read_number } of people) {
      this.people.set(id, username);
      this.noteRead(username, read_number);
    }
    this.turn({ ...this.current, messages: this.current.messages.map((message) => this.named(message)) });
  }

  async edit(message: Said, content: string): Promise<void> {
    await ask("PATCH", `${pathOf(this.id)}/messages/${message.id}`, { content });
  }

  async remove(message: Said): Promise<void> {
    await ask("DELETE", `${pathOf(this.id)}/messages/${message.id}`);
  }

  /** It, and all before it, has been seen here. */
  markRead(message: Said): void {
    if (message.number <= this.told) return;
    if (this.command({ type: "read", message_id: message.id })) this.told = message.number;
  }

  /** What was told on a line that is gone may not have arrived. */
  override enter(): void {
    this.told = 0;
    super.enter();
  }

  protected toOwn(told: Frame): Frame<Said> {
    switch (told.type) {
      case "snapshot":
        return {
          ...told,
          session: {
            ...told.session,
            messages: told.session.messages.map((message) => this.toSaid(message)),
          },
        };
      case "user_message":
      case "ai_message_complete":
      case "ai_message_stopped":
        return { ...told, message: this.toSaid(told.message) };
      default:
        return told;
    }
  }

  /** What was known of it stays known: that it was edited or removed is told by its words alone. */
  private toSaid(told: MessageShown): Said {
    const { id, number, role, content, created_at, status, metadata } = told;
    const known = this.current.messages.find((message) => message.id === id);
    if (known !== undefined && known.content === content) return known;
    const { sender_id, client_message_id = null } = metadata;
    const sender = sender_id === undefined ? null : { id: sender_id, username: "" };
    const removed = role === "user" && content === "";
    // When, the list of messages tells.
    const isEdited = role === "user" && known !== undefined && !removed;
    const edited_at = isEdited ? new Date().toISOString() : null;
    const more = { sender, client_message_id, edited_at, removed };
    return this.named({ id, number, role, content, created_at, status, ...more });
  }

  private named(message: Said): Said {
    const username = message.sender && this.people.get(message.sender.id);
    if (!message.sender || !username || message.sender.username === username) return message;
    return { ...message, sender: { ...message.sender, username } };
  }

  private fetchPage(before?: Said, limit = PAGE): Promise<SaidPage> {
    const which = before === undefined ? "" : `&before=${before.id}`;
    return ask<SaidPage>("GET", `${pathOf(this.id)}/messages?limit=${limit}${which}`);
  }

  /** All that is shown, as it is worded now. What was heard meanwhile is newer, and stays. */
  private async fetchShown(): Promise<void> {
    const oldest = this.current.messages[0]?.number ?? 0;
    let { messages, has_more } = await this.fetchPage();
    while (has_more && messages[0] !== undefined && messages[0].number > oldest) {
      const older = await this.fetchPage(messages[0], WHOLE_PAGE);
      messages = [...older.messages, ...messages];
      has_more = older.has_more;
    }
    const newest = new Map(messages.map((message) => [message.id, message]));
    for (const { sender } of messages) if (sender !== null) this.people.set(sender.id, sender.username);
    const first = messages[0]?.number ?? 0;
    const last = messages.at(-1)?.number ?? 0;
    const kept = this.current.messages.filter(
      ({ id, number }) => !newest.has(id) && (number < first || number > last),
    );
    const shown = [...kept, ...messages.filter(({ status }) => status !== "running")];
    this.turn({
      ...this.current,
      messages: shown.sort((one, other) => one.number - other.number),
      hasMore: kept.some(({ number }) => number < first) ? this.current.hasMore : has_more,
    });
  }

  private keepFetching(): void {
    clearTimeout(this.again);
    this.fetchShown().catch(() => {
      // Where the line goes, too, it comes back with another snapshot.
      if (this.line.value === "open") this.again = setTimeout(() => this.keepFetching(), RETRY);
    });
  }

  protected override hear(frame: Frame<Said>): void {
    const before = this.current;
    super.hear(frame);
    switch (frame.type) {
      case "snapshot":
        // Whoever reads what is older goes on reading it.
        this.turn(withOlderOf(before, this.current));
        this.changed.set(this.changed.value + 1);
        this.keepFetching();
        break;
      case "user_message":
        if (frame.message.sender?.username !== this.me) this.finished.set(frame.message);
        break;
      case "ai_typing_stop":
        if (frame.reason === "failed") this.turn(withWhy(this.current, frame.message_id, FAILED));
        break;
      case "message_read":
        this.hearRead(frame.user, frame.message_id);
        break;
    }
  }

  private hearRead(user: string, id: string): void {
    const message = this.current.messages.find((one) => one.id === id);
    // What is not loaded here has no number here: the list of members tells it.
    if (message === undefined) this.changed.set(this.changed.value + 1);
    else this.noteRead(user, message.number);
  }

  private noteRead(user: string, number: number): void {
    if (number <= (this.read.value.get(user) ?? 0)) return;
    this.read.set(new Map(this.read.value).set(user, number));
  }
}

const last = new LastOpen((id) => new Talk(id));
atParting.add(() => last.forget());

export function talkOf(id: string): Talk {
  return last.of(id);
}
