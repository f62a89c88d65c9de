/** The header's `this`. */
interface Header
  extends VueInstance<{ sheet: HTMLDialogElement; title?: HTMLButtonElement }>,
    SheetMethods {
  base: string;
  words: Words;
  begin: Item | null;
  isReader: boolean;
  /** The setting for who may open links to a conversation, "" for nobody. */
  sharing: string;

  conversation: Item | null;
  isRenaming: boolean;
  draft: string;
  isMenuOpen: boolean;

  title(): import("vue").VNode;
  renameBox(): import("vue").VNode;
  rename(): void;
  openMenu(): void;
  onMenuClosed(): void;
  share(): void;
  newChat(event: MouseEvent): void;
  toggleSidebar(): void;
  onShow(event: CustomEvent<string>): void;
  onKey(event: KeyboardEvent): void;
}

type SheetMethods = typeof import("./modules/sheet.js").sheet;
