// @ts-check
// The header: the name, the controls that the server adds, and those that work in the browser alone.
import { h } from "vue";
import { icon } from "wireside-kit/icons.js";
import { isTypedIn } from "wireside-kit/keyboard.js";

/** @type {Theme[]} */
const THEMES = ["system", "light", "dark"];

const THEME_ICONS = /** @type {const} */ ({ system: "auto", light: "sun", dark: "moon" });

export default /** @satisfies {ComponentOptions<Header>} */ ({
  props: { name: String, logo: String, base: String, words: Object },
  data: () => ({ theme: "system" }),
  render() {
    const w = this.words;
    const theme = `${w.theme}: ${w["theme_" + this.theme]}`;
    return h("header", { class: "ws-header", role: "banner" }, [
      h(
        "button",
        {
          type: "button",
          class: "ws-tool",
          "data-testid": "sidebar-toggle",
          "aria-label": w.sidebar,
          title: w.sidebar,
          onClick: this.toggleSidebar,
        },
        icon("sidebar"),
      ),
      h("a", { class: "ws-header-brand", href: this.base + "/", onClick: this.newChat }, [
        h("img", { src: this.logo, alt: "", width: 28, height: 28 }),
        h("h1", this.name),
      ]),
      this.$slots.default?.(),
      h(
        "button",
        {
          type: "button",
          class: "ws-tool",
          "data-testid": "theme-toggle",
          "aria-label": theme,
          title: theme,
          onClick: this.nextTheme,
        },
        icon(THEME_ICONS[this.theme]),
      ),
      h(
        "button",
        {
          type: "button",
          class: "ws-tool ws-header-wide",
          "data-testid": "shortcuts",
          "aria-label": w.shortcuts,
          title: w.shortcuts,
          onClick: this.help,
        },
        icon("help"),
      ),
      h(
        "a",
        {
          class: "ws-tool",
          href: this.base + "/",
          "data-testid": "new-chat",
          "aria-label": w.new_chat,
          title: w.new_chat,
          onClick: this.newChat,
        },
        icon("compose"),
      ),
      this.sheet(),
    ]);
  },
  mounted() {
    this.readTheme();
    document.addEventListener("keydown", this.onKey);
    window.addEventListener("storage", this.readTheme);
  },
  unmounted() {
    document.removeEventListener("keydown", this.onKey);
    window.removeEventListener("storage", this.readTheme);
  },
  methods: {
    // another page of the same browser may have changed it
    readTheme() {
      this.theme = window.wiresideTheme?.() || "system";
    },
    nextTheme() {
      const next = THEMES[(THEMES.indexOf(this.theme) + 1) % THEMES.length];
      this.theme = window.wiresideTheme?.(next) ?? next;
    },
    /**
     * changes the conversation without leaving the page; the browser handles clicks that open a new tab
     * @param {MouseEvent} e
     */
    newChat(e) {
      if (e.button || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return;
      e.preventDefault();
      window.dispatchEvent(new CustomEvent("wireside:open", { detail: "" }));
    },
    toggleSidebar() {
      window.dispatchEvent(new CustomEvent("wireside:sidebar"));
    },
    sheet() {
      const w = this.words;
      const rows = [
        ["Enter", w.key_send],
        ["Shift Enter", w.key_newline],
        ["Ctrl Enter", w.key_send_always],
        ["Esc", w.key_stop],
        ["↑", w.key_edit],
        ["/", w.key_focus],
        ["PageUp PageDown", w.key_scroll],
        ["Ctrl F", w.key_find],
        ["Ctrl K", w.key_search],
        ["Ctrl Shift S", w.sidebar],
        ["?", w.shortcuts],
      ];
      /** @param {MouseEvent} e */
      const close = (e) => e.target === this.$refs.sheet && this.$refs.sheet.close(); // the backdrop belongs to the dialog itself
      return h(
        "dialog",
        { class: "ws-header-sheet", ref: "sheet", "aria-label": w.shortcuts, onClick: close },
        [
          h("h2", w.shortcuts),
          h(
            "dl",
            rows.flatMap(([keys, what]) => [
              h(
                "dt",
                keys.split(" ").map((key) => h("kbd", key)),
              ),
              h("dd", what),
            ]),
          ),
          h("form", { method: "dialog" }, h("button", { class: "ws-button" }, w.close)),
        ],
      );
    },
    help() {
      this.$refs.sheet.showModal();
    },
    /** @param {KeyboardEvent} e */
    onKey(e) {
      if (e.key !== "?" || e.defaultPrevented || isTypedIn(e.target)) return;
      e.preventDefault();
      if (!this.$refs.sheet.open) this.help();
    },
  },
});
