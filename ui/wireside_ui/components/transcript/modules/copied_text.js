// @ts-check
// The text and HTML that are copied from answers.
import { inDollars } from "./formulas.js";
import { textBlocks } from "./parts.js";

const CODE_MARK = "\ufdd0"; // a noncharacter: no text contains it

const COPIED_ATTRIBUTES = new Set(["href", "src", "alt", "start", "dir"]);
const AROUND =
  "a, b, strong, em, s, del, code, pre, ul, ol, li, table, thead, tbody, tr, blockquote, h3, h4, h5, h6";

/**
 * Returns the text of an answer as displayed, with list markers, which browsers do not treat as text.
 * @param {Row} row
 */
export function plainText(row) {
  return textBlocks(row)
    .map((prose) => laidOutText(/** @type {HTMLElement} */ (prose.cloneNode(true)), prose))
    .join("\n\n");
}

/**
 * Returns a copy of the text of an answer, without reasoning and tool calls.
 * @param {Row} row
 */
export function answerCopy(row) {
  const copy = document.createDocumentFragment();
  copy.append(...textBlocks(row).map((prose) => prose.cloneNode(true)));
  return copy;
}

/**
 * Returns the text of `copy`, laid out inside `place`.
 * @param {HTMLElement} copy
 * @param {HTMLElement} place
 */
export function laidOutText(copy, place) {
  for (const el of copy.querySelectorAll("button, img")) el.remove();
  for (const formula of copy.querySelectorAll(".ws-tex")) {
    // innerText puts empty lines around a paragraph
    const source = document.createElement(formula.localName === "div" ? "p" : formula.localName);
    if (formula.matches(".ws-math")) source.className = "ws-math";
    source.textContent = inDollars(formula);
    formula.replaceWith(source);
  }
  const codes = [...copy.querySelectorAll("pre")].map((pre) => {
    const code = pre.textContent.replace(/\n$/, "");
    pre.textContent = CODE_MARK; // keeps the blank lines of the code unchanged
    return code;
  });
  for (const check of copy.querySelectorAll(".ws-check"))
    check.replaceWith(check.dataset.on === undefined ? "[ ] " : "[x] ");
  for (const list of copy.querySelectorAll("ul, ol")) {
    let number = Number(list.getAttribute("start") ?? 1);
    const dot = list.parentElement?.closest("ul, ol") ? "◦" : "•";
    for (const item of list.querySelectorAll(":scope > li")) {
      const first = item.firstElementChild?.matches("p") ? item.firstElementChild : item;
      first.prepend(list.matches("ol") ? `${number++}. ` : `${dot} `);
    }
  }
  copy.className = "ws-prose ws-transcript-as-text";
  place.append(copy); // innerText has line breaks only for an element with a layout
  const text = copy.innerText;
  copy.remove();
  const tidy = text
    .replace(/\u00a0/g, " ")
    .replace(/\n{3,}/g, "\n\n")
    .trim();
  return tidy.replaceAll(CODE_MARK, () => codes.shift() ?? "");
}

/**
 * Returns HTML for other programs: semantic elements without colours, classes and buttons; formulas as their source.
 * @param {Node} copy
 */
export function cleanHtml(copy) {
  const box = document.createElement("div");
  box.append(copy);
  for (const el of box.querySelectorAll(
    "button, svg, [aria-hidden=true]:not(.ws-tex *), .ws-prose-diagram, .ws-turn-actions, .ws-turn-question-foot, .ws-turn-foot",
  ))
    el.remove();
  for (const formula of box.querySelectorAll(".ws-tex")) {
    const source = document.createElement(formula.localName);
    source.textContent = inDollars(formula);
    formula.replaceWith(source);
  }
  for (const check of box.querySelectorAll(".ws-check"))
    check.replaceWith(check.dataset.on === undefined ? "[ ] " : "[x] ");
  for (const el of [...box.querySelectorAll("*")]) {
    if (el.localName === "span" || el.localName === "article") el.replaceWith(...el.childNodes);
    else
      for (const { name } of [...el.attributes])
        if (!COPIED_ATTRIBUTES.has(name)) el.removeAttribute(name);
  }
  return box.innerHTML;
}

/**
 * Returns the selection in `root`: {fragment, place}, with whole formulas and the elements that give it its meaning.
 * @param {HTMLElement} root
 */
export function selectedIn(root) {
  const selection = document.getSelection();
  if (!selection || selection.isCollapsed || !selection.rangeCount) return null;
  const range = selection.getRangeAt(0).cloneRange();
  const common = range.commonAncestorContainer;
  if (!root.contains(common)) return null;
  /** @param {Node} node */
  const formulaAt = (node) =>
    (node instanceof Element ? node : node.parentElement)?.closest(".ws-tex");
  const [first, last] = [formulaAt(range.startContainer), formulaAt(range.endContainer)];
  if (first) range.setStartBefore(first);
  if (last) range.setEndAfter(last);
  const fragment = range.cloneContents();
  const hasFormula = Boolean(fragment.querySelector(".ws-tex"));
  const place = range.commonAncestorContainer;
  for (
    let el = place instanceof Element ? place : place.parentElement;
    el && el !== root && !el.matches(".ws-prose, .ws-turn-bubble");
    el = el.parentElement
  ) {
    if (!el.matches(AROUND)) continue;
    const outer = /** @type {Element} */ (el.cloneNode(false));
    outer.append(...fragment.childNodes);
    fragment.append(outer);
  }
  return { fragment, hasFormula, text: selection.toString() };
}
