// Types of what the scripts find on a page: NiceGUI's modules and the globals of the page itself. The types of a
// component's `this` are beside it, in NAME.d.ts.

declare module "vue" {
  export interface VNode {
    el: HTMLElement;
  }
  /** A listener of an element: the event's target is one of these elements. */
  type On<E extends Event, T extends HTMLElement = HTMLElement> = (
    event: E & { target: T; currentTarget: T },
  ) => unknown;
  interface Attributes {
    onInput?: On<InputEvent, HTMLInputElement>;
    onChange?: On<Event, HTMLInputElement>;
    onClick?: On<MouseEvent>;
    onKeydown?: On<KeyboardEvent>;
    onFocus?: On<FocusEvent, HTMLInputElement>;
    onFocusin?: On<FocusEvent>;
    onFocusout?: On<FocusEvent & { relatedTarget: Node | null }>;
    onBlur?: On<FocusEvent>;
    onSubmit?: On<SubmitEvent>;
    onPaste?: On<ClipboardEvent>;
    onDragover?: On<DragEvent>;
    onDragleave?: On<DragEvent & { relatedTarget: Node | null }>;
    onDrop?: On<DragEvent>;
    onVnodeMounted?: (node: { el: HTMLInputElement }) => unknown;
    [name: string]: unknown;
  }
  type Child = VNode | string | number | null | undefined | Child[];
  export function h(type: string, children?: Child): VNode;
  export function h(type: string, attributes: Attributes, children?: Child): VNode;
  export function markRaw<T extends object>(value: T): T;
  export function toRaw<T>(value: T): T;
  export function reactive<T extends object>(value: T): T;
  export function shallowReactive<T extends object>(value: T): T;
}

declare module "nicegui-echart" {
  export interface Chart {
    setOption(option: object, how: object): void;
    resize(): void;
    dispose(): void;
  }
  export const echarts: { init(el: HTMLElement, theme: null, options: object): Chart };
}

declare module "nicegui-mermaid" {
  const mermaid: {
    initialize(options: object): void;
    render(id: string, source: string, container?: Element | null): Promise<{ svg: string }>;
  };
  export { mermaid };
  export default { mermaid };
}

declare module "nicegui-plotly" {
  export const Plotly: {
    newPlot(el: HTMLElement, data: unknown, layout: object, config: object): Promise<unknown>;
    react(el: HTMLElement, data: unknown, layout: object, config: object): Promise<unknown>;
    purge(el: HTMLElement): void;
    Plots: { resize(el: HTMLElement): Promise<unknown> };
  };
}

/** What a component's methods may use of Vue. `Refs` are the elements of its render function. */
interface VueInstance<Refs = Record<string, never>> {
  $el: HTMLElement;
  $refs: Refs;
  $slots: { default?: () => import("vue").VNode[] };
  $emit(event: string, ...values: unknown[]): void;
  $nextTick(work: () => void): Promise<void>;
}

/** The options of a component whose instance is `T`. */
type ComponentOptions<T> = ThisType<T> & {
  computed?: ThisType<T> & Record<string, unknown>;
  methods?: ThisType<T> & Record<string, unknown>;
  watch?: ThisType<T> & Record<string, unknown>;
  [name: string]: unknown;
};

/** Sentences in the page's language, by key. */
type Words = Record<string, string>;

/** NiceGUI's Socket.IO connection. */
interface PageSocket {
  connected: boolean;
  io?: {
    reconnectionDelay(ms: number): void;
    reconnectionDelayMax(ms: number): void;
    randomizationFactor(factor: number): void;
    on(event: string, listener: () => void): void;
  };
  on(event: "connect_error", listener: (error: { message: string }) => void): void;
  on(event: "wireside_move", listener: (asked: { within_ms: number }) => void): void;
  on(event: string, listener: () => void): void;
  onAny(listener: () => void): void;
  onAnyOutgoing(listener: (event: string) => void): void;
  timeout(ms: number): { emit(event: string, listener: (error: unknown) => void): void };
  connect(): void;
  disconnect(): void;
}

/** What was typed and asked before the page's script was loaded. */
interface EarlyInput {
  text: string;
  hasFocus: boolean;
  selection: [start: number, end: number];
  sends: boolean;
  asks: string;
}

