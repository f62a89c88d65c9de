// @ts-check
// Durations in the page's language.

/**
 * @param {number} value
 * @param {"second" | "minute"} unit
 * @param {number} [digits]
 */
function inUnit(value, unit, digits = 0) {
  return new Intl.NumberFormat(document.documentElement.lang || undefined, {
    style: "unit",
    unit,
    unitDisplay: "narrow",
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  }).format(value);
}

/**
 * Formats a duration, at least a second: "12 s", "2 min 5 s".
 *
 * @param {number} ms
 */
export function duration(ms) {
  const seconds = Math.max(1, Math.round(ms / 1000));
  return seconds < 60
    ? inUnit(seconds, "second")
    : `${inUnit(Math.floor(seconds / 60), "minute")} ${inUnit(seconds % 60, "second")}`;
}

/**
 * Formats how long a step took, with tenths of a second if it was short: "0.4 s".
 *
 * @param {number} seconds
 */
export function tookText(seconds) {
  return seconds < 10 ? inUnit(seconds, "second", 1) : duration(seconds * 1000);
}
