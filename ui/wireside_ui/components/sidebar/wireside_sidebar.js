// @ts-check
// The list of conversations: grouped by day, pinned ones on top; search; actions on one conversation or on several.
// Each module has the methods of one subject.
import { h, shallowReactive } from "vue";
import { bottom } from "wireside-sidebar/bottom.js";
import { WIDE, drawer } from "wireside-sidebar/drawer.js";
import { importing } from "wireside-sidebar/importing.js";
import { itemMenu } from "wireside-sidebar/item_menu.js";
import { STEP, list } from "wireside-sidebar/list.js";
import { byPlace, daysAgo } from "wireside-sidebar/order.js";
import { ownPages } from "wireside-sidebar/own_pages.js";
import { search } from "wireside-sidebar/search.js";
import { selection } from "wireside-sidebar/selection.js";

export default /** @satisfies {ComponentOptions<Sidebar>} */ ({
  props: {
    base: String,
    words: Object,
    begin: Object,
    account: Object,
    sharing: String,
    isReader: Boolean,
    pages: Array, // pairs of title and address
  },
  emits: ["need", "search", "rename", "pin", "archive", "delete", "restore"],
  data() {
    return {
      items: shallowReactive(new Map(this.begin.items.map((item) => [item.id, item]))),
      cursor: this.begin.cursor,
      current: this.begin.current,
      live: new Set(this.begin.live),
      asking: new Set(this.begin.asking),
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
      const days = [
        { key: this.today, name: w.today },
        { key: daysAgo(1), name: w.yesterday },
        { key: daysAgo(7), name: w.last_7_days },
        { key: daysAgo(30), name: w.last_30_days },
      ];
      const months = new Intl.DateTimeFormat(document.documentElement.lang, {
        month: "long",
        year: "numeric",
      });
      /** @type {ItemGroup[]} */
      const groups = [];
      let row = 0;
      for (const item of this.list) {
        const at = item.at * 1000;
        const date = new Date(at);
        const { key, name } = item.pin
          ? { key: Infinity, name: w.pinned }
          : (days.find((day) => at >= day.key) ?? {
              key: date.getFullYear() * 12 + date.getMonth(),
              name: months.format(date),
            });
        let group = groups.at(-1);
        if (group?.key !== key) {
          group = { key, name, row, items: [] };
          groups.push(group);
          row++;
        }
        group.items.push(item);
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
    const link = document.activeElement?.closest(".ws-sidebar .ws-sidebar-item-link");
    this.focusedLink = link?.dataset.id;
  },
  updated() {
    if (this.focusedLink && document.activeElement === document.body)
      this.linkOf(this.focusedLink)?.focus({ preventScroll: true });
  },
  render() {
    const w = this.words;
    const dialog = this.isDrawerOpen
      ? { role: "dialog", "aria-modal": "true", "aria-label": w.conversations }
      : {};
    return h(
      "div",
      {
        class: ["ws-sidebar-frame", this.isDrawerOpen && "ws-sidebar-open"],
        ...dialog,
        onKeydown: this.onTrap,
      },
      [
        h("div", {
          class: "ws-sidebar-scrim",
          "data-testid": "sidebar-scrim",
          onClick: this.closeDrawer,
        }),
        h(
          "nav",
          {
            ref: "panel",
            class: ["ws-sidebar", this.isDropping && "ws-sidebar-dropping"],
            "aria-label": w.conversations,
            inert: this.isDrawer && !this.isDrawerOpen,
            onDragover: this.onDrag,
            onDragleave: (e) =>
              e.currentTarget.contains(e.relatedTarget) || (this.isDropping = false),
            onDrop: this.onDrop,
          },
          [
            this.top(),
            this.body(),
            this.toastBar(),
            ownPages(this.pages, w),
            this.isSelecting ? this.selectionBar() : this.bottom(),
            this.itemMenu(),
          ],
        ),
      ],
    );
  },
  methods: {
    ...bottom,
    ...drawer,
    ...importing,
    ...itemMenu,
    ...list,
    ...search,
    ...selection,

    // ---- called by the server ----

    /** @param {string} sentence */
    fail(sentence) {
      this.problem = sentence;
      this.isLoading = this.isSearchLoading = false;
    },
    /** @param {Item} item */
    put(item) {
      if (item.archived !== this.archived) return this.takeOut([item.id]);
      this.items.set(item.id, item);
    },
    /** @param {string[]} ids */
    takeOut(ids) {
      for (const id of ids) {
        this.items.delete(id);
        this.selected.delete(id);
      }
    },
    /** @param {string[]} ids */
    setLive(ids) {
      this.live = new Set(ids);
    },
    /** @param {string[]} ids */
    setAsking(ids) {
      this.asking = new Set(ids);
    },
    /** @param {string} id */
    setCurrent(id) {
      this.current = id;
    },
  },
});
