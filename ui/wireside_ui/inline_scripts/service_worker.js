// The service worker. It answers navigations with a page of its own while the server can't be reached, and nothing else:
// it stores nothing, and requests of pages (scripts, the API, streams, sockets, forms) do not pass through it.
(/** @type {OfflineAnswer} */ offline) => {
  const worker = /** @type {ServiceWorkerScope} */ (/** @type {unknown} */ (self));
  const below = new URL(worker.registration.scope).pathname.length;

  const isPage = (/** @type {Request} */ request) => {
    if (request.mode !== "navigate" || request.method !== "GET") return false;
    if (request.destination !== "document") return false; // a frame: the page around it has a state of its own
    const path = new URL(request.url).pathname.slice(below);
    return !offline.passed.some((start) => path.startsWith(start));
  };

  const load = async (/** @type {Request} */ request) => {
    try {
      return await fetch(request);
    } catch {
      return new Response(offline.page, { status: 503, headers: offline.headers });
    }
  };

  // A new version takes the place of the old one at once: neither has a state.
  worker.addEventListener("install", () => worker.skipWaiting());
  worker.addEventListener("fetch", (e) => {
    if (isPage(e.request)) e.respondWith(load(e.request));
  });
};
