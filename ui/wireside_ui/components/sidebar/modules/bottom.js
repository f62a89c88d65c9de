// @ts-check
// The bottom: the account, the archive, and messages about what was done.
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
      this.shared
        ? h(
            "div",
            { class: "ws-sidebar-toast ws-sidebar-shared", "data-testid": "sidebar-shared" },
            [
              h("span", this.sharing === "public" ? w.share_made : w.shared_users),
              h("input", {
                readonly: true,
                value: this.shared,
                "aria-label": w.share,
                dir: "ltr",
                onFocus: (e) => e.target.select(),
              }),
              h(
                "button",
                { type: "button", "data-testid": "copy-share", onClick: this.copyShare },
                this.isShareCopied ? w.copied : w.copy,
              ),
              h("button", { type: "button", onClick: () => (this.shared = "") }, w.close),
            ],
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
    const account = this.account;
    return h("div", { class: "ws-sidebar-bottom" }, [
      account
        ? h(
            account.href ? "a" : "div",
            {
              class: "ws-sidebar-account",
              href: account.href,
              title: account.href ? w.account_settings : null,
              "data-testid": "account",
            },
            [
              h(
                "span",
                { class: "ws-sidebar-initial", "aria-hidden": "true" },
                [...account.name][0]?.toUpperCase(),
              ),
              h("span", { dir: "auto" }, account.name),
            ],
          )
        : null,
      h(
        "button",
        { type: "button", "data-testid": "show-archived", onClick: this.switchArchived },
        [this.archived ? icon("back", "ws-sidebar-back") : icon("archive"), h("span", label)],
      ),
      ...this.unlessReader(() => [
        h(
          "button",
          {
            type: "button",
            class: "ws-tool",
            "data-testid": "import",
            "aria-label": w.import_file,
            title: w.import_file,
            disabled: this.importing,
            onClick: () => this.$refs.file.click(),
          },
          icon("upload"),
        ),
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
