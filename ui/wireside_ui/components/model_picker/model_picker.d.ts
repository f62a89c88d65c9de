/** The model picker's `this`. */
interface ModelPicker extends VueInstance<{
  button: HTMLButtonElement;
  list?: HTMLElement;
  filter?: HTMLInputElement;
}> {
  models: Model[];
  words: Words;
  problem: string;
  isLooking: boolean;
  open: boolean;
  filter: string;
  offered: Model[];
  current: Model | undefined;
  isGone: boolean;
  found: Model[];
  preset: string;
  presets: Preset[];
  label: string;
  isComparing: boolean;
  compared: string[];
  openCompare(): void;
  comparable(): Model[];
  compare(event: SubmitEvent): void;
  compareForm(): import("vue").VNode;
  choose(id: string): void;
  choosePreset(preset: Preset): void;
  managePresets(): void;
  group(
    name: string,
    options: import("vue").VNode[],
    isNamed?: boolean,
  ): import("vue").VNode | null;
  presetOption(preset: Preset): import("vue").VNode;
  options(): HTMLElement[];
  retry(): void;
  name(text: string): import("vue").VNode;
  reason(): import("vue").VNode;
  menu(): import("vue").VNode;
  toggle(): void;
  close(): void;
  onOutside(event: MouseEvent): void;
  onLeave(event: { relatedTarget: Node | null }): void;
  onKey(event: KeyboardEvent): void;
}

/** What is typed or chosen; the bounds are those of a number, or of the number of entries. */
interface OptionItem {
  type: "text" | "number" | "switch" | "choice" | "choices" | "entries";
  low?: number | null;
  high?: number | null;
  isWhole?: boolean;
  maxChars?: number | null;
}

/** An option of a handler, as in presenters/option_fields.py. */
interface OptionField extends OptionItem {
  name: string;
  label: string;
  about?: string;
  default?: unknown;
  required?: boolean;
  /** What the entries of a list are. */
  item?: OptionItem;
  isUnique?: boolean;
  choices: { value: unknown; label: string }[];
}

/** A model that the server offers. */
interface Model {
  id: string;
  name: string;
  canChat?: boolean;
  canSee?: boolean;
  description?: string;
  icon?: string;
  starters?: string[];
  options?: OptionField[];
}

interface WindowEventMap {
  /** The models that answer the next question side by side. */
  "wireside:compared": CustomEvent<string[]>;
}
