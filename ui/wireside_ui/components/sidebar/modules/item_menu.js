// @ts-check
// The menu of a conversation, and the box that renames it.
import { h } from "vue";
import { icon } from "wireside-kit/icons.js";
import { isComposing } from "wireside-kit/keyboard.js";
import { menuPosition } from "wireside-kit/menu.js";

const GAP = 8; // px between a menu and the edge of the sidebar

// The browser's time zone, for files that show times. An unknown one is omitted: the server then uses UTC.
function zoneQuery() {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return zone && zone !== "Etc/Unknown" ? `&tz=${encodeURIComponent(zone)}` : "";
}

/** @satisfies {ThisType<Sidebar>} */
export const itemMenu = {
  /** @param {Item} item */
  rename(item) {
    this.renaming = item.id;
    this.draft = item.title;
  },

  /** @param {Item} item */
  renameBox(item) {
    /** @param {boolean} keeps */
    const done = (keeps) => {
      if (this.renaming !== item.id) return;
      const title = this.draft.replace(/\s+/g, " ").trim();
      this.renaming = "";
      if (keeps && title && title !== item.title) {
        this.items.set(item.id, { ...item, title });
        this.$emit("rename", { id: item.id, title });
      }
    };
    /** @param {boolean} keeps */
    const leave = (keeps) => {
      done(keeps);
      this.$nextTick(() => this.linkOf(item.id)?.focus());
    };
    return h("input", {
      class: "ws-sidebar-item-rename",
      value: this.draft,
      maxlength: 200,
      dir: "auto",
      "aria-label": this.words.rename,
      "data-testid": "rename",
      onVnodeMounted: (node) => (node.el.focus(), node.el.select()),
      onInput: (e) => (this.draft = e.target.value),
      onKeydown: (e) => {
        if (isComposing(e)) return;
        if (e.key === "Enter") leave(true);
        else if (e.key === "Escape") (e.preventDefault(), leave(false));
      },
      onBlur: () => done(true),
    });
  },

  /**
   * For controls that change data: omitted for read-only users.
   * @param {() => (import("vue").VNode | null)[]} make
   */
  unlessReader(make) {
    return this.isReader ? [] : make();
  },

  // Rendered outside the list, which would clip it at its end.
  itemMenu() {
    const w = this.words;
    const item = this.menuItem ?? this.items.get(this.menu);
    if (!item) return null;
    /**
     * @param {IconName} name
     * @param {string} testid
     * @param {string} label
     * @param {() => void} run
     */
    const act = (name, testid, label, run) =>
      h(
        "button",
        {
          type: "button",
          role: "menuitem",
          tabindex: -1,
          "data-testid": `menu-${testid}`,
          onClick: () => (this.closeMenu(), run()),
        },
        [icon(name), h("span", label)],
      );
    const isApart = this.menuItem !== null;
    const rename = () =>
      isApart ? window.dispatchEvent(new CustomEvent("wireside:rename")) : this.rename(item);
    /** @param {() => (import("vue").VNode | null)[]} make */
    const ofOwner = (make) => (item.owner ? [] : this.unlessReader(make));
    return h(
      "div",
      {
        class: ["ws-menu ws-sidebar-item-menu", this.menuItem && "ws-sidebar-item-menu-apart"],
        role: "menu",
        "aria-label": item.title || w.untitled,
        style: this.menuItem ? undefined : { top: `${this.menuTop}px` },
        onKeydown: this.onMenuKey,
        onVnodeMounted: (node) => this.placeMenu(node.el),
      },
      this.isExporting
        ? this.exportEntries(item)
        : [
            ...ofOwner(() => [
              act("edit", "rename", w.rename, () => rename()),
              act("pin", "pin", item.pin ? w.unpin : w.pin, () => this.pin([item.id], !item.pin)),
              act("folder", "move", w.move_to_folder, () => this.chooseFolder([item.id], item)),
              act("tag", "tag", w.edit_tags, () => this.chooseTags([item.id], item)),
              act("archive", "archive", item.archived ? w.unarchive : w.archive, () =>
                this.archive([item.id], !item.archived),
              ),
            ]),
            isApart
              ? act("search", "find", w.find, () =>
                  window.dispatchEvent(new CustomEvent("wireside:find")),
                )
              : item.owner
                ? null
                : act("check", "select", w.select, () => this.select(item.id)),
            ...this.unlessReader(() => [
              act("copy", "duplicate", w.duplicate, () => this.$emit("duplicate", { id: item.id })),
            ]),
            ...ofOwner(() => [
              act("tune", "preset", w.use_as_preset, () => this.$emit("preset", { id: item.id })),
            ]),
            this.exportEntry(),
            this.sharing && !item.owner
              ? act("link", "share", w.share, () => this.share(item))
              : null,
            ...ofOwner(() => [
              act("trash", "delete", w.delete, () => this.remove([item.id], [item])),
            ]),
          ],
    );
  },

  // Opens the formats in place of the other entries: three files of one conversation are one idea.
  exportEntry() {
    return h(
      "button",
      {
        type: "button",
        role: "menuitem",
        tabindex: -1,
        "data-testid": "menu-export",
        onClick: () => this.showFormats(true),
      },
      [icon("download"), h("span", this.words.export)],
    );
  },

  /** @param {Item} item */
  exportEntries(item) {
    const w = this.words;
    const zone = zoneQuery();
    /** @param {string} format */
    const file = (format) =>
      h(
        "a",
        {
          role: "menuitem",
          tabindex: -1,
          download: "",
          href: `${this.base}/api/conversations/${item.id}/export?format=${format}${zone}`,
          onClick: () => this.closeMenu(),
        },
        [icon("download"), h("span", w["export_" + format])],
      );
    return [...["markdown", "json", "html"].map(file), this.backEntry()];
  },

  backEntry() {
    return h(
      "button",
      {
        type: "button",
        role: "menuitem",
        tabindex: -1,
        "data-testid": "menu-back",
        onClick: () => this.showFormats(false),
      },
      [icon("back"), h("span", this.words.back)],
    );
  },

  /** @param {boolean} isExporting */
  showFormats(isExporting) {
    this.isExporting = isExporting;
    this.$nextTick(() => {
      const menu = document.querySelector(".ws-sidebar-item-menu");
      const name = isExporting ? "[role=menuitem]" : "[data-testid=menu-export]";
      const entry = /** @type {HTMLElement | null | undefined} */ (menu?.querySelector(name));
      entry?.focus({ preventScroll: true });
    });
  },

  /**
   * @param {{ currentTarget: HTMLElement }} e
   * @param {Item} item
   */
  openMenu(e, item) {
    if (this.menu === item.id) return this.closeMenu();
    this.dropMenu();
    this.menuButton = e.currentTarget.getBoundingClientRect();
    this.menuScrollTop = this.$refs.list.scrollTop;
    this.menu = this.focused = item.id;
  },

  /**
   * Opens the menu below the title in the header.
   * @param {CustomEvent<{ item: Item, button: HTMLElement }>} e
   */
  onHeaderMenu(e) {
    const { item, button } = e.detail;
    if (this.menuItem) return this.closeMenu();
    this.menu = "";
    this.menuButton = button.getBoundingClientRect();
    this.menuOpener = button;
    this.menuItem = item;
  },

  /**
   * Places the menu below the button if there is room, else above it, else where it fits.
   * @param {HTMLElement} menu
   */
  placeMenu(menu) {
    const first = menu.querySelector("[role=menuitem]");
    if (this.menuItem) {
      const { bottom, left } = this.menuButton;
      const right = document.documentElement.clientWidth - menu.offsetWidth - GAP;
      menu.style.top = `${bottom + 4}px`;
      menu.style.left = `${Math.max(GAP, Math.min(left, right))}px`;
      first?.focus({ preventScroll: true });
      return;
    }
    const panel = this.$refs.panel.getBoundingClientRect();
    const room = panel.height - menu.offsetHeight - GAP;
    const below = this.menuButton.bottom - panel.top;
    const above = this.menuButton.top - panel.top - menu.offsetHeight;
    this.menuTop = below <= room ? below : Math.min(Math.max(above, GAP), Math.max(room, GAP));
    menu.style.top = `${this.menuTop}px`;
    first?.focus({ preventScroll: true });
  },

  // Closes the menu; the focus stays where it is.
  dropMenu() {
    this.menu = "";
    this.isExporting = false;
    if (!this.menuItem) return;
    this.menuItem = null;
    window.dispatchEvent(new CustomEvent("wireside:menu-closed"));
  },

  closeMenu() {
    const id = this.menu;
    const isApart = this.menuItem !== null;
    this.dropMenu();
    if (isApart) return this.menuOpener.focus();
    this.$nextTick(() => !this.renaming && this.linkOf(id)?.focus({ preventScroll: true }));
  },

  /** @param {KeyboardEvent & { currentTarget: HTMLElement }} e */
  onMenuKey(e) {
    const options = [...e.currentTarget.querySelectorAll("[role=menuitem]")];
    const at = options.findIndex((option) => option === document.activeElement);
    const to = menuPosition(e.key, at, options.length);
    if (e.key === "Tab") return this.closeMenu();
    if (to === undefined) return;
    e.preventDefault();
    e.stopPropagation();
    options[to].focus();
  },
};
