// The parts of an answer, in their order: text, and folds for reasoning and tool calls.
import { make } from "wireside-kit/dom.js";
import { iconMarkup } from "wireside-kit/icons.js";

// Formats a duration in the page's language: "12 s", "2 min 5 s".
function duration(ms) {
  const seconds = Math.max(1, Math.round(ms / 1000));
  const unit = (value, name) =>
    new Intl.NumberFormat(document.documentElement.lang || undefined, {
      style: "unit",
      unit: name,
      unitDisplay: "narrow",
    }).format(value);
  return seconds < 60
    ? unit(seconds, "second")
    : `${unit(Math.floor(seconds / 60), "minute")} ${unit(seconds % 60, "second")}`;
}

// The blocks of an answer's text.
export const textBlocks = (row) => [...row.body.querySelectorAll(":scope > .ws-prose")];

// Whether some text of an answer is shown.
export const hasText = (row) => textBlocks(row).some((prose) => prose.firstChild);

export const parts = {
  // Shows the parts in the data of a row; folds that the reader has opened stay open.
  paintParts(row) {
    const opened = [...row.body.children].map((el) => el.open);
    row.live = null;
    row.body.replaceChildren(...row.data.parts.map((part) => this.partElement(part)));
    for (const [i, el] of [...row.body.children].entries())
      if (el.matches("details")) el.open = Boolean(opened[i]);
    this.decorate(row.body);
    this.drawFormulas(row.body);
    this.paintReasoning(row);
  },

  partElement(part) {
    if (part.kind === "reasoning") return this.reasoningFold(part.text);
    if (part.kind === "tool") return this.toolFold(part);
    if (part.kind === "data") return this.dataElement(part);
    const prose = this.textBlock();
    prose.innerHTML = part.html; // sanitised on the server
    return prose;
  },

  textBlock() {
    return make("div", "ws-prose", { dir: "auto" });
  },

  reasoningFold(text) {
    const el = this.fold("ws-think");
    const body = make("div", "ws-think-text", { dir: "auto" });
    body.append(text);
    el.append(body);
    return el;
  },

  // Labels reasoning: it is in progress while it is the last part of an open answer, and was timed if it was seen so.
  paintReasoning(row) {
    const isOpen = row.data.state === "thinking" || row.data.state === "streaming";
    for (const el of row.body.querySelectorAll(":scope > .ws-think")) {
      const isLive = isOpen && el === row.body.lastElementChild;
      el.classList.toggle("ws-is-live", isLive);
      if (isLive) el.dataset.since ??= performance.now();
      else if (el.dataset.since && !el.dataset.took)
        el.dataset.took = performance.now() - el.dataset.since;
      const took = el.dataset.took
        ? this.words.reasoning_took.replace("{time}", duration(el.dataset.took))
        : this.words.reasoning;
      el.querySelector(".ws-fold-label").textContent = isLive ? this.words.reasoning_live : took;
    }
  },

  // Adds text to the reasoning at the end of a growing answer.
  addReasoning(row, text) {
    let el = row.body.lastElementChild;
    if (!el?.matches(".ws-think")) {
      this.closeText(row);
      el = this.reasoningFold("");
      row.body.append(el);
    }
    el.lastChild.firstChild ? el.lastChild.firstChild.appendData(text) : el.lastChild.append(text);
  },

  // Shows a state of a tool call: in its place, or at the end of a growing answer.
  putTool(row, tool) {
    const known = [...row.body.children].find((el) => el.dataset.call === tool.call);
    if (known) return known.replaceWith(this.toolFold(tool, known.open));
    this.closeText(row);
    row.body.append(this.toolFold(tool));
  },

  // Shows a part that is written whole: in the place of its earlier state, or at the end of a growing answer.
  putData(row, part) {
    const known = part.id && [...row.body.children].find((el) => el.dataset.part === part.id);
    if (known) return known.replaceWith(this.dataElement(part));
    this.closeText(row);
    row.body.append(this.dataElement(part));
  },

  // Returns the element of a part that is written whole; its text stands for a kind that has none.
  dataElement(part) {
    const el = make("div", "ws-data", { dir: "auto" });
    el.dataset.part = part.id;
    el.dataset.kind = part.type;
    el.textContent = part.text;
    return el;
  },

  toolFold(tool, isOpen = false) {
    const el = this.fold("ws-tool-call");
    el.dataset.call = tool.call;
    el.dataset.state = tool.state;
    el.open = isOpen;
    const seconds =
      tool.seconds == null
        ? ""
        : ` · ${tool.seconds < 10 ? tool.seconds.toFixed(1) : Math.round(tool.seconds)} s`;
    el.querySelector(".ws-fold-label").textContent =
      `${tool.name} — ${this.words[`tool_${tool.state}`]}${seconds}`;
    for (const key of ["arguments", "result"]) {
      if (!tool[key]) continue;
      const title = make("div", "ws-tool-call-title");
      title.textContent = this.words[key];
      const text = make("pre", "ws-tool-call-text");
      text.textContent = tool[key];
      el.append(title, text);
    }
    return el;
  },

  fold(className) {
    const el = make("details", `ws-fold ${className}`);
    const summary = make("summary", "");
    summary.innerHTML = iconMarkup("next");
    summary.append(make("span", "ws-fold-label"));
    el.append(summary);
    return el;
  },
};
