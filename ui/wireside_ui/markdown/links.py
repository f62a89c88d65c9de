"""Links: their targets, bare addresses, and hosts that contradict the text of a link."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from markdown_it.token import Token

from wireside_ui.markdown.autolinks import bare_links
from wireside_ui.markdown.urls import Destination, destination, says_it

MAX_TITLE_CHARS = 200
"""Maximum length of a link's title; the rest is cut off."""

MAX_REFERENCE_CHARS = 200_000
"""Maximum total length of the addresses that reference links insert into one text.

The limit is four times the length of the text if that is more.
"""


def new_token(kind: str, content: str, **meta: str) -> Token:
    """Return an inline token for ``HtmlRenderer``."""
    return Token(kind, "", 0, content=content, meta=meta)


def finish_link(token: Token) -> None:
    """Set the target and the title of a link; without a valid destination it becomes a span."""
    url = str(token.attrs.get("href", ""))
    target = destination(url)
    if target is not None:
        title = str(token.attrs.get("title", ""))[:MAX_TITLE_CHARS]
        _lead(token, target)
        if title:  # after the address, so that a title never hides the destination
            token.attrs["title"] = f"{target.url}\n{title}"
    elif re.match(r"mailto:[^\s]", url, re.IGNORECASE):
        _lead_to_mail(token, f"mailto:{url[7:]}")
    else:
        token.tag, token.attrs = "span", {}  # no valid destination: only the text is shown


def _lead(link: Token, target: Destination) -> None:
    link.attrs = {"href": target.url, "target": "_blank", "title": target.url}
    link.meta = {"target": target}


def _lead_to_mail(link: Token, url: str) -> None:
    link.attrs = {"href": url, "target": "_blank", "title": url}


def contradicted_host(link: Token, inside: Sequence[Token]) -> str:
    """Return the actual host if the text of a link suggests another one, else ""."""
    target: Destination | None = link.meta.get("target")
    return "" if target is None or says_it(plain_text(inside[:200]), target) else target.host


def linkify(token: Token) -> Iterator[Token]:
    """Yield the tokens of a text with its bare addresses as links."""
    text, at = token.content, 0
    for link in bare_links(text):
        target = None if link.url.startswith("mailto:") else destination(link.url)
        if target is None and not link.url.startswith("mailto:"):
            continue
        yield new_token("text", text[at : link.start])
        opening = Token("link_open", "a", 1)
        if target is None:
            _lead_to_mail(opening, link.url)
        else:
            _lead(opening, target)
        opening.attrs["dir"] = "ltr"
        yield opening
        shown = text[link.start : link.end]
        yield new_token("text", shown)
        yield Token("link_close", "a", -1)
        if target and not says_it(re.split("[/?#]", shown.partition("://")[2] or shown)[0], target):
            yield new_token("link_host", target.host)
        at = link.end
    yield new_token("text", text[at:])


def plain_text(tokens: Sequence[Token]) -> str:
    """Return the text of inline tokens."""
    return "".join(
        token.content if not token.children else plain_text(token.children) for token in tokens
    )


class References(dict[str, Any]):
    """Link definitions with a limit on the characters that their use adds to one text.

    Without it, short labels of a long address would amplify the output.
    """

    def refill(self, text_chars: int) -> None:
        """Reset the limit for a text of ``text_chars`` characters."""
        self._left = max(MAX_REFERENCE_CHARS, 4 * text_chars)

    def get(self, key: str, default: Any = None) -> Any:
        """Return the definition of ``key``; ``default`` once the limit is exceeded."""
        found = super().get(key, default)
        if found:
            self._left -= len(found.get("href", "")) + len(found.get("title", ""))
        return found if self._left > 0 else default
