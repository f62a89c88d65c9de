// @ts-check
// The charts, drawn by ECharts.
import { echarts } from "nicegui-echart";
import { h } from "vue";
import { HOUR } from "./ranges.js";
import { timeStep, valueStep } from "./ticks.js";

// The charts: the first series in the accent's colour, the second in a different one.
/** @type {ChartKind[]} */
export const CHARTS = [
  { name: "messages", digits: 2, series: ["messages"] },
  { name: "error_rate", digits: 1, unit: "%", least: 5, series: ["error_rate"], tone: "danger" },
  {
    name: "first",
    digits: 2,
    unit: "s",
    series: ["first_p50", "first_p95"],
    labels: ["p50", "p95"],
  },
  { name: "speed", digits: 1, series: ["speed", "tokens"], labels: ["speed_one", "speed_all"] },
  {
    name: "connections",
    digits: 0,
    series: ["pages", "raw", "streams"],
    labels: ["pages", "raw", "streams"],
  },
  { name: "lag", digits: 1, unit: "ms", series: ["loop_p99"] },
  { name: "memory", digits: 0, unit: "MiB", series: ["memory"] },
  { name: "cpu", digits: 1, unit: "%", series: ["cpu"] },
];

/** @satisfies {ThisType<Dashboard>} */
export const charts = {
  /** @param {ChartKind} one */
  card(one) {
    const w = this.words;
    return h("section", { class: "ws-dashboard-card", "data-chart": one.name }, [
      h("h2", [w[`dash_${one.name}`], one.unit ? h("span", ` ${one.unit}`) : null]),
      one.labels
        ? h(
            "p",
            { class: "ws-dashboard-legend" },
            one.labels.map((/** @type {string} */ label, /** @type {number} */ place) =>
              h(
                "span",
                { class: `ws-dashboard-key ws-dashboard-key-${place}` },
                w[`dash_${label}`] ?? label,
              ),
            ),
          )
        : null,
      h("div", {
        class: "ws-dashboard-chart",
        ref: `chart-${one.name}`,
        role: "img",
        "aria-label": w[`dash_${one.name}`],
      }),
      this.isEmpty ? h("p", { class: "ws-dashboard-none" }, w.dash_nothing) : null,
    ]);
  },

  /** @param {ChartKind} one */
  draw(one) {
    const chart = echarts.init(this.$refs[`chart-${one.name}`], null, { renderer: "canvas" });
    this.charts.push({ ...one, chart });
  },

  redraw() {
    this.isEmpty = !this.series.t.length;
    const style = getComputedStyle(document.documentElement);
    /** @param {string} name */
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    const look = {
      text: colour("ws-muted"),
      line: colour("ws-line"),
      surface: colour("ws-surface"),
      ink: colour("ws-text"),
      font: colour("ws-font"),
      series: [
        colour("ws-dashboard-one"),
        colour("ws-dashboard-two"),
        colour("ws-dashboard-three"),
      ],
      danger: colour("ws-danger"),
    };
    for (const one of this.charts)
      one.chart.setOption(this.option(one, look), { notMerge: true, lazyUpdate: true });
  },

  /**
   * The end of an axis and the distance of its ticks: without it, the last tick is next to the end.
   * @param {ChartKind} one
   * @param {number} least
   */
  rounded(one, least) {
    const values = one.series.flatMap((/** @type {string} */ name) => this.series[name] ?? []);
    const most = values.reduce((/** @type {number} */ a, b) => Math.max(a, b ?? 0), least);
    const interval = valueStep(most);
    return { interval, max: Math.ceil(most / interval) * interval };
  },

  /**
   * @param {ChartKind} one
   * @param {ChartLook} look
   */
  option(one, look) {
    const { t } = this.series;
    const { least } = one;
    const isLong = this.span[1] - this.span[0] > 26 * HOUR * 1000;
    const time = new Intl.DateTimeFormat(
      this.language,
      isLong ? { month: "short", day: "numeric" } : { hour: "2-digit", minute: "2-digit" },
    );
    const exact = new Intl.DateTimeFormat(this.language, {
      dateStyle: "medium",
      timeStyle: "medium",
    });
    const text = { color: look.text, fontFamily: look.font, fontSize: 12 };
    const unit = one.unit ? ` ${one.unit}` : "";
    return {
      animation: false,
      grid: { left: 20, right: 20, top: 12, bottom: 4, containLabel: true },
      xAxis: {
        type: "value", // the ticks of a time axis are at uneven distances
        min: this.span[0],
        max: this.span[1],
        minInterval: timeStep(this.span[1] - this.span[0]), // not `interval`, which counts from `min`
        maxInterval: timeStep(this.span[1] - this.span[0]),
        splitLine: { show: false },
        axisLine: { lineStyle: { color: look.line } },
        axisTick: { show: false },
        axisLabel: {
          ...text,
          hideOverlap: true,
          showMinLabel: false,
          showMaxLabel: false,
          formatter: (/** @type {number} */ at) => time.format(at),
        },
      },
      yAxis: {
        type: "value",
        min: 0,
        ...(least && this.rounded(one, least)),
        minInterval: one.digits ? 0 : 1,
        axisLine: { show: false },
        axisTick: { show: false },
        splitNumber: 3,
        splitLine: { lineStyle: { color: look.line } },
        axisLabel: {
          ...text,
          formatter: (/** @type {number | null | undefined} */ value) =>
            this.number(value, one.digits),
        },
      },
      tooltip: {
        trigger: "axis",
        renderMode: "richText",
        confine: true,
        backgroundColor: look.surface,
        borderColor: look.line,
        textStyle: { ...text, color: look.ink },
        axisPointer: { lineStyle: { color: look.text } },
        formatter: (
          /** @type {{ value: [number, number | null], seriesName: string }[]} */ points,
        ) =>
          [
            exact.format(points[0].value[0]),
            ...points
              .filter((p) => p.value[1] != null)
              .map(
                (p) =>
                  `${p.seriesName ? `${p.seriesName}  ` : ""}${this.number(p.value[1], one.digits)}${unit}`,
              ),
          ].join("\n"),
      },
      series: one.series.map((/** @type {string} */ name, /** @type {number} */ place) => ({
        type: "line",
        name: one.labels ? (this.words[`dash_${one.labels[place]}`] ?? one.labels[place]) : "",
        data: t.map((at, row) => [at, this.series[name]?.[row] ?? null]),
        showSymbol: t.length < 4,
        symbol: "circle",
        symbolSize: 5,
        connectNulls: false,
        sampling: "lttb",
        lineStyle: { width: 2, color: one.tone ? look[one.tone] : look.series[place] },
        itemStyle: { color: one.tone ? look[one.tone] : look.series[place] },
        areaStyle: place
          ? undefined
          : { opacity: 0.09, color: one.tone ? look[one.tone] : look.series[place] },
      })),
    };
  },
};
