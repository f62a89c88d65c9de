interface Banner {
  /** Identifies the banner as it was last changed. */
  key: string;
  text: string;
  severity: "info" | "warning" | "error";
  isDismissible: boolean;
}

/** The `this` of the banners. */
interface Banners extends VueInstance<{}> {
  begin: Banner[];
  words: Words;

  banners: Banner[];
  dismissed: string[];
  shown: Banner[];

  show(banners: Banner[]): void;
  dismiss(key: string): void;
}
