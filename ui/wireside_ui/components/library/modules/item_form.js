// @ts-check
// The form of one prompt, or of one preset.
import { h } from "vue";
import { choice } from "wireside-kit/choice.js";
import { EFFORTS, numberOf } from "wireside-kit/model_settings.js";

/** @type {PresetOptions} */
const NOTHING = {
  model: null,
  system: null,
  temperature: null,
  max_tokens: null,
  effort: null,
  values: null,
};

/**
 * Returns the options of a preset without its other fields.
 * @param {PresetOptions} preset
 * @returns {PresetOptions}
 */
function optionsOf({ model, system, temperature, max_tokens, effort, values }) {
  return { model, system, temperature, max_tokens, effort, values };
}

/** @satisfies {ThisType<LibraryDialog>} */
export const form = {
  formTitle() {
    const w = this.words;
    if (this.isPresets) return this.form?.id ? w.edit_preset : w.new_preset;
    return this.form?.id ? w.edit_prompt : w.new_prompt;
  },

  /**
   * @param {Prompt | Preset | null} item null for a new one
   * @param {PresetOptions} [options] those of a new preset
   */
  startForm(item, options = NOTHING) {
    const chosen = item && "system" in item ? item : options;
    this.problem = this.note = "";
    this.form = {
      id: item?.id ?? "",
      name: item?.name ?? "",
      shared: item?.shared ?? false,
      text: item && "text" in item ? item.text : "",
      options: optionsOf(chosen),
      temperature: String(chosen.temperature ?? ""),
      max_tokens: String(chosen.max_tokens ?? ""),
    };
    this.before = JSON.stringify(this.form);
    this.leaving = "";
    this.$nextTick(() => this.$refs.name?.focus());
  },

  leaveForm() {
    this.form = null;
    this.problem = "";
    this.$nextTick(() => this.$refs.fresh?.focus());
  },

  formBody() {
    const w = this.words;
    const form = /** @type {LibraryForm} */ (this.form);
    const attributes = {
      class: "ws-library-body ws-library-form",
      onSubmit: this.save,
      onInput: () => (this.leaving = ""),
    };
    return h("form", attributes, [
      h("label", [
        h("span", w.prompt_name),
        h("input", {
          ref: "name",
          value: form.name,
          required: true,
          maxlength: 100,
          dir: "auto",
          autocomplete: "off",
          onInput: (e) => (form.name = e.target.value),
        }),
      ]),
      ...(this.isPresets ? this.presetFields() : this.promptFields()),
      this.canShare
        ? h("label", { class: "ws-library-check" }, [
            h("input", {
              type: "checkbox",
              checked: form.shared,
              onChange: (e) => (form.shared = e.target.checked),
            }),
            h("span", w.share_with_all),
          ])
        : null,
      this.invalid ? h("p", { class: "ws-library-problem", role: "alert" }, this.invalid) : null,
      h("div", { class: "ws-library-foot" }, [
        h(
          "button",
          {
            type: "submit",
            class: "ws-button ws-strong",
            disabled: this.isBusy || Boolean(this.invalid),
          },
          w.save,
        ),
        this.leaving ? this.discardButton(this.leaving) : this.cancelButton(),
      ]),
    ]);
  },

  cancelButton() {
    const attributes = { key: "cancel", type: "button", class: "ws-button" };
    return h("button", { ...attributes, onClick: this.leaveForm }, this.words.cancel);
  },

  /** @param {"list" | "close"} to */
  discardButton(to) {
    return h(
      "button",
      {
        key: "discard",
        type: "button",
        class: "ws-button ws-library-remove",
        "data-testid": "library-discard",
        onVnodeMounted: (/** @type {any} */ node) => node.el.focus(),
        onClick: () => this.leave(to),
      },
      this.words.discard_sure,
    );
  },

  promptFields() {
    const w = this.words;
    const form = /** @type {LibraryForm} */ (this.form);
    return [
      h("label", [
        h("span", w.prompt_text),
        h("textarea", {
          value: form.text,
          required: true,
          rows: 8,
          maxlength: 20000,
          dir: "auto",
          "aria-describedby": "ws-library-hint",
          onInput: (e) => (form.text = e.target.value),
        }),
      ]),
      h("p", { id: "ws-library-hint", class: "ws-library-hint" }, w.prompt_hint),
    ];
  },

  presetFields() {
    const w = this.words;
    const { form } = this;
    if (!form) return [];
    const { options } = form;
    /**
     * @param {string} label
     * @param {"model" | "effort"} name
     * @param {[value: string, label: string][]} choices
     */
    const select = (label, name, choices) =>
      h("label", [
        h("span", label),
        h(
          "select",
          {
            value: options[name] ?? "",
            onChange: (e) => (options[name] = e.target.value || null),
          },
          [["", w.by_default], ...choices].map(([value, text]) => h("option", { value }, text)),
        ),
      ]);
    /**
     * @param {string} label
     * @param {"temperature" | "max_tokens"} name
     */
    const number = (label, name) =>
      h("label", [
        h("span", label),
        h("input", {
          value: form[name],
          inputmode: name === "temperature" ? "decimal" : "numeric",
          placeholder: w.by_default,
          autocomplete: "off",
          onInput: (e) => (form[name] = e.target.value),
        }),
      ]);
    /** @type {[string, string][]} */
    const models = choice.offered.map((model) => [model.id, model.name]);
    if (options.model && !models.some(([id]) => id === options.model))
      models.push([options.model, options.model]);
    return [
      select(w.model, "model", models),
      h("label", [
        h("span", w.system),
        h("textarea", {
          value: options.system ?? "",
          rows: 4,
          maxlength: 20000,
          placeholder: w.system_placeholder,
          dir: "auto",
          onInput: (e) => (options.system = e.target.value || null),
        }),
      ]),
      h("div", { class: "ws-library-pair" }, [
        number(w.temperature, "temperature"),
        number(w.max_tokens, "max_tokens"),
      ]),
      select(
        w.effort,
        "effort",
        EFFORTS.map((effort) => [effort, w["effort_" + effort]]),
      ),
      options.values ? h("p", { class: "ws-library-hint" }, w.preset_values) : null,
    ];
  },

  /** @param {SubmitEvent} e */
  async save(e) {
    e.preventDefault();
    const { form } = this;
    if (!form || this.invalid) return;
    const { id, name, shared, text } = form;
    const options = {
      ...form.options,
      temperature: numberOf("temperature", form.temperature) ?? null,
      max_tokens: numberOf("max_tokens", form.max_tokens) ?? null,
    };
    const content = this.isPresets ? (id ? { options } : options) : { text };
    const share = this.canShare ? { shared } : {};
    const { problem, data } = await this.send(id ? `/${id}` : "", id ? "PATCH" : "POST", {
      name,
      ...share,
      ...content,
    });
    if (problem !== null || !data) return;
    await this.load();
    this.leaveForm();
  },
};
