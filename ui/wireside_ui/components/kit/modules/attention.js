// @ts-check
// Tells a user who looks elsewhere that something is ready: a mark in the title, and a notification if that is allowed.
import { memory } from "./storage.js";

const MARK = "● ";

export const canNotify = () => "Notification" in window && window.isSecureContext;

export const notifies = () =>
  canNotify() && Notification.permission === "granted" && memory.read("notify", false);

let isRefusingToShow = false; // the browser has the permission, but shows notifications of workers only

/**
 * Why no notifications can be switched on: the user has refused them, or there are none; "" if they can be.
 * @returns {"" | "refused" | "unavailable"}
 */
export function notifyingState() {
  if (!canNotify() || isRefusingToShow) return "unavailable";
  return Notification.permission === "denied" ? "refused" : "";
}

/**
 * Asks for the permission to notify, and shows a first notification; returns whether the browser shows it.
 *
 * @param {string} sentence
 */
export async function allowNotifying(sentence) {
  if (!canNotify() || (await Notification.requestPermission()) !== "granted") return false;
  isRefusingToShow = !show(document.title, sentence);
  return !isRefusingToShow;
}

/**
 * @param {string} title
 * @param {string} sentence
 */
function show(title, sentence) {
  try {
    return new Notification(title, { body: sentence, tag: `wireside:${title}` });
  } catch {
    return null; // Chrome on Android
  }
}

/**
 * Marks the title until the page is visible, and notifies.
 *
 * @param {string} sentence
 * @param {string} title of the conversation
 * @param {() => void} open called when the notification is clicked
 */
export function callAttention(sentence, title, open) {
  if (!document.hidden) return;
  if (!document.title.startsWith(MARK)) document.title = MARK + document.title;
  if (!notifies()) return;
  const note = show(title, sentence);
  if (!note) return;
  note.onclick = () => {
    window.focus();
    note.close();
    open();
  };
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && document.title.startsWith(MARK))
    document.title = document.title.slice(MARK.length);
});
