// The page that is shown while the server can't be reached. It has the words of all languages, since nothing can be
// asked for, and loads the address again as soon as the server answers.
() => {
  const FIRST_WAIT_MS = 2000;
  const LONGEST_WAIT_MS = 30_000;
  const PROBE_MS = 10_000;

  const find = (/** @type {string} */ id) =>
    /** @type {HTMLElement} */ (document.getElementById(id));
  /** @type {OfflineWords} */
  const { words, rightToLeft, base, theme: given } = JSON.parse(find("words").textContent ?? "");
  const root = document.documentElement;

  const chosen = document.cookie.match(/(?:^|; )wireside_language=(\w+)/)?.[1] ?? "";
  const wanted = [chosen, ...navigator.languages].map((language) => language.split("-")[0]);
  const language = wanted.find((one) => Object.hasOwn(words, one)) ?? "en";
  const w = words[language];
  root.lang = language;
  root.dir = rightToLeft.includes(language) ? "rtl" : "ltr";

  /** @type {string} */
  let theme = given;
  try {
    theme = localStorage.getItem(`wireside${base}.theme`) || theme;
    root.dataset.accent = localStorage.getItem(`wireside${base}.accent`) ?? "";
    root.dataset.textSize = localStorage.getItem(`wireside${base}.text_size`) ?? "";
  } catch {}
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const paint = () => {
    const isDark = theme === "dark" || (theme === "system" && dark.matches);
    root.classList.toggle("ws-dark", isDark);
    root.style.colorScheme = isDark ? "dark" : "light";
  };
  dark.addEventListener("change", paint);
  paint();

  const button = find("again");
  document.title = `${w.title} · ${document.title}`;
  find("title").textContent = w.title;
  find("line").textContent = w.line;
  button.textContent = w.again;
  find("logo").addEventListener("error", (e) => /** @type {HTMLElement} */ (e.target).remove());

  let wait = FIRST_WAIT_MS;
  let isTrying = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let waiting;

  const answers = async () => {
    try {
      const signal = AbortSignal.timeout(PROBE_MS);
      return (await fetch(`${base}/api/health/live`, { cache: "no-store", signal })).ok;
    } catch {
      return false;
    }
  };

  const tryAgain = async (isAsked = false) => {
    if (isTrying) return;
    clearTimeout(waiting);
    isTrying = true;
    if (isAsked) find("state").textContent = w.trying;
    if (await answers()) return location.reload();
    isTrying = false;
    if (isAsked) find("state").textContent = w.still;
    waiting = setTimeout(tryAgain, wait);
    wait = Math.min(2 * wait, LONGEST_WAIT_MS);
  };

  button.addEventListener("click", () => tryAgain(true));
  addEventListener("online", () => tryAgain());
  document.addEventListener("visibilitychange", () => document.hidden || tryAgain());
  waiting = setTimeout(tryAgain, wait);
};
