/** Who is there. */

import { onlineManager, QueryClient, useQuery } from "@tanstack/react-query";
import { ask, Refused, Unreachable } from "../api/http.ts";
import type { AccountShown } from "../api/schema.ts";
import { forgetAll } from "../conversation/live.ts";
import { forgetPerson, keep, kept } from "../parts/kept.ts";
import { chooseLanguage } from "../words/index.ts";

export interface Person {
  /** Empty for a guest, who has no name. */
  name: string;
  /** By which others know them; null for a guest. */
  username: string | null;
  isGuest: boolean;
  isAdmin: boolean;
}

export const queries = new QueryClient({
  defaultOptions: {
    queries: { retry: (tries, error) => !(error instanceof Refused) && tries < 3, staleTime: 30_000 },
  },
});

// It takes for granted that there is a network, until it hears that one went away.
onlineManager.setOnline(navigator.onLine);

const WHO = ["who"];
export const ACCOUNT = ["account"];
/** Whoever was there last. */
const LAST = "who";
/** What is to be dropped when whoever is there goes. */
export const atParting = new Set<() => void>();

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

export function fetchAccount(): Promise<AccountShown> {
  return ask<AccountShown>("GET", "api/account");
}

/** As it is now. The language is the person's on every device. */
export async function takeAccount(account: AccountShown): Promise<void> {
  queries.setQueryData(ACCOUNT, account);
  const person = toPerson(account);
  queries.setQueryData(WHO, person);
  keep(LAST, person);
  await chooseLanguage(account.language);
}

/** Whether who is there may do what admins do; undefined until that is known. The server decides it each time. */
export function useIsAdmin(): boolean | undefined {
  const who = useWho().data;
  return who === undefined ? undefined : who?.isAdmin === true;
}

/** As it is known in this browser: another of its tabs may have signed in somebody else. */
export function isStillThere(username: string | null): boolean {
  const here = queries.getQueryData<Person | null>(WHO);
  const last = kept<Person | null>(LAST, here ?? null);
  return [here, last].every((person) => person?.username === username);
}

/** The user name of who is there; null for a guest and for nobody. */
export function nameHere(): string | null {
  return queries.getQueryData<Person | null>(WHO)?.username ?? null;
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
  const account = await unlessRefused(fetchAccount());
  if (account !== null) {
    queries.setQueryData(ACCOUNT, account);
    if (account.language !== null) await chooseLanguage(account.language);
    return toPerson(account);
  }
  // Where guests may talk, whoever has no account is one.
  const listed = await unlessRefused(ask<unknown>("GET", "ai-chat/api/sessions/?limit=1"));
  return listed === null ? null : { name: "", username: null, isGuest: true, isAdmin: false };
}

function toPerson({ full_name, username, is_admin }: AccountShown): Person {
  return { name: full_name || username, username, isGuest: false, isAdmin: is_admin };
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
  // While the server still knows whose it is. Where that fails, it hears of it when it next calls here in vain.
  if (kept("device", null) !== null) {
    await import("../notify/device.ts").then(({ unregister }) => unregister()).catch(() => undefined);
  }
  await ask("POST", "sign-out", { everywhere });
  forgetPerson();
  nobody();
}

/** The server knows nobody any more. */
export function nobody(): void {
  keep(LAST, null);
  forgetAll();
  for (const drop of atParting) drop();
  queries.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== WHO[0] });
  queries.setQueryData(WHO, null);
}
