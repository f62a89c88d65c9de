// @ts-check
// Formulas: elements that contain their source, drawn by assets/math.js.
import { make } from "wireside-kit/dom.js";

const FORMULA_LOAD_MS = 10000; // after this time the sources are shown even if KaTeX has not loaded
const LOAD_AGAIN_MS = 15000;

/**
 * @param {Node} node
 * @returns {node is HTMLElement}
 */
export function isFormula(node) {
  return node instanceof HTMLElement && node.classList.contains("ws-tex");
}

/** @param {HTMLElement} el */
export const formulaSource = (el) => el.dataset.source ?? el.textContent;

/**
 * Draws a growing formula over the existing one, so that nothing flickers.
 * @param {HTMLElement} old
 * @param {HTMLElement} fresh
 */
export function morphFormula(old, fresh) {
  const source = fresh.textContent;
  if (old.className !== fresh.className) old.className = fresh.className;
  const isSame =
    formulaSource(old) === source &&
    old.hasAttribute("data-open") === fresh.hasAttribute("data-open");
  if (isSame) return;
  old.toggleAttribute("data-open", fresh.hasAttribute("data-open"));
  if (window.wiresideMath) return window.wiresideMath.typeset(old, source);
  old.textContent = source;
}

/**
 * Returns the source between dollars, regardless of the delimiters that the model used.
 * @param {HTMLElement} el
 */
export function inDollars(el) {
  const found = /^(\$\$|\\\[|\\\(|\$)([\s\S]*?)(?:\$\$|\\\]|\\\)|\$)([.,;:!?。，；：]?)$/.exec(
    formulaSource(el),
  );
  const mark = el.matches(".ws-math") ? "$$" : "$";
  return found
    ? `${mark}${found[2].trim()}${mark}${found[3]}`
    : `${mark}${formulaSource(el).trim()}${mark}`;
}

/**
 * Returns the text of a node, with the source of its formulas.
 * @param {Node} node
 */
export function textOf(node) {
  if (isFormula(node)) return formulaSource(node);
  if (!(node instanceof Element) || !node.querySelector(".ws-tex")) return node.textContent ?? "";
  const copy = /** @type {Element} */ (node.cloneNode(true));
  for (const formula of copy.querySelectorAll(".ws-tex"))
    formula.replaceWith(formulaSource(formula));
  return copy.textContent;
}

/** @param {string} src */
function addScript(src) {
  return new Promise((resolve, reject) => {
    const script = Object.assign(document.createElement("script"), {
      src,
      async: false,
      onload: resolve,
      onerror: reject,
    });
    document.head.append(script);
  });
}

/** @type {Promise<void> | undefined} */
let mathReady;

/**
 * 320 KB and fonts: loaded only for a page that has a formula.
 * @param {string} folder
 * @param {string} version
 */
function loadMath(folder, version) {
  /** @param {string} name */
  const file = (name) => `${folder}/${name}?v=${version}`;
  const load = async () => {
    const sheet = make("link", "", { rel: "stylesheet", href: file("katex/katex.min.css") });
    const styled = new Promise((resolve, reject) =>
      Object.assign(sheet, { onload: resolve, onerror: reject }),
    );
    document.head.append(sheet);
    await Promise.all([
      styled,
      ...["katex/katex.min.js", "katex/mhchem.min.js", "math.js"].map((name) =>
        addScript(file(name)),
      ),
    ]);
    // these fonts are in nearly every formula; loading them first prevents later changes of width
    await Promise.allSettled(
      ["1em KaTeX_Main", "italic 1em KaTeX_Math"].map((font) => document.fonts.load(font)),
    );
    // printing does not wait for fonts: load those of brackets and sums, which turns without DOM may need
    for (const name of ["AMS", "Size1", "Size2", "Size3", "Size4"])
      document.fonts.load(`1em KaTeX_${name}`).catch(() => {});
  };
  mathReady ??= load().catch((error) => {
    setTimeout(() => (mathReady = undefined), LOAD_AGAIN_MS);
    throw error;
  });
  return mathReady;
}

export const isMathRequested = () => Boolean(mathReady);

/** @satisfies {ThisType<Transcript>} */
export const formulas = {
  /**
   * Draws the undrawn formulas of `root`. While KaTeX is loading, they are invisible but occupy their space.
   * @param {Node} root
   */
  drawFormulas(root) {
    if (!(root instanceof Element)) return;
    const isOne = isFormula(root) && root.dataset.drawn === undefined;
    const formulas = isOne ? [root] : root.querySelectorAll(".ws-tex:not([data-drawn])");
    if (!formulas.length) return;
    if (window.wiresideMath) {
      for (const el of formulas) window.wiresideMath.typeset(el);
    } else {
      this.formulasReady();
    }
  },

  // Resolves when all formulas on the page are drawn or have failed.
  async formulasReady() {
    const { classList } = this.$el;
    if (!mathReady) {
      classList.add("ws-prose-math-comes");
      setTimeout(() => classList.remove("ws-prose-math-comes"), FORMULA_LOAD_MS);
    }
    try {
      await loadMath(this.assets, this.version);
      for (const row of this.byId.values()) if (row.el) this.drawFormulas(row.body);
    } catch {
      // the sources stay
    } finally {
      classList.remove("ws-prose-math-comes");
    }
  },
};
