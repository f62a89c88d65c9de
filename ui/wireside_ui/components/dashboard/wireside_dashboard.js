// @ts-check
// Tiles, charts and tables of the server's figures. Python sends numbers, once for each range and each step; the rest is done here.
import { h } from "vue";
import { CHARTS, charts } from "wireside-dashboard/charts.js";
import { figures } from "wireside-dashboard/figures.js";
import { HOUR, RANGES, local } from "wireside-dashboard/ranges.js";
import { servers } from "wireside-dashboard/servers.js";

const AGAIN_MS = 60000; // reload interval of ranges longer than an hour
const OFFLINE_MS = 7000; // ticks come every two seconds

export default /** @satisfies {ComponentOptions<Dashboard>} */ ({
  props: {
    first: Object,
    links: Array,
    logo: String,
    name: String,
    base: String,
    language: String,
    words: Object,
  },
  emits: ["range", "visible"],
  data: () => ({
    now: null,
    problem: "",
    sums: {},
    models: [],
    errors: [],
    servers: [], // several on one database
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
    this.again = setInterval(
      () => this.seconds > HOUR && !document.hidden && this.tell(),
      AGAIN_MS,
    );
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
    return h("div", { class: "ws-dashboard-page" }, [
      h("header", { class: "wa-bar" }, [
        h("a", { class: "wa-back", href: `${this.base}/` }, [
          h("img", { src: this.logo, alt: "", width: 28, height: 28 }),
          h("span", this.name),
        ]),
        h("nav", { "aria-label": w.account_settings }, [
          this.links.map((link) =>
            h(
              "a",
              {
                href: link.href,
                "aria-current": link.href === `${this.base}/dashboard` ? "page" : null,
              },
              link.text,
            ),
          ),
        ]),
      ]),
      h("main", { class: "ws-dashboard-main", "data-testid": "dashboard" }, [
        h("div", { class: "ws-dashboard-top" }, [
          h("h1", w.dashboard),
          h(
            "span",
            {
              class: ["ws-dashboard-live", { "ws-dashboard-stale": this.isStale }],
              role: "status",
            },
            this.isStale ? w.offline : w.dash_live,
          ),
          this.picker(),
        ]),
        this.isChoosing ? this.form() : null,
        this.problem ? h("p", { class: "wa-problem", role: "alert" }, this.problem) : null,
        this.tiles(),
        h(
          "section",
          { class: "ws-dashboard-sums", "aria-label": this.rangeName() },
          this.summary(),
        ),
        this.serverTable(),
        h(
          "div",
          {
            class: ["ws-dashboard-charts", { "ws-dashboard-loading": this.isLoading }],
            ref: "charts",
          },
          CHARTS.map((/** @type {ChartKind} */ one) => this.card(one)),
        ),
        h("div", { class: "ws-dashboard-tables" }, [this.modelTable(), this.errorTable()]),
      ]),
    ]);
  },
  methods: {
    ...charts,
    ...figures,
    ...servers,

    // ---- the parts of the page
    picker() {
      const w = this.words;
      return h("div", { class: "ws-dashboard-ranges", role: "group", "aria-label": w.dash_range }, [
        RANGES.map((/** @type {number} */ seconds, /** @type {number} */ place) =>
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
          {
            type: "button",
            "aria-pressed": String(!this.seconds),
            "aria-expanded": String(this.isChoosing),
            onClick: this.toggle,
          },
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
      /**
       * @param {number} place
       * @param {string} label
       */
      const field = (place, label) =>
        h("label", [
          label,
          h("input", {
            type: "datetime-local",
            required: true,
            value: this.typed[place],
            onInput: (e) => (this.typed[place] = e.target.value),
          }),
        ]);
      return h("form", { class: "ws-dashboard-form", onSubmit: this.choose }, [
        field(0, w.dash_since),
        field(1, w.dash_until),
        h("button", { class: "wa-button" }, w.dash_show),
      ]);
    },
    /** @param {SubmitEvent} event */
    choose(event) {
      event.preventDefault();
      const [since, until] = this.typed.map(
        (/** @type {string} */ text) => new Date(text).getTime() / 1000,
      );
      if (!(since < until)) {
        this.problem = this.words.dash_no_time;
        return;
      }
      this.chosen = [since, until];
      this.seconds = 0;
      this.isChoosing = false;
      this.ask();
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
    /** @param {DashboardFigures} data */
    show(data) {
      this.isLoading = false;
      this.take(data);
    },
    /** @param {DashboardFigures} data */
    take(data) {
      if (data.problem) {
        this.problem = data.problem;
        return;
      }
      this.series = data.series;
      this.sums = data.sums;
      this.models = data.models;
      this.errors = data.errors;
      this.servers = data.servers;
      this.span = [data.since * 1000, data.until * 1000];
      this.redraw();
    },
    /** @param {DashboardTick} tick */
    push(tick) {
      this.heardAt = Date.now();
      this.isStale = false;
      this.now = tick.now;
      this.servers = tick.servers;
      if (!tick.series || this.seconds !== HOUR) return;
      const end = tick.series.t[0];
      const first = this.series.t.findIndex((t) => t > end - HOUR * 1000);
      for (const [name, values] of Object.entries(tick.series)) {
        this.series[name] ??= [];
        this.series[name] = [
          ...this.series[name].slice(first < 0 ? this.series.t.length : first),
          ...values,
        ];
      }
      this.span = [end - HOUR * 1000, end];
      Object.assign(this, tick.hour);
      this.redraw();
    },
    onVisibility() {
      this.$emit("visible", !document.hidden);
      if (!document.hidden) this.tell();
    },
  },
});
