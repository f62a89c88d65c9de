// @ts-check
// The dialog in which an answer's text is edited. It stays open until the server has stored the text.
import { showDialog } from "wireside-kit/dialogs.js";
import { make } from "wireside-kit/dom.js";

function newId() {
  const random = crypto.getRandomValues(new Uint8Array(16));
  return [...random].map((b) => b.toString(16).padStart(2, "0")).join("");
}

/** @satisfies {ThisType<Transcript>} */
export const rewriting = {
  /** @param {Row} row */
  async rewrite(row) {
    let original;
    try {
      original = await this.askText(row.data.id);
    } catch {
      return this.notify(this.words.error);
    }
    const dialog = make("dialog", "ws-kit-dialog ws-transcript-rewrite", {
      "aria-label": this.words.edit_answer,
      "data-testid": "rewrite",
    });
    const form = make("form", "", { method: "dialog" });
    const heading = make("h2", "");
    heading.textContent = this.words.edit_answer;
    const field = make("textarea", "", {
      "aria-label": this.words.answer,
      dir: "auto",
      rows: "14",
    });
    field.value = original;
    const note = make("p", "", { role: "status" });
    note.textContent = this.words.edit_answer_note;
    const buttons = make("div", "");
    const cancel = this.button("cancel_rewrite", this.words.cancel);
    const save = this.button("save_rewrite", this.words.save);
    save.type = "submit";
    buttons.append(cancel, save);
    form.append(heading, field, note, buttons);
    dialog.append(form);

    /** @param {string} text */
    const labelCancel = (text) => {
      cancel.textContent = text;
      cancel.setAttribute("aria-label", text);
    };
    let isWarned = false;
    const leave = () => {
      if (field.value === original || isWarned) return dialog.close();
      isWarned = true; // a second time discards the text
      labelCancel(this.words.discard_sure);
    };
    cancel.onclick = leave;
    dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      leave();
    });
    dialog.addEventListener("keydown", (event) => event.stopPropagation());
    dialog.addEventListener("close", () => dialog.remove());
    field.addEventListener("input", () => {
      save.disabled = !field.value.trim();
      isWarned = false;
      labelCancel(this.words.cancel);
    });
    const newTurn = newId(); // the text is stored once, however often it is sent
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (field.value === original) return dialog.close();
      save.disabled = true;
      this.rewrites.set(newTurn, (problem) => {
        save.disabled = false;
        if (problem) note.textContent = problem;
        else dialog.close();
      });
      this.$emit("rewrite", { id: row.data.id, turn: newTurn, text: field.value });
    });
    this.$el.append(dialog);
    showDialog(dialog);
    field.setSelectionRange(0, 0);
    field.focus();
  },

  /**
   * @param {string} turn
   * @param {string} problem "" if the text is stored
   */
  rewritten(turn, problem) {
    this.rewrites.get(turn)?.(problem);
    this.rewrites.delete(turn);
  },
};
