// @ts-check
// Even distances between the ticks of an axis.

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const TIME_STEPS = [
  ...[1, 5, 10, 15, 30].map((count) => count * MINUTE),
  ...[1, 2, 3, 6, 12].map((count) => count * HOUR),
  ...[1, 2, 7, 14, 28].map((count) => count * DAY),
];

/**
 * Returns the distance of about five ticks over a time. Both are in milliseconds.
 * @param {number} ms
 */
export const timeStep = (ms) =>
  TIME_STEPS.find((step) => step >= ms / 5) ?? Math.ceil(ms / 5 / DAY) * DAY;

/**
 * Returns a round distance of at most four ticks from 0 to `most`.
 * @param {number} most greater than 0
 */
export function valueStep(most) {
  const power = 10 ** Math.floor(Math.log10(most / 4));
  const round = [1, 2, 2.5, 5, 10].find((one) => one * power >= most / 4) ?? 10;
  return round * power;
}
