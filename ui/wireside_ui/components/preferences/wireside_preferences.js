// @ts-check
// The dialog of preferences. They are stored in this browser and apply to all of its pages.
import { h } from "vue";
import { allowNotifying, canNotify, notifies } from "wireside-kit/attention.js";
import { languageChoice, themeChoice } from "wireside-kit/choices.js";
import { memory } from "wireside-kit/storage.js";
import { isTouch } from "wireside-kit/viewport.js";

export default /** @satisfies {ComponentOptions<Preferences>} */ ({
  props: { base: String, words: Object, languages: Array },
  data: () => ({
    isOpen: false,
    textSize: "",
    density: "",
    enterSends: true,
    readsOut: true,
    notifies: false,
    isNotifyingRefused: false,
  }),
  render() {
    const w = this.words;
    /** @param {MouseEvent} e */
    const close = (e) => e.target === this.$refs.dialog && this.$refs.dialog.close();
    return h(
      "dialog",
      {
        ref: "dialog",
        class: "ws-kit-dialog ws-preferences",
        "aria-label": w.preferences,
        "data-testid": "preferences",
        onClick: close,
        onClose: () => (this.isOpen = false),
      },
      this.isOpen
        ? [
            h("h2", w.preferences),
            h("h3", w.appearance),
            themeChoice(w, "dialog"),
            this.segments("text_size", ["small", "", "large", "larger"], this.textSize),
            this.segments("density", ["", "compact"], this.density),
            languageChoice(w, this.languages, this.base),
            h("h3", w.message_box),
            this.box("enter-sends", w.enter_sends, this.enterSends, (isOn) =>
              this.write("enter_sends", String(isOn)),
            ),
            h("h3", w.announcements),
            this.box("read-out", w.read_out, this.readsOut, (isOn) =>
              this.write("read_out", String(isOn)),
            ),
            canNotify() ? this.box("notify", w.notify, this.notifies, this.setNotifying) : null,
            this.isNotifyingRefused
              ? h("p", { class: "ws-preferences-note", role: "status" }, w.notify_refused)
              : null,
            h("p", { class: "ws-preferences-note" }, w.preferences_note),
            h("form", { method: "dialog" }, h("button", { class: "ws-button" }, w.close)),
          ]
        : [],
    );
  },
  mounted() {
    window.addEventListener("wireside:show", this.onShow);
  },
  unmounted() {
    window.removeEventListener("wireside:show", this.onShow);
  },
  methods: {
    /** @param {CustomEvent<string>} e */
    onShow(e) {
      if (e.detail !== "preferences") return;
      this.read();
      this.isOpen = true;
      this.$nextTick(() => this.$refs.dialog.open || this.$refs.dialog.showModal());
    },

    read() {
      this.textSize = memory.readText("text_size");
      this.density = memory.readText("density");
      this.enterSends = memory.read("enter_sends", !isTouch());
      this.readsOut = memory.read("read_out", true);
      this.notifies = notifies();
      this.isNotifyingRefused = false;
    },

    /**
     * Stores a preference and tells the other components.
     * @param {string} key
     * @param {string} text
     */
    write(key, text) {
      memory.writeText(key, text);
      this.read();
      window.dispatchEvent(new CustomEvent("wireside:preferences"));
    },

    /** @param {boolean} isOn */
    async setNotifying(isOn) {
      const isAllowed = isOn && (await allowNotifying());
      this.write("notify", String(isAllowed));
      this.isNotifyingRefused = isOn && !isAllowed;
    },

    /**
     * @param {"text_size" | "density"} key
     * @param {string[]} values
     * @param {string} chosen
     */
    segments(key, values, chosen) {
      const w = this.words;
      return h("div", { class: "ws-preferences-choice" }, [
        h("span", { "aria-hidden": "true" }, w[key]),
        h("fieldset", { class: "ws-kit-segments", role: "radiogroup", "data-testid": key }, [
          h("legend", w[key]),
          ...values.map((value) =>
            h("label", [
              h("input", {
                type: "radio",
                name: key,
                value,
                checked: value === chosen,
                onChange: () => this.write(key, value),
              }),
              h("span", w[`${key}_${value || "normal"}`]),
            ]),
          ),
        ]),
      ]);
    },

    /**
     * @param {string} testid
     * @param {string} label
     * @param {boolean} isOn
     * @param {(isOn: boolean) => unknown} change
     */
    box(testid, label, isOn, change) {
      return h("label", { class: "ws-preferences-box" }, [
        h("input", {
          type: "checkbox",
          "data-testid": testid,
          checked: isOn,
          onChange: (e) => change(e.target.checked),
        }),
        h("span", label),
      ]);
    },
  },
});
