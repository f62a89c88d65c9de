// Tiles, charts and tables of the server's figures. Python sends numbers, once for each range and each step; the rest is done here.
import { h } from "vue";
import { echarts } from "nicegui-echart";

const HOUR = 3600;
const RANGES = [HOUR, 6 * HOUR, 24 * HOUR, 7 * 24 * HOUR, 30 * 24 * HOUR];
const AGAIN_MS = 60000; // reload interval of ranges longer than an hour
const OFFLINE_MS = 7000; // ticks come every two seconds

// The charts: the first series in the accent's colour, the second in a different one.
const CHARTS = [
  { name: "messages", digits: 2, series: ["messages"] },
  { name: "error_rate", digits: 1, unit: "%", least: 5, series: ["error_rate"], tone: "danger" },
  { name: "first", digits: 2, unit: "s", series: ["first_p50", "first_p95"], labels: ["p50", "p95"] },
  { name: "speed", digits: 1, series: ["speed", "tokens"], labels: ["speed_one", "speed_all"] },
  { name: "connections", digits: 0, series: ["pages", "raw", "streams"], labels: ["pages", "raw", "streams"] },
  { name: "lag", digits: 1, unit: "ms", series: ["loop_p99"] },
  { name: "memory", digits: 0, unit: "MiB", series: ["memory"] },
  { name: "cpu", digits: 1, unit: "%", series: ["cpu"] },
];

