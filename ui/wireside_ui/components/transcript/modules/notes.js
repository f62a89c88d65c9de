// @ts-check
// Notes below an answer that did not end normally: what happened, and what can be done about it.
import { make, within } from "wireside-kit/dom.js";
import { hasText } from "./parts.js";

/** @satisfies {ThisType<Transcript>} */
export const notes = {
  /**
   * @param {string} text
   * @param {string | HTMLElement} detail
   * @param {string[]} actions
   * @param {string} kind
   */
  note(text, detail, actions, kind) {
    const el = make("div", "ws-turn-note", { "data-kind": kind, "data-testid": `note-${kind}` });
    const words = make("div", "ws-turn-note-text", { dir: "auto" });
    words.append(text);
    if (detail) {
      const more = make("div", "ws-turn-note-detail");
      more.append(detail);
      words.append(more);
    }
    const ways = make("div", "ws-turn-note-ways");
    ways.append(...this.allowed(actions).map((name) => this.button(name, this.words[name])));
    el.append(words, ways);
    return el;
  },

  /**
   * @param {Row} row
   * @param {string} error
   */
  errorNote(row, error) {
    const detail = make("span", "ws-turn-countdown", { "data-testid": "countdown" });
    const ways = hasText(row) ? ["continue"] : [];
    const el = this.note(error || this.words.error, row.deadline ? detail : "", ways, "error");
    const buttons = within(el, ".ws-turn-note-ways");
    el.setAttribute("role", "alert");
    detail.setAttribute("aria-live", "off");
    if (!this.isReader) {
      const again = this.button("retry", this.words.try_again);
      buttons.append(this.canAskAnother() ? this.split(again, "retry_menu") : again);
    }
    if (row.data.details) {
      const { model, details } = row.data;
      const line = make("div", "ws-turn-note-about", {
        dir: "ltr",
        "data-testid": "error-details",
      });
      line.textContent = [model, details.code, details.stream].filter(Boolean).join(" · ");
      buttons.append(this.button("copy_details", this.words.copy_details));
      el.append(line);
    }
    this.paintCountdown(row, detail);
    return el;
  },

  /**
   * @param {Row} row
   * @param {HTMLElement | null} el
   */
  paintCountdown(row, el) {
    if (!row.deadline || !el) return;
    const left = Math.max(0, Math.ceil((row.deadline - Date.now()) / 1000));
    el.textContent = this.words.retry_in.replace("{seconds}", String(left));
  },

  /** @param {Row} row */
  setDeadline(row) {
    const { retry_after: seconds, state } = row.data;
    row.deadline =
      seconds != null && state === "error" && !this.isReader ? Date.now() + seconds * 1000 : 0;
  },
};
