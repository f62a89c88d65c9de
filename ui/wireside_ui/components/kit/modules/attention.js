// @ts-check
// Tells a user who looks elsewhere that something is ready: a mark in the title, and a notification if that is allowed.
import { memory } from "./storage.js";

const MARK = "● ";

export const canNotify = () => "Notification" in window && window.isSecureContext;

export const notifies = () =>
  canNotify() && Notification.permission === "granted" && memory.read("notify", false);

/**
 * Asks for the permission to notify; returns whether it is given.
 */
export async function allowNotifying() {
  return canNotify() && (await Notification.requestPermission()) === "granted";
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
  const note = new Notification(title, { body: sentence, tag: `wireside:${title}` });
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
