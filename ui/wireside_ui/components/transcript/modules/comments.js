// @ts-check
// Comments by name on the turns of a shared conversation: a button at each turn, and the thread that it opens.
// The server says how many each turn has; a thread reads and writes its comments by the REST API.
import { make } from "wireside-kit/dom.js";
import { iconMarkup } from "wireside-kit/icons.js";
import { ask } from "wireside-kit/saved.js";
import { timeElement } from "./times.js";

const MAX_COMMENT_CHARS = 4000;

let threads = 0;

/** @satisfies {ThisType<Transcript>} */
export const comments = {
  /**
   * @param {Record<string, number>} counts of the comments by turn; turns without comments are missing
   * @param {boolean} canAdd
   */
  setComments(counts, canAdd) {
    this.commentCounts = new Map(Object.entries(counts));
    this.canComment = canAdd;
    for (const row of this.byId.values()) {
      this.paintComments(row);
      if (row.thread) void this.readThread(row);
    }
  },

  /** @param {Row} row */
  paintComments(row) {
    if (!row.el) return;
    const count = this.commentCounts.get(row.data.id) ?? 0;
    const isUsed = count > 0 || this.canComment || Boolean(row.thread);
    if (!isUsed) return void row.commentPart.replaceChildren();
    const shown = count.toLocaleString(document.documentElement.lang || undefined);
    const label = count
      ? this.words.comment_count.replace("{count}", shown)
      : this.words.comment_add;
    let button = /** @type {HTMLElement | null} */ (
      row.commentPart.querySelector('[data-action="comments"]')
    );
    if (!button) {
      button = this.button("comments", label);
      button.classList.add("ws-turn-comment-button");
      row.commentPart.prepend(button);
    }
    const text = make("span", "");
    text.textContent = label;
    button.innerHTML = iconMarkup("comment");
    button.append(text);
    button.setAttribute("aria-label", label);
    button.setAttribute("aria-expanded", String(Boolean(row.thread)));
    row.commentPart.classList.toggle("ws-turn-comment-stays", count > 0 || Boolean(row.thread));
    const others = [...row.commentPart.children].filter((el) => el !== button);
    if (row.thread && !others.includes(row.thread.el)) row.commentPart.append(row.thread.el);
    for (const el of others) if (el !== row.thread?.el) el.remove();
  },

  /** @param {Row} row */
  toggleThread(row) {
    this.stick = false; // an opened thread keeps its position
    if (row.thread) return this.closeThread(row);
    const el = make("section", "ws-turn-thread", {
      "aria-label": this.words.comments,
      "data-testid": "comments",
      id: `ws-thread-${++threads}`,
    });
    const list = make("ol", "ws-turn-thread-list");
    const note = make("p", "ws-turn-thread-note", { role: "status" });
    el.append(list, note);
    row.thread = { el, list, note, editing: "" };
    if (this.canComment) el.append(this.commentForm(row));
    el.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || event.isComposing) return;
      event.stopPropagation(); // otherwise it would stop an answer
      if (row.thread?.editing) this.editComment(row, "");
      else this.closeThread(row);
    });
    this.paintComments(row);
    void this.readThread(row);
    el.querySelector("textarea")?.focus({ preventScroll: true });
  },

  /** @param {Row} row */
  closeThread(row) {
    row.thread = null;
    this.paintComments(row);
    const button = row.commentPart.querySelector('[data-action="comments"]');
    /** @type {HTMLElement | null} */ (button)?.focus({ preventScroll: true });
  },

  /** @param {Row} row */
  async readThread(row) {
    const { thread } = row;
    if (!thread) return;
    if (!thread.comments) thread.note.textContent = this.words.comments_loading;
    const query = new URLSearchParams({ turn: row.data.id });
    const found = await this.requestComments(row, `?${query}`);
    if (row.thread !== thread || !found) return;
    thread.comments = /** @type {TurnComment[]} */ (found.data.comments);
    thread.note.textContent = "";
    this.paintThread(row);
  },

  /**
   * Sends a request; returns whether it was answered, with the answer, and shows why it was not.
   * @param {Row} row
   * @param {string} rest of the address
   * @param {string} [method]
   * @param {unknown} [body]
   */
  async requestComments(row, rest, method = "GET", body = undefined) {
    const { thread } = row;
    const { data, problem } = await ask(`${this.source}/comments${rest}`, method, body);
    if (!problem) return { data };
    if (!thread) return null;
    const sentence = problem.message || this.words.comments_offline;
    const again = this.plainButton(this.words.try_again, () => void this.readThread(row));
    thread.note.replaceChildren(sentence, " ", ...(method === "GET" ? [again] : []));
    return null;
  },

  /** @param {Row} row */
  paintThread(row, isForced = false) {
    const { thread } = row;
    if (!thread?.comments) return;
    // what is being written is kept; the rest is shown when that is stored or given up
    if (!isForced && thread.list.querySelector("textarea")) return;
    const focused = this.focusedIn(thread.list);
    const { id = "", name = "" } = focused?.dataset ?? {};
    thread.list.replaceChildren(...thread.comments.map((one) => this.commentElement(row, one)));
    const like = `[data-id="${CSS.escape(id)}"][data-name="${CSS.escape(name)}"]`;
    const again =
      focused && (thread.list.querySelector(like) ?? thread.el.querySelector("textarea"));
    /** @type {HTMLElement | null} */ (again)?.focus({ preventScroll: true });
    if (!thread.comments.length) thread.note.textContent = this.words.comments_none;
  },

  /**
   * @param {Row} row
   * @param {TurnComment} comment
   */
  commentElement(row, comment) {
    const el = make("li", "ws-turn-comment");
    const head = make("div", "ws-turn-comment-head");
    const author = make("strong", "", { dir: "auto" });
    author.textContent = comment.author || this.words.comment_removed;
    head.append(author, timeElement(new Date(comment.created_at), "medium"));
    if (comment.edited_at) {
      const mark = make("span", "ws-turn-comment-edited");
      mark.textContent = this.words.edited;
      head.append(mark);
    }
    if (row.thread?.editing === comment.id) {
      el.append(head, this.commentForm(row, comment));
      return el;
    }
    const text = make("p", "ws-turn-comment-text", { dir: "auto" });
    text.textContent = comment.text;
    el.append(head, text);
    const can = make("div", "ws-turn-comment-actions");
    if (comment.is_own && !this.isViewer)
      can.append(
        this.commentButton(comment, "edit", this.words.edit, () =>
          this.editComment(row, comment.id),
        ),
      );
    if (comment.can_delete && !this.isViewer) can.append(this.deleteButton(row, comment));
    if (can.firstChild) el.append(can);
    return el;
  },

  /**
   * @param {TurnComment} comment
   * @param {string} name
   * @param {string} label
   * @param {() => void} act
   */
  commentButton(comment, name, label, act) {
    const el = this.plainButton(label, act);
    el.dataset.id = comment.id;
    el.dataset.name = name;
    return el;
  },

  /**
   * A button that deletes at its second press: the first one changes its label.
   * @param {Row} row
   * @param {TurnComment} comment
   */
  deleteButton(row, comment) {
    const el = this.commentButton(comment, "delete", this.words.comment_delete, () => {
      if (el.dataset.sure) return void this.deleteComment(row, comment);
      el.dataset.sure = "yes";
      el.textContent = this.words.comment_delete_sure;
    });
    el.onblur = () => {
      delete el.dataset.sure;
      el.textContent = this.words.comment_delete;
    };
    return el;
  },

  /**
   * The field of a new comment, or of the text of `comment`.
   * @param {Row} row
   * @param {TurnComment} [comment]
   */
  commentForm(row, comment) {
    const form = make("form", "ws-turn-comment-form");
    const field = make("textarea", "ws-turn-comment-field", {
      "aria-label": comment ? this.words.comment_edit : this.words.comment_field,
      placeholder: this.words.comment_field,
      maxlength: String(MAX_COMMENT_CHARS),
      rows: "2",
      dir: "auto",
    });
    field.value = comment?.text ?? "";
    const send = make("button", "ws-turn-text-button", { type: "submit" });
    send.textContent = comment ? this.words.save : this.words.comment_add;
    const key = crypto.getRandomValues(new Uint32Array(4)).join("-"); // a text sent twice is added once
    form.append(field, send);
    if (comment) {
      form.append(
        this.commentButton(comment, "cancel", this.words.cancel, () => this.editComment(row, "")),
      );
    } else {
      const note = make("small", "ws-turn-comment-note");
      note.textContent = this.words.comment_note;
      form.append(note);
    }
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      event.stopPropagation(); // the transcript's own forms give feedback
      const text = field.value.trim();
      if (!text || send.disabled) return;
      send.disabled = true;
      const work = comment
        ? this.saveComment(row, comment, text)
        : this.addComment(row, text, key, field);
      void work.finally(() => (send.disabled = false));
    });
    return form;
  },

  /**
   * @param {Row} row
   * @param {string} text
   * @param {string} key
   * @param {HTMLTextAreaElement} field
   */
  async addComment(row, text, key, field) {
    const { thread } = row;
    const body = { turn: row.data.id, text, key };
    const answer = await this.requestComments(row, "", "POST", body);
    if (!answer || !thread || row.thread !== thread) return;
    const added = /** @type {TurnComment} */ (answer.data);
    if (field.value.trim() === text) field.value = "";
    thread.note.textContent = "";
    const known = thread.comments ?? [];
    if (!known.some((one) => one.id === added.id)) thread.comments = [...known, added];
    field.form?.replaceWith(this.commentForm(row)); // with a key of its own
    const next = thread.el.querySelector(":scope > form textarea");
    if (next instanceof HTMLTextAreaElement) {
      next.value = field.value;
      next.focus({ preventScroll: true });
    }
    this.paintThread(row);
  },

  /**
   * Opens the field of a comment's text; "" closes it.
   * @param {Row} row
   * @param {string} id
   */
  editComment(row, id) {
    const { thread } = row;
    if (!thread) return;
    const before = thread.editing;
    thread.editing = id;
    this.paintThread(row, true);
    const again = `[data-id="${CSS.escape(before)}"][data-name="edit"]`;
    const to = thread.list.querySelector(id ? "textarea" : again);
    /** @type {HTMLElement | null} */ (to)?.focus({ preventScroll: true });
  },

  /**
   * @param {Row} row
   * @param {TurnComment} comment
   * @param {string} text
   */
  async saveComment(row, comment, text) {
    const rest = `/${encodeURIComponent(comment.id)}`;
    const answer = await this.requestComments(row, rest, "PATCH", { text });
    const { thread } = row;
    if (!answer || !thread?.comments) return;
    const changed = /** @type {TurnComment} */ (answer.data);
    thread.note.textContent = "";
    thread.comments = thread.comments.map((one) => (one.id === comment.id ? changed : one));
    this.editComment(row, "");
  },

  /**
   * @param {Row} row
   * @param {TurnComment} comment
   */
  async deleteComment(row, comment) {
    const rest = `/${encodeURIComponent(comment.id)}`;
    const done = await this.requestComments(row, rest, "DELETE");
    const { thread } = row;
    if (!done || !thread?.comments) return;
    thread.comments = thread.comments.filter((one) => one.id !== comment.id);
    this.paintThread(row);
    thread.el.querySelector("textarea")?.focus({ preventScroll: true });
  },
};
