/** A file of a question, as the server knows it. */
interface SentFile {
  id: string;
  name: string;
  media_type: string;
}

/** A file of the next question: being uploaded, or on the server (then it has an id). */
interface AttachedFile extends SentFile {
  key: string;
  /** From 0 to 1. */
  progress: number;
  file?: File | null;
  preview?: string;
  request?: XMLHttpRequest | null;
}

/** A question that the server has not acknowledged yet. */
interface OutboxItem {
  turn_id: string;
  question: string;
  /** The turn that it replaces. */
  edits: string | null;
  options: ModelOptions;
  attachments: string[];
  files: SentFile[];
}

interface ModelOptions {
  model: string | null;
  system: string | null;
  temperature: number | null;
  max_tokens: number | null;
  values: Record<string, unknown> | null;
}

/** A stored text of the box; a string alone has no files and edits nothing. */
interface Draft {
  text: string;
  edits: string;
  before: string;
  files: SentFile[];
}

type SettingName = "system" | "temperature" | "max_tokens";

interface ComposerRefs {
  box: HTMLTextAreaElement;
  file: HTMLInputElement;
  options: HTMLElement;
  tune: HTMLElement;
  system: HTMLElement;
}

/** The composer's `this`. */
interface Composer
  extends VueInstance<ComposerRefs>,
    ComposerState,
    AddressMethods,
    FileMethods,
    SendingMethods,
    SettingMethods,
    OwnOptionMethods,
    TextMethods {}

type AddressMethods = typeof import("./modules/addresses.js").addresses;
type FileMethods = typeof import("./modules/files.js").files;
type SendingMethods = typeof import("./modules/sending.js").sending;
type SettingMethods = typeof import("./modules/settings.js").settings;
type OwnOptionMethods = typeof import("./modules/own_options.js").ownOptions;
type TextMethods = Omit<typeof import("./modules/text.js").text, "text">;

interface ComposerState {
  conversation: string;
  lost: string;
  base: string;
  maxChars: number;
  maxFiles: number;
  maxFileMb: number;
  isReader: boolean;
  footer: string;
  links: [label: string, href: string][];
  words: Words;
  chosen: Partial<ModelOptions> | null;

  id: string;
  text: string;
  attached: AttachedFile[];
  outbox: OutboxItem[];
  isAnswering: boolean;
  isConnected: boolean;
  notice: string;
  waitS: number;
  isSalvaged: boolean;
  allowance: string;
  editing: string;
  open: boolean;
  settings: Partial<Record<SettingName, string>>;
  /** The options of each model's own, as typed, by field. */
  own: Record<string, Record<string, unknown>>;
  isChoiceKnown: boolean;
  enterSends: boolean;
  readsOut: boolean;

  chars: number;
  tooLong: boolean;
  canSend: boolean;
  invalid: string | undefined;
  ownProblem: string;
  gone: string;
  stops: boolean;
  blind: string;
  warning: string;
  hint: import("vue").VNode | string;
  countdown: import("vue").VNode | null;
  hasSettings: boolean;

  /** The next conversation replaces the page's history entry. */
  replaces?: boolean;
  /** The conversation that was shown when it was deleted, with its text. */
  left: { id: string; text: string | Draft } | null;
  isChoiceNew: boolean;
  /** Time until which a refused request may not be retried. */
  deadline: number;
  /** The text of the box before an edit. */
  beforeEditing: string;
  /** The edited question as it was. */
  original: string;
  observer: ResizeObserver;
  timer?: ReturnType<typeof setTimeout>;
  choosing?: ReturnType<typeof setTimeout>;
}
