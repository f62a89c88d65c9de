// @ts-check
// Tags: on the rows of the list, and the dialog that sets those of one conversation or of several.
import { h } from "vue";
import { isComposing } from "wireside-kit/keyboard.js";
import { ask } from "wireside-kit/saved.js";

const MAX_TAGS = 20; // of one conversation
const MAX_TAG_CHARS = 40;
const HAS_KEYBOARD = matchMedia("(hover: hover)").matches; // elsewhere, it would cover the dialog

/** @satisfies {ThisType<Sidebar>} */
export const tags = {
  /**
   * The first tag of a conversation, and how many more it has.
   * @param {Item} item
   */
  rowTags(item) {
    const [first, ...others] = item.tags;
    if (!first) return null;
    const all = item.tags.join(", ");
    return h("span", { class: "ws-sidebar-item-tags", title: all }, [
      h("span", { class: "ws-unseen" }, `${this.words.tags}: ${all}`),
      h(
        "span",
        {
          class: "ws-sidebar-tag",
          dir: "auto",
          "aria-hidden": "true", // by keyboard, the filters have it
          onClick: (e) => {
            if (this.isSelecting || e.ctrlKey || e.metaKey || e.shiftKey) return;
            e.preventDefault();
            e.stopPropagation();
            this.filterByTag(first);
          },
        },
        first,
      ),
      others.length
        ? h("span", { class: "ws-sidebar-tag-more", "aria-hidden": "true" }, `+${others.length}`)
        : null,
    ]);
  },

  /**
   * @param {string[]} ids
   * @param {Item} [known] the conversation, if the list may not have it
   */
  chooseTags(ids, known) {
    const items = known ? [known] : ids.flatMap((id) => this.items.get(id) ?? []);
    this.draft = "";
    this.readTags();
    this.$nextTick(() => (this.tagging = items));
  },

  async readTags() {
    const { data } = await ask(`${this.base}/api/conversations/tags`);
    if (data) this.allTags = data.tags.map((/** @type {{ tag: string }} */ one) => one.tag);
  },

  tagDialog() {
    const w = this.words;
    const items = this.tagging;
    if (!items) return null;
    const names = [...new Set([...this.allTags, ...items.flatMap((item) => item.tags)])];
    names.sort((a, b) => a.localeCompare(b, document.documentElement.lang));
    const typed = this.draft.replace(/\s+/g, " ").trim();
    const isFull = items.some(({ tags }) => tags.length >= MAX_TAGS);
    /** @param {SubmitEvent} e */
    const add = (e) => {
      e.preventDefault();
      if (!typed || isFull) return;
      this.setTag(typed, true);
      this.draft = "";
    };
    /** @param {string} name */
    const row = (name) => {
      const count = items.filter((item) => item.tags.includes(name)).length;
      return h("li", { key: name }, [
        h("label", { class: "ws-sidebar-choice" }, [
          h("input", {
            type: "checkbox",
            checked: count === items.length,
            indeterminate: count > 0 && count < items.length,
            disabled: isFull && count < items.length,
            "data-testid": "tag",
            onChange: (e) => this.setTag(name, e.target.checked),
          }),
          h("span", { dir: "auto" }, name),
        ]),
      ]);
    };
    const title =
      items.length > 1
        ? `${w.tags} · ${w.selected.replace("{count}", String(items.length))}`
        : w.tags;
    return this.dialog("tag-dialog", title, () => (this.tagging = null), [
      names.length
        ? h("ul", { class: "ws-sidebar-choices" }, names.map(row))
        : h("p", { class: "ws-sidebar-dialog-note" }, w.no_tags),
      h("form", { class: "ws-sidebar-name-form", onSubmit: add }, [
        h("label", [
          h("span", w.new_tag),
          h("input", {
            value: this.draft,
            maxlength: MAX_TAG_CHARS,
            dir: "auto",
            autocomplete: "off",
            "data-testid": "tag-name",
            autofocus: HAS_KEYBOARD,
            onInput: (e) => (this.draft = e.target.value),
            onKeydown: (e) => isComposing(e) && e.stopPropagation(),
          }),
        ]),
        h(
          "button",
          { type: "submit", class: "ws-button ws-strong", disabled: !typed || isFull },
          w.add,
        ),
      ]),
    ]);
  },

  /**
   * @param {string} tag
   * @param {boolean} on
   */
  setTag(tag, on) {
    const items = this.tagging ?? [];
    this.tagging = items.map((item) => {
      const others = item.tags.filter((one) => one !== tag);
      const changed = { ...item, tags: on ? [...others, tag] : others };
      if (this.items.has(item.id)) this.put(changed);
      return changed;
    });
    this.$emit("tag", { ids: items.map(({ id }) => id), tag, on });
  },
};
