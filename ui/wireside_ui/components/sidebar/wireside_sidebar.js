// @ts-check
// The list of conversations: grouped by day, pinned ones on top; search; actions on one conversation or on several.
// Each module has the methods of one subject.
import { h, shallowReactive } from "vue";
import { callAttention } from "wireside-kit/attention.js";
import { appMenu } from "wireside-sidebar/app_menu.js";
import { bottom } from "wireside-sidebar/bottom.js";
import { WIDE, drawer } from "wireside-sidebar/drawer.js";
import { NO_FILTERS, filters } from "wireside-sidebar/filters.js";
import { folderDialogs } from "wireside-sidebar/folder_dialogs.js";
import { folders } from "wireside-sidebar/folders.js";
import { importing } from "wireside-sidebar/importing.js";
import { itemMenu } from "wireside-sidebar/item_menu.js";
import { STEP, list } from "wireside-sidebar/list.js";
import { byPlace, daysAgo } from "wireside-sidebar/order.js";
import { ownPages } from "wireside-sidebar/own_pages.js";
import { search } from "wireside-sidebar/search.js";
import { selection } from "wireside-sidebar/selection.js";
import { sharing } from "wireside-sidebar/sharing.js";
import { tags } from "wireside-sidebar/tags.js";

export default /** @satisfies {ComponentOptions<Sidebar>} */ ({
  props: {
    base: String,
    words: Object,
    begin: Object,
    name: String,
    logo: String,
    account: String,
    ways: Object,
    languages: Array,
    sharing: String,
    isReader: Boolean,
    pages: Array, // pairs of title and address
  },
  emits: [
    "need",
    "search",
    "rename",
    "pin",
    "archive",
    "move",
    "tag",
    "delete",
    "restore",
    "duplicate",
    "preset",
  ],
  data() {
    return {
      items: shallowReactive(new Map(this.begin.items.map((item) => [item.id, item]))),
      cursor: this.begin.cursor,
      current: this.begin.current,
      live: new Set(this.begin.live),
      asking: new Set(this.begin.asking),
      scope: { kind: "list", of: "" }, // which conversations the list shows
      folders: this.begin.folders,
      hasShared: this.begin.hasShared, // whether others share conversations with the user
      moving: null, // ids of the conversations whose folder is being chosen
      tagging: null, // the conversations whose tags are being chosen
      allTags: [], // the tags of all conversations
      folder: null, // the folder whose name is being edited; its id is "" for a new one
      folderProblem: "",
      isFolderBusy: false,
      isRemovalSure: false,
      folderStop: "", // id of the folder that the Tab key reaches
      dropInto: null, // id of the folder that dragged conversations are over, "" for none
      isLoading: false,
      problem: "",
      query: "",
      filters: { ...NO_FILTERS }, // what the fields of the filters have
      areFiltersOpen: false,
      hits: null, // null: no results yet
      hitsOf: { query: "", filters: {} }, // the search of these results
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
      isClosed: document.documentElement.classList.contains("ws-sidebar-closed"),
      isAppOpen: false,
      limits: [], // what is left of the limits of the user, and what was spent
      isExporting: false, // whether that menu shows the formats of its export
      menuItem: null, // the conversation whose menu is open in the header
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
    // Whether the list is not on the screen; what it reports is then shown at the bottom of the page.
    isHidden() {
      return this.isDrawer ? !this.isDrawerOpen : this.isClosed;
    },
    archived() {
      return this.scope.kind === "archive";
    },
    isSelecting() {
      return this.selected.size > 0;
    },
    isSearching() {
      return Boolean(this.query.trim()) || this.filterCount > 0;
    },
    filterCount() {
      return Object.values(this.filters).filter(Boolean).length;
    },
  },
  watch: {
    list() {
      this.$nextTick(this.settle);
    },
  },
  mounted() {
    window.addEventListener("wireside:sidebar", this.toggle);
    window.addEventListener("wireside:menu", this.onHeaderMenu);
    window.addEventListener("wireside:share", this.onShare);
    window.addEventListener("wireside:search", this.beginSearch);
    window.addEventListener("wireside:folder", this.newFolder);
    window.addEventListener("wireside:import", this.chooseFiles);
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
    window.removeEventListener("wireside:menu", this.onHeaderMenu);
    window.removeEventListener("wireside:share", this.onShare);
    window.removeEventListener("wireside:search", this.beginSearch);
    window.removeEventListener("wireside:folder", this.newFolder);
    window.removeEventListener("wireside:import", this.chooseFiles);
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
            this.isHidden ? null : this.toastBar(),
            ownPages(this.pages, w),
            this.isSelecting ? this.selectionBar() : this.bottom(),
            this.menuItem ? null : this.itemMenu(),
          ],
        ),
        this.menuItem || this.isHidden
          ? h("aside", { class: "ws-sidebar-apart", "aria-label": w.app_menu }, [
              this.menuItem ? this.itemMenu() : null,
              this.isHidden ? this.toastBar() : null,
            ])
          : null,
        this.shareDialog(),
        this.moveDialog(),
        this.folderDialog(),
        this.tagDialog(),
      ],
    );
  },
  methods: {
    ...appMenu,
    ...bottom,
    ...drawer,
    ...filters,
    ...folderDialogs,
    ...folders,
    ...importing,
    ...itemMenu,
    ...list,
    ...search,
    ...selection,
    ...sharing,
    ...tags,

    // ---- called by the server ----

    /** @param {string} sentence */
    fail(sentence) {
      this.problem = sentence;
      this.isLoading = this.isSearchLoading = false;
    },
    /** @param {Item} item */
    put(item) {
      if (!this.belongs(item)) return this.takeOut([item.id]);
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
      const ended = [...this.live].filter((id) => !ids.includes(id));
      this.live = new Set(ids);
      for (const id of ended) this.callFor(id, this.words.answer_ready);
    },
    /** @param {string[]} ids */
    setAsking(ids) {
      const asked = ids.filter((id) => !this.asking.has(id));
      this.asking = new Set(ids);
      for (const id of asked) this.callFor(id, this.words.asking);
    },
    /**
     * @param {string} id
     * @param {string} sentence
     */
    callFor(id, sentence) {
      const title = this.items.get(id)?.title || this.words.untitled;
      callAttention(sentence, title, () =>
        window.dispatchEvent(new CustomEvent("wireside:open", { detail: id })),
      );
    },
    /** @param {PresetOptions} options */
    offerPreset(options) {
      window.dispatchEvent(
        new CustomEvent("wireside:library", { detail: { kind: "presets", options } }),
      );
    },
    /** @param {string} id */
    setCurrent(id) {
      this.current = id;
    },
  },
});
