// @ts-check
// Tables of an answer: pages of rows, and a CSV file of all of them.
import { make } from "wireside-kit/dom.js";
import { download } from "wireside-kit/download.js";

const PAGE_ROWS = 20;

/** @param {Cell} cell */
const shown = (cell) =>
  cell === null
    ? ""
    : typeof cell === "number"
      ? String(Number(cell.toPrecision(12)))
      : String(cell);

/**
 * Returns a value of a CSV file. A text that a spreadsheet would take for a formula begins with an apostrophe.
 * @param {Cell} cell
 */
function csvField(cell) {
  if (cell === null) return "";
  const text =
    typeof cell === "string" && /^[\s]*[=+\-@\t\r]/.test(cell) ? `'${cell}` : String(cell);
  return /[",;\r\n\t]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** @param {Pick<TableData, "columns" | "rows">} table */
export function csvOf({ columns, rows }) {
  return [columns, ...rows].map((row) => row.map(csvField).join(",")).join("\r\n") + "\r\n";
}

/**
 * @param {"td" | "th"} tag
 * @param {string} text
 * @param {boolean} isRight
 */
function cellOf(tag, text, isRight) {
  const cell = make(tag, isRight ? "ws-right" : "");
  const box = make("div", "ws-turn-cell", { dir: "auto" });
  box.textContent = text;
  cell.append(box);
  return cell;
}

/** @satisfies {ThisType<Transcript>} */
export const tables = {
  /** @param {Whole<"table">} part */
  tableElement({ data }) {
    const el = make("div", "ws-turn-grid", { "data-testid": "table" });
    const box = make("div", "ws-table");
    const table = make("table", "");
    const head = make("tr", "");
    head.append(...data.columns.map((name, i) => cellOf("th", name, data.right[i])));
    for (const cell of head.cells) cell.scope = "col";
    const body = make("tbody", "");
    const top = make("thead", "");
    top.append(head);
    table.append(top, body);
    box.append(table);
    const foot = make("div", "ws-turn-grid-foot");
    el.append(box, foot);
    /** @param {number} value */
    const number = (value) => value.toLocaleString(document.documentElement.lang);
    const place = make("span", "ws-turn-grid-place", { role: "status" });
    let page = 0;
    const last = Math.max(0, Math.ceil(data.rows.length / PAGE_ROWS) - 1);
    /** @param {number} to */
    const show = (to) => {
      page = Math.min(last, Math.max(0, to));
      const first = page * PAGE_ROWS;
      const rows = data.rows.slice(first, first + PAGE_ROWS);
      body.replaceChildren(
        ...rows.map((row) => {
          const line = make("tr", "");
          line.append(...row.map((cell, i) => cellOf("td", shown(cell), data.right[i])));
          return line;
        }),
      );
      place.textContent = last
        ? this.words.table_place
            .replace("{first}", number(first + 1))
            .replace("{last}", number(first + rows.length))
            .replace("{count}", number(data.rows.length))
        : this.words.table_rows.replace("{count}", number(data.rows.length));
      // a disabled button would lose the focus
      previous.setAttribute("aria-disabled", String(page === 0));
      next.setAttribute("aria-disabled", String(page === last));
      this.reachWide(box);
    };
    /** @param {number} step */
    const turn = (step) => {
      this.stick = false; // the last page may be shorter
      show(page + step);
    };
    const previous = this.plainButton(this.words.find_previous, () => turn(-1), "previous");
    const next = this.plainButton(this.words.find_next, () => turn(1), "next");
    const save = this.plainButton(
      this.words.download_csv,
      () => download(new Blob(["\ufeff", csvOf(data)], { type: "text/csv" }), "table.csv"), // the mark tells Excel the encoding
      "download",
    );
    foot.append(place, ...(last ? [previous, next] : []), save);
    show(0);
    const notes = [];
    if (data.total > data.rows.length)
      notes.push(
        this.words.table_cut
          .replace("{count}", number(data.rows.length))
          .replace("{total}", number(data.total)),
      );
    if (data.columns_cut)
      notes.push(this.words.columns_cut.replace("{count}", number(data.columns_cut)));
    if (notes.length) {
      const note = make("div", "ws-turn-grid-note");
      note.textContent = notes.join(" ");
      el.append(note);
    }
    requestAnimationFrame(() => this.reachWide(box)); // it has a width only in the document
    return el;
  },
};
