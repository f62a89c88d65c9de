// @ts-check
// Ranges of time that the figures can be of.

export const HOUR = 3600;

export const RANGES = [HOUR, 6 * HOUR, 24 * HOUR, 7 * 24 * HOUR, 30 * 24 * HOUR];

/**
 * Formats a time for an input field, in the browser's time zone.
 * @param {number} seconds
 */
export function local(seconds) {
  const at = new Date(seconds * 1000);
  return new Date(at.getTime() - at.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
}
