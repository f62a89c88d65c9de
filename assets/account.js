// For the account pages, which work without it too: the colour theme, copy buttons, a confirmation, the service worker.
(() => {
  const root = document.documentElement;
  const keys = `wireside${root.dataset.base ?? ""}.`; // the prefix of this chat's keys in the storage
  let theme = root.dataset.theme || "system";
  try {
    theme = localStorage.getItem(keys + "theme") || theme;
  } catch {}
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const paint = () => {
    const isDark = theme === "dark" || (theme === "system" && dark.matches);
    root.classList.toggle("ws-dark", isDark);
    root.style.colorScheme = isDark ? "dark" : "light";
  };
  try {
    root.dataset.textSize = localStorage.getItem(keys + "text_size") ?? "";
    root.dataset.accent = localStorage.getItem(keys + "accent") ?? "";
  } catch {}
  dark.addEventListener("change", paint);
  paint();

  // the page that is shown while the server can't be reached
  if (window.parent === window && navigator.serviceWorker)
    addEventListener("load", () =>
      navigator.serviceWorker
        .register(`${root.dataset.base ?? ""}/service-worker.js`)
        .catch(() => {}),
    );

  document.addEventListener("DOMContentLoaded", () => {
    // in a frame with blocked cookies, only setting one shows that they are blocked
    document.cookie = "wireside_probe=1; SameSite=Lax; path=/";
    const isBlocked = !navigator.cookieEnabled || !document.cookie.includes("wireside_probe=");
    document.cookie = "wireside_probe=; Max-Age=0; SameSite=Lax; path=/";
    for (const el of document.querySelectorAll("[data-needs-cookies]")) el.hidden = !isBlocked;
    for (const el of document.querySelectorAll("time"))
      showTime(/** @type {HTMLTimeElement} */ (el));
    for (const el of document.querySelectorAll("[data-reveal]")) el.hidden = false;
  });

  // by the reader's clock; without this script it is that of UTC
  const showTime = (/** @type {HTMLTimeElement} */ el) => {
    const at = new Date(el.dateTime);
    const isToday = at.toDateString() === new Date().toDateString();
    const day = isToday ? undefined : "medium";
    el.textContent = at.toLocaleString(root.lang, { dateStyle: day, timeStyle: "short" });
    el.title = at.toLocaleString(root.lang, { dateStyle: "full", timeStyle: "long" });
  };

  document.addEventListener("change", (e) => {
    const box = /** @type {HTMLInputElement} */ (e.target);
    if (!box.closest("[data-reveal]")) return;
    const type = box.checked ? "text" : "password";
    for (const field of box.form?.querySelectorAll("input[autocomplete$=password]") ?? [])
      field.setAttribute("type", type);
  });

  // deletes drafts and unsent questions on sign-out, so that the next user does not see them
  document.addEventListener("submit", (e) => {
    const form = /** @type {HTMLFormElement} */ (e.target);
    if (!new URL(form.action).pathname.endsWith("/logout")) return;
    const kept = ["theme", "sidebar", "text_size", "density", "accent"].map((name) => keys + name);
    try {
      for (const storage of [localStorage, sessionStorage]) {
        for (const key of Object.keys(storage))
          if (key.startsWith(keys) && !kept.includes(key)) storage.removeItem(key);
      }
      localStorage.setItem(keys + "signed-out", String(Date.now())); // other tabs delete theirs when they load
    } catch {}
  });

  // prevents a second click from submitting the form again
  document.addEventListener("submit", (e) => {
    if (e.defaultPrevented) return;
    const form = /** @type {HTMLFormElement} */ (e.target);
    if (form.dataset.sent) return e.preventDefault();
    form.dataset.sent = "true";
  });
  addEventListener("pageshow", () =>
    document.querySelectorAll("form[data-sent]").forEach((form) => delete form.dataset.sent),
  );

  document.addEventListener("click", async (e) => {
    const target = /** @type {Element} */ (e.target);
    const copy = target.closest("[data-copy]");
    const source = document.getElementById(copy?.dataset.copy ?? "");
    if (copy && source) {
      try {
        await navigator.clipboard.writeText(source.textContent);
        copy.textContent = copy.dataset.done ?? "";
      } catch {
        getSelection()?.selectAllChildren(source);
      }
    }
    const sure = target.closest("[data-sure]");
    if (sure && !confirm(sure.dataset.sure)) e.preventDefault();
  });
})();
