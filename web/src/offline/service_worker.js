/**
 * Keeps the page itself, so that it opens without a network. It answers for the page and its files alone: what is asked
 * of an API goes its own way, and nothing of it is kept.
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
