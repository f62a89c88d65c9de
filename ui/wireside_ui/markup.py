"""The dialect of Markdown that answers are written in, and its safe HTML.

``Markup.parse`` makes markdown-it tokens, ``Markup.html`` makes HTML of any run of them. Raw HTML
in the text is text; what leaves here went through an allow-list (nh3). A remote image is a card to
open it, because loading one by itself can carry data of the talk to a stranger.

Every rule here decides on local grounds, so that a block means the same alone and in its document:
the streaming in ``markdown.py`` rests on it.
"""

import html as html_text
import re
import time
from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar, cast

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from markdown_it.utils import OptionsDict
from mdit_py_plugins.footnote import footnote_plugin
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import Comment, Generic, Keyword, Literal, Name, Number, Operator, String
from pygments.token import _TokenType as TokenType
from pygments.util import ClassNotFound

from wireside_ui import math
from wireside_ui.destinations import MAX_URL_CHARS, Destination, destination, says_it

MAX_NESTING = 32
MAX_HIGHLIGHT_CHARS = 64_000
MAX_HIGHLIGHT_LINES = 2_000
MAX_HIGHLIGHT_LINE = 2_000
HIGHLIGHT_S = 0.05
HIGHLIGHT_CHAR_S = 1e-5
"""What highlighting may take, once a text and for each character of code: several times what code
takes. Nearly every lexer has an expression that looks at all the rest from each place anew, an open
comment for one: 24 KB made for that took half a minute, in which nobody was served.
"""
TOKENS_A_LOOK = 16
"""Tokens from one look at the clock to the next: it costs as much as a token."""

MAX_TITLE_CHARS = 200

_FOOTNOTE_RULES = ("ref", "block_open", "block_close", "open", "close", "anchor")

T = TypeVar("T")

Env = MutableMapping[str, Any]


class Markup:
    """Parser and renderer for one set of allowed image hosts. Holds no state of a text: one serves
    everybody.
    """

    def __init__(self, allowed_image_hosts: frozenset[str] = frozenset()) -> None:
        """``allowed_image_hosts``: lower-case host names whose https images are shown at once."""
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
        self._md.enable(["table", "strikethrough"])
        self._md.use(footnote_plugin, inline=False)
        renderer = cast("_Renderer", self._md.renderer)
        for rule in _FOOTNOTE_RULES:  # ours in place of the plugin's, which need ids
            name = f"footnote_{rule}"
            renderer.rules[name] = getattr(renderer, name)
        math.register(self._md)
        self._md.core.ruler.before("inline", "repair", _repair_last_inline)
        self._md.core.ruler.before("inline", "item_paragraphs", _hide_lone_item_paragraphs)
        self._md.core.ruler.push("inline_finish", self._finish_inlines)
        # its own hook for this
        self._md.validateLink = lambda url: len(url) <= MAX_URL_CHARS  # type: ignore[method-assign]

    def parse(self, text: str, env: Env) -> list[Token]:
        """Tokens of ``text``. ``env`` collects references; ``env["tail"]`` says that the text may
        end in the middle of a sentence.
        """
        return self._md.parse(text, env)

    def html(self, tokens: Sequence[Token], env: Env) -> str:
        """Safe HTML of ``tokens``. Rows and items may come without their table or list."""
        wrap = _WRAPS.get(tokens[0].type) if tokens else None
        rendered = self._md.renderer.render(tokens, self._md.options, env)
        if wrap is None:
            return _CLEANER.clean(rendered)
        opening, closing = wrap
        # the HTML parser inside nh3 drops a row that stands outside a table
        return _CLEANER.clean(opening + rendered + closing)[len(opening) : -len(closing)]

    def clean(self, html: str) -> str:
        """``html`` as the allow-list leaves it."""
        return _CLEANER.clean(html)

    def _finish_inlines(self, state: StateCore) -> None:
        for token in state.tokens:
            if token.type == "inline" and token.children:
                token.children = self._finish(token.children)

    def _finish(self, children: list[Token]) -> list[Token]:
        """Bare addresses become links, links get their target and rel, images become cards; too
        deep nesting is flattened.
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
    """The frame around code; the component adds the copy button."""
    lang = html_text.escape(label)
    return f'<div class="ws-code" data-lang="{lang}"><pre><code>{inner_html}</code></pre></div>'


def code_label(info: str) -> str:
    """The language that a fence names, or an empty string."""
    word = info.split(maxsplit=1)[0].strip("{}.").lower() if info.strip() else ""
    return word if re.fullmatch(r"[\w+#.\-]{1,24}", word) else ""


class Allowance:
    """The processor's time that highlighting may still take in one text, however it was made."""

    def __init__(self, clock: Callable[[], float] = time.thread_time) -> None:
        self._clock = clock
        self._left_s = HIGHLIGHT_S

    def over(self, tokens: Iterable[T], chars: int) -> Iterator[T]:
        """Go through the tokens of so many characters. Raises ``TimeoutError``."""
        self._left_s += chars * HIGHLIGHT_CHAR_S
        end = self._clock() + self._left_s
        try:
            for number, token in enumerate(tokens):
                if number % TOKENS_A_LOOK == 0 and self._clock() > end:
                    raise TimeoutError
                yield token
        finally:
            self._left_s = end - self._clock()


