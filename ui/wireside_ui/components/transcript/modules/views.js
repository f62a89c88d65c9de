// @ts-check
// Views: NiceGUI elements that the server builds in a page of their own, shown in a frame. Quasar and NiceGUI's style
// sheets are therefore loaded with the first view, and none of their rules reaches the chat.
import { make } from "wireside-kit/dom.js";

const MAX_HEIGHT = 4000; // px; a higher view scrolls

const isDark = () => document.documentElement.style.colorScheme === "dark"; // as the page has set it

/**
 * Gives a frame the height of its content, and the colours of the page.
 * @param {HTMLIFrameElement} frame
 */
function fit(frame) {
  const { contentDocument: inner, contentWindow: view } = frame;
  const root = inner?.querySelector(".ws-own-page-view");
  if (!view || !root) return false;
  const resize = () => {
    const height = Math.ceil(root.getBoundingClientRect().height);
    frame.style.height = `${Math.min(height, MAX_HEIGHT)}px`;
  };
  const paint = () => {
    view.wiresideTheme?.(); // reads the same choice as the page
    view.Quasar?.Dark.set(isDark());
  };
  new view.ResizeObserver(resize).observe(root);
  const theme = new MutationObserver(() => (frame.isConnected ? paint() : theme.disconnect()));
  theme.observe(document.documentElement, { attributeFilter: ["class"] });
  paint();
  resize();
  return true;
}

/**
 * The elements exist only after NiceGUI's script has mounted them.
 * @param {HTMLIFrameElement} frame
 */
function fitOnceMounted(frame) {
  if (fit(frame)) return;
  const inner = frame.contentDocument;
  if (!inner?.body) return;
  const waiting = new MutationObserver(() => fit(frame) && waiting.disconnect());
  waiting.observe(inner.body, { childList: true, subtree: true });
}

/** @satisfies {ThisType<Transcript>} */
export const views = {
  /**
   * Returns the frame of a view; its text stands for a view that this server does not have.
   * @param {Row} row
   * @param {Whole<"view">} part
   */
  viewElement(row, part) {
    const { name } = part.data;
    if (!this.viewNames.includes(name)) return this.plainPart(part.text);
    const ids = [row.data.id, part.id].map(encodeURIComponent);
    const frame = make("iframe", "ws-turn-view-frame", {
      src: `${this.views}/${ids.join("/")}`,
      title: part.text,
      loading: "lazy",
      "data-testid": "view",
    });
    frame.addEventListener("load", () => fitOnceMounted(frame));
    return frame;
  },
};
