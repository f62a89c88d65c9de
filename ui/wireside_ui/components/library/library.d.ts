/** A text to ask with. */
interface Prompt {
  id: string;
  name: string;
  text: string;
  shared: boolean;
  own: boolean;
  editable: boolean;
}

/** An error of a request; the code is "offline" if the server can't be reached. */
interface Problem {
  message: string;
  code: string;
}

interface Answer {
  data: any;
  problem: Problem | null;
}

/** A model and settings. */
interface PresetOptions {
  model: string | null;
  system: string | null;
  temperature: number | null;
  max_tokens: number | null;
  effort: string | null;
  values: Record<string, unknown> | null;
}

interface Preset extends PresetOptions {
  id: string;
  name: string;
  shared: boolean;
  own: boolean;
  editable: boolean;
}

/** The fields of a form, as typed. */
interface LibraryForm {
  /** "" for a new one. */
  id: string;
  name: string;
  shared: boolean;
  text: string;
  options: PresetOptions;
  temperature: string;
  max_tokens: string;
}

type LibraryKind = "prompts" | "presets";

/** What the event `wireside:library` opens: the list, or the form of a new preset. */
interface LibraryRequest {
  kind: LibraryKind;
  options?: PresetOptions;
}

interface WindowEventMap {
  "wireside:library": CustomEvent<LibraryRequest>;
  "wireside:preset": CustomEvent<PresetOptions>;
  "wireside:prompt": CustomEvent<Prompt>;
}

/** The library's `this`. */
interface LibraryDialog
  extends VueInstance<{
      dialog: HTMLDialogElement;
      file: HTMLInputElement;
      name?: HTMLInputElement;
      fresh?: HTMLButtonElement;
    }>,
    LibraryListMethods,
    LibraryFormMethods {
  base: string;
  words: Words;
  canShare: boolean;
  isReader: boolean;
  kind: LibraryKind;
  form: LibraryForm | null;
  /** The form as it was at the beginning, as JSON. */
  before: string;
  isChanged: boolean;
  /** Where a form that would be lost is to be left for, once that is confirmed. */
  leaving: "" | "list" | "close";
  /** The id of the item whose deletion must be confirmed. */
  removing: string;
  problem: string;
  note: string;
  isBusy: boolean;
  items: (Prompt | Preset)[];
  isPresets: boolean;
  invalid: string;
  show(event: CustomEvent<LibraryRequest>): void;
  close(): void;
  send(address: string, method?: string, body?: unknown): Promise<Answer>;
  leave(to: "list" | "close"): void;
  onMove(event: CustomEvent): void;
  load(): Promise<void>;
}

type LibraryListMethods = typeof import("./modules/items.js").list;
type LibraryFormMethods = typeof import("./modules/item_form.js").form;
