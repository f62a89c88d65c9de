// @ts-check
// What a temporary chat leaves to the next load of its page. Nothing of it may be stored, so it is in the name of the
// window, which the browser keeps in memory, until that load reads it.
import { PREFIX } from "wireside-kit/storage.js";

const MARK = `${PREFIX}fleeting `;

/** @param {Fleeting} left */
export function leaveFleeting(left) {
  window.name = MARK + JSON.stringify(left);
}

/** @returns {Fleeting | null} what was left, which is forgotten */
export function takeFleeting() {
  if (!window.name.startsWith(MARK)) return null;
  const text = window.name.slice(MARK.length);
  window.name = "";
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
