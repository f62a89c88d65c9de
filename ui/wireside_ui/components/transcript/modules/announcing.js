// @ts-check
// What screen readers announce.
import { make } from "wireside-kit/dom.js";
import { memory } from "wireside-kit/storage.js";
import { textOf } from "./formulas.js";
import { nodesAfter } from "./states.js";

/** @satisfies {ThisType<Transcript>} */
export const announcing = {
  /** @param {HTMLElement} el */
  spoken(el) {
    if (el.matches(".ws-code")) return `${this.words.code_block} ${el.dataset.lang}.`;
    return textOf(el);
  },

  /** @param {LiveText} live */
  sayTail(live) {
    if (live.code || live.muted) return;
    let text = "";
    for (const node of nodesAfter(live)) text += textOf(node);
    const rest = text.slice(live.said);
    const end = Math.max(
      ...[". ", "! ", "? ", "… ", "。", "！", "？", ": "].map((mark) => rest.lastIndexOf(mark)),
    );
    if (end < 0) return;
    this.speech += ` ${rest.slice(0, end + 1)}`;
    live.said += end + 1;
  },

  /**
   * @param {LiveText} live
   * @param {string} text
   */
  say(live, text) {
    if (!live.muted) this.speech += ` ${text.slice(live.said)}`;
  },

  tick() {
    for (const row of this.byId.values()) {
      if (!row.deadline) continue;
      this.paintCountdown(row, row.foot?.querySelector(".ws-turn-countdown") ?? null);
      if (Date.now() < row.deadline) continue;
      row.deadline = 0;
      this.$emit("action", { name: "retry", id: row.data.id, automatic: true, words: "" });
    }
    const text = this.speech.trim();
    this.speech = "";
    if (!text) return;
    const line = make("p", "");
    line.textContent = text;
    this.live.append(line);
    while (this.live.children.length > 8) this.live.firstChild?.remove();
  },

  readPreferences() {
    this.isReadOut = this.announce && memory.read("read_out", true);
  },

  /**
   * Announces an answer's state even if its text is not read out: the user asked for it, and the state is visible.
   * @param {Row} row
   */
  tellState(row) {
    const { state } = row.data;
    if (state === "error") return; // errors have their own alert
    if (state === "done" && this.rows.indexOf(row) < this.rows.length - 2) return; // an earlier answer
    const word = state === "thinking" ? "typing" : state === "done" ? "answer_done" : state;
    if (this.words[word]) this.speech += ` ${this.words[word]}`;
  },
};
