/** The model picker's `this`. */
interface ModelPicker extends VueInstance<{
  button: HTMLButtonElement;
  list?: HTMLElement & { children: HTMLCollectionOf<HTMLElement> };
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
  label: string;
  choose(id: string): void;
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

/** An option of a handler, as in presenters/option_fields.py. */
interface OptionField {
  name: string;
  label: string;
  type: "text" | "number" | "switch" | "choice";
  about?: string;
  default?: string | number | boolean | null;
  low?: number | null;
  high?: number | null;
  isWhole?: boolean;
  maxChars?: number | null;
  required?: boolean;
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
