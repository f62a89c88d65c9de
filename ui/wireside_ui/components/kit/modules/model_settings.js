// @ts-check
// The settings of a model: their ranges, and how their fields are read.

const LIMITS = { temperature: [0, 2], max_tokens: [1, 1_000_000] };

export const EFFORTS = ["none", "minimal", "low", "medium", "high", "xhigh"];

/**
 * Parses a number in common notations, also with a comma; undefined if empty, NaN if invalid.
 * @param {"temperature" | "max_tokens"} name
 * @param {string | undefined} text
 */
export function numberOf(name, text) {
  const written = String(text ?? "")
    .trim()
    .replace(",", ".");
  if (!written) return undefined;
  const [low, high] = LIMITS[name];
  const number = /^[+-]?(\d+\.?\d*|\.\d+)$/.test(written) ? Number(written) : NaN;
  const isWhole = name !== "max_tokens" || Number.isInteger(number);
  return number >= low && number <= high && isWhole ? number : NaN;
}
