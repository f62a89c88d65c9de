// All conversations: in groups by day, pinned ones on top; search; what can be done with one, or with several.
import { h } from "vue";

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
};
const WIDE = matchMedia("(min-width: 1024px)");
const UNDO_MS = 30_000;
const SEARCH_MS = 150;
const NEAR_END = 400; // px from the end at which more is asked for
const MENU_HEIGHT = 340; // px
const DAY_MS = 86_400_000;

const icon = (name) =>
  h("svg", { viewBox: "0 0 24 24", width: 20, height: 20, class: "ws-icon", "aria-hidden": "true" }, h("path", { d: ICONS[name] }));

const isTyping = (el) => el?.closest?.("input, textarea, select, [contenteditable]");

// In the list: pinned ones first, the last one pinned on top; then those that were gone on with last.
function byPlace(a, b) {
  return b.pin - a.pin || b.at - a.at || (a.id < b.id ? 1 : -1);
}

export default {
  props: { base: String, words: Object, begin: Object },
  emits: ["need", "search", "rename", "pin", "archive", "delete", "restore"],
  data() {
    return {
      items: new Map(this.begin.items.map((item) => [item.id, item])),
      cursor: this.begin.cursor,
      current: this.begin.current,
      live: new Set(this.begin.live),
      archived: false, // what is looked at
      isLoading: false,
      problem: "",
      query: "",
      hits: null, // null: none asked for
      hasMoreHits: false,
      selected: new Set(),
      isSelecting: false,
      lastSelected: "",
      menu: "", // of which conversation
      renaming: "",
      deleted: [], // what can be taken back, one entry an action
      toast: "",
      importing: false,
      isDrawer: !WIDE.matches,
      isDrawerOpen: false,
      now: Date.now(),
    };
  },
  computed: {
    list() {
      return [...this.items.values()].sort(byPlace);
    },
    groups() {
      const groups = [];
      for (const item of this.list) {
        const name = this.groupOf(item);
        if (groups.at(-1)?.name !== name) groups.push({ name, items: [] });
        groups.at(-1).items.push(item);
      }
      return groups;
    },
    isSearching() {
      return Boolean(this.query.trim());
    },
  },
  mounted() {
    window.addEventListener("wireside:sidebar", this.toggle);
    window.addEventListener("wireside:open", this.closeDrawer);
    document.addEventListener("keydown", this.onPageKey);
    document.addEventListener("click", this.onOutside);
    WIDE.addEventListener("change", this.onWidth);
    this.clock = setInterval(() => (this.now = Date.now()), 60_000);
  },
  unmounted() {
    window.removeEventListener("wireside:sidebar", this.toggle);
    window.removeEventListener("wireside:open", this.closeDrawer);
    document.removeEventListener("keydown", this.onPageKey);
    document.removeEventListener("click", this.onOutside);
    WIDE.removeEventListener("change", this.onWidth);
    clearInterval(this.clock);
    clearTimeout(this.searching);
  },
  render() {
    const w = this.words;
    return h("div", { class: ["ws-side", this.isDrawerOpen && "ws-side-open"] }, [
      h("div", { class: "ws-scrim", onClick: this.closeDrawer }),
      h(
        "nav",
        {
          ref: "panel",
          class: "ws-sidebar",
          "aria-label": w.conversations,
          inert: this.isDrawer && !this.isDrawerOpen,
          onDragover: (e) => e.dataTransfer?.types.includes("Files") && e.preventDefault(),
          onDrop: this.onDrop,
        },
        [this.top(), this.isSelecting ? this.selectionBar() : null, this.body(), this.toastBar(), this.bottom(), this.itemMenu()],
      ),
    ]);
  },
  methods: {
    // ---- called by the server ------------------------------------------------------------------
    show(items, cursor, archived, fresh) {
      if (archived !== this.archived) return; // somebody has looked elsewhere meanwhile
      if (fresh) this.items = new Map();
      for (const item of items) this.items.set(item.id, item);
      this.cursor = cursor;
      this.isLoading = false;
      this.problem = "";
      this.$nextTick(this.onScroll);
    },
    showHits(query, hits, fresh) {
      if (query !== this.query.trim()) return;
      this.hits = fresh ? hits : [...(this.hits || []), ...hits];
      this.hasMoreHits = hits.length > 0;
      this.isLoading = false;
      this.problem = "";
    },
    fail(sentence) {
      this.problem = sentence;
      this.isLoading = false;
    },
    put(item) {
      if (item.archived !== this.archived) return this.items.delete(item.id);
      this.items.set(item.id, item);
    },
    takeOut(ids) {
      for (const id of ids) {
        this.items.delete(id);
        this.selected.delete(id);
      }
      if (this.hits) this.hits = this.hits.filter((hit) => !ids.includes(hit.id));
    },
    setLive(ids) {
      this.live = new Set(ids);
    },
    setCurrent(id) {
      this.current = id;
    },

    // ---- where it stands -----------------------------------------------------------------------
    toggle() {
      if (this.isDrawer) return this.isDrawerOpen ? this.closeDrawer() : this.openDrawer();
      const isClosed = document.documentElement.classList.toggle("ws-sidebar-closed");
      try {
        localStorage.setItem("wireside.sidebar", isClosed ? "closed" : "open");
      } catch {}
    },
    openDrawer() {
      this.opener = document.activeElement;
      this.isDrawerOpen = true;
      this.others().forEach((el) => (el.inert = true));
      this.$nextTick(() => this.$refs.fresh?.focus());
    },
    closeDrawer() {
      if (!this.isDrawerOpen) return;
      this.isDrawerOpen = false;
      this.others().forEach((el) => (el.inert = false));
      this.opener?.focus({ preventScroll: true });
    },
    others() {
      return [...this.$el.parentElement.children].filter((el) => el !== this.$el);
    },
    onWidth() {
      this.closeDrawer();
      this.isDrawer = !WIDE.matches;
    },
    onPageKey(e) {
      const key = e.key.toLowerCase();
      if ((e.ctrlKey || e.metaKey) && !e.altKey && key === "k") {
        e.preventDefault();
        if (this.isDrawer) this.openDrawer();
        else if (document.documentElement.classList.contains("ws-sidebar-closed")) this.toggle();
        this.$nextTick(() => this.$refs.search.focus());
      } else if ((e.ctrlKey || e.metaKey) && e.shiftKey && key === "s") {
        e.preventDefault();
        this.toggle();
      } else if (e.key === "Escape" && !e.defaultPrevented) {
        if (this.menu) this.closeMenu();
        else if (this.isDrawerOpen) this.closeDrawer();
        else return;
        e.preventDefault(); // it stops no answer
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
      this.query = query;
      this.problem = "";
      clearTimeout(this.searching);
      if (focuses) this.$refs.search.focus();
      if (!this.isSearching) {
        this.hits = null;
        this.isLoading = false;
        return;
      }
      this.isLoading = true;
      this.searching = setTimeout(() => this.$emit("search", { query: query.trim(), cursor: null }), SEARCH_MS);
    },
    onSearchKey(e) {
      if (e.key === "Escape" && this.query) {
        e.preventDefault();
        this.setQuery("");
      } else if (e.key === "ArrowDown") {
        e.preventDefault();
        this.links()[0]?.focus();
      }
    },

    // ---- the list ------------------------------------------------------------------------------
    body() {
      const inner = this.isSearching ? this.results() : this.conversations();
      return h(
        "div",
        { ref: "list", class: "ws-side-list", "data-testid": "conversation-list", "aria-busy": String(this.isLoading), onScrollPassive: this.onScroll, onKeydown: this.onListKey },
        [inner, this.problem ? this.failure() : this.isLoading ? h("p", { class: "ws-side-note", role: "status" }, this.words.loading) : null],
      );
    },
    failure() {
      return h("div", { class: "ws-side-note", role: "alert" }, [
        h("p", this.problem),
        h("button", { type: "button", class: "ws-button", onClick: this.again }, this.words.try_again),
      ]);
    },
    again() {
      this.problem = "";
      this.isLoading = true;
      if (this.isSearching) this.$emit("search", { query: this.query.trim(), cursor: null });
      else this.$emit("need", { cursor: this.items.size ? this.cursor : null, archived: this.archived });
    },
    conversations() {
      const w = this.words;
      if (!this.list.length && !this.cursor && !this.isLoading && !this.problem) {
        return h("p", { class: "ws-side-note" }, this.archived ? w.no_archived : w.no_conversations);
      }
      return this.groups.map((group) =>
        h("section", { key: group.name }, [
          h("h2", { class: "ws-side-group" }, group.name),
          h("ul", { class: "ws-side-items" }, group.items.map(this.item)),
        ]),
      );
    },
    groupOf(item) {
      const w = this.words;
      if (item.pin) return w.pinned;
      const midnight = new Date(this.now).setHours(0, 0, 0, 0);
      const at = item.at * 1000;
      if (at >= midnight) return w.today;
      if (at >= midnight - DAY_MS) return w.yesterday;
      if (at >= midnight - 7 * DAY_MS) return w.last_7_days;
      if (at >= midnight - 30 * DAY_MS) return w.last_30_days;
      this.months ??= new Intl.DateTimeFormat(document.documentElement.lang, { month: "long", year: "numeric" });
      return this.months.format(at);
    },
    item(item) {
      const w = this.words;
      const isCurrent = item.id === this.current;
      const isSelected = this.selected.has(item.id);
      const name = item.title || w.untitled;
      return h("li", { key: item.id, class: ["ws-item", isCurrent && "ws-item-current", isSelected && "ws-item-selected"] }, [
        this.renaming === item.id
          ? this.renameBox(item)
          : h(
              "a",
              {
                class: "ws-item-link",
                href: `${this.base}/c/${item.id}`,
                "data-testid": "conversation-item",
                "data-id": item.id,
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
    renameBox(item) {
      const done = (e, keeps) => {
        if (this.renaming !== item.id) return;
        const title = e.target.value.replace(/\s+/g, " ").trim();
        this.renaming = "";
        if (keeps && title && title !== item.title) {
          this.items.set(item.id, { ...item, title });
          this.$emit("rename", { id: item.id, title });
        }
        this.$nextTick(() => this.linkOf(item.id)?.focus());
      };
      return h("input", {
        class: "ws-item-rename",
        value: item.title,
        maxlength: 200,
        dir: "auto",
        "aria-label": this.words.rename,
        onVnodeMounted: (node) => (node.el.focus(), node.el.select()),
        onKeydown: (e) => {
          if (e.isComposing) return;
          if (e.key === "Enter") done(e, true);
          else if (e.key === "Escape") (e.preventDefault(), e.stopPropagation(), done(e, false));
        },
        onBlur: (e) => done(e, true),
      });
    },
    // It stands beside the list: within it, it would be cut off where the list ends.
    itemMenu() {
      const w = this.words;
      const item = this.items.get(this.menu);
      if (!item) return null;
      const act = (name, testid, label, run) =>
        h("button", { type: "button", role: "menuitem", tabindex: -1, "data-testid": `menu-${testid}`, onClick: () => (this.closeMenu(), run()) }, [icon(name), h("span", label)]);
      const file = (format) =>
        h(
          "a",
          { role: "menuitem", tabindex: -1, download: "", href: `${this.base}/api/conversations/${item.id}/export?format=${format}`, onClick: () => this.closeMenu() },
          [icon("download"), h("span", w["export_" + format])],
        );
      return h(
        "div",
        {
          class: "ws-menu ws-item-menu",
          role: "menu",
          "aria-label": item.title || w.untitled,
          style: this.menuPlace,
          onKeydown: this.onMenuKey,
          onVnodeMounted: (node) => node.el.querySelector("[role=menuitem]").focus(),
        },
        [
          act("compose", "rename", w.rename, () => (this.renaming = item.id)),
          act("pin", "pin", item.pin ? w.unpin : w.pin, () => this.pin([item.id], !item.pin)),
          act("archive", "archive", item.archived ? w.unarchive : w.archive, () => this.archive([item.id], !item.archived)),
          act("check", "select", w.select, () => this.select(item.id)),
          file("markdown"),
          file("json"),
          file("html"),
          act("trash", "delete", w.delete, () => this.remove([item.id])),
        ],
      );
    },
    openMenu(e, item) {
      if (this.menu === item.id) return this.closeMenu();
      const button = e.currentTarget.getBoundingClientRect();
      const panel = this.$refs.panel.getBoundingClientRect();
      const isBelow = panel.bottom - button.bottom > MENU_HEIGHT;
      this.menuPlace = isBelow ? { top: `${button.bottom - panel.top}px` } : { bottom: `${Math.max(8, panel.bottom - button.top)}px` };
      this.menu = item.id;
    },
    closeMenu() {
      const id = this.menu;
      this.menu = "";
      this.$nextTick(() => !this.renaming && this.linkOf(id)?.focus());
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
    onListKey(e) {
      if (isTyping(e.target) || !e.target.matches(".ws-item-link")) return;
      const links = this.links();
      const at = links.indexOf(e.target);
      const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: links.length - 1 }[e.key];
      const id = e.target.dataset.id;
      if (to !== undefined) links[to]?.focus();
      else if (e.key === "F2" && !this.isSearching) this.renaming = id;
      else if (e.key === "Delete" && !this.isSearching) {
        (links[at + 1] || links[at - 1] || this.$refs.fresh).focus();
        this.remove(this.isSelecting && this.selected.size ? [...this.selected] : [id]);
      } else return;
      e.preventDefault();
    },
    onScroll() {
      const list = this.$refs.list;
      if (!list || this.isLoading || this.problem) return;
      if (list.scrollHeight - list.scrollTop - list.clientHeight > NEAR_END) return;
      if (this.isSearching) {
        if (!this.hits?.length || !this.hasMoreHits) return;
        this.isLoading = true;
        this.$emit("search", { query: this.query.trim(), cursor: this.hits.at(-1).cursor });
      } else if (this.cursor) {
        this.isLoading = true;
        this.$emit("need", { cursor: this.cursor, archived: this.archived });
      }
    },

    // ---- opening -------------------------------------------------------------------------------
    open(e, detail) {
      if (e.button || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return; // a tab of its own is the browser's affair
      e.preventDefault();
      window.dispatchEvent(new CustomEvent("wireside:open", { detail }));
    },
    onItem(e, item) {
      if (this.isSelecting || e.ctrlKey || e.metaKey || e.shiftKey) {
        e.preventDefault();
        return this.select(item.id, e.shiftKey);
      }
      this.open(e, item.id);
    },

    // ---- search --------------------------------------------------------------------------------
    results() {
      const w = this.words;
      if (!this.hits) return null;
      if (!this.hits.length) return h("p", { class: "ws-side-note", role: "status" }, w.nothing_found.replace("{query}", this.query.trim()));
      return h(
        "ul",
        { class: "ws-side-items" },
        this.hits.map((hit) => {
          const detail = hit.turn ? `${hit.id}?turn=${hit.turn}` : hit.id;
          return h("li", { key: hit.cursor, class: "ws-item" }, [
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

    // ---- what can be done ----------------------------------------------------------------------
    pin(ids, on) {
      this.$emit("pin", { ids, on });
      this.endSelection();
    },
    archive(ids, on) {
      this.takeOut(ids);
      this.$emit("archive", { ids, on });
      this.endSelection();
    },
    remove(ids) {
      const title = this.items.get(ids[0])?.title || this.words.untitled;
      this.takeOut(ids);
      this.$emit("delete", { ids });
      this.endSelection();
      const action = { ids, title };
      this.deleted.push(action);
      setTimeout(() => (this.deleted = this.deleted.filter((other) => other.ids !== ids)), UNDO_MS);
    },
    undo() {
      const action = this.deleted.pop();
      if (action) this.$emit("restore", { ids: action.ids });
    },

    // ---- several -------------------------------------------------------------------------------
    select(id, isRange = false) {
      this.isSelecting = true;
      if (isRange && this.lastSelected) {
        const ids = this.list.map((item) => item.id);
        const [from, to] = [ids.indexOf(this.lastSelected), ids.indexOf(id)].sort((a, b) => a - b);
        for (const one of ids.slice(Math.max(0, from), to + 1)) this.selected.add(one);
      } else if (this.selected.has(id)) {
        this.selected.delete(id);
        if (!this.selected.size) this.endSelection();
      } else {
        this.selected.add(id);
      }
      this.lastSelected = id;
    },
    endSelection() {
      this.isSelecting = false;
      this.selected = new Set();
      this.lastSelected = "";
    },
    selectionBar() {
      const w = this.words;
      const ids = [...this.selected];
      const tool = (name, testid, label, run) =>
        h("button", { type: "button", class: "ws-tool", "data-testid": `selected-${testid}`, "aria-label": label, title: label, disabled: !ids.length, onClick: run }, icon(name));
      const isPinned = ids.every((id) => this.items.get(id)?.pin);
      return h("div", { class: "ws-side-selection", role: "toolbar", "aria-label": w.select }, [
        h("span", { role: "status" }, w.selected.replace("{count}", ids.length)),
        tool("pin", "pin", isPinned ? w.unpin : w.pin, () => this.pin(ids, !isPinned)),
        tool("archive", "archive", this.archived ? w.unarchive : w.archive, () => this.archive(ids, !this.archived)),
        h(
          "a",
          { class: "ws-tool", download: "", "aria-label": w.export_json, title: w.export_json, href: `${this.base}/api/conversations/export?ids=${ids.join(",")}` },
          icon("download"),
        ),
        tool("trash", "delete", w.delete, () => this.remove(ids)),
        tool("close", "cancel", w.cancel, this.endSelection),
      ]);
    },

    // ---- the bottom ----------------------------------------------------------------------------
    toastBar() {
      const w = this.words;
      const last = this.deleted.at(-1);
      if (last) {
        const text = last.ids.length === 1 ? w.deleted.replace("{title}", last.title) : w.deleted_many.replace("{count}", last.ids.length);
        return h("div", { class: "ws-side-toast", role: "status" }, [
          h("span", { dir: "auto" }, text),
          h("button", { type: "button", "data-testid": "undo-delete", onClick: this.undo }, w.undo),
        ]);
      }
      return this.toast ? h("div", { class: "ws-side-toast", role: "status" }, h("span", { dir: "auto" }, this.toast)) : null;
    },
    bottom() {
      const w = this.words;
      const label = this.archived ? w.back_to_list : w.show_archived;
      return h("div", { class: "ws-side-bottom" }, [
        h("button", { type: "button", "data-testid": "show-archived", "aria-pressed": String(this.archived), onClick: this.switchArchived }, [
          icon(this.archived ? "back" : "archive"),
          h("span", label),
        ]),
        h(
          "button",
          { type: "button", class: "ws-tool", "data-testid": "import", "aria-label": w.import_file, title: w.import_file, disabled: this.importing, onClick: () => this.$refs.file.click() },
          icon("upload"),
        ),
        h("input", { ref: "file", type: "file", accept: ".json,.zip", hidden: true, onChange: (e) => this.importFile(e.target.files[0]) }),
      ]);
    },
    switchArchived() {
      this.archived = !this.archived;
      this.endSelection();
      this.items = new Map();
      this.cursor = null;
      this.query = "";
      this.hits = null;
      this.isLoading = true;
      this.$emit("need", { cursor: null, archived: this.archived });
    },
    onDrop(e) {
      e.preventDefault();
      if (e.dataTransfer.files[0]) this.importFile(e.dataTransfer.files[0]);
    },
    async importFile(file) {
      const w = this.words;
      this.$refs.file.value = "";
      if (!file || this.importing) return;
      this.importing = true;
      this.toast = w.importing;
      try {
        const response = await fetch(`${this.base}/api/conversations/import`, { method: "POST", body: file });
        const said = await response.json();
        this.say(response.ok ? w.imported.replace("{count}", said.imported) : said.message);
      } catch {
        this.say(w.offline);
      } finally {
        this.importing = false;
      }
    },
    say(text) {
      this.toast = text;
      clearTimeout(this.toasting);
      this.toasting = setTimeout(() => (this.toast = ""), 10_000);
    },
  },
};
