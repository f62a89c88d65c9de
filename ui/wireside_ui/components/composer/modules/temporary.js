// @ts-check
// Temporary chats: neither the server nor this browser stores anything of them.
import { h } from "vue";
import * as drafts from "wireside-kit/drafts.js";
import { takeFleeting } from "wireside-kit/fleeting.js";
import { icon } from "wireside-kit/icons.js";

/** @satisfies {ThisType<Composer>} */
export const temporary = {
  /**
   * Returns what this browser has stored of the shown conversation.
   * @param {string} kind
   * @param {{ adopts?: boolean }} [options]
   */
  recall(kind, options) {
    return this.isTemporary ? null : drafts.read(kind, this.id, options);
  },

  /**
   * Stores a value of the shown conversation in this browser.
   * @param {string} kind
   * @param {unknown} value
   */
  remember(kind, value) {
    if (!this.isTemporary) drafts.write(kind, this.id, value);
  },

  /** Takes over the draft of the chat that has ended with the last load of the page. */
  takeFleeting() {
    const left = takeFleeting();
    if (!left || !this.isTemporary) return;
    this.hasEnded = left.hasEnded;
    if (!this.text && left.text) this.setText(left.text);
  },

  temporaryBar() {
    const w = this.words;
    const note = this.isEnding
      ? w.temporary_ends
      : this.hasEnded
        ? w.temporary_ended
        : w.temporary_note;
    return h("div", { class: "ws-composer-temporary", "data-testid": "temporary-note" }, [
      icon("temporary"),
      h("span", { role: "status" }, note),
      h(
        "button",
        {
          type: "button",
          class: "ws-tool",
          "aria-label": w.temporary_end,
          title: w.temporary_end,
          onClick: () => this.onOpen({ detail: "" }),
        },
        icon("close"),
      ),
    ]);
  },
};
