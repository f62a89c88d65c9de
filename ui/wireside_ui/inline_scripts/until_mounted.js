// The message box until the composer is mounted. A page in a frame must not take the focus when it loads.
// Otherwise the script follows the composer's behaviour: Enter sends or inserts a line break, and the box
// grows with its text.
(
  /** @type {string} */ keys,
  /** @type {string | null} */ conversation, // null: its text is not stored
  /** @type {string} */ notStarted,
) => {
  const draftKey = `${keys}draft.${conversation}`;
  const shell = /** @type {HTMLElement} */ (document.getElementById("ws-shell"));
  const box = /** @type {HTMLTextAreaElement} */ (shell.querySelector("textarea"));
  let isTyped = false;
  let sends = false;
  let asks = "";
  const grow = () => {
    if (box.value) box.dir = "auto";
    box.style.height = "auto";
    box.style.height = box.scrollHeight + "px";
  };
  /** @type {string | Draft} */
  let draft = "";
  try {
    if (conversation !== null) draft = JSON.parse(sessionStorage.getItem(draftKey) ?? "null") || "";
  } catch {}
  box.value = typeof draft === "string" ? draft : draft.text;
  const keep = () => {
    if (conversation === null) return;
    const isMore = typeof draft !== "string" && (draft.edits || draft.files?.length);
    const value = isMore ? Object.assign({}, draft, { text: box.value }) : box.value;
    try {
      sessionStorage.setItem(draftKey, JSON.stringify(value));
    } catch {}
  };
  const tell = () => {
    const hint = shell.querySelector(".ws-composer-hint");
    if (!hint) return;
    hint.setAttribute("role", "alert");
    hint.textContent = notStarted;
  };
  const waiting = setTimeout(tell, 20_000);
  const onError = (/** @type {Event} */ e) => e.target instanceof HTMLScriptElement && tell(); // it was not loaded
  addEventListener("error", onError, true);
  let enterSends = !matchMedia("(hover: none) and (pointer: coarse)").matches;
  try {
    enterSends = JSON.parse(localStorage.getItem(keys + "enter_sends") ?? "null") ?? enterSends;
  } catch {}
  box.enterKeyHint = enterSends ? "send" : "enter";
  grow();
  const height = shell.querySelector(".ws-composer")?.offsetHeight ?? 0;
  document.documentElement.style.setProperty("--ws-composer-height", height + "px");
  box.addEventListener("input", () => {
    isTyped = true;
    grow();
    keep();
  });
  box.addEventListener("keydown", (e) => {
    if (e.key !== "Enter" || e.shiftKey || e.isComposing || e.keyCode === 229) return;
    if (!enterSends && !e.ctrlKey && !e.metaKey) return;
    e.preventDefault();
    sends = Boolean(box.value.trim());
  });
  shell.addEventListener("click", (e) => {
    const target = /** @type {Element} */ (e.target);
    const starter = target.closest(".ws-welcome-starters button");
    if (starter) asks = starter.textContent;
  });
  const isOwnPage = window.parent === window || document.hasFocus();
  if (isOwnPage && matchMedia("(hover: hover)").matches) box.focus({ preventScroll: true });
  window.wiresideShell = {
    isTyped: () => isTyped,
    takeOver() {
      clearTimeout(waiting);
      removeEventListener("error", onError, true);
      /** @type {[start: number, end: number]} */
      const selection = [box.selectionStart, box.selectionEnd];
      const hasFocus = document.activeElement === box;
      shell.remove();
      delete window.wiresideShell;
      return { text: isTyped ? box.value : "", sends, asks, selection, hasFocus };
    },
  };
};
