// @ts-check
// The rows of the dialog of settings: a control for each setting of the browser and of the user.
import { h } from "vue";
import { allowNotifying } from "wireside-kit/attention.js";
import { languageChoice, themeChoice } from "wireside-kit/choices.js";
import { icon } from "wireside-kit/icons.js";
import { ask, explain, saved } from "wireside-kit/saved.js";

const ACCENTS = ["", "teal", "green", "orange", "red", "pink", "violet", "grey"];

/** @satisfies {ThisType<Preferences>} */
export const rows = {
  /** @param {string} id of a setting */
  row(id) {
    const w = this.words;
    switch (id) {
      case "theme":
        return this.choice(w.theme, themeChoice(w, "dialog"));
      case "accent":
        return this.choice(w.accent, this.accents());
      case "text_size":
        return this.segments("text_size", ["small", "", "large", "larger"], this.textSize);
      case "density":
        return this.segments("density", ["", "compact"], this.density);
      case "language":
        return languageChoice(w, this.languages, this.base);
      case "enter_sends":
        return this.box("enter-sends", w.enter_sends, this.enterSends, (isOn) =>
          this.write("enter_sends", String(isOn)),
        );
      case "default_preset":
        return this.presetChoice();
      case "read_out":
        return this.box("read-out", w.read_out, this.readsOut, (isOn) =>
          this.write("read_out", String(isOn)),
        );
      case "notify":
        return this.notifyBox();
      case "export_all":
        return this.exportRow();
      case "import":
        return this.importRow();
      case "delete_all":
        return this.deleteRow();
      default:
        return this.linkRow(id);
    }
  },

  /**
   * A label above a control that has it as its name.
   * @param {string} label
   * @param {import("vue").VNode} control
   */
  choice(label, control) {
    return h("div", { class: "ws-preferences-choice" }, [
      h("span", { "aria-hidden": "true" }, label),
      control,
    ]);
  },

  /**
   * @param {"text_size" | "density"} key
   * @param {string[]} values
   * @param {string} chosen
   */
  segments(key, values, chosen) {
    const w = this.words;
    return this.choice(
      w[key],
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
    );
  },

  accents() {
    const w = this.words;
    return h(
      "fieldset",
      { class: "ws-preferences-accents", role: "radiogroup", "data-testid": "accent" },
      [
        h("legend", { class: "ws-unseen" }, w.accent),
        ...ACCENTS.map((value) => {
          const name = w[`accent_${value || "default"}`];
          return h("label", { title: name }, [
            h("input", {
              type: "radio",
              name: "accent",
              value,
              "aria-label": name,
              checked: value === this.accent,
              onChange: () => this.write("accent", value),
            }),
            h(
              "span",
              { class: "ws-preferences-swatch", "data-accent": value, "aria-hidden": "true" },
              value === this.accent ? icon("check") : value ? null : icon("auto"),
            ),
          ]);
        }),
      ],
    );
  },

  /**
   * @param {string} testid
   * @param {string} label
   * @param {boolean} isOn
   * @param {(isOn: boolean) => unknown} change
   * @param {boolean} [isOff] it can't be changed
   */
  box(testid, label, isOn, change, isOff = false) {
    return h("label", { class: "ws-preferences-box" }, [
      h("input", {
        type: "checkbox",
        "data-testid": testid,
        checked: isOn,
        disabled: isOff,
        onChange: (e) => change(e.target.checked),
      }),
      h("span", label),
    ]);
  },

  // The permission is asked for at the moment of the click; what the browser refuses is explained.
  notifyBox() {
    const w = this.words;
    const reason = { "": "", refused: w.notify_refused, unavailable: w.notify_unavailable }[
      this.notifying
    ];
    return h("div", [
      // another element after a refusal: the browser has ticked the present one
      h("div", { key: `${this.notifying} ${this.notifies}` }, [
        this.box("notify", w.notify, this.notifies, this.setNotifying, Boolean(reason)),
      ]),
      h("p", { class: "ws-preferences-note", role: "status" }, reason),
    ]);
  },

  /** @param {boolean} isOn */
  async setNotifying(isOn) {
    const isAllowed = isOn && (await allowNotifying(this.words.notify_on));
    this.write("notify", String(isAllowed));
    if (isOn && !isAllowed && !this.notifying) this.notifying = "refused"; // asked and not answered
  },

  presetChoice() {
    const w = this.words;
    /**
     * @param {string} value
     * @param {string} name
     */
    const option = (value, name) =>
      h("option", { value, selected: value === (saved.defaultPreset ?? "") }, name);
    return h("div", [
      saved.presets.length
        ? h("label", { class: "ws-kit-row" }, [
            h("span", w.default_preset),
            h(
              "select",
              {
                "data-testid": "default-preset",
                dir: "auto",
                onChange: (e) => this.setPreset(e.target.value || null),
              },
              [option("", w.by_default), ...saved.presets.map(({ id, name }) => option(id, name))],
            ),
          ])
        : [
            this.button("new-preset", w.default_preset, w.manage_presets, () =>
              this.leaveTo("wireside:library", { kind: "presets" }),
            ),
            saved.isLoaded ? h("p", { class: "ws-preferences-note" }, w.no_presets) : null,
          ],
      h("p", { class: "ws-preferences-problem", role: "status" }, this.problem),
    ]);
  },

  /** @param {string | null} preset */
  async setPreset(preset) {
    const { problem } = await ask(`${this.base}/api/presets/default`, "PUT", { preset });
    this.problem = problem ? explain(problem, this.words) : "";
    await this.readPresets();
  },

  /**
   * A row with a button.
   * @param {string} testid
   * @param {string} label
   * @param {string} text
   * @param {() => void} run
   */
  button(testid, label, text, run) {
    return h("div", { class: "ws-kit-row" }, [
      h("span", label),
      h(
        "button",
        {
          type: "button",
          class: "ws-button",
          "aria-label": `${text}: ${label}`,
          "data-testid": testid,
          onClick: run,
        },
        text,
      ),
    ]);
  },

  /** @param {string} id of a part of the account's page */
  linkRow(id) {
    const w = this.words;
    const label = id === "account" ? w.account_page : w[`account_${id}`];
    const href = `${this.base}/settings${id === "account" ? "" : `#${id}`}`;
    return h("a", { class: "ws-preferences-link", href, "data-testid": `settings-${id}` }, [
      h("span", label),
      icon("next"),
    ]);
  },

  /**
   * Closes the dialog, and tells another component what is next.
   * @param {string} event
   * @param {unknown} [detail]
   */
  leaveTo(event, detail) {
    const { dialog } = this.$refs;
    const tell = () => window.dispatchEvent(new CustomEvent(event, { detail }));
    dialog.addEventListener("close", tell, { once: true });
    dialog.close();
  },
};
