// The conversation on the page. The component builds its DOM by hand, so a Vue render of the page never changes its content.
// Turns near the viewport have DOM; two spacers replace the others. Answers grow by the operations described in `markdown.py`.
import { h } from "vue";
import { isComposing } from "wireside-kit";

const MARGIN = 900; // px beyond the viewport within which turns have DOM
const NEAR_END = 40; // px from the end that count as "at the end"
const MAX_SPACE = 8e6; // px: browsers stop at about 17 million, so the spacers of a very long conversation are scaled down
const MAX_ROWS_KEPT = 600; // turns of the history whose content is kept
const SLICE_MS = 8; // limit of DOM work in one frame
const MAX_DIAGRAM_CHARS = 20000;
const MAX_FEEDBACK_CHARS = 2000;
const FOUND_MS = 2000; // how long the target of a jump is highlighted
const LINE_PX = 40; // distance scrolled by an arrow key
const PAGE_SHARE = 0.9; // share of the visible height scrolled by PageUp, PageDown and Space
const FIND_MS = 150; // delay between the last key and the search
const MAX_FIND_CHARS = 200;
const MAX_MARKS = 500; // in one turn
const NOTICE_MS = 5000;
const ASK_AGAIN_MS = 3000; // retry delay for turns that could not be loaded

const ICONS = {
  copy: '<rect x="9" y="9" width="11" height="11" rx="2.5"/><path d="M5.5 15H5a2 2 0 0 1-2-2V5a2 2 0 0 1 2-2h8a2 2 0 0 1 2 2v.5"/>',
  check: '<path d="m5 12.5 4.5 4.5L19 7.5"/>',
  retry: '<path d="M20 11.5a8 8 0 1 0-2.3 6"/><path d="M20.5 5.5v6h-6"/>',
  edit: '<path d="M4 20h4L19.5 8.5a2.1 2.1 0 0 0-3-3L5 17z"/><path d="m14.5 7 2.5 2.5"/>',
  stop: '<rect x="6.5" y="6.5" width="11" height="11" rx="2"/>',
  down: '<path d="M12 5v14"/><path d="m6 13 6 6 6-6"/>',
  chevron: '<path d="m9 6 6 6-6 6"/>',
  previous: '<path d="m15 6-6 6 6 6"/>',
  next: '<path d="m9 6 6 6-6 6"/>',
  more: '<path d="m7 10 5 5 5-5"/>',
  close: '<path d="m6.5 6.5 11 11"/><path d="m17.5 6.5-11 11"/>',
  send: '<path d="M12 19V5"/><path d="m6 11 6-6 6 6"/>',
  up: '<path d="M7 11v9H4.5A1.5 1.5 0 0 1 3 18.5v-6A1.5 1.5 0 0 1 4.5 11z"/><path d="m7 11 4-7.2c1.4 0 2.4 1.1 2.2 2.5L12.7 9.5h5.8a2 2 0 0 1 2 2.4l-1.2 6.5a2 2 0 0 1-2 1.6H7"/>',
  down_thumb: '<path d="M17 13V4h2.5A1.5 1.5 0 0 1 21 5.500v6a1.5 1.5 0 0 1-1.5 1.5z"/><path d="m17 13-4 7.2c-1.4 0-2.4-1.1-2.2-2.5l.5-3.200H5.500a2 2 0 0 1-2-2.4l1.2-6.5a2 2 0 0 1 2-1.6H17"/>',
};

const OPEN = new Set(["waiting", "thinking", "streaming"]);
const LOADING_MS = 8000; // time without a first token after which the label says that the model is loading

// Labels and actions for answers that did not end normally.
const ENDS = { stopped: ["continue"], interrupted: ["continue"], length_reached: ["continue"], filtered: [], empty: [] };

const COSTLY = new Set(["retry", "continue"]); // actions that cost a model request

// Formats a duration in the page's language: "12 s", "2 min 5 s".
function duration(ms) {
  const seconds = Math.max(1, Math.round(ms / 1000));
  const unit = (value, name) => new Intl.NumberFormat(document.documentElement.lang || undefined, { style: "unit", unit: name, unitDisplay: "narrow" }).format(value);
  return seconds < 60 ? unit(seconds, "second") : `${unit(Math.floor(seconds / 60), "minute")} ${unit(seconds % 60, "second")}`;
}

// Formats a message's time in the reader's time zone; adds the date if the message is older than today.
function timeOf(seconds) {
  const date = new Date(seconds * 1000);
  const lang = document.documentElement.lang || undefined;
  const isToday = date.toDateString() === new Date().toDateString();
  const el = make("time", "ws-time", { datetime: date.toISOString(), "data-testid": "time" });
  el.textContent = date.toLocaleString(lang, isToday ? { timeStyle: "short" } : { dateStyle: "medium", timeStyle: "short" });
  el.title = date.toLocaleString(lang, { dateStyle: "full", timeStyle: "long" });
  return el;
}

const icon = (name) => `<svg viewBox="0 0 24 24" aria-hidden="true">${ICONS[name]}</svg>`;

function make(tag, className, attributes = {}) {
  const el = document.createElement(tag);
  if (className) el.className = className;
  for (const [name, value] of Object.entries(attributes)) el.setAttribute(name, value);
  return el;
}

