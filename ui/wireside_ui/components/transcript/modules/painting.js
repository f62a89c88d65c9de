// @ts-check
// The DOM of a turn: the question, the answer and the bars below them.
import { choice } from "wireside-kit/choice.js";
import { make } from "wireside-kit/dom.js";
import { iconMarkup } from "wireside-kit/icons.js";
import { modelIconElement } from "wireside-kit/model_icon.js";
import { hasText, textBlocks } from "./parts.js";
import { ENDS } from "./states.js";
import { timeElement } from "./times.js";

const LOADING_MS = 8000; // time without a first token after which the label says that the model is loading

/**
 * Returns a message's time, with the date if the message is older than today.
 * @param {number} seconds
 */
function timeOf(seconds) {
  const date = new Date(seconds * 1000);
  const isToday = date.toDateString() === new Date().toDateString();
  const el = timeElement(date, isToday ? undefined : "medium");
  el.dataset.testid = "time";
  return el;
}

const LONG_LINES = 20; // a question of more lines is folded
const LONG_CHARS = 2000;

/** @param {string} question */
const isLong = (question) =>
  question.length > LONG_CHARS || question.split("\n", LONG_LINES + 1).length > LONG_LINES;

/** @satisfies {ThisType<Transcript>} */
export const painting = {
  /** @param {Row} row */
  build(row) {
    if (row.el) return row.el;
    const el = (row.el = make("article", "ws-turn", {
      tabindex: "-1",
      "aria-label": row.data.question.slice(0, 80) || row.data.files[0]?.name || this.words.answer,
    }));
    el.dataset.id = row.data.id;
    row.questionPart = make("div", "ws-turn-question");
    row.body = make("div", "ws-turn-parts", {
      "data-testid": "message-assistant",
      role: "group",
      "aria-label": this.words.answer,
    });
    row.foot = make("div", "ws-turn-foot");
    row.answerPart = make("div", "ws-turn-answer");
    row.sourcePart = make("div", "ws-turn-source-part");
    row.commentPart = make("div", "ws-turn-comments");
    row.answerPart.append(row.body, row.sourcePart, row.foot, row.commentPart);
    // screen readers step from heading to heading
    const heading = make("span", "ws-transcript-offscreen", {
      role: "heading",
      "aria-level": "2",
      "aria-label": el.getAttribute("aria-label") ?? "",
    });
    el.append(heading, row.questionPart, row.answerPart);
    if (row.isCompared) {
      row.columnHead = make("div", "ws-turn-column-head", { dir: "auto" });
      row.answerPart.prepend(row.columnHead);
    }
    this.paintParts(row);
    this.paintQuestion(row);
    this.paintState(row);
    this.paintEdited(row);
    this.paintComments(row);
    if (row.beside.length) this.buildColumns(row);
    return el;
  },

  /**
   * Shows the answers of several models next to each other.
   * @param {Row} row
   */
  buildColumns(row) {
    const columns = make("div", "ws-turn-columns", {
      role: "group",
      "aria-label": this.words.compared,
      "data-testid": "columns",
    });
    columns.append(row.answerPart, ...row.beside.map((one) => this.build(one)));
    row.el?.append(columns);
  },

  /** @param {Row} row */
  paintQuestion(row) {
    const { question, files, state, siblings } = row.data;
    const parts = [];
    if (files?.length) parts.push(this.filesOf(files));
    if (question) {
      const bubble = make("div", "ws-turn-bubble", {
        "data-testid": "message-user",
        dir: "auto",
        role: "group",
        "aria-label": this.words.question,
      });
      bubble.textContent = question;
      parts.push(bubble);
      if (isLong(question)) {
        bubble.classList.toggle("ws-turn-folded", !row.isQuestionOpen);
        const words = row.isQuestionOpen ? this.words.show_less : this.words.show_all;
        const fold = this.button("fold_question", words);
        fold.setAttribute("aria-expanded", String(Boolean(row.isQuestionOpen)));
        fold.classList.add("ws-turn-fold-button");
        parts.push(fold);
      }
    }
    const foot = make("div", "ws-turn-question-foot");
    const isAsked = Boolean(question || files?.length);
    if (isAsked && state === "waiting") {
      const note = make("div", "ws-turn-waiting", { "data-testid": "waiting" });
      note.append(this.words.waiting);
      if (this.mayChange(row)) note.append(" — ", this.button("withdraw", this.words.take_back));
      foot.append(note);
    } else if (isAsked) {
      const bar = this.bar(["copy_question", "edit"]);
      if (row.data.asked_at) bar.append(timeOf(row.data.asked_at));
      foot.append(bar);
    }
    if (row.data.asked_by) {
      const name = make("span", "ws-turn-by", { "data-testid": "asked-by", dir: "auto" });
      name.textContent = row.data.asked_by;
      foot.append(name);
    }
    if (row.data.instruction) {
      const { instruction } = row.data;
      const label = make("span", "ws-turn-by", { "data-testid": "instruction", dir: "auto" });
      label.textContent = this.words[instruction] ?? instruction;
      foot.prepend(label);
    }
    if (siblings > 1 && !row.isCompared) foot.append(this.versions(row));
    if (foot.firstChild) parts.push(foot);
    row.questionPart.classList.toggle("ws-turn-waits", state === "waiting");
    this.refill(row.questionPart, parts);
  },

  /**
   * Images are shown, other files are downloaded; both by links to the server, which only their owner can open.
   * @param {RowData["files"]} files
   */
  filesOf(files) {
    const list = make("ul", "ws-turn-question-files", { "data-testid": "question-files" });
    for (const { id, name, media_type } of files) {
      const isImage = media_type.startsWith("image/");
      const link = make("a", isImage ? "ws-turn-question-image" : "ws-turn-question-file", {
        href: `${this.files}/${encodeURIComponent(id)}`,
        ...(isImage ? { target: "_blank", rel: "noopener" } : { download: name, title: name }),
      });
      if (isImage) {
        link.append(make("img", "", { src: link.href, alt: name, loading: "lazy" }));
      } else {
        const label = make("span", "", { dir: "auto" });
        label.textContent = name;
        link.innerHTML = iconMarkup(media_type.startsWith("audio/") ? "audio" : "file");
        link.append(label);
      }
      const item = make("li", "");
      item.append(link);
      list.append(item);
    }
    return list;
  },

  /** @param {Row} row */
  versions(row) {
    const { sibling, siblings } = row.data;
    const label = this.words.version
      .replace("{number}", String(sibling + 1))
      .replace("{count}", String(siblings));
    const el = make("div", "ws-turn-versions", {
      role: "group",
      "aria-label": label,
      "data-testid": "versions",
    });
    const previous = this.button("previous", this.words.previous, "previous");
    const next = this.button("next", this.words.next, "next");
    // a disabled button would lose the focus when the reader reaches the first or last version
    if (sibling <= 0) previous.setAttribute("aria-disabled", "true");
    if (sibling >= siblings - 1) next.setAttribute("aria-disabled", "true");
    const place = make("span", "ws-turn-version");
    place.textContent = `${sibling + 1} / ${siblings}`;
    el.append(...(this.isReader ? [place] : [previous, place, next]));
    return el;
  },

  /** @param {Row} row */
  paintState(row) {
    const { state, error } = row.data;
    const isOpen = state === "thinking" || state === "streaming";
    if (!isOpen) row.askedAt = undefined;
    const focused = this.focusedIn(row.foot); // before a field in it is moved
    if (row.el) row.el.dataset.state = state;
    row.answerPart.hidden = state === "waiting";
    if (row.columnHead) row.columnHead.textContent = row.data.model;
    row.body.setAttribute("aria-busy", String(isOpen));
    for (const prose of textBlocks(row)) {
      const isLast = prose === row.body.lastElementChild;
      prose.classList.toggle("ws-prose-busy", state === "streaming" && isLast);
      prose.hidden = !prose.firstChild;
    }
    this.paintSteps(row);
    this.paintQuestions(row);
    const has = hasText(row);
    const parts = [];
    if (state === "thinking" || (isOpen && !has)) parts.push(this.typing(row));
    const ways = ENDS[state];
    if (ways) parts.push(this.note(this.words[state], "", ways, state));
    if (state === "error") parts.push(this.errorNote(row, error));
    if (isOpen) parts.push(this.stopBar());
    else if (has) parts.push(this.answerBar(row), ...this.consentNotes(row));
    else if (state !== "waiting") parts.push(this.bar(state === "error" ? [] : ["retry"]));
    if (row.data.follow_ups.length && !isOpen) parts.push(this.followUps(row));
    if (row.isCompared && !isOpen && has && !this.isReader) {
      const keep = this.button("keep", this.words.keep);
      keep.classList.add("ws-turn-keep");
      parts.push(keep);
    }
    this.refill(row.foot, parts, focused);
  },

  /** @param {Row} row */
  answerBar(row) {
    const { feedback } = row.data;
    const el = make("div", "ws-turn-actions");
    el.append(this.split(this.button("copy", this.words.copy, "copy"), "copy_menu"));
    if (!this.isReader) el.append(this.retrySplit());
    const up = this.button("up", this.words.good, "thumb_up");
    const down = this.button("down", this.words.bad, "thumb_down");
    up.setAttribute("aria-pressed", String(feedback === "up"));
    down.setAttribute("aria-pressed", String(feedback === "down"));
    if (!this.isReader) el.append(up, down);
    if (!feedback) row.say = null;
    if (this.reading === row)
      el.append(this.button("stop_reading", this.words.stop_reading, "stop"));
    el.append(this.answeredBy(row));
    if (row.data.edited) {
      const mark = make("span", "ws-turn-by ws-turn-edited", { "data-testid": "edited" });
      mark.textContent = this.words.edited;
      el.append(mark);
    }
    if (row.say) el.append(row.say);
    el.classList.toggle("ws-turn-stays", Boolean(row.say || row.data.edited));
    return el;
  },

  // The button that ends the answer: named, as its icon alone looks like a box to tick.
  stopBar() {
    const el = make("div", "ws-turn-actions ws-turn-stop");
    if (this.isReader) return el;
    const stop = this.button("stop", this.words.stop);
    stop.insertAdjacentHTML("afterbegin", iconMarkup("stop_solid"));
    el.append(stop);
    return el;
  },

  // The button that asks again, with a menu of other ways to.
  retrySplit() {
    const again = this.button("retry", this.words.retry, "retry");
    return this.split(again, "retry_menu");
  },

  /**
   * A button with a menu next to it.
   * @param {HTMLElement} button
   * @param {string} name of the menu
   */
  split(button, name) {
    const el = make("div", "ws-turn-split");
    const label = name === "copy_menu" ? this.words.copy_menu : this.words.retry_with;
    const more = this.button(name, label, "caret_down");
    more.classList.add("ws-turn-split-more");
    more.setAttribute("aria-haspopup", "menu");
    more.setAttribute("aria-expanded", "false");
    el.append(button, more);
    return el;
  },

  /**
   * The name of the model that answered; for "vendor/model" the second half.
   * @param {Row} row
   */
  answeredBy(row) {
    const { model } = row.data;
    const el = make("span", "ws-turn-by", {
      "data-testid": "answered-by",
      dir: "auto",
      title: model,
    });
    el.textContent = model
      .split(", ")
      .map((name) => name.slice(name.lastIndexOf("/") + 1) || name)
      .join(", ");
    const names = new Set(model.split(", "));
    for (const one of choice.offered.filter((offered) => names.has(offered.name))) {
      const icon = modelIconElement(one.icon);
      if (icon) el.prepend(icon, " ");
    }
    el.hidden = !model;
    return el;
  },

  /** @param {Row} row */
  typing(row) {
    const el = make("div", "ws-turn-typing", { "data-testid": "typing" });
    const dots = make("span", "ws-turn-dots", { "aria-hidden": "true" });
    dots.append(make("i"), make("i"), make("i"));
    const label = make("span", "");
    label.textContent = this.words.typing;
    el.append(dots, label);
    row.askedAt ??= Date.now();
    const show = () => {
      label.textContent = !row.body.firstChild ? this.words.model_loading : this.words.typing;
    };
    const leftMs = row.askedAt + LOADING_MS - Date.now();
    if (leftMs > 0)
      setTimeout(show, leftMs); // harmless if the element has been replaced
    else show();
    return el;
  },

  /**
   * Replaces the children of a part of a turn. The focus stays on the same or a corresponding element.
   * @param {HTMLElement} part
   * @param {Node[]} nodes
   * @param {HTMLElement | null} [wasFocused] default: what has the focus in it now
   */
  refill(part, nodes, wasFocused) {
    const focused = wasFocused === undefined ? this.focusedIn(part) : wasFocused;
    if (this.menu && part.contains(this.menu.el)) this.closeMenu();
    part.replaceChildren(...nodes);
    if (!focused) return;
    const like = part.contains(focused)
      ? focused
      : part.querySelector(`[data-action="${focused.dataset.action}"]`);
    const near =
      like ?? part.querySelector("button:not([aria-disabled])") ?? part.closest(".ws-turn");
    near?.focus({ preventScroll: true });
  },

  /** @param {HTMLElement} part */
  focusedIn(part) {
    const focused = /** @type {HTMLElement | null} */ (document.activeElement);
    return part.contains(focused) ? focused : null;
  },
};
