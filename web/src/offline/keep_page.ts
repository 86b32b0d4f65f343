/** Has the browser keep the page, so that it opens without a network: `service_worker.js`. Browsers do so by https alone. */

import { addressOf } from "../api/http.ts";

interface Policies {
  createPolicy(
    name: string,
    rules: { createScriptURL: () => string },
  ): { createScriptURL(_: string): string };
}

export function keepPage(): void {
  if (!("serviceWorker" in navigator)) return;
  navigator.serviceWorker.addEventListener("message", hear);
  // After what the page itself needs.
  if (document.readyState === "complete") register();
  else addEventListener("load", register, { once: true });
}

function register(): void {
  const address = addressOf("service-worker.js").href;
  // The only address that the page's policy lets become a script; see POLICY in api/web_app.py.
  const { trustedTypes } = window as { trustedTypes?: Policies };
  const policy = trustedTypes?.createPolicy("palaver-worker", { createScriptURL: () => address });
  const script = policy?.createScriptURL("") ?? address;
  navigator.serviceWorker.register(script, { updateViaCache: "none" }).catch(() => {
    // Where nothing may be kept, the page works as well.
  });
}

/** What the worker asks before it notifies anybody, and where it leads to who has chosen a notification. */
function hear({ data, ports }: MessageEvent<{ shows?: string; open?: string }>): void {
  const { shows, open } = data;
  if (open !== undefined) location.hash = open;
  if (shows === undefined) return;
  ports[0]?.postMessage(document.visibilityState === "visible" && location.hash.startsWith(`#${shows}`));
}

/** Of a conversation that is looked at now. */
export async function forgetNotices(conversation: string): Promise<void> {
  const registration = await navigator.serviceWorker?.getRegistration();
  const shown = await registration?.getNotifications?.({ tag: conversation });
  for (const notice of shown ?? []) notice.close();
}
