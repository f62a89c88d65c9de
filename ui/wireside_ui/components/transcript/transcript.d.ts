/** State of a turn, as in presenters/rows.py. */
type TurnState =
  | "waiting"
  | "thinking"
  | "streaming"
  | "asking"
  | "done"
  | "empty"
  | "stopped"
  | "interrupted"
  | "length_reached"
  | "filtered"
  | "error";

interface TextPart {
  kind: "text";
  html: string;
}

interface ReasoningPart {
  kind: "reasoning";
  text: string;
  /** How long the model reasoned; `null` if unknown. */
  seconds: number | null;
}

/** The fold of reasoning. */
type ReasoningElement = HTMLDetailsElement & { reasoning: import("./modules/reasoning.js").ReasoningText };

interface ToolPart {
  kind: "tool";
  call: string;
  name: string;
  state: string;
  seconds: number | null;
  arguments: string;
  result: string;
}

/** A part that is written whole; without `data` its text is shown. */
type DataPart = { kind: "data"; id: string; text: string } & (
  | { type: "step"; data: StepData | null }
  | { type: "source"; data: SourceData | null }
  | { type: "image"; data: ImageData_ | null }
  | { type: "file"; data: FileData | null }
  | { type: "table"; data: TableData | null }
  | { type: "figure"; data: FigureData | null }
  | { type: "question"; data: QuestionData | null }
  | { type: "view"; data: { name: string } | null }
  | { type: "summary"; data: { turns: number | null; undone: boolean } | null }
  | { type: "late"; data: null }
);

/** A data part of a type, whose data could be read. */
type Whole<T extends DataPart["type"]> = {
  id: string;
  text: string;
  data: NonNullable<Extract<DataPart, { type: T }>["data"]>;
};

type AnswerPart = TextPart | ReasoningPart | ToolPart | DataPart;

interface StepData {
  name: string;
  state: string;
  seconds: number | null;
  input: string;
  output: string;
  parent: string;
}

interface SourceData {
  url?: string;
  title?: string;
  host?: string;
  text?: string;
}

interface ImageData_ {
  url: string;
  name: string;
  /** The server that has it, if that is another one. */
  host?: string;
}

interface FileData {
  url: string;
  name: string;
  size_bytes: number | null;
}

type Cell = string | number | boolean | null;

interface TableData {
  columns: string[];
  rows: Cell[][];
  /** Whether a column is aligned right. */
  right: boolean[];
  total: number;
  columns_cut: number;
}

interface FigureData {
  data: unknown;
  layout: Record<string, unknown>;
  height?: number;
}

interface Choice {
  value: string;
  label: string;
}

interface FieldData {
  name: string;
  label: string;
  type: "text" | "number" | "switch" | "choice";
  value: string | number | boolean | null;
  required: boolean;
  options: Choice[];
}

interface QuestionData {
  id: string;
  type: "approve" | "choose" | "form" | "text" | "file";
  prompt: string;
  /** null: there is none. */
  answer: unknown;
  yes: string;
  no: string;
  options: Choice[];
  multiple: boolean;
  fields: FieldData[];
  multiline: boolean;
  placeholder: string;
  /** The types of files that are accepted. */
  media_types: string[];
}

/** The data of a turn, as in presenters/rows.py. */
interface RowData {
  id: string;
  question: string;
  files: { id: string; name: string; media_type: string }[];
  state: TurnState;
  parts: AnswerPart[];
  error: string;
  retry_after: number | null;
  sibling: number;
  siblings: number;
  feedback: "" | "up" | "down";
  /** Whether administrators may read the rated answer. */
  is_shown: boolean;
  /** What the page added to the question: the name of it, or its text. */
  instruction: string;
  /** The name of the other user who has asked, "" if that is known by itself. */
  asked_by: string;
  /** Whether the user has asked, in a conversation of another user. */
  is_asker: boolean;
  /** Whether the answer's text was changed by its owner. */
  edited: boolean;
  model: string;
  details: {
    code: string;
    stream: string;
    at: number;
    input_tokens: number | null;
    output_tokens: number | null;
    costs: [amount: number, currency: string][];
    first_token_s: number | null;
    tokens_per_s: number | null;
  } | null;
  asked_at: number;
  /** The other answers that are shown next to this one. */
  beside: NewRowData[];
  /** Questions to ask next. */
  follow_ups: string[];
}

type NewRowData = Pick<RowData, "id"> & Partial<RowData>;

/** The text that grows at the end of an answer. */
interface LiveText {
  prose: HTMLElement | null;
  /** The element that grows: the prose, or a list or table in it. */
  place: HTMLElement | null;
  /** The last node of `place` that does not change any more. */
  mark: ChildNode | null;
  /** The HTML after the mark. */
  html: string;
  code: Text | null;
  plain: Text | null;
  /** Length of the text after the mark that was read out. */
  said: number;
  muted: boolean;
}

