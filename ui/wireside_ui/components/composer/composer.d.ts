/** A file of a question, as the server knows it. */
interface SentFile {
  id: string;
  name: string;
  media_type: string;
  /** A question has it already: it stays on the server when it is removed from the box. */
  isKept?: boolean;
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
  temporary: boolean;
  once: boolean;
  /** It ends the running answer and goes on from it. */
  steers: boolean;
  /** The models that answer it side by side. */
  compared: string[];
}

type ModelOptions = PresetOptions;

/** A stored text of the box; a string alone has no files and edits nothing. */
interface Draft {
  text: string;
  edits: string;
  before: string;
  files: SentFile[];
  filesBefore: SentFile[];
  /** The text came with the page's address. */
  isLinked: boolean;
}

type SettingName = "system" | "temperature" | "max_tokens" | "effort";

interface ComposerRefs {
  box: HTMLTextAreaElement;
  file: HTMLInputElement;
  options: HTMLElement;
  gauge: HTMLElement;
  tune: HTMLElement;
  voice: HTMLElement;
  voiceDone: HTMLElement;
  levels: HTMLElement;
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
    CompareMethods,
    GaugeMethods,
    OnceMethods,
    PresetMethods,
    PromptMethods,
    TemporaryMethods,
    TextMethods,
    VoiceMethods {}

type AddressMethods = typeof import("./modules/addresses.js").addresses;
type FileMethods = typeof import("./modules/files.js").files;
type SendingMethods = typeof import("./modules/sending.js").sending;
type SettingMethods = typeof import("./modules/settings.js").settings;
type OwnOptionMethods = typeof import("./modules/own_options.js").ownOptions;
/** An entry of the list that "/" or "@" opens. */
interface Suggestion {
  key: string;
  label: string;
  line: string;
  run: () => void;
}

/** How much of the model's context the next question uses, as in presenters/views.py. */
interface ContextUse {
  share: number;
  tokens: number;
  max_tokens: number;
  messages: number;
  max_messages: number;
  is_nearly_full: boolean;
  leaves_out: boolean;
}

type CompareMethods = typeof import("./modules/compare.js").compare;
type GaugeMethods = typeof import("./modules/gauge.js").gauge;
type OnceMethods = Omit<typeof import("./modules/once.js").once, "once">;
type PresetMethods = typeof import("./modules/presets.js").presets;
type PromptMethods = typeof import("./modules/prompts.js").prompts;
type TemporaryMethods = typeof import("./modules/temporary.js").temporary;
type TextMethods = Omit<typeof import("./modules/text.js").text, "text">;
type VoiceMethods = Omit<typeof import("./modules/voice.js").voice, "voice">;

interface ComposerState {
  conversation: string;
  lost: string;
  base: string;
  maxChars: number;
  maxFiles: number;
  maxFileMb: number;
  recordingS: number;
  isViewer: boolean;
  right: string;
  rightNow: string;
  isReader: boolean;
  isGuest: boolean;
  readOnlyText: string;
  footer: string;
  links: [label: string, href: string][];
  words: Words;
  chosen: Partial<ModelOptions> | null;
  preset: PresetOptions | null;
  link: {
    question: string;
    model: string;
    preset: PresetOptions | null;
    isPresetMissing: boolean;
    isTemporary: boolean;
  };

  id: string;
  text: string;
  attached: AttachedFile[];
  attachedBefore: AttachedFile[];
  outbox: OutboxItem[];
  isAnswering: boolean;
  isConnected: boolean;
  notice: string;
  waitS: number;
  isSalvaged: boolean;
  isLinked: boolean;
  linkModel: string;
  missing: string;
  offered: Model[];
  isTemporary: boolean;
  promptAt: number;
  promptsLeft: string;
  filling: { prompt: Prompt; values: Record<string, string> } | null;
  promptList: Suggestion[] | null;
  covers: boolean;
  once: string;
  hasAsked: boolean;
  isEnding: boolean;
  hasEnded: boolean;
  beginning: PresetOptions | null | undefined;
  allowance: string;
  voice: "" | "asking" | "recording" | "transcribing" | "failed";
  voiceS: number;
  voiceProblem: string;
  editing: string;
  open: boolean;
  settings: Partial<Record<SettingName, string>>;
  /** The options of each model's own, as typed, by field. */
  own: Record<string, Record<string, unknown>>;
  /** Entries of lists among them that are being typed, by model and field. */
  typing: Record<string, string>;
  isChoiceKnown: boolean;
  enterSends: boolean;
  onPreferences(): void;

  chars: number;
  tooLong: boolean;
  canSend: boolean;
  canSteer: boolean;
  compared: string[];
  context: ContextUse | null;
  isGaugeOpen: boolean;
  isCompacting: boolean;
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
  recording: import("./modules/recording.js").Recording | null;
  /** The recording that is transcribed, kept until that has worked. */
  recorded: Blob | null;
  voiceRequest: AbortController | null;
  timer?: ReturnType<typeof setTimeout>;
  choosing?: ReturnType<typeof setTimeout>;
}