def highlight(code: str, label: str, allowance: Allowance | None = None) -> str | None:
    """Highlighted HTML of ``code``; ``None`` where it stays as it is: an unknown language, or more
    than is worth the work.
    """
    try:
        return _highlighted(code, label, allowance or Allowance())
    except TimeoutError:
        return None


def _highlighted(code: str, label: str, allowance: Allowance) -> str | None:
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
        if (
            kind == last or value.isspace()
        ):  # fewer and longer spans: each one is a node in the page
            run += value
            continue
        out.append(_span(last, run))
        last, run = kind, value
    out.append(_span(last, run))
    return "".join(out)


def _span(kind: str, text: str) -> str:
    escaped = html_text.escape(text, quote=False)
    return f'<span class="{kind}">{escaped}</span>' if kind and text else escaped


@lru_cache(maxsize=128)
def _lexer(label: str) -> Lexer | None:
    # known ones only: some of the several hundred others may stall at a single place of a hostile
    # text, where no ``Allowance`` ends them
    if label not in _LANGUAGES:
        return None
    try:
        return get_lexer_by_name(label, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None


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
    """HTML without white space between blocks: each piece of it would be a node in the page."""

    # overrides
    def renderToken(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Env) -> str:  # noqa: N802
        token = tokens[idx]
        if token.hidden or not token.tag:
            return ""
        return (
            f"</{token.tag}>" if token.nesting == -1 else f"<{token.tag}{self.renderAttrs(token)}>"
        )

    def fence(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Env) -> str:
        label, code = code_label(html_text.unescape(tokens[idx].info)), tokens[idx].content
        highlighted = highlight(code, label, env.setdefault("allowance", Allowance()))
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
        return '<div class="ws-table"><table>'

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
    return f"<{token.tag}{place}>"


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
    },
    attributes={
        "a": {"href", "title"},
        "img": {"src", "alt"},
        "ol": {"start"},
        "li": {"data-fn"},
        "div": {"data-lang", "data-open"},
        "span": {"data-on", "aria-label"},
        "sup": {"data-fn"},
    },
    tag_attribute_values={
        "a": {"target": {"_blank"}},
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

_BARE_URL = re.compile(r"https?://[^\s<>\"“”„‘’«»\\^`{|}]{4,2000}", re.IGNORECASE)


def _finish_link(token: Token) -> None:
    url = str(token.attrs.get("href", ""))
    target = destination(url)
    if target is not None:
        title = str(token.attrs.get("title", ""))[:MAX_TITLE_CHARS]
        _lead(token, target)
        if title:  # after the address: what somebody says of it never hides where it goes
            token.attrs["title"] = f"{target.url}\n{title}"
    elif re.match(r"mailto:[^\s]", url):
        token.attrs = {"href": url, "target": "_blank", "title": url}
    else:
        token.tag, token.attrs = "span", {}  # nowhere to go: only its text is shown


def _lead(link: Token, target: Destination) -> None:
    link.attrs = {"href": target.url, "target": "_blank", "title": target.url}
    link.meta = {"target": target}


def _contradicted_host(link: Token, inside: Sequence[Token]) -> str:
    """The true host where the text of a link may be taken for another one."""
    target: Destination | None = link.meta.get("target")
    return "" if target is None or says_it(_plain_text(inside[:200]), target) else target.host


def _linkify(token: Token) -> Iterator[Token]:
    text, at = token.content, 0
    for found in _BARE_URL.finditer(text) if "://" in text else ():
        url = found[0].rstrip(".,:;!?'\"*_~")
        while url.endswith((")", "]")) and url.count(")") + url.count("]") > url.count(
            "("
        ) + url.count("["):
            url = url[:-1].rstrip(".,:;!?'\"*_~")
        target = destination(url)
        if target is None:
            continue
        yield _token("text", text[at : found.start()])
        opening = Token("link_open", "a", 1)
        _lead(opening, target)
        yield opening
        yield _token("text", url)
        yield Token("link_close", "a", -1)
        if not says_it(url.partition("://")[2].partition("/")[0], target):
            yield _token("link_host", target.host)
        at = found.start() + len(url)
    yield _token("text", text[at:])


def _plain_text(tokens: Sequence[Token]) -> str:
    return "".join(
        token.content if not token.children else _plain_text(token.children) for token in tokens
    )


# Lists


def _hide_lone_item_paragraphs(state: StateCore) -> None:
    """An item with one paragraph shows it without ``<p>``, whatever stands between the items.

    CommonMark asks the whole list ("loose" if a blank line is anywhere), which would change items
    that are long on the screen.
    """
    paragraphs: list[
        tuple[int, list[int]]
    ] = []  # (level of the item's children, their paragraphs) for each open item
    for index, token in enumerate(state.tokens):
        if token.type == "list_item_open":
            paragraphs.append((token.level + 1, []))
        elif token.type == "list_item_close":
            _, found = paragraphs.pop()
            for at in found:
                state.tokens[at].hidden = state.tokens[at + 2].hidden = len(found) == 1
        elif token.type == "paragraph_open" and paragraphs and token.level == paragraphs[-1][0]:
            paragraphs[-1][1].append(index)


# Half-written text

_MARKS = re.compile(r"\\.|\$+|`+|\*{1,3}|(?<!\w)_{1,2}|_{1,2}(?!\w)|~~|!?\[|\]", re.DOTALL)
_REACH = 2_000


def _repair_last_inline(state: StateCore) -> None:
    if not state.env.get("tail"):
        return
    for token in reversed(state.tokens):
        if token.type == "inline" and token.content:
            token.content = token.content[:-_REACH] + close_open_marks(token.content[-_REACH:])
            return
        if token.nesting != -1 and token.type not in ("inline", "td_open"):
            return  # the text ends in something else


def close_open_marks(text: str) -> str:
    """``text`` with its open emphasis and code closed, and half-written links shown as their text.

    So nothing that is on the screen jumps when the rest comes.
    """
    return _OpenMarks(text).closed()


class _OpenMarks:
    def __init__(self, text: str) -> None:
        self._text = text
        self._open: list[tuple[str, int]] = []  # marks and where they stand
        self._resume = 0

    def closed(self) -> str:
        for mark in _MARKS.finditer(self._text):
            if mark.start() < self._resume:
                continue
            end = self._read(mark[0], mark.start(), self._text[mark.end() :])
            if end is not None:
                return self._close(end)
        return self._close(self._text)

    def _read(self, mark: str, at: int, after: str) -> str | None:
        """Take a mark in; the text to end with, where it cannot be read any further."""
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
                self._open.append((mark, at))
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
        found = [i for i, (mark, _) in enumerate(self._open) if mark in ("[", "![")]
        if not found:
            return None
        mark, start = self._open[found[-1]]
        del self._open[found[-1] :]
        if after and not (after.startswith("(") and ")" not in after):
            return None
        return self._text[:start] + (self._text[start + 1 : at] if mark == "[" else "")

    def _emphasis(self, mark: str, at: int, after: str) -> str | None:
        before = self._text[at - 1 : at]
        if self._open and self._open[-1][0] == mark and not before.isspace():
            self._open.pop()
        elif after and not after[0].isspace() and not before.isalnum():
            self._open.append((mark, at))
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
                text, closing = text.rstrip(), closing + mark
            else:
                text = text[:at]
        return text + closing
