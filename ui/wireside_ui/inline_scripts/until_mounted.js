// The message box until the composer is mounted. A page in a frame must not take the focus when it loads.
// Otherwise the script follows the composer's behaviour: Enter sends or inserts a line break, and the box
// grows with its text.
(keys, conversation, notStarted) => {
  const draftKey = `${keys}draft.${conversation}`;
  const shell = document.getElementById("ws-shell");
  const box = shell.querySelector("textarea");
  let isTyped = false;
  let sends = false;
  let asks = "";
  const grow = () => {
    if (box.value) box.dir = "auto";
    box.style.height = "auto";
    box.style.height = box.scrollHeight + "px";
  };
  let draft = "";
  try {
    draft = JSON.parse(sessionStorage.getItem(draftKey)) || "";
  } catch {}
  box.value = draft.text ?? draft;
  const keep = () => {
    const value = draft.edits || draft.files?.length ? { ...draft, text: box.value } : box.value;
    try {
      sessionStorage.setItem(draftKey, JSON.stringify(value));
    } catch {}
  };
  const tell = () => {
    const hint = shell.querySelector(".ws-composer-hint");
    hint.setAttribute("role", "alert");
    hint.textContent = notStarted;
  };
  const waiting = setTimeout(tell, 20_000);
  const onError = (e) => e.target instanceof HTMLScriptElement && tell(); // it was not loaded
  addEventListener("error", onError, true);
  let enterSends = !matchMedia("(hover: none) and (pointer: coarse)").matches;
  try {
    enterSends = JSON.parse(localStorage.getItem(keys + "enter_sends")) ?? enterSends;
  } catch {}
  box.enterKeyHint = enterSends ? "send" : "enter";
  grow();
  const height = shell.querySelector(".ws-composer").offsetHeight;
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
    const starter = e.target.closest(".ws-welcome-starters button");
    if (starter) asks = starter.textContent;
  });
  const isOwnPage = window.parent === window || document.hasFocus();
  if (isOwnPage && matchMedia("(hover: hover)").matches) box.focus({ preventScroll: true });
  window.wiresideShell = {
    isTyped: () => isTyped,
    takeOver() {
      clearTimeout(waiting);
      removeEventListener("error", onError, true);
      const selection = [box.selectionStart, box.selectionEnd];
      const hasFocus = document.activeElement === box;
      shell.remove();
      delete window.wiresideShell;
      return { text: isTyped ? box.value : "", sends, asks, selection, hasFocus };
    },
  };
};
