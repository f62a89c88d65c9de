// @ts-check
// Printing: all turns on paper, also those that are not loaded.
import { make } from "wireside-kit/dom.js";

/**
 * Converts a turn of the HTML export into one of the page.
 * @param {Element} article
 */
function printedTurn(article) {
  const turn = make("article", "ws-turn");
  for (const part of article.children) {
    const el = document.importNode(part, true);
    if (el.matches(".question")) {
      const question = make("div", "ws-turn-question");
      el.className = "ws-turn-bubble";
      question.append(el);
      turn.append(question);
      continue;
    }
    if (el.matches("details")) el.className = "ws-turn-fold";
    if (el.matches(".note")) el.className = "ws-turn-note";
    turn.append(el);
  }
  return turn;
}

/** @satisfies {ThisType<Transcript>} */
export const printing = {
  beforePrint() {
    if (this.isPrinting || !this.rows.length) return;
    this.printedFrom =
      this.goal ??
      (this.anchor && !this.stick ? { index: this.anchor.index, top: this.anchor.top } : null);
    const whole = this.isLoaded() ? null : this.readWhole();
    this.isPrinting = true;
    if (whole) {
      this.paper = make("div", "ws-transcript-paper");
      this.paper.append(...whole);
      this.$el.append(this.paper);
      this.drawFormulas(this.paper);
      return;
    }
    const missing = Array.from(this.rows).filter((row) => !row).length;
    if (missing) {
      this.paper = make("p", "ws-transcript-paper-note");
      this.paper.textContent = this.words.print_missing.replace(
        "{count}",
        missing.toLocaleString(document.documentElement.lang),
      );
      this.$el.prepend(this.paper);
    }
    this.list.replaceChildren(...this.rows.flatMap((row) => (row ? this.build(row) : [])));
    this.above.style.height = this.below.style.height = "0";
  },

  afterPrint() {
    if (!this.isPrinting) return;
    this.isPrinting = false;
    this.paper?.remove();
    this.paper = null;
    this.first = this.end = 0; // `arrange` corrects the DOM that is there
    this.arrange(this.printedFrom ?? this.goal);
    this.onResize();
  },

  // Printing does not wait, so this is synchronous: reads the turns that are not loaded from the conversation's HTML export.
  readWhole() {
    if (!this.source) return null;
    try {
      const request = new XMLHttpRequest();
      request.open("GET", `${this.source}/export?format=html`, false);
      request.send();
      if (request.status !== 200) return null;
      const file = new DOMParser().parseFromString(request.responseText, "text/html");
      return [...file.querySelectorAll("main > article")].map(printedTurn);
    } catch {
      return null; // no connection: only the loaded turns are printed, with a note
    }
  },
};
