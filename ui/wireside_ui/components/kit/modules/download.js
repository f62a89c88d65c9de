// @ts-check
// Saves content that the page has made or received.
import { make } from "./dom.js";

const KEPT_MS = 60_000; // some browsers read the content after the click

/**
 * Offers content as a file.
 *
 * @param {Blob} blob
 * @param {string} name
 */
export function download(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = make("a", "", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), KEPT_MS);
}
