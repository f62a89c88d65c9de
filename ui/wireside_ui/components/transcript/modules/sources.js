// @ts-check
// Sources of an answer: numbered chips where they are named, and a list of all of them below the answer.
import { make, within } from "wireside-kit/dom.js";

const CARD_GAP = 8; // px between the card of a chip and the edge of the column

let cards = 0;

/**
 * Returns a link, or a span if the source has no address.
 * @param {SourceData} source
 * @param {string} className
 */
function linkTo({ url }, className) {
  if (!url) return make("span", className);
  return make("a", className, {
    href: url,
    target: "_blank",
    rel: "noopener noreferrer nofollow",
    title: url,
  });
}

/**
 * @param {string} className
 * @param {string} text
 */
function textNode(className, text) {
  const el = make("span", className, { dir: "auto" });
  el.textContent = text;
  return el;
}

/** @satisfies {ThisType<Transcript>} */
export const sources = {
  /**
   * @param {Row} row
   * @param {Whole<"source">} part
   */
  putSource(row, part) {
    const number = this.numberOf(row, part.data);
    const known = row.partsById.get(part.id);
    if (known?.matches(".ws-turn-source")) return this.fillSource(known, number, part.data);
    let group = /** @type {HTMLElement | null} */ (row.body.lastElementChild);
    if (!group?.matches(".ws-turn-sources")) {
      group = make("ul", "ws-turn-sources", { "aria-label": this.words.sources });
      this.addToBody(row, group);
    }
    const shown = [...group.querySelectorAll("li")];
    if (shown.some((li) => li.dataset.number === String(number))) return;
    const el = make("li", "ws-turn-source");
    el.addEventListener("pointerenter", () => this.placeCard(el));
    el.addEventListener("focusin", () => this.placeCard(el));
    this.fillSource(el, number, part.data);
    group.append(el);
    if (part.id) row.partsById.set(part.id, el);
  },

  /**
   * The number of a source is its place in the answer; one address has one number.
   * @param {Row} row
   * @param {SourceData} data
   */
  numberOf(row, data) {
    const key = data.url || `title ${data.title}`;
    const source = row.sources.get(key) ?? { ...data, number: row.sources.size + 1 };
    row.sources.set(key, source);
    return source.number;
  },

  /**
   * @param {HTMLElement} el
   * @param {number} number
   * @param {SourceData} data
   */
  fillSource(el, number, data) {
    const title = data.title || data.host || this.words.source;
    const chip = linkTo(data, "ws-turn-source-chip");
    if (!data.url) chip.tabIndex = 0; // to read its card
    chip.append(
      textNode("ws-turn-source-number", String(number)),
      textNode("ws-turn-source-title", title),
    );
    const card = make("span", "ws-turn-source-card", {
      id: `ws-source-${++cards}`,
      role: "tooltip",
    });
    card.append(textNode("ws-turn-source-name", title));
    // the spaces separate them for screen readers
    if (data.host) card.append(" ", textNode("ws-turn-source-host", data.host));
    if (data.text) card.append(" ", textNode("ws-turn-source-text", data.text));
    chip.setAttribute("aria-describedby", card.id);
    chip.removeAttribute("title"); // the card says it
    el.dataset.number = String(number);
    el.replaceChildren(chip, card);
  },

  /**
   * Moves the card of a chip into the column.
   * @param {HTMLElement} el
   */
  placeCard(el) {
    const card = within(el, ".ws-turn-source-card");
    const column = this.column.getBoundingClientRect();
    const start = el.getBoundingClientRect();
    const isLtr = getComputedStyle(el).direction === "ltr";
    const width = Math.min(352, column.width - 2 * CARD_GAP);
    const over = isLtr
      ? start.left + width - (column.right - CARD_GAP)
      : column.left + CARD_GAP - (start.right - width);
    card.style.setProperty("--shift", `${-Math.max(0, over)}px`);
    card.classList.toggle(
      "ws-turn-source-below",
      start.top - this.scroller.getBoundingClientRect().top < 180,
    );
  },

  /**
   * The list below the answer; without it an excerpt could not be read on a touch screen.
   * @param {Row} row
   */
  paintSourceList(row) {
    const all = [...row.sources.values()];
    if (all.length) this.$el.classList.add("ws-transcript-cites"); // its rule costs time with the length of a turn
    const isOpen = row.sourcePart.querySelector("details")?.open ?? false;
    if (all.length < 2 && !all.some(({ text }) => text)) return row.sourcePart.replaceChildren();
    const el = this.fold("ws-turn-source-list");
    el.open = isOpen;
    within(el, ".ws-turn-fold-label").textContent =
      `${this.words.sources} · ${all.length.toLocaleString(document.documentElement.lang)}`;
    const list = make("ol", "ws-turn-source-items");
    for (const data of all) {
      const item = make("li", "");
      const link = linkTo(data, "ws-turn-source-link");
      link.append(textNode("", data.title || data.host || this.words.source));
      item.append(link);
      if (data.host) item.append(" ", textNode("ws-turn-source-host", data.host));
      if (data.text) item.append(textNode("ws-turn-source-text", data.text));
      list.append(item);
    }
    el.append(list);
    row.sourcePart.replaceChildren(el);
  },
};
