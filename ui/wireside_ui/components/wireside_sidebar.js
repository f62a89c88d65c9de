// The list of conversations: grouped by day, pinned ones on top; search; actions on one conversation or on several.
import { h, markRaw, shallowReactive } from "vue";
import { isComposing } from "wireside-kit";

const ICONS = {
  compose: "M12 5H7a2 2 0 00-2 2v10a2 2 0 002 2h10a2 2 0 002-2v-5M10.500 13.500l.7-2.700 7.500-7.500a1.500 1.500 0 012 2l-7.500 7.500z",
  search: "M4.500 11a6.500 6.500 0 1013 0 6.500 6.500 0 10-13 0M20 20l-4.200-4.200",
  more: "M5 12h.01M12 12h.01M19 12h.01",
  close: "M6 6l12 12M18 6L6 18",
  check: "M5 12.500l4.500 4.500L19 7.500",
  pin: "M9 4h6l-.7 6 3.200 3v2h-11v-2l3.200-3zM12 15v5.500",
  archive: "M4 5h16v4H4zM5.500 9v10h13V9M10 13h4",
  trash: "M5 7h14M10 7V5h4v2M7 7l.8 12.500h8.400L17 7",
  download: "M12 4v10.500M7.500 10.500L12 15l4.500-4.500M5 19.500h14",
  upload: "M12 15V4.500M7.500 8.500L12 4l4.500 4.500M5 19.500h14",
  back: "M14.500 6l-6 6 6 6",
  link: "M10 14a4 4 0 005.700 0l2.800-2.800a4 4 0 00-5.700-5.700L11.500 6.800M14 10a4 4 0 00-5.700 0l-2.800 2.800a4 4 0 005.700 5.700l1.300-1.300",
};
const WIDE = matchMedia("(min-width: 1024px)");
const UNDO_MS = 30_000;
const SAY_MS = 10_000;
const SEARCH_MS = 150;
const MAX_AT_ONCE = 500; // conversations changed by one action: the server's limit
const NEAR_END = 400; // px from the end at which the next page is requested
const STEP = 16; // rows by which the window moves; as many are rendered beyond either end of it
const GAP = 8; // px between a menu and the edge of the sidebar

const icon = (name) =>
  h("svg", { viewBox: "0 0 24 24", width: 20, height: 20, class: ["ws-icon", name === "back" && "ws-side-back"], "aria-hidden": "true" }, h("path", { d: ICONS[name] }));

// The order of the list: pinned ones first, the most recently pinned on top; then by latest activity.
function byPlace(a, b) {
  return b.pin - a.pin || b.at - a.at || (a.id < b.id ? 1 : -1);
}

// Uses the calendar: a day does not always have 24 hours.
function daysAgo(days) {
  const date = new Date();
  date.setHours(0, 0, 0, 0);
  return date.setDate(date.getDate() - days);
}

// The browser's time zone, for files that show times. An unknown one is omitted: the server then uses UTC.
function zoneQuery() {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return zone && zone !== "Etc/Unknown" ? `&tz=${encodeURIComponent(zone)}` : "";
}

