// @ts-check
// Registers the service worker, which shows a page of its own while the server can't be reached.

/**
 * Registers the worker once the page is loaded. Browsers have none on an insecure origin; in a frame, the page around
 * it has a state of its own.
 *
 * @param {string} base
 */
export function registerWorker(base) {
  if (window.parent !== window || !navigator.serviceWorker) return;
  const register = () =>
    navigator.serviceWorker.register(`${base}/service-worker.js`).catch(() => {}); // storage is blocked
  if (document.readyState === "complete") register();
  else addEventListener("load", register);
}
