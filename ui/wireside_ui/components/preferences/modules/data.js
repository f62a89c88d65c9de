// @ts-check
// The user's data: export, import and deletion of all conversations.
import { h } from "vue";
import { ask, explain } from "wireside-kit/saved.js";

/** @satisfies {ThisType<Preferences>} */
export const data = {
  exportRow() {
    const w = this.words;
    return h("div", [
      h("div", { class: "ws-kit-row" }, [
        h("span", w.export_all),
        h(
          "a",
          {
            class: "ws-button",
            href: `${this.base}/api/conversations/export`,
            download: "",
            "aria-label": `${w.data_export}: ${w.export_all}`,
            "data-testid": "export-all",
          },
          w.data_export,
        ),
      ]),
      h("p", { class: "ws-preferences-note" }, w.export_all_line),
    ]);
  },

  importRow() {
    const w = this.words;
    return this.button("import-all", w.import_file, w.data_import, () =>
      this.leaveTo("wireside:import"),
    );
  },

  // Deleting takes a word that is typed: a wrong click deletes nothing.
  deleteRow() {
    const w = this.words;
    if (!this.isDeleting)
      return h("div", [
        h("div", { class: "ws-kit-row" }, [
          h("span", w.delete_all),
          h(
            "button",
            {
              ref: "delete",
              type: "button",
              class: "ws-button ws-preferences-danger",
              "aria-label": `${w.delete}: ${w.delete_all}`,
              "data-testid": "delete-all",
              onClick: this.beginDeleting,
            },
            w.delete,
          ),
        ]),
        h("p", { class: "ws-preferences-note", role: "status" }, this.done),
      ]);
    const isTyped = this.typed.trim().toLocaleLowerCase() === w.delete_all_word;
    /** @param {SubmitEvent} e */
    const submit = (e) => {
      e.preventDefault();
      if (isTyped) this.deleteAll();
    };
    return h("form", { class: "ws-preferences-confirm", onSubmit: submit }, [
      h("p", { id: "ws-preferences-sure" }, w.delete_all_line),
      h(
        "label",
        { for: "ws-preferences-word" },
        w.delete_all_type.replace("{word}", w.delete_all_word),
      ),
      h("input", {
        id: "ws-preferences-word",
        ref: "word",
        value: this.typed,
        "aria-describedby": "ws-preferences-sure",
        autocomplete: "off",
        autocapitalize: "off",
        spellcheck: "false",
        maxlength: 40,
        "data-testid": "delete-word",
        onInput: (e) => (this.typed = e.target.value),
        onKeydown: this.onWordKey,
      }),
      h("p", { class: "ws-preferences-problem", role: "alert" }, this.problem),
      h("div", { class: "ws-preferences-buttons" }, [
        h("button", { type: "button", class: "ws-button", onClick: this.endDeleting }, w.cancel),
        h(
          "button",
          {
            class: "ws-button ws-preferences-danger",
            disabled: !isTyped || this.isBusy,
            "data-testid": "delete-all-now",
          },
          w.delete_all,
        ),
      ]),
    ]);
  },

  beginDeleting() {
    this.isDeleting = true;
    this.typed = this.problem = this.done = "";
    this.$nextTick(() => {
      this.$refs.word.form?.scrollIntoView({ block: "nearest" });
      this.$refs.word.focus({ preventScroll: true });
    });
  },

  endDeleting() {
    this.isDeleting = false;
    this.problem = "";
    this.$nextTick(() => this.$refs.delete?.focus());
  },

  // Escape ends the question, not the dialog.
  /** @param {KeyboardEvent} e */
  onWordKey(e) {
    if (e.key !== "Escape") return;
    e.preventDefault();
    e.stopPropagation();
    this.endDeleting();
  },

  async deleteAll() {
    if (this.isBusy) return;
    this.isBusy = true;
    const { problem } = await ask(`${this.base}/api/conversations?all=true`, "DELETE");
    this.isBusy = false;
    if (problem) {
      this.problem = explain(problem, this.words);
      return;
    }
    this.done = this.words.delete_all_done;
    this.endDeleting();
    if (location.pathname.startsWith(`${this.base}/c/`))
      window.dispatchEvent(new CustomEvent("wireside:open", { detail: "" }));
  },
};
