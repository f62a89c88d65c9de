// @ts-check
// The menu of models. It shows and sets the choice that the composer sends with each question and saves for
// the conversation (`wireside-kit/choice.js`).
import { h } from "vue";
import { choice, currentModel, isChosenModelGone } from "wireside-kit/choice.js";
import { icon } from "wireside-kit/icons.js";
import { isComposing } from "wireside-kit/keyboard.js";
import { modelIcon } from "wireside-kit/model_icon.js";

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
    return { problem: "", isLooking: !this.models.length, open: false, filter: "" };
  },
  computed: {
    offered: () => choice.offered,
    current: () => currentModel(),
    isGone: () => isChosenModelGone(),
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
    const isMenu = this.offered.length > 1 || Boolean(this.problem);
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
            "aria-label": `${w.model}: ${this.label}`,
            title: this.label,
            "aria-busy": String(this.isLooking),
            disabled: !isMenu,
            onClick: this.toggle,
          },
          [
            modelIcon(this.current?.icon),
            this.name(this.label),
            isMenu ? icon("chevron_down") : null,
          ],
        ),
        this.open ? (this.problem ? this.reason() : this.menu()) : null,
      ],
    );
  },
  created() {
    choice.offered = this.models;
  },
  mounted() {
    document.addEventListener("click", this.onOutside);
  },
  unmounted() {
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
            "aria-selected": String(m.id === this.current?.id),
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
            m.id === this.current?.id ? icon("check") : null,
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
        h("ul", { ref: "list", role: "listbox", "aria-label": w.model }, options),
        options.length
          ? null
          : h("p", { class: "ws-picker-none", role: "status" }, w.no_such_model),
      ]);
    },
    toggle() {
      if (this.open) return this.close();
      this.filter = "";
      this.open = true;
      this.$nextTick(() => {
        const selected = this.$refs.list?.querySelector("[aria-selected=true]");
        selected?.scrollIntoView({ block: "nearest" });
        (this.$refs.filter || selected)?.focus({ preventScroll: true });
      });
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
      const items = [...(this.$refs.list?.children ?? [])];
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
        e.target !== this.$refs.button
      ) {
        e.preventDefault();
        this.choose(this.found[Math.max(at, 0)].id);
      }
    },
  },
});
