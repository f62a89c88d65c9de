// What screen readers announce.
import { make } from "wireside-kit/dom.js";
import { memory } from "wireside-kit/storage.js";
import { textOf } from "./formulas.js";

export const announcing = {
  spoken(el) {
    if (el.matches(".ws-code")) return `${this.words.code_block} ${el.dataset.lang}.`;
    return textOf(el);
  },

  sayTail(live) {
    if (live.code || live.muted) return;
    let text = "";
    for (
      let el = live.mark ? live.mark.nextSibling : live.place.firstChild;
      el;
      el = el.nextSibling
    )
      text += textOf(el);
    const rest = text.slice(live.said);
    const end = Math.max(
      ...[". ", "! ", "? ", "… ", "。", "！", "？", ": "].map((mark) => rest.lastIndexOf(mark)),
    );
    if (end < 0) return;
    this.speech += ` ${rest.slice(0, end + 1)}`;
    live.said += end + 1;
  },

  say(live, text) {
    if (!live.muted) this.speech += ` ${text.slice(live.said)}`;
  },

  tick() {
    for (const row of this.byId.values()) {
      if (!row.deadline) continue;
      this.paintCountdown(row, row.foot?.querySelector(".ws-turn-countdown"));
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
    while (this.live.children.length > 8) this.live.firstChild.remove();
  },

  readPreferences() {
    this.isReadOut = this.announce && memory.read("read_out", true);
  },

  // Announces an answer's state even if its text is not read out: the user asked for it, and the state is visible.
  tellState(row) {
    const { state } = row.data;
    if (state === "error") return; // errors have their own alert
    if (state === "done" && this.rows.indexOf(row) < this.rows.length - 2) return; // an earlier answer
    const word = { thinking: "typing", done: "answer_done" }[state] ?? state;
    if (this.words[word]) this.speech += ` ${this.words[word]}`;
  },
};
