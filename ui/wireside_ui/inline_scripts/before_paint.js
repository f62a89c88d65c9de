// Runs before the body exists, so that nothing flashes in the wrong colours or direction, and before
// NiceGUI's scripts, which read `sessionStorage` without catching errors: if the browser blocks it,
// it is replaced by an in-memory implementation.
(/** @type {Beginning} */ begin) => {
  const { keys } = begin; // the prefix of this chat's keys in the storage
  window.wiresideKeys = keys;
  const inMemory = () =>
    Object.create(
      /** @satisfies {ThisType<Record<string, string>>} */ ({
        /** @param {string} key */
        getItem(key) {
          return Object.hasOwn(this, key) ? this[key] : null;
        },
        /**
         * @param {string} key
         * @param {unknown} value
         */
        setItem(key, value) {
          this[key] = String(value);
        },
        /** @param {string} key */
        removeItem(key) {
          delete this[key];
        },
        /** @param {number} n */
        key(n) {
          return Object.keys(this)[n] ?? null;
        },
        clear() {
          for (const key of Object.keys(this)) delete this[key];
        },
      }),
    );
  for (const name of /** @type {const} */ (["sessionStorage", "localStorage"])) {
    try {
      window[name].setItem("wireside.probe", "1");
      window[name].removeItem("wireside.probe");
    } catch (error) {
      if (Object(error).name === "QuotaExceededError" && name === "localStorage") continue; // it is full
      window.wiresideStorageBlocked = true;
      try {
        Object.defineProperty(window, name, { value: inMemory(), configurable: true });
      } catch {}
    }
  }
  const root = document.documentElement;
  root.lang = begin.lang;
  root.dir = begin.dir;
  let { theme } = begin;
  const recall = () => {
    theme = begin.theme;
    try {
      theme = /** @type {Theme | null} */ (localStorage.getItem(keys + "theme")) || theme;
    } catch {}
  };
  const bar = document.head.appendChild(document.createElement("meta"));
  bar.name = "theme-color";
  try {
    const isClosed = localStorage.getItem(keys + "sidebar") === "closed";
    root.classList.toggle("ws-sidebar-closed", isClosed);
  } catch {}
  const look = () => {
    try {
      root.dataset.textSize = localStorage.getItem(keys + "text_size") ?? "";
      root.dataset.density = localStorage.getItem(keys + "density") ?? "";
      root.dataset.accent = localStorage.getItem(keys + "accent") ?? "";
    } catch {}
  };
  addEventListener("wireside:preferences", look);
  addEventListener("storage", look);
  look();
  const dark = matchMedia("(prefers-color-scheme: dark)");
  /** @param {Theme} [choice] */
  const show = (choice) => {
    recall();
    if (choice) {
      theme = choice;
      try {
        localStorage.setItem(keys + "theme", choice);
      } catch {}
    }
    const isDark = theme === "dark" || (theme === "system" && dark.matches);
    root.classList.toggle("ws-dark", isDark);
    root.style.colorScheme = isDark ? "dark" : "light";
    bar.content = isDark ? begin.dark : begin.light;
    document.body?.classList.toggle("body--dark", isDark);
    return theme;
  };
  window.wiresideTheme = show;
  dark.addEventListener("change", () => show());
  addEventListener("storage", () => show()); // another page of this browser may have changed it
  document.addEventListener("DOMContentLoaded", () => show());
  show();
};
