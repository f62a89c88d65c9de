// @ts-check
// The sheet of keyboard shortcuts.
import { h } from "vue";
import { keyNames } from "wireside-kit/keyboard.js";

/**
 * The keys of each group, with the word that says what they do.
 * @type {[group: string, rows: [keys: string, word: string][]][]}
 */
const GROUPS = [
  [
    "message_box",
    [
      ["Enter", "key_send"],
      ["Shift Enter", "key_newline"],
      ["Ctrl Enter", "key_send_always"],
      ["Ctrl Shift Enter", "key_steer"],
      ["Esc", "key_stop"],
      ["↑", "key_edit"],
      ["/", "key_slash"],
      ["@", "ask_once"],
    ],
  ],
  [
    "conversation",
    [
      ["PageUp PageDown", "key_scroll"],
      ["Home End", "key_ends"],
      ["Ctrl Shift F", "key_find"],
      ["Ctrl A", "key_select_all"],
      ["Ctrl Shift C", "key_copy_last"],
      ["Shift click", "key_copy_text"],
    ],
  ],
  [
    "conversations",
    [
      ["Ctrl Shift O", "new_chat"],
      ["Ctrl Shift S", "sidebar"],
      ["↑ ↓ Home End", "key_move"],
      ["F2", "rename"],
      ["M", "move_to_folder"],
      ["T", "edit_tags"],
      ["Delete", "delete"],
      ["Shift click", "select"],
      ["Space", "key_select_more"],
      ["Ctrl click", "key_tab"],
    ],
  ],
  [
    "key_page",
    [
      ["Ctrl K", "palette"],
      ["?", "shortcuts"],
    ],
  ],
];

/** @satisfies {ThisType<Header>} */
export const sheet = {
  sheet() {
    const w = this.words;
    /** @param {MouseEvent} e */
    const close = (e) => e.target === this.$refs.sheet && this.$refs.sheet.close(); // the backdrop belongs to the dialog itself
    /** @param {string} key */
    const name = (key) => (key === "click" ? w.key_click : key);
    return h(
      "dialog",
      {
        class: "ws-kit-dialog ws-header-sheet",
        ref: "sheet",
        "aria-label": w.shortcuts,
        onClick: close,
      },
      [
        h("h2", w.shortcuts),
        ...GROUPS.flatMap(([group, rows]) => [
          h("h3", w[group]),
          h(
            "dl",
            rows.flatMap(([keys, word]) => [
              h(
                "dt",
                keyNames(keys).map((key) => h("kbd", name(key))),
              ),
              h("dd", w[word]),
            ]),
          ),
        ]),
        h("form", { method: "dialog" }, h("button", { class: "ws-button" }, w.close)),
      ],
    );
  },

  openSheet() {
    this.$refs.sheet.showModal();
    this.$refs.sheet.scrollTop = 0; // the button at its end has the focus
  },
};
