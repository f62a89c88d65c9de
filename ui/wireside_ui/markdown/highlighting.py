"""Code blocks and their highlighting with Pygments, within a limit on CPU time."""

import html as html_text
import re
import time
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import TypeVar

from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import Comment, Generic, Keyword, Literal, Name, Number, Operator, String
from pygments.token import _TokenType as TokenType
from pygments.util import ClassNotFound

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

USUAL = (
    "python", "py", "javascript", "js", "typescript", "ts", "bash", "sh", "json", "sql", "html",
    "css", "yaml", "java", "c", "cpp", "go", "rust",
)  # fmt: skip
"""The labels of code blocks whose lexers a server loads when it has started: 0.2 s of CPU time."""

TOKENS_PER_CLOCK_READ = 16
"""Tokens between two reads of the clock, each of which costs as much as a token."""

T = TypeVar("T")


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
    """The remaining CPU time for highlighting in one text, which bounds hostile input.

    Unless ``loads``, only lexers that are loaded already are used: loading one takes tens of
    milliseconds, for which the event loop must not stand still.
    """

    def __init__(
        self,
        seconds: float = HIGHLIGHT_S,
        *,
        clock: Callable[[], float] = time.thread_time,
        loads: bool = True,
    ) -> None:
        self.loads = loads
        self._clock = clock
        self._left_s = seconds

    def over(self, tokens: Iterable[T], chars: int) -> Iterator[T]:
        """Yield the tokens of ``chars`` characters of code.

        Raises:
            TimeoutError: the budget is used up.
        """
        self._left_s += chars * HIGHLIGHT_CHAR_S
        end = self._clock() + self._left_s
        try:
            for number, token in enumerate(tokens):
                if number % TOKENS_PER_CLOCK_READ == 0 and self._clock() > end:
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
    if not (allowance.loads or label in _ready_lexers):
        return None
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


def prepare(label: str) -> None:
    """Load the lexer of a language, so that its first code block needs no thread."""
    lexer = _lexer(label)
    if lexer is not None:
        for _ in lexer.get_tokens(""):
            pass


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
# fmt: off
_LANGUAGES = frozenset([
    "asm", "awk", "bash", "bat", "batch", "c", "c#", "c++", "clojure", "cmake", "cmd",
    "console", "cpp", "cs", "csharp", "css", "cuda", "cxx", "dart", "diff", "docker",
    "dockerfile", "elixir", "erlang", "ex", "f#", "fsharp", "go", "golang", "graphql", "groovy",
    "h", "haskell", "hpp", "hs", "html", "http", "ini", "java", "javascript", "jinja", "js",
    "json", "json5", "jsonc", "jsx", "julia", "kotlin", "kt", "latex", "less", "lisp", "lua",
    "make", "makefile", "mjs", "nginx", "nim", "nix", "objc", "objective-c", "ocaml", "octave",
    "pascal", "patch", "perl", "php", "pl", "powershell", "prolog", "proto", "protobuf", "ps1",
    "py", "py3", "pycon", "python", "python3", "pytb", "r", "racket", "rb", "rs", "ruby",
    "rust", "sass", "scala", "scheme", "scss", "sh", "shell", "sol", "solidity", "sql",
    "svelte", "swift", "tcl", "tex", "toml", "ts", "tsx", "typescript", "udiff", "v", "verilog",
    "vhdl", "vim", "vue", "xml", "yaml", "yml", "zig", "zsh",
])
# fmt: on

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

TOKEN_CLASSES = frozenset(_KINDS.values())
"""CSS classes of the tokens of highlighted code."""


@lru_cache(maxsize=512)
def _kind(token_type: TokenType) -> str:
    found: TokenType | None = token_type
    while found is not None:
        if found in _KINDS:
            return _KINDS[found]
        found = found.parent
    return ""