interface GrowingText extends LiveText {
  prose: HTMLElement;
  place: HTMLElement;
}

/** A turn, with its elements while it has DOM. */
/** What the user may do with a conversation. */
type Right = "own" | "reply" | "read";

/** A comment on a turn, as in the REST API. */
interface TurnComment {
  id: string;
  turn: string;
  author: string;
  is_own: boolean;
  can_delete: boolean;
  text: string;
  created_at: string;
  edited_at: string | null;
}

/** The open comments of a turn. */
interface CommentThread {
  el: HTMLElement;
  list: HTMLElement;
  note: HTMLElement;
  /** The id of the comment that is being edited, "" for none. */
  editing: string;
  /** undefined until they are read. */
  comments?: TurnComment[];
}

interface Row extends RowElements {
  data: RowData;
  /** The rows next to it, in a comparison of models. */
  beside: Row[];
  /** Whether it is one of several that are shown side by side. */
  isCompared: boolean;
  /** The name of its model above it. */
  columnHead?: HTMLElement;
  el: HTMLElement | null;
  live: LiveText | null;
  /** Its content is kept, wherever the reader is. */
  stays?: boolean;
  /** Height when it was last on the page, in pixels. */
  height?: number;
  /** Time of the automatic retry; 0: there is none. */
  deadline: number;
  /** Whether a long question is shown whole. */
  isQuestionOpen?: boolean;
  askedAt?: number;
  /** Keys of the folds that the reader has opened. */
  opened?: Set<string>;
  /** The form for a comment to the feedback. */
  say?: HTMLElement | null;
  thread?: CommentThread | null;
  grew?: boolean;
  /** Number of parts when the state was last painted. */
  painted?: number;
}

interface RowElements {
  questionPart: HTMLElement;
  answerPart: HTMLElement;
  body: HTMLElement;
  sourcePart: HTMLElement;
  foot: HTMLElement;
  commentPart: HTMLElement;
  partsById: Map<string, HTMLElement>;
  sources: Map<string, SourceData & { number: number }>;
  /** Cards of questions by part, in which something may be written. */
  keptQuestions: Map<string, AskElement>;
}

/** The card of a question. */
interface AskElement extends HTMLElement {
  question: Whole<"question">;
  /** What it shows, as JSON. */
  shown?: string;
  isSent?: boolean;
}

interface FigureElement extends HTMLElement {
  figure: FigureData;
  plot?: HTMLElement | null;
  isDrawing?: boolean;
  hasFailed?: boolean;
}

/** A turn and where its top is to be, in pixels below the top of the view. */
interface Goal {
  index: number;
  top: number;
}

/** An operation of `markdown/incremental.py` or of the presenter on a growing answer. */
type TextOp =
  | ["t" | "f", keep: number, html: string]
  | ["c", language: string, text: string]
  | ["a" | "p" | "o" | "r", text: string]
  | ["s"]
  | ["z"];
type AnswerOp = TextOp | ["g", text: string] | ["u", tool: ToolPart] | ["d", part: DataPart] | ["x"];

interface Findings {
  query: string;
  /** Indices of the turns with matches. */
  turns: number[];
  at: number;
  ranges: Range[];
  range: number;
  isNew?: boolean;
}

interface ScrollWay {
  begin?: boolean;
  end?: boolean;
  pages?: number;
  lines?: number;
}

/** The transcript's `this`. */
interface Transcript
  extends VueInstance,
    TranscriptState,
    ActionMethods,
    AnnouncingMethods,
    AttachmentMethods,
    CodeToolMethods,
    CommentMethods,
    BlockMethods,
    CopyMenuMethods,
    CopyingMethods,
    DetailMethods,
    DiagramMethods,
    EditedMethods,
    FeedbackMethods,
    FigureMethods,
    FindMethods,
    FollowUpMethods,
    FormulaMethods,
    KeyMethods,
    MountingMethods,
    NotesMethods,
    PaintingMethods,
    PartMethods,
    PrintingMethods,
    QuestionMethods,
    ReadingAloudMethods,
    RewritingMethods,
    ScrollingMethods,
    SourceMethods,
    StepMethods,
    StreamingMethods,
    TableMethods,
    TurnMethods,
    ViewMethods {}

