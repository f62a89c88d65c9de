// @ts-check
// The dialog of settings: those of this browser, what is stored for the user, and links to the account's page. A search
// shows the settings that it finds.
import { h } from "vue";
import { notifies, notifyingState } from "wireside-kit/attention.js";
import { showDialog } from "wireside-kit/dialogs.js";
import { icon } from "wireside-kit/icons.js";
import { loadPresets } from "wireside-kit/saved.js";
import { isFound, settingsOf } from "wireside-kit/all_settings.js";
import { memory } from "wireside-kit/storage.js";
import { isTouch } from "wireside-kit/viewport.js";
import { data } from "wireside-preferences/data.js";
import { rows } from "wireside-preferences/rows.js";

const HASH = "#settings"; // also "#settings/ID": `/settings` leads here where there are no accounts
const BY_BROWSER = ["appearance", "message_box", "announcements"];
const ANY_CONTROL = "input, select, button, a";

export default /** @satisfies {ComponentOptions<Preferences>} */ ({
  props: { base: String, words: Object, languages: Array, settings: Array },
  data: () => ({
    isOpen: false,
    query: "",
    textSize: "",
    density: "",
    accent: "",
    enterSends: true,
    readsOut: true,
    notifies: false,
    notifying: "",
    problem: "",
    isDeleting: false,
    typed: "",
    isBusy: false,
    done: "",
  }),
  computed: {
    /** @returns {Setting[]} */
    found() {
      const all = settingsOf(this.settings, this.words);
      return this.query.trim() ? all.filter((one) => isFound(one, this.query.trim())) : all;
    },
  },
  render() {
    const w = this.words;
    /** @param {MouseEvent} e */
    const outside = (e) => e.target === this.$refs.dialog && this.$refs.dialog.close();
    return h(
      "dialog",
      {
        ref: "dialog",
        class: "ws-kit-dialog ws-preferences",
        "aria-labelledby": "ws-preferences-title",
        "data-testid": "preferences",
        onClick: outside,
        onClose: () => (this.isOpen = false),
      },
      this.isOpen
        ? [
            h("div", { class: "ws-preferences-head" }, [
              h("h2", { id: "ws-preferences-title", tabindex: -1 }, w.preferences),
              h(
                "button",
                {
                  type: "button",
                  class: "ws-tool",
                  "aria-label": w.close,
                  title: w.close,
                  onClick: () => this.$refs.dialog.close(),
                },
                icon("close"),
              ),
              this.searchForm(),
            ]),
            h("div", { ref: "list", class: "ws-preferences-list" }, this.groups()),
          ]
        : [],
    );
  },
  mounted() {
    window.addEventListener("wireside:show", this.onShow);
    window.addEventListener("hashchange", this.onHash);
    this.onHash();
  },
  unmounted() {
    window.removeEventListener("wireside:show", this.onShow);
    window.removeEventListener("hashchange", this.onHash);
  },
  methods: {
    ...rows,
    ...data,

    searchForm() {
      const w = this.words;
      /** @param {SubmitEvent} e */
      const enter = (e) => {
        e.preventDefault();
        if (this.query.trim()) this.focusOn(this.found[0]?.id);
      };
      return h("form", { class: "ws-preferences-search", role: "search", onSubmit: enter }, [
        icon("search"),
        h("input", {
          ref: "search",
          type: "search",
          value: this.query,
          "aria-label": w.settings_search,
          placeholder: w.settings_search,
          maxlength: 100,
          autocomplete: "off",
          dir: this.query ? "auto" : undefined,
          "data-testid": "settings-search",
          onInput: (e) => (this.query = e.target.value),
          onKeydown: this.onSearchKey,
        }),
      ]);
    },

    groups() {
      const w = this.words;
      const names = [...new Set(this.found.map((one) => one.group))];
      const isNone = !this.found.length;
      const ofBrowser = BY_BROWSER.map((key) => w[key]);
      return [
        ...names.map((name) =>
          h("section", { key: name, class: "ws-preferences-group", "aria-label": name }, [
            h("h3", name),
            ...this.found
              .filter((one) => one.group === name)
              .map(({ id }) =>
                h("div", { key: id, class: "ws-preferences-setting", "data-setting": id }, [
                  this.row(id),
                ]),
              ),
          ]),
        ),
        h(
          "p",
          { class: ["ws-preferences-none", !isNone && "ws-unseen"], role: "status", dir: "auto" },
          isNone ? w.nothing_found.replace("{query}", () => this.query.trim()) : "",
        ),
        names.some((name) => ofBrowser.includes(name))
          ? h("p", { class: "ws-preferences-note" }, w.preferences_note)
          : null,
      ];
    },

    // Escape empties the box before it closes the dialog.
    /** @param {KeyboardEvent} e */
    onSearchKey(e) {
      if (e.key !== "Escape" || !this.query) return;
      e.preventDefault();
      e.stopPropagation();
      this.query = "";
    },

    /** @param {CustomEvent<string>} e "preferences", or "preferences/ID" for one of them */
    onShow(e) {
      const [name, id] = e.detail.split("/");
      if (name === "preferences") this.show(id);
    },

    onHash() {
      const [start, id] = location.hash.split("/");
      if (start !== HASH) return;
      history.replaceState(history.state, "", location.pathname + location.search);
      this.show(id);
    },

    /** @param {string} [id] of the setting that gets the focus */
    show(id) {
      this.read();
      this.query = this.problem = this.done = this.typed = "";
      this.isDeleting = false;
      this.isOpen = true;
      if (this.settings.includes("default_preset")) this.readPresets();
      showDialog(this.$refs.dialog);
      this.$nextTick(() => {
        if (id) this.focusOn(id);
        else if (isTouch())
          document.getElementById("ws-preferences-title")?.focus(); // no keyboard on the screen
        else this.$refs.search.focus();
      });
    },

    async readPresets() {
      await loadPresets(this.base);
    },

    /** @param {string | undefined} id */
    focusOn(id) {
      const setting = this.$refs.list.querySelector(`[data-setting="${CSS.escape(id ?? "")}"]`);
      const control =
        setting?.querySelector("input:checked") ?? setting?.querySelector(ANY_CONTROL);
      setting?.scrollIntoView({ block: "center" });
      control?.focus({ preventScroll: true });
    },

    read() {
      this.textSize = memory.readText("text_size");
      this.density = memory.readText("density");
      this.accent = memory.readText("accent");
      this.enterSends = memory.read("enter_sends", !isTouch());
      this.readsOut = memory.read("read_out", true);
      this.notifies = notifies();
      this.notifying = notifyingState();
    },

    /**
     * Stores a setting of this browser and tells the other components.
     * @param {string} key
     * @param {string} text
     */
    write(key, text) {
      memory.writeText(key, text);
      this.read();
      window.dispatchEvent(new CustomEvent("wireside:preferences"));
    },
  },
});
