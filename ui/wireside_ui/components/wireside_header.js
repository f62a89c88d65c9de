// The header: the name, the controls that the server adds, and those that work in the browser alone.
import { h } from "vue";

const ICONS = {
  sun: "M12 4V2m0 20v-2m8-8h2M2 12h2m13.7-5.7l1.4-1.4M4.9 19.1l1.4-1.4m11.4 0l1.4 1.4M4.9 4.9l1.4 1.4M16 12a4 4 0 11-8 0 4 4 0 018 0z",
  moon: "M20 14.5A8 8 0 019.5 4 8 8 0 1020 14.5z",
  auto: "M12 3a9 9 0 100 18V3z M12 3a9 9 0 010 18",
  compose: "M12 5H7a2 2 0 00-2 2v10a2 2 0 002 2h10a2 2 0 002-2v-5M10.500 13.500l.7-2.700 7.500-7.500a1.500 1.500 0 012 2l-7.500 7.500z",
  sidebar: "M4 5.500h16v13H4zM9.500 5.500v13",
  help: "M3 12a9 9 0 1018 0 9 9 0 10-18 0M9.6 9.4a2.5 2.5 0 014.9.7c0 1.700-2.500 2.100-2.500 3.700M12 16.900v.1",
};
const THEMES = ["system", "light", "dark"];

const icon = (name) =>
  h("svg", { viewBox: "0 0 24 24", width: 20, height: 20, class: "ws-icon", "aria-hidden": "true" }, h("path", { d: ICONS[name] }));

export default {
  props: { name: String, logo: String, base: String, words: Object },
  data: () => ({ theme: "system" }),
  render() {
    const w = this.words;
    const theme = `${w.theme}: ${w["theme_" + this.theme]}`;
    return h("header", { class: "ws-header", role: "banner" }, [
      h(
        "button",
        { type: "button", class: "ws-tool", "data-testid": "sidebar-toggle", "aria-label": w.sidebar, title: w.sidebar, onClick: this.toggleSidebar },
        icon("sidebar"),
      ),
      h("a", { class: "ws-brand", href: this.base + "/", onClick: this.newChat }, [
        h("img", { src: this.logo, alt: "", width: 28, height: 28 }),
        h("h1", this.name),
      ]),
      this.$slots.default?.(),
      h(
        "button",
        { type: "button", class: "ws-tool", "data-testid": "theme-toggle", "aria-label": theme, title: theme, onClick: this.nextTheme },
        icon({ system: "auto", light: "sun", dark: "moon" }[this.theme]),
      ),
      h(
        "button",
        { type: "button", class: "ws-tool ws-wide", "data-testid": "shortcuts", "aria-label": w.shortcuts, title: w.shortcuts, onClick: this.help },
        icon("help"),
      ),
      h(
        "a",
        { class: "ws-tool", href: this.base + "/", "data-testid": "new-chat", "aria-label": w.new_chat, title: w.new_chat, onClick: this.newChat },
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
      this.theme = window.wiresideTheme(THEMES[(THEMES.indexOf(this.theme) + 1) % THEMES.length]);
    },
    // changes the conversation without leaving the page; the browser handles clicks that open a new tab
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
      const close = (e) => e.target === this.$refs.sheet && this.$refs.sheet.close(); // the backdrop belongs to the dialog itself
      return h("dialog", { class: "ws-sheet", ref: "sheet", "aria-label": w.shortcuts, onClick: close }, [
        h("h2", w.shortcuts),
        h("dl", rows.flatMap(([keys, what]) => [h("dt", keys.split(" ").map((key) => h("kbd", key))), h("dd", what)])),
        h("form", { method: "dialog" }, h("button", { class: "ws-button" }, w.close)),
      ]);
    },
    help() {
      this.$refs.sheet.showModal();
    },
    onKey(e) {
      if (e.key !== "?" || e.defaultPrevented || e.target.closest?.("input, textarea, select, [contenteditable]")) return;
      e.preventDefault();
      if (!this.$refs.sheet.open) this.help();
    },
  },
};
