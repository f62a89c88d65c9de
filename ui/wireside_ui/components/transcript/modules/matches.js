// @ts-check
// Matches of a search query in the text of a turn.
import { formulaSource } from "./formulas.js";

const MAX_MARKS = 500; // in one turn

const BLOCK =
  "p, li, td, th, h1, h2, h3, h4, h5, h6, pre, blockquote, summary, .ws-turn-bubble, .ws-turn-think-text, .ws-prose";

// Elements to skip: the page's own text around messages, and formulas, whose glyphs are no words.
const NOT_WRITTEN =
  "button, svg, .ws-tex, .ws-turn-foot, .ws-turn-question-foot, .ws-turn-fold > summary, .ws-turn-tool-call-title";

/**
 * Normalises text for the search: no case, no marks, one kind of space. `at` maps each character to its original position.
 * @param {string} text
 */
export function folded(text) {
  let out = "";
  const at = [];
  let offset = 0;
  for (const c of text) {
    const isSpace = /\s/.test(c);
    // upper case first: it has one form of the Greek sigma, and "SS" for the German sharp s
    const plain = isSpace
      ? out.endsWith(" ")
        ? ""
        : " "
      : c.normalize("NFKD").replace(/\p{M}/gu, "").toUpperCase().toLowerCase();
    out += plain;
    for (let i = 0; i < plain.length; i++) at.push(offset);
    offset += c.length;
  }
  at.push(offset);
  return { text: out, at };
}

/**
 * Returns the ranges of `query`, which is folded, in a turn's text. Inline markup inside a word does not interrupt a match.
 * A formula is matched by its source and highlighted as a whole.
 * @param {HTMLElement} root
 * @param {string} query
 */
export function rangesIn(root, query) {
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT, (node) =>
    node.parentElement?.closest(NOT_WRITTEN) ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_ACCEPT,
  );
  /** @type {Range[]} */
  const ranges = [];
  /** @type {Text[]} */
  let nodes = [];
  /** @type {Element | null} */
  let block = null;
  const search = () => {
    const leads = nodes.map((node) => (node.previousSibling?.nodeName === "BR" ? 1 : 0)); // a line break counts as a space
    const { text, at } = folded(nodes.map((node, i) => " ".repeat(leads[i]) + node.data).join(""));
    /**
     * @param {number} offset
     * @param {boolean} isEnd
     * @returns {[node: Text, offset: number]}
     */
    const place = (offset, isEnd) => {
      for (const [i, node] of nodes.entries()) {
        const length = leads[i] + node.data.length;
        if (offset < length || (isEnd && offset === length))
          return [node, Math.max(0, offset - leads[i])];
        offset -= length;
      }
      const last = nodes[nodes.length - 1];
      return [last, last.data.length];
    };
    for (
      let i = text.indexOf(query);
      i >= 0 && ranges.length < MAX_MARKS;
      i = text.indexOf(query, i + query.length)
    ) {
      const range = document.createRange();
      range.setStart(...place(at[i], false));
      range.setEnd(...place(at[i + query.length], true));
      ranges.push(range);
    }
    nodes = [];
  };
  while (walker.nextNode()) {
    const node = /** @type {Text} */ (walker.currentNode);
    const own = node.parentElement?.closest(BLOCK) ?? null;
    if (own !== block && nodes.length) search();
    block = own;
    nodes.push(node);
  }
  if (nodes.length) search();
  const formulas = [...root.querySelectorAll(".ws-tex")].filter((el) =>
    folded(formulaSource(el)).text.includes(query),
  );
  for (const el of formulas.slice(0, MAX_MARKS)) {
    const range = document.createRange();
    range.selectNodeContents(el);
    ranges.push(range);
  }
  if (formulas.length) ranges.sort((a, b) => a.compareBoundaryPoints(Range.START_TO_START, b));
  return ranges;
}
