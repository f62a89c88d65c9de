// @ts-check
// The virtual list: turns near the viewport have DOM, two spacers replace the others.
import { make } from "wireside-kit/dom.js";

const MARGIN = 900; // px beyond the viewport within which turns have DOM
const MAX_SPACE = 8e6; // px: browsers stop at about 17 million, so the spacers of a very long conversation are scaled down
const MAX_ROWS_KEPT = 600; // turns of the history whose content is kept

/** @satisfies {ThisType<Transcript>} */
export const mounting = {
  /**
   * Mounts the turns around the reader and unmounts the others.
   * @param {Goal | null} [wanted] brings a turn to a place; default: `this.goal`
   */
  arrange(wanted) {
    if (this.isPrinting) return;
    const goal = wanted === undefined ? this.goal : wanted;
    this.followReader();
    const count = this.rows.length;
    const { scrollTop, clientHeight } = this.scroller;
    let whole = 0;
    for (let i = 0; i < count; i++) whole += this.heights[i];
    const scale = Math.min(1, MAX_SPACE / (whole || 1));
    /** @param {number} i */
    const isMounted = (i) => i >= this.first && i < this.end;
    /** @param {number} i */
    const size = (i) => (isMounted(i) ? this.heights[i] : this.heights[i] * scale);

    // the turn at the top of the view, and the distance of the view's top from the turn's top
    let index = 0;
    let offset = 0;
    if (goal) {
      index = goal.index;
    } else if (this.stick) {
      index = count - 1;
      for (let seen = 0; index > 0 && (seen += this.heights[index]) < clientHeight;) index--;
    } else {
      let y = this.list.offsetTop - this.above.offsetHeight;
      while (index < count - 1 && y + size(index) <= scrollTop) y += size(index++);
      offset = (scrollTop - y) / (size(index) || 1);
    }
    let first = Math.max(index, 0);
    for (let room = MARGIN; first > 0 && room > 0;) room -= this.heights[--first];
    let end = Math.max(index, 0);
    let room = MARGIN + clientHeight + offset * (this.heights[end] ?? 0);
    if (this.stick && !goal) end = count;
    while (end < count && room > 0) room -= this.heights[end++];

    // the turn that must not move, if it is mounted before and after
    const anchor = this.anchor?.index ?? -1;
    const isKept = anchor >= Math.max(first, this.first) && anchor < Math.min(end, this.end);
    const changed =
      first !== this.first || end !== this.end || this.list.children.length !== end - first;
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

  /**
   * @param {number} first
   * @param {number} end
   */
  mountRange(first, end) {
    const focused = document.activeElement;
    const wanted = [];
    for (let i = first; i < end; i++) {
      const row = this.rows[i];
      wanted.push(row ? this.build(row) : this.placeholder(i));
    }
    const stays = new Set(wanted);
    for (let i = this.first; i < this.end; i++) {
      const row = this.rows[i];
      if (row?.el && !stays.has(row.el) && !row.stays && !row.live) {
        row.opened = this.openFolds(row);
        row.el = null; // rebuilt from its data
      }
    }
    for (const el of [...this.list.children]) if (!stays.has(el)) el.remove();
    let at = this.list.firstChild;
    for (const el of wanted) {
      if (el === at) at = el.nextSibling;
      else this.list.insertBefore(el, at);
    }
    this.first = first;
    this.end = end;
    for (let i = first; i < end; i++) this.measure(i);
    if (focused && this.$el.contains(focused) === false && focused.closest?.(".ws-turn"))
      this.scroller.focus({ preventScroll: true });
  },

  /** @param {number} i */
  placeholder(i) {
    const shown = i >= this.first && i < this.end ? this.list.children[i - this.first] : null;
    if (shown?.classList.contains("ws-turn-blank")) return shown;
    const el = make("div", "ws-turn ws-turn-blank", { "aria-hidden": "true" });
    el.style.height = `${this.heights[i]}px`;
    return el;
  },

  /** @param {number} i */
  measure(i) {
    const row = this.rows[i];
    if (!row) return;
    row.height = this.heights[i] = this.list.children[i - this.first].offsetHeight;
  },

  /**
   * @param {number} scale
   * @param {number} count
   */
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

  /** @param {number} i */
  drop(i) {
    if (i < 0) return;
    if (this.goal && this.goal.index >= i) this.goal = null;
    const row = this.rows[i];
    if (row) {
      this.forget(row);
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
    if (this.anchor && this.anchor.index >= i) {
      this.anchor.index--;
    }
  },

  clear() {
    this.asked.clear();
    this.list.replaceChildren();
    this.first = this.end = 0;
  },
};
