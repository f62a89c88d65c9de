// @ts-check
// Changes existing DOM into new DOM.
import { isFormula, morphFormula } from "./formulas.js";

/**
 * Turns the nodes of `parent` after `mark` into those of `fragment` and touches only what differs:
 * selections, scroll positions and the existing layout stay.
 * @param {ParentNode & Node} parent
 * @param {ChildNode | null} mark
 * @param {ParentNode & Node} fragment
 */
export function morph(parent, mark, fragment) {
  let old = mark ? mark.nextSibling : parent.firstChild;
  let fresh = fragment.firstChild;
  while (fresh) {
    const next = fresh.nextSibling;
    if (!old) {
      parent.append(fresh);
    } else {
      const after = old.nextSibling;
      if (old.nodeName !== fresh.nodeName || isFormula(old) !== isFormula(fresh))
        parent.replaceChild(fresh, old);
      else if (isFormula(old) && isFormula(fresh)) morphFormula(old, fresh);
      else if (old instanceof Text) morphText(old, fresh.textContent ?? "");
      else if (old instanceof Element && fresh instanceof Element) {
        morphAttributes(old, fresh);
        morph(old, null, fresh);
      }
      old = after;
    }
    fresh = next;
  }
  while (old) {
    const after = old.nextSibling;
    old.remove();
    old = after;
  }
}

/**
 * @param {Text} node
 * @param {string} text
 */
export function morphText(node, text) {
  if (node.data === text) return;
  if (text.startsWith(node.data)) node.appendData(text.slice(node.data.length));
  else node.data = text;
}

/**
 * @param {Element} old
 * @param {Element} fresh
 */
export function morphAttributes(old, fresh) {
  for (const { name, value } of fresh.attributes)
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  for (const { name } of [...old.attributes])
    if (!fresh.hasAttribute(name)) old.removeAttribute(name);
}
