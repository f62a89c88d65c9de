// The folds above an answer: the model's reasoning and its tool calls.
import { make } from "wireside-kit/dom.js";
import { iconMarkup } from "wireside-kit/icons.js";
import { morphText } from "./morph.js";

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

export const extras = {
  paintExtras(row) {
    const { reasoning, tools, state } = row.data;
    const part = row.thinkPart;
    let think = part.querySelector(".ws-think");
    if (reasoning && !think) {
      think = this.fold("ws-think");
      think.append(make("div", "ws-think-text", { dir: "auto" }));
      part.prepend(think);
    } else if (!reasoning && think) {
      think.remove();
    }
    if (reasoning) {
      const isLive = (state === "thinking" || state === "streaming") && !row.prose.firstChild;
      think.classList.toggle("ws-is-live", isLive);
      if (isLive) row.thinkingSince ??= performance.now();
      else if (row.thinkingSince && !row.thoughtFor)
        row.thoughtFor = performance.now() - row.thinkingSince;
      const took = row.thoughtFor
        ? this.words.reasoning_took.replace("{time}", duration(row.thoughtFor))
        : this.words.reasoning;
      think.querySelector(".ws-fold-label").textContent = isLive ? this.words.reasoning_live : took;
      const body = think.lastChild;
      if (!body.firstChild) body.append("");
      morphText(body.firstChild, reasoning);
    }
    const open = new Set(
      [...part.querySelectorAll(".ws-tool-call[open]")].map((el) => el.dataset.call),
    );
    for (const el of part.querySelectorAll(".ws-tool-call")) el.remove();
    for (const tool of tools) part.append(this.toolFold(tool, open.has(tool.call)));
  },

  toolFold(tool, isOpen) {
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
