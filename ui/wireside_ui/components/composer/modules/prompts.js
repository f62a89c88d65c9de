// @ts-check
// Prompts and models in the message box: "/" and "@" open a list, which typing filters; the variables of a prompt
// are asked for in a small form.
import { h } from "vue";
import { icon } from "wireside-kit/icons.js";
import { isComposing } from "wireside-kit/keyboard.js";
import { filled, firstLine, loadPrompts, saved, variables } from "wireside-kit/saved.js";

const MAX_SHOWN = 50;
const LIST = "ws-composer-prompts";

/** @satisfies {ThisType<Composer>} */
export const prompts = {
  /**
   * The entries whose labels have the text after the sign, those that begin with it first; null while the text is
   * no command.
   * @returns {Suggestion[] | null}
   */
  suggested() {
    const [sign] = this.text;
    if ((sign !== "/" && sign !== "@") || this.text === this.promptsLeft || this.editing)
      return null;
    const wanted = this.text.slice(1).toLocaleLowerCase();
    if (wanted.includes("\n")) return null;
    const all = sign === "/" ? this.promptEntries() : this.modelEntries();
    const found = all.filter((one) => one.label.toLocaleLowerCase().includes(wanted));
    if (!found.length && (wanted || sign === "@")) return null;
    /** @param {Suggestion} one */
    const rank = (one) => Number(!one.label.toLocaleLowerCase().startsWith(wanted));
    const shown = found.sort((a, b) => rank(a) - rank(b)).slice(0, MAX_SHOWN);
    const more = { key: "", label: this.words.manage_prompts, line: "", run: this.managePrompts };
    return sign === "/" ? [...shown, more] : shown;
  },

  /** @returns {Suggestion[]} */
  promptEntries() {
    return saved.prompts.map((prompt) => ({
      key: prompt.id,
      label: prompt.name,
      line: firstLine(prompt.text),
      run: () => {
        this.setText(""); // what was typed is the command
        this.takePrompt(prompt);
      },
    }));
  },

  // Called when the text has changed.
  lookForPrompts() {
    this.promptAt = 0;
    if (this.text === "/") loadPrompts(this.base);
    else if (!/^[/@]/.test(this.text)) this.promptsLeft = "";
  },

  /** The attributes of the box while the list is open. */
  promptAttributes() {
    if (!this.promptList) return {};
    return {
      "aria-controls": LIST,
      "aria-autocomplete": "list",
      "aria-activedescendant": `${LIST}-${this.promptAt}`,
    };
  },

  promptMenu() {
    const w = this.words;
    const rows = this.promptList;
    if (!rows) return null;
    return h(
      "ul",
      {
        id: LIST,
        class: "ws-menu ws-composer-prompts",
        role: "listbox",
        "aria-label": this.text.startsWith("@") ? w.ask_once : w.prompts,
        "data-testid": "prompts",
      },
      rows.map((row, at) =>
        h(
          "li",
          {
            key: row.key,
            id: `${LIST}-${at}`,
            role: "option",
            "aria-selected": String(at === this.promptAt),
            class: row.key ? null : "ws-composer-prompts-more",
            onMousedown: (/** @type {MouseEvent} */ e) => e.preventDefault(), // the box keeps the focus
            onClick: row.run,
          },
          [
            h("span", { dir: "auto" }, row.label),
            row.line ? h("small", { dir: "auto" }, row.line) : null,
          ],
        ),
      ),
    );
  },

  /**
   * Returns whether the list has handled the key.
   * @param {KeyboardEvent} e
   */
  onPromptKey(e) {
    const found = this.promptList;
    if (!found || isComposing(e) || e.ctrlKey || e.metaKey || e.altKey) return false;
    const count = found.length;
    if (e.key === "ArrowDown") this.promptAt = (this.promptAt + 1) % count;
    else if (e.key === "ArrowUp") this.promptAt = (this.promptAt + count - 1) % count;
    else if (e.key === "Escape") this.promptsLeft = this.text;
    else if ((e.key === "Enter" || e.key === "Tab") && !e.shiftKey) found[this.promptAt].run();
    else return false;
    e.preventDefault();
    this.$nextTick(() =>
      document.getElementById(`${LIST}-${this.promptAt}`)?.scrollIntoView({ block: "nearest" }),
    );
    return true;
  },

  managePrompts() {
    this.setText("");
    window.dispatchEvent(new CustomEvent("wireside:library", { detail: { kind: "prompts" } }));
  },

  /** @param {CustomEvent<Prompt>} e */
  onPrompt(e) {
    if (!this.isReader) this.takePrompt(e.detail);
  },

  /** @param {Prompt} prompt */
  takePrompt(prompt) {
    const names = variables(prompt.text);
    if (!names.length) return this.insertPrompt(prompt.text);
    this.filling = { prompt, values: Object.fromEntries(names.map((name) => [name, ""])) };
  },

  /** @param {string} text */
  insertPrompt(text) {
    this.filling = null;
    const before = this.text.trimEnd();
    this.setText(before ? `${before}\n${text}` : text);
    this.$nextTick(() => {
      this.$refs.box.focus();
      this.$refs.box.setSelectionRange(this.text.length, this.text.length);
    });
  },

  // The form for the variables of a prompt.
  promptForm() {
    const w = this.words;
    const { filling } = this;
    if (!filling) return null;
    const { prompt, values } = filling;
    const insert = () => this.insertPrompt(filled(prompt.text, values));
    const leave = () => {
      this.filling = null;
      this.$refs.box.focus();
    };
    /** @param {KeyboardEvent} e */
    const onKey = (e) => {
      if (isComposing(e)) return;
      if (e.key === "Escape") leave();
      else if (e.key === "Enter" && e.target instanceof HTMLInputElement) insert();
      else return;
      e.preventDefault(); // does not send the question, or stop an answer
      e.stopPropagation();
    };
    return h(
      "div",
      {
        class: "ws-menu ws-panel ws-composer-filling",
        role: "dialog",
        "aria-label": prompt.name,
        "data-testid": "prompt-form",
        onKeydown: onKey,
      },
      [
        h("strong", { dir: "auto" }, prompt.name),
        ...Object.keys(values).map((name, at) =>
          h("label", { key: name }, [
            h("span", { dir: "auto" }, name),
            h("input", {
              value: values[name],
              dir: "auto",
              autocomplete: "off",
              onVnodeMounted: at ? undefined : (node) => node.el.focus(),
              onInput: (e) => (values[name] = e.target.value),
            }),
          ]),
        ),
        h("div", { class: "ws-composer-panel-foot" }, [
          h("button", { type: "button", class: "ws-button", onClick: leave }, w.cancel),
          h("button", { type: "button", class: "ws-button ws-strong", onClick: insert }, w.insert),
        ]),
      ],
    );
  },

  promptButton() {
    const w = this.words;
    if (this.isReader) return null;
    const open = () => {
      if (!this.text.trim()) {
        this.promptsLeft = "";
        this.setText("/");
        this.$refs.box.focus();
      } else
        window.dispatchEvent(new CustomEvent("wireside:library", { detail: { kind: "prompts" } }));
    };
    return h(
      "button",
      {
        type: "button",
        class: "ws-tool",
        "data-testid": "open-prompts",
        "aria-label": w.prompts,
        title: `${w.prompts} (/)`,
        onClick: open,
      },
      icon("prompt"),
    );
  },
};
