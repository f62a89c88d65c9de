// @ts-check
// The choice of a model, which the composer, the picker and the page share.
import { reactive } from "vue";

// The model that the page shows and sends. The composer sets `model` when a conversation is opened,
// the picker when the user chooses one; `offered` are the server's models, the default first.
// `preset` is the name of the preset that is shown, "" for none.
export const choice = reactive({ model: "", offered: /** @type {Model[]} */ ([]), preset: "" });

/**
 * Returns the model for the next question: the chosen one, or the default if it is not offered.
 *
 * @returns {Model | undefined}
 */
export function currentModel() {
  return choice.offered.find((model) => model.id === choice.model) || choice.offered[0];
}

export function isChosenModelGone() {
  return (
    Boolean(choice.model && choice.offered.length) &&
    !choice.offered.some((model) => model.id === choice.model)
  );
}
