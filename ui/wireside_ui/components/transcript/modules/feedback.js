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
    if (isTakenBack) row.data.is_shown = false;
    row.say = isTakenBack ? null : this.feedbackForm(verdict, row.data.is_shown);
    this.paintState(row);
  },

  /**
   * @param {"up" | "down"} verdict
   * @param {boolean} isShown
   */
  feedbackForm(verdict, isShown) {
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
    form.append(field);
    if (this.asksConsent) form.append(this.consentBox(isShown));
    form.append(send, this.button("close_feedback", this.words.close, "close"));
    return form;
  },

  /** @param {boolean} isShown */
  consentBox(isShown) {
    const label = make("label", "ws-turn-say-consent");
    const box = make("input", "", { type: "checkbox", name: "shown" });
    box.checked = isShown;
    label.append(box, this.words.feedback_consent);
    return label;
  },

  /**
   * Says that administrators may read the answer, with the button that takes that back.
   * @param {Row} row
   */
  consentNotes(row) {
    if (!row.data.feedback || !row.data.is_shown || row.say || this.isReader) return [];
    const note = make("p", "ws-turn-consent", { "data-testid": "feedback-consent" });
    const text = make("span", "");
    text.textContent = this.words.feedback_shown;
    note.append(text, this.button("unshow", this.words.feedback_unshow));
    return [note];
  },

  /** @param {Row} row */
  unshow(row) {
    this.$emit("action", { name: "unshow", id: row.data.id, automatic: false, words: "" });
    row.data.is_shown = false;
    this.closeFeedback(row, this.words.feedback_unshown);
  },

  /** @param {SubmitEvent} event */
  sendFeedback(event) {
    event.preventDefault();
    const form = /** @type {HTMLFormElement} */ (event.target);
    const row = this.rowOf(form);
    if (!row) return;
    const words = within(form, "input").value.trim().slice(0, MAX_FEEDBACK_CHARS);
    const box = /** @type {HTMLInputElement | null} */ (form.querySelector('[name="shown"]'));
    const shown = box?.checked ?? false;
    const isNews = Boolean(words) || shown !== row.data.is_shown;
    if (isNews)
      this.$emit("action", { name: "say", id: row.data.id, automatic: false, words, shown });
    row.data.is_shown = shown;
    this.closeFeedback(row, isNews ? this.words.thanks : "");
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
