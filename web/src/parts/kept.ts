/** What this browser remembers. Where it may not, as in some private windows, it is remembered until the page is left. */

const PREFIX = "palaver.";
const instead = new Map<string, string>();

export function keep(name: string, value: unknown): void {
  const text = value === null ? null : JSON.stringify(value);
  try {
    if (text === null) localStorage.removeItem(PREFIX + name);
    else localStorage.setItem(PREFIX + name, text);
  } catch {
    if (text === null) instead.delete(name);
    else instead.set(name, text);
  }
}

export function kept<T>(name: string, otherwise: T): T {
  try {
    const text = instead.get(name) ?? localStorage.getItem(PREFIX + name);
    return text === null ? otherwise : (JSON.parse(text) as T);
  } catch {
    return otherwise;
  }
}

/** Of whoever was signed in: drafts, and what was not yet sent. Tastes stay. */
export function forgetPerson(): void {
  instead.clear();
  try {
    for (const name of Object.keys(localStorage)) {
      if (/^palaver\.(draft|outbox)\./.test(name)) localStorage.removeItem(name);
    }
  } catch {
    // Nothing is kept where nothing may be.
  }
}
