// @ts-check
// Copying an answer, the selection or the whole conversation.
import { writeClipboard } from "wireside-kit/clipboard.js";
import { make } from "wireside-kit/dom.js";
import { iconMarkup } from "wireside-kit/icons.js";
import { isTypedIn } from "wireside-kit/keyboard.js";
import { answerCopy, cleanHtml, laidOutText, selectedIn } from "./copied_text.js";
import { isPart } from "./states.js";

const NOTICE_MS = 5000;

/** @satisfies {ThisType<Transcript>} */
export const copying = {
  /** @param {string} id */
  askText(id) {
    const ask = `${id} ${performance.now()}`;
    /** @type {Promise<string>} */
    const text = new Promise((resolve, reject) => {
      this.copies.set(ask, resolve);
      setTimeout(
        () => this.copies.delete(ask) && reject(new Error("The server did not answer.")),
        10000,
      );
    });
    this.$emit("copy", { id, ask });
    return text;
  },

  /**
   * @param {string} ask
   * @param {string} text
   */
  copied(ask, text) {
    this.copies.get(ask)?.(text);
    this.copies.delete(ask);
  },

  /**
   * @param {HTMLElement} button
   * @param {Row} row
   */
  copyAnswer(button, row) {
    return this.copy(button, this.askText(row.data.id), cleanHtml(answerCopy(row)));
  },

  /**
   * Ctrl+C: copies formulas as their source, and HTML without the colours of this page.
   * @param {ClipboardEvent} event
   */
  copySelection(event) {
    if (event.defaultPrevented || isTypedIn(event.target)) return;
    const selected = selectedIn(this.scroller);
    if (!selected) return;
    const { fragment, hasFormula, text } = selected;
    const copy = make("div", "");
    copy.append(fragment.cloneNode(true));
    event.clipboardData?.setData("text/html", cleanHtml(fragment));
    event.clipboardData?.setData(
      "text/plain",
      hasFormula ? laidOutText(copy, this.scroller) : text,
    );
    event.preventDefault();
  },

  /**
   * Writes to the clipboard and announces it; returns whether the browser allows it.
   * @param {string | Promise<string>} text
   */
  async writeText(text, html = "") {
    try {
      await writeClipboard(text, html);
    } catch {
      return false;
    }
    this.speech += ` ${this.words.copied}`;
    return true;
  },

  /**
   * @param {HTMLElement} button
   * @param {string | Promise<string>} text
   */
  async copy(button, text, html = "") {
    if (!(await this.writeText(text, html))) return;
    const label = button.getAttribute("aria-label") ?? "";
    button.innerHTML = iconMarkup("check");
    button.classList.add("ws-turn-done");
    button.setAttribute("aria-label", this.words.copied);
    setTimeout(() => {
      button.innerHTML = iconMarkup("copy");
      button.classList.remove("ws-turn-done");
      button.setAttribute("aria-label", label);
    }, 1600);
  },

  /** @param {string} address */
  setSource(address) {
    if (address === this.source) return;
    this.source = address;
    this.closeFind();
  },

  // Whether every turn is in the document with its whole text.
  isWhole() {
    return this.first === 0 && this.end === this.rows.length && this.isLoaded();
  },

  isLoaded() {
    return Array.from(this.rows).every((row) => row && !isPart(row)); // `rows` itself has holes, which `every` skips
  },

  selectAll() {
    getSelection()?.selectAllChildren(this.list);
    this.isAllSelected = true;
    if (this.isWhole() || !this.source) return;
    this.notify(
      this.words.all_selected.replace(
        "{count}",
        this.rows.length.toLocaleString(document.documentElement.lang),
      ),
    );
  },

  /** @param {ClipboardEvent} event */
  onCopy(event) {
    if (!this.isAllSelected || this.isWhole() || !this.source || isTypedIn(event.target)) return;
    const selection = getSelection();
    const { firstElementChild: first, lastElementChild: last } = this.list;
    if (
      !first ||
      !last ||
      !selection?.containsNode(first, true) ||
      !selection.containsNode(last, true)
    )
      return (this.isAllSelected = false);
    event.preventDefault();
    const text = fetch(`${this.source}/export?format=markdown`).then((response) => {
      if (!response.ok) throw new Error("The server gave no file.");
      return response.text();
    });
    writeClipboard(text).then(
      () => this.notify(this.words.copied),
      () => this.notify(this.words.error),
    );
  },

  /**
   * Shows a short message over the conversation; screen readers read it too.
   * @param {string} text
   */
  notify(text) {
    this.notice?.remove();
    const el = (this.notice = make("div", "ws-transcript-notice", { "data-testid": "notice" }));
    el.textContent = text;
    this.$el.append(el);
    this.speech += ` ${text}`;
    setTimeout(() => el.remove(), NOTICE_MS);
  },
};
