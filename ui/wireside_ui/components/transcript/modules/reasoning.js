// @ts-check
// The text of reasoning, with the little Markdown that models write into it: headings, lists, bold, code.
// It is built as elements from plain text, so that it costs the server nothing while it is folded. A block is formatted
// when it is over; the work for new text does not depend on how much there is already.
import { make } from "wireside-kit/dom.js";

const INLINE = /`([^`\n]{1,500})`|\*\*([^*\n]{1,500})\*\*/g;
const FENCE = /^ {0,3}(```+|~~~+)/;
const HEADING = /^ {0,3}#{1,6} +(.*?)[ #]*$/;
const BOLD_LINE = /^\*\*([^*]+)\*\*$/;
const ITEM = /^( *)(?:[-*+]|(\d{1,9})[.)]) +(.*)$/;

export class ReasoningText {
  constructor() {
    this.el = make("div", "ws-turn-think-text", { dir: "auto" });
    /** The last heading, "" if there is none. */
    this.title = "";
    /** What is not formatted yet. */
    this.rest = "";
    /** Up to where the end of the block was looked for. */
    this.searched = 0;
    /** How much of `rest` the tail shows. */
    this.shown = 0;
    this.tail = this.makeTail();
  }

  /**
   * Adds text at the end.
   * @param {string} text
   */
  add(text) {
    this.rest += text;
    for (let end; (end = this.blockEnd()) >= 0;) {
      const block = this.rest.slice(0, end);
      this.openBlock(this.rest.slice(end));
      this.addBlock(block);
    }
    const node = /** @type {Text} */ (this.tail.firstChild);
    const fresh = this.shown ? this.rest.slice(this.shown) : this.rest.replace(/^\n+/, "");
    node.appendData(fresh);
    this.shown = this.rest.length;
    if (fresh && !this.tail.isConnected) this.el.append(this.tail);
  }

  /** Formats the last block: nothing is added to it. */
  close() {
    const block = this.rest;
    this.openBlock("");
    this.addBlock(block);
  }

  /** @param {string} rest */
  openBlock(rest) {
    this.tail.remove();
    this.tail = this.makeTail();
    this.rest = rest;
    this.searched = 0;
    this.shown = 0;
  }

  makeTail() {
    const tail = make("p", "");
    tail.append("");
    return tail;
  }

  /** The position after the first block that is over, -1 if there is none. */
  blockEnd() {
    const start = /^\n*/.exec(this.rest)?.[0].length ?? 0;
    const fence = FENCE.exec(this.rest.slice(start, start + 40));
    const mark = fence ? `\n${fence[1]}` : "\n\n";
    const from = Math.max(start + (fence ? fence[0].length : 0), this.searched - mark.length);
    const at = this.rest.indexOf(mark, from);
    this.searched = this.rest.length;
    if (at < 0) return -1;
    if (!fence) return at + mark.length;
    const line = this.rest.indexOf("\n", at + mark.length);
    return line < 0 ? -1 : line + 1;
  }

  /** @param {string} block */
  addBlock(block) {
    const lines = block.replace(/^\n+|\s+$/g, "").split("\n");
    if (lines[0] === "" && lines.length === 1) return;
    if (FENCE.test(lines[0] ?? "")) return this.addCode(lines.slice(1));
    /** @type {string[]} */
    let plain = [];
    const flush = () => {
      if (plain.length) this.addParagraph(plain.join("\n"));
      plain = [];
    };
    for (const line of lines) {
      const heading = HEADING.exec(line) ?? BOLD_LINE.exec(line.trim());
      const item = heading ? null : ITEM.exec(line);
      if (heading || item) flush();
      if (heading) this.addHeading(heading[1] ?? "");
      else if (item) this.addItem(item);
      else plain.push(line);
    }
    flush();
  }

  /** @param {string[]} lines */
  addCode(lines) {
    if (FENCE.test(lines.at(-1) ?? "")) lines.pop();
    const pre = make("pre", "", { dir: "ltr" });
    pre.textContent = lines.join("\n");
    this.el.append(pre);
  }

  /** @param {string} text */
  addHeading(text) {
    this.title = text.replace(/[*`]/g, "").trim();
    this.el.append(this.inline(make("p", "ws-turn-think-heading"), text.replace(/\*\*/g, "")));
  }

  /** @param {RegExpExecArray} item */
  addItem([, indent, number, text]) {
    const row = make("p", "ws-turn-think-item");
    row.style.setProperty("--depth", String(Math.min(5, Math.floor((indent?.length ?? 0) / 2))));
    row.append(`${number ? `${number}.` : "•"} `);
    this.el.append(this.inline(row, text ?? ""));
  }

  /** @param {string} text */
  addParagraph(text) {
    this.el.append(this.inline(make("p", ""), text));
  }

  /**
   * Adds text to an element, with bold and code.
   * @param {HTMLElement} el
   * @param {string} text
   */
  inline(el, text) {
    let at = 0;
    for (const found of text.matchAll(INLINE)) {
      el.append(text.slice(at, found.index));
      const inner = make(found[1] == null ? "strong" : "code", "");
      inner.textContent = found[1] ?? found[2] ?? "";
      el.append(inner);
      at = found.index + found[0].length;
    }
    el.append(text.slice(at));
    return el;
  }
}
