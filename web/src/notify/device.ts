/** This browser, as one of the devices on which a person is notified. */

import { ask } from "../api/http.ts";
import type { TargetShown } from "../api/schema.ts";
import { keep, kept } from "../parts/kept.ts";
import { labelOf } from "./label.ts";

export const TARGETS = "api/notifications/targets";
/** The id that the server has given this browser. */
const DEVICE = "device";

export function idHere(): number | null {
  return kept<number | null>(DEVICE, null);
}

export function canBeNotified(): boolean {
  return "serviceWorker" in navigator && "PushManager" in window && "Notification" in window;
}

/** Asks for the permission, too. False where the person or the browser does not give it. */
export async function register(): Promise<boolean> {
  if ((await Notification.requestPermission()) !== "granted") return false;
  await send(await subscribe());
  return true;
}

/** The browser may have another address by now, or the server another key. */
export async function renew(): Promise<void> {
  if (idHere() === null || !canBeNotified()) return;
  if (Notification.permission === "granted") await send(await subscribe());
  else await unregister();
}

/** Nobody who signs in here next is to hear what was meant for somebody else. */
export async function unregister(): Promise<void> {
  const id = idHere();
  keep(DEVICE, null);
  const registration = await navigator.serviceWorker?.getRegistration();
  const subscription = await registration?.pushManager.getSubscription();
  await subscription?.unsubscribe();
  if (id !== null) await ask("DELETE", `${TARGETS}/${id}`);
}

async function subscribe(): Promise<PushSubscription> {
  const { public_key } = await ask<{ public_key: string }>("GET", "api/notifications/key");
  const { pushManager } = await navigator.serviceWorker.ready;
  const wanted = { userVisibleOnly: true, applicationServerKey: public_key };
  try {
    return await pushManager.subscribe(wanted);
  } catch (error) {
    // With another key than before, the old one has to go first.
    const old = await pushManager.getSubscription();
    if (old === null) throw error;
    await old.unsubscribe();
    return pushManager.subscribe(wanted);
  }
}

async function send(subscription: PushSubscription): Promise<void> {
  const { endpoint, keys } = subscription.toJSON();
  const target = await ask<TargetShown>("POST", TARGETS, {
    kind: "web_push",
    endpoint,
    keys,
    label: labelOf(navigator.userAgent),
  });
  keep(DEVICE, target.id);
}
