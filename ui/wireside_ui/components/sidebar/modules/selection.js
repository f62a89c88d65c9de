// @ts-check
// Actions on conversations, and the selection of several.
import { h, markRaw } from "vue";
import { icon } from "wireside-kit/icons.js";

const UNDO_MS = 30_000;
const MAX_AT_ONCE = 500; // conversations changed by one action: the server's limit

/** @satisfies {ThisType<Sidebar>} */
export const selection = {
  /**
   * @param {string[]} ids
   * @param {boolean} on
   */
  pin(ids, on) {
    this.$emit("pin", { ids, on });
    this.endSelection();
  },

  /**
   * @param {string[]} ids
   * @param {boolean} on
   */
  archive(ids, on) {
    this.withFocus(ids, () => this.takeOut(ids));
    this.$emit("archive", { ids, on });
    this.endSelection();
  },

  /**
   * @param {string[]} ids
   * @param {Item[]} [known] the conversations, if the list may not have them
   */
  remove(ids, known) {
    const items = known ?? ids.flatMap((id) => this.items.get(id) ?? []);
    this.withFocus(ids, () => this.takeOut(ids));
    this.$emit("delete", { ids });
    window.dispatchEvent(new CustomEvent("wireside:deleted", { detail: ids }));
    this.endSelection();
    const key = ids.join();
    const timer = setTimeout(
      () => (this.deleted = this.deleted.filter((action) => action.key !== key)),
      UNDO_MS,
    );
    this.deleted.push({ key, items: markRaw(items), timer });
  },

  /**
   * After items were removed, focuses the next one in the list.
   * @param {string[]} ids
   * @param {() => void} change
   */
  withFocus(ids, change) {
    const at = this.list.findIndex((item) => item.id === ids[0]);
    change();
    this.$nextTick(() => this.goTo(at));
  },

  undo() {
    const last = this.deleted.pop();
    if (!last) return;
    const { items, timer } = last;
    clearTimeout(timer);
    const ids = items.map((item) => item.id);
    this.$emit("restore", { ids });
    for (const item of items) this.put(item);
    if (ids.length && this.items.has(ids[0]))
      this.goTo(this.list.findIndex((item) => item.id === ids[0]));
  },

  /** @param {string} id */
  select(id, isRange = false) {
    const { selected } = this;
    if (this.scope.kind === "shared") return; // they belong to others
    if (isRange && this.items.has(this.lastSelected)) {
      const places = [this.lastSelected, id].map((one) =>
        this.list.findIndex((item) => item.id === one),
      );
      const [from, to] = places.sort((a, b) => a - b);
      for (const item of this.list.slice(from, to + 1))
        if (selected.size < MAX_AT_ONCE) selected.add(item.id);
    } else if (selected.has(id)) {
      selected.delete(id);
    } else if (selected.size < MAX_AT_ONCE) {
      selected.add(id);
    }
    this.lastSelected = id;
  },

  endSelection() {
    this.selected.clear();
    this.lastSelected = "";
  },

  selectionBar() {
    const w = this.words;
    const ids = [...this.selected];
    /**
     * @param {IconName} name
     * @param {string} testid
     * @param {string} label
     * @param {() => void} run
     */
    const tool = (name, testid, label, run) =>
      h(
        "button",
        {
          type: "button",
          class: "ws-tool",
          "data-testid": `selected-${testid}`,
          "aria-label": label,
          title: label,
          onClick: run,
        },
        icon(name),
      );
    const isPinned = ids.every((id) => this.items.get(id)?.pin);
    const cancel = () => {
      const id = this.tabStop;
      this.endSelection();
      if (id) this.linkOf(id)?.focus({ preventScroll: true });
    };
    return h("div", { class: "ws-sidebar-selection", role: "toolbar", "aria-label": w.select }, [
      h(
        "span",
        { class: "ws-sidebar-count", role: "status" },
        w.selected.replace("{count}", String(ids.length)),
      ),
      tool("close", "cancel", w.cancel, cancel),
      h("div", { class: "ws-sidebar-tools" }, [
        ...this.unlessReader(() => [
          tool("pin", "pin", isPinned ? w.unpin : w.pin, () => this.pin(ids, !isPinned)),
          tool("folder", "move", w.move_to_folder, () => this.chooseFolder(ids)),
          tool("tag", "tag", w.edit_tags, () => this.chooseTags(ids)),
          tool("archive", "archive", this.archived ? w.unarchive : w.archive, () =>
            this.archive(ids, !this.archived),
          ),
        ]),
        h(
          "a",
          {
            class: "ws-tool",
            download: "",
            "data-testid": "selected-export",
            "aria-label": w.export_json,
            title: w.export_json,
            href: `${this.base}/api/conversations/export?ids=${ids.join(",")}`,
          },
          icon("download"),
        ),
        ...this.unlessReader(() => [tool("trash", "delete", w.delete, () => this.remove(ids))]),
      ]),
    ]);
  },
};
