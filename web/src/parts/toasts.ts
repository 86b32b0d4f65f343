/** Short words at the edge of the page, with at most one thing to do about them. */

import { Watched } from "./watched.ts";

export interface Toast {
  id: number;
  words: string;
  action?: { label: string; run: () => void };
}

export const toasts = new Watched<readonly Toast[]>([]);
/** The sheets that are open, the topmost last. All outside of it is out of reach, and toasts are shown within it. */
export const sheets = new Watched<readonly HTMLElement[]>([]);
const SECONDS = 6;
let last = 0;

/** Shown for a while; `after` runs once it is gone without its action having been taken. */
export function say(words: string, action?: Toast["action"], after?: () => void): void {
  last += 1;
  const id = last;
  const away = () => toasts.set(toasts.value.filter((toast) => toast.id !== id));
  const timer = setTimeout(() => {
    away();
    after?.();
  }, SECONDS * 1000);
  const toast: Toast = { id, words };
  if (action !== undefined) {
    toast.action = {
      label: action.label,
      run: () => {
        clearTimeout(timer);
        away();
        action.run();
      },
    };
  }
  toasts.set([...toasts.value, toast]);
}
