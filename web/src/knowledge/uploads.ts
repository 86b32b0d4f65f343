/**
 * Files on their way to the server. They go on whatever page is looked at, a few at once, and each says how far it is. Sent
 * again, the same file is the same document. They go as whoever chose them, or not at all: with that person's session they end.
 */

import { Refused } from "../api/http.ts";
import { wordsOf } from "../api/refused.ts";
import type { DocumentShown } from "../api/schema.ts";
import { type Sending, sendFile } from "../api/upload.ts";
import { Watched } from "../parts/watched.ts";
import { atParting, isStillThere, nobody, queries } from "../people/people.ts";
import { COLLECTIONS, collectionPath } from "./queries.ts";

const AT_ONCE = 3;
const THERE_ALREADY = 200;
/** The collection is gone, or is not theirs to change. */
const IN_VAIN: ReadonlySet<number> = new Set([403, 404]);

export interface Uploading {
  id: number;
  collection: string;
  /** Whose it is: it is sent as nobody else. */
  by: string | null;
  file: File;
  state: "queued" | "sending" | "refused";
  /** 0..1 */
  share: number;
  /** Why it was refused. */
  problem: string;
  /** Then trying again is in vain. */
  isFinal: boolean;
}

/** Those that have arrived are among the documents. */
export const uploads = new Watched<readonly Uploading[]>([]);

/** What was there before, the very same, has not changed anything. */
type Arrived = (collection: string, document: DocumentShown, isNew: boolean) => void;

/** Why a file cannot be sent; empty where it can. */
type Check = (file: File) => string;

const sending = new Map<number, Sending<DocumentShown>>();
let last = 0;

export function upload(
  to: Pick<Uploading, "collection" | "by">,
  files: readonly File[],
  check: Check,
  arrived: Arrived,
): void {
  const added = files.map((file): Uploading => {
    last += 1;
    const problem = check(file);
    const isFinal = problem !== "";
    return { ...to, id: last, file, state: isFinal ? "refused" : "queued", share: 0, problem, isFinal };
  });
  atParting.add(dropAll);
  uploads.set([...uploads.value, ...added]);
  goOn(arrived);
}

export function cancelUpload(id: number, arrived: Arrived): void {
  sending.get(id)?.cancel();
  sending.delete(id);
  uploads.set(uploads.value.filter((one) => one.id !== id));
  goOn(arrived);
}

function dropAll(): void {
  uploads.set([]);
  const underWay = [...sending.values()];
  sending.clear();
  for (const one of underWay) one.cancel();
}

export function uploadAgain(id: number, arrived: Arrived): void {
  note(id, { state: "queued", share: 0, problem: "" });
  goOn(arrived);
}

function goOn(arrived: Arrived): void {
  const free = AT_ONCE - sending.size;
  const next = uploads.value.filter(({ state }) => state === "queued").slice(0, Math.max(0, free));
  for (const one of next) void send(one, arrived);
}

async function send({ id, collection, by, file }: Uploading, arrived: Arrived): Promise<void> {
  // Whoever it is has gone in another tab.
  if (!isStillThere(by)) return dropAll();
  const name = new URLSearchParams({ name: file.name });
  const sent = sendFile<DocumentShown>(`${collectionPath(collection)}documents/?${name}`, file, (share) =>
    note(id, { share }),
  );
  sending.set(id, sent);
  note(id, { state: "sending" });
  try {
    const { status, body } = await sent.answer;
    // Who has cancelled it meanwhile wants to hear nothing of it.
    if (!sending.delete(id)) return;
    uploads.set(uploads.value.filter((one) => one.id !== id));
    arrived(collection, body, status !== THERE_ALREADY);
  } catch (error) {
    if (!sending.delete(id)) return;
    // The session has ended: the others would fare no better.
    if (error instanceof Refused && error.status === 401) return nobody();
    // Mostly the collection is gone, or not shared any more: its page says so once it has looked.
    if (error instanceof Refused && error.status === 404)
      void queries.invalidateQueries({ queryKey: [...COLLECTIONS, collection] });
    const isFinal = error instanceof Refused && IN_VAIN.has(error.status);
    note(id, { state: "refused", problem: wordsOf(error), isFinal });
  }
  goOn(arrived);
}

/** Whoever leaves the page meanwhile is asked: what is still to be sent goes with it. */
uploads.watch(() => {
  if (uploads.value.some(({ state }) => state !== "refused")) addEventListener("beforeunload", ask);
  else removeEventListener("beforeunload", ask);
});

function ask(event: BeforeUnloadEvent): void {
  event.preventDefault();
}

function note(id: number, change: Partial<Uploading>): void {
  uploads.set(uploads.value.map((one) => (one.id === id ? { ...one, ...change } : one)));
}
