// @ts-check
// The list: conversations in groups; only rows near the visible ones have DOM.
import { h } from "vue";
import { icon } from "wireside-kit/icons.js";
import { NO_FILTERS } from "wireside-sidebar/filters.js";

const NEAR_END = 400; // px from the end at which the next page is requested
export const STEP = 16; // rows by which the window moves; as many are rendered beyond either end of it

/** @satisfies {ThisType<Sidebar>} */
export const list = {
  /**
   * @param {Item[]} items
   * @param {string | null} cursor
   * @param {ListScope} scope
   * @param {boolean} fresh
   */
  show(items, cursor, scope, fresh) {
    if (scope.kind !== this.scope.kind || scope.of !== this.scope.of) return; // the user has switched lists meanwhile
    if (fresh) this.items.clear();
    for (const item of items) this.items.set(item.id, item);
    this.cursor = cursor;
    this.isLoading = false;
    this.problem = "";
    this.$nextTick(this.settle);
  },

  body() {
    const w = this.words;
    const isLoading = this.isSearching ? this.isSearchLoading : this.isLoading;
    return [
      this.isSearching ? null : this.scopeHeading(),
      this.isSearching || this.scope.kind !== "list" ? null : this.sharedLink(),
      this.isSearching || this.scope.kind !== "list" ? null : this.folderSection(),
      h(
        "div",
        {
          ref: "list",
          class: "ws-sidebar-list",
          "data-testid": "conversation-list",
          "aria-busy": String(isLoading),
          onScrollPassive: this.onScroll,
          onKeydown: this.onListKey,
          onFocusin: (e) =>
            e.target.matches(".ws-sidebar-item-link") && (this.focused = e.target.dataset.id ?? ""),
        },
        [
          this.isSearching ? this.results() : this.conversations(),
          this.problem
            ? this.failure()
            : h(
                "p",
                {
                  class: ["ws-sidebar-note", isLoading ? "ws-sidebar-loading" : "ws-unseen"],
                  role: "status",
                },
                isLoading ? w.loading : "",
              ),
        ],
      ),
    ];
  },

  failure() {
    return h("div", { class: "ws-sidebar-note", role: "alert" }, [
      h("p", this.problem),
      h(
        "button",
        { type: "button", class: "ws-button", "data-testid": "sidebar-again", onClick: this.again },
        this.words.try_again,
      ),
    ]);
  },

  again() {
    this.problem = "";
    if (this.isSearching) {
      this.isSearchLoading = true;
      this.search();
    } else {
      this.need(this.items.size ? this.cursor : null);
    }
  },

  // Renders only the rows near the visible ones, and those with the focus, an open menu or a title being edited.
  conversations() {
    const w = this.words;
    if (!this.list.length && !this.cursor && !this.isLoading && !this.problem) {
      return h(
        "p",
        { class: "ws-sidebar-note ws-sidebar-empty" },
        {
          list: w.no_conversations,
          archive: w.no_archived,
          folder: w.folder_empty,
          shared: w.shared_empty,
        }[this.scope.kind],
      );
    }
    const kept = [this.tabStop, this.renaming, this.menu].flatMap(
      (id) => this.items.get(id ?? "") ?? [],
    );
    return this.groups.map(({ key, name, row, items }) => {
      const from = Math.max(0, this.first - row);
      const rows = items
        .slice(from, Math.max(0, this.last - row))
        .map((item, n) => ({ item, at: from + n }));
      for (const item of kept) {
        const at = items.indexOf(item);
        if (at >= 0 && !rows.some((row) => row.at === at)) rows.push({ item, at });
      }
      rows.sort((a, b) => a.at - b.at);
      return h("section", { key, style: { "--ws-rows": items.length } }, [
        h("h2", { class: "ws-sidebar-group", dir: "auto" }, name),
        h(
          "ul",
          { class: "ws-sidebar-items", "aria-label": name },
          rows.map(({ item, at }) => this.item(item, at, items.length)),
        ),
      ]);
    });
  },

  /**
   * @param {Item} item
   * @param {number} at
   * @param {number} count
   */
  item(item, at, count) {
    const w = this.words;
    const isCurrent = item.id === this.current;
    const isSelected = this.selected.has(item.id);
    const name = item.title || w.untitled;
    const tabindex = item.id === this.tabStop ? 0 : -1;
    return h(
      "li",
      {
        key: item.id,
        class: [
          "ws-sidebar-item",
          isCurrent && "ws-sidebar-item-current",
          isSelected && "ws-sidebar-item-selected",
        ],
        style: { "--ws-at": at },
        "aria-posinset": at + 1,
        "aria-setsize": count,
      },
      [
        this.renaming === item.id
          ? this.renameBox(item)
          : h(
              "a",
              {
                class: "ws-sidebar-item-link",
                href: `${this.base}/c/${item.id}`,
                "data-testid": "conversation-item",
                "data-id": item.id,
                tabindex,
                "aria-current": isCurrent ? "page" : undefined,
                title: item.owner
                  ? `${name} — ${w.shared_by.replace("{name}", () => item.owner)}`
                  : name,
                onClick: (e) => this.onItem(e, item),
                onDragstart: (/** @type {DragEvent} */ e) => this.beginDrag(e, item),
                onDragend: () => (this.dropInto = null),
              },
              [
                this.isSelecting
                  ? h(
                      "span",
                      { class: "ws-sidebar-item-box", "aria-hidden": "true" },
                      isSelected ? icon("check") : null,
                    )
                  : null,
                h("span", { class: "ws-sidebar-item-title", dir: "auto" }, name),
                this.isSelecting
                  ? h("span", { class: "ws-unseen" }, isSelected ? w.is_selected : "")
                  : null,
                item.owner
                  ? h("span", { class: "ws-sidebar-item-owner", dir: "auto" }, item.owner)
                  : this.rowTags(item),
                this.mark(item),
              ],
            ),
        h(
          "button",
          {
            type: "button",
            class: "ws-sidebar-item-more",
            tabindex,
            "data-testid": "conversation-menu",
            "aria-label": `${w.more}: ${name}`,
            "aria-haspopup": "menu",
            "aria-expanded": String(this.menu === item.id),
            onClick: (e) => this.openMenu(e, item),
          },
          icon("dots"),
        ),
      ],
    );
  },

  /**
   * What a conversation does: it answers, or waits for an answer of the user.
   * @param {Item} item
   */
  mark(item) {
    const w = this.words;
    const isLive = this.live.has(item.id);
    if (!isLive && !this.asking.has(item.id)) return null;
    const label = isLive ? w.answering : w.asking;
    return h("span", {
      class: isLive ? "ws-sidebar-item-live" : "ws-sidebar-item-asking",
      role: "img",
      "aria-label": label,
      title: label,
    });
  },

  links() {
    return [...this.$refs.list.querySelectorAll(".ws-sidebar-item-link")];
  },

  /** @param {string} id */
  linkOf(id) {
    return this.$refs.list.querySelector(`.ws-sidebar-item-link[data-id="${CSS.escape(id)}"]`);
  },

  /**
   * Focuses the item at a position in the list, which may not be rendered yet.
   * @param {number} at
   */
  goTo(at) {
    const item = this.list[Math.min(Math.max(at, 0), this.list.length - 1)];
    if (!item) return this.$refs.fresh.focus();
    this.focused = item.id;
    this.$nextTick(() => this.linkOf(item.id)?.focus());
  },

  /** @param {KeyboardEvent & { target: HTMLElement }} e */
  onListKey(e) {
    if (!e.target.matches(".ws-sidebar-item-link") || e.ctrlKey || e.metaKey || e.altKey) return;
    if (this.isSearching) return this.onHitKey(e);
    const { id = "" } = e.target.dataset;
    const item = this.items.get(id);
    const at = this.list.findIndex((item) => item.id === id);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: this.list.length - 1 }[e.key];
    const isFixed = this.isReader || Boolean(item?.owner);
    if (to === -1) this.$refs.search.focus();
    else if (to !== undefined) this.goTo(to);
    else if (e.key.toLowerCase() === "m" && !isFixed && item)
      this.chooseFolder(this.isSelecting ? [...this.selected] : [id]);
    else if (e.key.toLowerCase() === "t" && !isFixed && item)
      this.chooseTags(this.isSelecting ? [...this.selected] : [id]);
    else if (e.key === "F2" && !isFixed && item) this.rename(item);
    else if (e.key === "Delete" && !isFixed)
      this.remove(this.isSelecting ? [...this.selected] : [id]);
    else if (e.key === " " && this.isSelecting) this.select(id);
    else return;
    e.preventDefault();
  },

  onScroll() {
    // the event of a scroll that ended before the menu was opened comes after it
    if (this.menu && this.$refs.list.scrollTop !== this.menuScrollTop) this.closeMenu();
    this.settle();
  },

  // Updates what depends on the list's scroll position and length: the window, and whether to request more.
  settle() {
    const list = this.$refs.list;
    if (!list?.clientHeight) return; // the list is not visible
    const row = this.isSearching
      ? 0
      : list.querySelector(".ws-sidebar-item")?.getBoundingClientRect().height;
    if (row) {
      const first = Math.floor(list.scrollTop / row / STEP) * STEP - STEP;
      const last = Math.ceil((list.scrollTop + list.clientHeight) / row / STEP) * STEP + STEP;
      this.first = first;
      this.last = last;
    }
    if (this.problem || list.scrollHeight - list.scrollTop - list.clientHeight > NEAR_END) return;
    if (this.isSearching) {
      if (this.isSearchLoading || !this.hits?.length || !this.hasMoreHits) return;
      this.isSearchLoading = true;
      this.$emit("search", { ...this.hitsOf, cursor: this.hits.at(-1)?.cursor });
    } else if (this.cursor && !this.isLoading) {
      this.need(this.cursor);
    }
  },

  /**
   * Scrolls a row into view if necessary, without focusing it.
   * @param {string} id
   */
  reveal(id) {
    this.focused = id;
    this.$nextTick(() => this.linkOf(id)?.scrollIntoView({ block: "nearest" }));
  },

  /**
   * @param {MouseEvent} e
   * @param {string} detail
   */
  open(e, detail) {
    if (e.button || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return; // the browser handles clicks that open a new tab
    e.preventDefault();
    window.dispatchEvent(new CustomEvent("wireside:open", { detail }));
  },

  /**
   * @param {MouseEvent} e
   * @param {Item} item
   */
  onItem(e, item) {
    const isTab = e.ctrlKey || e.metaKey; // the browser opens the tab
    if (!isTab && (this.isSelecting || e.shiftKey)) {
      e.preventDefault();
      return this.select(item.id, e.shiftKey);
    }
    this.open(e, item.id);
  },

  // Switches between the list and the archive.
  switchArchived() {
    this.showScope(this.archived ? "list" : "archive");
  },

  /**
   * @param {ListScope["kind"]} kind
   * @param {string} [of]
   */
  showScope(kind, of = "") {
    this.scope = { kind, of };
    this.endSelection();
    this.filters = { ...NO_FILTERS };
    this.setQuery("");
    this.listTop = 0;
    this.readAgain();
  },

  // Reads the list from its beginning.
  readAgain() {
    this.items.clear();
    this.cursor = null;
    this.need(null);
  },

  /** @param {string | null} cursor of the page */
  need(cursor) {
    this.isLoading = true;
    this.$emit("need", { cursor, scope: this.scope });
  },
};
