"""The page's initial HTML, shown before the scripts are loaded; it already accepts input."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape

from wireside_ui.inline_scripts import inline
from wireside_ui.theme import storage_keys


def shell_html(
    *,
    name: str,
    logo: str,
    base: str,
    tagline: str,
    starters: Sequence[str],
    draft: str | None,
    words: Mapping[str, str],
    is_empty: bool,
    welcome: str = "",
    footer: str = "",
    user: str = "",
    title: str = "",
    is_reader: bool = False,
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
        draft: id of the conversation whose draft is shown, "" for a new one; None for a temporary
            chat, whose text is not stored.
        words: texts of the interface.
        is_empty: show the welcome screen of a new chat.
        welcome: sanitised HTML that replaces the tagline, "" for none.
        footer: the line below the message box, "" for the built-in one.
        user: see ``storage_keys``.
        title: title of the conversation, "" for a new chat.
        is_reader: the user may not ask questions.
    """
    main = (
        _welcome(
            name, logo, tagline=tagline, starters=starters, welcome=welcome, is_reader=is_reader
        )
        if is_empty
        else ""
    )
    return (
        '<div class="ws-page ws-shell" id="ws-shell">'
        '<div class="ws-sidebar-frame"><div class="ws-sidebar"></div></div>'
        '<header class="ws-header">'
        '<span class="ws-tool"></span><h1 class="ws-header-title">'
        f"{_title(title, words)}</h1></header>"
        f'<main class="ws-main">{main}</main>'
        '<section class="ws-composer"><form class="ws-composer-box">'
        f'<textarea rows="1" autocomplete="off" enterkeyhint="send"'
        f' placeholder="{escape(words["placeholder"])}" aria-label="{escape(words["placeholder"])}"'
        '></textarea><div class="ws-composer-bar"></div></form>'
        f'<p class="ws-composer-hint">{escape(footer or words["disclaimer"])}</p></section>'
        f"<noscript><p>{escape(words['no_script'])}</p></noscript></div>"
        f"<script>({inline('until_mounted')})"
        f"({_literal(storage_keys(base, user))}, {'null' if draft is None else _literal(draft)},"
        f" {_literal(words['not_started'])})</script>"
    )


def _title(title: str, words: Mapping[str, str]) -> str:
    if not title:
        return f'<span class="ws-header-fresh">{escape(words["new_chat"])}</span>'
    return f'<span class="ws-text-tool ws-header-conversation"><span>{escape(title)}</span></span>'


def _welcome(
    name: str, logo: str, *, tagline: str, starters: Sequence[str], welcome: str, is_reader: bool
) -> str:
    choices = "".join(
        f'<li><button type="button">{escape(text)}</button></li>' for text in starters
    )
    # the room of the switch to a temporary chat, so that nothing moves when it comes
    switch = "" if is_reader else '<span class="ws-text-tool ws-welcome-temporary"></span>'
    line = f'<p class="ws-welcome-line">{escape(tagline)}</p>'
    if welcome:
        line = f'<div class="ws-welcome-text">{welcome}</div>'
    return (
        '<section class="ws-welcome"><div class="ws-welcome-inner">'
        f'<img src="{escape(logo)}" alt="" width="56" height="56">'
        f'<p class="ws-welcome-name">{escape(name)}</p>'
        f"{line}"
        f'<ul class="ws-welcome-starters">{choices}</ul>{switch}</div></section>'
    )


def _literal(text: str) -> str:
    return json.dumps(text).replace("<", "\\u003c")
