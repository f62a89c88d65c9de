// @ts-check
// A growing answer: applies the operations described in `markdown/incremental.py`, in slices of a frame.
import { make, within } from "wireside-kit/dom.js";
import { morph } from "./morph.js";
import { nodesAfter } from "./states.js";

const SLICE_MS = 8; // limit of DOM work in one frame
const BLOCKS = 40; // blocks of text in one element: browsers skip the work for earlier ones out of view

/**
 * The text that grows at the end of an answer: none.
 * @type {LiveText}
 */
const NO_TEXT = {
  prose: null,
  place: null,
  mark: null,
  html: "",
  code: null,
  plain: null,
  said: 0,
  muted: false,
};

/**
 * @param {LiveText} live
 * @returns {live is GrowingText}
 */
const isGrowing = (live) => live.prose !== null;

/** @satisfies {ThisType<Transcript>} */
export const streaming = {
  /**
   * @param {string} id
   * @param {AnswerOp[]} ops
   */
  ops(id, ops) {
    for (const op of ops) this.queue.push({ id, work: (row) => this.apply(row, op) });
    this.pump();
  },

  /**
   * @param {string} id
   * @param {(row: Row) => void} work
   */
  enqueue(id, work) {
    this.queue.push({ id, work });
    this.pump();
  },

  pump() {
    if (this.pumping) return;
    const started = performance.now();
    const touched = new Set();
    while (this.queue.length && performance.now() - started < SLICE_MS) {
      // checking the clock once a batch would be cheaper, but one operation can be a long block
      const next = this.queue.shift();
      const row = next && this.byId.get(next.id);
      if (!row) continue;
      next.work(row);
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

  /**
   * @param {Row} row
   * @param {AnswerOp} op
   */
  apply(row, op) {
    this.build(row);
    row.grew = true;
    switch (op[0]) {
      case "g":
        row.live ??= { ...NO_TEXT };
        return this.addReasoning(row, op[1]);
      case "u":
        row.live ??= { ...NO_TEXT };
        return this.putTool(row, op[1]);
      case "d":
        row.live ??= { ...NO_TEXT };
        return this.putData(row, op[1]);
      case "x":
        this.holdHeight(row);
        row.opened = this.openFolds(row);
        this.clearParts(row);
        row.live = { ...NO_TEXT, muted: true };
        return;
    }
    const live = this.openText(row);
    switch (op[0]) {
      case "t":
      case "f":
        this.setTail(live, live.html.slice(0, op[1]) + op[2]);
        if (op[0] === "f") this.settle(live);
        break;
      case "c": {
        this.setTail(live, '<div class="ws-code"><pre><code></code></pre></div>');
        const frame = /** @type {HTMLElement} */ (nodesAfter(live)[0]);
        frame.dataset.lang = op[1];
        live.code = document.createTextNode(op[2]);
        within(frame, "code").append(live.code);
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
        const block = /** @type {HTMLElement} */ (live.prose.lastElementChild);
        live.place = block.querySelector(":scope > table > tbody") ?? block;
        live.mark = live.place.lastChild;
        break;
      }
      case "z":
        live.place = live.prose;
        live.mark = live.prose.lastChild;
        break;
      case "r":
        this.holdHeight(row);
        while (live.prose.matches(".ws-prose-next")) {
          const before = /** @type {HTMLElement} */ (live.prose.previousElementSibling);
          live.prose.remove();
          live.prose = before;
        }
        live.prose.classList.remove("ws-prose-past");
        live.place = live.prose;
        live.mark = null;
        this.setTail(live, op[1]);
        this.settle(live);
        live.muted = true;
        break;
    }
  },

  /**
   * Returns the state of the text at the end of a growing answer; begins one after another part.
   * @param {Row} row
   */
  openText(row) {
    const live = (row.live ??= { ...NO_TEXT });
    if (isGrowing(live)) return live;
    const last = /** @type {HTMLElement | null} */ (row.body.lastElementChild);
    const prose = last?.matches(".ws-prose") ? last : this.textBlock();
    prose.hidden = !prose.firstChild;
    row.body.append(prose);
    return Object.assign(live, { prose, place: prose, mark: prose.lastChild });
  },

  /**
   * Ends the text that grows, before another part.
   * @param {Row} row
   */
  closeText(row) {
    row.live = { ...NO_TEXT, muted: row.live?.muted ?? false };
  },

  /**
   * Keeps the height of a turn until its new content arrives, so that the layout does not jump.
   * @param {Row} row
   */
  holdHeight(row) {
    if (row.el) row.el.style.minHeight = `${row.el.offsetHeight}px`;
  },

  /**
   * Adds text after the tail, without markup; the next change of the tail removes it.
   * @param {GrowingText} live
   * @param {string} text
   */
  addPlain(live, text) {
    if (!live.plain) {
      const isBody = live.place.tagName === "TBODY";
      const row = make(
        isBody ? "tr" : /^[UO]L$/.test(live.place.tagName) ? "li" : "p",
        "ws-prose-plain",
      );
      live.plain = document.createTextNode("");
      (isBody ? row.appendChild(make("td", "", { colspan: "99" })) : row).append(live.plain);
      live.place.append(row);
    }
    live.plain.appendData(text);
  },

  /**
   * @param {GrowingText} live
   * @param {string} html
   */
  setTail(live, html) {
    this.continueText(live);
    live.code = null;
    live.plain = null;
    this.template.innerHTML = html; // sanitised on the server
    morph(live.place, live.mark, this.template.content);
    live.html = html;
    for (const node of nodesAfter(live)) this.drawFormulas(node);
  },

  /**
   * Begins the next element of a long text, between two of its blocks: a browser's work for a frame
   * depends on the number of blocks otherwise.
   * @param {GrowingText} live
   */
  continueText(live) {
    const { prose } = live;
    const isBetween =
      live.place === prose && live.mark === prose.lastChild && !live.html && !live.code;
    if (!isBetween || prose.childElementCount < BLOCKS) return;
    const next = this.textBlock();
    next.classList.add("ws-prose-next");
    next.dir = prose.matches(":dir(rtl)") ? "rtl" : "ltr";
    prose.after(next);
    Object.assign(live, { prose: next, place: next, mark: null });
    this.passOver(next);
  },

  /**
   * Lets the browser skip the text before an element where it is out of view, keeping its height. Text in view would
   * be missing for a frame.
   * @param {Element} next
   */
  passOver(next) {
    const view = this.scroller.getBoundingClientRect();
    let el = next.previousElementSibling;
    for (; el?.matches(".ws-prose"); el = el.previousElementSibling) {
      if (el.matches(".ws-prose-past")) continue;
      const { top, bottom, height } = el.getBoundingClientRect();
      if (bottom > view.top && top < view.bottom) continue;
      /** @type {HTMLElement} */ (el).style.containIntrinsicBlockSize = `auto ${height}px`;
      el.classList.add("ws-prose-past");
    }
  },

  /** @param {GrowingText} live */
  settle(live) {
    const fresh = nodesAfter(live);
    live.mark = live.place.lastChild;
    live.html = "";
    live.code = null;
    for (const el of fresh) {
      if (!(el instanceof HTMLElement)) continue;
      this.decorate(el);
      if (this.isReadOut) this.say(live, this.spoken(el));
      live.said = 0;
    }
  },

  /** @param {Row} row */
  afterOps(row) {
    const { el, live } = row;
    if (!row.grew || !el || !live) return;
    row.grew = false;
    if (row.body.children.length !== row.painted || (live.prose?.hidden && live.prose.firstChild)) {
      row.painted = row.body.children.length;
      this.paintState(row);
    }
    this.paintReasoning(row);
    this.paintSourceList(row);
    if (this.isReadOut && live.prose) this.sayTail(live);
    live.muted = false;
    el.style.minHeight = "";
    if (!this.stick) this.newText.hidden = false;
  },
};
