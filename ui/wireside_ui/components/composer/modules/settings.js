// @ts-check
// The panel of model settings and preferences of this browser.
import { h } from "vue";
import { choice, currentModel, isChosenModelGone } from "wireside-kit/choice.js";
import * as drafts from "wireside-kit/drafts.js";
import { icon } from "wireside-kit/icons.js";
import { isComposing } from "wireside-kit/keyboard.js";
import { EFFORTS, numberOf } from "wireside-kit/model_settings.js";
import { memory } from "wireside-kit/storage.js";

/** @type {SettingName[]} */
export const SETTINGS = ["system", "temperature", "max_tokens", "effort"];
/** @type {("temperature" | "max_tokens")[]} */
export const LIMITED = ["temperature", "max_tokens"];
const CHOOSE_MS = 400; // delay between the last key in the settings and saving

/**
 * Converts the server's options to the fields of the panel.
 * @param {Partial<ModelOptions> | null | undefined} options
 */
export function fieldsOf(options) {
  const values = SETTINGS.map((name) => ({ name, value: options?.[name] ?? null }));
  const filled = values.filter(({ value }) => value !== null);
  return Object.fromEntries(filled.map(({ name, value }) => [name, String(value)]));
}

/** @satisfies {ThisType<Composer>} */
export const settings = {
  /**
   * Applies the model and settings of a conversation as stored by the server.
   * @param {string} id
   * @param {Partial<ModelOptions> | null | undefined} options
   */
  setChoice(id, options) {
    if (id !== this.id) return;
    this.isChoiceKnown = true;
    if (this.isChoiceNew) return; // this page has a newer choice, which has not been saved yet
    if (!options) return this.beginChoice();
    choice.model = options?.model || "";
    this.settings = fieldsOf(options);
    this.own = { [choice.model]: options.values ?? {} };
  },

  // The server stores those of a conversation; those of a new chat are stored in the tab until its first question.
  beginChoice() {
    const kept = this.isTemporary ? null : drafts.read("choice", "", { adopts: false });
    choice.model = kept?.model ?? memory.readText("model");
    this.settings = kept?.settings ?? {};
    this.own = kept?.own ?? {};
    if (!kept && this.beginning) this.applyPreset(this.beginning);
    this.isChoiceNew = false;
    this.isChoiceKnown = true;
  },

  onModel() {
    this.linkModel = ""; // the user has chosen another one
    if (isChosenModelGone()) choice.model = currentModel()?.id ?? "";
    if (!this.isTemporary) memory.writeText("model", choice.model); // the default for the next new chat
    this.keepChoice();
    this.syncChoice();
  },

  keepChoice() {
    this.isChoiceNew = true;
    if (!this.id && !this.isTemporary) {
      const { settings, own } = this;
      drafts.writeHere("choice", "", { model: choice.model, settings, own });
    }
  },

  // Saves the choice on the server; invalid settings are not sent.
  syncChoice() {
    clearTimeout(this.choosing);
    if (
      !this.isChoiceNew ||
      !this.id ||
      this.invalid ||
      this.ownProblem ||
      !window.socket?.connected
    )
      return;
    this.isChoiceNew = false;
    this.$emit("choose", { id: this.id, options: this.chosenOptions() });
  },

  chosenOptions() {
    const { temperature, max_tokens, system, effort } = this.settings;
    return {
      model: currentModel()?.id ?? (choice.model || null),
      system: system?.trim() ? system : null,
      temperature: numberOf("temperature", temperature) ?? null,
      max_tokens: numberOf("max_tokens", max_tokens) ?? null,
      effort: effort || null,
      values: this.ownValues(),
    };
  },

  /**
   * @param {SettingName} name
   * @param {string} value
   */
  set(name, value) {
    this.settings = { ...this.settings, [name]: value };
    this.changeSettings();
  },

  // Keeps what was typed and saves it a little later.
  changeSettings() {
    this.keepChoice();
    clearTimeout(this.choosing);
    this.choosing = setTimeout(this.syncChoice, CHOOSE_MS);
  },

  forgetSettings() {
    this.settings = {};
    this.own = {};
    this.typing = {};
    this.keepChoice();
    this.syncChoice();
    this.$refs.system.focus();
  },

  // The names of what differs from the default, which the button shows.
  changedSettings() {
    const w = this.words;
    const names = SETTINGS.filter((name) => String(this.settings[name] ?? "").trim());
    const own = Object.keys(this.ownTyped()).length > 0 ? [w.settings] : [];
    return [...names.map((name) => w[name]), ...own].join(" · ");
  },

  closeOptions() {
    const hadFocus = this.$refs.options.contains(document.activeElement);
    this.open = false;
    if (hadFocus) this.$refs.tune.focus();
  },

  /** @param {MouseEvent} e */
  onOutside(e) {
    if (this.promptList && !this.$el.contains(/** @type {Node} */ (e.target)))
      this.promptsLeft = this.text; // closes the list
    if (this.open && !this.$refs.options.contains(/** @type {Node} */ (e.target)))
      this.open = false;
    if (this.isGaugeOpen && !this.$refs.gauge.contains(/** @type {Node} */ (e.target)))
      this.isGaugeOpen = false;
  },

  options() {
    const w = this.words;
    /** @param {{ relatedTarget: Node | null }} e */
    const leave = (e) => {
      this.syncChoice(); // before a click that may send another question
      if (e.relatedTarget && !this.$refs.options.contains(e.relatedTarget)) this.open = false;
    };
    return h("div", { ref: "options", class: "ws-composer-options", onFocusout: leave }, [
      h(
        "button",
        {
          ref: "tune",
          type: "button",
          class: [
            this.hasSettings ? "ws-text-tool ws-composer-tune" : "ws-tool",
            this.hasSettings && "ws-composer-changed",
          ],
          "data-testid": "options",
          "aria-label": this.hasSettings ? `${w.settings}: ${this.changedSettings()}` : w.settings,
          title: this.hasSettings ? this.changedSettings() : w.settings,
          "aria-haspopup": "dialog",
          "aria-expanded": String(this.open),
          onClick: () => (this.open = !this.open),
        },
        [icon("tune"), this.hasSettings ? h("span", this.changedSettings()) : null],
      ),
      this.open ? this.panel() : null,
    ]);
  },

  panel() {
    const w = this.words;
    /**
     * @param {SettingName} name
     * @param {string} tag
     * @param {import("vue").Attributes} more
     */
    const field = (name, tag, more) =>
      h("label", [
        h("span", w[name]),
        h(tag, {
          ...more,
          ref: name,
          value: this.settings[name] ?? "",
          onInput: (e) => this.set(name, e.target.value),
        }),
      ]);
    /** @param {KeyboardEvent} e */
    const close = (e) =>
      e.key === "Enter" && !isComposing(e) && (e.preventDefault(), this.closeOptions());
    /**
     * Not of type "number", which returns an empty value for unparsable input.
     * @param {"temperature" | "max_tokens"} name
     */
    const number = (name) => {
      const isWrong = Number.isNaN(numberOf(name, this.settings[name]));
      return {
        type: "text",
        autocomplete: "off",
        placeholder: w.by_default,
        "aria-invalid": isWrong ? "true" : undefined,
        onKeydown: close,
      };
    };
    return h("div", { class: "ws-menu ws-panel", role: "dialog", "aria-label": w.settings }, [
      this.ownForm(),
      field("system", "textarea", {
        rows: 3,
        placeholder: w.system_placeholder,
        maxlength: 20000,
        dir: "auto",
      }),
      h("div", { class: "ws-composer-pair" }, [
        field("temperature", "input", { ...number("temperature"), inputmode: "decimal" }),
        field("max_tokens", "input", { ...number("max_tokens"), inputmode: "numeric" }),
      ]),
      h("div", { class: "ws-composer-pair" }, [this.effortField(), this.presetButton()]),
      this.invalid || this.ownProblem
        ? h(
            "p",
            { class: "ws-composer-field-error", role: "alert", "data-testid": "invalid-setting" },
            this.invalid ? w["invalid_" + this.invalid] : this.ownProblem,
          )
        : null,
      this.gaugeLines(),
      h("div", { class: "ws-composer-panel-foot" }, [
        h("small", w.settings_note),
        h(
          "button",
          {
            type: "button",
            class: "ws-button",
            disabled: !this.hasSettings,
            onClick: this.forgetSettings,
          },
          w.reset,
        ),
      ]),
    ]);
  },

  effortField() {
    const w = this.words;
    const options = EFFORTS.map((effort) => h("option", { value: effort }, w["effort_" + effort]));
    return h("label", [
      h("span", w.effort),
      h(
        "select",
        { value: this.settings.effort ?? "", onChange: (e) => this.set("effort", e.target.value) },
        [h("option", { value: "" }, w.by_default), ...options],
      ),
    ]);
  },
};
