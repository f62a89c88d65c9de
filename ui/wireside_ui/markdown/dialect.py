"""The Markdown dialect of answers and its rendering to sanitised HTML.

``Markup.parse`` returns markdown-it tokens, ``Markup.html`` renders any sequence of them. HTML in
the source is escaped, except for a few tags (``tags.py``), and all output is sanitised by an
allow-list (nh3). A remote image is rendered as a card that opens it, because an image that loads
automatically can leak data of the conversation to a third party.

Every rule depends only on its own block, so that a block is rendered alike alone and in its
document: the incremental renderer (``incremental.py``) relies on this.
"""

import html as html_text
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar, cast

import nh3
from markdown_it import MarkdownIt
from markdown_it.common.utils import unescapeAll
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markdown_it.utils import OptionsDict
from mdit_py_plugins.footnote import footnote_plugin
from mdit_py_plugins.footnote.index import footnote_ref
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import Comment, Generic, Keyword, Literal, Name, Number, Operator, String
from pygments.token import _TokenType as TokenType
from pygments.util import ClassNotFound

from wireside_ui.markdown import math
from wireside_ui.markdown.autolinks import address_spans, bare_links
from wireside_ui.markdown.emphasis import (
    InlineParser,
    finish_strikethrough,
    flanks,
    is_unspaced,
    strikethrough,
)
from wireside_ui.markdown.fences import fence
from wireside_ui.markdown.tables import table
from wireside_ui.markdown.tags import (
    PAIRED_TAGS,
    TAG,
    VOID_TAGS,
    details,
    match_tags,
    tag,
    without_half_entity,
    without_half_tag,
)
from wireside_ui.markdown.urls import MAX_URL_CHARS, Destination, destination, says_it

MAX_NESTING = 32
"""Maximum nesting of blocks and of inline elements."""

MAX_HIGHLIGHT_CHARS = 64_000
"""Maximum number of characters of highlighted code."""

MAX_HIGHLIGHT_LINES = 2_000
"""Maximum number of lines of highlighted code."""

MAX_HIGHLIGHT_LINE = 2_000
"""Maximum length of a line of highlighted code."""

HIGHLIGHT_S = 0.05
HIGHLIGHT_CHAR_S = 1e-5
"""CPU seconds allowed for highlighting, per text and per character of code.

Ordinary code needs a fraction of this. Nearly every lexer has a regular expression with quadratic
running time (an unclosed comment, for example): 24 KB of hostile text blocked the server for half a
minute.
"""
TOKENS_A_LOOK = 16
"""Tokens between two reads of the clock, each of which costs as much as a token."""

MAX_TITLE_CHARS = 200
"""Maximum length of a link's title; the rest is cut off."""

MAX_REFERENCE_CHARS = 200_000
"""Maximum total length of the addresses that reference links insert into one text.

The limit is four times the length of the text if that is more.
"""


_FOOTNOTE_RULES = ("ref", "block_open", "block_close", "open", "close", "anchor")

T = TypeVar("T")

Env = MutableMapping[str, Any]


