// @ts-check
// Facts about keyboards and key events.

const TYPED_IN = "input, textarea, select, [contenteditable]";

/**
 * Whether the target of a key event takes text.
 *
 * @param {EventTarget | null} target
 */
export const isTypedIn = (target) => target instanceof Element && target.closest(TYPED_IN) !== null;

export const IS_MAC = /Mac|iPhone|iPad/.test(navigator.platform);

/**
 * Whether a key event belongs to an input method. Safari ends a composition before the key event
 * that ended it, which then has only the code 229.
 *
 * @param {KeyboardEvent} event
 */
export function isComposing(event) {
  return event.isComposing || event.keyCode === 229;
}

const MAC_NAMES = new Map([
  ["Ctrl", "⌘"],
  ["Shift", "⇧"],
  ["Delete", "⌦"],
]);

/**
 * Returns the names of keys as they are on this keyboard.
 *
 * @param {string} keys separated by spaces
 */
export const keyNames = (keys) =>
  keys.split(" ").map((key) => (IS_MAC && MAC_NAMES.get(key)) || key);
