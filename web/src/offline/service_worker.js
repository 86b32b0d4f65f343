/**
 * Keeps the page itself, so that it opens without a network. It answers for the page and its files alone: what is asked
 * of an API goes its own way, and nothing of it is kept. And it notifies who is away of what has come for them.
 *
 * The build writes before this which FILES there are, and their VERSION. Other files make another worker with a store of
 * its own, so that the page that is kept and its files always belong together.
 */

const PAGE = self.registration.scope;
const ASSETS = new URL("assets/", PAGE).href;
const STORES = `palaver ${PAGE} `;
const STORE = STORES + VERSION;

self.addEventListener("install", (event) => {
  event.waitUntil(keepAll().then(() => self.skipWaiting()));
  // What is asked of an API does not even come by here, where a browser can be told so: that is quicker, and what a page
  // says as it is left (a conversation is deleted for good) is not lost with it.
  const ours = [PAGE, `${ASSETS}*`].map((urlPattern) => ({ urlPattern }));
  event.addRoutes?.({ condition: { not: { or: ours } }, source: "network" });
});
self.addEventListener("activate", (event) => event.waitUntil(forgetOld().then(() => self.clients.claim())));
self.addEventListener("fetch", (event) => {
  const { request } = event;
  const [address] = request.url.split(/[?#]/);
  if (request.mode === "navigate" && address === PAGE) event.respondWith(newestPage(request));
  else if (request.method === "GET" && address.startsWith(ASSETS)) event.respondWith(keptFile(request));
});

async function keepAll() {
  const store = await caches.open(STORE);
  const keep = async (address, options) => {
    const answer = await fetch(address, options);
    if (!answer.ok || answer.redirected) throw new Error(`${address} is not there.`);
    await store.put(address, answer);
  };
  await Promise.all([
    keep(PAGE, { headers: { Accept: "text/html" }, cache: "no-cache" }),
    ...FILES.map((name) => keep(ASSETS + name)),
  ]);
}

/** A path prefix may have another Palaver beside it, with stores of its own. */
async function forgetOld() {
  const old = (await caches.keys()).filter((name) => name.startsWith(STORES) && name !== STORE);
  await Promise.all(old.map((name) => caches.delete(name)));
}

/** The server's own, and the one that is kept where no server is there, or only what stands before it. */
async function newestPage(request) {
  const answer = await fetch(request).catch(() => undefined);
  if (answer !== undefined && answer.status < 500) return answer;
  return (await kept(PAGE)) ?? answer ?? Response.error();
}

async function keptFile(request) {
  return (await kept(request)) ?? fetch(request);
}

async function kept(request) {
  // The answers vary by what a browser accepts; what this one has accepted once it will accept again.
  return (await caches.open(STORE)).match(request, { ignoreVary: true, ignoreSearch: true });
}

// Who is away is notified

/** So long a page has to say that the conversation is looked at there. */
const PATIENCE = 500;

self.addEventListener("push", (event) => event.waitUntil(notify(event.data?.json())));
self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(lead(event.notification.data.place));
});
self.addEventListener("pushsubscriptionchange", (event) => event.waitUntil(subscribeAgain(event)));

/** Of each conversation there is one notification at most, the newest. */
async function notify({ conversation, conversation_kind, title, body }) {
  const place = `/${conversation_kind === "bot" ? "c" : "people"}/${conversation}`;
  if (await isShown(place)) return;
  const icon = `${ASSETS}icon-192.png`;
  const words = body === null ? {} : { body };
  const notice = { ...words, icon, badge: icon, tag: conversation, renotify: true, data: { place } };
  await self.registration.showNotification(title, notice);
}

function pages() {
  return self.clients.matchAll({ type: "window", includeUncontrolled: true });
}

/** A page alone knows where it stands: the address that is known of it is where it began. */
async function isShown(place) {
  const visible = (await pages()).filter(({ visibilityState }) => visibilityState === "visible");
  const answers = await Promise.all(visible.map((page) => ask(page, place)));
  return answers.includes(true);
}

function ask(page, shows) {
  const { port1, port2 } = new MessageChannel();
  return new Promise((done) => {
    port1.onmessage = ({ data }) => done(data);
    setTimeout(done, PATIENCE, false);
    page.postMessage({ shows }, [port2]);
  });
}

async function lead(place) {
  const open = await pages();
  const page = open.find(({ visibilityState }) => visibilityState === "visible") ?? open[0];
  if (page === undefined) return self.clients.openWindow(`${PAGE}#${place}`);
  page.postMessage({ open: place });
  // The browser may not let it come to the front.
  return page.focus().catch(() => undefined);
}

/** The browser has given this page another address, under which it is to be reached from now on. */
async function subscribeAgain({ oldSubscription, newSubscription }) {
  const { applicationServerKey } = (newSubscription ?? oldSubscription)?.options ?? {};
  if (applicationServerKey === undefined) return;
  const wanted = { userVisibleOnly: true, applicationServerKey };
  const subscription = newSubscription ?? (await self.registration.pushManager.subscribe(wanted));
  const { endpoint, keys } = subscription.toJSON();
  // Where a browser does not tell a worker its cookies, the page does this when it is next opened.
  const csrf = await self.cookieStore?.get("csrftoken");
  await fetch(new URL("api/notifications/targets", PAGE), {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRFToken": csrf?.value ?? "" },
    body: JSON.stringify({ kind: "web_push", endpoint, keys }),
  });
}