class Markup:
    """Parser and renderer for one set of allowed image hosts.

    It keeps no state between texts, so that one instance can be shared.
    """

    def __init__(self, allowed_image_hosts: frozenset[str] = frozenset()) -> None:
        """``allowed_image_hosts``: lower-case host names whose https images are loaded inline."""
        self._hosts = allowed_image_hosts
        self._md = MarkdownIt(
            "commonmark",
            {
                "html": False,
                "breaks": True,
                "xhtmlOut": False,
                "maxNesting": MAX_NESTING,
                "tasklists": True,
            },
            renderer_cls=_Renderer,
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
        renderer = cast("_Renderer", self._md.renderer)
        for rule in _FOOTNOTE_RULES:  # replace the plugin's rules, which need ids
            name = f"footnote_{rule}"
            renderer.rules[name] = getattr(renderer, name)
        math.register(self._md)
        self._md.core.ruler.before("inline", "repair", _repair_last_inline)
        self._md.core.ruler.before("inline", "item_paragraphs", _hide_lone_item_paragraphs)
        self._md.core.ruler.push("inline_finish", self._finish_inlines)
        # markdown-it's own hook for this
        self._md.validateLink = lambda url: len(url) <= MAX_URL_CHARS  # type: ignore[method-assign]

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
        wrap = _WRAPS.get(tokens[0].type) if tokens else None
        rendered = self._md.renderer.render(tokens, self._md.options, env)
        if wrap is None:
            return _CLEANER.clean(rendered)
        opening, closing = wrap
        # the HTML parser inside nh3 drops a row outside a table
        return _CLEANER.clean(opening + rendered + closing)[len(opening) : -len(closing)]

    def clean(self, html: str) -> str:
        """Sanitise ``html`` by the allow-list."""
        return _CLEANER.clean(html)

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
                    _finish_link(child)
                    links.append((child, len(out)))
                    out.append(child)
                case "link_close" if links:
                    opening, start = links.pop()
                    child.tag = opening.tag
                    out.append(child)
                    if host := _contradicted_host(opening, out[start:-1]):
                        out.append(_token("link_host", host))
                case "image":
                    out.append(self._image(child, inside_link=bool(links)))
                case "softbreak" | "hardbreak" if out and out[-1].markup[:3].lower() == "<br":
                    continue  # "<br>" at the end of a line is one line break, not two
                case "text" if not links:
                    out.extend(_linkify(child))
                case _:
                    out.append(child)
        return out

    def _image(self, token: Token, *, inside_link: bool) -> Token:
        url, alt = str(token.attrs.get("src", "")), _plain_text(token.children or [])
        target = destination(url)
        if inside_link or target is None:
            return _token("text", alt)
        if target.url.startswith("https:") and target.host in self._hosts:
            return _token("image_shown", alt, url=target.url)
        return _token("image_card", alt, url=target.url, host=target.host)


def code_block(label: str, inner_html: str) -> str:
    """Wrap highlighted or escaped code in the HTML of a code block.

    The transcript component adds the copy button.
    """
    lang = html_text.escape(label)
    return f'<div class="ws-code" data-lang="{lang}"><pre><code>{inner_html}</code></pre></div>'


def code_label(info: str) -> str:
    """Return the language in a fence's info string, or ""."""
    word = info.split(maxsplit=1)[0].strip("{}.").lower() if info.strip() else ""
    return word if re.fullmatch(r"[\w+#.\-]{1,24}", word) else ""


class HighlightBudget:
    """The remaining CPU time for highlighting in one text, which bounds hostile input."""

    def __init__(self, clock: Callable[[], float] = time.thread_time) -> None:
        self._clock = clock
        self._left_s = HIGHLIGHT_S

    def over(self, tokens: Iterable[T], chars: int) -> Iterator[T]:
        """Yield the tokens of ``chars`` characters of code.

        Raises:
            TimeoutError: the budget is used up.
        """
        self._left_s += chars * HIGHLIGHT_CHAR_S
        end = self._clock() + self._left_s
        try:
            for number, token in enumerate(tokens):
                if number % TOKENS_A_LOOK == 0 and self._clock() > end:
                    raise TimeoutError
                yield token
        finally:
            self._left_s = end - self._clock()


def highlight(code: str, label: str, allowance: HighlightBudget | None = None) -> str | None:
    """Return the highlighted HTML of ``code``.

    Returns ``None`` if the language is unknown, the code is too long or the budget is used up.
    """
    try:
        return _highlighted(code, label, allowance or HighlightBudget())
    except TimeoutError:
        return None


def _highlighted(code: str, label: str, allowance: HighlightBudget) -> str | None:
    lexer = _lexer(label)
    if lexer is None or len(code) > MAX_HIGHLIGHT_CHARS:
        return None
    lines = code.split("\n")
    if len(lines) > MAX_HIGHLIGHT_LINES or max(map(len, lines)) > MAX_HIGHLIGHT_LINE:
        return None
    out: list[str] = []
    last, run = "", ""
    for token_type, value in allowance.over(lexer.get_tokens(code), len(code)):
        kind = _kind(token_type)
        if kind == last or value.isspace():  # merge spans: each one is a DOM node
            run += value
            continue
        out.append(_span(last, run))
        last, run = kind, value
    out.append(_span(last, run))
    return "".join(out)


_FENCE_LABEL = re.compile(r"(?<![`~])(?:```|~~~)[`~]*+[ \t]*+([^\s`]{1,40})")


def are_lexers_ready(*texts: str) -> bool:
    """Return whether the lexers of all fences in ``texts`` are loaded.

    Loading a lexer takes tens of milliseconds.
    """
    return all(
        label not in _LANGUAGES or label in _ready_lexers
        for text in texts
        if "```" in text or "~~~" in text
        for label in map(code_label, _FENCE_LABEL.findall(text))
    )


def _span(kind: str, text: str) -> str:
    escaped = html_text.escape(text, quote=False)
    return f'<span class="{kind}">{escaped}</span>' if kind and text else escaped


@lru_cache(maxsize=128)
def _lexer(label: str) -> Lexer | None:
    # Only known lexers: some of the several hundred others may block within a single token of
    # hostile text, which a ``HighlightBudget`` cannot interrupt.
    if label not in _LANGUAGES:
        return None
    try:
        lexer = get_lexer_by_name(label, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None
    _ready_lexers.add(label)
    return lexer


_ready_lexers: set[str] = set()


_LANGUAGES = frozenset(
    [
        "asm",
        "awk",
        "bash",
        "bat",
        "batch",
        "c",
        "c#",
        "c++",
        "clojure",
        "cmake",
        "cmd",
        "console",
        "cpp",
        "cs",
        "csharp",
        "css",
        "cuda",
        "cxx",
        "dart",
        "diff",
        "docker",
        "dockerfile",
        "elixir",
        "erlang",
        "ex",
        "f#",
        "fsharp",
        "go",
        "golang",
        "graphql",
        "groovy",
        "h",
        "haskell",
        "hpp",
        "hs",
        "html",
        "http",
        "ini",
        "java",
        "javascript",
        "jinja",
        "js",
        "json",
        "json5",
        "jsonc",
        "jsx",
        "julia",
        "kotlin",
        "kt",
        "latex",
        "less",
        "lisp",
        "lua",
        "make",
        "makefile",
        "mjs",
        "nginx",
        "nim",
        "nix",
        "objc",
        "objective-c",
        "ocaml",
        "octave",
        "pascal",
        "patch",
        "perl",
        "php",
        "pl",
        "powershell",
        "prolog",
        "proto",
        "protobuf",
        "ps1",
        "py",
        "py3",
        "pycon",
        "python",
        "python3",
        "pytb",
        "r",
        "racket",
        "rb",
        "rs",
        "ruby",
        "rust",
        "sass",
        "scala",
        "scheme",
        "scss",
        "sh",
        "shell",
        "sol",
        "solidity",
        "sql",
        "svelte",
        "swift",
        "tcl",
        "tex",
        "toml",
        "ts",
        "tsx",
        "typescript",
        "udiff",
        "v",
        "verilog",
        "vhdl",
        "vim",
        "vue",
        "xml",
        "yaml",
        "yml",
        "zig",
        "zsh",
    ]
)

_KINDS: dict[TokenType, str] = {
    Keyword: "k",
    Keyword.Constant: "n",
    Operator.Word: "k",
    Name.Function: "f",
    Name.Class: "f",
    Name.Builtin: "b",
    Name.Builtin.Pseudo: "b",
    Name.Exception: "b",
    Name.Decorator: "d",
    Name.Tag: "t",
    Name.Attribute: "a",
    Name.Variable: "v",
    Name.Constant: "n",
    String: "s",
    Literal: "s",
    Number: "n",
    Comment: "c",
    Generic.Prompt: "c",
    Generic.Deleted: "gd",
    Generic.Inserted: "gi",
    Generic.Heading: "k",
    Generic.Subheading: "k",
    Generic.Error: "gd",
}


@lru_cache(maxsize=512)
def _kind(token_type: TokenType) -> str:
    found: TokenType | None = token_type
    while found is not None:
        if found in _KINDS:
            return _KINDS[found]
        found = found.parent
    return ""


class _Renderer(RendererHTML):
    """Renders HTML without white space between blocks, which would add DOM nodes."""

    # overrides
    def renderToken(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Env) -> str:  # noqa: N802
        token = tokens[idx]
        if token.hidden or not token.tag:
            return ""
        return (
            f"</{token.tag}>" if token.nesting == -1 else f"<{token.tag}{self.renderAttrs(token)}>"
        )

    def fence(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Env) -> str:
        label, code = code_label(unescapeAll(tokens[idx].info)), tokens[idx].content
        highlighted = highlight(code, label, env.setdefault("allowance", HighlightBudget()))
        return code_block(label, highlighted or html_text.escape(code, quote=False))

    def code_block(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Env) -> str:
        return code_block("", html_text.escape(tokens[idx].content, quote=False))

    def softbreak(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Env) -> str:
        return "<br>"

    hardbreak = softbreak

    def heading_open(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Env
    ) -> str:
        return f"<h{_heading_level(tokens[idx])}>"

    def heading_close(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Env
    ) -> str:
        return f"</h{_heading_level(tokens[idx])}>"

    def table_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Env) -> str:
        return '<div class="ws-table"><table dir="auto">'

    def blockquote_open(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Env
    ) -> str:
        tokens[idx].attrs["dir"] = "auto"
        return self.renderToken(tokens, idx, options, env)

    # The direction of a list is that of its text; code and addresses, which have their own
    # direction, are not considered.
    bullet_list_open = ordered_list_open = blockquote_open

    def code_inline(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Env) -> str:
        return f'<code dir="ltr">{html_text.escape(tokens[idx].content)}</code>'

    def table_close(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Env) -> str:
        return "</table></div>"

    def th_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Env) -> str:
        return _cell(tokens[idx])

    td_open = th_open

    def list_item_open(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Env
    ) -> str:
        meta = tokens[idx].meta
        if "checked" not in meta:
            return "<li>"
        state = ' data-on="1" aria-label="☑"' if meta["checked"] else ' aria-label="☐"'
        return f'<li class="ws-task"><span class="ws-check" role="img"{state}></span>'

    def link_host(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Env) -> str:
        return f' <span class="ws-host">({html_text.escape(tokens[idx].content)})</span>'

    def image_shown(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Env) -> str:
        token = tokens[idx]
        alt, url = html_text.escape(token.content), html_text.escape(token.meta["url"])
        privacy = 'loading="lazy" referrerpolicy="no-referrer"'
        return f'<img class="ws-img" src="{url}" alt="{alt}" {privacy}>'

    def image_card(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Env) -> str:
        token = tokens[idx]
        url, host = html_text.escape(token.meta["url"]), html_text.escape(token.meta["host"])
        alt = html_text.escape(token.content)
        return (
            f'<a class="ws-image" href="{url}" target="_blank" title="{url}">'
            f'<span class="ws-image-alt">{alt}</span><span class="ws-host">{host}</span></a>'
        )

    def math_inline(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Env) -> str:
        source = html_text.escape(tokens[idx].content)
        return f'<span class="{math.classes(tokens[idx])}" role="math">{source}</span>'

    def math_block(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Env) -> str:
        source = html_text.escape(tokens[idx].content)
        is_open = ' data-open="1"' if tokens[idx].meta["open"] else ""
        return f'<div class="{math.classes(tokens[idx])}" role="math"{is_open}>{source}</div>'

    def footnote_ref(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Env
    ) -> str:
        number = tokens[idx].meta["id"] + 1
        return f'<sup class="ws-fn" role="link" tabindex="0" data-fn="{number}">{number}</sup>'

    def footnote_block_open(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Env
    ) -> str:
        return '<ol class="ws-footnotes">'

    def footnote_block_close(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Env
    ) -> str:
        return "</ol>"

    def footnote_open(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Env
    ) -> str:
        return f'<li data-fn="{tokens[idx].meta["id"] + 1}">'

    def footnote_close(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Env
    ) -> str:
        return "</li>"

    def footnote_anchor(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Env
    ) -> str:
        return ""


