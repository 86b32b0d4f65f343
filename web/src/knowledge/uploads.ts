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
}

/** Those that have arrived are among the documents. */
export const uploads = new Watched<readonly Uploading[]>([]);

type Arrived = (collection: string, document: DocumentShown) => void;

const sending = new Map<number, Sending<DocumentShown>>();
let last = 0;

export function upload(
  to: Pick<Uploading, "collection" | "by">,
  files: readonly File[],
  arrived: Arrived,
): void {
  const added = files.map((file): Uploading => {
    last += 1;
    return { ...to, id: last, file, state: "queued", share: 0, problem: "" };
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
    const document = await sent.answer;
    // Who has cancelled it meanwhile wants to hear nothing of it.
    if (!sending.delete(id)) return;
    uploads.set(uploads.value.filter((one) => one.id !== id));
    arrived(collection, document);
  } catch (error) {
    if (!sending.delete(id)) return;
    // The session has ended: the others would fare no better.
    if (error instanceof Refused && error.status === 401) return nobody();
    // Mostly the collection is gone, or not shared any more: its page says so once it has looked.
    if (error instanceof Refused && error.status === 404)
      void queries.invalidateQueries({ queryKey: [...COLLECTIONS, collection] });
    note(id, { state: "refused", problem: wordsOf(error) });
  }
  goOn(arrived);
}

function note(id: number, change: Partial<Uploading>): void {
  uploads.set(uploads.value.map((one) => (one.id === id ? { ...one, ...change } : one)));
}
