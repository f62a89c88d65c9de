// @ts-check
// The library: a dialog with the user's prompts, or presets, and a form for one of them.
import { h } from "vue";
import { showDialog } from "wireside-kit/dialogs.js";
import { icon } from "wireside-kit/icons.js";
import { ask, explain, loadPresets, loadPrompts, saved } from "wireside-kit/saved.js";
import { numberOf } from "wireside-kit/model_settings.js";
import { form } from "wireside-library/item_form.js";
import { list } from "wireside-library/items.js";

export default /** @satisfies {ComponentOptions<LibraryDialog>} */ ({
  props: { base: String, words: Object, canShare: Boolean, isReader: Boolean },
  data: () => ({
    kind: "prompts",
    form: null,
    before: "",
    leaving: "",
    removing: "",
    problem: "",
    note: "",
    isBusy: false,
  }),
  computed: {
    isPresets() {
      return this.kind === "presets";
    },
    items() {
      return this.isPresets ? saved.presets : saved.prompts;
    },
    isChanged() {
      return Boolean(this.form) && JSON.stringify(this.form) !== this.before;
    },
    // The sentence for a number of the form that is out of its range.
    invalid() {
      if (!this.form || !this.isPresets) return "";
      for (const name of /** @type {const} */ (["temperature", "max_tokens"]))
        if (Number.isNaN(numberOf(name, this.form[name]))) return this.words["invalid_" + name];
      return "";
    },
  },
  mounted() {
    window.addEventListener("wireside:library", this.show);
    window.addEventListener("wireside:move", this.onMove);
  },
  unmounted() {
    window.removeEventListener("wireside:library", this.show);
    window.removeEventListener("wireside:move", this.onMove);
  },
  render() {
    const w = this.words;
    const title = this.form ? this.formTitle() : this.isPresets ? w.presets : w.prompts;
    /** @param {MouseEvent} e */
    const outside = (e) => e.target === this.$refs.dialog && !this.form && this.close();
    /** @param {Event} e */
    const cancel = (e) => this.form && (e.preventDefault(), this.leave("list"));
    return h(
      "dialog",
      {
        ref: "dialog",
        class: "ws-kit-dialog ws-library",
        "aria-labelledby": "ws-library-title",
        "data-testid": "library",
        onClick: outside,
        onCancel: cancel,
      },
      [
        h("div", { class: "ws-library-head" }, [
          h("h2", { id: "ws-library-title" }, title),
          h(
            "button",
            {
              type: "button",
              class: "ws-tool",
              "aria-label": w.close,
              title: w.close,
              onClick: () => this.leave("close"),
            },
            icon("close"),
          ),
        ]),
        this.problem
          ? h("p", { class: "ws-library-problem", role: "alert" }, this.problem)
          : h("p", { class: "ws-library-note", role: "status" }, this.note),
        this.form ? this.formBody() : this.listBody(),
      ],
    );
  },
  methods: {
    ...list,
    ...form,

    /** @param {CustomEvent<LibraryRequest>} e */
    show(e) {
      if (this.isChanged) return showDialog(this.$refs.dialog); // the browser has closed it before it was saved
      const { kind, options } = e.detail;
      this.kind = kind;
      this.form = null;
      this.problem = this.note = this.removing = "";
      showDialog(this.$refs.dialog);
      if (options) this.startForm(null, options);
      this.load();
    },
    // Asks once before a changed form is lost.
    /** @param {"list" | "close"} to */
    leave(to) {
      if (this.isChanged && !this.leaving) this.leaving = to;
      else to === "close" ? this.close() : this.leaveForm();
    },
    close() {
      this.form = null;
      this.$refs.dialog.close();
    },
    // The page is going to be loaded again, which would end the form.
    /** @param {CustomEvent} e */
    onMove(e) {
      if (this.form) e.preventDefault();
    },
    async load() {
      const problem = await (this.isPresets ? loadPresets(this.base) : loadPrompts(this.base));
      if (problem) this.problem = explain(problem, this.words);
    },
    /**
     * @param {string} address below the kind's own
     * @param {string} [method]
     * @param {unknown} [body]
     */
    async send(address, method, body) {
      if (this.isBusy) return { data: null, problem: null };
      this.isBusy = true;
      this.problem = this.note = "";
      const answer = await ask(`${this.base}/api/${this.kind}${address}`, method, body);
      this.isBusy = false;
      if (answer.problem) this.problem = explain(answer.problem, this.words);
      return answer;
    },
  },
});
