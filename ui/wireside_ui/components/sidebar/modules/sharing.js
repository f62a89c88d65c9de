// @ts-check
// Sharing a conversation: creates a link and shows it in a dialog.
import { h } from "vue";

/** @satisfies {ThisType<Sidebar>} */
export const sharing = {
  /** @param {CustomEvent<Item>} e */
  onShare(e) {
    this.share(e.detail);
  },

  /** @param {Item} item */
  async share(item) {
    const w = this.words;
    let sentence = w.offline;
    try {
      const response = await fetch(`${this.base}/api/conversations/${item.id}/shares`, {
        method: "POST",
      });
      const said = await response.json();
      if (response.ok) {
        this.shared = said.link;
        this.isShareCopied = false;
        return;
      }
      sentence = said.message || sentence;
    } catch {
      // no connection, or another server answered
    }
    this.say(sentence);
  },

  shareDialog() {
    const w = this.words;
    if (!this.shared) return null;
    return h(
      "dialog",
      {
        class: "ws-kit-dialog ws-sidebar-shared",
        "data-testid": "sidebar-shared",
        "aria-label": w.share,
        onVnodeMounted: (node) =>
          /** @type {HTMLDialogElement} */ (/** @type {HTMLElement} */ (node.el)).showModal(),
        onClose: () => (this.shared = ""),
        onClick: (e) => e.target === e.currentTarget && (this.shared = ""),
      },
      [
        h("h2", w.share),
        h("p", this.sharing === "public" ? w.share_made : w.shared_users),
        h("div", [
          h("input", {
            readonly: true,
            value: this.shared,
            "aria-label": w.share,
            dir: "ltr",
            onFocus: (e) => e.target.select(),
          }),
          h(
            "button",
            {
              type: "button",
              class: "ws-button ws-strong",
              "data-testid": "copy-share",
              onClick: this.copyShare,
            },
            this.isShareCopied ? w.copied : w.copy,
          ),
        ]),
        h("form", { method: "dialog" }, h("button", { class: "ws-button" }, w.close)),
      ],
    );
  },

  /** @param {{ target: HTMLElement }} e */
  async copyShare(e) {
    try {
      await navigator.clipboard.writeText(this.shared);
      this.isShareCopied = true;
    } catch {
      e.target.parentElement?.querySelector("input")?.select(); // clipboard access denied: the user can copy the selection
    }
  },
};
