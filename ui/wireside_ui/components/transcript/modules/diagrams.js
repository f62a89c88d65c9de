// @ts-check
// Diagrams: code blocks in mermaid's language, drawn as images.
import { make, within } from "wireside-kit/dom.js";

const MAX_DIAGRAM_CHARS = 20000;

let mermaidReady;
let drawn = 0;

// Settings that a diagram's own text can't override: limits on what it loads, runs or draws outside the image.
const SECURE = [
  ...[
    "secure",
    "securityLevel",
    "startOnLoad",
    "maxTextSize",
    "maxEdges",
    "suppressErrorRendering",
    "dompurifyConfig",
  ],
  ...[
    "themeCSS",
    "themeVariables",
    "fontFamily",
    "altFontFamily",
    "htmlLabels",
    "legacyMathML",
    "forceLegacyMathML",
  ],
  ...[
    "flowchart",
    "class",
    "state",
    "block",
    "mindmap",
    "sequence",
    "er",
    "c4",
    "architecture",
    "kanban",
    "elk",
  ],
];

/**
 * Whether drawing it could send a request to another server, by an image in a shape or by CSS (also in its escapes), or
 * would use a handler that the page's policy blocks, such as mermaid's own for the menus of a sequence diagram's links.
 * @param {string} source
 */
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
      dompurifyConfig: {
        ALLOWED_TAGS: ["b", "br", "code", "em", "i", "p", "span", "strong", "sub", "sup", "u"],
        ALLOWED_ATTR: [],
      },
      secure: SECURE,
    });
    return mermaid;
  });
  return mermaidReady;
}

/** @satisfies {ThisType<Transcript>} */
export const diagrams = {
  /** @param {HTMLElement} block */
  async drawDiagram(block) {
    const source = within(block, "code").textContent;
    if (!source.trim() || source.length > MAX_DIAGRAM_CHARS || isSuspect(source)) return;
    const stage = make("div", "ws-transcript-stage", { inert: "", "aria-hidden": "true" });
    try {
      const mermaid = await loadMermaid();
      this.$el.append(stage); // invisible, and isolated from the page
      stage.append(make("div"));
      const { svg } = await mermaid.render(
        `ws-diagram-${++drawn}`,
        source,
        stage.firstElementChild,
      );
      const root = new DOMParser().parseFromString(svg, "image/svg+xml").documentElement;
      const box = root instanceof SVGSVGElement ? root.viewBox?.baseVal : null;
      // nothing inside an image can run or load
      const image = make("img", "ws-prose-diagram", {
        alt: this.words.diagram,
        "data-testid": "diagram",
      });
      if (box?.width)
        Object.assign(image, { width: Math.ceil(box.width), height: Math.ceil(box.height) });
      image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
      await image.decode();
      block.querySelector(":scope > .ws-prose-diagram")?.remove(); // drawn twice: the answer was replaced meanwhile
      block.prepend(image);
      block.classList.add("ws-prose-has-diagram");
      this.showDiagram(block, !block.classList.contains("ws-prose-shows-code"));
    } catch {
      // the source stays: it is more useful than an error
    } finally {
      stage.remove();
    }
  },

  /**
   * Shows a diagram or the code that it was drawn from, with the button for the other one.
   * @param {HTMLElement} block
   * @param {boolean} isDrawn
   */
  showDiagram(block, isDrawn) {
    block.classList.toggle("ws-prose-shows-code", !isDrawn);
    const label = isDrawn ? this.words.show_code : this.words.show_diagram;
    const button = this.button("switch_diagram", label, isDrawn ? "code" : "picture");
    const tools = within(block, ":scope > .ws-prose-tools");
    const before = tools.querySelector('[data-action="switch_diagram"]');
    const hasFocus = before === document.activeElement;
    before?.remove();
    within(tools, '[data-action="copy_code"]').before(button);
    if (hasFocus) button.focus({ preventScroll: true });
  },
};
