// @ts-check
// Figures of an answer, drawn by Plotly.
import { make } from "wireside-kit/dom.js";
import { isTouch } from "wireside-kit/viewport.js";

const HEIGHT = 400; // px of a figure that names no height

let plotlyReady;

function loadPlotly() {
  // 4.6 MB: loaded only for a page that has a figure
  plotlyReady ??= import("nicegui-plotly").then(({ Plotly }) => Plotly);
  plotlyReady.catch(() => (plotlyReady = undefined)); // the next figure tries again
  return plotlyReady;
}

/**
 * Returns the layout of a figure in the colours of the page.
 * @param {HTMLElement} el
 * @param {Record<string, unknown>} layout
 */
function layoutOf(el, layout) {
  const style = getComputedStyle(el);
  /** @param {string} name */
  const color = (name) => style.getPropertyValue(name).trim();
  const axis = {
    gridcolor: color("--line"),
    linecolor: color("--line"),
    zerolinecolor: color("--line"),
    automargin: true,
  };
  const pane = { ...axis, showbackground: false };
  return {
    margin: { l: 48, r: 16, t: layout.title ? 56 : 16, b: 40 },
    ...layout,
    ...(isTouch() ? { dragmode: false } : {}), // a finger scrolls the conversation
    autosize: true,
    paper_bgcolor: "rgba(0,0,0,0)",
    template: {
      layout: {
        plot_bgcolor: "rgba(0,0,0,0)",
        font: { color: style.color, family: style.fontFamily, size: 13 },
        colorway: color("--figure-colors").split(/,\s*/),
        xaxis: axis,
        yaxis: axis,
        polar: { bgcolor: "rgba(0,0,0,0)", angularaxis: axis, radialaxis: axis },
        scene: { xaxis: pane, yaxis: pane, zaxis: pane },
        legend: { bgcolor: "rgba(0,0,0,0)" },
        hoverlabel: { font: { family: style.fontFamily } },
      },
    },
  };
}

/** @satisfies {ThisType<Transcript>} */
export const figures = {
  /** @param {Whole<"figure">} part */
  figureElement({ data, text }) {
    const box = make("div", "ws-turn-figure", {
      role: "figure",
      "aria-label": text || this.words.figure,
      "data-testid": "figure",
    });
    const el = Object.assign(box, { figure: data });
    el.style.height = `${data.height ?? HEIGHT}px`;
    this.figureObserver ??= new ResizeObserver((entries) => {
      for (const { target } of entries) this.fitFigure(/** @type {FigureElement} */ (target));
    });
    this.figureObserver.observe(el);
    this.themeObserver ??= this.watchTheme();
    return el;
  },

  /**
   * Draws a figure when it is on the page, and removes the drawing with its turn: it has listeners and graphics memory.
   * @param {FigureElement} el
   */
  async fitFigure(el) {
    const isShown = el.isConnected && el.clientWidth > 0;
    if (isShown && el.plot) {
      (await loadPlotly()).Plots.resize(el.plot).catch(() => {});
    } else if (isShown) {
      this.drawFigure(el);
    } else if (el.plot && !el.isConnected) {
      const { plot } = el;
      el.plot = null;
      (await loadPlotly()).purge(plot);
      plot.remove();
    }
  },

  /** @param {FigureElement} el */
  async drawFigure(el) {
    const { figure } = el;
    if (el.isDrawing || el.matches(".ws-turn-figure-failed")) return;
    el.isDrawing = true;
    const plot = make("div", "ws-turn-figure-plot");
    try {
      const Plotly = await loadPlotly();
      if (!el.isConnected) return;
      el.replaceChildren(plot);
      // Plotly changes what it is given
      const { data, layout } = structuredClone({ data: figure.data, layout: figure.layout });
      await Plotly.newPlot(plot, data, layoutOf(el, layout), {
        displaylogo: false,
        showTips: false,
        displayModeBar: isTouch() ? false : "hover",
        modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
        showEditInChartStudio: false,
        plotlyServerURL: "",
      });
      el.plot = plot;
    } catch {
      // its turn may have left the page meanwhile: then it is drawn when it comes back
      if (el.isConnected && el.hasFailed) this.failFigure(el);
      el.hasFailed = el.isConnected;
    } finally {
      el.isDrawing = false;
    }
    if (el.isConnected && el.hasFailed && !el.plot) this.drawFigure(el);
  },

  /** @param {HTMLElement} el */
  failFigure(el) {
    this.figureObserver?.unobserve(el);
    el.style.height = "";
    el.classList.add("ws-turn-figure-failed");
    const note = make("div", "ws-turn-grid-note");
    note.textContent = this.words.figure_failed;
    const name = make("div", "", { dir: "auto" });
    name.textContent = el.getAttribute("aria-label");
    el.replaceChildren(name, note);
  },

  watchTheme() {
    const observer = new MutationObserver(() => this.recolorFigures());
    observer.observe(document.body, { attributeFilter: ["class"] });
    return observer;
  },

  async recolorFigures() {
    const isDark = document.body.classList.contains("body--dark");
    if (isDark === this.wasDark) return;
    this.wasDark = isDark;
    const Plotly = await loadPlotly();
    const all = /** @type {NodeListOf<FigureElement>} */ (
      this.$el.querySelectorAll(".ws-turn-figure")
    );
    for (const el of all) {
      if (!el.plot) continue;
      const { data, layout } = structuredClone({ data: el.figure.data, layout: el.figure.layout });
      Plotly.react(el.plot, data, layoutOf(el, layout)).catch(() => {});
    }
  },
};
