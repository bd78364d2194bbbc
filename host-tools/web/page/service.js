// Keeps the page, so that it works without a network. `zerda web` writes the two constants.

const VERSION = "VERSION";
const FILES = ["FILES"];
const KEPT = `zerda-${VERSION}`;

addEventListener("install", (event) => {
  const keep = async () => {
    const cache = await caches.open(KEPT);
    await cache.addAll(FILES);
    await skipWaiting();
  };
  event.waitUntil(keep());
});

addEventListener("activate", (event) => {
  const activate = async () => {
    const others = (await caches.keys()).filter((name) => name.startsWith("zerda-") && name !== KEPT);
    await Promise.all(others.map((name) => caches.delete(name)));
    await clients.claim();
  };
  event.waitUntil(activate());
});

addEventListener("fetch", (event) => {
  const answer = async () => {
    const cache = await caches.open(KEPT);
    const { request } = event;
    const kept = await cache.match(request.mode === "navigate" ? "./" : request, { ignoreSearch: true });
    return kept ?? fetch(request);
  };
  event.respondWith(answer());
});
