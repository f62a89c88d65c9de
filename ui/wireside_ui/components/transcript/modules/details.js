// @ts-check
// What is known of an answer: model, tokens and times, and what a report of an error needs.
import { make } from "wireside-kit/dom.js";
import { money } from "wireside-kit/money.js";

/** @satisfies {ThisType<Transcript>} */
export const details = {
  /**
   * Returns pairs of label and value; unknown values are left out.
   * @param {Row} row
   * @returns {[label: string, value: string][]}
   */
  detailsOf(row) {
    const { model, details: known } = row.data;
    if (!known) return [];
    const lang = document.documentElement.lang || undefined;
    /**
     * @param {number | null} value
     * @param {Intl.NumberFormatOptions} [format]
     */
    const number = (value, format) => (value === null ? "" : value.toLocaleString(lang, format));
    const at = new Date(known.at * 1000);
    /** @type {Intl.NumberFormatOptions} */
    const seconds = { style: "unit", unit: "second", maximumFractionDigits: 2 };
    /** @type {[string, string][]} */
    const pairs = [
      [this.words.detail_model, model],
      [this.words.detail_error, known.code],
      [this.words.detail_time, at.toLocaleString(lang, { dateStyle: "medium", timeStyle: "long" })],
      [this.words.detail_input, number(known.input_tokens)],
      [this.words.detail_output, number(known.output_tokens)],
      [this.words.detail_cost, known.costs.map((cost) => money(...cost)).join(" + ")],
      [this.words.detail_first, number(known.first_token_s, seconds)],
      [this.words.detail_speed, number(known.tokens_per_s, { maximumFractionDigits: 1 })],
      [this.words.detail_id, known.stream],
    ];
    return pairs.filter(([, value]) => value);
  },

  /** @param {Row} row */
  detailsText(row) {
    return this.detailsOf(row)
      .map(([label, value]) => `${label}: ${value}`)
      .join("\n");
  },

  /** @param {Row} row */
  showDetails(row) {
    const dialog = make("dialog", "ws-transcript-details", {
      "aria-label": this.words.details,
      "data-testid": "details",
    });
    const heading = make("h2", "");
    heading.textContent = this.words.details;
    const list = make("dl", "");
    /** @param {[label: string, value: string]} pair */
    const add = ([label, value]) => {
      const term = list.appendChild(make("dt", ""));
      const text = list.appendChild(make("dd", "", { dir: "auto" }));
      term.textContent = label;
      text.textContent = value;
    };
    this.detailsOf(row).forEach(add);
    if (row.data.details?.costs.length) this.totalCost().then((total) => total && add(total));
    const buttons = make("div", "");
    const copy = this.button("copy_details", this.words.copy_details);
    copy.onclick = () => this.copyDetails(copy, row);
    const close = this.button("close", this.words.close);
    close.onclick = () => dialog.close();
    buttons.append(copy, close);
    dialog.append(heading, list, buttons);
    const opener = /** @type {HTMLElement | null} */ (document.activeElement);
    dialog.addEventListener("close", () => {
      dialog.remove();
      opener?.focus({ preventScroll: true });
    });
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    this.$el.append(dialog);
    dialog.showModal();
  },

  /**
   * Returns what all answers of the conversation have cost; null if that is unknown.
   * @returns {Promise<[label: string, value: string] | null>}
   */
  async totalCost() {
    if (!this.source) return null; // a temporary chat
    try {
      const response = await fetch(`${this.source}/usage`, { cache: "no-store" });
      if (!response.ok) return null;
      /** @type {{ costs: { amount: number, currency: string }[] }} */
      const { costs } = await response.json();
      const sums = costs.map(({ amount, currency }) => money(amount, currency));
      return sums.length ? [this.words.detail_total, sums.join(" + ")] : null;
    } catch {
      return null;
    }
  },

  /**
   * @param {HTMLElement} button with a text
   * @param {Row} row
   */
  async copyDetails(button, row) {
    if (!(await this.writeText(this.detailsText(row)))) return;
    const label = button.textContent ?? "";
    button.textContent = this.words.copied;
    setTimeout(() => (button.textContent = label), 1600);
  },
};
