// @ts-check
// The options of the chosen model's own, which its handler describes: a form in the panel of settings.
import { h } from "vue";
import { isList, ownLists } from "wireside-composer/own_lists.js";
import { ownNumber, range, withRange } from "wireside-composer/own_numbers.js";
import { choice, currentModel } from "wireside-kit/choice.js";

// The fields of the chosen model.
export const ownFields = () => currentModel()?.options ?? [];

/**
 * Returns the value of a field to send; undefined for the default.
 *
 * @param {OptionField} field
 * @param {unknown} typed
 */
function valueOf(field, typed) {
  if (isList(field)) return typed ?? (field.required ? [] : undefined);
  if (typed === undefined || typed === null) return undefined;
  if (field.type === "number") return ownNumber(field, typed);
  if (field.type === "text" && !String(typed).trim() && !field.default) return undefined;
  return typed;
}

/** @satisfies {ThisType<Composer>} */
export const ownOptions = {
  ...ownLists,

  /**
   * What is typed for the chosen model, by field; `own` has it by model.
   * @returns {Record<string, unknown>}
   */
  ownTyped() {
    const typed = this.own[currentModel()?.id ?? choice.model];
    return typed ?? (choice.model ? {} : this.own[""]) ?? {}; // "" is the default model
  },

  // Returns the values to send, null for none.
  ownValues() {
    const typed = this.ownTyped();
    if (!choice.offered.length) return Object.keys(typed).length ? typed : null; // as stored
    /** @type {Record<string, unknown>} */
    const values = {};
    for (const field of ownFields()) {
      const value = valueOf(field, typed[field.name]);
      if (value !== undefined) values[field.name] = value;
    }
    return Object.keys(values).length ? values : null;
  },

  // Returns the sentence for the first field that can't be sent, "" if all can.
  ownProblemText() {
    const typed = this.ownTyped();
    for (const field of ownFields()) {
      const problem = isList(field)
        ? this.listProblem(field, valueOf(field, typed[field.name]))
        : this.numberProblem(field, field, typed[field.name]);
      if (problem) return problem;
    }
    return "";
  },

  /**
   * Returns the sentence for a text that is not the number wanted.
   *
   * @param {OptionField} field
   * @param {OptionItem} wanted the field, or the entries of its list
   * @param {unknown} text
   */
  numberProblem(field, wanted, text) {
    if (wanted.type !== "number" || !Number.isNaN(ownNumber(wanted, text))) return "";
    const sentence = this.words[wanted.isWhole ? "needs_whole_number" : "needs_number"];
    return withRange(
      sentence.replace("{field}", () => field.label),
      wanted,
    );
  },

  /**
   * @param {string} name
   * @param {unknown} value
   */
  setOwn(name, value) {
    const model = currentModel()?.id ?? "";
    const typed = { ...this.ownTyped(), [name]: value };
    if (value === undefined || value === "") delete typed[name];
    this.own = { ...this.own, [model]: typed };
    this.changeSettings();
  },

  ownForm() {
    const fields = ownFields();
    if (!fields.length) return null;
    const title = this.words.own_options.replace("{model}", () => currentModel()?.name ?? "");
    return h("fieldset", { class: "ws-composer-own", "data-testid": "own-options" }, [
      h("legend", title),
      ...fields.map((field) => this.ownField(field)),
    ]);
  },

  /** @param {OptionField} field */
  ownField(field) {
    const about = field.about ? h("small", field.about) : null;
    if (isList(field)) return this.ownList(field, about);
    const control = this.ownControl(field);
    if (field.type === "switch")
      return h("div", { class: "ws-composer-own-field" }, [
        h("label", { class: "ws-composer-choice" }, [control, h("span", field.label)]),
        about,
      ]);
    return h("label", { class: "ws-composer-own-field" }, [h("span", field.label), control, about]);
  },

  /** @param {OptionField} field */
  ownControl(field) {
    const { name } = field;
    const typed = this.ownTyped()[name];
    const shared = { key: name, name, "data-testid": `option-${name}` };
    if (field.type === "switch")
      return h("input", {
        ...shared,
        type: "checkbox",
        checked: Boolean(typed ?? field.default),
        onChange: (e) => this.setOwn(name, e.target.checked),
      });
    if (field.type === "choice") return this.ownSelect(field, typed, shared);
    const isNumber = field.type === "number";
    return h("input", {
      ...shared,
      type: "text",
      autocomplete: "off",
      inputmode: isNumber
        ? field.isWhole && (field.low ?? -1) >= 0
          ? "numeric"
          : "decimal"
        : undefined,
      maxlength: field.maxChars ?? undefined,
      dir: isNumber ? undefined : "auto",
      required: field.required,
      value: typed ?? "",
      placeholder: String(field.default ?? (isNumber ? range(field) : "")),
      "aria-invalid": isNumber && Number.isNaN(ownNumber(field, typed)) ? "true" : undefined,
      onInput: (e) => this.setOwn(name, e.target.value),
    });
  },

  /**
   * @param {OptionField} field
   * @param {unknown} typed
   * @param {object} shared attributes
   */
  ownSelect(field, typed, shared) {
    const shown = typed ?? field.default;
    const hasDefault = field.choices.some(({ value }) => value === field.default);
    const options = field.choices.map(({ value, label }, index) =>
      h("option", { value: index, selected: value === shown }, label),
    );
    // without a default among the choices there is an empty one
    if (!hasDefault) options.unshift(h("option", { value: "", selected: shown == null }, "–"));
    return h(
      "select",
      {
        ...shared,
        onChange: (e) =>
          this.setOwn(field.name, field.choices[Number(e.target.value || NaN)]?.value),
      },
      options,
    );
  },
};
