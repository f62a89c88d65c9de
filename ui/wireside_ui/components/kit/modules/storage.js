// @ts-check
// Values of this browser in `localStorage`, which may be full or blocked.

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
      return JSON.parse(localStorage.getItem("wireside." + key)) ?? otherwise;
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
      return localStorage.getItem("wireside." + key) || "";
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
      text
        ? localStorage.setItem("wireside." + key, text)
        : localStorage.removeItem("wireside." + key);
    } catch {
      // it applies until the page is left
    }
  },
};
