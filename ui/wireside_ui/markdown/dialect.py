"""The Markdown dialect of answers and its rendering to sanitised HTML.

``Markup.parse`` returns markdown-it tokens, ``Markup.html`` renders any sequence of them. HTML in
the source is escaped, except for a few tags (``tags.py``), and all output is sanitised by an
allow-list (nh3). A remote image is rendered as a card that opens it, because an image that loads
automatically can leak data of the conversation to a third party.

Every rule depends only on its own block, so that a block is rendered alike alone and in its
document: the incremental renderer (``incremental.py``) relies on this.
"""

import re
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from mdit_py_plugins.footnote import footnote_plugin
from mdit_py_plugins.footnote.index import footnote_ref

from wireside_ui.markdown.allow_list import CLEANER, PART_WRAPS
from wireside_ui.markdown.autolinks import address_spans
from wireside_ui.markdown.emphasis import InlineParser, finish_strikethrough, strikethrough
from wireside_ui.markdown.fences import fence
from wireside_ui.markdown.highlighting import HIGHLIGHT_S, HighlightBudget
from wireside_ui.markdown.links import (
    References,
    contradicted_host,
    finish_link,
    linkify,
    new_token,
    plain_text,
)
from wireside_ui.markdown.math import rules as math
from wireside_ui.markdown.renderer import HtmlRenderer
from wireside_ui.markdown.tables import table
from wireside_ui.markdown.tags import details, match_tags, tag
from wireside_ui.markdown.unfinished import repair_last_inline
from wireside_ui.markdown.urls import MAX_URL_CHARS, destination


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkupLimits:
    """Limits of the work on one text."""

    max_chars: int = 1_000_000
    """Characters that are parsed (two seconds of CPU time); the rest is plain text."""

    max_whole_chars: int = 100_000
    """A streamed answer longer than this is not rendered again as a whole at its end."""

    highlight_s: float = HIGHLIGHT_S
    """CPU seconds for highlighting, besides those per character of code."""


MARKUP_LIMITS = MarkupLimits()

MAX_NESTING = 32
"""Maximum nesting of blocks and of inline elements."""

_FOOTNOTE_RULES = ("ref", "block_open", "block_close", "open", "close", "anchor")
Env = MutableMapping[str, Any]


