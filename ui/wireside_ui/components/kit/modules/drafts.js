// @ts-check
// Storage of drafts (unsent text) and of the outbox (sent, not acknowledged), for each tab and conversation.
//
// A tab reads and writes its own values in `sessionStorage`, which survives a reload and is not shared with other
// tabs. A copy in `localStorage`, under the tab's name, outlives the tab: a tab that opens the same conversation
// without values of its own adopts those of a closed tab. Values of open tabs are never adopted.

import { PREFIX } from "wireside-kit/storage.js";

const ALIVE_MS = 180_000; // browsers run the timers of a hidden tab once a minute
const BEAT_MS = 20_000;

/** @typedef {"localStorage" | "sessionStorage"} StorageName */

/** @type {(storage: StorageName, key: string) => string | null} */
const get = (storage, key) => {
  try {
    return window[storage].getItem(key);
  } catch {
    return null;
  }
};
/** @type {(storage: StorageName, key: string, value: string | null) => void} */
const set = (storage, key, value) => {
  try {
    value === null ? window[storage].removeItem(key) : window[storage].setItem(key, value);
  } catch {
    // full, or blocked
  }
};
/** @type {(storage: StorageName) => string[]} */
const keysOf = (storage) => {
  try {
    return Object.keys(window[storage]);
  } catch {
    return [];
  }
};
/** @param {string | null} text */
const parse = (text) => {
  try {
    return JSON.parse(text ?? "null");
  } catch {
    return null;
  }
};

/** @param {string} tab */
const isAlive = (tab) =>
  Date.now() - Number(get("localStorage", `${PREFIX}tab.${tab}`) ?? 0) < ALIVE_MS;

// A duplicated tab has a copy of the other's `sessionStorage`, hence its name too.
function nameOfTab() {
  const known = get("sessionStorage", `${PREFIX}tab`);
  if (known && !isAlive(known)) return known;
  const fresh = [...crypto.getRandomValues(new Uint8Array(8))]
    .map((byte) => byte.toString(16).padStart(2, "0"))
    .join("");
  set("sessionStorage", `${PREFIX}tab`, fresh);
  return fresh;
}

// After a sign-out in another tab, earlier values of this tab are deleted: the next user must not see them.
function forgetBeforeSignOut() {
  const since = Number(get("sessionStorage", `${PREFIX}since`) ?? 0);
  if (since < Number(get("localStorage", `${PREFIX}signed-out`) ?? 0)) {
    for (const key of keysOf("sessionStorage"))
      if (key.startsWith(PREFIX)) set("sessionStorage", key, null);
  }
  set("sessionStorage", `${PREFIX}since`, String(Date.now()));
}

forgetBeforeSignOut();
const TAB = nameOfTab();
const beat = () => set("localStorage", `${PREFIX}tab.${TAB}`, String(Date.now()));
beat();
setInterval(beat, BEAT_MS);
addEventListener("pageshow", beat);
document.addEventListener("visibilitychange", () => document.hidden || beat()); // the page is hidden after "pagehide" too
addEventListener("pagehide", () => set("localStorage", `${PREFIX}tab.${TAB}`, null));

/** @param {unknown} value */
const isEmpty = (value) =>
  value === null || value === undefined || value === "" || (Array.isArray(value) && !value.length);
/**
 * @param {string} kind
 * @param {string} conversation
 */
const keyOf = (kind, conversation) => `${PREFIX}${kind}.${conversation}`;
/**
 * @param {string} kind
 * @param {string} conversation
 */
const copyOf = (kind, conversation) => `${keyOf(kind, conversation)}@${TAB}`;

/**
 * Stores a value of this tab, with a copy that outlives it; an empty one removes both.
 *
 * @param {string} kind
 * @param {string} conversation
 * @param {unknown} value
 */
export function write(kind, conversation, value) {
  writeHere(kind, conversation, value);
  set(
    "localStorage",
    copyOf(kind, conversation),
    isEmpty(value) ? null : JSON.stringify({ at: Date.now(), is: value }),
  );
}

/**
 * Stores a value that need not outlive the tab.
 *
 * @param {string} kind
 * @param {string} conversation
 * @param {unknown} value
 */
export function writeHere(kind, conversation, value) {
  set("sessionStorage", keyOf(kind, conversation), isEmpty(value) ? null : JSON.stringify(value));
}

/**
 * Returns the value of this tab, or null. `adopts`: without one, that of a closed tab.
 *
 * @param {string} kind
 * @param {string} conversation
 * @param {{ adopts?: boolean }} [options]
 */
export function read(kind, conversation, { adopts = true } = {}) {
  const own = parse(get("sessionStorage", keyOf(kind, conversation)));
  if (!isEmpty(own)) return own;
  return adopts ? adopt(kind, conversation) : null;
}

/**
 * Returns all values of a kind in this tab.
 *
 * @param {string} kind
 * @returns {[conversation: string, value: any][]}
 */
export function all(kind) {
  const start = keyOf(kind, "");
  return keysOf("sessionStorage")
    .filter((key) => key.startsWith(start))
    .map((key) => [key.slice(start.length), parse(get("sessionStorage", key))]);
}

/**
 * Adopts all questions of an outbox, but only the newest draft: the next tab adopts the next one.
 * @param {string} kind
 * @param {string} conversation
 */
function adopt(kind, conversation) {
  const key = keyOf(kind, conversation);
  const left = keysOf("localStorage")
    .filter(
      (name) =>
        name === key || (name.startsWith(`${key}@`) && !isAlive(name.slice(key.length + 1))),
    )
    .map((name) => [name, parse(get("localStorage", name))])
    // a key without "@" is from before drafts belonged to tabs
    .map(([name, kept]) => (name === key ? { name, at: 0, is: kept } : { name, ...kept }))
    .filter((one) => !isEmpty(one.is))
    .sort((a, b) => b.at - a.at);
  if (!left.length) return null;
  const taken = Array.isArray(left[0].is) ? left : left.slice(0, 1);
  for (const one of taken) set("localStorage", one.name, null);
  const value = Array.isArray(left[0].is) ? taken.flatMap((one) => one.is) : left[0].is;
  write(kind, conversation, value);
  return value;
}
