// @ts-check
// Signing out deletes drafts and unsent questions, so that the next user of the browser does not see them.
import { PREFIX } from "./storage.js";

const KEPT = ["theme", "sidebar", "text_size", "density", "accent"].map((name) => PREFIX + name);

export function forgetUser() {
  try {
    for (const storage of [localStorage, sessionStorage]) {
      for (const key of Object.keys(storage))
        if (key.startsWith(PREFIX) && !KEPT.includes(key)) storage.removeItem(key);
    }
    localStorage.setItem(`${PREFIX}signed-out`, String(Date.now())); // other tabs delete theirs when they load
  } catch {
    // there is nothing to delete where storage is blocked
  }
}
