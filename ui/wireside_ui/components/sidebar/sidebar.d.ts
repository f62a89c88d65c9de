/** A conversation of the list. */
interface Item {
  id: string;
  title: string;
  /** Time of the latest activity, in seconds. */
  at: number;
  /** Time at which it was pinned; 0: it is not. */
  pin: number;
  archived: boolean;
}

/** A place of a conversation that a search has found. */
interface Hit {
  id: string;
  cursor: string;
  title: string;
  /** The id of the turn, if it is in one. */
  turn?: string;
  kind: string;
  /** Texts, of which each second one matches. */
  snippet: string[];
}

interface ItemGroup {
  key: number;
  name: string;
  /** Index of the heading's row. */
  row: number;
  items: Item[];
}

/** An action that can be undone. */
interface Deletion {
  key: string;
  items: Item[];
  archived: boolean;
  timer: ReturnType<typeof setTimeout>;
}

/** The sidebar's `this`. */
interface Sidebar
  extends VueInstance<SidebarRefs>,
    SidebarState,
    BottomMethods,
    DrawerMethods,
    ImportingMethods,
    ItemMenuMethods,
    ListMethods,
    SearchMethods,
    SelectionMethods {}

type BottomMethods = typeof import("./modules/bottom.js").bottom;
type DrawerMethods = typeof import("./modules/drawer.js").drawer;
type ImportingMethods = typeof import("./modules/importing.js").importing;
type ItemMenuMethods = typeof import("./modules/item_menu.js").itemMenu;
type ListMethods = typeof import("./modules/list.js").list;
type SearchMethods = typeof import("./modules/search.js").search;
type SelectionMethods = typeof import("./modules/selection.js").selection;

interface SidebarRefs {
  list: HTMLElement;
  search: HTMLInputElement;
  fresh: HTMLElement;
  panel: HTMLElement;
  file: HTMLInputElement;
}

interface SidebarState {
  base: string;
  words: Words;
  begin: { items: Item[]; cursor: string | null; current: string; live: string[]; asking: string[] };
  account: { name: string; href?: string } | null;
  sharing: string;
  isReader: boolean;
  pages: [title: string, href: string][];

  items: Map<string, Item>;
  cursor: string | null;
  current: string;
  live: Set<string>;
  asking: Set<string>;
  archived: boolean;
  isLoading: boolean;
  problem: string;
  query: string;
  hits: Hit[] | null;
  hitsOf: string;
  hasMoreHits: boolean;
  isSearchLoading: boolean;
  selected: Set<string>;
  lastSelected: string;
  first: number;
  last: number;
  focused: string;
  menu: string;
  menuTop: number;
  renaming: string;
  draft: string;
  deleted: Deletion[];
  toast: string;
  importing: boolean;
  shared: string;
  isShareCopied: boolean;
  isDropping: boolean;
  isDrawer: boolean;
  isDrawerOpen: boolean;
  today: number;

  list: Item[];
  groups: ItemGroup[];
  tabStop: string | undefined;
  isSelecting: boolean;
  isSearching: boolean;

  /** Scroll position of the list before a search. */
  listTop: number;
  /** Box of the button whose menu is open. */
  menuButton: DOMRect;
  /** What had the focus before the drawer was opened. */
  opener: HTMLElement | null;
  /** The elements behind the drawer. */
  others: HTMLElement[];
  focusedLink?: string;
  sizes: ResizeObserver;
  clock: ReturnType<typeof setInterval>;
  searching?: ReturnType<typeof setTimeout>;
  toasting?: ReturnType<typeof setTimeout>;

  takeOut(ids: string[]): void;
}
