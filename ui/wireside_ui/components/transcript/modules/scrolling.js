// @ts-check
// The reader's position: the end of the conversation, or a turn that does not move while others change.
import { chat } from "wireside-kit/chat.js";

const NEAR_END = 40; // px from the end that count as "at the end"

/** @satisfies {ThisType<Transcript>} */
export const scrolling = {
  onScroll() {
    if (this.isPrinting) return; // the layout for paper moved it, not the reader
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
    const width = this.list.clientWidth;
    if (width !== this.lastWidth || !this.reachGrowing()) this.reachWide(this.list);
    this.lastWidth = width;
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

  /** @param {number} top */
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

  // The page is going to be loaded again: names the turn that the reader is at, unless that is the end. A temporary
  // chat would be lost, so its page stays as long as it may.
  /** @param {CustomEvent<MovingPage>} event */
  tellPlace(event) {
    const row = this.stick || !this.anchor ? null : this.rows[this.anchor.index];
    if (row) event.detail.turn = row.data.id;
    if (chat.isTemporary && this.rows.length) event.preventDefault();
  },

  holdAnchor() {
    const { anchor } = this;
    const el = anchor && this.list.children[anchor.index - this.first];
    if (!el) return;
    const moved =
      el.getBoundingClientRect().top - this.scroller.getBoundingClientRect().top - anchor.top;
    if (Math.abs(moved) > 0.5) this.setTop(this.scroller.scrollTop + moved);
  },
};
