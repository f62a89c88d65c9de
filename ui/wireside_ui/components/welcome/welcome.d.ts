/** The `this` of the empty chat. */
interface Welcome extends VueInstance {
  name: string;
  tagline: string;
  logo: string;
  starters: string[];
  welcome: string;
  userStarters: string[];
  words: Words;
  view: string;
  isReader: boolean;
  isTemporary: boolean;
  shown: string;
  problem: string;
  greeting: string;
  forUser: string[];
  offered: string[];
  notice(): import("vue").VNode;
  choices(): import("vue").VNode;
  newChat(): void;
  open(detail: string): void;
  title(): string;
  line(): string;
  temporarySwitch(): import("vue").VNode;
  ask(text: string): void;
}
