// @ts-check
// Blocks of an answer: buttons of code, keyboard access to wide blocks, link targets and footnotes.

import { within } from "wireside-kit/dom.js";

const WIDE = ".ws-table, div.ws-math";

/** @satisfies {ThisType<Transcript>} */
export const blocks = {
  /** @param {HTMLElement} root */
  decorate(root) {
    const blocks = root.matches?.(".ws-code")
      ? [root]
      : (root.querySelectorAll?.(".ws-code") ?? []);
    for (const block of blocks) {
      if (block.querySelector(":scope > .ws-prose-tools")) continue;
      this.addCodeTools(block);
      within(block, "pre").tabIndex = 0; // it scrolls horizontally
      if (block.dataset.lang === "mermaid") this.drawDiagram(block);
    }
    this.reachWide(root);
    const cards = root.matches?.(".ws-image")
      ? [root]
      : (root.querySelectorAll?.(".ws-image") ?? []);
    for (const card of cards) {
      const parts = [...card.children].map((part) => part.textContent).filter(Boolean);
      if (parts.length > 1 && card.childNodes.length === parts.length) card.children[0].after(" "); // otherwise they are read as one word
      card.setAttribute("aria-label", `${this.words.open_image}: ${parts.join(" — ")}`);
    }
  },

  /**
   * Elements wider than the column are scrollable by keyboard, so they need to be focusable and to have a name.
   * @param {HTMLElement} root
   */
  reachWide(root) {
    for (const el of root.matches?.(WIDE) ? [root] : (root.querySelectorAll?.(WIDE) ?? [])) {
      const scrolls = el.scrollWidth > el.clientWidth + 1;
      if (scrolls === el.hasAttribute("tabindex")) continue;
      el.toggleAttribute("tabindex", scrolls);
      if (scrolls) el.tabIndex = 0;
      if (scrolls ? el.hasAttribute("aria-label") : el.getAttribute("role") !== "group") continue; // it already has its own name
      for (const [name, value] of [
        ["role", "group"],
        ["aria-label", this.words[el.matches(".ws-table") ? "table" : "formula"]],
      ]) {
        scrolls ? el.setAttribute(name, value) : el.removeAttribute(name);
      }
    }
  },

  /** Does so for the last blocks of growing answers only; returns whether there are any. */
  reachGrowing() {
    const growing = [...this.byId.values()].filter(
      ({ live, data }) => live?.prose && data.state === "streaming",
    );
    for (const { live } of growing) {
      const last = /** @type {HTMLElement | null | undefined} */ (live?.prose?.lastElementChild);
      if (last) this.reachWide(last);
    }
    return growing.length > 0;
  },

  /** @param {HTMLAnchorElement | null} link */
  showWhere(link) {
    this.where.hidden = !link;
    if (!link) return;
    const [host, rest] = this.where.children;
    host.textContent = link.host || link.href;
    rest.textContent = link.host ? link.href.slice(link.origin.length) : "";
  },

  /** @param {HTMLElement} mark */
  showFootnote(mark) {
    const wanted = `.ws-footnotes li[data-fn="${mark.dataset.fn}"]`;
    /** @type {Element | null | undefined} */
    let prose = mark.closest(".ws-prose");
    while (prose?.nextElementSibling?.matches(".ws-prose-next")) prose = prose.nextElementSibling;
    const note = prose?.querySelector(wanted);
    if (!note) return;
    this.stick = false;
    note.scrollIntoView({ block: "nearest" });
    note.classList.add("ws-turn-found");
    setTimeout(() => note.classList.remove("ws-turn-found"), 1600);
  },
};
