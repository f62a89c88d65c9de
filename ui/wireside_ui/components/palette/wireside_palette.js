// @ts-check
// The command palette: a box that filters conversations, models, presets, prompts and commands. The focus stays in
// the box; the arrow keys move through the list.
import { h } from "vue";
import { showDialog } from "wireside-kit/dialogs.js";
import { icon } from "wireside-kit/icons.js";
import { isComposing } from "wireside-kit/keyboard.js";
import { loadPresets, loadPrompts } from "wireside-kit/saved.js";
import { commands } from "wireside-palette/commands.js";
import { found } from "wireside-palette/found.js";

const LIST = "ws-palette-list";
const MAX_OF_GROUP = 8;
const MAX_FOUND = 50; // of a group; more would make each key slow

export default /** @satisfies {ComponentOptions<Palette>} */ ({
  props: { base: String, words: Object, isReader: Boolean, links: Array, settings: Array },
  data: () => ({
    query: "",
    at: 0,
    isOpen: false,
    isEntered: false,
    conversations: [],
    conversationsOf: null,
  }),
  computed: {
    // What matches each word of the query, conversations as the server has found them.
    entries() {
      const wanted = this.query.toLocaleLowerCase().split(/\s+/).filter(Boolean);
      /** @param {PaletteEntry} entry */
      const matches = ({ label, also = "" }) =>
        wanted.every((word) => `${label} ${also}`.toLocaleLowerCase().includes(word));
      const others = [
        ...this.commandEntries(),
        ...this.choiceEntries(),
        ...this.settingEntries(),
      ].filter(matches);
      return wanted.length
        ? [...others, ...this.conversationEntries()]
        : [...this.conversationEntries(), ...others];
    },
    groups() {
      /** @type {Map<string, PaletteEntry[]>} */
      const byName = new Map();
      for (const entry of this.entries)
        byName.get(entry.group)?.push(entry) ?? byName.set(entry.group, [entry]);
      let at = 0;
      return [...byName].map(([name, entries]) => ({
        name,
        entries: entries
          .slice(0, this.query.trim() || name === this.words.commands ? MAX_FOUND : MAX_OF_GROUP)
          .map((entry) => ({ entry, at: at++ })),
      }));
    },
  },
  mounted() {
    document.addEventListener("keydown", this.onPageKey);
    window.addEventListener("wireside:palette", this.show);
  },
  unmounted() {
    document.removeEventListener("keydown", this.onPageKey);
    window.removeEventListener("wireside:palette", this.show);
    clearTimeout(this.searching);
  },
  render() {
    const w = this.words;
    /** @param {MouseEvent} e */
    const outside = (e) => e.target === this.$refs.dialog && this.close();
    const isEmpty = !this.entries.length && this.conversationsOf === this.query.trim();
    return h(
      "dialog",
      {
        ref: "dialog",
        class: "ws-kit-dialog ws-palette",
        "aria-label": w.palette,
        "data-testid": "palette",
        onClick: outside,
        onClose: () => (this.isOpen = this.isEntered = false),
      },
      this.isOpen
        ? [
            h("div", { class: "ws-palette-head" }, [
              icon("search"),
              h("input", {
                ref: "input",
                value: this.query,
                role: "combobox",
                "aria-label": w.palette,
                "aria-expanded": "true",
                "aria-controls": LIST,
                "aria-autocomplete": "list",
                "aria-activedescendant": this.entries.length ? `${LIST}-${this.at}` : undefined,
                placeholder: w.palette_hint,
                maxlength: 200,
                autocomplete: "off",
                dir: this.query ? "auto" : undefined,
                "data-testid": "palette-box",
                onInput: (e) => this.setQuery(e.target.value),
                onKeydown: this.onKey,
              }),
            ]),
            h(
              "div",
              {
                ref: "list",
                id: LIST,
                class: "ws-palette-list",
                role: "listbox",
                "aria-label": w.palette,
                tabindex: -1,
              },
              this.groups.map(({ name, entries }) =>
                h("div", { key: name, role: "group", "aria-label": name }, [
                  h("div", { class: "ws-palette-group", "aria-hidden": "true" }, name),
                  ...entries.map(this.row),
                ]),
              ),
            ),
            h(
              "p",
              { class: ["ws-palette-none", !isEmpty && "ws-unseen"], role: "status", dir: "auto" },
              isEmpty ? w.nothing_found.replace("{query}", () => this.query.trim()) : "",
            ),
          ]
        : [],
    );
  },
  methods: {
    ...commands,
    ...found,

    /** @param {{ entry: PaletteEntry; at: number }} row */
    row({ entry, at }) {
      return h(
        "div",
        {
          key: entry.key,
          id: `${LIST}-${at}`,
          class: "ws-palette-entry",
          role: "option",
          "aria-selected": String(at === this.at),
          "data-testid": "palette-entry",
          onClick: () => this.close(entry.run),
        },
        [
          h("span", { class: "ws-palette-label", dir: "auto" }, entry.label),
          entry.line ? h("small", { class: "ws-palette-line", dir: "auto" }, entry.line) : null,
        ],
      );
    },

    /** @param {KeyboardEvent} e */
    onPageKey(e) {
      const isKey = (e.ctrlKey || e.metaKey) && !e.altKey && !e.shiftKey;
      if (!isKey || e.key.toLowerCase() !== "k") return;
      e.preventDefault();
      if (this.isOpen) this.close();
      else if (!document.querySelector("dialog[open]")) this.show();
    },

    show() {
      this.query = "";
      this.at = 0;
      this.conversationsOf = null;
      this.isEntered = false;
      this.isOpen = true;
      showDialog(this.$refs.dialog);
      this.$nextTick(() => this.$refs.input.focus());
      this.readConversations();
      loadPrompts(this.base);
      loadPresets(this.base);
    },

    /** @param {() => void} [then] called when the focus is back in the page */
    close(then) {
      const { dialog } = this.$refs;
      if (then) dialog.addEventListener("close", () => then(), { once: true });
      dialog.close();
    },

    /** @param {string} query */
    setQuery(query) {
      this.query = query;
      this.isEntered = false;
      this.move(0);
      this.lookForConversations();
    },

    rows() {
      return this.groups.flatMap((group) => group.entries);
    },

    markedEntry() {
      return this.rows()[this.at]?.entry;
    },

    // Keeps an entry marked when others have come in above it.
    /** @param {string} key */
    mark(key) {
      this.move(
        Math.max(
          0,
          this.rows().findIndex(({ entry }) => entry.key === key),
        ),
      );
    },

    /** @param {number} at */
    move(at) {
      this.at = at;
      this.$nextTick(() =>
        this.$refs.list
          ?.querySelector("[aria-selected=true]")
          ?.scrollIntoView({ block: "nearest" }),
      );
    },

    /** @param {KeyboardEvent} e */
    onKey(e) {
      if (isComposing(e)) return;
      const rows = this.rows();
      const to = {
        ArrowDown: (this.at + 1) % rows.length,
        ArrowUp: (this.at + rows.length - 1) % rows.length,
      }[e.key];
      if (e.key === "Enter" && rows[this.at]) this.close(rows[this.at].entry.run);
      else if (e.key === "Enter") this.isEntered = this.conversationsOf !== this.query.trim();
      else if (to !== undefined && rows.length) this.move(to);
      else return;
      e.preventDefault();
    },
  },
});