def _heading_level(token: Token) -> int:
    return min(int(token.tag[1]) + 1, 6)  # the page itself has the h1


def _cell(token: Token) -> str:
    style = str(token.attrs.get("style", ""))
    place = {
        "text-align:right": ' class="ws-right"',
        "text-align:center": ' class="ws-center"',
    }.get(style, "")
    span = f' colspan="{token.meta["span"]}"' if "span" in token.meta else ""
    return f"<{token.tag}{span}{place}>"


_CLEANER = nh3.Cleaner(
    tags={
        *[
            "a",
            "b",
            "blockquote",
            "br",
            "code",
            "del",
            "div",
            "em",
            "h2",
            "h3",
            "h4",
            "h5",
            "h6",
            "hr",
            "img",
            "li",
            "ol",
            "p",
            "pre",
            "s",
            "span",
            "strong",
            "sub",
            "sup",
            "table",
            "tbody",
            "td",
            "th",
            "thead",
            "tr",
            "ul",
        ],
        *VOID_TAGS,
        *PAIRED_TAGS - {"strike"},
        "details",
        "summary",
    },
    attributes={
        "a": {"href", "title"},
        "details": {"open"},
        "td": {"colspan"},
        "img": {"src", "alt"},
        "ol": {"start"},
        "li": {"data-fn"},
        "div": {"data-lang", "data-open"},
        "span": {"data-on", "aria-label"},
        "sup": {"data-fn"},
    },
    tag_attribute_values={
        "a": {"target": {"_blank"}, "dir": {"ltr"}},
        "code": {"dir": {"ltr"}},
        **{name: {"dir": {"auto"}} for name in ("ul", "ol", "blockquote", "table")},
        "div": {"role": {"math"}},
        "span": {"role": {"img", "math"}},
        "sup": {"role": {"link"}, "tabindex": {"0"}},
        "img": {"loading": {"lazy"}, "referrerpolicy": {"no-referrer"}},
    },
    allowed_classes={
        "a": {"ws-image"},
        "img": {"ws-img"},
        "div": {"ws-code", "ws-table", "ws-math", "ws-tex"},
        "li": {"ws-task"},
        "ol": {"ws-footnotes"},
        "span": {"ws-math", "ws-tex", "ws-check", "ws-host", "ws-image-alt", *_KINDS.values()},
        "sup": {"ws-fn"},
        "td": {"ws-right", "ws-center"},
        "th": {"ws-right", "ws-center"},
    },
    set_tag_attribute_values={"a": {"target": "_blank"}},
    link_rel="noopener noreferrer nofollow",
    url_schemes={"http", "https", "mailto"},
    url_relative="deny",
)
_WRAPS = {
    "tr_open": ("<table><tbody>", "</tbody></table>"),
    "list_item_open": ("<ul>", "</ul>"),
}


