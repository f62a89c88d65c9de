// Draws formulas with KaTeX. An element contains its source with delimiters, as written by `wireside_ui/markdown/math/rules.py`;
// when drawn, it keeps the source in `data-source` and as its label, for copying and for screen readers. The chat page loads
// this file after katex/katex.min.js and katex/mhchem.min.js; HTML exports contain all three.
"use strict";

window.wiresideMath ??= (() => {
  const MAX_CHARS = 4000;
  const MAX_CHARS_WITH_MACROS = 500; // each use repeats the definition
  const MAX_EXPANSIONS = 1000;
  const MAX_EXPANSIONS_WITH_MACROS = 100;
  const MAX_EM = 40; // the longest length
  const MIN_EM = -2; // of negative lengths, which move content over other text
  const MAX_DEPTH = 160; // of nested nodes, as KaTeX counts them
  const MAX_NODES = 20000;

  const DELIMITED = /^(\$\$|\\\[|\\\(|\$)([\s\S]*?)(?:(\$\$|\\\]|\\\)|\$)([.,;:!?。，；：]?))?$/;
  const IN_TEXT = ["$", "\\("];
  /** @type {Record<string, number>} */
  const EMS = {
    em: 1,
    ex: 0.431,
    mu: 1 / 18,
    pt: 0.1,
    mm: 0.285,
    cm: 2.85,
    in: 7.23,
    bp: 0.1,
    pc: 1.2,
    dd: 0.107,
    cc: 1.28,
    nd: 0.107,
    nc: 1.28,
    sp: 1.5e-6,
    px: 0.1,
  };

  /** @type {Record<string, string>} */
  const INLINE_NAMES = {
    equation: "aligned",
    align: "aligned",
    gather: "gathered",
    alignat: "alignedat",
  };

  /** @param {HTMLElement} el */
  function sourceOf(el) {
    return el.dataset.source ?? el.textContent;
  }

  /**
   * Parses a source into {tex, isDisplay, after}, where `after` is the punctuation that follows a displayed formula.
   * @param {string} source
   */
  function read(source) {
    const found = DELIMITED.exec(source);
    if (!found) return { tex: source, isDisplay: true, after: "" };
    return { tex: found[2], isDisplay: !IN_TEXT.includes(found[1]), after: found[4] ?? "" };
  }

  /**
   * Replaces what KaTeX draws only under another name. Equation numbers would be counted across the whole page.
   * @param {string} tex
   * @param {boolean} isDisplay
   */
  function known(tex, isDisplay) {
    /** @param {string} name */
    const rename = (name) => {
      if (name === "multline") return "gather";
      if (name === "flalign") return "align";
      return name;
    };
    /**
     * @param {string} _
     * @param {string} edge
     * @param {string} name
     */
    const star = (_, edge, name) => {
      if (!isDisplay) return `\\${edge}{${INLINE_NAMES[rename(name)] ?? name}}`;
      return `\\${edge}{${rename(name)}*}`;
    };
    return tex
      .replace(/\n\s*\n/g, "\n")
      .replace(/(^|[^\\])((?:\\\\)*)%/g, "$1$2\\%")
      .replace(/\\(?:re)?newcommand\*?\s*(?:\{\s*(\\[A-Za-z]+)\s*\}|(\\[A-Za-z]+))/g, "\\def$1$2") // also for KaTeX's own names
      .replace(/\\label\s*\{[^{}]*\}/g, "")
      .replace(/\\(begin|end)\{eqnarray\*?\}/g, (_, edge) =>
        edge === "begin" ? "\\begin{array}{rcl}" : "\\end{array}",
      )
      .replace(/\\(begin|end)\{(equation|align|gather|alignat|multline|flalign)\*?\}/g, star);
  }

  /**
   * Throws for a formula that would cost too much or leave its box.
   * @param {Record<string, any>} node of KaTeX's parse tree
   * @param {{ nodes: number }} state
   * @param {number} depth
   */
  function check(node, state, depth) {
    if (depth > MAX_DEPTH || ++state.nodes > MAX_NODES)
      throw new RangeError("This formula is too large.");
    if (typeof node.number === "number" && typeof node.unit === "string") {
      const ems = node.number * (EMS[node.unit] ?? 1);
      if (!(ems >= MIN_EM && ems <= MAX_EM))
        throw new RangeError("This formula has too long a length.");
    }
    for (const name in node) {
      const part = node[name];
      if (part && typeof part === "object" && name !== "loc" && name !== "lexer")
        check(part, state, depth + 1);
    }
  }

  /** @param {string} source */
  function draw(source) {
    const { tex, isDisplay, after } = read(source);
    const hasMacros =
      /\\(?:[egx]?def|(?:re)?new(?:command|environment)|providecommand|let|futurelet|global|long)(?![A-Za-z])/.test(
        tex,
      );
    // nested macro arguments can repeat each other without limit
    if (hasMacros && (tex.includes("#") || tex.length > MAX_CHARS_WITH_MACROS))
      throw new RangeError("This formula defines too much.");
    if (tex.length > MAX_CHARS || !tex.trim()) throw new RangeError("This formula is too long.");
    const options = () => ({
      displayMode: isDisplay,
      output: "html",
      throwOnError: true,
      strict: "ignore",
      maxSize: MAX_EM,
      maxExpand: hasMacros ? MAX_EXPANSIONS_WITH_MACROS : MAX_EXPANSIONS,
      macros: { "\\mathds": "\\mathbb", "\\bold": "\\mathbf", "\\Bbb": "\\mathbb" },
      trust: () => {
        throw new RangeError("This formula reaches out of itself."); // links, pictures, HTML
      },
    });
    const text = known(tex, isDisplay);
    check(window.katex.__parse(text, options()), { nodes: 0 }, 0);
    const canFollow = after && !/\\(?:begin\{(?:align|gather|equation|CD)|tag\b)/.test(text);
    const stage = document.createElement("div");
    window.katex.render(canFollow ? `${text}\\text{${after}}` : text, stage, options());
    return [...stage.childNodes];
  }

  const scrolled = new ResizeObserver((entries) => {
    for (const entry of entries) {
      const target = /** @type {HTMLElement} */ (entry.target);
      // focusable elements can be scrolled by keyboard
      if (target.scrollWidth > target.clientWidth + 1) target.tabIndex = 0;
      else target.removeAttribute("tabindex");
    }
  });

  /**
   * Draws the formula of an element; if that fails, its source stays.
   * @param {HTMLElement} el
   */
  function typeset(el, source = sourceOf(el)) {
    const isGrowing = el.dataset.open !== undefined;
    try {
      el.replaceChildren(...draw(source));
      el.dataset.source = source;
      el.setAttribute("aria-label", source);
      el.dataset.drawn = "1";
      if (el.matches(".ws-math")) scrolled.observe(el);
    } catch {
      if (isGrowing && el.dataset.drawn === "1") {
        el.dataset.source = source; // keeps what was drawn of it
        el.setAttribute("aria-label", source);
        return;
      }
      el.textContent = source;
      delete el.dataset.source;
      el.removeAttribute("aria-label");
      el.dataset.drawn = "0";
    }
  }

  /** @param {ParentNode} root */
  function typesetAll(root) {
    for (const el of root.querySelectorAll(".ws-tex"))
      if (el.dataset.drawn === undefined) typeset(el);
  }

  /**
   * Ctrl+C in an exported page: copies formulas as their source, between dollars.
   * @param {ClipboardEvent} event
   */
  function onCopy(event) {
    const selection = document.getSelection();
    if (!selection?.rangeCount || selection.isCollapsed || !event.clipboardData) return;
    const range = selection.getRangeAt(0).cloneRange();
    /** @param {Node} node */
    const formulaAt = (node) =>
      (node instanceof Element ? node : node.parentElement)?.closest(".ws-tex");
    const [first, last] = [formulaAt(range.startContainer), formulaAt(range.endContainer)];
    if (first) range.setStartBefore(first);
    if (last) range.setEndAfter(last);
    const box = document.createElement("div");
    box.append(range.cloneContents());
    const formulas = box.querySelectorAll(".ws-tex");
    if (!formulas.length) return;
    for (const el of formulas) {
      const { tex, isDisplay, after } = read(sourceOf(el));
      const mark = isDisplay ? "$$" : "$";
      const plain = document.createElement(isDisplay ? "div" : "span");
      plain.textContent = `${mark}${tex.trim()}${mark}${after}`;
      el.replaceWith(plain);
    }
    event.clipboardData.setData("text/html", box.innerHTML);
    Object.assign(box.style, { position: "absolute", left: "-200vw", width: "40rem" });
    document.body.append(box); // innerText has line breaks only for an element with a layout
    event.clipboardData.setData("text/plain", box.innerText);
    box.remove();
    event.preventDefault();
  }

  if (document.currentScript?.dataset.all !== undefined) {
    typesetAll(document);
    document.addEventListener("copy", onCopy);
  }
  return { typeset, typesetAll };
})();
