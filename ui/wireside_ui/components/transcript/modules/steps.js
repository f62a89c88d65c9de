// @ts-check
// Steps of an answer: folds within the fold of the step around them.
import { make, within } from "wireside-kit/dom.js";
import { tookText } from "./durations.js";

const MAX_DEPTH = 8; // deeper steps stand beside their parent, not in it

/** @satisfies {ThisType<Transcript>} */
export const steps = {
  /**
   * Shows a state of a step: in its place, in the fold of its parent, or at the end of the answer.
   * @param {Row} row
   * @param {Whole<"step">} part
   */
  putStep(row, part) {
    const known = row.partsById.get(part.id);
    if (known?.matches(".ws-turn-step")) return this.paintStep(row, known, part.data);
    const el = this.fold("ws-turn-step");
    el.dataset.part = part.id;
    el.append(
      make("div", "ws-turn-step-input"),
      make("div", "ws-turn-step-children"),
      make("div", "ws-turn-step-output"),
    );
    this.paintStep(row, el, part.data);
    const parent = row.partsById.get(part.data.parent);
    const place = parent?.matches(".ws-turn-step") ? this.placeIn(row, parent) : null;
    place ? place.append(el) : this.addToBody(row, el);
    if (part.id) row.partsById.set(part.id, el);
  },

  /**
   * @param {Row} row
   * @param {HTMLElement} parent
   */
  placeIn(row, parent) {
    let depth = 1;
    for (
      let el = /** @type {Element | null} */ (parent);
      el && el !== row.body;
      el = el.parentElement
    )
      if (el.matches(".ws-turn-step")) depth++;
    return depth > MAX_DEPTH
      ? parent.parentElement
      : parent.querySelector(":scope > .ws-turn-step-children");
  },

  /**
   * @param {Row} row
   * @param {HTMLElement} el
   * @param {StepData} step
   */
  paintStep(row, el, { name, state, seconds, input, output }) {
    el.dataset.state = state;
    el.dataset.name = name;
    el.dataset.took = seconds == null ? "" : ` · ${tookText(seconds)}`;
    this.labelStep(row, el);
    const [before, , after] = [...el.children].slice(1);
    for (const { box, title, text } of [
      { box: before, title: this.words.input, text: input },
      { box: after, title: this.words.output, text: output },
    ]) {
      if ((box.lastChild?.textContent ?? "") === text) continue; // keeps the selection and the scroll position
      box.replaceChildren(...(text ? this.foldText(title, text) : []));
    }
  },

  /**
   * @param {Row} row
   * @param {HTMLElement} el
   */
  labelStep(row, el) {
    const { state, name, took } = el.dataset;
    const isOver =
      state === "running" && !["thinking", "streaming", "asking"].includes(row.data.state);
    el.classList.toggle("ws-turn-is-live", state === "running" && !isOver);
    const word = isOver ? this.words.step_unfinished : this.words[`tool_${state}`];
    within(el, ":scope > summary > .ws-turn-fold-label").textContent = `${name} — ${word}${took}`;
  },

  /**
   * Labels the steps that were running when the answer ended or went on.
   * @param {Row} row
   */
  paintSteps(row) {
    for (const el of row.body.querySelectorAll('.ws-turn-step[data-state="running"]'))
      this.labelStep(row, el);
  },
};
