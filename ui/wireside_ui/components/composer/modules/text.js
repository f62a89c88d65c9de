// @ts-check
// The text in the box: drafts, edits, its height and its limits.
import { attachedFiles, sentFiles } from "wireside-composer/files.js";
import { TEMPORARY } from "wireside-kit/chat.js";
import { choice } from "wireside-kit/choice.js";
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
   * @param {SentFile[]} files
   */
  edit(turnId, question, files) {
    if (this.editing === turnId) return this.$refs.box.focus(); // keeps the changes made so far
    if (!this.editing) this.beforeEditing = this.text;
    else if (this.text !== this.original)
      this.beforeEditing = [this.beforeEditing, this.text].filter(Boolean).join("\n"); // the edit is kept, not lost
    this.attachedBefore.push(...this.attached.filter((one) => !one.isKept));
    this.attached = attachedFiles(files.map((file) => ({ ...file, isKept: true })));
    this.original = question;
    this.editing = turnId;
    this.setText(question);
    this.$nextTick(() => {
      this.$refs.box.focus();
      this.$refs.box.setSelectionRange(question.length, question.length);
    });
  },

  stopEditing() {
    this.attached.forEach(this.removeFile);
    this.endEditing();
    this.$refs.box.focus();
  },

  // Shows the question that was being written before the edit.
  endEditing() {
    this.editing = "";
    this.attached = this.attachedBefore;
    this.attachedBefore = [];
    this.setText(this.beforeEditing || "");
  },

  load(adopts = true) {
    const kept = this.recall("draft", { adopts }) ?? "";
    this.text = kept.text ?? kept;
    this.editing = kept.edits ?? "";
    this.beforeEditing = kept.before ?? "";
    this.isLinked = kept.isLinked ?? false;
    this.missing = "";
    this.linkModel = "";
    const running = [...this.attached, ...this.attachedBefore].map((one) => one.request);
    this.attached = attachedFiles(kept.files);
    this.attachedBefore = attachedFiles(kept.filesBefore);
    for (const request of running) request?.abort(); // of the conversation that was shown
    this.outbox = this.recall("outbox") ?? [];
  },

  /**
   * @param {string | Draft} draft
   * @param {OutboxItem[]} outbox
   */
  keep(draft, outbox) {
    this.remember("draft", draft);
    this.remember("outbox", outbox);
  },

  // The stored state of the box: its text, its files and, while a question is edited, that turn's id and the text and files before
  // the edit.
  draft() {
    const files = sentFiles(this.attached);
    const filesBefore = sentFiles(this.attachedBefore);
    const { text, editing, beforeEditing, isLinked } = this;
    if (!editing && !files.length && !isLinked) return text;
    return { text, edits: editing, before: beforeEditing, files, filesBefore, isLinked };
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
    early?.sends ? this.whenConnected(this.fillFromLink) : this.fillFromLink();
    if (early?.asks) this.whenConnected(() => this.onAsk({ detail: early.asks }));
  },

  // Fills in what the page's address asks for, in front of what was typed; nothing of it is sent. The model and the
  // settings are those of the next question: the browser does not store them as the user's choice.
  fillFromLink() {
    const { question, model, preset, isPresetMissing } = this.link;
    if (!question && !model && !preset && !isPresetMissing) return;
    history.replaceState(
      history.state,
      "",
      location.pathname + (this.isTemporary ? TEMPORARY : ""),
    );
    if (preset) {
      this.applyPreset(preset);
      this.isChoiceNew = true;
    }
    if (question) this.fillQuestion(question);
    if (isPresetMissing) this.missing = this.words.link_no_preset;
    this.linkModel = model;
    this.takeLinkModel();
  },

  /** @param {string} question */
  fillQuestion(question) {
    const isThere = this.text === question || this.text.startsWith(`${question}\n`); // the link was opened before
    if (!isThere) this.setText(this.text.trim() ? `${question}\n${this.text}` : question);
    this.isLinked = true;
    this.remember("draft", this.draft());
  },

  // Chooses the model that the page's address names, once the list of models is there.
  takeLinkModel() {
    if (!this.linkModel || !choice.offered.length) return;
    if (choice.offered.some((one) => one.id === this.linkModel)) {
      choice.model = this.linkModel;
      this.isChoiceNew = true;
    } else this.missing = this.words.link_no_model;
    this.linkModel = "";
  },

  /** @param {string} text */
  setText(text) {
    this.text = text;
    if (!this.waitS) this.notice = "";
    this.isSalvaged = false;
    this.isLinked = false;
    this.missing = "";
    this.lookForPrompts();
    this.remember("draft", this.draft());
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