type ActionMethods = typeof import("./modules/actions.js").actions;
type AnnouncingMethods = typeof import("./modules/announcing.js").announcing;
type AttachmentMethods = typeof import("./modules/attachments.js").attachments;
type BlockMethods = typeof import("./modules/blocks.js").blocks;
type CodeToolMethods = typeof import("./modules/code_tools.js").codeTools;
type CommentMethods = typeof import("./modules/comments.js").comments;
type CopyMenuMethods = typeof import("./modules/copy_menu.js").copyMenu;
type CopyingMethods = typeof import("./modules/copying.js").copying;
type DetailMethods = typeof import("./modules/details.js").details;
type DiagramMethods = typeof import("./modules/diagrams.js").diagrams;
type EditedMethods = typeof import("./modules/edited.js").edited;
type FeedbackMethods = typeof import("./modules/feedback.js").feedback;
type FigureMethods = typeof import("./modules/figures.js").figures;
type FindMethods = typeof import("./modules/find.js").find;
type FollowUpMethods = typeof import("./modules/follow_ups.js").followUps;
type FormulaMethods = typeof import("./modules/formulas.js").formulas;
type KeyMethods = typeof import("./modules/keys.js").keys;
type MountingMethods = typeof import("./modules/mounting.js").mounting;
type NotesMethods = typeof import("./modules/notes.js").notes;
type PaintingMethods = typeof import("./modules/painting.js").painting;
type PartMethods = typeof import("./modules/parts.js").parts;
type PrintingMethods = typeof import("./modules/printing.js").printing;
type QuestionMethods = typeof import("./modules/questions.js").questions;
type ReadingAloudMethods = typeof import("./modules/reading_aloud.js").readingAloud;
type RewritingMethods = typeof import("./modules/rewriting.js").rewriting;
type ScrollingMethods = typeof import("./modules/scrolling.js").scrolling;
type SourceMethods = typeof import("./modules/sources.js").sources;
type StepMethods = typeof import("./modules/steps.js").steps;
type StreamingMethods = typeof import("./modules/streaming.js").streaming;
type TableMethods = typeof import("./modules/tables.js").tables;
type TurnMethods = typeof import("./modules/turns.js").turns;
type ViewMethods = typeof import("./modules/views.js").views;

interface TranscriptState {
  words: Words;
  announce: boolean;
  pageSize: number;
  guess: number;
  isViewer: boolean;
  right: Right;
  rightNow: Right;
  isReader: boolean;
  comments: { counts: Record<string, number>; canAdd: boolean } | null;
  /** Number of comments by turn. */
  commentCounts: Map<string, number>;
  canComment: boolean;
  asksConsent: boolean;
  assets: string;
  files: string;
  version: string;
  uploads: string;
  views: string;
  viewNames: string[];
  begin: { rows: NewRowData[]; total: number; source?: string } | null;

  /** By index; a hole is a turn whose content is not loaded. */
  rows: (Row | undefined)[];
  heights: number[];
  byId: Map<string, Row>;
  /** The mounted turns: from `first` to before `end`. */
  first: number;
  end: number;
  /** Pages of turns that were requested. */
  asked: Set<number>;
  queue: { id: string; work: (row: Row) => void }[];
  pumping?: boolean;
  copies: Map<string, (text: string) => void>;
  /** What is to be done when the server has stored an edited answer, by its new turn. */
  rewrites: Map<string, (problem: string) => void>;
  /** The turn that is read aloud. */
  reading: Row | null;
  source: string;
  isReadOut: boolean;
  /** The id of the turn that is edited in the message box, "" for none. */
  editedId: string;
  /** Words of a search, to be marked after the jump to its hit. */
  lookedFor: string;
  /** The turn at which a search of the bar begins, undefined for the visible one. */
  findStart?: number;
  toGlide: number;
  gliding: number;
  findings: Findings | null;
  findBar?: HTMLElement | null;
  findTimer?: ReturnType<typeof setTimeout>;
  /** What had the focus before the find bar was opened. */
  findFrom: HTMLElement | null;
  speech: string;
  /** The view stays at the end. */
  stick: boolean;
  goal: Goal | null;
  anchor: (Goal & { at: number }) | null;
  /** The target of a jump, until it is shown. */
  found?: number;
  lastTop: number;
  /** Width of the list when it last changed its size, in pixels. */
  lastWidth?: number;
  frame?: number;
  template: HTMLTemplateElement;
  isPrinting?: boolean;
  printedFrom?: Goal | null;
  paper?: HTMLElement | null;
  menu?: { el: HTMLElement; button: HTMLElement } | null;
  notice?: HTMLElement;
  isAllSelected?: boolean;
  wasDark?: boolean;

  scroller: HTMLElement;
  above: HTMLElement;
  list: HTMLDivElement & { children: HTMLCollectionOf<HTMLElement> };
  below: HTMLElement;
  /** The element in the scroller, as wide as the text. */
  column: HTMLElement;
  newText: HTMLButtonElement;
  live: HTMLElement;
  where: HTMLElement;
  closer: (event: Event) => unknown;
  observer: ResizeObserver;
  figureObserver?: ResizeObserver;
  themeObserver?: MutationObserver;
  ticker: ReturnType<typeof setInterval>;
}
