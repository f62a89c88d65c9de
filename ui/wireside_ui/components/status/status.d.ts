/** The `this` of the connection status. */
interface Status extends VueInstance<{ button: HTMLButtonElement }> {
  base: string;
  words: Words;
  open: boolean;
  connection: string;
  attempts: number;
  reconnects: number;
  latencies: number[];
  rate: number;
  label: string;

  messages: number;
  /** Times, each with the number of messages up to it. */
  samples: number[][];
  measuredAt?: number;
  wasConnected?: boolean;
  isAsking?: boolean;
  timer?: ReturnType<typeof setInterval>;
  hooking?: ReturnType<typeof setTimeout>;
  darkening?: ReturnType<typeof setTimeout>;

  panel(): import("vue").VNode;
  onOutside(event: MouseEvent): void;
  onLeave(event: { relatedTarget: Node | null }): void;
  onKey(event: KeyboardEvent): void;
  hookSocket(): void;
  everySecond(): void;
  measure(): void;
  onConnect(): void;
  onLost(): void;
  askWhoIAm(): Promise<void>;
  connectNow(): void;
  onVisibility(): void;
  setConnection(state: string): void;
}
