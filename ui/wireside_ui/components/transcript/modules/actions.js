// @ts-check
// The buttons of a turn, and clicks on them.
import { make, within } from "wireside-kit/dom.js";
import { iconMarkup } from "wireside-kit/icons.js";
import { plainText } from "./copied_text.js";

const COSTLY = new Set(["retry", "continue"]); // actions that cost a model request

/** @param {Element} button */
function codeOf(button) {
  return /** @type {HTMLElement} */ (button.closest(".ws-code"));
}

/** @satisfies {ThisType<Transcript>} */
export const actions = {
  /** @param {MouseEvent} event */
  onClick(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    if (target.closest("summary")) this.stick = false; // an opened element keeps its position
    if (target.matches(".ws-fn")) return this.showFootnote(target);
    const button = target.closest("[data-action]");
    if (!button) return;
    const { action: name = "" } = button.dataset;
    if (button.getAttribute("aria-disabled") === "true") return;
    if (COSTLY.has(name) && event.detail > 1) return; // a double click sends one request
    const row = this.rowOf(button);
    if (!row) return;
    const { id } = row.data;
    switch (name) {
      case "copy_code":
        return this.copy(button, within(codeOf(button), "code").textContent);
      case "wrap_code":
        return this.wrapCode(button, codeOf(button));
      case "download_code":
        return this.downloadCode(codeOf(button));
      case "switch_diagram": {
        const block = codeOf(button);
        return this.showDiagram(block, block.classList.contains("ws-prose-shows-code"));
      }
      case "fold_question":
        row.isQuestionOpen = !row.isQuestionOpen;
        this.stick = false;
        return this.paintQuestion(row);
      case "copy_question":
        return this.copy(button, row.data.question);
      case "copy":
        return event.shiftKey ? this.copy(button, plainText(row)) : this.copyAnswer(button, row);
      case "copy_menu":
        return this.menu ? this.closeMenu(true) : this.openCopyMenu(button);
      case "retry_menu":
        return this.menu ? this.closeMenu(true) : this.openRetryMenu(button);
      case "retry_with": {
        const { model = "" } = button.dataset;
        this.closeMenu(true);
        return this.$emit("action", { name: "retry", id, automatic: false, words: "", model });
      }
      case "retry_shorter":
      case "retry_longer": {
        const instruction = name.slice("retry_".length);
        this.closeMenu(true);
        return this.$emit("action", {
          name: "retry",
          id,
          automatic: false,
          words: "",
          instruction,
        });
      }
      case "read_aloud":
        this.closeMenu(true);
        return this.readAloud(row);
      case "stop_reading":
        return this.stopReading();
      case "edit_answer":
        this.closeMenu(true);
        return void this.rewrite(row);
      case "copy_markdown":
      case "copy_text": {
        this.closeMenu(true);
        const shown = within(row.foot, '[data-action="copy"]');
        return name === "copy_text"
          ? this.copy(shown, plainText(row))
          : this.copyAnswer(shown, row);
      }
      case "comments":
        return this.toggleThread(row);
      case "details":
        this.closeMenu(true);
        return this.showDetails(row);
      case "fork":
        this.closeMenu(true);
        break;
      case "copy_details":
        return void this.copyDetails(button, row);
      case "up":
      case "down":
        return this.judge(row, name);
      case "unshow":
        return this.unshow(row);
      case "close_feedback":
        return this.closeFeedback(row);
      case "send_feedback":
        return; // handled by the form's submit event
    }
    if (name === "retry") row.deadline = 0;
    this.$emit("action", { name, id, automatic: false, words: "" });
  },

  /** @param {string} right */
  setRight(right) {
    this.rightNow = /** @type {Right} */ (right);
  },

  /**
   * Whether the user may take back a question, and answer what its answer asks: the own ones of a shared conversation.
   * @param {Row} row
   */
  mayChange(row) {
    return !this.isReader || (!this.isViewer && this.rightNow === "reply" && row.data.is_asker);
  },

  /** @param {string[]} names */
  allowed(names) {
    return this.isReader ? names.filter((name) => name.startsWith("copy")) : names;
  },

  /** @param {string[]} names */
  bar(names) {
    const el = make("div", "ws-turn-actions");
    for (const name of this.allowed(names)) {
      const icon = /** @type {IconName} */ (name === "copy_question" ? "copy" : name);
      el.append(this.button(name, this.words[icon], icon));
    }
    return el;
  },

  /**
   * Returns a button with an icon, or with its label as text if there is none.
   * @param {string} action
   * @param {string} label
   * @param {IconName} [name] of the icon
   */
  button(action, label, name) {
    const el = make("button", name ? "ws-turn-icon-button" : "ws-turn-text-button", {
      type: "button",
      "data-action": action,
      "aria-label": label,
    });
    if (!name) {
      el.textContent = label;
    } else {
      el.title = label;
      el.innerHTML = iconMarkup(name);
    }
    return el;
  },
};
