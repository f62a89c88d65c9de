// @ts-check
// The order and the days of the list.

/**
 * The order of the list: pinned ones first, the most recently pinned on top; then by latest activity.
 * @param {Item} a
 * @param {Item} b
 */
export function byPlace(a, b) {
  return b.pin - a.pin || b.at - a.at || (a.id < b.id ? 1 : -1);
}

/**
 * Uses the calendar: a day does not always have 24 hours.
 * @param {number} days
 */
export function daysAgo(days) {
  const date = new Date();
  date.setHours(0, 0, 0, 0);
  return date.setDate(date.getDate() - days);
}