class Markup:
    """Parser and renderer for one set of allowed image hosts.

    It keeps no state between texts, so that one instance can be shared.
    """

    def __init__(
        self,
        allowed_image_hosts: frozenset[str] = frozenset(),
        limits: MarkupLimits = MARKUP_LIMITS,
    ) -> None:
        """``allowed_image_hosts``: lower-case host names whose https images are loaded inline."""
        self.limits = limits
        self.image_hosts = allowed_image_hosts
        """Hosts whose images the page loads."""
        self._md = MarkdownIt(
            "commonmark",
            {
                "html": False,
                "breaks": True,
                "xhtmlOut": False,
                "maxNesting": MAX_NESTING,
                "tasklists": True,
            },
            renderer_cls=HtmlRenderer,
        )
        self._md.inline = InlineParser(address_spans)
        self._md.inline.ruler.disable("html_inline")
        self._md.block.ruler.disable("html_block")
        self._md.inline.ruler.at("strikethrough", strikethrough)
        self._md.inline.ruler2.at("strikethrough", finish_strikethrough)
        self._md.inline.ruler.before("autolink", "html_tag", tag)
        self._md.inline.ruler2.before("fragments_join", "match_tags", match_tags)
        terminators = ["paragraph", "reference", "blockquote", "list"]
        self._md.block.ruler.at("fence", fence, {"alt": terminators})
        self._md.block.ruler.at("table", table, {"alt": ["paragraph", "reference"]})
        self._md.block.ruler.enable("table")
        self._md.block.ruler.before("html_block", "details", details, {"alt": terminators})
        self._md.use(footnote_plugin, inline=False)
        self._md.inline.ruler.at("footnote_ref", _footnote_ref)
        renderer = cast("HtmlRenderer", self._md.renderer)
        for rule in _FOOTNOTE_RULES:  # replace the plugin's rules, which need ids
            name = f"footnote_{rule}"
            renderer.rules[name] = getattr(renderer, name)
        math.register(self._md)
        self._md.core.ruler.before("inline", "repair", repair_last_inline)
        self._md.core.ruler.before("inline", "item_paragraphs", _hide_lone_item_paragraphs)
        self._md.core.ruler.push("inline_finish", self._finish_inlines)
        # markdown-it's own hook for this
        self._md.validateLink = lambda url: len(url) <= MAX_URL_CHARS  # type: ignore[method-assign]

    def highlight_budget(self, *, loads: bool = True) -> HighlightBudget:
        """Return the budget for highlighting the code of one text."""
        return HighlightBudget(self.limits.highlight_s, loads=loads)

    def parse(self, text: str, env: Env) -> list[Token]:
        """Parse ``text`` into tokens.

        ``env`` collects link references; a true ``env["tail"]`` means that the text is incomplete
        and may end anywhere.
        """
        env.setdefault("references", References()).refill(len(text))
        return self._md.parse(text, env)

    def html(self, tokens: Sequence[Token], env: Env) -> str:
        """Render ``tokens`` to sanitised HTML.

        Table rows and list items may be rendered without their table or list.
        """
        wrap = PART_WRAPS.get(tokens[0].type) if tokens else None
        rendered = self._md.renderer.render(tokens, self._md.options, env)
        if wrap is None:
            return CLEANER.clean(rendered)
        opening, closing = wrap
        # the HTML parser inside nh3 drops a row outside a table
        return CLEANER.clean(opening + rendered + closing)[len(opening) : -len(closing)]

    def clean(self, html: str) -> str:
        """Sanitise ``html`` by the allow-list."""
        return CLEANER.clean(html)

    def _finish_inlines(self, state: StateCore) -> None:
        for token in state.tokens:
            if token.type == "inline" and token.children:
                token.children = self._finish(token.children)

    def _finish(self, children: list[Token]) -> list[Token]:
        """Post-process inline tokens.

        Bare addresses become links, links get their target and rel, images become cards, and
        nesting deeper than ``MAX_NESTING`` is flattened.
        """
        out: list[Token] = []
        links: list[tuple[Token, int]] = []
        for child in children:
            if child.nesting and child.level > MAX_NESTING:
                continue
            match child.type:
                case "link_open":
                    finish_link(child)
                    links.append((child, len(out)))
                    out.append(child)
                case "link_close" if links:
                    opening, start = links.pop()
                    child.tag = opening.tag
                    out.append(child)
                    if host := contradicted_host(opening, out[start:-1]):
                        out.append(new_token("link_host", host))
                case "image":
                    out.append(self._image(child, inside_link=bool(links)))
                case "softbreak" | "hardbreak" if out and out[-1].markup[:3].lower() == "<br":
                    continue  # "<br>" at the end of a line is one line break, not two
                case "text" if not links:
                    out.extend(linkify(child))
                case _:
                    out.append(child)
        return out

    def _image(self, token: Token, *, inside_link: bool) -> Token:
        url, alt = str(token.attrs.get("src", "")), plain_text(token.children or [])
        target = destination(url)
        if inside_link or target is None:
            return new_token("text", alt)
        if target.url.startswith("https:") and target.host in self.image_hosts:
            return new_token("image_shown", alt, url=target.url)
        return new_token("image_card", alt, url=target.url, host=target.host)


_FOOTNOTE = re.compile(r"\[\^[^\] \n]{1,200}\]")


def _footnote_ref(state: StateInline, silent: bool) -> bool:
    """Parse ``[^1]``; the plugin's own rule searches the whole text for the closing bracket."""
    return bool(_FOOTNOTE.match(state.src, state.pos)) and footnote_ref(state, silent)


def _hide_lone_item_paragraphs(state: StateCore) -> None:
    """Hide the ``<p>`` of every list item with a single paragraph.

    CommonMark decides this for the whole list ("loose" if it has a blank line anywhere), which
    would change items that are already on the screen.
    """
    # for each open item: level of its children, indices of their paragraph tokens
    paragraphs: list[tuple[int, list[int]]] = []
    for index, token in enumerate(state.tokens):
        if token.type == "list_item_open":
            paragraphs.append((token.level + 1, []))
        elif token.type == "list_item_close":
            _, found = paragraphs.pop()
            for at in found:
                state.tokens[at].hidden = state.tokens[at + 2].hidden = len(found) == 1
        elif token.type == "paragraph_open" and paragraphs and token.level == paragraphs[-1][0]:
            paragraphs[-1][1].append(index)
