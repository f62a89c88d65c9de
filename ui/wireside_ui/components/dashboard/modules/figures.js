// @ts-check
// The tiles, the totals and the tables.
import { h } from "vue";
import { RANGES } from "./ranges.js";

/** @satisfies {ThisType<Dashboard>} */
export const figures = {
  tiles() {
    const w = this.words;
    const now = this.now ?? {};
    const first = [this.number(now.first_p50, 2), this.number(now.first_p95, 2)];
    const all = [
      [
        "dash_connections",
        this.number((now.pages ?? 0) + (now.raw ?? 0), 0),
        `${w.dash_pages} ${this.number(now.pages, 0)} · ${w.dash_raw} ${this.number(now.raw, 0)}`,
      ],
      ["dash_streams", this.number(now.streams, 0), w.dash_now],
      ["dash_messages", this.number(now.messages, 2), ""],
      [
        "dash_error_rate",
        now.error_rate == null ? "–" : `${this.number(now.error_rate, 1)} %`,
        w.dash_of_answers,
      ],
      [
        "dash_first",
        first[0] === "–" ? "–" : `${first[0]} s`,
        first[1] === "–" ? "p50" : `p50 · p95 ${first[1]} s`,
      ],
      [
        "dash_speed",
        this.number(now.tokens, 1),
        now.speed == null ? "" : `p50 ${this.number(now.speed, 1)}`,
      ],
      [
        "dash_lag",
        now.loop_p99 == null ? "–" : `${this.number(now.loop_p99, 1)} ms`,
        now.behind ? `${w.dash_behind} ${this.number(now.behind, 0)} s` : "",
      ],
      [
        "dash_memory",
        now.memory ? `${this.number(now.memory, 0)} MiB` : "–",
        `${this.number(now.cpu, 1)} % CPU`,
      ],
    ];
    return h(
      "dl",
      { class: "ws-dashboard-tiles", "data-testid": "dashboard-tiles" },
      all.map(([word, value, line]) =>
        h("div", { class: "ws-dashboard-tile", "data-figure": word }, [
          h("dt", w[word]),
          h("dd", h("bdi", { dir: "ltr" }, value)),
          h(
            "dd",
            { class: "ws-dashboard-line" },
            line.split(" · ").flatMap((part, n) => [n ? " · " : "", this.figure(part)]),
          ),
        ]),
      ),
    );
  },

  /**
   * An optional word and a number with its unit. The number is left to right in every language, or it would read "ms 9".
   * @param {string} text
   */
  figure(text) {
    const found = /^(?:([^\d\s].*?)\s+)?([\d.,–].*)$/u.exec(text); // the word may be "p50"
    return found ? [found[1] ? `${found[1]} ` : "", h("bdi", { dir: "ltr" }, found[2])] : text;
  },

  summary() {
    const { sums, words: w } = this;
    const parts = [
      `${w.dash_sum_messages} ${this.number(sums.messages ?? 0, 0)}`, // this order needs no plural in any language
      `${w.dash_sum_answers} ${this.number(sums.answers ?? 0, 0)}`,
      `${w.dash_sum_tokens} ${this.number(sums.tokens ?? 0, 0)}`,
    ];
    if (sums.failed) parts.push(`${w.dash_sum_failed} ${this.number(sums.failed, 0)}`);
    return [h("strong", this.rangeName()), ` ${parts.join(" · ")}`];
  },

  rangeName() {
    if (this.seconds) return this.words[`dash_range_${RANGES.indexOf(this.seconds)}`];
    const format = new Intl.DateTimeFormat(this.language, {
      dateStyle: "medium",
      timeStyle: "short",
    });
    const [since, until] = (this.chosen ?? []).map((at) => new Date(at * 1000));
    return format.formatRange(since, until);
  },

  modelTable() {
    const most = Math.max(1, ...this.models.map(([, count]) => count));
    return h("section", { class: "wa-card ws-dashboard-table" }, [
      h("h2", this.words.dash_models),
      this.models.length
        ? h(
            "ul",
            this.models.map(([name, count]) =>
              h("li", [
                h("span", { class: "ws-dashboard-name", dir: "auto" }, name),
                h("span", {
                  class: "ws-dashboard-bar",
                  style: { inlineSize: `${(100 * count) / most}%` },
                }),
                h("span", { class: "ws-dashboard-count" }, this.number(count, 0)),
              ]),
            ),
          )
        : h("p", { class: "wa-note" }, this.words.dash_nothing),
    ]);
  },

  errorTable() {
    const w = this.words;
    return h("section", { class: "wa-card ws-dashboard-table" }, [
      h("h2", w.dash_errors),
      this.errors.length
        ? h("table", [
            h(
              "thead",
              h("tr", [
                h("th", { scope: "col" }, w.dash_code),
                h("th", { scope: "col" }, w.dash_count),
                h("th", { scope: "col" }, w.dash_example),
              ]),
            ),
            h(
              "tbody",
              this.errors.map(([code, count, example]) =>
                h("tr", [
                  h("td", h("code", code)),
                  h("td", this.number(count, 0)),
                  h("td", h("code", { title: w.dash_example_line }, example || "–")),
                ]),
              ),
            ),
          ])
        : h("p", { class: "wa-note" }, w.dash_no_errors),
    ]);
  },

  /**
   * @param {number | null | undefined} value
   * @param {number} digits
   */
  number(value, digits) {
    if (value == null) return "–";
    return new Intl.NumberFormat(this.language, { maximumFractionDigits: digits }).format(value);
  },
};
