// @ts-check
// The find bar: a search in the whole conversation, by the server, and the highlights in mounted turns.
import { make, within } from "wireside-kit/dom.js";
import { isComposing } from "wireside-kit/keyboard.js";
import { folded, rangesIn } from "./matches.js";
import { isPart } from "./states.js";

const FIND_MS = 150; // delay between the last key and the search
const MAX_FIND_CHARS = 200;

/** @satisfies {ThisType<Transcript>} */
export const find = {
  /**
   * Called before the jump to a hit of the search in all conversations.
   * @param {CustomEvent<string>} event
   */
  onFound(event) {
    this.lookedFor = event.detail;
  },

  /**
   * Marks the words of that search, and leads to their other places in the conversation.
   * @param {number} index of the turn with the hit
   */
  markLookedFor(index) {
    const text = this.lookedFor;
    this.lookedFor = "";
    if (!text.trim()) return;
    this.closeFind();
    this.openFind(false);
    if (!this.findBar) return;
    within(this.findBar, "input").value = text;
    this.findStart = index;
    this.askFind(text);
  },

  // Called by the header's menu and the command palette too; there is nothing to search in a new chat.
  onFind() {
    if (this.rows.length) this.openFind();
  },

  openFind(takesFocus = true) {
    if (!this.findBar) {
      const bar = (this.findBar = make("div", "ws-transcript-find", {
        role: "search",
        "aria-label": this.words.find,
        "data-testid": "find",
      }));
      const field = make("input", "ws-transcript-find-text", {
        type: "search",
        maxlength: String(MAX_FIND_CHARS),
        placeholder: this.words.find,
        "aria-label": this.words.find,
        autocomplete: "off",
        spellcheck: "false",
        dir: "auto",
      });
      const place = make("span", "ws-transcript-find-place", {
        role: "status",
        "data-testid": "find-place",
      });
      const buttons = /** @type {const} */ ([
        { word: "find_previous", name: "previous", act: () => this.stepFind(-1) },
        { word: "find_next", name: "next", act: () => this.stepFind(1) },
        { word: "close", name: "close", act: () => this.closeFind(true) },
      ]);
      bar.append(
        field,
        place,
        ...buttons.map(({ word, name, act }) => {
          const button = this.button(word, this.words[word], name);
          button.onclick = act;
          return button;
        }),
      );
      field.addEventListener("input", (event) => {
        if (event.isComposing) return;
        clearTimeout(this.findTimer);
        this.findTimer = setTimeout(() => this.askFind(field.value), FIND_MS);
      });
      field.addEventListener("compositionend", () => this.askFind(field.value));
      bar.addEventListener("keydown", (event) => {
        if (isComposing(event)) return;
        if (event.key === "Escape") {
          event.preventDefault(); // otherwise it would stop an answer
          event.stopPropagation();
          this.closeFind(true);
        } else if (event.key === "Enter" && event.target === field) {
          event.preventDefault();
          if (this.findings?.query !== folded(field.value).text.trim()) this.askFind(field.value);
          else this.stepFind(event.shiftKey ? -1 : 1);
        }
      });
      this.$el.append(bar);
      this.arrange(); // the room for the bar moves nothing
      this.findings = { query: "", turns: [], at: -1, ranges: [], range: 0 };
      this.findFrom = /** @type {HTMLElement | null} */ (document.activeElement);
    }
    if (!takesFocus) return;
    const field = within(this.findBar, "input");
    field.focus({ preventScroll: true });
    field.select();
  },

  closeFind(returns = false) {
    if (!this.findBar || !this.findings) return;
    clearTimeout(this.findTimer);
    const turn = this.rows[this.findings.turns[this.findings.at]]?.el;
    this.findBar.remove();
    this.findBar = this.findings = null;
    this.arrange();
    CSS.highlights?.delete("ws-find");
    CSS.highlights?.delete("ws-find-here");
    const to = turn?.isConnected
      ? turn
      : this.findFrom?.isConnected
        ? this.findFrom
        : this.scroller;
    if (returns) to.focus({ preventScroll: true });
  },

  /** @param {string} text */
  askFind(text) {
    clearTimeout(this.findTimer);
    const query = folded(text).text.trim();
    if (!this.findings || query === this.findings.query) return;
    this.findings = { query, turns: [], at: -1, ranges: [], range: 0 };
    CSS.highlights?.delete("ws-find-here");
    this.showFindPlace("");
    this.paintFind();
    if (query) this.$emit("find", { query: text.slice(0, MAX_FIND_CHARS) });
  },

  /**
   * Called by the server with the indices of the matching turns.
   * @param {string} text
   * @param {number[]} turns
   */
  foundIn(text, turns) {
    if (!this.findings || folded(text).text.trim() !== this.findings.query) return; // the query has changed
    this.findings.turns = turns;
    const start = this.findStart;
    this.findStart = undefined;
    if (!turns.length && start !== undefined) return this.closeFind(); // the words are not next to each other
    if (!turns.length) {
      this.showFindPlace(this.words.find_none);
      return this.paintFind();
    }
    const from = start ?? this.anchor?.index ?? 0;
    this.goFind(
      Math.max(
        0,
        turns.findIndex((index) => index >= from),
      ),
      1,
    );
  },

  /** @param {number} step */
  stepFind(step) {
    if (!this.findings?.turns.length) return;
    const { turns, ranges, range, at } = this.findings;
    const next = range + step;
    if (ranges.length && next >= 0 && next < ranges.length) {
      this.findings.range = next;
      return this.showRange();
    }
    this.goFind((at + step + turns.length) % turns.length, step);
  },

  /**
   * @param {number} at
   * @param {number} step
   */
  goFind(at, step) {
    const { findings } = this;
    if (!findings) return;
    Object.assign(findings, { at, ranges: [], range: step > 0 ? 0 : -1, isNew: true });
    const index = findings.turns[at];
    /** @param {number} value */
    const number = (value) => value.toLocaleString(document.documentElement.lang);
    this.showFindPlace(
      this.words.find_place
        .replace("{number}", number(at + 1))
        .replace("{count}", number(findings.turns.length)),
    );
    this.stick = false;
    this.goal = { index, top: 16 };
    this.arrange();
    if (CSS.highlights) return this.paintFind();
    this.found = index; // browser without the Highlight API: mark the whole turn
    this.showFound();
  },

  /** @param {string} text */
  showFindPlace(text) {
    if (this.findBar) within(this.findBar, ".ws-transcript-find-place").textContent = text;
  },

  // Highlights matches in the turns that have DOM. The Highlight API does not change the DOM.
  paintFind() {
    const { findings } = this;
    if (!findings || !CSS.highlights) return;
    const all = [];
    const here = findings.turns[findings.at];
    for (let i = this.first; i < this.end && findings.query; i++) {
      const row = this.rows[i];
      if (!row?.el) continue;
      const ranges = rangesIn(row.el, findings.query);
      all.push(...ranges);
      if (i !== here) continue;
      findings.ranges = ranges;
      if (findings.isNew && !ranges.length && !isPart(row)) this.goal = null; // the match is where no highlight is possible: in the URL of a link
    }
    CSS.highlights.set("ws-find", new Highlight(...all));
    if (findings.isNew && findings.ranges.length) this.showRange();
  },

  showRange() {
    const { findings, findBar } = this;
    if (!findings || !findBar) return;
    findings.isNew = false;
    if (findings.range < 0) findings.range = findings.ranges.length - 1;
    const range = findings.ranges[findings.range];
    if (!range) return;
    const mark = new Highlight(range);
    mark.priority = 1;
    CSS.highlights.set("ws-find-here", mark);
    range.startContainer.parentElement?.closest("details:not([open])")?.setAttribute("open", "");
    const view = this.scroller.getBoundingClientRect();
    const box = range.getBoundingClientRect();
    const room = parseFloat(getComputedStyle(this.column).paddingBottom) || 0;
    const top = view.top + findBar.offsetHeight + 24;
    this.goal = null;
    if (box.top < top || box.bottom > view.bottom - room)
      this.moveBy(box.top - (top + (view.bottom - room - top) / 3));
  },
};
