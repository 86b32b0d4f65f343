/** How a conversation begins. */

import { ask, Refused } from "../api/http.ts";
import type { WholeSession } from "../api/schema.ts";
import { Watched } from "../parts/watched.ts";
import { liveOf } from "./live.ts";

/** The first message of a conversation that could not be made yet: there is no way to the server. */
export const unstarted = new Watched<string | null>(null);

const LONGEST_TITLE = 60;
const RETRY = 3_000;

/** Its id, once the server has made it; however long that takes. Throws `Refused`. null: it was given up. */
export async function start(text: string, model: string | null): Promise<string | null> {
  unstarted.set(text);
  try {
    while (unstarted.value === text) {
      try {
        const made = await make(text, model);
        liveOf(made.id).send(text);
        return made.id;
      } catch (error) {
        if (error instanceof Refused && error.status !== 503) throw error;
        await online(RETRY);
      }
    }
    return null;
  } finally {
    if (unstarted.value === text) unstarted.set(null);
  }
}

export function startFrom(preset: number): Promise<WholeSession> {
  return ask("POST", `ai-chat/api/presets/${preset}/create_session_from_preset/`, {});
}

function make(text: string, model: string | null): Promise<WholeSession> {
  const title = titleOf(text);
  return ask("POST", "ai-chat/api/sessions/", model === null ? { title } : { title, model_name: model });
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
