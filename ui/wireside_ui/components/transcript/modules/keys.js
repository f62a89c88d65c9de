// Keys of the page that scroll, search and select the conversation.
import { IS_MAC, TYPED_IN, isComposing } from "wireside-kit/keyboard.js";

const LINE_PX = 40; // distance scrolled by an arrow key
const PAGE_SHARE = 0.9; // share of the visible height scrolled by PageUp, PageDown and Space

// Maps a key to its scroll distance: {pages}, {lines}, {begin} or {end}.
function wayOf({ key, shiftKey, ctrlKey, metaKey, altKey }) {
  if (altKey || (shiftKey && key !== " ")) return null; // Shift extends a selection
  if (IS_MAC && metaKey && !ctrlKey)
    return { ArrowUp: { begin: true }, ArrowDown: { end: true } }[key] ?? null;
  const far = { Home: { begin: true }, End: { end: true } }[key];
  if (far || metaKey || ctrlKey) return metaKey ? null : (far ?? null);
  if (key === " ") return { pages: shiftKey ? -1 : 1 };
  return (
    {
      PageUp: { pages: -1 },
      PageDown: { pages: 1 },
      ArrowUp: { lines: -1 },
      ArrowDown: { lines: 1 },
    }[key] ?? null
  );
}

export const keys = {
  onPageKey(event) {
    if (event.defaultPrevented || isComposing(event) || document.querySelector("dialog[open]"))
      return;
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
    return (
      target === document.body || target === document.documentElement || this.$el.contains(target)
    );
  },

  // Whether a key scrolls the conversation rather than the focused element.
  takesKey({ key, target }, way) {
    if (target.closest?.(`${TYPED_IN}, [role="menu"], [role="listbox"]`)) return false;
    const isPaging = way.pages || way.end || way.begin;
    const isHeader =
      key !== " " &&
      isPaging &&
      target.closest?.("[role=banner]") &&
      !document.querySelector('[aria-expanded="true"]');
    if (!this.isOurs(target) && !isHeader) return false;
    if (key === " " && target.closest?.("button, summary")) return false;
    const down = way.end || (way.pages ?? way.lines) > 0;
    const box = target.closest?.("pre");
    const room = box
      ? down
        ? box.scrollHeight - box.clientHeight - box.scrollTop
        : box.scrollTop
      : 0;
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

  moveBy(distance) {
    if (distance < 0) this.stick = false;
    const before = this.scroller.scrollTop;
    this.scroller.scrollTop = before + distance;
    const hasMoved = this.scroller.scrollTop !== before;
    this.onScroll();
    return hasMoved;
  },
};
