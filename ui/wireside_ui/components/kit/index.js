// State and helpers shared by the components of a page.
import { reactive } from "vue";

// The model that the page shows and sends. The composer sets `model` when a conversation is opened,
// the picker when the user chooses one; `offered` are the server's models, the default first.
export const choice = reactive({ model: "", offered: [] });

// The model for the next question: the chosen one, or the default if the chosen one is not offered.
export function currentModel() {
  return choice.offered.find((model) => model.id === choice.model) || choice.offered[0];
}

export function isChosenModelGone() {
  return Boolean(choice.model && choice.offered.length) && !choice.offered.some((model) => model.id === choice.model);
}

// Whether a key event belongs to an input method. Safari ends a composition before the key event that ended it,
// which then has only the code 229.
export function isComposing(event) {
  return event.isComposing || event.keyCode === 229;
}

// Whether a page may take the focus when it loads. A page in a frame may not: the focus belongs to its host.
export function mayTakeFocus() {
  return matchMedia("(hover: hover)").matches && (window.parent === window || document.hasFocus());
}

// Whether a drag or a paste contains files and no text. Some programs add a picture of the text that is meant.
export function hasFilesOnly(transfer) {
  const types = [...(transfer?.types ?? [])];
  return types.includes("Files") && !types.some((type) => type.startsWith("text/plain"));
}

export const memory = {
  read(key, otherwise) {
    try {
      return JSON.parse(localStorage.getItem("wireside." + key)) ?? otherwise;
    } catch {
      return otherwise;
    }
  },
  readText(key) {
    try {
      return localStorage.getItem("wireside." + key) || "";
    } catch {
      return "";
    }
  },
  writeText(key, text) {
    try {
      text ? localStorage.setItem("wireside." + key, text) : localStorage.removeItem("wireside." + key);
    } catch {}
  },
};
