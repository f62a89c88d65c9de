// @ts-check
// Numbers that are typed, and their bounds.

/**
 * Parses a number, also with a comma; undefined if empty, NaN if it is none or out of its bounds.
 *
 * @param {OptionItem} field
 * @param {unknown} text
 */
export function ownNumber(field, text) {
  const written = String(text ?? "")
    .trim()
    .replace(",", ".");
  if (!written) return undefined;
  const number = /^[+-]?(\d+\.?\d*|\.\d+)$/.test(written) ? Number(written) : NaN;
  const isIn = number >= (field.low ?? -Infinity) && number <= (field.high ?? Infinity);
  return isIn && (!field.isWhole || Number.isInteger(number)) ? number : NaN;
}

/**
 * The bounds of a number, or of the number of entries, in signs, which every language reads: "1 – 10", "≥ 1", "≤ 10".
 *
 * @param {{ low?: number | null, high?: number | null }} field
 */
export function range({ low, high }) {
  if (low != null && high != null) return `${low} – ${high}`;
  if (low != null) return `≥ ${low}`;
  return high != null ? `≤ ${high}` : "";
}

/**
 * @param {string} sentence
 * @param {{ low?: number | null, high?: number | null }} bounds
 */
export function withRange(sentence, bounds) {
  const shown = range(bounds);
  return shown ? `${sentence} (${shown})` : sentence;
}
