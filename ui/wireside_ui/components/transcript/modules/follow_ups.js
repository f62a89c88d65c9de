// @ts-check
// Questions to ask next, which a model has suggested after the last answer.
import { make } from "wireside-kit/dom.js";

/** @satisfies {ThisType<Transcript>} */
export const followUps = {
  /** @param {Row} row */
  followUps(row) {
    const el = make("div", "ws-turn-follow-ups", {
      role: "group",
      "aria-label": this.words.follow_ups,
      "data-testid": "follow-ups",
    });
    for (const question of row.data.follow_ups) {
      const button = make("button", "ws-turn-text-button", { type: "button", dir: "auto" });
      button.textContent = question;
      button.onclick = () =>
        window.dispatchEvent(new CustomEvent("wireside:ask", { detail: question }));
      el.append(button);
    }
    return el;
  },
};
