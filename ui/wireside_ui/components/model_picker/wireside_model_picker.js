// @ts-check
// The menu of models. It shows and sets the choice that the composer sends with each question and saves for
// the conversation (`wireside-kit/choice.js`).
import { h } from "vue";
import { choice, currentModel, isChosenModelGone } from "wireside-kit/choice.js";
import { icon } from "wireside-kit/icons.js";
import { isComposing } from "wireside-kit/keyboard.js";
import { modelIcon } from "wireside-kit/model_icon.js";
import { saved } from "wireside-kit/saved.js";

const MAX_COMPARED = 4;
const MANY = 10; // number of models from which on there is a search field

/**
 * Splits "meta-llama/Llama-3.3-70B" into ["meta-llama/", "Llama-3.3-70B"]: many models share the first half.
 * @param {string} name
 */
function parts(name) {
  const at = name.lastIndexOf("/") + 1;
  return at > 0 && at < name.length ? [name.slice(0, at), name.slice(at)] : ["", name];
}

export default /** @satisfies {ComponentOptions<ModelPicker>} */ ({
  props: { models: Array, words: Object },
  emits: ["retry"],
  data() {
    return {
      problem: "",
      isLooking: !this.models.length,
      open: false,
      filter: "",
      isComparing: false,
      compared: [], // the models that are chosen to answer side by side
    };
  },
  computed: {
    offered: () => choice.offered,
    current: () => currentModel(),
    isGone: () => isChosenModelGone(),
    preset: () => choice.preset,
    presets() {
      const wanted = this.filter.trim().toLowerCase();
      return saved.presets.filter((one) => one.name.toLowerCase().includes(wanted));
    },
    found() {
      const wanted = this.filter.trim().toLowerCase();
      return wanted
        ? this.offered.filter((m) => `${m.name} ${m.id}`.toLowerCase().includes(wanted))
        : this.offered;
    },
    label() {
      if (this.current) return this.current.name;
      return this.isLooking ? this.words.loading_models : this.words.no_model;
    },
  },
  render() {
    const w = this.words;
    const isMenu = this.offered.length > 1 || saved.presets.length > 0 || Boolean(this.problem);
    const label = this.preset ? `${this.preset} (${this.label})` : this.label;
    return h(
      "div",
      { class: "ws-menu-anchor ws-picker", onFocusout: this.onLeave, onKeydown: this.onKey },
      [
        h(
          "button",
          {
            ref: "button",
            type: "button",
            class: [
              "ws-text-tool ws-picker-button",
              (this.problem || this.isGone) && "ws-picker-warns",
            ],
            "data-testid": "model-picker",
            "aria-haspopup": this.problem ? "dialog" : isMenu ? "listbox" : undefined,
            "aria-expanded": isMenu ? String(this.open) : undefined,
            "aria-label": `${w.model}: ${label}`,
            title: label,
            "aria-busy": String(this.isLooking),
            disabled: !isMenu,
            onClick: this.toggle,
          },
          [
            modelIcon(this.current?.icon),
            this.preset
              ? h("span", { class: "ws-picker-name", dir: "auto" }, this.preset)
              : this.name(this.label),
            isMenu ? icon("chevron_down") : null,
          ],
        ),
        this.open && this.problem ? this.reason() : null,
        this.open && !this.problem ? (this.isComparing ? this.compareForm() : this.menu()) : null,
      ],
    );
  },
  created() {
    choice.offered = this.models;
  },
  mounted() {
    document.addEventListener("click", this.onOutside);
    window.addEventListener("wireside:compare", this.openCompare);
  },
  unmounted() {
    window.removeEventListener("wireside:compare", this.openCompare);
    document.removeEventListener("click", this.onOutside);
  },
  methods: {
    // ---- called by the server ------------------------------------------------------------------
    /** @param {Model[]} models */
    setModels(models) {
      if (this.problem) this.open = false;
      choice.offered = models;
      this.problem = "";
      this.isLooking = false;
    },
    /** @param {string} sentence */
    setProblem(sentence) {
      this.problem = sentence;
      this.isLooking = false;
    },

    /** @param {string} id */
    choose(id) {
      choice.model = id;
      window.dispatchEvent(new CustomEvent("wireside:model", { detail: id }));
      this.close();
    },
    /** @param {Preset} preset */
    choosePreset(preset) {
      window.dispatchEvent(new CustomEvent("wireside:preset", { detail: preset }));
      this.open = false;
    },
    openCompare() {
      if (this.comparable().length < 2) return;
      this.open = true;
      this.isComparing = true;
      this.compared = [];
      this.$nextTick(() => this.$refs.list?.querySelector("input")?.focus());
    },
    comparable() {
      return this.offered.filter((model) => model.canChat !== false);
    },
    /** @param {SubmitEvent} e */
    compare(e) {
      e.preventDefault();
      if (this.compared.length < 2) return;
      this.open = false;
      window.dispatchEvent(new CustomEvent("wireside:compared", { detail: [...this.compared] }));
    },
    // Two to four models are chosen, which answer the next question side by side.
    compareForm() {
      const w = this.words;
      const isFull = this.compared.length >= MAX_COMPARED;
      /** @param {Model} model */
      const field = (model) => {
        const isChosen = this.compared.includes(model.id);
        return h("label", { key: model.id, class: "ws-picker-compared" }, [
          h("input", {
            type: "checkbox",
            checked: isChosen,
            disabled: isFull && !isChosen,
            onChange: () =>
              (this.compared = isChosen
                ? this.compared.filter((/** @type {string} */ id) => id !== model.id)
                : [...this.compared, model.id]),
          }),
          this.name(model.name),
        ]);
      };
      return h(
        "div",
        {
          class: "ws-menu ws-picker-compare",
          role: "dialog",
          "aria-label": w.compare,
          "data-testid": "compare-form",
        },
        h("form", { onSubmit: this.compare }, [
          h("fieldset", { ref: "list" }, [
            h("legend", w.compare_hint),
            ...this.comparable().map(field),
          ]),
          h(
            "button",
            { type: "submit", class: "ws-button", disabled: this.compared.length < 2 },
            w.use,
          ),
        ]),
      );
    },
    managePresets() {
      this.open = false;
      window.dispatchEvent(new CustomEvent("wireside:library", { detail: { kind: "presets" } }));
    },
    retry() {
      this.isLooking = true;
      this.$emit("retry");
    },

    /** @param {string} text */
    name(text) {
      const [vendor, rest] = parts(text);
      return h(
        "span",
        { class: "ws-picker-name" },
        vendor ? [h("span", { class: "ws-picker-vendor" }, vendor), h("span", rest)] : rest,
      );
    },

    // ---- the menu ------------------------------------------------------------------------------
    reason() {
      const w = this.words;
      return h(
        "div",
        {
          class: "ws-menu ws-panel",
          role: "dialog",
          "aria-label": w.no_model,
          "data-testid": "model-problem",
        },
        [
          h("p", this.problem),
          h(
            "button",
            { type: "button", class: "ws-button", disabled: this.isLooking, onClick: this.retry },
            this.isLooking ? w.loading_models : w.try_again,
          ),
        ],
      );
    },
    menu() {
      const w = this.words;
      const options = this.found.map((m) =>
        h(
          "li",
          {
            key: m.id,
            role: "option",
            tabindex: -1,
            "aria-selected": String(m.id === this.current?.id && !this.preset),
            onClick: () => this.choose(m.id),
          },
          [
            h("span", [
              modelIcon(m.icon),
              this.name(m.name),
              m.canChat === false
                ? h("small", { class: "ws-picker-cannot-chat" }, ` (${w.cannot_chat})`)
                : null,
              m.description ? h("small", { class: "ws-picker-about" }, m.description) : null,
            ]),
            m.id === this.current?.id && !this.preset ? icon("check") : null,
          ],
        ),
      );
      return h("div", { class: "ws-menu" }, [
        this.offered.length >= MANY
          ? h("input", {
              ref: "filter",
              type: "search",
              class: "ws-picker-filter",
              value: this.filter,
              placeholder: w.find_model,
              "aria-label": w.find_model,
              onInput: (e) => (this.filter = e.target.value),
            })
          : null,
        options.length || this.presets.length
          ? h("div", { ref: "list", role: "listbox", "aria-label": w.model }, [
              this.group(w.presets, this.presets.map(this.presetOption)),
              this.group(w.models, options, this.presets.length > 0),
            ])
          : h("p", { class: "ws-picker-none", role: "status" }, w.no_such_model),
        h(
          "button",
          {
            type: "button",
            class: "ws-picker-manage",
            "data-testid": "manage-presets",
            onClick: this.managePresets,
          },
          w.manage_presets,
        ),
        this.comparable().length > 1
          ? h(
              "button",
              {
                type: "button",
                class: "ws-picker-manage",
                "data-testid": "compare-models",
                onClick: (e) => {
                  e.stopPropagation(); // the button is replaced: it would count as outside
                  this.openCompare();
                },
              },
              w.compare,
            )
          : null,
      ]);
    },
    /**
     * @param {string} name
     * @param {import("vue").VNode[]} options
     */
    group(name, options, isNamed = true) {
      if (!options.length) return null;
      const heading = h("div", { class: "ws-picker-group", "aria-hidden": "true" }, name);
      return h("ul", { role: "group", "aria-label": name }, [
        isNamed ? h("li", { role: "presentation" }, heading) : null,
        ...options,
      ]);
    },
    /** @param {Preset} preset */
    presetOption(preset) {
      const isShown = preset.name === this.preset;
      const model = this.offered.find((one) => one.id === preset.model)?.name ?? preset.model;
      return h(
        "li",
        {
          key: preset.id,
          role: "option",
          tabindex: -1,
          "aria-selected": String(isShown),
          onClick: () => this.choosePreset(preset),
        },
        [
          h("span", [
            h("span", { dir: "auto" }, preset.name),
            model ? h("small", { class: "ws-picker-about" }, model) : null,
          ]),
          isShown ? icon("check") : null,
        ],
      );
    },
    toggle() {
      if (this.open) return this.close();
      this.filter = "";
      this.isComparing = false;
      this.open = true;
      this.$nextTick(() => {
        const selected = this.$refs.list?.querySelector("[aria-selected=true]");
        selected?.scrollIntoView({ block: "nearest" });
        (this.$refs.filter || selected || this.options()[0])?.focus({ preventScroll: true });
      });
    },
    /** @returns {HTMLElement[]} */
    options() {
      return [...(this.$refs.list?.querySelectorAll("[role=option]") ?? [])];
    },
    close() {
      const hadFocus = this.$el.contains(document.activeElement);
      this.open = false;
      if (hadFocus) this.$refs.button.focus();
    },
    /** @param {MouseEvent} e */
    onOutside(e) {
      if (this.open && !this.$el.contains(/** @type {Node} */ (e.target))) this.open = false;
    },
    /** @param {{ relatedTarget: Node | null }} e */
    onLeave(e) {
      if (this.open && e.relatedTarget && !this.$el.contains(e.relatedTarget)) this.open = false;
    },
    /** @param {KeyboardEvent} e */
    onKey(e) {
      if (!this.open || isComposing(e)) return;
      const items = this.options();
      const at = items.findIndex((item) => item === document.activeElement);
      /** @param {number} index */
      const goTo = (index) => (
        e.preventDefault(),
        items[(index + items.length) % items.length]?.focus()
      );
      if (e.key === "Escape") {
        e.preventDefault(); // closes the menu and does not stop an answer
        this.close();
      } else if (!items.length) {
        return;
      } else if (e.key === "ArrowDown") {
        goTo(at + 1);
      } else if (e.key === "ArrowUp") {
        goTo(at < 0 ? -1 : at - 1);
      } else if (e.key === "Home" && at >= 0) {
        goTo(0);
      } else if (e.key === "End" && at >= 0) {
        goTo(-1);
      } else if (
        (e.key === "Enter" || (e.key === " " && at >= 0)) &&
        e.target instanceof HTMLElement &&
        (at >= 0 || e.target === this.$refs.filter)
      ) {
        e.preventDefault();
        items[Math.max(at, 0)].click();
      }
    },
  },
});