export default {
  props: { base: String, words: Object, begin: Object, account: Object, sharing: String, isReader: Boolean },
  emits: ["need", "search", "rename", "pin", "archive", "delete", "restore"],
  data() {
    return {
      items: shallowReactive(new Map(this.begin.items.map((item) => [item.id, item]))),
      cursor: this.begin.cursor,
      current: this.begin.current,
      live: new Set(this.begin.live),
      archived: false, // whether the list shows archived conversations
      isLoading: false,
      problem: "",
      query: "",
      hits: null, // null: no results yet
      hitsOf: "", // the query of these results
      hasMoreHits: false,
      isSearchLoading: false,
      selected: new Set(),
      lastSelected: "",
      first: 0, // the window: index of the first rendered row
      last: 5 * STEP,
      focused: "", // id of the conversation that the Tab key reaches
      menu: "", // id of the conversation whose menu is open
      menuTop: 0,
      renaming: "",
      draft: "", // the title while it is being edited
      deleted: [], // deletions that can be undone, one entry an action
      toast: "",
      importing: false,
      shared: "", // the link that was just created
      isShareCopied: false,
      isDropping: false,
      isDrawer: !WIDE.matches,
      isDrawerOpen: false,
      today: daysAgo(0),
    };
  },
  computed: {
    list() {
      return [...this.items.values()].sort(byPlace);
    },
    // A heading is as high as an item, so positions in the list are numbers of rows.
    groups() {
      const w = this.words;
      const days = [[this.today, w.today], [daysAgo(1), w.yesterday], [daysAgo(7), w.last_7_days], [daysAgo(30), w.last_30_days]];
      const months = new Intl.DateTimeFormat(document.documentElement.lang, { month: "long", year: "numeric" });
      const groups = [];
      let row = 0;
      for (const item of this.list) {
        const at = item.at * 1000;
        const since = item.pin ? Infinity : days.find(([since]) => at >= since)?.[0];
        const date = since === undefined ? new Date(at) : null;
        const key = since ?? date.getFullYear() * 12 + date.getMonth();
        if (groups.at(-1)?.key !== key) {
          const name = date ? months.format(date) : item.pin ? w.pinned : days.find((day) => day[0] === since)[1];
          groups.push({ key, name, row, items: [] });
          row++;
        }
        groups.at(-1).items.push(item);
        row++;
      }
      return groups;
    },
    // A single Tab stop, not one for each conversation: the arrow keys move on from there.
    tabStop() {
      return [this.focused, this.current].find((id) => this.items.has(id)) ?? this.list[0]?.id;
    },
    isSelecting() {
      return this.selected.size > 0;
    },
    isSearching() {
      return Boolean(this.query.trim());
    },
  },
  watch: {
    list() {
      this.$nextTick(this.settle);
    },
  },
  mounted() {
    window.addEventListener("wireside:sidebar", this.toggle);
    window.addEventListener("wireside:open", this.closeDrawer);
    window.addEventListener("popstate", this.closeDrawer);
    document.addEventListener("keydown", this.onPageKey);
    document.addEventListener("click", this.onOutside);
    WIDE.addEventListener("change", this.onWidth);
    if (history.state?.drawer) history.replaceState({ ...history.state, drawer: undefined }, ""); // the reload has closed the drawer
    this.clock = setInterval(() => (this.today = daysAgo(0)), 60_000);
    this.sizes = new ResizeObserver(this.settle);
    this.sizes.observe(this.$refs.list);
    if (this.items.has(this.current)) this.reveal(this.current);
  },
  unmounted() {
    window.removeEventListener("wireside:sidebar", this.toggle);
    window.removeEventListener("wireside:open", this.closeDrawer);
    window.removeEventListener("popstate", this.closeDrawer);
    document.removeEventListener("keydown", this.onPageKey);
    document.removeEventListener("click", this.onOutside);
    WIDE.removeEventListener("change", this.onWidth);
    this.sizes.disconnect();
    clearInterval(this.clock);
    this.isDrawerOpen = false; // its history entry disappears with the page
    clearTimeout(this.searching);
    clearTimeout(this.toasting);
    for (const action of this.deleted) clearTimeout(action.timer);
    this.closeDrawer();
  },
  // Remembers the focused row: moving a row within the list removes its focus.
  beforeUpdate() {
    this.focusedLink = document.activeElement?.closest?.(".ws-sidebar .ws-item-link")?.dataset.id;
  },
  updated() {
    if (this.focusedLink && document.activeElement === document.body) this.linkOf(this.focusedLink)?.focus({ preventScroll: true });
  },
  render() {
    const w = this.words;
    const dialog = this.isDrawerOpen ? { role: "dialog", "aria-modal": "true", "aria-label": w.conversations } : {};
    return h("div", { class: ["ws-side", this.isDrawerOpen && "ws-side-open"], ...dialog, onKeydown: this.onTrap }, [
      h("div", { class: "ws-scrim", "data-testid": "sidebar-scrim", onClick: this.closeDrawer }),
      h(
        "nav",
        {
          ref: "panel",
          class: ["ws-sidebar", this.isDropping && "ws-sidebar-dropping"],
          "aria-label": w.conversations,
          inert: this.isDrawer && !this.isDrawerOpen,
          onDragover: this.onDrag,
          onDragleave: (e) => e.currentTarget.contains(e.relatedTarget) || (this.isDropping = false),
          onDrop: this.onDrop,
        },
        [this.top(), this.body(), this.toastBar(), this.isSelecting ? this.selectionBar() : this.bottom(), this.itemMenu()],
      ),
    ]);
  },
  methods: {
    // ---- called by the server ------------------------------------------------------------------
    show(items, cursor, archived, fresh) {
      if (archived !== this.archived) return; // the user has switched lists meanwhile
      if (fresh) this.items.clear();
      for (const item of items) this.items.set(item.id, item);
      this.cursor = cursor;
      this.isLoading = false;
      this.problem = "";
      this.$nextTick(this.settle);
    },
    showHits(query, hits, fresh) {
      if (query !== this.query.trim()) return;
      this.hits = markRaw(fresh ? hits : [...(this.hits || []), ...hits]);
      this.hitsOf = query;
      this.hasMoreHits = hits.length > 0;
      this.isSearchLoading = false;
      this.problem = "";
      this.$nextTick(this.settle);
    },
    fail(sentence) {
      this.problem = sentence;
      this.isLoading = this.isSearchLoading = false;
    },
    put(item) {
      if (item.archived !== this.archived) return this.takeOut([item.id]);
      this.items.set(item.id, item);
    },
    takeOut(ids) {
      for (const id of ids) {
        this.items.delete(id);
        this.selected.delete(id);
      }
    },
    setLive(ids) {
      this.live = new Set(ids);
    },
    setCurrent(id) {
      this.current = id;
    },

    // ---- opening and closing the sidebar -------------------------------------------------------
    toggle() {
      if (this.isDrawer) return this.isDrawerOpen ? this.closeDrawer() : this.openDrawer();
      const hadFocus = this.$el.contains(document.activeElement);
      const isClosed = document.documentElement.classList.toggle("ws-sidebar-closed");
      if (isClosed && hadFocus) document.querySelector('[data-testid="sidebar-toggle"]')?.focus(); // hidden elements can't have the focus
      try {
        localStorage.setItem("wireside.sidebar", isClosed ? "closed" : "open");
      } catch {}
    },
    openDrawer() {
      if (this.isDrawerOpen) return;
      this.opener = document.activeElement;
      this.isDrawerOpen = true;
      history.pushState({ ...history.state, drawer: true }, ""); // Back closes the drawer and does not leave the page
      this.others = [...this.$el.parentElement.children].filter((el) => el !== this.$el && !el.inert);
      for (const el of this.others) el.inert = true;
      this.$nextTick(() => this.$refs.fresh?.focus());
    },
    // Opening a conversation from the drawer replaces the drawer's history entry; otherwise the entry is removed.
    closeDrawer(e) {
      if (!this.isDrawerOpen) return;
      this.isDrawerOpen = false;
      if (e?.type !== "wireside:open" && history.state?.drawer) history.back();
      this.menu = "";
      for (const el of this.others) el.inert = false;
      this.opener?.focus({ preventScroll: true });
    },
    // Keeps the focus within the drawer.
    onTrap(e) {
      if (e.key !== "Tab" || !this.isDrawerOpen || e.defaultPrevented) return;
      const stops = [...this.$refs.panel.querySelectorAll("a[href], button, input")].filter((el) => el.tabIndex >= 0 && !el.disabled && !el.hidden);
      const [from, to] = e.shiftKey ? [stops[0], stops.at(-1)] : [stops.at(-1), stops[0]];
      if (document.activeElement !== from) return;
      e.preventDefault();
      to.focus();
    },
    onWidth() {
      this.closeDrawer();
      this.isDrawer = !WIDE.matches;
    },
    onPageKey(e) {
      const key = e.key.toLowerCase();
      const isCommand = (e.ctrlKey || e.metaKey) && !e.altKey;
      if (isCommand && !e.shiftKey && key === "k") {
        e.preventDefault();
        if (this.isDrawer) this.openDrawer();
        else if (document.documentElement.classList.contains("ws-sidebar-closed")) this.toggle();
        this.$nextTick(() => this.$refs.search.select());
      } else if (isCommand && e.shiftKey && key === "s") {
        e.preventDefault();
        this.toggle();
      } else if (e.key === "Escape" && !e.defaultPrevented) {
        if (this.menu) this.closeMenu();
        else if (this.isSelecting && this.$el.contains(e.target)) this.endSelection();
        else if (this.isDrawerOpen) this.closeDrawer();
        else return;
        e.preventDefault(); // does not stop an answer
      }
    },
    onOutside(e) {
      if (this.menu && !e.target.closest(".ws-item-menu, .ws-item-more")) this.menu = "";
    },

    // ---- the top -------------------------------------------------------------------------------
    top() {
      const w = this.words;
      return h("div", { class: "ws-side-top" }, [
        h(
          "a",
          { ref: "fresh", class: "ws-side-new", href: this.base + "/", "data-testid": "sidebar-new", onClick: (e) => this.open(e, "") },
          [icon("compose"), h("span", w.new_chat)],
        ),
        h("div", { class: "ws-side-search", role: "search" }, [
          icon("search"),
          h("input", {
            ref: "search",
            type: "search",
            value: this.query,
            placeholder: w.search,
            "aria-label": w.key_search,
            maxlength: 200,
            dir: this.query ? "auto" : undefined,
            autocomplete: "off",
            "data-testid": "search",
            onInput: (e) => this.setQuery(e.target.value),
            onKeydown: this.onSearchKey,
          }),
          this.query
            ? h("button", { type: "button", class: "ws-side-clear", "aria-label": w.clear, title: w.clear, onClick: () => this.setQuery("", true) }, icon("close"))
            : null,
        ]),
      ]);
    },
    setQuery(query, focuses = false) {
      if (!this.isSearching) this.listTop = this.$refs.list.scrollTop;
      this.query = query;
      this.problem = "";
      this.menu = "";
      clearTimeout(this.searching);
      if (focuses) this.$refs.search.focus();
      if (!this.isSearching) {
        this.hits = null;
        this.isSearchLoading = false;
        this.$nextTick(() => this.$refs.list.scrollTo(0, this.listTop));
        return;
      }
      this.endSelection();
      this.isSearchLoading = true;
      this.searching = setTimeout(this.search, SEARCH_MS);
    },
    search() {
      this.$refs.list.scrollTo(0, 0);
      this.$emit("search", { query: this.query.trim(), cursor: null });
    },
    onSearchKey(e) {
      if (isComposing(e)) return;
      if (e.key === "Escape" && this.query) {
        e.preventDefault();
        this.setQuery("");
      } else if (e.key === "ArrowDown") {
        e.preventDefault();
        if (this.isSearching) this.links()[0]?.focus();
        else this.goTo(0);
      } else if (e.key === "Enter" && this.hitsOf === this.query.trim()) {
        e.preventDefault();
        this.links()[0]?.click();
      }
    },

    // ---- the list ------------------------------------------------------------------------------
    body() {
      const w = this.words;
      const isLoading = this.isSearching ? this.isSearchLoading : this.isLoading;
      return [
        this.archived && !this.isSearching ? h("p", { class: "ws-side-title" }, w.show_archived) : null,
        h(
          "div",
          {
            ref: "list",
            class: "ws-side-list",
            "data-testid": "conversation-list",
            "aria-busy": String(isLoading),
            onScrollPassive: this.onScroll,
            onKeydown: this.onListKey,
            onFocusin: (e) => e.target.matches(".ws-item-link") && (this.focused = e.target.dataset.id),
          },
          [
            this.isSearching ? this.results() : this.conversations(),
            this.problem ? this.failure() : h("p", { class: ["ws-side-note", isLoading ? "ws-side-loading" : "ws-unseen"], role: "status" }, isLoading ? w.loading : ""),
          ],
        ),
      ];
    },
    failure() {
      return h("div", { class: "ws-side-note", role: "alert" }, [
        h("p", this.problem),
        h("button", { type: "button", class: "ws-button", "data-testid": "sidebar-again", onClick: this.again }, this.words.try_again),
      ]);
    },
    again() {
      this.problem = "";
      if (this.isSearching) {
        this.isSearchLoading = true;
        this.search();
      } else {
        this.isLoading = true;
        this.$emit("need", { cursor: this.items.size ? this.cursor : null, archived: this.archived });
      }
    },
    // Renders only the rows near the visible ones, and those with the focus, an open menu or a title being edited.
    conversations() {
      const w = this.words;
      if (!this.list.length && !this.cursor && !this.isLoading && !this.problem) {
        return h("p", { class: "ws-side-note ws-side-empty" }, this.archived ? w.no_archived : w.no_conversations);
      }
      const kept = [this.tabStop, this.renaming, this.menu].map((id) => this.items.get(id)).filter(Boolean);
      return this.groups.map(({ key, name, row, items }) => {
        const from = Math.max(0, this.first - row);
        const rows = items.slice(from, Math.max(0, this.last - row)).map((item, n) => [item, from + n]);
        for (const item of kept) {
          const at = items.indexOf(item);
          if (at >= 0 && !rows.some((row) => row[1] === at)) rows.push([item, at]);
        }
        rows.sort((a, b) => a[1] - b[1]);
        return h("section", { key, style: { "--ws-rows": items.length } }, [
          h("h2", { class: "ws-side-group", dir: "auto" }, name),
          h(
            "ul",
            { class: "ws-side-items", "aria-label": name },
            rows.map(([item, at]) => this.item(item, at, items.length)),
          ),
        ]);
      });
    },
    item(item, at, count) {
      const w = this.words;
      const isCurrent = item.id === this.current;
      const isSelected = this.selected.has(item.id);
      const name = item.title || w.untitled;
      const tabindex = item.id === this.tabStop ? 0 : -1;
      return h("li", { key: item.id, class: ["ws-item", isCurrent && "ws-item-current", isSelected && "ws-item-selected"], style: { "--ws-at": at }, "aria-posinset": at + 1, "aria-setsize": count }, [
        this.renaming === item.id
          ? this.renameBox(item)
          : h(
              "a",
              {
                class: "ws-item-link",
                href: `${this.base}/c/${item.id}`,
                "data-testid": "conversation-item",
                "data-id": item.id,
                tabindex,
                "aria-current": isCurrent ? "page" : undefined,
                title: name,
                onClick: (e) => this.onItem(e, item),
              },
              [
                this.isSelecting ? h("span", { class: "ws-item-box", "aria-hidden": "true" }, isSelected ? icon("check") : null) : null,
                h("span", { class: "ws-item-title", dir: "auto" }, name),
                this.isSelecting ? h("span", { class: "ws-unseen" }, isSelected ? w.is_selected : "") : null,
                this.live.has(item.id) ? h("span", { class: "ws-item-live", role: "img", "aria-label": w.answering, title: w.answering }) : null,
              ],
            ),
        h(
          "button",
          {
            type: "button",
            class: "ws-item-more",
            tabindex,
            "data-testid": "conversation-menu",
            "aria-label": `${w.more}: ${name}`,
            "aria-haspopup": "menu",
            "aria-expanded": String(this.menu === item.id),
            onClick: (e) => this.openMenu(e, item),
          },
          icon("more"),
        ),
      ]);
    },
    rename(item) {
      this.renaming = item.id;
      this.draft = item.title;
    },
    renameBox(item) {
      const done = (keeps) => {
        if (this.renaming !== item.id) return;
        const title = this.draft.replace(/\s+/g, " ").trim();
        this.renaming = "";
        if (keeps && title && title !== item.title) {
          this.items.set(item.id, { ...item, title });
          this.$emit("rename", { id: item.id, title });
        }
      };
      const leave = (keeps) => {
        done(keeps);
        this.$nextTick(() => this.linkOf(item.id)?.focus());
      };
      return h("input", {
        class: "ws-item-rename",
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
    // For controls that change data: omitted for read-only users.
    unlessReader(make) {
      return this.isReader ? [] : make();
    },
    // Rendered outside the list, which would clip it at its end.
    itemMenu() {
      const w = this.words;
      const item = this.items.get(this.menu);
      if (!item) return null;
      const act = (name, testid, label, run) =>
        h("button", { type: "button", role: "menuitem", tabindex: -1, "data-testid": `menu-${testid}`, onClick: () => (this.closeMenu(), run()) }, [icon(name), h("span", label)]);
      const zone = zoneQuery();
      const file = (format) =>
        h(
          "a",
          { role: "menuitem", tabindex: -1, download: "", href: `${this.base}/api/conversations/${item.id}/export?format=${format}${zone}`, onClick: () => this.closeMenu() },
          [icon("download"), h("span", w["export_" + format])],
        );
      return h(
        "div",
        {
          class: "ws-menu ws-item-menu",
          role: "menu",
          "aria-label": item.title || w.untitled,
          style: { top: `${this.menuTop}px` },
          onKeydown: this.onMenuKey,
          onVnodeMounted: (node) => this.placeMenu(node.el),
        },
        [
          ...this.unlessReader(() => [
            act("compose", "rename", w.rename, () => this.rename(item)),
            act("pin", "pin", item.pin ? w.unpin : w.pin, () => this.pin([item.id], !item.pin)),
            act("archive", "archive", item.archived ? w.unarchive : w.archive, () => this.archive([item.id], !item.archived)),
          ]),
          act("check", "select", w.select, () => this.select(item.id)),
          file("markdown"),
          file("json"),
          file("html"),
          this.sharing ? act("link", "share", w.share, () => this.share(item)) : null,
          ...this.unlessReader(() => [act("trash", "delete", w.delete, () => this.remove([item.id]))]),
        ],
      );
    },
    openMenu(e, item) {
      if (this.menu === item.id) return this.closeMenu();
      this.menuButton = e.currentTarget.getBoundingClientRect();
      this.menu = this.focused = item.id;
    },
    // Places the menu below the button if there is room, else above it, else where it fits.
    placeMenu(menu) {
      const panel = this.$refs.panel.getBoundingClientRect();
      const room = panel.height - menu.offsetHeight - GAP;
      const below = this.menuButton.bottom - panel.top;
      const above = this.menuButton.top - panel.top - menu.offsetHeight;
      this.menuTop = below <= room ? below : Math.min(Math.max(above, GAP), Math.max(room, GAP));
      menu.style.top = `${this.menuTop}px`;
      menu.querySelector("[role=menuitem]").focus({ preventScroll: true });
    },
    closeMenu() {
      const id = this.menu;
      this.menu = "";
      this.$nextTick(() => !this.renaming && this.linkOf(id)?.focus({ preventScroll: true }));
    },
    onMenuKey(e) {
      const options = [...e.currentTarget.querySelectorAll("[role=menuitem]")];
      const at = options.indexOf(document.activeElement);
      const to = { ArrowDown: (at + 1) % options.length, ArrowUp: (at - 1 + options.length) % options.length, Home: 0, End: options.length - 1 }[e.key];
      if (e.key === "Tab") return this.closeMenu();
      if (to === undefined) return;
      e.preventDefault();
      e.stopPropagation();
      options[to].focus();
    },
    links() {
      return [...this.$refs.list.querySelectorAll(".ws-item-link")];
    },
    linkOf(id) {
      return this.$refs.list.querySelector(`.ws-item-link[data-id="${CSS.escape(id)}"]`);
    },
    // Focuses the item at a position in the list, which may not be rendered yet.
    goTo(at) {
      const item = this.list[Math.min(Math.max(at, 0), this.list.length - 1)];
      if (!item) return this.$refs.fresh.focus();
      this.focused = item.id;
      this.$nextTick(() => this.linkOf(item.id)?.focus());
    },
    onListKey(e) {
      if (!e.target.matches(".ws-item-link") || e.ctrlKey || e.metaKey || e.altKey) return;
      if (this.isSearching) return this.onHitKey(e);
      const id = e.target.dataset.id;
      const at = this.list.findIndex((item) => item.id === id);
      const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: this.list.length - 1 }[e.key];
      if (to === -1) this.$refs.search.focus();
      else if (to !== undefined) this.goTo(to);
      else if (e.key === "F2" && !this.isReader) this.rename(this.items.get(id));
      else if (e.key === "Delete" && !this.isReader) this.remove(this.isSelecting ? [...this.selected] : [id]);
      else if (e.key === " " && this.isSelecting) this.select(id);
      else return;
      e.preventDefault();
    },
    onHitKey(e) {
      const links = this.links();
      const at = links.indexOf(e.target);
      const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: links.length - 1 }[e.key];
      if (to === undefined) return;
      e.preventDefault();
      if (to === -1) this.$refs.search.focus();
      else links[to]?.focus();
    },
    onScroll() {
      if (this.menu) this.closeMenu();
      this.settle();
    },
    // Updates what depends on the list's scroll position and length: the window, and whether to request more.
    settle() {
      const list = this.$refs.list;
      if (!list?.clientHeight) return; // the list is not visible
      const row = this.isSearching ? 0 : list.querySelector(".ws-item")?.getBoundingClientRect().height;
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
        this.$emit("search", { query: this.hitsOf, cursor: this.hits.at(-1).cursor });
      } else if (this.cursor && !this.isLoading) {
        this.isLoading = true;
        this.$emit("need", { cursor: this.cursor, archived: this.archived });
      }
    },
    // Scrolls a row into view if necessary, without focusing it.
    reveal(id) {
      this.focused = id;
      this.$nextTick(() => this.linkOf(id)?.scrollIntoView({ block: "nearest" }));
    },

    // ---- opening -------------------------------------------------------------------------------
    open(e, detail) {
      if (e.button || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return; // the browser handles clicks that open a new tab
      e.preventDefault();
      window.dispatchEvent(new CustomEvent("wireside:open", { detail }));
    },
    onItem(e, item) {
      const isTab = e.ctrlKey || e.metaKey; // the browser opens the tab
      if (!isTab && (this.isSelecting || e.shiftKey)) {
        e.preventDefault();
        return this.select(item.id, e.shiftKey);
      }
      this.open(e, item.id);
    },

    // ---- search --------------------------------------------------------------------------------
    results() {
      const w = this.words;
      if (!this.hits) return null;
      if (!this.hits.length) return h("p", { class: "ws-side-note ws-side-empty", role: "status", dir: "auto" }, w.nothing_found.replace("{query}", () => this.hitsOf));
      return h(
        "ul",
        { class: "ws-side-hits", "aria-label": w.search },
        this.hits.map((hit) => {
          const detail = hit.turn ? `${hit.id}?turn=${hit.turn}` : hit.id;
          return h("li", { key: hit.cursor, class: "ws-hit-row" }, [
            h("a", { class: "ws-item-link ws-hit", href: `${this.base}/c/${detail}`, "data-id": hit.id, "data-testid": "search-hit", onClick: (e) => this.open(e, detail) }, [
              h("span", { class: "ws-hit-title", dir: "auto" }, hit.title || w.untitled),
              h(
                "span",
                { class: "ws-hit-text", dir: "auto" },
                hit.snippet.map((piece, n) => (n % 2 ? h("mark", piece) : piece)),
              ),
              h("span", { class: "ws-hit-kind" }, w["in_" + hit.kind]),
            ]),
          ]);
        }),
      );
    },

    // ---- actions -------------------------------------------------------------------------------
    pin(ids, on) {
      this.$emit("pin", { ids, on });
      this.endSelection();
    },
    archive(ids, on) {
      this.withFocus(ids, () => this.takeOut(ids));
      this.$emit("archive", { ids, on });
      this.endSelection();
    },
    remove(ids) {
      const items = ids.map((id) => this.items.get(id)).filter(Boolean);
      this.withFocus(ids, () => this.takeOut(ids));
      this.$emit("delete", { ids });
      window.dispatchEvent(new CustomEvent("wireside:deleted", { detail: ids }));
      this.endSelection();
      const key = ids.join();
      const timer = setTimeout(() => (this.deleted = this.deleted.filter((action) => action.key !== key)), UNDO_MS);
      this.deleted.push({ key, items: markRaw(items), archived: this.archived, timer });
    },
    // After items were removed, focuses the next one in the list.
    withFocus(ids, change) {
      const at = this.list.findIndex((item) => item.id === ids[0]);
      change();
      this.$nextTick(() => this.goTo(at));
    },
    undo() {
      const { items, archived, timer } = this.deleted.pop();
      clearTimeout(timer);
      const ids = items.map((item) => item.id);
      this.$emit("restore", { ids });
      if (archived !== this.archived) return;
      for (const item of items) this.items.set(item.id, item);
      this.goTo(this.list.findIndex((item) => item.id === ids[0]));
    },

    // ---- selecting several ---------------------------------------------------------------------
    select(id, isRange = false) {
      const { selected } = this;
      if (isRange && this.items.has(this.lastSelected)) {
        const places = [this.lastSelected, id].map((one) => this.list.findIndex((item) => item.id === one));
        const [from, to] = places.sort((a, b) => a - b);
        for (const item of this.list.slice(from, to + 1)) if (selected.size < MAX_AT_ONCE) selected.add(item.id);
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
      const tool = (name, testid, label, run) =>
        h("button", { type: "button", class: "ws-tool", "data-testid": `selected-${testid}`, "aria-label": label, title: label, onClick: run }, icon(name));
      const isPinned = ids.every((id) => this.items.get(id)?.pin);
      const cancel = () => {
        const id = this.tabStop;
        this.endSelection();
        this.linkOf(id)?.focus({ preventScroll: true });
      };
      return h("div", { class: "ws-side-selection", role: "toolbar", "aria-label": w.select }, [
        h("span", { class: "ws-side-count", role: "status" }, w.selected.replace("{count}", ids.length)),
        tool("close", "cancel", w.cancel, cancel),
        h("div", { class: "ws-side-tools" }, [
          ...this.unlessReader(() => [
            tool("pin", "pin", isPinned ? w.unpin : w.pin, () => this.pin(ids, !isPinned)),
            tool("archive", "archive", this.archived ? w.unarchive : w.archive, () => this.archive(ids, !this.archived)),
          ]),
          h(
            "a",
            { class: "ws-tool", download: "", "data-testid": "selected-export", "aria-label": w.export_json, title: w.export_json, href: `${this.base}/api/conversations/export?ids=${ids.join(",")}` },
            icon("download"),
          ),
          ...this.unlessReader(() => [tool("trash", "delete", w.delete, () => this.remove(ids))]),
        ]),
      ]);
    },

    // ---- the bottom ----------------------------------------------------------------------------
    // Always in the DOM: screen readers announce its changes.
    toastBar() {
      const w = this.words;
      const items = this.deleted.flatMap((action) => action.items);
      const text = items.length === 1 ? w.deleted.replace("{title}", () => items[0].title || w.untitled) : w.deleted_many.replace("{count}", items.length);
      return h("div", { class: "ws-side-toasts", role: "status" }, [
        this.toast
          ? h("div", { class: ["ws-side-toast", this.importing && "ws-side-busy"], "data-testid": "sidebar-toast" }, h("span", { dir: "auto" }, this.toast))
          : null,
        this.shared
          ? h("div", { class: "ws-side-toast ws-side-shared", "data-testid": "sidebar-shared" }, [
              h("span", this.sharing === "public" ? w.share_made : w.shared_users),
              h("input", { readonly: true, value: this.shared, "aria-label": w.share, dir: "ltr", onFocus: (e) => e.target.select() }),
              h("button", { type: "button", "data-testid": "copy-share", onClick: this.copyShare }, this.isShareCopied ? w.copied : w.copy),
              h("button", { type: "button", onClick: () => (this.shared = "") }, w.close),
            ])
          : null,
        items.length
          ? h("div", { class: "ws-side-toast", "data-testid": "sidebar-deleted" }, [
              h("span", { dir: "auto" }, text),
              h("button", { type: "button", "data-testid": "undo-delete", onClick: this.undo }, w.undo),
            ])
          : null,
      ]);
    },
    bottom() {
      const w = this.words;
      const label = this.archived ? w.back_to_list : w.show_archived;
      const account = this.account;
      return h("div", { class: "ws-side-bottom" }, [
        account
          ? h("a", { class: "ws-side-account", href: account.href, title: w.account_settings, "data-testid": "account" }, [
              h("span", { class: "ws-side-initial", "aria-hidden": "true" }, [...account.name][0]?.toUpperCase()),
              h("span", { dir: "auto" }, account.name),
            ])
          : null,
        h("button", { type: "button", "data-testid": "show-archived", onClick: this.switchArchived }, [
          icon(this.archived ? "back" : "archive"),
          h("span", label),
        ]),
        ...this.unlessReader(() => [
          h(
            "button",
            { type: "button", class: "ws-tool", "data-testid": "import", "aria-label": w.import_file, title: w.import_file, disabled: this.importing, onClick: () => this.$refs.file.click() },
            icon("upload"),
          ),
          h("input", { ref: "file", type: "file", accept: ".json,.zip", multiple: true, hidden: true, onChange: (e) => this.importFiles([...e.target.files]) }),
        ]),
      ]);
    },
    switchArchived() {
      this.archived = !this.archived;
      this.endSelection();
      this.items.clear();
      this.cursor = null;
      this.setQuery("");
      this.listTop = 0;
      this.isLoading = true;
      this.$emit("need", { cursor: null, archived: this.archived });
    },
    onDrag(e) {
      if (this.isReader || !e.dataTransfer?.types.includes("Files")) return; // text may be dropped into the search box
      e.preventDefault();
      this.isDropping = true;
    },
    onDrop(e) {
      if (this.isReader) return;
      this.isDropping = false;
      const files = [...(e.dataTransfer?.files ?? [])];
      if (!files.length) return;
      e.preventDefault();
      e.stopPropagation();
      this.importFiles(files);
    },
    /** Imports files one after another; the toast shows the total counts. */
    async importFiles(files) {
      const w = this.words;
      if (!files.length || this.importing) return;
      this.importing = true;
      const total = { imported: 0, updated: 0, unchanged: 0, passed_over: 0 };
      const failures = [];
      let isAnyRead = false;
      for (const [index, file] of files.entries()) {
        const progress = files.length > 1 ? ` ${index + 1} / ${files.length}` : "";
        this.say(w.importing + progress, Infinity);
        const result = await this.importFile(file);
        if (result.counts) {
          isAnyRead = true;
          for (const name of Object.keys(total)) total[name] += result.counts[name] ?? 0;
        } else {
          failures.push(files.length > 1 ? `${file.name}: ${result.failure}` : result.failure);
        }
      }
      this.importing = false;
      this.$refs.file.value = "";
      const sentences = isAnyRead ? this.importSentences(total) : [];
      this.say([...sentences, ...failures].join(" "), failures.length || sentences.length > 1 ? 2 * SAY_MS : SAY_MS);
    },
    async importFile(file) {
      const w = this.words;
      let failure = w.sidebar_import_failed;
      try {
        await file.slice(0, 1).arrayBuffer(); // throws for a folder or a deleted file
        failure = w.offline;
        const response = await fetch(`${this.base}/api/conversations/import`, { method: "POST", body: file });
        failure = w.sidebar_import_failed;
        const said = await response.json();
        if (response.ok) return { counts: said };
        failure = said.message || failure;
      } catch {
        // no connection, or another server answered
      }
      return { failure };
    },
    importSentences(total) {
      const w = this.words;
      const sentences = [total.imported === 1 ? w.sidebar_imported_one : w.imported.replace("{count}", total.imported)];
      if (total.updated) sentences.push(w.import_updated.replace("{count}", total.updated));
      if (total.unchanged) sentences.push(w.import_unchanged.replace("{count}", total.unchanged));
      if (total.passed_over) sentences.push(w.import_passed_over.replace("{count}", total.passed_over));
      return sentences;
    },
    async share(item) {
      const w = this.words;
      let sentence = w.offline;
      try {
        const response = await fetch(`${this.base}/api/conversations/${item.id}/shares`, { method: "POST" });
        const said = await response.json();
        if (response.ok) {
          this.shared = said.link;
          this.isShareCopied = false;
          return;
        }
        sentence = said.message || sentence;
      } catch {
        // no connection, or another server answered
      }
      this.say(sentence);
    },
    async copyShare(e) {
      try {
        await navigator.clipboard.writeText(this.shared);
        this.isShareCopied = true;
      } catch {
        e.target.parentElement.querySelector("input").select(); // clipboard access denied: the user can copy the selection
      }
    },
    say(text, ms = SAY_MS) {
      this.toast = text;
      clearTimeout(this.toasting);
      if (ms < Infinity) this.toasting = setTimeout(() => (this.toast = ""), ms);
    },
  },
};
