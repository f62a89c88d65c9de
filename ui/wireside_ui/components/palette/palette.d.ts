/** An entry of the palette. */
interface PaletteEntry {
  key: string;
  group: string;
  label: string;
  /** A second, quiet line. */
  line?: string;
  /** Other words by which it is found. */
  also?: string;
  run: () => void;
}

interface PaletteConversation {
  id: string;
  title: string;
  turn: string | null;
  line: string;
}

/** The palette's `this`. */
interface Palette
  extends VueInstance<{ dialog: HTMLDialogElement; input: HTMLInputElement; list: HTMLElement }>,
    PaletteCommandMethods,
    PaletteConversationMethods {
  base: string;
  words: Words;
  isReader: boolean;
  links: [label: string, href: string][];
  settings: string[];
  query: string;
  at: number;
  isOpen: boolean;
  /** Enter was pressed before there was an entry: the first one that is found is run. */
  isEntered: boolean;
  conversations: PaletteConversation[];
  /** The query whose conversations are shown. */
  conversationsOf: string | null;
  entries: PaletteEntry[];
  groups: { name: string; entries: { entry: PaletteEntry; at: number }[] }[];
  searching?: ReturnType<typeof setTimeout>;
  onPageKey(event: KeyboardEvent): void;
  show(): void;
  close(then?: () => void): void;
  onKey(event: KeyboardEvent): void;
  move(at: number): void;
  rows(): { entry: PaletteEntry; at: number }[];
  markedEntry(): PaletteEntry | undefined;
  mark(key: string): void;
  setQuery(query: string): void;
  row(row: { entry: PaletteEntry; at: number }): import("vue").VNode;
}

type PaletteCommandMethods = typeof import("./modules/commands.js").commands;
type PaletteConversationMethods = typeof import("./modules/found.js").found;

interface WindowEventMap {
  "wireside:search": CustomEvent;
  "wireside:palette": CustomEvent;
}