interface Window {
  /** Draws formulas; set by assets/math.js. */
  wiresideMath?: {
    typeset(el: HTMLElement, source?: string): void;
    typesetAll(root: ParentNode): void;
  };
  katex: {
    __parse(tex: string, options: object): Record<string, unknown>;
    render(tex: string, el: HTMLElement, options: object): void;
  };
  /** The browser blocks its storage; values are in memory. */
  wiresideStorageBlocked?: boolean;
  /** Returns the theme, or sets it; of inline_scripts/before_paint.js. */
  wiresideTheme?(theme?: Theme): Theme;
  /** The shell before the page is mounted; of inline_scripts/until_mounted.js. */
  wiresideShell?: { isTyped(): boolean; takeOver(): EarlyInput | undefined };
  /** Quasar, where NiceGUI has loaded it: in views and pages of a team. */
  Quasar?: { Dark: { set(isDark: boolean): void } };
  ResizeObserver: typeof ResizeObserver;
  wiresideBubble?: { open(): void; close(): void; toggle(): void };
  /** The prefix of the chat's keys in the browser's storage. */
  wiresideKeys?: string;
  socket?: PageSocket;
  /** Opens the connection; of socket.io's script. */
  io: (...given: unknown[]) => PageSocket;
  /** The path below which the page is; set by NiceGUI's script. */
  path_prefix?: string;
  did_handshake?: boolean;
  Vue: unknown;
  createApp(elements: unknown, options: unknown): PageApplication;
}

interface PageApplication {
  component(tag: string, component: unknown): void;
  mount(selector: string): void;
}

type IconName = import("../ui/wireside_ui/components/kit/modules/icons.js").IconName;

/** What a page sends to inline_scripts/before_paint.js. */
interface Beginning {
  keys: string;
  theme: Theme;
  lang: string;
  dir: string;
  light: string;
  dark: string;
}

type Theme = "system" | "light" | "dark";

/** What a worker answers with while the server can't be reached; for inline_scripts/service_worker.js. */
interface OfflineAnswer {
  page: string;
  headers: Record<string, string>;
  /** Beginnings of paths whose navigations it leaves alone. */
  passed: string[];
}

/** What the page in inline_scripts/offline_page.js reads. */
interface OfflineWords {
  words: Record<string, Words>;
  rightToLeft: string[];
  base: string;
  theme: Theme;
}

/** What a service worker uses of its globals, which the types of a page do not have. */
interface ServiceWorkerScope {
  registration: ServiceWorkerRegistration;
  skipWaiting(): Promise<void>;
  addEventListener(type: "install", listener: () => unknown): void;
  addEventListener(type: "fetch", listener: (event: WorkerRequest) => void): void;
}

interface WorkerRequest {
  request: Request;
  respondWith(response: Promise<Response>): void;
}


/** The scripts look for elements of HTML only, by selectors. */
type Selected<S extends string> = S extends keyof HTMLElementTagNameMap
  ? HTMLElementTagNameMap[S]
  : HTMLElement;

interface ParentNode {
  querySelector<S extends string>(selector: S): Selected<S> | null;
  querySelectorAll<S extends string>(selector: S): NodeListOf<Selected<S>>;
}

interface Element {
  closest<S extends string>(selector: S): Selected<S> | null;
}

/** What a page that is loaded again takes with it: the turn that is read, or the draft of a temporary chat. */
interface MovingPage {
  turn?: string;
  fleeting?: Fleeting;
}

interface Fleeting {
  text: string;
  /** Whether the chat had more than this draft. */
  hasEnded: boolean;
}

interface WindowEventMap {
  "wireside:ask": CustomEvent<string>;
  "wireside:open": CustomEvent<string>;
  "wireside:model": CustomEvent<string>;
  "wireside:deleted": CustomEvent<string[]>;
  "wireside:connection": CustomEvent<string>;
  "wireside:scroll": CustomEvent<number>;
  "wireside:editing": CustomEvent<string>;
  /** The page is going to be loaded again; a listener may prevent that for now. */
  "wireside:move": CustomEvent<MovingPage>;
  "wireside:found": CustomEvent<string>;
  "wireside:show": CustomEvent<string>;
  "wireside:share": CustomEvent<Item>;
  "wireside:menu": CustomEvent<{ item: Item; button: HTMLElement }>;
}
