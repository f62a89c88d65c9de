// @ts-check
// Presets: a model and settings by a name, for a new chat or from the next answer on.
import { h } from "vue";
import { choice } from "wireside-kit/choice.js";
import { saved } from "wireside-kit/saved.js";
import { fieldsOf } from "wireside-composer/settings.js";

/** @param {PresetOptions} one */
const identity = (one) =>
  JSON.stringify([
    one.model,
    one.system,
    one.temperature,
    one.max_tokens,
    one.effort,
    one.values && Object.entries(one.values).sort(),
  ]);

/** @satisfies {ThisType<Composer>} */
export const presets = {
  /** @param {CustomEvent<PresetOptions>} e */
  onPreset(e) {
    if (this.isReader) return;
    this.applyPreset(e.detail);
    this.keepChoice();
    this.syncChoice();
    this.$refs.box.focus({ preventScroll: true });
  },

  /**
   * Shows the model and settings of a preset; a preset without a model keeps the chosen one.
   * @param {PresetOptions} preset
   */
  applyPreset(preset) {
    if (preset.model) choice.model = preset.model;
    this.settings = fieldsOf(preset);
    this.own = preset.values ? { [choice.model]: { ...preset.values } } : {};
    this.typing = {};
  },

  // Tells the picker which preset is shown.
  notePreset() {
    const shown = this.invalid ? null : this.chosenOptions();
    const found =
      shown &&
      saved.presets.find(
        (one) => identity({ ...one, model: one.model ?? shown.model }) === identity(shown),
      );
    choice.preset = found?.name ?? "";
  },

  presetButton() {
    const options = () => ({ ...this.chosenOptions() });
    const save = () => {
      this.open = false;
      const detail = { kind: "presets", options: options() };
      window.dispatchEvent(new CustomEvent("wireside:library", { detail }));
    };
    return h(
      "button",
      {
        type: "button",
        class: "ws-button",
        "data-testid": "save-preset",
        disabled: Boolean(this.invalid || this.ownProblem),
        onClick: save,
      },
      this.words.save_as_preset,
    );
  },
};