def _token(kind: str, content: str, **meta: str) -> Token:
    return Token(kind, "", 0, content=content, meta=meta)


# Links


def _finish_link(token: Token) -> None:
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


def _contradicted_host(link: Token, inside: Sequence[Token]) -> str:
    """Return the actual host if the text of a link suggests another one, else ""."""
    target: Destination | None = link.meta.get("target")
    return "" if target is None or says_it(_plain_text(inside[:200]), target) else target.host


def _linkify(token: Token) -> Iterator[Token]:
    text, at = token.content, 0
    for link in bare_links(text):
        target = None if link.url.startswith("mailto:") else destination(link.url)
        if target is None and not link.url.startswith("mailto:"):
            continue
        yield _token("text", text[at : link.start])
        opening = Token("link_open", "a", 1)
        if target is None:
            _lead_to_mail(opening, link.url)
        else:
            _lead(opening, target)
        opening.attrs["dir"] = "ltr"
        yield opening
        shown = text[link.start : link.end]
        yield _token("text", shown)
        yield Token("link_close", "a", -1)
        if target and not says_it(re.split("[/?#]", shown.partition("://")[2] or shown)[0], target):
            yield _token("link_host", target.host)
        at = link.end
    yield _token("text", text[at:])


def _plain_text(tokens: Sequence[Token]) -> str:
    return "".join(
        token.content if not token.children else _plain_text(token.children) for token in tokens
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


_FOOTNOTE = re.compile(r"\[\^[^\] \n]{1,200}\]")


def _footnote_ref(state: StateInline, silent: bool) -> bool:
    """Parse ``[^1]``; the plugin's own rule searches the whole text for the closing bracket."""
    return bool(_FOOTNOTE.match(state.src, state.pos)) and footnote_ref(state, silent)


# Lists


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


# Incomplete text

_MARKS = re.compile(
    rf"\\.|\$+|`+|\*{{1,3}}|(?<!\w)_{{1,2}}|_{{1,2}}(?!\w)|~~|!?\[|\]|{TAG.pattern}",
    re.DOTALL | re.IGNORECASE,
)
_REACH = 2_000
_NOWHERE = (sys.maxsize, sys.maxsize)


def _repair_last_inline(state: StateCore) -> None:
    if not state.env.get("tail"):
        return
    for token in reversed(state.tokens):
        if token.type == "inline" and token.content:
            token.content = token.content[:-_REACH] + close_open_marks(token.content[-_REACH:])
            return
        if token.nesting != -1 and token.type not in ("inline", "td_open"):
            return  # the text ends in another kind of block


def close_open_marks(text: str) -> str:
    """Return ``text`` with open emphasis and code closed and incomplete links as plain text.

    This keeps the layout stable when the rest of the text arrives.
    """
    return _OpenMarks(text).closed()


class _OpenMarks:
    def __init__(self, text: str) -> None:
        self._text = text
        self._open: list[tuple[str, int]] = []  # marks and their offsets
        self._kinds: Counter[str] = Counter()  # counts in ``_open``: brackets, and tags by name
        self._resume = 0
        self._addresses = address_spans(text)

    def closed(self) -> str:
        addresses = iter(self._addresses)
        first, last = next(addresses, _NOWHERE)
        for mark in _MARKS.finditer(self._text):
            if mark.start() < self._resume:
                continue
            while last <= mark.start():
                first, last = next(addresses, _NOWHERE)
            if first <= mark.start() and mark[0][0] in "*_~":
                continue
            end = self._read(mark[0], mark.start(), self._text[mark.end() :])
            if end is not None:
                return self._close(end)
        text = self._text if self._text.endswith("~~") else self._text.removesuffix("~")
        return self._close(without_half_entity(without_half_tag(text)))

    def _push(self, mark: str, at: int) -> None:
        self._open.append((mark, at))
        self._kinds[_kind_of_mark(mark)] += 1

    def _cut(self, index: int) -> None:
        self._kinds.subtract(_kind_of_mark(mark) for mark, _ in self._open[index:])
        del self._open[index:]

    def _read(self, mark: str, at: int, after: str) -> str | None:
        """Process a mark; return the text to end with if the rest must not be parsed, else None."""
        match mark[0]:
            case "\\":
                return self._formula(mark, at)
            case "$":
                end = math.unfinished(self._text, at)
                self._resume = end or 0
                return self._text[:at] if end is None else None
            case "`":
                return self._code(mark, at, after)
            case "[" | "!":
                self._push(mark, at)
                return None
            case "<":
                self._tag(mark, at)
                return None
            case "]":
                return self._bracket(at, after)
            case _:
                return self._emphasis(mark, at, after)

    def _formula(self, mark: str, at: int) -> str | None:
        closing = {r"\(": r"\)", r"\[": r"\]"}.get(mark)
        if closing is None:
            return None
        close = self._text.find(closing, at + 2)
        self._resume = close + 2
        return self._text[:at] if close < 0 else None

    def _code(self, run: str, at: int, after: str) -> str | None:
        close = re.search(rf"(?<!`){run}(?!`)", after)
        if close:
            self._resume = at + len(run) + close.end()
            return None
        body = after.rstrip("` ")
        return self._text[:at] + run + body + run if body else self._text[:at]

    def _bracket(self, at: int, after: str) -> str | None:
        if not self._kinds["["]:
            return None
        index = len(self._open) - 1
        while self._open[index][0] not in ("[", "!["):
            index -= 1
        mark, start = self._open[index]
        self._cut(index)
        if after and not (after.startswith("(") and ")" not in after):
            return None
        return self._text[:start] + (self._text[start + 1 : at] if mark == "[" else "")

    def _tag(self, tag: str, at: int) -> None:
        name = _tag_name(tag)
        if name in VOID_TAGS:
            return
        if not tag.startswith("</"):
            # a single letter after a name is a type argument: Option<i>
            if len(name) > 1 or not self._text[at - 1 : at].isalnum():
                self._push(tag, at)
            return
        if self._kinds[name]:
            self._forget_from(lambda open_mark: _tag_name(open_mark) == name, over="*_~<")

    def _forget_from(self, is_it: Callable[[str], bool], over: str) -> bool:
        """Close the innermost open mark for which ``is_it`` is true, and all marks inside it.

        The marks inside it may only start with one of the characters ``over``. Returns whether a
        mark was closed.
        """
        for index in range(len(self._open) - 1, -1, -1):
            mark = self._open[index][0]
            if is_it(mark):
                self._cut(index)
                return True
            if mark[0] not in over:
                break
        return False

    def _emphasis(self, mark: str, at: int, after: str) -> str | None:
        before = self._text[at - 1 : at] if at else ""
        opens, closes = flanks(before, after[:1], splits_words="_" not in mark)
        if closes and self._forget_from(lambda open_mark: open_mark == mark, over="<"):
            return None
        if after and opens and (not before.isalnum() or is_unspaced(before)):
            self._push(mark, at)
        elif not after:
            return self._text[:at]
        return None

    def _close(self, text: str) -> str:
        closing = ""
        for mark, at in reversed(self._open):
            if mark == "![":
                text, closing = text[:at], ""
            elif mark == "[":
                text = text[:at] + text[at + 1 :]
            elif text[at + len(mark) :].strip():
                text, closing = text.rstrip(), closing + _closing(mark)
            else:
                text = text[:at]
        return text + closing


def _tag_name(mark: str) -> str:
    return mark.strip("</> \t").lower() if mark.startswith("<") else ""


def _closing(mark: str) -> str:
    return f"</{_tag_name(mark)}>" if mark.startswith("<") else mark


def _kind_of_mark(mark: str) -> str:
    return "[" if mark in ("[", "![") else _tag_name(mark)
