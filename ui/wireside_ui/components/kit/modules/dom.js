// @ts-check
// Creation and lookup of DOM elements.

/**
 * Creates an element.
 *
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {string} [className]
 * @param {Record<string, string>} [attributes]
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, className, attributes = {}) {
  const el = document.createElement(tag);
  if (className) el.className = className;
  for (const [name, value] of Object.entries(attributes)) el.setAttribute(name, value);
  return el;
}

/**
 * Returns the first descendant that a selector matches. Throws if there is none.
 *
 * @template {string} S
 * @param {ParentNode} root
 * @param {S} selector
 */
export function within(root, selector) {
  const el = root.querySelector(selector);
  if (!el) throw new Error(`There is no ${selector}.`);
  return el;
}
