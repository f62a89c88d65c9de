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
  shown: string;
  problem: string;
  greeting: string;
  forUser: string[];
  offered: string[];
  notice(): import("vue").VNode;
  choices(): import("vue").VNode;
  newChat(): void;
  ask(text: string): void;
}
