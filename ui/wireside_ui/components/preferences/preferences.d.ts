/** The `this` of the dialog of preferences. */
interface Preferences extends VueInstance<{ dialog: HTMLDialogElement }> {
  base: string;
  words: Words;
  languages: [code: string, name: string][];

  isOpen: boolean;
  textSize: string;
  density: string;
  enterSends: boolean;
  readsOut: boolean;
  notifies: boolean;
  isNotifyingRefused: boolean;

  segments(key: "text_size" | "density", values: string[], chosen: string): import("vue").VNode;
  box(testid: string, label: string, isOn: boolean, change: (isOn: boolean) => unknown): import("vue").VNode;
  onShow(event: CustomEvent<string>): void;
  read(): void;
  write(key: string, text: string): void;
  setNotifying(isOn: boolean): Promise<void>;
}
