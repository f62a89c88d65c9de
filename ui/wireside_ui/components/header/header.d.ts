/** The header's `this`. */
interface Header
  extends VueInstance<{
      sheet: HTMLDialogElement;
      title?: HTMLButtonElement;
      memberName?: HTMLElement;
      peopleClose?: HTMLElement;
    }>,
    PeopleMethods,
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
  sharedWith: HeaderShared | null;
  sharedNow: HeaderShared | null;
  people: HeaderPeople | null;
  invited: { kind: string; name: string; access: string };

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

/** Who can see the conversation, and what the user may do with it. */
interface HeaderShared {
  right: "own" | "reply" | "read";
  /** The user who shares it, "" for one of the user's own. */
  owner: string;
  /** The users and groups that an own one is shared with. */
  names: string[];
}

interface HeaderMember {
  kind: string;
  id: string;
  name: string;
  access: string;
}

/** The dialog in which a conversation is shared. */
interface HeaderPeople {
  isLoading: boolean;
  isBusy: boolean;
  problem: string;
  /** What was done last, for screen readers. */
  said: string;
  audience: { owner: string; members: HeaderMember[]; groups: string[] } | null;
}

type PeopleMethods = typeof import("./modules/people.js").people;
type SheetMethods = typeof import("./modules/sheet.js").sheet;
