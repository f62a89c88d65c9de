/** A conversation of the list. */
interface Item {
  id: string;
  title: string;
  /** Time of the latest activity, in seconds. */
  at: number;
  /** Time at which it was pinned; 0: it is not. */
  pin: number;
  archived: boolean;
  /** The id of its folder, which may be gone. */
  folder: string | null;
  tags: string[];
  /** The name of another user who shares it, "" for one of the user's own. */
  owner: string;
}

interface Folder {
  id: string;
  name: string;
}

/** Which conversations the list shows. */
interface ListScope {
  kind: "list" | "archive" | "folder" | "shared";
  /** The id of the folder. */
  of: string;
}

/** What is searched for; times are in seconds. */
interface SearchRequest {
  query: string;
  filters: {
    kind?: string | null;
    model?: string | null;
    folder_id?: string | null;
    tag?: string | null;
    since?: number | null;
    until?: number | null;
  };
}

/** A place of a conversation that a search has found. */
interface Hit {
  id: string;
  cursor: string;
  title: string;
  /** The id of the turn, if it is in one. */
  turn?: string;
  kind: string;
  /** Time in seconds. */
  at: number;
  /** The name of the user who shares the conversation, "" for an own one. */
  owner: string;
  /** Whether the conversation is archived. */
  archived: boolean;
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
  timer: ReturnType<typeof setTimeout>;
}

/** The sidebar's `this`. */
interface Sidebar
  extends VueInstance<SidebarRefs>,
    SidebarState,
    AppMenuMethods,
    BottomMethods,
    DrawerMethods,
    FilterMethods,
    FolderDialogMethods,
    FolderMethods,
    ImportingMethods,
    ItemMenuMethods,
    ListMethods,
    SearchMethods,
    SelectionMethods,
    SharingMethods,
    TagMethods {}

type AppMenuMethods = typeof import("./modules/app_menu.js").appMenu;
type BottomMethods = typeof import("./modules/bottom.js").bottom;
type DrawerMethods = typeof import("./modules/drawer.js").drawer;
type FilterMethods = typeof import("./modules/filters.js").filters;
type FolderDialogMethods = typeof import("./modules/folder_dialogs.js").folderDialogs;
type FolderMethods = typeof import("./modules/folders.js").folders;
type ImportingMethods = typeof import("./modules/importing.js").importing;
type ItemMenuMethods = typeof import("./modules/item_menu.js").itemMenu;
type ListMethods = typeof import("./modules/list.js").list;
type SearchMethods = typeof import("./modules/search.js").search;
type SelectionMethods = typeof import("./modules/selection.js").selection;
type SharingMethods = typeof import("./modules/sharing.js").sharing;
type TagMethods = typeof import("./modules/tags.js").tags;

interface SidebarRefs {
  list: HTMLElement;
  folders: HTMLElement;
  dialog?: HTMLDialogElement;
  search: HTMLInputElement;
  fresh: HTMLElement;
  panel: HTMLElement;
  file: HTMLInputElement;
  app: HTMLElement;
  appButton: HTMLButtonElement;
}

interface SidebarState {
  base: string;
  words: Words;
  begin: { items: Item[]; cursor: string | null; current: string; live: string[]; asking: string[]; folders: Folder[]; hasShared: boolean };
  name: string;
  logo: string;
  account: string;
  /** Addresses of the menu at the bottom, "" where there is no way. */
  ways: { account: string; administration: string; dashboard: string; doctor: string; signOut: string };
  languages: [code: string, name: string][];
  sharing: string;
  isReader: boolean;
  pages: [title: string, href: string][];

  items: Map<string, Item>;
  cursor: string | null;
  current: string;
  live: Set<string>;
  asking: Set<string>;
  scope: ListScope;
  archived: boolean;
  folders: Folder[];
  hasShared: boolean;
  /** The conversations whose folder is being chosen. */
  moving: { ids: string[]; items: Item[] } | null;
  /** The conversations whose tags are being chosen. */
  tagging: Item[] | null;
  allTags: string[];
  folder: Folder | null;
  folderProblem: string;
  isFolderBusy: boolean;
  isRemovalSure: boolean;
  dropInto: string | null;
  /** The folder that the Tab key reaches. */
  folderStop: string;
  /** Called after a dialog was closed. */
  afterDialog?: () => void;
  isLoading: boolean;
  problem: string;
  query: string;
  hits: Hit[] | null;
  filters: typeof import("./modules/filters.js").NO_FILTERS;
  filterCount: number;
  areFiltersOpen: boolean;
  hitsOf: SearchRequest;
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
  isClosed: boolean;
  isHidden: boolean;
  isAppOpen: boolean;
  limits: [label: string, value: string][];
  isExporting: boolean;
  menuItem: Item | null;
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
  menuScrollTop: number;
  /** The button in the header whose menu was opened last. */
  menuOpener: HTMLElement;
  /** What had the focus before the drawer was opened. */
  opener: HTMLElement | null;
  /** The elements behind the drawer. */
  others: HTMLElement[];
  focusedLink?: string;
  sizes: ResizeObserver;
  clock: ReturnType<typeof setInterval>;
  searching?: ReturnType<typeof setTimeout>;
  toasting?: ReturnType<typeof setTimeout>;

  put(item: Item): void;
  takeOut(ids: string[]): void;
  callFor(id: string, sentence: string): void;
}
