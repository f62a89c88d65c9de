// @ts-check
// The list of prompts, or of presets, and what can be done with each.
import { h } from "vue";
import { choice } from "wireside-kit/choice.js";
import { icon } from "wireside-kit/icons.js";
import { firstLine, loadPresets, saved } from "wireside-kit/saved.js";

/** @satisfies {ThisType<LibraryDialog>} */
export const list = {
  listBody() {
    const w = this.words;
    const none = this.isPresets ? w.no_presets : w.no_prompts;
    return h("div", { class: "ws-library-body" }, [
      this.items.length
        ? h(
            "ul",
            { class: "ws-library-items", "aria-label": this.isPresets ? w.presets : w.prompts },
            this.items.map(this.libraryItem),
          )
        : h("p", { class: "ws-library-empty" }, none),
      this.isReader ? null : this.listFoot(),
    ]);
  },

  /** @param {Prompt | Preset} item */
  libraryItem(item) {
    const w = this.words;
    const isDefault = this.isPresets && saved.defaultPreset === item.id;
    return h("li", { key: item.id, class: "ws-library-item", "data-testid": "library-item" }, [
      h(
        this.isReader ? "div" : "button",
        {
          class: "ws-library-use",
          ...(this.isReader ? {} : { type: "button", title: w.use, onClick: () => this.use(item) }),
        },
        [
          h("span", { class: "ws-library-name", dir: "auto" }, item.name),
          item.shared ? h("span", { class: "ws-library-mark" }, w.shared_mark) : null,
          isDefault ? h("span", { class: "ws-library-mark" }, w.is_default) : null,
          h("span", { class: "ws-library-line", dir: "auto" }, this.lineOf(item)),
        ],
      ),
      ...(this.isReader ? [] : [this.isPresets ? this.defaultTool(item, isDefault) : null]),
      ...(item.editable ? this.editTools(item) : []),
    ]);
  },

  /**
   * One line about an item.
   * @param {Prompt | Preset} item
   */
  lineOf(item) {
    if ("text" in item) return firstLine(item.text);
    const model = choice.offered.find((one) => one.id === item.model)?.name ?? item.model;
    return (
      [model, firstLine(item.system ?? "")].filter(Boolean).join(" · ") || this.words.by_default
    );
  },

  /** @param {Prompt | Preset} item */
  use(item) {
    this.close();
    const kind = "text" in item ? "wireside:prompt" : "wireside:preset";
    window.dispatchEvent(new CustomEvent(kind, { detail: item }));
  },

  /**
   * @param {Prompt | Preset} item
   * @param {boolean} isDefault
   */
  defaultTool(item, isDefault) {
    const label = `${this.words.make_default}: ${item.name}`;
    return h(
      "button",
      {
        type: "button",
        class: "ws-tool",
        "aria-pressed": String(isDefault),
        "aria-label": label,
        title: this.words.make_default,
        onClick: () => this.makeDefault(isDefault ? null : item.id),
      },
      icon("pin"),
    );
  },

  /** @param {string | null} id */
  async makeDefault(id) {
    const { problem } = await this.send("/default", "PUT", { preset: id });
    if (problem === null) await loadPresets(this.base);
  },

  /** @param {Prompt | Preset} item */
  editTools(item) {
    const w = this.words;
    if (this.removing === item.id)
      return [
        h(
          "button",
          {
            type: "button",
            class: "ws-button ws-library-remove",
            "data-testid": "library-remove",
            onVnodeMounted: (node) => node.el.focus(),
            onClick: () => this.remove(item),
            onBlur: () => (this.removing = ""),
          },
          w.delete_sure,
        ),
      ];
    return [
      h(
        "button",
        {
          type: "button",
          class: "ws-tool",
          "aria-label": `${w.edit}: ${item.name}`,
          title: w.edit,
          onClick: () => this.startForm(item),
        },
        icon("edit"),
      ),
      h(
        "button",
        {
          type: "button",
          class: "ws-tool",
          "aria-label": `${w.delete}: ${item.name}`,
          title: w.delete,
          onClick: () => (this.removing = item.id),
        },
        icon("trash"),
      ),
    ];
  },

  /** @param {Prompt | Preset} item */
  async remove(item) {
    this.removing = "";
    const { problem } = await this.send(`/${item.id}`, "DELETE");
    if (problem !== null) return;
    await this.load();
    this.$refs.fresh?.focus();
  },

  listFoot() {
    const w = this.words;
    return h("div", { class: "ws-library-foot" }, [
      h(
        "button",
        {
          ref: "fresh",
          type: "button",
          class: "ws-button ws-strong",
          "data-testid": "library-new",
          onClick: () => this.startForm(null),
        },
        this.isPresets ? w.new_preset : w.new_prompt,
      ),
      ...(this.isPresets
        ? []
        : [
            h(
              "button",
              { type: "button", class: "ws-button", onClick: () => this.$refs.file.click() },
              w.prompts_import,
            ),
            h("input", {
              ref: "file",
              type: "file",
              accept: ".json",
              hidden: true,
              "data-testid": "library-file",
              onChange: this.importPrompts,
            }),
            saved.prompts.some((prompt) => prompt.own)
              ? h(
                  "a",
                  {
                    class: "ws-button",
                    download: "prompts.json",
                    href: `${this.base}/api/prompts/export`,
                  },
                  w.prompts_export,
                )
              : null,
          ]),
    ]);
  },

  /** @param {{ target: HTMLInputElement }} e */
  async importPrompts(e) {
    const [file] = e.target.files ?? [];
    if (!file) return;
    const { data } = await this.send("/import", "POST", file);
    e.target.value = "";
    if (!data) return;
    this.note = this.words.prompts_imported.replace("{count}", String(data.imported));
    await this.load();
  },
};
