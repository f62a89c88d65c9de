// @ts-check
// The gauge of the model's context: how much of it the next question uses, and the summary of older messages.
import { h } from "vue";

const RADIUS = 7;
const LENGTH = 2 * Math.PI * RADIUS;

/** @satisfies {ThisType<Composer>} */
export const gauge = {
  /** @param {ContextUse | null} use */
  setContext(use) {
    this.context = use;
    if (!use) this.isGaugeOpen = false;
  },

  /** @param {string} right */
  setRight(right) {
    this.rightNow = right;
  },

  /** @param {boolean} isCompacting */
  setCompacting(isCompacting) {
    this.isCompacting = isCompacting;
  },

  compact() {
    if (this.isCompacting || this.isReader || this.isGuest || !this.context) return;
    this.isCompacting = true;
    this.closeGauge();
    if (this.open) this.closeOptions();
    this.$emit("compact");
  },

  closeGauge() {
    const hadFocus = this.$refs.gauge?.contains(document.activeElement);
    this.isGaugeOpen = false;
    if (hadFocus) this.$refs.gauge.querySelector("button")?.focus();
  },

  /** @param {string} text */
  contextText(text) {
    const use = this.context;
    if (!use) return "";
    const lang = document.documentElement.lang;
    return text
      .replace("{percent}", Math.round(use.share * 100).toLocaleString(lang))
      .replace("{tokens}", use.tokens.toLocaleString(lang))
      .replace("{max_tokens}", use.max_tokens.toLocaleString(lang))
      .replace("{messages}", use.messages.toLocaleString(lang))
      .replace("{max_messages}", use.max_messages.toLocaleString(lang));
  },

  gaugeButton() {
    const use = this.context;
    if (!use) return null;
    const w = this.words;
    const used = this.contextText(w.context_used);
    const filled = Math.min(1, use.share) * LENGTH;
    /** @param {{ relatedTarget: Node | null }} e */
    const leave = (e) => {
      if (e.relatedTarget && !this.$refs.gauge.contains(e.relatedTarget)) this.isGaugeOpen = false;
    };
    const circle = { cx: 10, cy: 10, r: RADIUS, fill: "none", "stroke-width": 2.5 };
    return h(
      "div",
      {
        ref: "gauge",
        class: [
          "ws-composer-options ws-composer-gauge",
          use.is_nearly_full && "ws-composer-gauge-full",
        ],
        onFocusout: leave,
      },
      [
        h(
          "button",
          {
            type: "button",
            class: "ws-tool",
            "data-testid": "context",
            "aria-label": used,
            title: used,
            "aria-haspopup": "dialog",
            "aria-expanded": String(this.isGaugeOpen),
            onClick: () => (this.isGaugeOpen = !this.isGaugeOpen),
          },
          h("svg", { viewBox: "0 0 20 20", width: 20, height: 20, "aria-hidden": "true" }, [
            h("circle", { ...circle, class: "ws-composer-gauge-ring" }),
            h("circle", {
              ...circle,
              class: "ws-composer-gauge-use",
              "stroke-dasharray": `${filled} ${LENGTH}`,
              transform: "rotate(-90 10 10)",
            }),
          ]),
        ),
        this.isGaugeOpen ? this.gaugePanel() : null,
      ],
    );
  },

  gaugePanel() {
    const w = this.words;
    const used = this.contextText(w.context_used);
    return h("div", { class: "ws-menu ws-panel", role: "dialog", "aria-label": used }, [
      h("strong", used),
      h("p", [this.contextText(w.context_tokens), h("br"), this.contextText(w.context_messages)]),
      h("p", { class: "ws-composer-gauge-note" }, w.context_note),
      this.isReader || this.isGuest ? null : this.compactButton(),
    ]);
  },

  // The same in the settings, where the bar of a narrow page has no room for the gauge.
  gaugeLines() {
    if (!this.context || this.context.is_nearly_full) return null;
    return h("div", { class: "ws-composer-gauge-lines", "data-testid": "context-lines" }, [
      h("span", { title: this.contextText(this.words.context_tokens) }, [
        this.contextText(this.words.context_used),
      ]),
      this.isReader ? null : this.compactButton(),
    ]);
  },

  compactButton() {
    return h(
      "button",
      {
        type: "button",
        class: "ws-button",
        "data-testid": "compact",
        disabled: this.isCompacting,
        onClick: this.compact,
      },
      this.isCompacting ? this.words.compacting : this.words.compact,
    );
  },

  // The warning below the box, before messages are left out.
  contextHint() {
    const w = this.words;
    if (this.isCompacting)
      return h(
        "span",
        { class: "ws-composer-hint-calm", "data-testid": "compacting" },
        w.compacting,
      );
    if (!this.context?.is_nearly_full || this.isReader || this.isGuest) return null;
    const text = this.context.leaves_out ? w.context_cut : w.context_warn;
    return h("span", { class: "ws-composer-hint-calm", "data-testid": "context-warning" }, [
      `${text} `,
      h(
        "button",
        { type: "button", class: "ws-composer-hint-button", onClick: this.compact },
        w.compact,
      ),
    ]);
  },
};
