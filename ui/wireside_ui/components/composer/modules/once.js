// @ts-check
// "@model": the next question asks another model, once.
import { h } from "vue";
import { choice, currentModel } from "wireside-kit/choice.js";
import { icon } from "wireside-kit/icons.js";

/** @satisfies {ThisType<Composer>} */
export const once = {
  /** @returns {Suggestion[]} */
  modelEntries() {
    return choice.offered
      .filter((model) => model.canChat !== false)
      .map((model) => ({
        key: model.id,
        label: model.name,
        line: model.description ?? "",
        run: () => this.askOnce(model.id),
      }));
  },

  /** @param {string} id */
  askOnce(id) {
    this.once = id === currentModel()?.id ? "" : id;
    if (id) this.compared = [];
    this.setText("");
    this.$refs.box.focus();
  },

  // The options of the next question.
  optionsToSend() {
    const options = this.chosenOptions();
    return this.once ? { ...options, model: this.once, values: null } : options;
  },

  // The conversation keeps the chosen model: it is stored, and not taken from the question.
  keepChosen() {
    this.isChoiceNew = true;
  },

  onceBar() {
    const w = this.words;
    const name = choice.offered.find((model) => model.id === this.once)?.name ?? this.once;
    return h("div", { class: "ws-composer-editing", "data-testid": "ask-once" }, [
      h(
        "span",
        { dir: "auto" },
        w.only_this.replace("{model}", () => name),
      ),
      h(
        "button",
        {
          type: "button",
          class: "ws-tool",
          "aria-label": w.cancel,
          title: w.cancel,
          onClick: () => this.askOnce(""),
        },
        icon("close"),
      ),
    ]);
  },
};
