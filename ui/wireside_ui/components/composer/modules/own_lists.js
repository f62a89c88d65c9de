// @ts-check
// Options that are lists: several of given choices, or entries that the user types.
import { h } from "vue";
import { ownNumber, withRange } from "wireside-composer/own_numbers.js";
import { choice, currentModel } from "wireside-kit/choice.js";
import { icon } from "wireside-kit/icons.js";
import { isComposing } from "wireside-kit/keyboard.js";

/** @param {OptionField} field */
export const isList = (field) => field.type === "choices" || field.type === "entries";

/**
 * Returns the list that a field shows: what was chosen, otherwise its default.
 *
 * @param {OptionField} field
 * @param {unknown} typed
 * @returns {unknown[]}
 */
function listOf(field, typed) {
  const shown = typed ?? field.default;
  return Array.isArray(shown) ? shown : [];
}

/** @satisfies {ThisType<Composer>} */
export const ownLists = {
  /**
   * The key of the entry that is being typed in `typing`.
   * @param {OptionField} field
   */
  typingKey(field) {
    return `${currentModel()?.id ?? choice.model} ${field.name}`;
  },

  /**
   * Returns the sentence for a list of the wrong length, or an entry that does not fit.
   *
   * @param {OptionField} field
   * @param {unknown} value undefined for the default
   */
  listProblem(field, value) {
    const wrong = field.item
      ? this.numberProblem(field, field.item, this.typing[this.typingKey(field)])
      : "";
    if (wrong || value === undefined) return wrong;
    const { length } = listOf(field, value);
    const fits = length >= (field.low ?? 0) && length <= (field.high ?? Infinity);
    if (fits) return "";
    const sentence = this.words.needs_entries.replace("{field}", () => field.label);
    return withRange(sentence, field);
  },

  /**
   * @param {OptionField} field
   * @param {import("vue").VNode | null} about
   */
  ownList(field, about) {
    const label = `ws-option-${field.name}`;
    return h(
      "div",
      {
        class: "ws-composer-own-field",
        role: "group",
        "aria-labelledby": label,
        "data-testid": `option-${field.name}`,
      },
      [
        h("span", { id: label, class: "ws-composer-own-label" }, field.label),
        field.type === "choices" ? this.ownChoices(field) : this.ownEntries(field),
        about,
      ],
    );
  },

  /** @param {OptionField} field */
  ownChoices(field) {
    const list = listOf(field, this.ownTyped()[field.name]);
    /** @param {unknown} value */
    const toggle = (value) => {
      const isOn = list.includes(value);
      const values = field.choices.map((each) => each.value); // keeps their order
      const next = values.filter((each) => (each === value ? !isOn : list.includes(each)));
      this.setOwn(field.name, next);
    };
    return h(
      "div",
      { class: "ws-composer-own-choices" },
      field.choices.map(({ value, label }, index) =>
        h("label", { key: index, class: "ws-composer-own-chip" }, [
          h("input", {
            type: "checkbox",
            checked: list.includes(value),
            onChange: () => toggle(value),
          }),
          h("span", { dir: "auto" }, label),
        ]),
      ),
    );
  },

  /** @param {OptionField} field */
  ownEntries(field) {
    const { item = { type: "text" } } = field;
    const list = listOf(field, this.ownTyped()[field.name]);
    const isNumber = item.type === "number";
    const text = this.typing[this.typingKey(field)] ?? "";
    return [
      list.length
        ? h(
            "ul",
            { class: "ws-composer-own-choices" },
            list.map((value, index) => this.ownEntry(field, list, { value, index })),
          )
        : null,
      h("input", {
        type: "text",
        autocomplete: "off",
        inputmode: isNumber ? "decimal" : undefined,
        enterkeyhint: "done",
        maxlength: item.maxChars ?? undefined,
        dir: isNumber ? undefined : "auto",
        value: text,
        placeholder: withRange(this.words.add_entry, isNumber ? item : {}),
        "aria-label": `${field.label}: ${this.words.add_entry}`,
        "aria-invalid": this.numberProblem(field, item, text) ? "true" : undefined,
        onInput: (e) => (this.typing = { ...this.typing, [this.typingKey(field)]: e.target.value }),
        onKeydown: (e) => {
          if (e.key !== "Enter" || isComposing(e)) return;
          e.preventDefault(); // else the question would be sent
          this.addEntry(field);
        },
        onBlur: () => this.addEntry(field),
      }),
    ];
  },

  /**
   * @param {OptionField} field
   * @param {unknown[]} list
   * @param {{ value: unknown, index: number }} entry
   */
  ownEntry(field, list, { value, index }) {
    const text = String(value);
    const remove = this.words.remove_file.replace("{name}", () => text);
    return h("li", { key: index, class: "ws-composer-own-chip" }, [
      h("span", { dir: "auto" }, text),
      h(
        "button",
        {
          type: "button",
          class: "ws-composer-chip-remove",
          "aria-label": remove,
          title: remove,
          onClick: (e) => {
            e.currentTarget.closest('[role="group"]')?.querySelector("input")?.focus(); // this button disappears
            this.setOwn(
              field.name,
              list.filter((_, other) => other !== index),
            );
          },
        },
        icon("close"),
      ),
    ]);
  },

  /** @param {OptionField} field */
  addEntry(field) {
    const key = this.typingKey(field);
    const text = (this.typing[key] ?? "").trim();
    const value = field.item?.type === "number" ? ownNumber(field.item, text) : text;
    if (!text || Number.isNaN(value)) return; // what is not a number is shown as invalid
    const list = listOf(field, this.ownTyped()[field.name]);
    this.typing = { ...this.typing, [key]: "" };
    if (!field.isUnique || !list.includes(value)) this.setOwn(field.name, [...list, value]);
  },
};
