// @ts-check
// The parts of an answer, in their order: text, folds for reasoning and tool calls, and parts that are written whole.
import { make, within } from "wireside-kit/dom.js";
import { iconMarkup } from "wireside-kit/icons.js";
import { duration, tookText } from "./durations.js";
import { ReasoningText } from "./reasoning.js";

/**
 * The elements of an answer that match a selector, of the outermost ones: a query would look at all of a long text.
 * @param {Row} row
 * @param {string} selector
 */
const outermost = (row, selector) =>
  /** @type {HTMLElement[]} */ ([...row.body.children].filter((el) => el.matches(selector)));

/**
 * The blocks of an answer's text.
 * @param {Row} row
 */
export const textBlocks = (row) => outermost(row, ".ws-prose");

/**
 * Whether some text of an answer is shown.
 * @param {Row} row
 */
export const hasText = (row) => textBlocks(row).some((prose) => prose.firstChild);

/** @satisfies {ThisType<Transcript>} */
export const parts = {
  /**
   * Shows the parts in the data of a row; folds that the reader has opened stay open.
   * @param {Row} row
   */
  paintParts(row) {
    const opened = row.body.firstChild ? this.openFolds(row) : (row.opened ?? new Set());
    row.live = null;
    this.clearParts(row);
    for (const part of row.data.parts) this.addPart(row, part);
    for (const { key, el } of this.folds(row)) el.open = opened.has(key);
    this.decorate(row.body);
    this.drawFormulas(row.body);
    this.paintReasoning(row);
    this.paintSourceList(row);
  },

  /** @param {Row} row */
  clearParts(row) {
    // what is being written in a question stays
    const asks = /** @type {AskElement[]} */ (outermost(row, ".ws-turn-ask"));
    row.keptQuestions = new Map(asks.map((el) => [el.dataset.part ?? "", el]));
    row.body.replaceChildren();
    row.partsById = new Map();
    row.sources = new Map();
  },

  /**
   * The folds of an answer with the keys that they have also after the answer was painted again.
   * @param {Row} row
   * @returns {{ key: string, el: HTMLDetailsElement }[]}
   */
  folds(row) {
    const parts = [...row.body.children].filter((el) => !el.matches(".ws-prose-next"));
    const own = parts.map((el, i) => ({ key: String(i), el }));
    const nested = [...row.body.querySelectorAll(".ws-turn-step .ws-turn-step")].map((el, i) => ({
      key: `${i} in`,
      el,
    }));
    return [...own, ...nested].flatMap(({ key, el }) => {
      if (!(el instanceof HTMLDetailsElement)) return [];
      return [{ key: el.dataset.part ? `part ${el.dataset.part}` : key, el }];
    });
  },

  /** @param {Row} row */
  openFolds(row) {
    return new Set(
      this.folds(row)
        .filter(({ el }) => el.open)
        .map(({ key }) => key),
    );
  },

  /**
   * @param {Row} row
   * @param {AnswerPart} part
   */
  addPart(row, part) {
    if (part.kind === "data") return this.putData(row, part);
    if (part.kind === "reasoning") return row.body.append(this.endedReasoning(part));
    if (part.kind === "tool") return row.body.append(this.toolFold(part));
    const prose = this.textBlock();
    prose.innerHTML = part.html; // sanitised on the server
    row.body.append(prose);
  },

  /**
   * Adds an element at the end of an answer; the text before it is over.
   * @param {Row} row
   * @param {HTMLElement} el
   */
  addToBody(row, el) {
    if (row.live) this.closeText(row);
    row.body.append(el);
  },

  textBlock() {
    return make("div", "ws-prose", { dir: "auto" });
  },

  reasoningFold() {
    const el = /** @type {ReasoningElement} */ (this.fold("ws-turn-think"));
    el.reasoning = new ReasoningText();
    el.append(el.reasoning.el);
    return el;
  },

  /** @param {ReasoningPart} part */
  endedReasoning(part) {
    const el = this.reasoningFold();
    el.reasoning.add(part.text);
    if (part.seconds != null) el.dataset.took = String(part.seconds * 1000);
    return el;
  },

  /**
   * Labels reasoning: it is in progress while it is the last part of an open answer, and was timed if it was seen so.
   * @param {Row} row
   */
  paintReasoning(row) {
    const isOpen = row.data.state === "thinking" || row.data.state === "streaming";
    const folds = /** @type {ReasoningElement[]} */ (outermost(row, ".ws-turn-think"));
    for (const el of folds) {
      const isLive = isOpen && el === row.body.lastElementChild;
      el.classList.toggle("ws-turn-is-live", isLive);
      if (!isLive) el.reasoning.close();
      if (isLive) el.dataset.since ??= String(performance.now());
      else if (el.dataset.since && !el.dataset.took)
        el.dataset.took = String(performance.now() - Number(el.dataset.since));
      const took = el.dataset.took
        ? this.words.reasoning_took.replace("{time}", duration(Number(el.dataset.took)))
        : this.words.reasoning;
      within(el, ".ws-turn-fold-label").textContent = isLive
        ? el.reasoning.title || this.words.reasoning_live
        : took;
    }
  },

  /**
   * Adds text to the reasoning at the end of a growing answer.
   * @param {Row} row
   * @param {string} text
   */
  addReasoning(row, text) {
    let el = /** @type {ReasoningElement | null} */ (row.body.lastElementChild);
    if (!el?.matches(".ws-turn-think")) {
      this.closeText(row);
      el = this.reasoningFold();
      row.body.append(el);
    }
    const { title } = el.reasoning;
    el.reasoning.add(text);
    if (el.reasoning.title !== title) this.paintReasoning(row);
  },

  /**
   * Shows a state of a tool call: in its place, or at the end of a growing answer.
   * @param {Row} row
   * @param {ToolPart} tool
   */
  putTool(row, tool) {
    const calls = /** @type {NodeListOf<HTMLDetailsElement>} */ (
      row.body.querySelectorAll(":scope > .ws-turn-tool-call")
    );
    const known = [...calls].find((el) => el.dataset.call === tool.call);
    if (known) return known.replaceWith(this.toolFold(tool, known.open));
    this.closeText(row);
    row.body.append(this.toolFold(tool));
  },

  /**
   * Shows a part that is written whole: in the place of its earlier state, or at the end of a growing answer.
   * @param {Row} row
   * @param {DataPart} part
   */
  putData(row, part) {
    const { id, text, type, data } = part;
    if (data && type === "step") return this.putStep(row, { id, text, data });
    if (data && type === "source") return this.putSource(row, { id, text, data });
    const known = row.partsById.get(id);
    const asked = data && type === "question" ? row.keptQuestions.get(id) : undefined;
    const el = asked ?? this.wholePart(row, part);
    if (asked && data && type === "question") {
      asked.question = { id, text, data };
      this.fillQuestion(row, asked);
    }
    el.dataset.part = id;
    if (!known) this.addToBody(row, el);
    else if (known !== el) known.replaceWith(el);
    if (id) row.partsById.set(id, el);
    if (id && el.matches(".ws-turn-ask")) row.keptQuestions.set(id, /** @type {AskElement} */ (el));
  },

  /**
   * Returns the element of a part; its text stands for a kind that is not known, and for data that could not be read.
   * @param {Row} row
   * @param {DataPart} part
   * @returns {HTMLElement}
   */
  wholePart(row, { id, text, type, data }) {
    if (!data) return this.plainPart(text);
    switch (type) {
      case "image":
        return this.imageElement({ id, text, data });
      case "file":
        return this.fileElement({ id, text, data });
      case "table":
        return this.tableElement({ id, text, data });
      case "figure":
        return this.figureElement({ id, text, data });
      case "question":
        return this.questionElement(row, { id, text, data });
      case "view":
        return this.viewElement(row, { id, text, data });
      case "summary":
        return this.summaryElement(row, { id, text, data });
      default:
        return this.plainPart(text);
    }
  },

  /**
   * A summary of the turns up to this one, which later questions get in their place.
   * @param {Row} row
   * @param {Whole<"summary">} part
   */
  summaryElement(row, { text, data }) {
    const el = this.fold("ws-turn-summary");
    el.hidden = data.undone;
    if (data.undone) return el;
    const messages = 2 * (data.turns ?? 0); // questions and answers
    const count = messages ? messages.toLocaleString(document.documentElement.lang) : "";
    within(el, ".ws-turn-fold-label").textContent = this.words.summary_of.replace("{count}", count);
    const body = make("div", "ws-turn-summary-text", { dir: "auto" });
    body.textContent = text;
    const note = make("p", "ws-turn-summary-note");
    note.textContent = this.words.summary_note;
    el.append(body, note);
    if (!this.isReader) el.append(this.button("undo-summary", this.words.undo_summary));
    return el;
  },

  /** @param {string} text */
  plainPart(text) {
    const el = make("div", "ws-turn-data", { dir: "auto" });
    el.textContent = text;
    return el;
  },

  /**
   * A button that is not one of the actions on a turn, with an icon or with its label as text.
   * @param {string} label
   * @param {(event: MouseEvent) => unknown} act
   * @param {IconName} [icon]
   */
  plainButton(label, act, icon) {
    const el = make("button", icon ? "ws-turn-icon-button" : "ws-turn-text-button", {
      type: "button",
      ...(icon ? { "aria-label": label, title: label } : {}),
    });
    if (icon) el.innerHTML = iconMarkup(icon);
    else el.textContent = label;
    el.onclick = (event) => el.getAttribute("aria-disabled") !== "true" && act(event);
    return el;
  },

  /** @param {ToolPart} tool */
  toolFold(tool, isOpen = false) {
    const el = this.fold("ws-turn-tool-call");
    el.dataset.call = tool.call;
    el.dataset.state = tool.state;
    el.open = isOpen;
    const seconds = tool.seconds == null ? "" : ` · ${tookText(tool.seconds)}`;
    within(el, ".ws-turn-fold-label").textContent =
      `${tool.name} — ${this.words[`tool_${tool.state}`]}${seconds}`;
    for (const key of /** @type {const} */ (["arguments", "result"])) {
      if (tool[key]) el.append(...this.foldText(this.words[key], tool[key]));
    }
    return el;
  },

  /**
   * @param {string} title
   * @param {string} text
   */
  foldText(title, text) {
    const head = make("div", "ws-turn-tool-call-title");
    head.textContent = title;
    const body = make("pre", "ws-turn-tool-call-text", { tabindex: "0" }); // it scrolls
    body.textContent = text;
    return [head, body];
  },

  /** @param {string} className */
  fold(className) {
    const el = make("details", `ws-turn-fold ${className}`);
    const summary = make("summary", "");
    summary.innerHTML = iconMarkup("next");
    summary.append(make("span", "ws-turn-fold-label"));
    el.append(summary);
    return el;
  },
};
