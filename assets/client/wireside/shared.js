// @ts-check
import { addressOf } from "./address.js";
import { Wireside } from "./client.js";

/** @import { Options } from "./types.js" */

/** @type {Map<string, { client: Wireside, holders: Set<() => void> }>} By address; a closed one is replaced. */
const clients = new Map();

/**
 * One client for all that share an address: the first one opens it, the last `release` closes it.
 * @param {string | URL} [url]
 * @param {Options} [options] those of the first one count
 * @returns {{ client: Wireside, release: () => void }}
 */
export function share(url, options) {
  const address = addressOf(url);
  let shared = clients.get(address);
  if (!shared || shared.client.state === "closed") {
    shared = { client: new Wireside(address, options), holders: new Set() };
    clients.set(address, shared);
  }
  const { client, holders } = shared;
  const release = () => {
    if (holders.delete(release) && !holders.size) client.close();
  };
  holders.add(release);
  return { client, release };
}
