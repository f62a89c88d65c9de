// @ts-check
// The menus next to "Copy" (more ways to copy, what is known of the answer) and "Ask again".
import { choice } from "wireside-kit/choice.js";
import { make, within } from "wireside-kit/dom.js";
import { isComposing } from "wireside-kit/keyboard.js";
import { menuPosition } from "wireside-kit/menu.js";

/** @satisfies {ThisType<Transcript>} */
export const copyMenu = {
  /** @param {HTMLElement} button */
  openCopyMenu(button) {
    this.openMenu(button, this.words.copy_menu, [
      ["copy_markdown", this.words.copy_markdown],
      ["copy_text", this.words.copy_text],
      ...(this.canReadAloud() ? [["read_aloud", this.words.read_aloud]] : []),
      ...(this.isReader ? [] : [["edit_answer", this.words.edit_answer]]),
      ...(this.rowOf(button)?.data.details ? [["details", this.words.details]] : []),
      // a temporary chat has no source, and is never stored
      ...(this.source && !this.isViewer ? [["fork", this.words.fork]] : []),
    ]);
  },

  // Whether there is another model to ask.
  canAskAnother() {
    return choice.offered.filter((model) => model.canChat !== false).length > 1;
  },

  /** @param {HTMLElement} button */
  openRetryMenu(button) {
    const models = choice.offered.filter((model) => model.canChat !== false);
    const lengths = [
      ["retry_shorter", this.words.shorter],
      ["retry_longer", this.words.longer],
    ];
    this.openMenu(button, this.words.retry_with, [
      ...(button.closest(".ws-turn-note") ? [] : lengths), // a failed answer has no length
      ...(models.length > 1 ? models : []).map((model) => ["retry_with", model.name, model.id]),
    ]);
  },

  /**
   * @param {HTMLElement} button
   * @param {string} name
   * @param {string[][]} entries an action, its label, and the model that it asks
   */
  openMenu(button, name, entries) {
    const el = make("div", "ws-turn-copy-menu", { role: "menu", "aria-label": name });
    for (const [action, label, model = ""] of entries) {
      const item = make("button", "ws-turn-menu-item", {
        type: "button",
        role: "menuitem",
        tabindex: "-1",
        "data-action": action,
        "data-model": model,
        dir: "auto",
      });
      item.textContent = label;
      el.append(item);
    }
    button.parentElement?.append(el);
    const room = button.getBoundingClientRect().top - this.scroller.getBoundingClientRect().top;
    el.classList.toggle("ws-turn-below", room < el.offsetHeight + 16);
    button.setAttribute("aria-expanded", "true");
    button.closest(".ws-turn")?.classList.add("ws-turn-over");
    this.menu = { el, button };
    within(el, "button").focus({ preventScroll: true });
  },

  closeMenu(hasFocus = false) {
    if (!this.menu) return;
    const { el, button } = this.menu;
    this.menu = null;
    el.remove();
    button.setAttribute("aria-expanded", "false");
    button.closest(".ws-turn")?.classList.remove("ws-turn-over");
    if (hasFocus) button.focus({ preventScroll: true });
  },

  /** @param {KeyboardEvent} event */
  onKey(event) {
    if (isComposing(event)) return; // Escape cancels the composition of an input method
    const target = /** @type {HTMLElement} */ (event.target);
    const row = this.rowOf(target);
    if (event.key === "Escape" && row && target.closest(".ws-turn-say")) {
      event.stopPropagation(); // otherwise it would stop an answer
      return this.closeFeedback(row);
    }
    if (!this.menu?.el.contains(target)) return;
    const items = [...this.menu.el.querySelectorAll("button")];
    const at = items.findIndex((item) => item === target);
    const to = menuPosition(event.key, at, items.length);
    if (to !== undefined) {
      event.preventDefault();
      items[to].focus({ preventScroll: true });
    } else if (event.key === "Escape" || event.key === "Tab") {
      if (event.key === "Escape") event.stopPropagation();
      this.closeMenu(true);
    }
  },
};
