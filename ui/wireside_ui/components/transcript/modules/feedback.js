// @ts-check
// Feedback on an answer: a rating and an optional comment.
import { make, within } from "wireside-kit/dom.js";

const MAX_FEEDBACK_CHARS = 2000;

/** @satisfies {ThisType<Transcript>} */
export const feedback = {
  /**
   * @param {Row} row
   * @param {"up" | "down"} verdict
   */
  judge(row, verdict) {
    const isTakenBack = row.data.feedback === verdict;
    this.$emit("action", {
      name: isTakenBack ? "no-feedback" : verdict,
      id: row.data.id,
      automatic: false,
      words: "",
    });
    row.data.feedback = isTakenBack ? "" : verdict;
    row.say = isTakenBack ? null : this.feedbackForm(verdict);
    this.paintState(row);
  },

  /** @param {"up" | "down"} verdict */
  feedbackForm(verdict) {
    const label = verdict === "up" ? this.words.what_good : this.words.what_wrong;
    const form = make("form", "ws-turn-say", { "data-testid": "feedback" });
    const field = make("input", "ws-turn-say-text", {
      type: "text",
      maxlength: String(MAX_FEEDBACK_CHARS),
      placeholder: label,
      "aria-label": label,
      dir: "auto",
      autocomplete: "off",
    });
    const send = this.button("send_feedback", this.words.send_feedback, "send");
    send.type = "submit";
    form.append(field, send, this.button("close_feedback", this.words.close, "close"));
    return form;
  },

  /** @param {SubmitEvent} event */
  sendFeedback(event) {
    event.preventDefault();
    const form = /** @type {HTMLFormElement} */ (event.target);
    const row = this.rowOf(form);
    if (!row) return;
    const words = within(form, "input").value.trim().slice(0, MAX_FEEDBACK_CHARS);
    if (words) this.$emit("action", { name: "say", id: row.data.id, automatic: false, words });
    this.closeFeedback(row, words ? this.words.thanks : "");
  },

  /** @param {Row} row */
  closeFeedback(row, thanks = "") {
    row.say = null;
    this.paintState(row);
    const bar = within(row.foot, ".ws-turn-actions");
    bar.querySelector(`[data-action="${row.data.feedback}"]`)?.focus({ preventScroll: true });
    if (!thanks) return;
    const note = make("span", "ws-turn-thanks", { role: "status" });
    bar.append(note);
    note.textContent = thanks;
    setTimeout(() => note.remove(), 2400);
  },
};
