/** The header's `this`. */
interface Header extends VueInstance<{ sheet: HTMLDialogElement }> {
  name: string;
  logo: string;
  base: string;
  words: Words;
  theme: Theme;
  readTheme(): void;
  nextTheme(): void;
  newChat(event: MouseEvent): void;
  toggleSidebar(): void;
  sheet(): import("vue").VNode;
  help(): void;
  onKey(event: KeyboardEvent): void;
}