// Turns the nodes of `parent` after `mark` into those of `fragment` and touches only what differs:
// selections, scroll positions and the existing layout stay.
function morph(parent, mark, fragment) {
  let old = mark ? mark.nextSibling : parent.firstChild;
  let fresh = fragment.firstChild;
  while (fresh) {
    const next = fresh.nextSibling;
    if (!old) {
      parent.append(fresh);
    } else {
      const after = old.nextSibling;
      if (old.nodeName !== fresh.nodeName || isFormula(old) !== isFormula(fresh)) parent.replaceChild(fresh, old);
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

function morphText(node, text) {
  if (node.data === text) return;
  if (text.startsWith(node.data)) node.appendData(text.slice(node.data.length));
  else node.data = text;
}

function morphAttributes(old, fresh) {
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
}

// ---- formulas: elements that contain their source, drawn by assets/math.js ----

const FORMULA_LOAD_MS = 10000; // after this time the sources are shown even if KaTeX has not loaded
const LOAD_AGAIN_MS = 15000;

const isFormula = (node) => node.nodeType === Node.ELEMENT_NODE && node.classList.contains("ws-tex");
const formulaSource = (el) => el.dataset.source ?? el.textContent;

// Draws a growing formula over the existing one, so that nothing flickers.
function morphFormula(old, fresh) {
  const source = fresh.textContent;
  if (old.className !== fresh.className) old.className = fresh.className;
  const isSame = formulaSource(old) === source && old.hasAttribute("data-open") === fresh.hasAttribute("data-open");
  if (isSame) return;
  old.toggleAttribute("data-open", fresh.hasAttribute("data-open"));
  if (window.wiresideMath) return window.wiresideMath.typeset(old, source);
  old.textContent = source;
}

// Returns the source between dollars, regardless of the delimiters that the model used.
function inDollars(el) {
  const found = /^(\$\$|\\\[|\\\(|\$)([\s\S]*?)(?:\$\$|\\\]|\\\)|\$)([.,;:!?。，；：]?)$/.exec(formulaSource(el));
  const mark = el.matches(".ws-math") ? "$$" : "$";
  return found ? `${mark}${found[2].trim()}${mark}${found[3]}` : `${mark}${formulaSource(el).trim()}${mark}`;
}

// Returns the text of an element, with the source of its formulas.
function textOf(el) {
  if (isFormula(el)) return formulaSource(el);
  if (el.nodeType !== Node.ELEMENT_NODE || !el.querySelector(".ws-tex")) return el.textContent;
  const copy = el.cloneNode(true);
  for (const formula of copy.querySelectorAll(".ws-tex")) formula.replaceWith(formulaSource(formula));
  return copy.textContent;
}

function addScript(src) {
  return new Promise((resolve, reject) => {
    const script = Object.assign(document.createElement("script"), { src, async: false, onload: resolve, onerror: reject });
    document.head.append(script);
  });
}

let mathReady;

// 320 KB and fonts: loaded only for a page that has a formula.
function loadMath(folder, version) {
  const file = (name) => `${folder}/${name}?v=${version}`;
  const load = async () => {
    const sheet = make("link", "", { rel: "stylesheet", href: file("katex/katex.min.css") });
    const styled = new Promise((resolve, reject) => Object.assign(sheet, { onload: resolve, onerror: reject }));
    document.head.append(sheet);
    await Promise.all([styled, ...["katex/katex.min.js", "katex/mhchem.min.js", "math.js"].map((name) => addScript(file(name)))]);
    // these fonts are in nearly every formula; loading them first prevents later changes of width
    await Promise.allSettled(["1em KaTeX_Main", "italic 1em KaTeX_Math"].map((font) => document.fonts.load(font)));
    // printing does not wait for fonts: load those of brackets and sums, which turns without DOM may need
    for (const name of ["AMS", "Size1", "Size2", "Size3", "Size4"]) document.fonts.load(`1em KaTeX_${name}`).catch(() => {});
  };
  mathReady ??= load().catch((error) => {
    setTimeout(() => (mathReady = undefined), LOAD_AGAIN_MS);
    throw error;
  });
  return mathReady;
}

let mermaidReady;
let diagrams = 0;

// Settings that a diagram's own text can't override: limits on what it loads, runs or draws outside the image.
const SECURE = [
  ...["secure", "securityLevel", "startOnLoad", "maxTextSize", "maxEdges", "suppressErrorRendering", "dompurifyConfig"],
  ...["themeCSS", "themeVariables", "fontFamily", "altFontFamily", "htmlLabels", "legacyMathML", "forceLegacyMathML"],
  ...["flowchart", "class", "state", "block", "mindmap", "sequence", "er", "c4", "architecture", "kanban", "elk"],
];

// Whether drawing it could send a request to another server, by an image in a shape or by CSS (also in its escapes), or
// would use a handler that the page's policy blocks, such as mermaid's own for the menus of a sequence diagram's links.
function isSuspect(source) {
  const hasPicture = /@\{[^}]*(img|\\)/.test(source);
  const hasAddress = /(url|src|image-set|image)\s*\(|@import/i.test(source);
  const hasEscape = /^\s*(style|classDef|linkStyle|cssClass|update\w*style)\b.*\\/im.test(source);
  const hasHandler = /\bon[a-z]+\s*=|^\s*links?\s+\S+\s*:/im.test(source);
  return hasPicture || hasAddress || hasEscape || hasHandler;
}

function loadMermaid() {
  // 600 KB: loaded only for a page that has a diagram
  mermaidReady ??= import("nicegui-mermaid").then(({ mermaid }) => {
    mermaid.initialize({
      startOnLoad: false,
      securityLevel: "strict",
      theme: "neutral",
      htmlLabels: false,
      flowchart: { htmlLabels: false },
      maxTextSize: MAX_DIAGRAM_CHARS,
      maxEdges: 300,
      suppressErrorRendering: true,
      dompurifyConfig: { ALLOWED_TAGS: ["b", "br", "code", "em", "i", "p", "span", "strong", "sub", "sup", "u"], ALLOWED_ATTR: [] },
      secure: SECURE,
    });
    return mermaid;
  });
  return mermaidReady;
}

// `html` is the version for programs that accept more than plain text.
async function writeClipboard(text, html = "") {
  // `text` may be a promise: Safari requires the call within the click, before the text has arrived
  if (navigator.clipboard && window.ClipboardItem) {
    try {
      const blob = Promise.resolve(text).then((value) => new Blob([value], { type: "text/plain" }));
      const item = { "text/plain": blob };
      if (html) item["text/html"] = new Blob([html], { type: "text/html" });
      await navigator.clipboard.write([new ClipboardItem(item)]);
      return;
    } catch {
      // not allowed, or promises are not supported here: use the fallback below
    }
  }
  const value = await text;
  if (navigator.clipboard && !html) {
    try {
      return await navigator.clipboard.writeText(value);
    } catch {
      // use the fallback below
    }
  }
  const area = make("textarea", "ws-offscreen"); // plain http: there is no clipboard object
  area.value = value;
  document.body.append(area);
  area.select();
  const fill = (event) => {
    event.preventDefault();
    event.clipboardData.setData("text/plain", value);
    if (html) event.clipboardData.setData("text/html", html);
  };
  area.addEventListener("copy", fill);
  const copied = document.execCommand("copy");
  area.remove();
  if (!copied) throw new Error("The browser does not let this page copy.");
}

// Returns the text of an answer as displayed, with list markers, which browsers do not treat as text.
function plainText(prose) {
  return laidOutText(prose.cloneNode(true), prose);
}

// Returns the text of `copy`, laid out inside `place`.
function laidOutText(copy, place) {
  for (const el of copy.querySelectorAll("button, img")) el.remove();
  for (const formula of copy.querySelectorAll(".ws-tex")) {
    // innerText puts empty lines around a paragraph
    const source = make(formula.localName === "div" ? "p" : formula.localName, formula.matches(".ws-math") ? "ws-math" : "");
    source.textContent = inDollars(formula);
    formula.replaceWith(source);
  }
  const codes = [...copy.querySelectorAll("pre")].map((pre) => {
    const code = pre.textContent.replace(/\n$/, "");
    pre.textContent = CODE_MARK; // keeps the blank lines of the code unchanged
    return code;
  });
  for (const check of copy.querySelectorAll(".ws-check")) check.replaceWith(check.dataset.on === undefined ? "[ ] " : "[x] ");
  for (const list of copy.querySelectorAll("ul, ol")) {
    let number = Number(list.getAttribute("start") ?? 1);
    const dot = list.parentElement.closest("ul, ol") ? "◦" : "•";
    for (const item of list.querySelectorAll(":scope > li")) {
      const first = item.firstElementChild?.matches("p") ? item.firstElementChild : item;
      first.prepend(list.matches("ol") ? `${number++}. ` : `${dot} `);
    }
  }
  copy.className = "ws-prose ws-as-text";
  place.append(copy); // innerText has line breaks only for an element with a layout
  const text = copy.innerText;
  copy.remove();
  const tidy = text.replace(/\u00a0/g, " ").replace(/\n{3,}/g, "\n\n").trim();
  return tidy.replaceAll(CODE_MARK, () => codes.shift() ?? "");
}

const CODE_MARK = "\ufdd0"; // a noncharacter: no text contains it

// Returns HTML for other programs: semantic elements without colours, classes and buttons; formulas as their source.
function cleanHtml(copy) {
  const box = document.createElement("div");
  box.append(copy);
  for (const el of box.querySelectorAll("button, svg, [aria-hidden=true]:not(.ws-tex *), .ws-diagram, .ws-actions, .ws-question-foot, .ws-foot")) el.remove();
  for (const formula of box.querySelectorAll(".ws-tex")) {
    const source = make(formula.localName, "");
    source.textContent = inDollars(formula);
    formula.replaceWith(source);
  }
  for (const check of box.querySelectorAll(".ws-check")) check.replaceWith(check.dataset.on === undefined ? "[ ] " : "[x] ");
  for (const el of [...box.querySelectorAll("*")]) {
    if (el.localName === "span" || el.localName === "article") el.replaceWith(...el.childNodes);
    else for (const { name } of [...el.attributes]) if (!COPIED_ATTRIBUTES.has(name)) el.removeAttribute(name);
  }
  return box.innerHTML;
}

const COPIED_ATTRIBUTES = new Set(["href", "src", "alt", "start", "dir"]);
const AROUND = "a, b, strong, em, s, del, code, pre, ul, ol, li, table, thead, tbody, tr, blockquote, h2, h3, h4, h5, h6";

// Returns the selection in `root`: {fragment, place}, with whole formulas and the elements that give it its meaning.
function selectedIn(root) {
  const selection = document.getSelection();
  if (!selection || selection.isCollapsed || !selection.rangeCount) return null;
  const range = selection.getRangeAt(0).cloneRange();
  const common = range.commonAncestorContainer;
  if (!root.contains(common)) return null;
  const formulaAt = (node) => (node.nodeType === Node.ELEMENT_NODE ? node : node.parentElement)?.closest(".ws-tex");
  const [first, last] = [formulaAt(range.startContainer), formulaAt(range.endContainer)];
  if (first) range.setStartBefore(first);
  if (last) range.setEndAfter(last);
  const fragment = range.cloneContents();
  const hasFormula = Boolean(fragment.querySelector(".ws-tex"));
  let around = range.commonAncestorContainer;
  if (around.nodeType !== Node.ELEMENT_NODE) around = around.parentElement;
  for (let el = around; el && el !== root && !el.matches(".ws-prose, .ws-bubble"); el = el.parentElement) {
    if (!el.matches(AROUND)) continue;
    const outer = el.cloneNode(false);
    outer.append(...fragment.childNodes);
    fragment.append(outer);
  }
  return { fragment, hasFormula, text: selection.toString() };
}

const TYPED_IN = "input, textarea, select, [contenteditable]";
const IS_MAC = /Mac|iPhone|iPad/.test(navigator.platform);

// Whether only the beginning of an answer is here; the rest has not arrived yet.
const isPart = (row) => !row.live && row.data.html.includes('<p class="ws-more">');

// Maps a key to its scroll distance: {pages}, {lines}, {begin} or {end}.
function wayOf({ key, shiftKey, ctrlKey, metaKey, altKey }) {
  if (altKey || (shiftKey && key !== " ")) return null; // Shift extends a selection
  if (IS_MAC && metaKey && !ctrlKey) return { ArrowUp: { begin: true }, ArrowDown: { end: true } }[key] ?? null;
  const far = { Home: { begin: true }, End: { end: true } }[key];
  if (far || metaKey || ctrlKey) return metaKey ? null : far ?? null;
  if (key === " ") return { pages: shiftKey ? -1 : 1 };
  return { PageUp: { pages: -1 }, PageDown: { pages: 1 }, ArrowUp: { lines: -1 }, ArrowDown: { lines: 1 } }[key] ?? null;
}

// Normalises text for the search: no case, no marks, one kind of space. `at` maps each character to its original position.
function folded(text) {
  let out = "";
  const at = [];
  let offset = 0;
  for (const c of text) {
    const isSpace = /\s/.test(c);
    // upper case first: it has one form of the Greek sigma, and "SS" for the German sharp s
    const plain = isSpace ? (out.endsWith(" ") ? "" : " ") : c.normalize("NFKD").replace(/\p{M}/gu, "").toUpperCase().toLowerCase();
    out += plain;
    for (let i = 0; i < plain.length; i++) at.push(offset);
    offset += c.length;
  }
  at.push(offset);
  return { text: out, at };
}

const WIDE = ".ws-table, div.ws-math";
const BLOCK = "p, li, td, th, h1, h2, h3, h4, h5, h6, pre, blockquote, summary, .ws-bubble, .ws-think-text, .ws-prose";

// Elements to skip: the page's own text around messages, and formulas, whose glyphs are no words.
const NOT_WRITTEN = "button, svg, .ws-tex, .ws-foot, .ws-question-foot, .ws-fold > summary, .ws-tool-call-title";

// Returns the ranges of `query`, which is folded, in a turn's text. Inline markup inside a word does not interrupt a match.
// A formula is matched by its source and highlighted as a whole.
function rangesIn(root, query) {
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT, (node) =>
    node.parentElement.closest(NOT_WRITTEN) ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_ACCEPT,
  );
  const ranges = [];
  let nodes = [];
  let block = null;
  const search = () => {
    const leads = nodes.map((node) => (node.previousSibling?.nodeName === "BR" ? 1 : 0)); // a line break counts as a space
    const { text, at } = folded(nodes.map((node, i) => " ".repeat(leads[i]) + node.data).join(""));
    const place = (offset, isEnd) => {
      for (const [i, node] of nodes.entries()) {
        const length = leads[i] + node.data.length;
        if (offset < length || (isEnd && offset === length)) return [node, Math.max(0, offset - leads[i])];
        offset -= length;
      }
      return [nodes.at(-1), nodes.at(-1).data.length];
    };
    for (let i = text.indexOf(query); i >= 0 && ranges.length < MAX_MARKS; i = text.indexOf(query, i + query.length)) {
      const range = document.createRange();
      range.setStart(...place(at[i], false));
      range.setEnd(...place(at[i + query.length], true));
      ranges.push(range);
    }
    nodes = [];
  };
  while (walker.nextNode()) {
    const node = walker.currentNode;
    const own = node.parentElement.closest(BLOCK);
    if (own !== block && nodes.length) search();
    block = own;
    nodes.push(node);
  }
  if (nodes.length) search();
  const formulas = [...root.querySelectorAll(".ws-tex")].filter((el) => folded(formulaSource(el)).text.includes(query));
  for (const el of formulas.slice(0, MAX_MARKS)) {
    const range = document.createRange();
    range.selectNodeContents(el);
    ranges.push(range);
  }
  if (formulas.length) ranges.sort((a, b) => a.compareBoundaryPoints(Range.START_TO_START, b));
  return ranges;
}

// Converts a turn of the HTML export into one of the page.
function printedTurn(article) {
  const turn = make("article", "ws-turn");
  for (const part of article.children) {
    const el = document.importNode(part, true);
    if (el.matches(".question")) {
      const question = make("div", "ws-question");
      el.className = "ws-bubble";
      question.append(el);
      turn.append(question);
      continue;
    }
    if (el.matches("details")) el.className = "ws-fold";
    if (el.matches(".note")) el.className = "ws-note";
    turn.append(el);
  }
  return turn;
}

export default {
  props: {
    words: Object,
    announce: { type: Boolean, default: true },
    pageSize: { type: Number, default: 20 },
    guess: { type: Number, default: 280 },
    isReader: Boolean, // read-only users can't change anything
    assets: { type: String, default: "/assets" }, // base URL of math.js and katex/
    version: { type: String, default: "" },
  },
  emits: ["need", "action", "copy", "find"],

  render() {
    return h("div", { class: "ws-transcript" });
  },

  mounted() {
    this.rows = []; // by index; a hole is a turn whose content is not loaded
    this.heights = [];
    this.byId = new Map();
    this.first = 0; // mounted turns: [first, end)
    this.end = 0;
    this.asked = new Set();
    this.queue = [];
    this.copies = new Map();
    this.source = ""; // the conversation's URL in the REST API
    this.isReadOut = this.announce;
    this.toGlide = 0; // px of keyboard scrolling that remain
    this.gliding = 0;
    this.findings = null; // while the find bar is open: {query, turns, at, ranges, range}
    this.speech = "";
    this.stick = true;
    this.template = document.createElement("template");

    this.scroller = make("div", "ws-scroller", { role: "log", "aria-live": "off", "aria-label": this.words.conversation, tabindex: "0" });
    const column = make("div", "ws-column");
    this.above = make("div", "ws-space");
    this.list = make("div", "ws-rows");
    this.below = make("div", "ws-space");
    column.append(this.above, this.list, this.below);
    this.scroller.append(column);
    this.newText = make("button", "ws-new-text", { type: "button", "data-testid": "new-text", hidden: "" });
    this.newText.innerHTML = icon("down");
    this.newText.append(make("span", ""));
    this.newText.lastChild.textContent = this.words.new_text;
    this.newText.onclick = () => this.toEnd();
    this.live = make("div", "ws-offscreen", { "aria-live": "polite", "aria-atomic": "false", "data-testid": "announcer" });
    this.where = make("div", "ws-where", { "aria-hidden": "true", "data-testid": "where", dir: "ltr", hidden: "" }); // hidden from screen readers, which read the link's title
    this.where.append(make("b", ""), make("span", ""));
    this.$el.append(this.scroller, this.newText, this.where, this.live);
    this.readPreferences();

    this.scroller.addEventListener("scroll", () => this.onScroll(), { passive: true });
    this.scroller.addEventListener("click", (event) => this.onClick(event));
    this.scroller.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.target.matches(".ws-fn")) this.showFootnote(event.target);
    });
    for (const name of ["wheel", "touchmove", "pointerdown", "keydown"]) this.scroller.addEventListener(name, () => (this.goal = null), { passive: true });
    for (const name of ["wheel", "touchmove", "pointerdown"]) this.scroller.addEventListener(name, () => (this.toGlide = 0), { passive: true });
    this.scroller.addEventListener("submit", (event) => this.sendFeedback(event));
    for (const name of ["mouseover", "focusin"]) this.scroller.addEventListener(name, (event) => this.showWhere(event.target.closest(".ws-prose a")));
    for (const name of ["mouseleave", "focusout"]) this.scroller.addEventListener(name, () => this.showWhere(null));
    this.$el.addEventListener("keydown", (event) => this.onKey(event));
    this.scroller.addEventListener("copy", (event) => this.copySelection(event));
    this.closer = (event) => this.menu && !this.menu.el.parentElement.contains(event.target) && this.closeMenu();
    document.addEventListener("pointerdown", this.closer);
    document.addEventListener("keydown", this.onPageKey);
    document.addEventListener("copy", this.onCopy);
    window.addEventListener("wireside:scroll", this.onScrollWish);
    window.addEventListener("wireside:preferences", this.readPreferences);
    window.addEventListener("beforeprint", this.beforePrint);
    window.addEventListener("afterprint", this.afterPrint);
    this.observer = new ResizeObserver(() => this.onResize());
    this.observer.observe(this.list);
    this.observer.observe(this.scroller);
    this.ticker = setInterval(() => this.tick(), 1000);
  },

  unmounted() {
    this.observer.disconnect();
    clearInterval(this.ticker);
    document.removeEventListener("pointerdown", this.closer);
    document.removeEventListener("keydown", this.onPageKey);
    document.removeEventListener("copy", this.onCopy);
    window.removeEventListener("wireside:scroll", this.onScrollWish);
    window.removeEventListener("wireside:preferences", this.readPreferences);
    window.removeEventListener("beforeprint", this.beforePrint);
    window.removeEventListener("afterprint", this.afterPrint);
    cancelAnimationFrame(this.gliding);
    this.closeFind();
  },

  methods: {
    // ---- called by the server ----

    put(page, rows) {
      this.asked.delete(page);
      rows.forEach((data, k) => {
        const i = page * this.pageSize + k;
        if (i >= this.rows.length || this.rows[i] || this.byId.has(data.id)) return;
        this.rows[i] = this.newRow(data);
        if (i < this.first || i >= this.end) return;
        this.list.replaceChild(this.build(this.rows[i]), this.list.children[i - this.first]);
        this.measure(i);
      });
      this.arrange();
      this.showFound();
      this.paintFind();
    },

    miss(page) {
      setTimeout(() => {
        this.asked.delete(page);
        this.askMissing();
      }, ASK_AGAIN_MS);
    },

    append(data) {
      if (this.byId.has(data.id)) return this.update(data.id, data);
      const row = this.newRow(data);
      row.stays = true;
      this.rows.push(row);
      this.heights.push(this.guess);
      this.stick = true; // the reader has just sent this question
      this.goal = null;
      this.arrange();
      this.tellState(row);
    },

    update(id, patch) {
      this.enqueue(id, (row) => this.patch(row, patch));
    },

    remove(id) {
      this.enqueue(id, (row) => {
        this.drop(this.rows.indexOf(row));
        this.arrange();
      });
    },

    ops(id, ops) {
      for (const op of ops) this.queue.push([id, (row) => this.apply(row, op)]);
      this.pump();
    },

    reset(rows, total) {
      this.goal = null;
      this.found = undefined;
      const keep = new Map(this.byId);
      const start = total - rows.length;
      const held = this.rows.slice(0, start);
      this.clear();
      this.byId = new Map(held.filter(Boolean).map((row) => [row.data.id, row]));
      this.rows = held;
      this.rows.length = start;
      this.heights = Array.from({ length: start }, (_, i) => this.heights[i] ?? this.guess);
      for (const data of rows) {
        let row = keep.get(data.id);
        if (row) {
          this.byId.set(data.id, row);
          this.patch(row, data, true);
        } else {
          row = this.newRow(data);
        }
        row.stays = true;
        this.rows.push(row);
        this.heights.push(row.height || this.guess);
      }
      this.arrange();
    },

    replaceFrom(index, rows, total) {
      const place = this.placeFor(index, rows, total);
      const focus = this.focusIn(index);
      const gone = new Map();
      for (const row of this.rows.splice(index)) {
        if (!row) continue;
        gone.set(row.data.id, row);
        this.byId.delete(row.data.id);
      }
      this.queue = this.queue.filter(([id]) => !gone.has(id)); // the rows contain the result of all these operations
      while (this.list.children.length > Math.max(0, index - this.first)) this.list.lastChild.remove();
      this.first = Math.min(this.first, index);
      this.end = this.first + this.list.children.length;
      this.heights.length = Math.min(this.heights.length, index);
      for (let i = this.rows.length; i < index; i++) this.rows.push(undefined);
      for (const data of rows) {
        const row = gone.get(data.id) ?? this.newRow(data);
        const isOpen = OPEN.has(data.state);
        if (gone.has(data.id)) {
          this.byId.set(data.id, row);
          if (isOpen && row.el?.isConnected) row.el.style.minHeight = `${row.height}px`; // until its text has arrived again
          this.patch(row, data);
        }
        row.stays = isOpen;
        this.rows.push(row);
      }
      for (let i = this.heights.length; i < total; i++) this.heights.push(this.rows[i]?.height || this.guess);
      this.rows.length = this.heights.length = total;
      for (const page of this.asked) if ((page + 1) * this.pageSize > index) this.asked.delete(page);
      if (this.anchor?.index >= index && !place) this.anchor = null;
      if (place || this.goal?.index >= index) this.goal = null;
      this.arrange(place);
      if (place) this.arrange(); // a tall view shows more above the position than the margin
      const { scrollTop, scrollHeight, clientHeight } = this.scroller;
      if (scrollHeight - scrollTop - clientHeight < 2) this.stick = true;
      this.refocus(focus);
    },

    jump(index) {
      if (!(index >= 0 && index < this.rows.length)) return;
      this.stick = false;
      this.goal = { index, top: 16 }; // holds until the reader scrolls: turns above may still be loading
      this.found = index;
      this.arrange();
      this.showFound();
    },

    copied(ask, text) {
      this.copies.get(ask)?.(text);
      this.copies.delete(ask);
    },

    // ---- the reader's position while turns change ----

    // Returns which turn to move to which position when the turns from `index` on change; undefined if the view needs no correction.
    placeFor(index, rows, total) {
      const last = rows.at(-1);
      if (last && OPEN.has(last.state) && total === index + rows.length && !this.byId.has(last.id)) {
        this.stick = true; // the question has just been sent
        this.goal = null;
        return undefined;
      }
      const k = rows.findIndex((data, n) => this.rows[index + n]?.data.id !== data.id);
      if (k < 0) return undefined;
      const el = this.list.children[index + k - this.first];
      if (index + k >= this.end || index + k >= this.rows.length) return undefined;
      this.stick = false;
      const view = this.scroller.getBoundingClientRect();
      const box = el?.getBoundingClientRect();
      if (box && box.top >= view.bottom) return undefined;
      return { index: index + k, top: box && box.bottom > view.top ? box.top - view.top : 16 };
    },

    focusIn(index) {
      const el = document.activeElement;
      const turn = this.list.contains(el) ? el.closest(".ws-turn") : null;
      const i = turn ? this.first + [...this.list.children].indexOf(turn) : -1;
      return i >= index ? { index: i, action: el.dataset.action } : null;
    },

    refocus(focus) {
      if (!focus || this.list.contains(document.activeElement)) return;
      const el = this.rows[focus.index]?.el;
      (el?.querySelector(`[data-action="${focus.action}"]`) ?? this.scroller).focus({ preventScroll: true });
    },

    showFound() {
      const row = this.rows[this.found];
      if (!row?.el?.isConnected) return; // its content is still loading
      this.found = undefined;
      if (!document.activeElement?.closest("form, dialog, .ws-find")) row.el.focus({ preventScroll: true });
      row.el.classList.add("ws-found");
      setTimeout(() => {
        row.el?.classList.remove("ws-found");
        if (this.rows[this.goal?.index] === row) this.goal = null;
      }, FOUND_MS);
    },

    // ---- work in slices ----

    enqueue(id, work) {
      this.queue.push([id, work]);
      this.pump();
    },

    pump() {
      if (this.pumping) return;
      const started = performance.now();
      const touched = new Set();
      while (this.queue.length && performance.now() - started < SLICE_MS) {
        // checking the clock once a batch would be cheaper, but one operation can be a long block
        const [id, work] = this.queue.shift();
        const row = this.byId.get(id);
        if (!row) continue;
        work(row);
        touched.add(row);
      }
      for (const row of touched) if (row.live) this.afterOps(row);
      if (this.queue.length) {
        this.pumping = true;
        const next = () => {
          this.pumping = false;
          this.pump();
        };
        document.hidden ? setTimeout(next) : requestAnimationFrame(next);
      }
    },

    // ---- turns ----

    newRow(data) {
      const row = { data: { state: "done", question: "", html: "", reasoning: "", tools: [], error: "", retry_after: null, sibling: 0, siblings: 1, feedback: "", model: "", asked_at: 0, ...data } };
      this.byId.set(data.id, row);
      this.setDeadline(row);
      if (!mathReady && row.data.html.includes("ws-tex")) this.formulasReady(); // also without DOM: printing does not wait for it
      return row;
    },

    build(row) {
      if (row.el) return row.el;
      const el = (row.el = make("article", "ws-turn", { tabindex: "-1", "aria-label": row.data.question.slice(0, 80) || this.words.answer }));
      el.dataset.id = row.data.id;
      row.questionPart = make("div", "ws-question");
      row.thinkPart = make("div", "ws-extras");
      row.prose = make("div", "ws-prose", { "data-testid": "message-assistant", dir: "auto", role: "group", "aria-label": this.words.answer });
      row.foot = make("div", "ws-foot");
      row.answerPart = make("div", "ws-answer");
      row.answerPart.append(row.thinkPart, row.prose, row.foot);
      el.append(row.questionPart, row.answerPart);
      row.prose.innerHTML = row.data.html;
      this.decorate(row.prose);
      this.drawFormulas(row.prose);
      this.paintQuestion(row);
      this.paintExtras(row);
      this.paintState(row);
      return el;
    },

    patch(row, patch, isReset = false) {
      const { data } = row;
      const changed = Object.keys(patch).filter((key) => JSON.stringify(patch[key]) !== JSON.stringify(data[key]));
      // `html` replaces an answer that has grown here; an empty one from a reset keeps the current content
      const isHtmlNew = "html" in patch && (row.live ? Boolean(patch.html) || !isReset : changed.includes("html"));
      Object.assign(data, patch);
      if ("retry_after" in patch) this.setDeadline(row);
      if (changed.includes("state")) this.tellState(row);
      if (!row.el) return;
      if (isHtmlNew) {
        row.live = null;
        row.prose.innerHTML = data.html;
        this.decorate(row.prose);
        this.drawFormulas(row.prose);
      }
      if (["question", "state", "sibling", "siblings"].some((key) => changed.includes(key))) this.paintQuestion(row);
      if (!OPEN.has(data.state)) row.el.style.minHeight = "";
      if (changed.includes("reasoning") || changed.includes("tools") || changed.includes("state")) this.paintExtras(row);
      if (changed.length) this.paintState(row);
      if (changed.length) this.paintFind();
    },

    paintQuestion(row) {
      const { question, state, siblings } = row.data;
      const parts = [];
      if (question) {
        const bubble = make("div", "ws-bubble", { "data-testid": "message-user", dir: "auto", role: "group", "aria-label": this.words.question });
        bubble.textContent = question;
        parts.push(bubble);
      }
      const foot = make("div", "ws-question-foot");
      if (question && state === "waiting") {
        const note = make("div", "ws-waiting", { "data-testid": "waiting" });
        note.append(this.words.waiting);
        if (!this.isReader) note.append(" — ", this.button("withdraw", this.words.take_back, { text: true }));
        foot.append(note);
      } else if (question) {
        const bar = this.bar(["copy_question", "edit"]);
        if (row.data.asked_at) bar.append(timeOf(row.data.asked_at));
        foot.append(bar);
      }
      if (siblings > 1) foot.append(this.versions(row));
      if (foot.firstChild) parts.push(foot);
      row.questionPart.classList.toggle("ws-waits", state === "waiting");
      this.refill(row.questionPart, parts);
    },

    versions(row) {
      const { sibling, siblings } = row.data;
      const label = this.words.version.replace("{number}", sibling + 1).replace("{count}", siblings);
      const el = make("div", "ws-versions", { role: "group", "aria-label": label, "data-testid": "versions" });
      const previous = this.button("previous", this.words.previous, { icon: "previous" });
      const next = this.button("next", this.words.next, { icon: "next" });
      // a disabled button would lose the focus when the reader reaches the first or last version
      if (sibling <= 0) previous.setAttribute("aria-disabled", "true");
      if (sibling >= siblings - 1) next.setAttribute("aria-disabled", "true");
      const place = make("span", "ws-version");
      place.textContent = `${sibling + 1} / ${siblings}`;
      el.append(...(this.isReader ? [place] : [previous, place, next]));
      return el;
    },

    // Replaces the children of a part of a turn. The focus stays on the same or a corresponding element.
    refill(part, nodes, focused = this.focusedIn(part)) {
      if (this.menu && part.contains(this.menu.el)) this.closeMenu();
      part.replaceChildren(...nodes);
      if (!focused) return;
      const like = part.contains(focused) ? focused : part.querySelector(`[data-action="${focused.dataset.action}"]`);
      const near = like ?? part.querySelector("button:not([aria-disabled])") ?? part.closest(".ws-turn");
      near?.focus({ preventScroll: true });
    },

    paintExtras(row) {
      const { reasoning, tools, state } = row.data;
      const part = row.thinkPart;
      let think = part.querySelector(".ws-think");
      if (reasoning && !think) {
        think = this.fold("ws-think");
        think.append(make("div", "ws-think-text", { dir: "auto" }));
        part.prepend(think);
      } else if (!reasoning && think) {
        think.remove();
      }
      if (reasoning) {
        const isLive = (state === "thinking" || state === "streaming") && !row.prose.firstChild;
        think.classList.toggle("ws-is-live", isLive);
        if (isLive) row.thinkingSince ??= performance.now();
        else if (row.thinkingSince && !row.thoughtFor) row.thoughtFor = performance.now() - row.thinkingSince;
        const took = row.thoughtFor ? this.words.reasoning_took.replace("{time}", duration(row.thoughtFor)) : this.words.reasoning;
        think.querySelector(".ws-fold-label").textContent = isLive ? this.words.reasoning_live : took;
        const body = think.lastChild;
        if (!body.firstChild) body.append("");
        morphText(body.firstChild, reasoning);
      }
      const open = new Set([...part.querySelectorAll(".ws-tool-call[open]")].map((el) => el.dataset.call));
      for (const el of part.querySelectorAll(".ws-tool-call")) el.remove();
      for (const tool of tools) part.append(this.toolFold(tool, open.has(tool.call)));
    },

    toolFold(tool, isOpen) {
      const el = this.fold("ws-tool-call");
      el.dataset.call = tool.call;
      el.dataset.state = tool.state;
      el.open = isOpen;
      const seconds = tool.seconds == null ? "" : ` · ${tool.seconds < 10 ? tool.seconds.toFixed(1) : Math.round(tool.seconds)} s`;
      el.querySelector(".ws-fold-label").textContent = `${tool.name} — ${this.words[`tool_${tool.state}`]}${seconds}`;
      for (const key of ["arguments", "result"]) {
        if (!tool[key]) continue;
        const title = make("div", "ws-tool-call-title");
        title.textContent = this.words[key];
        const text = make("pre", "ws-tool-call-text");
        text.textContent = tool[key];
        el.append(title, text);
      }
      return el;
    },

    fold(className) {
      const el = make("details", `ws-fold ${className}`);
      const summary = make("summary", "");
      summary.innerHTML = icon("chevron");
      summary.append(make("span", "ws-fold-label"));
      el.append(summary);
      return el;
    },

    paintState(row) {
      const { state, error } = row.data;
      const isOpen = state === "thinking" || state === "streaming";
      if (!isOpen) row.askedAt = undefined;
      const focused = this.focusedIn(row.foot); // before a field in it is moved
      row.el.dataset.state = state;
      row.answerPart.hidden = state === "waiting";
      row.prose.setAttribute("aria-busy", String(isOpen));
      row.prose.classList.toggle("ws-busy", state === "streaming");
      row.prose.hidden = !row.prose.firstChild;
      const parts = [];
      if (state === "thinking" || (isOpen && !row.prose.firstChild)) parts.push(this.typing(row));
      if (state in ENDS) parts.push(this.note(this.words[state], "", ENDS[state], state));
      if (state === "error") parts.push(this.errorNote(row, error));
      const has = Boolean(row.prose.firstChild);
      if (isOpen) parts.push(this.bar(["stop"]));
      else if (has) parts.push(this.answerBar(row));
      else if (state !== "waiting") parts.push(this.bar(state === "error" ? [] : ["retry"]));
      this.refill(row.foot, parts, focused);
    },

    answerBar(row) {
      const { feedback } = row.data;
      const el = this.bar(["copy", "retry"]);
      const split = make("div", "ws-split");
      const more = this.button("copy_menu", this.words.copy_menu, { icon: "more" });
      more.setAttribute("aria-haspopup", "menu");
      more.setAttribute("aria-expanded", "false");
      el.firstChild.replaceWith(split);
      split.append(this.button("copy", this.words.copy, { icon: "copy" }), more);
      const up = this.button("up", this.words.good, { icon: "up" });
      const down = this.button("down", this.words.bad, { icon: "down_thumb" });
      up.setAttribute("aria-pressed", String(feedback === "up"));
      down.setAttribute("aria-pressed", String(feedback === "down"));
      if (!this.isReader) el.append(up, down);
      if (!feedback) row.say = null;
      el.append(this.answeredBy(row));
      if (row.say) el.append(row.say);
      el.classList.toggle("ws-stays", Boolean(row.say));
      return el;
    },

    // The name of the model that answered; for "vendor/model" the second half.
    answeredBy(row) {
      const { model } = row.data;
      const el = make("span", "ws-by", { "data-testid": "answered-by", dir: "auto", title: model });
      el.textContent = model
        .split(", ")
        .map((name) => name.slice(name.lastIndexOf("/") + 1) || name)
        .join(", ");
      el.hidden = !model;
      return el;
    },

    focusedIn(part) {
      return part.contains(document.activeElement) ? document.activeElement : null;
    },

    // ---- feedback on an answer ----

    judge(row, verdict) {
      const isTakenBack = row.data.feedback === verdict;
      this.$emit("action", { name: isTakenBack ? "no-feedback" : verdict, id: row.data.id, automatic: false, words: "" });
      row.data.feedback = isTakenBack ? "" : verdict;
      row.say = isTakenBack ? null : this.feedbackForm(verdict);
      this.paintState(row);
    },

    feedbackForm(verdict) {
      const label = verdict === "up" ? this.words.what_good : this.words.what_wrong;
      const form = make("form", "ws-say", { "data-testid": "feedback" });
      const field = make("input", "ws-say-text", { type: "text", maxlength: String(MAX_FEEDBACK_CHARS), placeholder: label, "aria-label": label, dir: "auto", autocomplete: "off" });
      const send = this.button("send_feedback", this.words.send_feedback, { icon: "send" });
      send.type = "submit";
      form.append(field, send, this.button("close_feedback", this.words.close, { icon: "close" }));
      return form;
    },

    sendFeedback(event) {
      event.preventDefault();
      const row = this.rowOf(event.target);
      const words = event.target.querySelector("input").value.trim().slice(0, MAX_FEEDBACK_CHARS);
      if (words) this.$emit("action", { name: "say", id: row.data.id, automatic: false, words });
      this.closeFeedback(row, words ? this.words.thanks : "");
    },

    closeFeedback(row, thanks = "") {
      row.say = null;
      this.paintState(row);
      const bar = row.foot.querySelector(".ws-actions");
      bar.querySelector(`[data-action="${row.data.feedback}"]`)?.focus({ preventScroll: true });
      if (!thanks) return;
      const note = make("span", "ws-thanks", { role: "status" });
      bar.append(note);
      note.textContent = thanks;
      setTimeout(() => note.remove(), 2400);
    },

    rowOf(el) {
      return this.byId.get(el.closest(".ws-turn").dataset.id);
    },

    // ---- the menu next to "Copy" ----

    openMenu(button) {
      const el = make("div", "ws-copy-menu", { role: "menu", "aria-label": this.words.copy_menu });
      for (const [action, label] of [["copy_markdown", this.words.copy_markdown], ["copy_text", this.words.copy_text]]) {
        const item = make("button", "ws-menu-item", { type: "button", role: "menuitem", tabindex: "-1", "data-action": action });
        item.textContent = label;
        el.append(item);
      }
      button.parentElement.append(el);
      const room = button.getBoundingClientRect().top - this.scroller.getBoundingClientRect().top;
      el.classList.toggle("ws-below", room < el.offsetHeight + 16);
      button.setAttribute("aria-expanded", "true");
      button.closest(".ws-turn").classList.add("ws-over");
      this.menu = { el, button };
      el.firstChild.focus({ preventScroll: true });
    },

    closeMenu(hasFocus = false) {
      if (!this.menu) return;
      const { el, button } = this.menu;
      this.menu = null;
      el.remove();
      button.setAttribute("aria-expanded", "false");
      button.closest(".ws-turn")?.classList.remove("ws-over");
      if (hasFocus) button.focus({ preventScroll: true });
    },

    onKey(event) {
      if (isComposing(event)) return; // Escape cancels the composition of an input method
      if (event.key === "Escape" && event.target.closest(".ws-say")) {
        event.stopPropagation(); // otherwise it would stop an answer
        return this.closeFeedback(this.rowOf(event.target));
      }
      if (!this.menu?.el.contains(event.target)) return;
      const items = [...this.menu.el.children];
      const at = items.indexOf(event.target);
      const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
      if (to !== undefined) {
        event.preventDefault();
        items.at(to % items.length).focus({ preventScroll: true });
      } else if (event.key === "Escape" || event.key === "Tab") {
        if (event.key === "Escape") event.stopPropagation();
        this.closeMenu(true);
      }
    },

    typing(row) {
      const el = make("div", "ws-typing", { "data-testid": "typing" });
      const dots = make("span", "ws-dots", { "aria-hidden": "true" });
      dots.append(make("i"), make("i"), make("i"));
      const label = make("span", "");
      label.textContent = this.words.typing;
      el.append(dots, label);
      row.askedAt ??= Date.now();
      const show = () => {
        const { reasoning, tools } = row.data;
        const isSilent = !reasoning && !tools.length && !row.prose.firstChild;
        label.textContent = isSilent ? this.words.model_loading : this.words.typing;
      };
      const leftMs = row.askedAt + LOADING_MS - Date.now();
      if (leftMs > 0) setTimeout(show, leftMs); // harmless if the element has been replaced
      else show();
      return el;
    },

    note(text, detail, actions, kind) {
      const el = make("div", "ws-note", { "data-kind": kind, "data-testid": `note-${kind}` });
      const words = make("div", "ws-note-text", { dir: "auto" });
      words.append(text);
      if (detail) {
        const more = make("div", "ws-note-detail");
        more.append(detail);
        words.append(more);
      }
      el.append(words, ...this.allowed(actions).map((name) => this.button(name, this.words[name], { text: true })));
      return el;
    },

    errorNote(row, error) {
      const detail = make("span", "ws-countdown", { "data-testid": "countdown" });
      const el = this.note(error || this.words.error, row.deadline ? detail : "", [], "error");
      el.setAttribute("role", "alert");
      detail.setAttribute("aria-live", "off");
      if (row.prose.firstChild) el.append(...this.allowed(["continue"]).map((name) => this.button(name, this.words[name], { text: true })));
      if (!this.isReader) el.append(this.button("retry", this.words.try_again, { text: true }));
      this.paintCountdown(row, detail);
      return el;
    },

    paintCountdown(row, el) {
      if (!row.deadline || !el) return;
      const left = Math.max(0, Math.ceil((row.deadline - Date.now()) / 1000));
      el.textContent = this.words.retry_in.replace("{seconds}", left);
    },

    setDeadline(row) {
      const { retry_after: seconds, state } = row.data;
      row.deadline = seconds != null && state === "error" && !this.isReader ? Date.now() + seconds * 1000 : 0;
    },

    allowed(names) {
      return this.isReader ? names.filter((name) => name.startsWith("copy")) : names;
    },

    bar(names) {
      const el = make("div", "ws-actions");
      for (const name of this.allowed(names)) {
        const isQuestion = name === "copy_question";
        el.append(this.button(isQuestion ? "copy_question" : name, this.words[isQuestion ? "copy" : name], { icon: isQuestion ? "copy" : name }));
      }
      return el;
    },

    button(action, label, { icon: name, text } = {}) {
      const el = make("button", text ? "ws-text-button" : "ws-icon-button", { type: "button", "data-action": action, "aria-label": label });
      if (text) {
        el.textContent = label;
      } else {
        el.title = label;
        el.innerHTML = icon(name);
      }
      return el;
    },

    // ---- a growing answer ----

    apply(row, op) {
      this.build(row);
      if (op[0] === "g") return this.applyReasoning(row, op[1]);
      const live = (row.live ??= { place: row.prose, mark: row.prose.lastChild, html: "", code: null, said: 0, muted: false });
      row.grew = true;
      switch (op[0]) {
        case "t":
        case "f":
          this.setTail(live, live.html.slice(0, op[1]) + op[2]);
          if (op[0] === "f") this.settle(live);
          break;
        case "c": {
          this.setTail(live, '<div class="ws-code"><pre><code></code></pre></div>');
          const frame = live.mark ? live.mark.nextSibling : live.place.firstChild;
          frame.dataset.lang = op[1];
          live.code = document.createTextNode(op[2]);
          frame.querySelector("code").append(live.code);
          live.html = "";
          break;
        }
        case "a":
          live.code?.appendData(op[1]);
          break;
        case "p":
          this.addPlain(live, op[1]);
          break;
        case "s":
          this.settle(live);
          break;
        case "o": {
          this.setTail(live, op[1]);
          this.settle(live);
          const block = row.prose.lastElementChild;
          live.place = block.querySelector(":scope > table > tbody") ?? block;
          live.mark = live.place.lastChild;
          break;
        }
        case "z":
          live.place = row.prose;
          live.mark = row.prose.lastChild;
          break;
        case "r":
          row.el.style.minHeight = `${row.el.offsetHeight}px`; // until the new content arrives, so that the layout does not jump
          live.place = row.prose;
          live.mark = null;
          this.setTail(live, op[1]);
          this.settle(live);
          live.muted = true;
          break;
      }
    },

    // Adds text after the tail, without markup; the next change of the tail removes it.
    addPlain(live, text) {
      if (!live.plain) {
        const isBody = live.place.tagName === "TBODY";
        const row = make(isBody ? "tr" : /^[UO]L$/.test(live.place.tagName) ? "li" : "p", "ws-plain");
        live.plain = document.createTextNode("");
        (isBody ? row.appendChild(make("td", "", { colspan: "99" })) : row).append(live.plain);
        live.place.append(row);
      }
      live.plain.appendData(text);
    },

    setTail(live, html) {
      live.code = null;
      live.plain = null;
      this.template.innerHTML = html; // sanitised on the server
      morph(live.place, live.mark, this.template.content);
      live.html = html;
      for (let el = live.mark ? live.mark.nextSibling : live.place.firstChild; el; el = el.nextSibling) this.drawFormulas(el);
    },

    // Draws the undrawn formulas of `root`. While KaTeX is loading, they are invisible but occupy their space.
    drawFormulas(root) {
      if (root.nodeType !== Node.ELEMENT_NODE) return;
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
        classList.add("ws-math-comes");
        setTimeout(() => classList.remove("ws-math-comes"), FORMULA_LOAD_MS);
      }
      try {
        await loadMath(this.assets, this.version);
        for (const row of this.byId.values()) if (row.el) this.drawFormulas(row.prose);
      } catch {
        // the sources stay
      } finally {
        classList.remove("ws-math-comes");
      }
    },

    settle(live) {
      const fresh = [];
      for (let el = live.mark ? live.mark.nextSibling : live.place.firstChild; el; el = el.nextSibling) fresh.push(el);
      live.mark = live.place.lastChild;
      live.html = "";
      live.code = null;
      for (const el of fresh) {
        if (el.nodeType !== Node.ELEMENT_NODE) continue;
        this.decorate(el);
        if (this.isReadOut) this.say(live, this.spoken(el));
        live.said = 0;
      }
    },

    applyReasoning(row, text) {
      row.data.reasoning += text;
      const body = row.thinkPart.querySelector(".ws-think-text");
      if (body?.firstChild) body.firstChild.appendData(text);
      else this.paintExtras(row);
    },

    afterOps(row) {
      if (!row.grew) return;
      row.grew = false;
      if (row.prose.hidden && row.prose.firstChild) {
        this.paintState(row);
        this.paintExtras(row);
      }
      if (this.isReadOut && row.live) this.sayTail(row.live);
      if (row.live) row.live.muted = false;
      row.el.style.minHeight = "";
      if (!this.stick) this.newText.hidden = false;
      if (!row.el.isConnected) return;
    },

    decorate(root) {
      const blocks = root.matches?.(".ws-code") ? [root] : root.querySelectorAll?.(".ws-code") ?? [];
      for (const block of blocks) {
        if (block.querySelector(":scope > .ws-copy")) continue;
        const lang = block.dataset.lang;
        const copy = this.button("copy_code", lang ? `${this.words.copy_code} (${lang})` : this.words.copy_code, { icon: "copy" });
        copy.classList.add("ws-copy");
        block.append(copy);
        block.querySelector("pre").tabIndex = 0; // it scrolls horizontally
        if (lang === "mermaid") this.drawDiagram(block);
      }
      this.reachWide(root);
      const cards = root.matches?.(".ws-image") ? [root] : root.querySelectorAll?.(".ws-image") ?? [];
      for (const card of cards) {
        const parts = [...card.children].map((part) => part.textContent).filter(Boolean);
        if (parts.length > 1 && card.childNodes.length === parts.length) card.children[0].after(" "); // otherwise they are read as one word
        card.setAttribute("aria-label", `${this.words.open_image}: ${parts.join(" — ")}`);
      }
    },

    // Elements wider than the column are scrollable by keyboard, so they need to be focusable and to have a name.
    reachWide(root) {
      for (const el of root.matches?.(WIDE) ? [root] : root.querySelectorAll?.(WIDE) ?? []) {
        const scrolls = el.scrollWidth > el.clientWidth + 1;
        if (scrolls === el.hasAttribute("tabindex")) continue;
        el.toggleAttribute("tabindex", scrolls);
        if (scrolls) el.tabIndex = 0;
        if (scrolls ? el.hasAttribute("aria-label") : el.getAttribute("role") !== "group") continue; // it already has its own name
        for (const [name, value] of [["role", "group"], ["aria-label", this.words[el.matches(".ws-table") ? "table" : "formula"]]]) {
          scrolls ? el.setAttribute(name, value) : el.removeAttribute(name);
        }
      }
    },

    async drawDiagram(block) {
      const source = block.querySelector("code").textContent;
      if (!source.trim() || source.length > MAX_DIAGRAM_CHARS || isSuspect(source)) return;
      const stage = make("div", "ws-stage", { inert: "", "aria-hidden": "true" });
      try {
        const mermaid = await loadMermaid();
        this.$el.append(stage); // invisible, and isolated from the page
        stage.append(make("div"));
        const { svg } = await mermaid.render(`ws-diagram-${++diagrams}`, source, stage.firstChild);
        const box = new DOMParser().parseFromString(svg, "image/svg+xml").documentElement.viewBox?.baseVal;
        // nothing inside an image can run or load
        const image = make("img", "ws-diagram", { alt: source, "data-testid": "diagram" });
        if (box?.width) Object.assign(image, { width: Math.ceil(box.width), height: Math.ceil(box.height) });
        image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
        await image.decode();
        block.querySelector(":scope > .ws-diagram")?.remove(); // drawn twice: the answer was replaced meanwhile
        block.prepend(image);
        block.classList.add("ws-has-diagram");
      } catch {
        // the source stays: it is more useful than an error
      } finally {
        stage.remove();
      }
    },

    // ---- screen readers ----

    spoken(el) {
      if (el.matches(".ws-code")) return `${this.words.code_block} ${el.dataset.lang}.`;
      return textOf(el);
    },

    sayTail(live) {
      let text = "";
      for (let el = live.mark ? live.mark.nextSibling : live.place.firstChild; el; el = el.nextSibling) text += textOf(el);
      if (live.code || live.muted) return;
      const rest = text.slice(live.said);
      const end = Math.max(...[". ", "! ", "? ", "… ", "。", "！", "？", ": "].map((mark) => rest.lastIndexOf(mark)));
      if (end < 0) return;
      this.speech += ` ${rest.slice(0, end + 1)}`;
      live.said += end + 1;
    },

    say(live, text) {
      if (!live.muted) this.speech += ` ${text.slice(live.said)}`;
    },

    tick() {
      for (const row of this.byId.values()) {
        if (!row.deadline) continue;
        this.paintCountdown(row, row.foot?.querySelector(".ws-countdown"));
        if (Date.now() < row.deadline) continue;
        row.deadline = 0;
        this.$emit("action", { name: "retry", id: row.data.id, automatic: true, words: "" });
      }
      const text = this.speech.trim();
      this.speech = "";
      if (!text) return;
      const line = make("p", "");
      line.textContent = text;
      this.live.append(line);
      while (this.live.children.length > 8) this.live.firstChild.remove();
    },

    readPreferences() {
      try {
        this.isReadOut = this.announce && localStorage.getItem("wireside.read_out") !== "false";
      } catch {
        this.isReadOut = this.announce;
      }
    },

    // Announces an answer's state even if its text is not read out: the user asked for it, and the state is visible.
    tellState(row) {
      const { state } = row.data;
      if (state === "error") return; // errors have their own alert
      if (state === "done" && this.rows.indexOf(row) < this.rows.length - 2) return; // an earlier answer
      const word = { thinking: "typing", done: "answer_done" }[state] ?? state;
      if (this.words[word]) this.speech += ` ${this.words[word]}`;
    },

    // ---- link targets ----

    showWhere(link) {
      this.where.hidden = !link;
      if (!link) return;
      const [host, rest] = this.where.children;
      host.textContent = link.host || link.href;
      rest.textContent = link.host ? link.href.slice(link.origin.length) : "";
    },

    // ---- clicks ----

    onClick(event) {
      const { target } = event;
      if (target.closest("summary")) this.stick = false; // an opened element keeps its position
      if (target.matches(".ws-fn")) return this.showFootnote(target);
      const button = target.closest("[data-action]");
      if (!button) return;
      if (button.getAttribute("aria-disabled") === "true") return;
      if (COSTLY.has(button.dataset.action) && event.detail > 1) return; // a double click sends one request
      const row = this.rowOf(button);
      const { id } = row.data;
      const name = button.dataset.action;
      switch (name) {
        case "copy_code":
          return this.copy(button, button.parentElement.querySelector("code").textContent);
        case "copy_question":
          return this.copy(button, row.data.question);
        case "copy":
          return event.shiftKey ? this.copy(button, plainText(row.prose)) : this.copyAnswer(button, row);
        case "copy_menu":
          return this.menu ? this.closeMenu(true) : this.openMenu(button);
        case "copy_markdown":
        case "copy_text": {
          this.closeMenu(true);
          const shown = row.foot.querySelector('[data-action="copy"]');
          return name === "copy_text" ? this.copy(shown, plainText(row.prose)) : this.copyAnswer(shown, row);
        }
        case "up":
        case "down":
          return this.judge(row, name);
        case "close_feedback":
          return this.closeFeedback(row);
        case "send_feedback":
          return; // handled by the form's submit event
      }
      if (name === "retry") row.deadline = 0;
      this.$emit("action", { name, id, automatic: false, words: "" });
    },

    askText(id) {
      const ask = `${id} ${performance.now()}`;
      const text = new Promise((resolve, reject) => {
        this.copies.set(ask, resolve);
        setTimeout(() => this.copies.delete(ask) && reject(new Error("The server did not answer.")), 10000);
      });
      this.$emit("copy", { id, ask });
      return text;
    },

    copyAnswer(button, row) {
      return this.copy(button, this.askText(row.data.id), cleanHtml(row.prose.cloneNode(true)));
    },

    // Ctrl+C: copies formulas as their source, and HTML without the colours of this page.
    copySelection(event) {
      if (event.defaultPrevented || event.target.closest?.("input, textarea")) return;
      const selected = selectedIn(this.scroller);
      if (!selected) return;
      const { fragment, hasFormula, text } = selected;
      const copy = make("div", "");
      copy.append(fragment.cloneNode(true));
      event.clipboardData.setData("text/html", cleanHtml(fragment));
      event.clipboardData.setData("text/plain", hasFormula ? laidOutText(copy, this.scroller) : text);
      event.preventDefault();
    },

    async copy(button, text, html = "") {
      try {
        await writeClipboard(text, html);
      } catch {
        return;
      }
      const label = button.getAttribute("aria-label");
      this.speech += ` ${this.words.copied}`;
      button.innerHTML = icon("check");
      button.classList.add("ws-done");
      button.setAttribute("aria-label", this.words.copied);
      setTimeout(() => {
        button.innerHTML = icon("copy");
        button.classList.remove("ws-done");
        button.setAttribute("aria-label", label);
      }, 1600);
    },

    showFootnote(mark) {
      const note = mark.closest(".ws-prose").querySelector(`.ws-footnotes li[data-fn="${mark.dataset.fn}"]`);
      if (!note) return;
      this.stick = false;
      note.scrollIntoView({ block: "nearest" });
      note.classList.add("ws-found");
      setTimeout(() => note.classList.remove("ws-found"), 1600);
    },

    // ---- keys ----

    onPageKey(event) {
      if (event.defaultPrevented || isComposing(event) || document.querySelector("dialog[open]")) return;
      const { key, target } = event;
      const isCommand = IS_MAC ? event.metaKey && !event.ctrlKey : event.ctrlKey && !event.metaKey;
      if (isCommand && !event.altKey && !event.shiftKey && key.toLowerCase() === "f") {
        // the page contains all the text, or the bar was already open: use the browser's own search
        if (this.isWhole() || this.findBar?.contains(target)) return;
        event.preventDefault();
        return this.openFind();
      }
      if (this.findings && (key === "F3" || (isCommand && key.toLowerCase() === "g"))) {
        event.preventDefault();
        return this.stepFind(event.shiftKey ? -1 : 1);
      }
      if (isCommand && !event.altKey && !event.shiftKey && key.toLowerCase() === "a") {
        if (!this.isOurs(target) || target.closest(TYPED_IN)) return;
        event.preventDefault();
        return this.selectAll();
      }
      const way = wayOf(event);
      if (!way || !this.takesKey(event, way)) return;
      event.preventDefault();
      this.scrollByKey(way);
    },

    isOurs(target) {
      return target === document.body || target === document.documentElement || this.$el.contains(target);
    },

    // Whether a key scrolls the conversation rather than the focused element.
    takesKey({ key, target }, way) {
      if (target.closest?.(`${TYPED_IN}, [role="menu"], [role="listbox"]`)) return false;
      const isPaging = way.pages || way.end || way.begin;
      const isHeader = key !== " " && isPaging && target.closest?.("[role=banner]") && !document.querySelector('[aria-expanded="true"]');
      if (!this.isOurs(target) && !isHeader) return false;
      if (key === " " && target.closest?.("button, summary")) return false;
      const down = way.end || (way.pages ?? way.lines) > 0;
      const box = target.closest?.("pre");
      const room = box ? (down ? box.scrollHeight - box.clientHeight - box.scrollTop : box.scrollTop) : 0;
      return room <= 1;
    },

    // Called by the composer: keys without a function in its box scroll the conversation.
    onScrollWish({ detail }) {
      this.scrollByKey(detail > 0 ? { pages: 1 } : { pages: -1 });
    },

    // The browser's own smooth scrolling ends when turns are mounted during it, so it is done here.
    scrollByKey({ begin, end, pages = 0, lines = 0 }) {
      if (end) return this.followEnd();
      if (begin) {
        if (!this.rows.length) return;
        this.stick = false;
        this.toGlide = 0;
        this.goal = null; // no content above could move it
        return this.arrange({ index: 0, top: this.scroller.clientHeight }); // beyond the maximum
      }
      const hidden = parseFloat(getComputedStyle(this.scroller.firstChild).paddingBottom) || 0; // covered by the composer
      const page = Math.max(2 * LINE_PX, (this.scroller.clientHeight - hidden) * PAGE_SHARE);
      const distance = pages * page + lines * LINE_PX;
      this.goal = null;
      if (matchMedia("(prefers-reduced-motion: reduce)").matches) return this.moveBy(distance);
      const isSameWay = Math.sign(this.toGlide) === Math.sign(distance);
      this.toGlide = Math.max(-2 * page, Math.min(2 * page, (isSameWay ? this.toGlide : 0) + distance));
      this.gliding ||= requestAnimationFrame(this.glide);
    },

    glide() {
      this.gliding = 0;
      const step = Math.abs(this.toGlide) <= 4 ? this.toGlide : Math.round(this.toGlide * 0.25);
      this.toGlide -= step;
      if (!step || !this.moveBy(step)) this.toGlide = 0;
      else if (this.toGlide) this.gliding = requestAnimationFrame(this.glide);
    },

    moveBy(distance) {
      if (distance < 0) this.stick = false;
      const before = this.scroller.scrollTop;
      this.scroller.scrollTop = before + distance;
      const hasMoved = this.scroller.scrollTop !== before;
      this.onScroll();
      return hasMoved;
    },

    // ---- select and copy everything ----

    setSource(address) {
      if (address === this.source) return;
      this.source = address;
      this.closeFind();
    },

    // Whether every turn is in the document with its whole text.
    isWhole() {
      return this.first === 0 && this.end === this.rows.length && this.isLoaded();
    },

    isLoaded() {
      return Array.from(this.rows).every((row) => row && !isPart(row)); // `rows` itself has holes, which `every` skips
    },

    selectAll() {
      getSelection().selectAllChildren(this.list);
      this.isAllSelected = true;
      if (this.isWhole() || !this.source) return;
      this.notify(this.words.all_selected.replace("{count}", this.rows.length.toLocaleString(document.documentElement.lang)));
    },

    onCopy(event) {
      if (!this.isAllSelected || this.isWhole() || !this.source || event.target.closest?.(TYPED_IN)) return;
      const selection = getSelection();
      const { firstElementChild: first, lastElementChild: last } = this.list;
      if (!selection.containsNode(first, true) || !selection.containsNode(last, true)) return (this.isAllSelected = false);
      event.preventDefault();
      const text = fetch(`${this.source}/export?format=markdown`).then((response) => {
        if (!response.ok) throw new Error("The server gave no file.");
        return response.text();
      });
      writeClipboard(text).then(
        () => this.notify(this.words.copied),
        () => this.notify(this.words.error),
      );
    },

    // Shows a short message over the conversation; screen readers read it too.
    notify(text) {
      this.notice?.remove();
      const el = (this.notice = make("div", "ws-notice", { "data-testid": "notice" }));
      el.textContent = text;
      this.$el.append(el);
      this.speech += ` ${text}`;
      setTimeout(() => el.remove(), NOTICE_MS);
    },

    // ---- find ----

    openFind() {
      if (!this.findBar) {
        const bar = (this.findBar = make("div", "ws-find", { role: "search", "aria-label": this.words.find, "data-testid": "find" }));
        const field = make("input", "ws-find-text", { type: "search", maxlength: String(MAX_FIND_CHARS), placeholder: this.words.find, "aria-label": this.words.find, autocomplete: "off", spellcheck: "false", dir: "auto" });
        const place = make("span", "ws-find-place", { role: "status", "data-testid": "find-place" });
        const buttons = [["find_previous", "previous", () => this.stepFind(-1)], ["find_next", "next", () => this.stepFind(1)], ["close", "close", () => this.closeFind(true)]];
        bar.append(field, place, ...buttons.map(([word, name, act]) => {
          const button = this.button(word, this.words[word], { icon: name });
          button.onclick = act;
          return button;
        }));
        field.addEventListener("input", (event) => {
          if (event.isComposing) return;
          clearTimeout(this.findTimer);
          this.findTimer = setTimeout(() => this.askFind(field.value), FIND_MS);
        });
        field.addEventListener("compositionend", () => this.askFind(field.value));
        bar.addEventListener("keydown", (event) => {
          if (isComposing(event)) return;
          if (event.key === "Escape") {
            event.preventDefault(); // otherwise it would stop an answer
            event.stopPropagation();
            this.closeFind(true);
          } else if (event.key === "Enter" && event.target === field) {
            event.preventDefault();
            if (this.findings.query !== folded(field.value).text.trim()) this.askFind(field.value);
            else this.stepFind(event.shiftKey ? -1 : 1);
          }
        });
        this.$el.append(bar);
        this.findings = { query: "", turns: [], at: -1, ranges: [], range: 0 };
        this.findFrom = document.activeElement;
      }
      const field = this.findBar.firstChild;
      field.focus({ preventScroll: true });
      field.select();
    },

    closeFind(returns = false) {
      if (!this.findBar) return;
      clearTimeout(this.findTimer);
      const turn = this.rows[this.findings.turns[this.findings.at]]?.el;
      this.findBar.remove();
      this.findBar = this.findings = null;
      CSS.highlights?.delete("ws-find");
      CSS.highlights?.delete("ws-find-here");
      const to = turn?.isConnected ? turn : this.findFrom?.isConnected ? this.findFrom : this.scroller;
      if (returns) to.focus({ preventScroll: true });
    },

    askFind(text) {
      clearTimeout(this.findTimer);
      const query = folded(text).text.trim();
      if (!this.findings || query === this.findings.query) return;
      this.findings = { query, turns: [], at: -1, ranges: [], range: 0 };
      CSS.highlights?.delete("ws-find-here");
      this.showFindPlace("");
      this.paintFind();
      if (query) this.$emit("find", { query: text.slice(0, MAX_FIND_CHARS) });
    },

    // Called by the server with the indices of the matching turns.
    foundIn(text, turns) {
      if (!this.findings || folded(text).text.trim() !== this.findings.query) return; // the query has changed
      this.findings.turns = turns;
      if (!turns.length) {
        this.showFindPlace(this.words.find_none);
        return this.paintFind();
      }
      const from = this.anchor?.index ?? 0;
      this.goFind(Math.max(0, turns.findIndex((index) => index >= from)), 1);
    },

    stepFind(step) {
      const { turns, ranges, range, at } = this.findings;
      if (!turns.length) return;
      const next = range + step;
      if (ranges.length && next >= 0 && next < ranges.length) {
        this.findings.range = next;
        return this.showRange();
      }
      this.goFind((at + step + turns.length) % turns.length, step);
    },

    goFind(at, step) {
      const { findings } = this;
      Object.assign(findings, { at, ranges: [], range: step > 0 ? 0 : -1, isNew: true });
      const index = findings.turns[at];
      const number = (value) => value.toLocaleString(document.documentElement.lang);
      this.showFindPlace(this.words.find_place.replace("{number}", number(at + 1)).replace("{count}", number(findings.turns.length)));
      this.stick = false;
      this.goal = { index, top: 16 };
      this.arrange();
      if (CSS.highlights) return this.paintFind();
      this.found = index; // browser without the Highlight API: mark the whole turn
      this.showFound();
    },

    showFindPlace(text) {
      this.findBar.querySelector(".ws-find-place").textContent = text;
    },

    // Highlights matches in the turns that have DOM. The Highlight API does not change the DOM.
    paintFind() {
      const { findings } = this;
      if (!findings || !CSS.highlights) return;
      const all = [];
      const here = findings.turns[findings.at];
      for (let i = this.first; i < this.end && findings.query; i++) {
        const row = this.rows[i];
        if (!row?.el) continue;
        const ranges = rangesIn(row.el, findings.query);
        all.push(...ranges);
        if (i !== here) continue;
        findings.ranges = ranges;
        if (findings.isNew && !ranges.length && !isPart(row)) this.goal = null; // the match is where no highlight is possible: in the URL of a link
      }
      CSS.highlights.set("ws-find", new Highlight(...all));
      if (findings.isNew && findings.ranges.length) this.showRange();
    },

    showRange() {
      const { findings } = this;
      findings.isNew = false;
      if (findings.range < 0) findings.range = findings.ranges.length - 1;
      const range = findings.ranges[findings.range];
      if (!range) return;
      const mark = new Highlight(range);
      mark.priority = 1;
      CSS.highlights.set("ws-find-here", mark);
      range.startContainer.parentElement.closest("details:not([open])")?.setAttribute("open", "");
      const view = this.scroller.getBoundingClientRect();
      const box = range.getBoundingClientRect();
      const room = parseFloat(getComputedStyle(this.scroller.firstChild).paddingBottom) || 0;
      const top = view.top + this.findBar.offsetHeight + 24;
      this.goal = null;
      if (box.top < top || box.bottom > view.bottom - room) this.moveBy(box.top - (top + (view.bottom - room - top) / 3));
    },

    // ---- printing ----

    beforePrint() {
      if (this.isPrinting || !this.rows.length) return;
      this.printedFrom = this.goal ?? (this.anchor && !this.stick ? { index: this.anchor.index, top: this.anchor.top } : null);
      const whole = this.isLoaded() ? null : this.readWhole();
      this.isPrinting = true;
      if (whole) {
        this.paper = make("div", "ws-paper");
        this.paper.append(...whole);
        this.$el.append(this.paper);
        this.drawFormulas(this.paper);
        return;
      }
      const missing = Array.from(this.rows).filter((row) => !row).length;
      if (missing) {
        this.paper = make("p", "ws-paper-note");
        this.paper.textContent = this.words.print_missing.replace("{count}", missing.toLocaleString(document.documentElement.lang));
        this.$el.prepend(this.paper);
      }
      this.list.replaceChildren(...this.rows.filter(Boolean).map((row) => this.build(row)));
      this.above.style.height = this.below.style.height = "0";
    },

    afterPrint() {
      if (!this.isPrinting) return;
      this.isPrinting = false;
      this.paper?.remove();
      this.paper = null;
      this.first = this.end = 0; // `arrange` corrects the DOM that is there
      this.arrange(this.printedFrom ?? this.goal);
      this.onResize();
    },

    // Printing does not wait, so this is synchronous: reads the turns that are not loaded from the conversation's HTML export.
    readWhole() {
      if (!this.source) return null;
      try {
        const request = new XMLHttpRequest();
        request.open("GET", `${this.source}/export?format=html`, false);
        request.send();
        if (request.status !== 200) return null;
        const file = new DOMParser().parseFromString(request.responseText, "text/html");
        return [...file.querySelectorAll("main > article")].map(printedTurn);
      } catch {
        return null; // no connection: only the loaded turns are printed, with a note
      }
    },

    // ---- mounted turns and the reader's position ----

    onScroll() {
      const { scrollTop, scrollHeight, clientHeight } = this.scroller;
      const gap = scrollHeight - scrollTop - clientHeight;
      // the first step of a smooth scroll may be a pixel
      if (scrollTop < this.lastTop && gap > 1) this.stick = false;
      else if (gap < (scrollTop > this.lastTop ? NEAR_END : 2)) this.stick = true;
      this.lastTop = scrollTop;
      if (this.stick) this.newText.hidden = true;
      this.noteAnchor();
      if (this.frame) return;
      this.frame = requestAnimationFrame(() => {
        this.frame = 0;
        this.arrange();
      });
    },

    onResize() {
      if (this.isPrinting) return;
      for (let i = this.first; i < this.end; i++) this.measure(i);
      this.reachWide(this.list);
      this.followReader();
      if (!this.stick && !this.goal) this.holdAnchor(); // otherwise content that has grown above would change the reader's position
      this.arrange();
    },

    toEnd() {
      this.followEnd();
      this.scroller.focus({ preventScroll: true });
    },

    followEnd() {
      this.stick = true;
      this.goal = null;
      this.toGlide = 0;
      this.newText.hidden = true;
      this.arrange();
    },

    setTop(top) {
      this.scroller.scrollTop = top;
      this.lastTop = this.scroller.scrollTop;
      if (this.anchor) this.anchor.at = this.lastTop;
    },

    // Treats scrolling since the anchor was noted as the reader's, also during a smooth scroll: undoing it would end
    // that scroll. At the end the browser itself may have scrolled, because the content became shorter.
    followReader() {
      const { scrollTop, scrollHeight, clientHeight } = this.scroller;
      if (!this.anchor) return;
      if (scrollHeight - scrollTop - clientHeight > 1) this.anchor.top -= scrollTop - this.anchor.at;
      this.anchor.at = scrollTop;
    },

    // Notes the turn that must not move: the first that begins in the upper half of the view, else the only visible one.
    // Of a turn above it only the end is visible, which may not have arrived yet.
    noteAnchor() {
      const { top, height } = this.scroller.getBoundingClientRect();
      this.anchor = null;
      for (let i = this.first; i < this.end; i++) {
        const box = this.list.children[i - this.first].getBoundingClientRect();
        if (box.bottom <= top) continue;
        if (this.anchor && box.top > top + height / 2) return;
        this.anchor = { index: i, top: box.top - top, at: this.scroller.scrollTop };
        if (box.top >= top) return;
      }
    },

    holdAnchor() {
      const el = this.anchor && this.list.children[this.anchor.index - this.first];
      if (!el) return;
      const moved = el.getBoundingClientRect().top - this.scroller.getBoundingClientRect().top - this.anchor.top;
      if (Math.abs(moved) > 0.5) this.setTop(this.scroller.scrollTop + moved);
    },

    measure(i) {
      const row = this.rows[i];
      if (!row) return;
      row.height = this.heights[i] = this.list.children[i - this.first].offsetHeight;
    },

    // Mounts the turns around the reader and unmounts the others. `goal`: {index, top} brings a turn to `top` px.
    arrange(goal = this.goal) {
      if (this.isPrinting) return;
      this.followReader();
      const count = this.rows.length;
      const { scrollTop, clientHeight } = this.scroller;
      let whole = 0;
      for (let i = 0; i < count; i++) whole += this.heights[i];
      const scale = Math.min(1, MAX_SPACE / (whole || 1));
      const isMounted = (i) => i >= this.first && i < this.end;
      const size = (i) => (isMounted(i) ? this.heights[i] : this.heights[i] * scale);

      // the turn at the top of the view, and the distance of the view's top from the turn's top
      let index = 0;
      let offset = 0;
      if (goal) {
        index = goal.index;
      } else if (this.stick) {
        index = count - 1;
        for (let seen = 0; index > 0 && (seen += this.heights[index]) < clientHeight; ) index--;
      } else {
        let y = this.list.offsetTop - this.above.offsetHeight;
        while (index < count - 1 && y + size(index) <= scrollTop) y += size(index++);
        offset = (scrollTop - y) / (size(index) || 1);
      }
      let first = Math.max(index, 0);
      for (let room = MARGIN; first > 0 && room > 0; ) room -= this.heights[--first];
      let end = Math.max(index, 0);
      let room = MARGIN + clientHeight + offset * (this.heights[end] ?? 0);
      if (this.stick && !goal) end = count;
      while (end < count && room > 0) room -= this.heights[end++];

      // the turn that must not move, if it is mounted before and after
      const anchor = this.anchor?.index;
      const isKept = anchor >= Math.max(first, this.first) && anchor < Math.min(end, this.end);
      const changed = first !== this.first || end !== this.end || this.list.children.length !== end - first;
      if (changed) this.mountRange(first, end);
      this.setSpaces(scale, count);
      if (this.stick) {
        this.setTop(this.scroller.scrollHeight);
      } else if (goal) {
        this.setTop(this.list.children[index - first].offsetTop - goal.top);
      } else if (isKept) {
        this.holdAnchor();
      } else if (changed && count) {
        const el = this.list.children[index - first];
        this.setTop(el.offsetTop + offset * el.offsetHeight);
      }
      this.noteAnchor();
      this.askMissing();
      if (changed) this.paintFind();
    },

    mountRange(first, end) {
      const focused = document.activeElement;
      const wanted = [];
      for (let i = first; i < end; i++) {
        const el = this.rows[i] ? this.build(this.rows[i]) : this.placeholder(i);
        wanted.push(el);
      }
      const stays = new Set(wanted);
      for (let i = this.first; i < this.end; i++) {
        const row = this.rows[i];
        if (row?.el && !stays.has(row.el) && !row.stays && !row.live) row.el = null; // rebuilt from its data
      }
      for (const el of [...this.list.children]) if (!stays.has(el)) el.remove();
      let at = this.list.firstChild;
      for (const el of wanted) {
        if (el === at) at = at.nextSibling;
        else this.list.insertBefore(el, at);
      }
      this.first = first;
      this.end = end;
      for (let i = first; i < end; i++) this.measure(i);
      if (focused && this.$el.contains(focused) === false && focused.closest?.(".ws-turn")) this.scroller.focus({ preventScroll: true });
    },

    placeholder(i) {
      const shown = i >= this.first && i < this.end ? this.list.children[i - this.first] : null;
      if (shown?.classList.contains("ws-blank")) return shown;
      const el = make("div", "ws-turn ws-blank", { "aria-hidden": "true" });
      el.style.height = `${this.heights[i]}px`;
      return el;
    },

    setSpaces(scale, count) {
      let before = 0;
      let after = 0;
      for (let i = 0; i < this.first; i++) before += this.heights[i];
      for (let i = this.end; i < count; i++) after += this.heights[i];
      this.above.style.height = `${before * scale}px`;
      this.below.style.height = `${after * scale}px`;
    },

    askMissing() {
      for (let i = this.first; i < this.end; i++) {
        const page = Math.floor(i / this.pageSize);
        if (this.rows[i] || this.asked.has(page)) continue;
        this.asked.add(page);
        this.$emit("need", page);
      }
      let kept = this.byId.size;
      if (kept <= MAX_ROWS_KEPT) return;
      for (const row of [...this.byId.values()]) {
        if (kept <= MAX_ROWS_KEPT / 2) break;
        if (row.stays || row.live || row.el) continue;
        const i = this.rows.indexOf(row);
        this.rows[i] = undefined;
        this.byId.delete(row.data.id);
        kept--;
      }
    },

    drop(i) {
      if (i < 0) return;
      if (this.goal?.index >= i) this.goal = null;
      const row = this.rows[i];
      if (row) {
        this.byId.delete(row.data.id);
        row.el?.remove();
      }
      this.rows.splice(i, 1);
      this.heights.splice(i, 1);
      this.asked.clear();
      if (i < this.end) {
        if (!row) this.list.children[i - this.first]?.remove();
        this.end--;
        if (i < this.first) this.first--;
      }
      if (this.anchor?.index >= i) {
        this.anchor.index--;
      }
    },

    clear() {
      this.asked.clear();
      this.list.replaceChildren();
      this.first = this.end = 0;
    },
  },
};
