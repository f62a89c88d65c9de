// @ts-check
// Arrow keys in menus.

/**
 * Returns the position that a key moves the focus to in a menu of `count` items, where the first
 * follows the last; undefined for another key.
 *
 * @param {string} key
 * @param {number} at position of the focus
 * @param {number} count
 * @returns {number | undefined}
 */
export function menuPosition(key, at, count) {
  return {
    ArrowDown: (at + 1) % count,
    ArrowUp: (at - 1 + count) % count,
    Home: 0,
    End: count - 1,
  }[key];
}
