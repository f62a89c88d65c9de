// @ts-check
// The table of several servers on one database; there is none for a server alone.
import { h } from "vue";

const SILENT_S = 3; // beats come each second
const CLOCK_S = 5; // `wireside doctor` warns from here on

/** @type {[word: string, value: (one: DashboardServer) => number | null | undefined, digits: number, unit: string][]} */
const COLUMNS = [
  ["dash_streams", (one) => one.streams, 0, ""],
  ["dash_raw", (one) => one.raw, 0, ""],
  ["dash_pages", (one) => one.pages, 0, ""],
  ["dash_server_cpu", (one) => one.cpu_percent, 0, " %"],
  ["dash_memory", (one) => one.memory_mb, 0, " MiB"],
];

/** @satisfies {ThisType<Dashboard>} */
export const servers = {
  serverTable() {
    const w = this.words;
    if (!this.servers.length) return null;
    return h("section", { class: "wa-card ws-dashboard-table ws-dashboard-servers" }, [
      h("h2", { id: "servers" }, w.dash_servers),
      h("table", { "aria-labelledby": "servers", "data-testid": "dashboard-servers" }, [
        h(
          "thead",
          h(
            "tr",
            [
              "dash_server",
              "dash_version",
              "dash_uptime",
              ...COLUMNS.map(([word]) => word),
              "dash_clock",
            ].map((word) => h("th", { scope: "col" }, this.heading(word))),
          ),
        ),
        h("tbody", this.servers.map(this.serverRow)),
        h("tfoot", this.sumRow()),
      ]),
    ]);
  },

  /** @param {DashboardServer} one */
  serverRow(one) {
    const isOff = Math.abs(one.clock_ahead_s ?? 0) > CLOCK_S;
    return h("tr", { key: one.id }, [
      h("th", { scope: "row" }, [
        h("span", { class: "ws-dashboard-server", dir: "auto", title: one.id }, one.name),
        this.badges(one).map(([word, kind]) =>
          h("span", { class: ["ws-dashboard-badge", `ws-dashboard-badge-${kind}`] }, word),
        ),
      ]),
      this.cell("dash_version", one.version),
      this.cell("dash_uptime", this.duration(one.uptime_s)),
      COLUMNS.map(([word, value, digits, unit]) => this.amount(word, value(one), digits, unit)),
      this.cell("dash_clock", this.signed(one.clock_ahead_s), isOff && "ws-dashboard-off"),
    ]);
  },

  sumRow() {
    return h("tr", [
      h("th", { scope: "row", colspan: 3 }, [
        `${this.words.dash_servers_all} `,
        h("span", { class: "ws-dashboard-count" }, this.number(this.servers.length, 0)),
      ]),
      COLUMNS.map(([word, value, digits, unit]) => {
        const known = this.servers.map(value).filter((one) => one != null);
        const sum = known.length ? known.reduce((all, one) => all + one, 0) : null;
        return this.amount(word, sum, digits, unit);
      }),
      h("td", { class: "ws-dashboard-blank" }),
    ]);
  },

  /**
   * @param {DashboardServer} one
   * @returns {[word: string, kind: "plain" | "warning"][]}
   */
  badges(one) {
    const w = this.words;
    /** @type {[word: string, kind: "plain" | "warning"][]} */
    const found = [];
    if (one.is_own) found.push([w.dash_server_own, "plain"]);
    if (one.is_draining) found.push([w.dash_draining, "warning"]);
    if (one.silent_s > SILENT_S)
      found.push([`${w.dash_silent} ${this.duration(one.silent_s)}`, "warning"]);
    return found;
  },

  /**
   * @param {string} word
   * @param {number | null | undefined} value
   * @param {number} digits
   * @param {string} unit
   */
  amount(word, value, digits, unit) {
    return this.cell(word, value == null ? "–" : `${this.number(value, digits)}${unit}`);
  },

  /**
   * A cell that names its column where the table is a list.
   * @param {string} word
   * @param {string} text
   * @param {string | false} kind
   */
  cell(word, text, kind = false) {
    return h("td", { class: kind || null, "data-label": this.heading(word) }, [
      h("bdi", { dir: "ltr" }, text),
    ]);
  },

  /**
   * A word as a heading: those of the tiles are lower-case.
   * @param {string} word
   */
  heading(word) {
    const [first, ...rest] = this.words[word];
    return first.toLocaleUpperCase(this.language) + rest.join("");
  },

  /** @param {number | null | undefined} seconds */
  signed(seconds) {
    if (seconds == null) return "–";
    const format = { minimumFractionDigits: 1, maximumFractionDigits: 1 };
    const text = new Intl.NumberFormat(this.language, {
      ...format,
      signDisplay: "exceptZero",
    }).format(seconds);
    return `${text} s`;
  },

  /** @param {number} seconds */
  duration(seconds) {
    /** @type {[number, string][]} */
    const units = [
      [86400, "day"],
      [3600, "hour"],
      [60, "minute"],
      [1, "second"],
    ];
    const [length, unit] = units.find(([size]) => seconds >= size) ?? units[3];
    return new Intl.NumberFormat(this.language, {
      style: "unit",
      unit,
      unitDisplay: "short",
      maximumFractionDigits: 0,
    }).format(Math.floor(seconds / length));
  },
};
