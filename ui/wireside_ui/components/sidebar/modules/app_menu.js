// @ts-check
// The menu at the bottom: what belongs to the page and to the account, and not to one conversation.
import { h } from "vue";
import { languageChoice, themeChoice } from "wireside-kit/choices.js";
import { icon } from "wireside-kit/icons.js";
import { money } from "wireside-kit/money.js";
import { forgetUser } from "wireside-kit/sign_out.js";

/** @satisfies {ThisType<Sidebar>} */
export const appMenu = {
  appBar() {
    const w = this.words;
    const { account } = this;
    return h("div", { ref: "app", class: "ws-sidebar-app", onFocusout: this.onAppLeave }, [
      this.isAppOpen ? this.appPanel() : null,
      h(
        "button",
        {
          ref: "appButton",
          type: "button",
          class: "ws-sidebar-app-button",
          "data-testid": "app-menu",
          "aria-haspopup": "dialog",
          "aria-expanded": String(this.isAppOpen),
          "aria-label": account ? `${w.app_menu}: ${account}` : undefined,
          onClick: this.toggleApp,
        },
        account
          ? h("span", { class: "ws-sidebar-account", "data-testid": "account" }, [
              h("span", {
                class: "ws-sidebar-initial",
                "data-initial": [...account][0]?.toUpperCase(),
              }),
              h("span", { dir: "auto" }, account),
            ])
          : [icon("gear"), h("span", w.app_menu)],
      ),
    ]);
  },

  appPanel() {
    const w = this.words;
    const { ways } = this;
    /**
     * @param {IconName} name
     * @param {string} testid
     * @param {string} label
     * @param {() => void} run
     */
    const act = (name, testid, label, run) =>
      h("button", { type: "button", "data-testid": testid, onClick: run }, [
        icon(name),
        h("span", label),
      ]);
    /**
     * @param {IconName} name
     * @param {string} testid
     * @param {string} label
     * @param {string} href
     */
    const link = (name, testid, label, href) =>
      href ? h("a", { href, "data-testid": testid }, [icon(name), h("span", label)]) : null;
    return h(
      "div",
      {
        class: "ws-menu ws-sidebar-app-panel",
        role: "dialog",
        "aria-label": w.app_menu,
        onVnodeMounted: (node) => node.el.querySelector("input:checked")?.focus(),
      },
      [
        this.limits.length
          ? h(
              "dl",
              { class: "ws-sidebar-limits", "data-testid": "limits" },
              this.limits.map(([label, value]) => [h("dt", label), h("dd", value)]),
            )
          : null,
        themeChoice(w, "menu"),
        languageChoice(w, this.languages, this.base),
        h("div", { class: "ws-sidebar-app-ways" }, [
          act("tune", "open-preferences", w.preferences, () => this.showDialog("preferences")),
          link("person", "account-page", w.account_page, ways.account),
          act("keyboard", "shortcuts", w.shortcuts, () => this.showDialog("shortcuts")),
          ...this.unlessReader(() => [
            act("upload", "import", w.import_file, () => {
              this.closeApp();
              this.chooseFiles();
            }),
          ]),
          link("gear", "administration-link", w.administration, ways.administration),
          link("pulse", "doctor", w.doctor_title, ways.doctor),
          link("chart", "dashboard-link", w.dashboard, ways.dashboard),
        ]),
        ways.signOut
          ? h("form", { method: "post", action: ways.signOut, onSubmit: forgetUser }, [
              h("button", { "data-testid": "sign-out" }, [
                icon("leave"),
                h("span", w.account_sign_out),
              ]),
            ])
          : null,
      ],
    );
  },

  toggleApp() {
    if (this.isAppOpen) return this.closeApp();
    this.isAppOpen = true;
    this.readLimits();
  },

  /** Reads what is left of the user's limits, and what was spent; without either, nothing is shown. */
  async readLimits() {
    const w = this.words;
    const lang = document.documentElement.lang || undefined;
    /** @param {string} path */
    const read = async (path) => {
      const response = await fetch(`${this.base}${path}`, { cache: "no-store" });
      return response.ok ? response.json() : {};
    };
    try {
      const [me, spent] = await Promise.all([read("/api/me"), read("/api/usage/own")]);
      /** @type {[string, string][]} */
      const limits = [];
      for (const what of ["messages", "tokens", "streams"]) {
        const limit = me[`${what}_limit`];
        if (typeof limit !== "number") continue;
        const left = w.account_left
          .replace("{count}", me[`${what}_left`].toLocaleString(lang))
          .replace("{limit}", limit.toLocaleString(lang));
        limits.push([w[`account_${what}`], left]);
      }
      for (const when of ["today", "month"]) {
        /** @type {{ amount: number, currency: string }[]} */
        const costs = spent[when] ?? [];
        const sums = costs.map(({ amount, currency }) => money(amount, currency)).join(" + ");
        if (sums) limits.push([w[`spent_${when}`], sums]);
      }
      this.limits = limits;
    } catch {} // offline: what was known before stays
  },

  closeApp() {
    const hadFocus = this.$refs.app?.contains(document.activeElement);
    this.isAppOpen = false;
    if (hadFocus) this.$refs.appButton.focus();
  },

  /** @param {{ relatedTarget: Node | null }} e */
  onAppLeave(e) {
    if (this.isAppOpen && e.relatedTarget && !this.$refs.app.contains(e.relatedTarget))
      this.isAppOpen = false;
  },

  /** @param {string} name of the dialog */
  showDialog(name) {
    this.closeApp();
    this.closeDrawer(); // what is beside an open drawer is inert
    window.dispatchEvent(new CustomEvent("wireside:show", { detail: name }));
  },
};
