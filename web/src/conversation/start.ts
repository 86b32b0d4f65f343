/** How a conversation begins. */

import { ask, Refused } from "../api/http.ts";
import type { SessionShown, WholeSession } from "../api/schema.ts";
import { inTab, keep, kept } from "../parts/kept.ts";
import { Watched } from "../parts/watched.ts";
import { liveOf } from "./live.ts";

/** What a conversation is to begin with. */
export interface Beginning {
  text: string;
  model: string | null;
  /** The documents that are asked. */
  collection: string;
}

/** The first message of a conversation that could not be made yet: there is no way to the server. */
export const unstarted = new Watched<string | null>(null);
const KEPT = "outbox.new";

/** What this tab was to begin with before it was loaded again. */
export function leftUnstarted(): Beginning | null {
  return unstarted.value === null ? kept<Beginning | null>(KEPT, null, inTab) : null;
}

export function giveUpStarting(): void {
  unstarted.set(null);
  keep(KEPT, null, inTab);
}

/** The bot that answers from documents. */
export const FROM_DOCUMENTS = "openai_rag";
const LONGEST_TITLE = 60;
const RETRY = 3_000;
const LOOKED_AT = 20;

/**
 * Its id, once the server has made it; however long that takes. Throws `Refused`. null: it was given up. `again`: the
 * server may have heard of it already.
 */
export async function start(beginning: Beginning, again = false): Promise<string | null> {
  const { text, model, collection } = beginning;
  unstarted.set(text);
  keep(KEPT, beginning, inTab);
  try {
    while (unstarted.value === text) {
      try {
        const { id } = (again ? await made(text, model) : undefined) ?? (await make(text, model));
        if (collection)
          await ask("PATCH", `ai-chat/api/sessions/${id}/settings/`, {
            provider: FROM_DOCUMENTS,
            collection,
          });
        liveOf(id).send(text);
        return id;
      } catch (error) {
        if (error instanceof Refused && error.status !== 503) throw error;
        again = true;
        await online(RETRY);
      }
    }
    return null;
  } finally {
    if (unstarted.value === text) giveUpStarting();
  }
}

export function startFrom(preset: number): Promise<WholeSession> {
  return ask("POST", `ai-chat/api/presets/${preset}/create_session_from_preset/`, {});
}

function make(text: string, model: string | null): Promise<WholeSession> {
  const title = titleOf(text);
  return ask("POST", "ai-chat/api/sessions/", model === null ? { title } : { title, model_name: model });
}

/** The one that was made while its answer was lost on the way: still empty. */
async function made(text: string, model: string | null): Promise<SessionShown | undefined> {
  const newest = await ask<SessionShown[]>("GET", `ai-chat/api/sessions/?limit=${LOOKED_AT}`);
  return newest.find(
    (one) =>
      one.title === titleOf(text) && one.message_count === 0 && (model === null || one.model_name === model),
  );
}

/** Its first line, cut between two words. */
export function titleOf(text: string): string {
  const [line = ""] = text.trim().split("\n");
  const letters = [...line];
  if (letters.length <= LONGEST_TITLE) return line;
  const cut = letters.slice(0, LONGEST_TITLE).join("");
  return `${cut.includes(" ") ? cut.slice(0, cut.lastIndexOf(" ")) : cut}…`;
}

/** When the browser says that there is a network again, or after a while. */
function online(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      removeEventListener("online", done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    addEventListener("online", done);
  });
}
