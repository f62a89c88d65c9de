// @ts-check
// The text in the box: drafts, edits, its height and its limits.
import * as drafts from "wireside-kit/drafts.js";
import { mayTakeFocus } from "wireside-kit/viewport.js";

export const MAX_BYTES = 900_000; // limit of one message: NiceGUI's socket accepts a million bytes, including the envelope

/** @param {string} text */
export function bytes(text) {
  return new TextEncoder().encode(JSON.stringify(text)).length;
}

/** @satisfies {ThisType<Composer>} */
export const text = {
  /**
   * @param {string} question
   * @param {SentFile[]} files
   */
  putBack(question, files) {
    this.setText(this.text.trim() ? `${question}\n${this.text}` : question);
    this.putFilesBack(files);
    this.$refs.box.focus();
  },

  /**
   * @param {string} turnId
   * @param {string} question
   */
  edit(turnId, question) {
    if (this.editing === turnId) return this.$refs.box.focus(); // keeps the changes made so far
    if (!this.editing) this.beforeEditing = this.text;
    else if (this.text !== this.original)
      this.beforeEditing = [this.beforeEditing, this.text].filter(Boolean).join("\n"); // the edit is kept, not lost
    this.original = question;
    this.editing = turnId;
    this.setText(question);
    this.$nextTick(() => {
      this.$refs.box.focus();
      this.$refs.box.setSelectionRange(question.length, question.length);
    });
  },

  stopEditing() {
    this.editing = "";
    this.setText(this.beforeEditing || "");
    this.$refs.box.focus();
  },

  load(adopts = true) {
    const kept = drafts.read("draft", this.id, { adopts }) ?? "";
    this.text = kept.text ?? kept;
    this.editing = kept.edits ?? "";
    this.beforeEditing = kept.before ?? "";
    const running = this.attached.map((one) => one.request);
    const files = /** @type {SentFile[]} */ (kept.files ?? []);
    this.attached = files.map((file) => ({ ...file, key: file.id, progress: 1 }));
    for (const request of running) request?.abort(); // of the conversation that was shown
    this.outbox = drafts.read("outbox", this.id) ?? [];
  },

  /**
   * @param {string | Draft} draft
   * @param {OutboxItem[]} outbox
   */
  keep(draft, outbox) {
    drafts.write("draft", this.id, draft);
    drafts.write("outbox", this.id, outbox);
  },

  // The stored state of the box: its text, its files and, while a question is edited, that turn's id and the text before the edit.
  draft() {
    const files = this.attached
      .filter((one) => one.id)
      .map(({ id, name, media_type }) => ({ id, name, media_type }));
    if (!this.editing && !files.length) return this.text;
    return { text: this.text, edits: this.editing, before: this.beforeEditing, files };
  },

  /**
   * Moves unsent text of a deleted conversation to a new one. Its context is gone, so none of it is
   * sent automatically.
   * @param {string} id
   */
  salvage(id) {
    const unsent = (drafts.read("outbox", id) ?? []).map(
      (/** @type {OutboxItem} */ item) => item.question,
    );
    const kept = [id, ""]
      .map((one) => drafts.read("draft", one) ?? "")
      .flatMap((draft) => [draft.text ?? draft, draft.before ?? ""]);
    const texts = [...unsent, ...kept].filter((text) => text.trim());
    this.isSalvaged = texts.length > 0;
    drafts.write("draft", "", [...new Set(texts)].join("\n"));
    drafts.write("draft", id, null);
    drafts.write("outbox", id, null);
  },

  // Takes over text typed into the box that the server rendered before this script had loaded.
  takeOver() {
    const early = window.wiresideShell?.takeOver();
    const box = this.$refs.box;
    if (early?.text) this.setText(early.text);
    if (early?.hasFocus || mayTakeFocus()) box.focus({ preventScroll: true });
    if (early?.text && early.hasFocus)
      this.$nextTick(() => box.setSelectionRange(...early.selection));
    if (early?.sends) this.whenConnected(this.submit);
    if (early?.asks) this.whenConnected(() => this.onAsk({ detail: early.asks }));
  },

  /** @param {string} text */
  setText(text) {
    this.text = text;
    if (!this.waitS) this.notice = "";
    this.isSalvaged = false;
    drafts.write("draft", this.id, this.draft());
    this.$nextTick(this.grow);
  },

  grow() {
    const box = this.$refs.box;
    box.style.height = "auto";
    box.style.height = box.scrollHeight + "px"; // bounded by max-height in the style sheet
  },

  tooLongText() {
    const over = this.chars - this.maxChars;
    /** @param {number} value */
    const number = (value) => value.toLocaleString(document.documentElement.lang);
    if (over <= 0) return this.words.too_big;
    return this.words.too_long
      .replace("{over}", number(over))
      .replace("{limit}", number(this.maxChars));
  },

  // some browsers do not resize the page for a phone's keyboard, which then covers it
  onViewport() {
    if (!window.visualViewport) return;
    const { height, offsetTop, scale } = window.visualViewport;
    if (scale > 1.01) return; // the user has zoomed in
    const hidden = Math.max(0, Math.round(window.innerHeight - height - offsetTop));
    document.documentElement.style.setProperty("--ws-keyboard", (hidden > 80 ? hidden : 0) + "px");
  },
};
