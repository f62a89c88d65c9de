// @ts-check
// The bottom: the archive, the menu of the page, and messages about what was done.
import { h } from "vue";
import { icon } from "wireside-kit/icons.js";

export const SAY_MS = 10_000;

/** @satisfies {ThisType<Sidebar>} */
export const bottom = {
  // Always in the DOM: screen readers announce its changes.
  toastBar() {
    const w = this.words;
    const items = this.deleted.flatMap((action) => action.items);
    const text =
      items.length === 1
        ? w.deleted.replace("{title}", () => items[0].title || w.untitled)
        : w.deleted_many.replace("{count}", String(items.length));
    return h("div", { class: "ws-sidebar-toasts", role: "status" }, [
      this.toast
        ? h(
            "div",
            {
              class: ["ws-sidebar-toast", this.importing && "ws-sidebar-busy"],
              "data-testid": "sidebar-toast",
            },
            h("span", { dir: "auto" }, this.toast),
          )
        : null,
      items.length
        ? h("div", { class: "ws-sidebar-toast", "data-testid": "sidebar-deleted" }, [
            h("span", { dir: "auto" }, text),
            h(
              "button",
              { type: "button", "data-testid": "undo-delete", onClick: this.undo },
              w.undo,
            ),
          ])
        : null,
    ]);
  },

  bottom() {
    const w = this.words;
    const label = this.archived ? w.back_to_list : w.show_archived;
    return h("div", { class: "ws-sidebar-bottom" }, [
      h(
        "button",
        { type: "button", "data-testid": "show-archived", onClick: this.switchArchived },
        [this.archived ? icon("back", "ws-sidebar-back") : icon("archive"), h("span", label)],
      ),
      this.appBar(),
      ...this.unlessReader(() => [
        h("input", {
          ref: "file",
          type: "file",
          accept: ".json,.zip",
          multiple: true,
          hidden: true,
          onChange: (e) => this.importFiles([...(e.target.files ?? [])]),
        }),
      ]),
    ]);
  },

  /** @param {string} text */
  say(text, ms = SAY_MS) {
    this.toast = text;
    clearTimeout(this.toasting);
    if (ms < Infinity) this.toasting = setTimeout(() => (this.toast = ""), ms);
  },
};
