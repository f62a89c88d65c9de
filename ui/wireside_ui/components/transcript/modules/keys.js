// @ts-check
// Keys of the page that scroll, search and select the conversation.
import { IS_MAC, isComposing, isTypedIn } from "wireside-kit/keyboard.js";
import { hasText } from "./parts.js";

const LINE_PX = 40; // distance scrolled by an arrow key
const PAGE_SHARE = 0.9; // share of the visible height scrolled by PageUp, PageDown and Space

/**
 * Maps a key to its scroll distance.
 * @param {KeyboardEvent} event
 * @returns {ScrollWay | null}
 */
function wayOf({ key, shiftKey, ctrlKey, metaKey, altKey }) {
  if (altKey || (shiftKey && key !== " ")) return null; // Shift extends a selection
  if (IS_MAC && metaKey && !ctrlKey) return MAC_WAYS[key] ?? null;
  const far = FAR_WAYS[key];
  if (far || metaKey || ctrlKey) return metaKey ? null : (far ?? null);
  if (key === " ") return { pages: shiftKey ? -1 : 1 };
  return NEAR_WAYS[key] ?? null;
}

/** @type {Record<string, ScrollWay>} */
const MAC_WAYS = { ArrowUp: { begin: true }, ArrowDown: { end: true } };
/** @type {Record<string, ScrollWay>} */
const FAR_WAYS = { Home: { begin: true }, End: { end: true } };
/** @type {Record<string, ScrollWay>} */
const NEAR_WAYS = {
  PageUp: { pages: -1 },
  PageDown: { pages: 1 },
  ArrowUp: { lines: -1 },
  ArrowDown: { lines: 1 },
};

/** @satisfies {ThisType<Transcript>} */
export const keys = {
  /** @param {KeyboardEvent} event */
  onPageKey(event) {
    if (event.defaultPrevented || isComposing(event) || document.querySelector("dialog[open]"))
      return;
    const { key, target } = event;
    const isCommand = IS_MAC ? event.metaKey && !event.ctrlKey : event.ctrlKey && !event.metaKey;
    if (isCommand && !event.altKey && event.shiftKey && key.toLowerCase() === "f") {
      event.preventDefault(); // without Shift, the key is the browser's own search
      return this.onFind();
    }
    if (this.findings && (key === "F3" || (isCommand && key.toLowerCase() === "g"))) {
      event.preventDefault();
      return this.stepFind(event.shiftKey ? -1 : 1);
    }
    if (isCommand && !event.altKey && !event.shiftKey && key.toLowerCase() === "a") {
      if (!this.isOurs(target) || isTypedIn(target)) return;
      event.preventDefault();
      return this.selectAll();
    }
    if (key === "Escape" && this.findBar && this.isOurs(target)) {
      event.preventDefault();
      return this.closeFind(true);
    }
    if (isCommand && !event.altKey && event.shiftKey && key.toLowerCase() === "c") {
      event.preventDefault();
      return this.copyLast();
    }
    const way = wayOf(event);
    if (!way || !this.takesKey(event, way)) return;
    event.preventDefault();
    this.scrollByKey(way);
  },

  // Copies the last answer, as its button does.
  copyLast() {
    const row = this.rows.findLast((one) => one && hasText(one));
    if (!row) return;
    this.build(row);
    row.foot.querySelector('[data-action="copy"]')?.click();
  },

  /** @param {EventTarget | null} target */
  isOurs(target) {
    return (
      target === document.body ||
      target === document.documentElement ||
      this.$el.contains(/** @type {Node} */ (target))
    );
  },

  /**
   * Whether a key scrolls the conversation rather than the focused element.
   * @param {KeyboardEvent} event
   * @param {ScrollWay} way
   */
  takesKey(event, way) {
    const { key } = event;
    const target = event.target instanceof Element ? event.target : null;
    if (isTypedIn(target) || target?.closest('[role="menu"], [role="listbox"]')) return false;
    const isPaging = way.pages || way.end || way.begin;
    const isHeader =
      key !== " " &&
      isPaging &&
      target?.closest("[role=banner]") &&
      !document.querySelector('[aria-expanded="true"]');
    if (!this.isOurs(event.target) && !isHeader) return false;
    if (key === " " && target?.closest("button, summary")) return false;
    const down = way.end || (way.pages ?? way.lines ?? 0) > 0;
    const box = target?.closest("pre");
    const room = box
      ? down
        ? box.scrollHeight - box.clientHeight - box.scrollTop
        : box.scrollTop
      : 0;
    return room <= 1;
  },

  /**
   * Called by the composer: keys without a function in its box scroll the conversation.
   * @param {CustomEvent<number>} event
   */
  onScrollWish({ detail }) {
    this.scrollByKey(detail > 0 ? { pages: 1 } : { pages: -1 });
  },

  /**
   * The browser's own smooth scrolling ends when turns are mounted during it, so it is done here.
   * @param {ScrollWay} way
   */
  scrollByKey({ begin, end, pages = 0, lines = 0 }) {
    if (end) return this.followEnd();
    if (begin) {
      if (!this.rows.length) return;
      this.stick = false;
      this.toGlide = 0;
      this.goal = null; // no content above could move it
      return this.arrange({ index: 0, top: this.scroller.clientHeight }); // beyond the maximum
    }
    const hidden = parseFloat(getComputedStyle(this.column).paddingBottom) || 0; // covered by the composer
    const page = Math.max(2 * LINE_PX, (this.scroller.clientHeight - hidden) * PAGE_SHARE);
    const distance = pages * page + lines * LINE_PX;
    this.goal = null;
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return this.moveBy(distance);
    const isSameWay = Math.sign(this.toGlide) === Math.sign(distance);
    this.toGlide = Math.max(
      -2 * page,
      Math.min(2 * page, (isSameWay ? this.toGlide : 0) + distance),
    );
    this.gliding ||= requestAnimationFrame(this.glide);
  },

  glide() {
    this.gliding = 0;
    const step = Math.abs(this.toGlide) <= 4 ? this.toGlide : Math.round(this.toGlide * 0.25);
    this.toGlide -= step;
    if (!step || !this.moveBy(step)) this.toGlide = 0;
    else if (this.toGlide) this.gliding = requestAnimationFrame(this.glide);
  },

  /** @param {number} distance */
  moveBy(distance) {
    if (distance < 0) this.stick = false;
    const before = this.scroller.scrollTop;
    this.scroller.scrollTop = before + distance;
    const hasMoved = this.scroller.scrollTop !== before;
    this.onScroll();
    return hasMoved;
  },
};
