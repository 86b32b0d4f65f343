/** What this browser remembers. Where it may not, as in some private windows, it is remembered until the page is left. */

const PREFIX = "palaver.";
const instead = new Map<string, string>();

type Where = () => Storage;

const inBrowser: Where = () => localStorage;
/** Over reloads, and not in other tabs. */
export const inTab: Where = () => sessionStorage;

export function keep(name: string, value: unknown, where = inBrowser): void {
  const text = value === null ? null : JSON.stringify(value);
  try {
    if (text === null) where().removeItem(PREFIX + name);
    else where().setItem(PREFIX + name, text);
  } catch {
    if (text === null) instead.delete(name);
    else instead.set(name, text);
  }
}

export function kept<T>(name: string, otherwise: T, where = inBrowser): T {
  try {
    const text = instead.get(name) ?? where().getItem(PREFIX + name);
    return text === null ? otherwise : (JSON.parse(text) as T);
  } catch {
    return otherwise;
  }
}

/** Of all that is kept under a name that begins so, in no order. */
export function keptNames(start: string): string[] {
  const names = new Set(instead.keys());
  try {
    for (const name of Object.keys(localStorage))
      if (name.startsWith(PREFIX)) names.add(name.slice(PREFIX.length));
  } catch {
    // There are those that are remembered here.
  }
  return [...names].filter((name) => name.startsWith(start));
}

/** Of whoever was signed in: drafts, and what was not yet sent. Tastes stay. */
export function forgetPerson(): void {
  instead.clear();
  try {
    for (const storage of [localStorage, sessionStorage]) {
      for (const name of Object.keys(storage)) {
        if (/^palaver\.(draft|outbox)\./.test(name)) storage.removeItem(name);
      }
    }
  } catch {
    // Nothing is kept where nothing may be.
  }
}
