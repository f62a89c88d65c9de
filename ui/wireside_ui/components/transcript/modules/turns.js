// @ts-check
// The turns of the conversation: added, changed and replaced by the server.
import { isMathRequested } from "./formulas.js";
import { OPEN } from "./states.js";

const FOUND_MS = 2000; // how long the target of a jump is highlighted
const ASK_AGAIN_MS = 3000; // retry delay for turns that could not be loaded

/**
 * What is shown above an answer.
 * @type {(keyof RowData)[]}
 */
const ABOVE = ["question", "state", "sibling", "siblings"];

/** @param {NewRowData} data */
const isUnfinished = ({ state }) => state !== undefined && OPEN.has(state);

/** @satisfies {ThisType<Transcript>} */
export const turns = {
  /**
   * @param {number} page
   * @param {NewRowData[]} rows
   */
  put(page, rows) {
    this.asked.delete(page);
    rows.forEach((data, k) => {
      const i = page * this.pageSize + k;
      if (i >= this.rows.length || this.rows[i] || this.byId.has(data.id)) return;
      const row = (this.rows[i] = this.newRow(data));
      if (i < this.first || i >= this.end) return;
      this.list.replaceChild(this.build(row), this.list.children[i - this.first]);
      this.measure(i);
    });
    this.arrange();
    this.showFound();
    this.paintFind();
  },

  /** @param {number} page */
  miss(page) {
    setTimeout(() => {
      this.asked.delete(page);
      this.askMissing();
    }, ASK_AGAIN_MS);
  },

  /** @param {NewRowData} data */
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

  /**
   * @param {string} id
   * @param {Partial<RowData>} patch
   */
  update(id, patch) {
    this.enqueue(id, (row) => this.patch(row, patch));
  },

  /** @param {string} id */
  remove(id) {
    this.enqueue(id, (row) => {
      this.drop(this.rows.indexOf(row));
      this.arrange();
    });
  },

  /**
   * @param {NewRowData[]} rows
   * @param {number} total
   */
  reset(rows, total) {
    this.stopReading();
    this.goal = null;
    this.found = undefined;
    const keep = new Map(this.byId);
    const start = total - rows.length;
    const held = this.rows.slice(0, start);
    this.clear();
    this.byId = new Map(
      /** @type {[string, Row][]} */ (held.flatMap((row) => (row ? [[row.data.id, row]] : []))),
    );
    this.rows = held;
    this.rows.length = start;
    this.heights = Array.from({ length: start }, (_, i) => this.heights[i] ?? this.guess);
    for (const data of rows) {
      let row = keep.get(data.id);
      if (row && !row.isCompared && !data.beside?.length) {
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

  /**
   * @param {number} index
   * @param {NewRowData[]} rows
   * @param {number} total
   */
  replaceFrom(index, rows, total) {
    const place = this.placeFor(index, rows, total);
    const focus = this.focusIn(index);
    const gone = new Map();
    for (const row of this.rows.splice(index)) {
      if (!row) continue;
      gone.set(row.data.id, row);
      this.forget(row);
    }
    this.queue = this.queue.filter(({ id }) => !gone.has(id)); // the rows contain the result of all these operations
    while (this.list.children.length > Math.max(0, index - this.first))
      this.list.lastChild?.remove();
    this.first = Math.min(this.first, index);
    this.end = this.first + this.list.children.length;
    this.heights.length = Math.min(this.heights.length, index);
    for (let i = this.rows.length; i < index; i++) this.rows.push(undefined);
    for (const data of rows) {
      const known = gone.get(data.id);
      const isKept = known && !known.isCompared && !data.beside?.length;
      const row = isKept ? known : this.newRow(data);
      const isOpen = isUnfinished(data);
      if (isKept) {
        this.byId.set(data.id, row);
        if (isOpen && row.el?.isConnected) row.el.style.minHeight = `${row.height}px`; // until its text has arrived again
        this.patch(row, data);
      }
      row.stays = isOpen;
      this.rows.push(row);
    }
    for (let i = this.heights.length; i < total; i++)
      this.heights.push(this.rows[i]?.height || this.guess);
    this.rows.length = this.heights.length = total;
    for (const page of this.asked) if ((page + 1) * this.pageSize > index) this.asked.delete(page);
    if (this.anchor && this.anchor.index >= index && !place) this.anchor = null;
    if (place || (this.goal && this.goal.index >= index)) this.goal = null;
    this.arrange(place);
    if (place) this.arrange(); // a tall view shows more above the position than the margin
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    if (scrollHeight - scrollTop - clientHeight < 2) this.stick = true;
    this.refocus(focus);
  },

  /** @param {number} index */
  jump(index) {
    if (!(index >= 0 && index < this.rows.length)) return;
    this.stick = false;
    this.goal = { index, top: 16 }; // holds until the reader scrolls: turns above may still be loading
    this.found = index;
    this.arrange();
    this.showFound();
    this.markLookedFor(index);
  },

  /**
   * Returns which turn to move to which position when the turns from `index` on change; undefined if the view needs no correction.
   * @param {number} index
   * @param {NewRowData[]} rows
   * @param {number} total
   */
  placeFor(index, rows, total) {
    const last = rows.at(-1);
    if (last && isUnfinished(last) && total === index + rows.length && !this.byId.has(last.id)) {
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

  /** @param {number} index */
  focusIn(index) {
    const el = /** @type {HTMLElement | null} */ (document.activeElement);
    const turn = el && this.list.contains(el) ? el.closest(".ws-turn") : null;
    const i = turn ? this.first + [...this.list.children].indexOf(turn) : -1;
    return el && i >= index ? { index: i, action: el.dataset.action } : null;
  },

  /** @param {{ index: number, action: string | undefined } | null} focus */
  refocus(focus) {
    if (!focus || this.list.contains(document.activeElement)) return;
    const el = this.rows[focus.index]?.el;
    (el?.querySelector(`[data-action="${focus.action}"]`) ?? this.scroller).focus({
      preventScroll: true,
    });
  },

  showFound() {
    const row = this.rows[this.found ?? -1];
    if (!row?.el?.isConnected) return; // its content is still loading
    this.found = undefined;
    if (!document.activeElement?.closest("form, dialog, .ws-transcript-find"))
      row.el.focus({ preventScroll: true });
    row.el.classList.add("ws-turn-found");
    setTimeout(() => {
      row.el?.classList.remove("ws-turn-found");
      if (this.goal && this.rows[this.goal.index] === row) this.goal = null;
    }, FOUND_MS);
  },

  /** @param {NewRowData} data */
  newRow(data) {
    const row = /** @type {Row} */ ({
      data: {
        state: "done",
        question: "",
        files: [],
        parts: [],
        error: "",
        retry_after: null,
        sibling: 0,
        siblings: 1,
        feedback: "",
        is_shown: false,
        instruction: "",
        edited: false,
        model: "",
        details: null,
        asked_at: 0,
        beside: [],
        follow_ups: [],
        ...data,
      },
    });
    this.byId.set(data.id, row);
    row.beside = row.data.beside.map((one) => this.newRow(one));
    row.isCompared = row.beside.length > 0;
    for (const one of row.beside) one.isCompared = one.stays = true;
    this.setDeadline(row);
    if (
      !isMathRequested() &&
      row.data.parts.some((part) => part.kind === "text" && part.html.includes("ws-tex"))
    )
      this.formulasReady(); // also without DOM: printing does not wait for it
    return row;
  },

  /**
   * @param {Row} row
   * @param {Partial<RowData>} patch
   */
  patch(row, patch, isReset = false) {
    const { data } = row;
    const names = /** @type {(keyof RowData)[]} */ (Object.keys(patch));
    const changed = names.filter((key) => JSON.stringify(patch[key]) !== JSON.stringify(data[key]));
    // `parts` replace an answer that has grown here; none from a reset keep the current content
    const arePartsNew =
      patch.parts !== undefined &&
      (row.live ? patch.parts.length > 0 || !isReset : changed.includes("parts"));
    Object.assign(data, patch);
    if ("retry_after" in patch) this.setDeadline(row);
    if (changed.includes("state")) this.tellState(row);
    if (!row.el) return;
    if (arePartsNew) this.paintParts(row);
    if (ABOVE.some((key) => changed.includes(key))) this.paintQuestion(row);
    if (!OPEN.has(data.state)) row.el.style.minHeight = "";
    if (changed.includes("state")) this.paintReasoning(row);
    if (changed.length) this.paintState(row);
    if (changed.length) this.paintFind();
  },

  /** @param {Row} row */
  forget(row) {
    if (this.reading === row) this.stopReading();
    for (const one of [row, ...row.beside]) this.byId.delete(one.data.id);
  },

  /** @param {HTMLElement} el */
  rowOf(el) {
    return this.byId.get(el.closest(".ws-turn")?.dataset.id ?? "");
  },
};
