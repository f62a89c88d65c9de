// @ts-check
// Values of this browser in `localStorage`, which may be full or blocked.
//
// Chats at different paths of one origin share the storage: the prefix of a key names the path.

/** @type {string} */
export const PREFIX = window.wiresideKeys ?? "wireside.";

export const memory = {
  /**
   * Returns a value stored as JSON.
   *
   * @template T
   * @param {string} key without its prefix
   * @param {T} otherwise
   * @returns {T}
   */
  read(key, otherwise) {
    try {
      return JSON.parse(localStorage.getItem(PREFIX + key) ?? "null") ?? otherwise;
    } catch {
      return otherwise;
    }
  },

  /**
   * Returns a text, "" for none.
   *
   * @param {string} key without its prefix
   */
  readText(key) {
    try {
      return localStorage.getItem(PREFIX + key) || "";
    } catch {
      return "";
    }
  },

  /**
   * Stores a text; "" removes it.
   *
   * @param {string} key without its prefix
   * @param {string} text
   */
  writeText(key, text) {
    try {
      text ? localStorage.setItem(PREFIX + key, text) : localStorage.removeItem(PREFIX + key);
    } catch {
      // it applies until the page is left
    }
  },
};
