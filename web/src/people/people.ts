/** Who is there. */

import { onlineManager, QueryClient, useQuery } from "@tanstack/react-query";
import { ask, Refused, Unreachable } from "../api/http.ts";
import type { Me } from "../api/schema.ts";
import { forgetAll } from "../conversation/live.ts";
import { forgetPerson, keep, kept } from "../parts/kept.ts";

export interface Person {
  /** Empty for a guest, who has no name. */
  name: string;
  isGuest: boolean;
}

export const queries = new QueryClient({
  defaultOptions: {
    queries: { retry: (tries, error) => !(error instanceof Refused) && tries < 3, staleTime: 30_000 },
  },
});

// It takes for granted that there is a network, until it hears that one went away.
onlineManager.setOnline(navigator.onLine);

const WHO = ["who"];
const LAST = "who";

export function useWho() {
  return useQuery({
    queryKey: WHO,
    queryFn: whoIsThere,
    staleTime: Number.POSITIVE_INFINITY,
    // Asked without a network too: then it is whoever was there last.
    networkMode: "always",
    retry: (tries, error) => navigator.onLine && !(error instanceof Refused) && tries < 3,
    refetchOnReconnect: "always",
  });
}

/** null: nobody that the server knows. Without a way to the server, whoever was there last. */
async function whoIsThere(): Promise<Person | null> {
  try {
    const person = await askWho();
    keep(LAST, person);
    return person;
  } catch (error) {
    const last = kept<Person | null>(LAST, null);
    if (error instanceof Unreachable && last !== null) return last;
    throw error;
  }
}

async function askWho(): Promise<Person | null> {
  const me = await unlessRefused(ask<Me>("GET", "api/auth/me"));
  if (me !== null) return { name: me.user.fullName || me.user.email, isGuest: false };
  // Where guests may talk, whoever has no account is one.
  const listed = await unlessRefused(ask<unknown>("GET", "ai-chat/api/sessions/?limit=1"));
  return listed === null ? null : { name: "", isGuest: true };
}

async function unlessRefused<T>(asked: Promise<T>): Promise<T | null> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof Refused && error.status === 401) return null;
    throw error;
  }
}

export async function signIn(username: string, password: string): Promise<void> {
  await ask("POST", "sign-in", { username, password });
  await queries.resetQueries();
}

export async function signOut(everywhere: boolean): Promise<void> {
  await ask("POST", "sign-out", { everywhere });
  forgetPerson();
  nobody();
}

/** The server knows nobody any more. */
export function nobody(): void {
  keep(LAST, null);
  forgetAll();
  queries.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== WHO[0] });
  queries.setQueryData(WHO, null);
}
