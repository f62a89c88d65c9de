"""The page's initial HTML, shown before the scripts are loaded; it already accepts input."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape


def shell_html(
    *,
    name: str,
    logo: str,
    base: str,
    tagline: str,
    starters: Sequence[str],
    draft: str,
    words: Mapping[str, str],
    is_empty: bool,
) -> str:
    """Return static HTML that looks like the components that replace it.

    Text, submissions and clicks are handed over to the components by
    ``window.wiresideShell.takeOver()``.

    Args:
        name: name of the application.
        logo: address of the logo.
        base: path that the application is mounted at, without a trailing slash.
        tagline: line below the name on the welcome screen.
        starters: questions on the welcome screen.
        draft: id of the conversation whose draft is shown, "" for a new one.
        words: texts of the interface.
        is_empty: show the welcome screen of a new chat.
    """
    welcome = _welcome(name, logo, tagline, starters) if is_empty else ""
    return (
        '<div class="ws-page ws-shell" id="ws-shell">'
        '<div class="ws-side"><div class="ws-sidebar"></div></div>'
        '<header class="ws-header">'
        '<span class="ws-tool"></span>'
        f'<a class="ws-brand" href="{escape(base)}/">'
        f'<img src="{escape(logo)}" alt="" width="28" height="28"><h1>{escape(name)}</h1></a>'
        "</header>"
        f'<main class="ws-main">{welcome}</main>'
        '<section class="ws-composer"><form class="ws-box">'
        f'<textarea rows="1" autocomplete="off" enterkeyhint="send"'
        f' placeholder="{escape(words["placeholder"])}" aria-label="{escape(words["placeholder"])}"'
        '></textarea><div class="ws-bar"></div></form>'
        f'<p class="ws-hint">{escape(words["disclaimer"])}</p></section>'
        f"<noscript><p>{escape(words['no_script'])}</p></noscript></div>"
        f"<script>({_UNTIL_MOUNTED})"
        f"({_literal('wireside.draft.' + draft)}, {_literal(words['not_started'])})</script>"
    )


def _welcome(name: str, logo: str, tagline: str, starters: Sequence[str]) -> str:
    choices = "".join(
        f'<li><button type="button">{escape(text)}</button></li>' for text in starters
    )
    return (
        '<section class="ws-welcome"><div class="ws-welcome-inner">'
        f'<img src="{escape(logo)}" alt="" width="56" height="56">'
        f'<p class="ws-welcome-name">{escape(name)}</p>'
        f'<p class="ws-welcome-line">{escape(tagline)}</p>'
        f'<ul class="ws-starters">{choices}</ul></div></section>'
    )


def _literal(text: str) -> str:
    return json.dumps(text).replace("<", "\\u003c")


# A page in an iframe must not take the focus when it loads. Otherwise the script follows the
# composer's behaviour: Enter sends or inserts a line break, and the box grows with its text.
_UNTIL_MOUNTED = """(draftKey, notStarted) => {
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
  try { draft = JSON.parse(sessionStorage.getItem(draftKey)) || ""; } catch {}
  box.value = draft.text ?? draft;
  const keep = () => {
    const value = draft.edits ? { ...draft, text: box.value } : box.value;
    try { sessionStorage.setItem(draftKey, JSON.stringify(value)); } catch {}
  };
  const tell = () => {
    const hint = shell.querySelector(".ws-hint");
    hint.setAttribute("role", "alert");
    hint.textContent = notStarted;
  };
  const waiting = setTimeout(tell, 20_000);
  const onError = (e) => e.target instanceof HTMLScriptElement && tell(); // it was not loaded
  addEventListener("error", onError, true);
  let enterSends = !matchMedia("(hover: none) and (pointer: coarse)").matches;
  try {
    enterSends = JSON.parse(localStorage.getItem("wireside.enter_sends")) ?? enterSends;
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
    const starter = e.target.closest(".ws-starters button");
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
}"""
