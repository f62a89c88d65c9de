// @ts-check
// Times in the page's language and the reader's time zone.
import { make } from "wireside-kit/dom.js";

/**
 * Returns a time, which says all of it when it is pointed at.
 *
 * @param {Date} date
 * @param {"medium"} [dateStyle] of the date before the time; without it, the time alone is shown
 */
export function timeElement(date, dateStyle) {
  const lang = document.documentElement.lang || undefined;
  const el = make("time", "ws-turn-time", { datetime: date.toISOString() });
  el.textContent = date.toLocaleString(lang, { dateStyle, timeStyle: "short" });
  el.title = date.toLocaleString(lang, { dateStyle: "full", timeStyle: "long" });
  return el;
}
