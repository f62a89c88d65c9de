// Arrow keys in menus.

// Returns the position in a menu of `count` items that a key moves the focus to; undefined for another key.
// The first follows the last.
export function menuPosition(key, at, count) {
  return { ArrowDown: (at + 1) % count, ArrowUp: (at - 1 + count) % count, Home: 0, End: count - 1 }[key];
}
