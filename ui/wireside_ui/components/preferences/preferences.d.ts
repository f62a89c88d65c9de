/** A setting, as the dialog of settings and the command palette find it. */
interface Setting {
  id: string;
  group: string;
  label: string;
  /** Its synonyms. */
  also: string;
}

/** The `this` of the dialog of settings. */
interface Preferences
  extends VueInstance<{
      dialog: HTMLDialogElement;
      search: HTMLInputElement;
      list: HTMLElement;
      word: HTMLInputElement;
      delete?: HTMLElement;
    }>,
    PreferenceRows,
    PreferenceData {
  base: string;
  words: Words;
  languages: [code: string, name: string][];
  /** The ids of the settings that the user has. */
  settings: string[];

  isOpen: boolean;
  query: string;
  found: Setting[];
  textSize: string;
  density: string;
  accent: string;
  enterSends: boolean;
  readsOut: boolean;
  notifies: boolean;
  /** Why notifications can't be switched on; "" if they can be. */
  notifying: "" | "refused" | "unavailable";
  problem: string;
  isDeleting: boolean;
  /** What is typed to confirm the deletion. */
  typed: string;
  isBusy: boolean;
  /** What was done. */
  done: string;

  searchForm(): import("vue").VNode;
  groups(): import("vue").Child[];
  onSearchKey(event: KeyboardEvent): void;
  onShow(event: CustomEvent<string>): void;
  onHash(): void;
  show(id?: string): void;
  focusOn(id: string | undefined): void;
  readPresets(): Promise<void>;
  read(): void;
  write(key: string, text: string): void;
}

type PreferenceRows = typeof import("./modules/rows.js").rows;
type PreferenceData = typeof import("./modules/data.js").data;

interface WindowEventMap {
  "wireside:import": CustomEvent;
}
