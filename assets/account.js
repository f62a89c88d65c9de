// For the pages of accounts, which work without it too: the chosen colours, buttons that copy, a last question.
(() => {
  const root = document.documentElement;
  let theme = root.dataset.theme || "system";
  try {
    theme = localStorage.getItem("wireside.theme") || theme;
  } catch {}
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const paint = () => {
    const isDark = theme === "dark" || (theme === "system" && dark.matches);
    root.classList.toggle("ws-dark", isDark);
    root.style.colorScheme = isDark ? "dark" : "light";
  };
  dark.addEventListener("change", paint);
  paint();

  // what was written and not sent is not for whoever comes next
  document.addEventListener("submit", (e) => {
    if (!new URL(e.target.action).pathname.endsWith("/logout")) return;
    try {
      for (const key of Object.keys(localStorage)) {
        if (key.startsWith("wireside.") && !["wireside.theme", "wireside.sidebar"].includes(key)) localStorage.removeItem(key);
      }
    } catch {}
  });

  document.addEventListener("click", async (e) => {
    const copy = e.target.closest("[data-copy]");
    if (copy) {
      const text = document.getElementById(copy.dataset.copy).textContent;
      try {
        await navigator.clipboard.writeText(text);
        copy.textContent = copy.dataset.done;
      } catch {
        getSelection().selectAllChildren(document.getElementById(copy.dataset.copy));
      }
    }
    const sure = e.target.closest("[data-sure]");
    if (sure && !confirm(sure.dataset.sure)) e.preventDefault();
  });
})();
