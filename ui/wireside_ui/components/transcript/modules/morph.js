// @ts-check
// Changes existing DOM into new DOM.
import { isFormula, morphFormula } from "./formulas.js";

// Turns the nodes of `parent` after `mark` into those of `fragment` and touches only what differs:
// selections, scroll positions and the existing layout stay.
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
      else if (isFormula(old)) morphFormula(old, fresh);
      else if (old.nodeType === Node.TEXT_NODE) morphText(old, fresh.data);
      else if (old.nodeType === Node.ELEMENT_NODE) {
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

export function morphText(node, text) {
  if (node.data === text) return;
  if (text.startsWith(node.data)) node.appendData(text.slice(node.data.length));
  else node.data = text;
}

export function morphAttributes(old, fresh) {
  for (const { name, value } of fresh.attributes)
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  for (const { name } of [...old.attributes])
    if (!fresh.hasAttribute(name)) old.removeAttribute(name);
}
