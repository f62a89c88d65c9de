// The buttons of a turn, and clicks on them.
import { make } from "wireside-kit/dom.js";
import { iconMarkup } from "wireside-kit/icons.js";
import { plainText } from "./copied_text.js";

const COSTLY = new Set(["retry", "continue"]); // actions that cost a model request

export const actions = {
  onClick(event) {
    const { target } = event;
    if (target.closest("summary")) this.stick = false; // an opened element keeps its position
    if (target.matches(".ws-fn")) return this.showFootnote(target);
    const button = target.closest("[data-action]");
    if (!button) return;
    if (button.getAttribute("aria-disabled") === "true") return;
    if (COSTLY.has(button.dataset.action) && event.detail > 1) return; // a double click sends one request
    const row = this.rowOf(button);
    const { id } = row.data;
    const name = button.dataset.action;
    switch (name) {
      case "copy_code":
        return this.copy(button, button.parentElement.querySelector("code").textContent);
      case "copy_question":
        return this.copy(button, row.data.question);
      case "copy":
        return event.shiftKey ? this.copy(button, plainText(row)) : this.copyAnswer(button, row);
      case "copy_menu":
        return this.menu ? this.closeMenu(true) : this.openMenu(button);
      case "copy_markdown":
      case "copy_text": {
        this.closeMenu(true);
        const shown = row.foot.querySelector('[data-action="copy"]');
        return name === "copy_text"
          ? this.copy(shown, plainText(row))
          : this.copyAnswer(shown, row);
      }
      case "up":
      case "down":
        return this.judge(row, name);
      case "close_feedback":
        return this.closeFeedback(row);
      case "send_feedback":
        return; // handled by the form's submit event
    }
    if (name === "retry") row.deadline = 0;
    this.$emit("action", { name, id, automatic: false, words: "" });
  },

  allowed(names) {
    return this.isReader ? names.filter((name) => name.startsWith("copy")) : names;
  },

  bar(names) {
    const el = make("div", "ws-turn-actions");
    for (const name of this.allowed(names)) {
      const isQuestion = name === "copy_question";
      el.append(
        this.button(isQuestion ? "copy_question" : name, this.words[isQuestion ? "copy" : name], {
          icon: isQuestion ? "copy" : name,
        }),
      );
    }
    return el;
  },

  button(action, label, { icon: name, text } = {}) {
    const el = make("button", text ? "ws-turn-text-button" : "ws-turn-icon-button", {
      type: "button",
      "data-action": action,
      "aria-label": label,
    });
    if (text) {
      el.textContent = label;
    } else {
      el.title = label;
      el.innerHTML = iconMarkup(name);
    }
    return el;
  },
};
