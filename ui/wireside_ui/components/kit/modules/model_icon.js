// @ts-check
// The icon of a model: an icon of the page, an image, or an emoji.
import { h } from "vue";
import { icon, iconMarkup, isIcon } from "wireside-kit/icons.js";

const IMAGE = "data:image/";

/**
 * Returns the icon of a model as a Vue node, null for none.
 *
 * @param {string | undefined} name
 */
export function modelIcon(name) {
  if (!name) return null;
  const className = "ws-kit-model-icon";
  if (name.startsWith(IMAGE)) return h("img", { class: className, src: name, alt: "" });
  if (isIcon(name)) return icon(name, className);
  return h("span", { class: className, "aria-hidden": "true" }, name);
}

/**
 * Returns the icon of a model as an element, null for none.
 *
 * @param {string | undefined} name
 */
export function modelIconElement(name) {
  if (!name) return null;
  const isImage = name.startsWith(IMAGE);
  const element = document.createElement(isImage ? "img" : "span");
  element.className = "ws-kit-model-icon";
  if (element instanceof HTMLImageElement) {
    element.src = name;
    element.alt = "";
    return element;
  }
  element.setAttribute("aria-hidden", "true");
  if (isIcon(name)) element.innerHTML = iconMarkup(name);
  else element.textContent = name;
  return element;
}