export default {
  props: { first: Object, links: Array, logo: String, name: String, base: String, language: String, words: Object },
  emits: ["range", "visible"],
  data: () => ({
    now: null,
    problem: "",
    sums: {},
    models: [],
    errors: [],
    seconds: HOUR, // 0: a custom range, from `since` to `until`
    chosen: null,
    typed: ["", ""],
    isChoosing: false,
    isLoading: false,
    isStale: false,
    isEmpty: true,
  }),
  created() {
    this.series = { t: [] }; // not reactive: thousands of numbers
    this.charts = [];
  },
  mounted() {
    for (const chart of CHARTS) this.draw(chart);
    this.take(this.first);
    this.look = new MutationObserver(() => this.redraw());
    this.look.observe(document.documentElement, { attributeFilter: ["class"] });
    this.sizes = new ResizeObserver(() => this.charts.forEach((one) => one.chart.resize()));
    this.sizes.observe(this.$refs.charts);
    document.addEventListener("visibilitychange", this.onVisibility);
    this.again = setInterval(() => this.seconds > HOUR && !document.hidden && this.tell(), AGAIN_MS);
    this.heardAt = Date.now();
    this.silence = setInterval(() => (this.isStale = Date.now() - this.heardAt > OFFLINE_MS), 1000);
  },
  unmounted() {
    this.look.disconnect();
    this.sizes.disconnect();
    document.removeEventListener("visibilitychange", this.onVisibility);
    clearInterval(this.again);
    clearInterval(this.silence);
    for (const { chart } of this.charts) chart.dispose();
  },
  render() {
    const w = this.words;
    return h("div", { class: "wd-page" }, [
      h("header", { class: "wa-bar" }, [
        h("a", { class: "wa-back", href: `${this.base}/` }, [
          h("img", { src: this.logo, alt: "", width: 28, height: 28 }),
          h("span", this.name),
        ]),
        h("nav", { "aria-label": w.account_settings }, [
          this.links.map((link) => h("a", { href: link.href, "aria-current": link.href === `${this.base}/dashboard` ? "page" : null }, link.text)),
        ]),
      ]),
      h("main", { class: "wd-main", "data-testid": "dashboard" }, [
        h("div", { class: "wd-top" }, [
          h("h1", w.dashboard),
          h("span", { class: ["wd-live", { "wd-stale": this.isStale }], role: "status" }, this.isStale ? w.offline : w.dash_live),
          this.picker(),
        ]),
        this.isChoosing ? this.form() : null,
        this.problem ? h("p", { class: "wa-problem", role: "alert" }, this.problem) : null,
        this.tiles(),
        h("section", { class: "wd-sums", "aria-label": this.rangeName() }, this.summary()),
        h("div", { class: ["wd-charts", { "wd-loading": this.isLoading }], ref: "charts" }, CHARTS.map((one) => this.card(one))),
        h("div", { class: "wd-tables" }, [this.modelTable(), this.errorTable()]),
      ]),
    ]);
  },
  methods: {
    // ---- the parts of the page
    picker() {
      const w = this.words;
      return h("div", { class: "wd-ranges", role: "group", "aria-label": w.dash_range }, [
        RANGES.map((seconds, place) =>
          h(
            "button",
            {
              type: "button",
              "aria-pressed": String(this.seconds === seconds),
              onClick: () => {
                this.isChoosing = false;
                this.seconds = seconds;
                this.ask();
              },
            },
            w[`dash_range_${place}`],
          ),
        ),
        h(
          "button",
          { type: "button", "aria-pressed": String(!this.seconds), "aria-expanded": String(this.isChoosing), onClick: this.toggle },
          w.dash_range_other,
        ),
      ]);
    },
    toggle() {
      const now = Date.now() / 1000;
      this.typed = (this.chosen ?? [now - 24 * HOUR, now]).map(local);
      this.isChoosing = !this.isChoosing;
    },
    form() {
      const w = this.words;
      const field = (place, label) =>
        h("label", [label, h("input", { type: "datetime-local", required: true, value: this.typed[place], onInput: (e) => (this.typed[place] = e.target.value) })]);
      return h("form", { class: "wd-form", onSubmit: this.choose }, [
        field(0, w.dash_since),
        field(1, w.dash_until),
        h("button", { class: "wa-button" }, w.dash_show),
      ]);
    },
    choose(event) {
      event.preventDefault();
      const [since, until] = this.typed.map((text) => new Date(text).getTime() / 1000);
      if (!(since < until)) {
        this.problem = this.words.dash_no_time;
        return;
      }
      this.chosen = [since, until];
      this.seconds = 0;
      this.isChoosing = false;
      this.ask();
    },
    tiles() {
      const w = this.words;
      const now = this.now ?? {};
      const first = [this.number(now.first_p50, 2), this.number(now.first_p95, 2)];
      const all = [
        ["dash_connections", this.number((now.pages ?? 0) + (now.raw ?? 0), 0), `${w.dash_pages} ${this.number(now.pages, 0)} · ${w.dash_raw} ${this.number(now.raw, 0)}`],
        ["dash_streams", this.number(now.streams, 0), w.dash_now],
        ["dash_messages", this.number(now.messages, 2), ""],
        ["dash_error_rate", now.error_rate == null ? "–" : `${this.number(now.error_rate, 1)} %`, w.dash_of_answers],
        ["dash_first", first[0] === "–" ? "–" : `${first[0]} s`, first[1] === "–" ? "p50" : `p50 · p95 ${first[1]} s`],
        ["dash_speed", this.number(now.tokens, 1), now.speed == null ? "" : `p50 ${this.number(now.speed, 1)}`],
        ["dash_lag", now.loop_p99 == null ? "–" : `${this.number(now.loop_p99, 1)} ms`, now.behind ? `${w.dash_behind} ${this.number(now.behind, 0)} s` : ""],
        ["dash_memory", now.memory ? `${this.number(now.memory, 0)} MiB` : "–", `${this.number(now.cpu, 1)} % CPU`],
      ];
      return h(
        "dl",
        { class: "wd-tiles", "data-testid": "dashboard-tiles" },
        all.map(([word, value, line]) =>
          h("div", { class: "wd-tile", "data-figure": word }, [h("dt", w[word]), h("dd", h("bdi", { dir: "ltr" }, value)), h("dd", { class: "wd-line" }, line.split(" · ").flatMap((part, n) => [n ? " · " : "", this.figure(part)]))]),
        ),
      );
    },
    // An optional word and a number with its unit. The number is left to right in every language, or it would read "ms 9".
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
      const format = new Intl.DateTimeFormat(this.language, { dateStyle: "medium", timeStyle: "short" });
      return format.formatRange(...this.chosen.map((at) => new Date(at * 1000)));
    },
    card(one) {
      const w = this.words;
      return h("section", { class: "wd-card", "data-chart": one.name }, [
        h("h2", [w[`dash_${one.name}`], one.unit ? h("span", ` ${one.unit}`) : null]),
        one.labels
          ? h("p", { class: "wd-legend" }, one.labels.map((label, place) => h("span", { class: `wd-key wd-key-${place}` }, w[`dash_${label}`] ?? label)))
          : null,
        h("div", { class: "wd-chart", ref: `chart-${one.name}`, role: "img", "aria-label": w[`dash_${one.name}`] }),
        this.isEmpty ? h("p", { class: "wd-none" }, w.dash_nothing) : null,
      ]);
    },
    modelTable() {
      const most = Math.max(1, ...this.models.map(([, count]) => count));
      return h("section", { class: "wa-card wd-table" }, [
        h("h2", this.words.dash_models),
        this.models.length
          ? h("ul", this.models.map(([name, count]) =>
              h("li", [
                h("span", { class: "wd-name", dir: "auto" }, name),
                h("span", { class: "wd-bar", style: { inlineSize: `${(100 * count) / most}%` } }),
                h("span", { class: "wd-count" }, this.number(count, 0)),
              ])))
          : h("p", { class: "wa-note" }, this.words.dash_nothing),
      ]);
    },
    errorTable() {
      const w = this.words;
      return h("section", { class: "wa-card wd-table" }, [
        h("h2", w.dash_errors),
        this.errors.length
          ? h("table", [
              h("thead", h("tr", [h("th", { scope: "col" }, w.dash_code), h("th", { scope: "col" }, w.dash_count), h("th", { scope: "col" }, w.dash_example)])),
              h("tbody", this.errors.map(([code, count, example]) =>
                h("tr", [h("td", h("code", code)), h("td", this.number(count, 0)), h("td", h("code", { title: w.dash_example_line }, example || "–"))]))),
            ])
          : h("p", { class: "wa-note" }, w.dash_no_errors),
      ]);
    },
    number(value, digits) {
      if (value == null) return "–";
      return new Intl.NumberFormat(this.language, { maximumFractionDigits: digits }).format(value);
    },

    // ---- messages from the server
    ask() {
      this.isLoading = true;
      this.problem = "";
      this.tell();
    },
    tell() {
      this.$emit("range", this.seconds ? [this.seconds, 0] : this.chosen);
    },
    show(data) {
      this.isLoading = false;
      this.take(data);
    },
    take(data) {
      if (data.problem) {
        this.problem = data.problem;
        return;
      }
      this.series = data.series;
      this.sums = data.sums;
      this.models = data.models;
      this.errors = data.errors;
      this.span = [data.since * 1000, data.until * 1000];
      this.redraw();
    },
    push(tick) {
      this.heardAt = Date.now();
      this.isStale = false;
      this.now = tick.now;
      if (!tick.series || this.seconds !== HOUR) return;
      const end = tick.series.t[0];
      const first = this.series.t.findIndex((t) => t > end - HOUR * 1000);
      for (const [name, values] of Object.entries(tick.series)) {
        this.series[name] ??= [];
        this.series[name] = [...this.series[name].slice(first < 0 ? this.series.t.length : first), ...values];
      }
      this.span = [end - HOUR * 1000, end];
      Object.assign(this, tick.hour);
      this.redraw();
    },
    onVisibility() {
      this.$emit("visible", !document.hidden);
      if (!document.hidden) this.tell();
    },

    // ---- charts
    draw(one) {
      const chart = echarts.init(this.$refs[`chart-${one.name}`], null, { renderer: "canvas" });
      this.charts.push({ ...one, chart });
    },
    redraw() {
      this.isEmpty = !this.series.t.length;
      const style = getComputedStyle(document.documentElement);
      const colour = (name) => style.getPropertyValue(`--${name}`).trim();
      const look = {
        text: colour("ws-muted"), line: colour("ws-line"), surface: colour("ws-surface"), ink: colour("ws-text"), font: colour("ws-font"),
        series: [colour("wd-one"), colour("wd-two"), colour("wd-three")], danger: colour("ws-danger"),
      };
      for (const one of this.charts) one.chart.setOption(this.option(one, look), { notMerge: true, lazyUpdate: true });
    },
    option(one, look) {
      const { t } = this.series;
      const isLong = this.span[1] - this.span[0] > 26 * HOUR * 1000;
      const time = new Intl.DateTimeFormat(this.language, isLong ? { month: "short", day: "numeric" } : { hour: "2-digit", minute: "2-digit" });
      const exact = new Intl.DateTimeFormat(this.language, { dateStyle: "medium", timeStyle: "medium" });
      const text = { color: look.text, fontFamily: look.font, fontSize: 12 };
      const unit = one.unit ? ` ${one.unit}` : "";
      return {
        animation: false,
        grid: { left: 8, right: 20, top: 12, bottom: 4, containLabel: true },
        xAxis: {
          type: "time", min: this.span[0], max: this.span[1], splitNumber: 4,
          axisLine: { lineStyle: { color: look.line } }, axisTick: { show: false },
          axisLabel: { ...text, hideOverlap: true, showMinLabel: false, showMaxLabel: false, formatter: (at) => time.format(at) },
        },
        yAxis: {
          type: "value", min: 0, max: one.least && ((axis) => Math.max(one.least, axis.max)), minInterval: one.digits ? 0 : 1, splitNumber: 3,
          splitLine: { lineStyle: { color: look.line } },
          axisLabel: { ...text, formatter: (value) => this.number(value, one.digits) },
        },
        tooltip: {
          trigger: "axis", renderMode: "richText", confine: true, backgroundColor: look.surface, borderColor: look.line, textStyle: { ...text, color: look.ink },
          axisPointer: { lineStyle: { color: look.text } },
          formatter: (points) => [
            exact.format(points[0].value[0]),
            ...points.filter((p) => p.value[1] != null).map((p) => `${p.seriesName ? `${p.seriesName}  ` : ""}${this.number(p.value[1], one.digits)}${unit}`),
          ].join("\n"),
        },
        series: one.series.map((name, place) => ({
          type: "line", name: one.labels ? (this.words[`dash_${one.labels[place]}`] ?? one.labels[place]) : "",
          data: t.map((at, row) => [at, this.series[name]?.[row] ?? null]),
          showSymbol: t.length < 4, symbol: "circle", symbolSize: 5, connectNulls: false, sampling: "lttb",
          lineStyle: { width: 2, color: one.tone ? look[one.tone] : look.series[place] },
          itemStyle: { color: one.tone ? look[one.tone] : look.series[place] },
          areaStyle: place ? undefined : { opacity: 0.09, color: one.tone ? look[one.tone] : look.series[place] },
        })),
      };
    },
  },
};

// Formats a time for an input field, in the browser's time zone.
function local(seconds) {
  const at = new Date(seconds * 1000);
  return new Date(at - at.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
}
