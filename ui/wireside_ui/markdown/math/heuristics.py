"""Heuristics: whether a delimited text is a formula rather than prices, code or prose."""

from __future__ import annotations

import re

_COMMAND = re.compile(r"\\[A-Za-z]")
_MARKS = re.compile(
    r"""\\(?:[A-Za-z]|[{}|,;:!\\])       # a command
    |(?<=[\w)}\]|'])\s?\^\s?[\w{(+\-*\\']   # an exponent
    |(?<![^\W_])[^\W\d_]'*_\s?[\w{\\]       # an index
    |[)}\]]_[\w{\\]""",
    re.VERBOSE,
)
_IN_WORDS = re.compile(
    r"\\(?:begin|end|text|textbf|textit|textrm|mbox|hbox|mathrm|mathbf|mathsf|operatorname|tag|label"
    r"|ce|pu)\*?\s*\{[^{}]*\}|\\[A-Za-z]+"
)
_PROSE = re.compile(r"(?<![^\W_])[^\W\d_]{2,},?[ \t\n]+[^\W\d_]{2,}(?![^\W_])")
_LITTLE_WORDS = re.compile(
    r"(?<![^\W\d_])(?:and|or|is|to|for|the|of|in|per|with|und|oder|ist|et|ou|est|para|por|и|или)"
    r"(?![^\W\d_])"
)

_SPACELESS = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\ud7ff\uf900-\ufaff\uff00-\uffdc"
    "\U00020000-\U0003ffff]"
)
"""Characters of scripts without spaces between words."""

_CURRENCY = re.compile("[€£¥₹₽₩₺₫₴₪฿元円]")
_CODE_SIGNS = re.compile(r"[\"`;@#\n]|&&|\|\||->|=>|::|//")
_OPERATOR = re.compile(r"[+*/=<>≤≥≠≈×÷·±!|∈∪∩→]")
_NUMBER = re.compile(r"[-+±~]?\s?(?:\d+(?:[.,]\d+)*|\.\d+)\s?(?:\\?%)?")
_DIGIT_FIRST = re.compile(r"[-+±~≈<>≤≥(\[]*\s?\.?\d")

_ATTACHED = re.compile(r"[_^](?:\{[^{}]*\}|\w|\\[A-Za-z]+)[+\-]?|\\[A-Za-z]+[^\n]{0,40}")
"""A formula that may directly follow a word: ``H$_2$O``, ``30$^\\circ$C``, ``5$\\mu$m``."""

_SUFFIX = re.compile(r"(?:th|st|nd|rd|s|D|d|ary|fold|mal|te[nrs]?|ième|e)(?![^\W_])")


def has_marks(text: str) -> bool:
    """Return whether a text has signs of TeX: a command, an exponent or an index."""
    return _MARKS.search(text) is not None


def is_prose(text: str) -> bool:
    """Return whether a text without signs of TeX has two consecutive words."""
    return not has_marks(text) and _PROSE.search(text) is not None


def has_sentence(text: str) -> bool:
    """Return whether a text has two consecutive words, not counting TeX commands and labels."""
    return _PROSE.search(_IN_WORDS.sub(" \x00 ", text)) is not None


def _is_balanced(text: str) -> bool:
    return text.count("(") + text.count("[") == text.count(")") + text.count("]") and text.count(
        "{"
    ) == text.count("}")


def is_dollar_formula(inner: str, before: str, after: str) -> bool:
    """Return whether ``$inner$`` is a formula, by its text and the surrounding characters."""
    if not inner.strip() or "`" in inner or before == "$" or after[:1].isdecimal():
        return False
    if after[:1] == "{" and not _COMMAND.search(inner):  # ${A}${B}
        return False
    is_attached = bool(_ATTACHED.fullmatch(inner))
    if inner[0].isspace() or inner[-1].isspace():
        # some models write "$ \alpha $"; "5 $ or 10 $" has prices
        is_padded = inner[0].isspace() and inner[-1].isspace()
        return is_padded and bool(_COMMAND.search(inner)) and not has_sentence(inner)
    if joins_word(before) and not is_attached:
        return False
    if joins_word(after[:1]) and not (is_attached or _COMMAND.search(inner) or "^" in inner):
        is_variable = len(inner) == 1 and inner.isalpha() and inner.isascii()
        return is_variable and bool(_SUFFIX.match(after))
    if _CURRENCY.search(inner) and not _COMMAND.search(inner):
        return False
    if is_attached or has_marks(inner):
        return not (_DIGIT_FIRST.match(inner) and has_sentence(inner))
    if _DIGIT_FIRST.match(inner):
        return _is_calculation(inner)
    return _is_expression(inner, after)


def joins_word(char: str) -> bool:
    """Return whether a character adjacent to a dollar forms one word with it."""
    return char.isalnum() and not _SPACELESS.match(char)


def _is_calculation(inner: str) -> bool:
    """Return whether a text that starts with a digit and has no TeX is more than a price."""
    if _NUMBER.fullmatch(inner):
        return True
    if re.search(r"[.:;!?]\s|[;?\"\n]", inner) or not _is_balanced(inner):
        return False
    if re.fullmatch(r"[(\[][\d.,\s+-]+[)\]]", inner):  # an interval, a point
        return True
    if _SPACELESS.search(inner) or _LITTLE_WORDS.search(inner):
        return False
    for word in re.finditer(r"[^\W\d_]{2,}", inner):
        is_coefficient = word.start() > 0 and inner[word.start() - 1].isdecimal()
        if not word[0].isascii() or word[0].isupper() or len(word[0]) > 3 or not is_coefficient:
            return False
    if inner[-1] in "+-*/=<>.,:(" or re.search("[→≈~–—]", inner):  # a range of prices
        return False
    has_letter = re.search(r"[A-Za-z]", inner) is not None
    is_product = re.search(r"\d[A-Za-z]", inner) is not None
    return is_product or bool(_OPERATOR.search(inner)) or (has_letter and "-" in inner)


def _is_expression(inner: str, after: str) -> bool:
    """Return whether a text that starts with no digit and has no TeX is a formula."""
    if len(inner) == 1:
        return inner.isalpha() or inner in "+-=<>/*|!±×÷∞"
    if _CODE_SIGNS.search(inner) or not _is_balanced(inner):
        return False
    if inner[0] in ".,;:)]}&*/?!'" or inner[-1] in "-/=:+*(&<>":
        return False
    if inner[-1] in ",.;" and after[:1].strip():
        return False
    if re.match(r"\{\w{2,}", inner):  # ${NAME}
        return False
    if _PROSE.search(inner) or _LITTLE_WORDS.search(inner):
        return False
    return not _SPACELESS.search(inner) or bool(_OPERATOR.search(inner))


def is_parenthesis_formula(inner: str) -> bool:
    r"""Return whether ``\(inner\)`` is a formula rather than text in escaped parentheses."""
    if not inner.strip() or "\n\n" in inner:
        return False
    if has_marks(inner) or "\\" in inner:
        return True
    inner = " ".join(inner.split())
    if _CODE_SIGNS.search(inner) or _PROSE.search(inner) or _LITTLE_WORDS.search(inner):
        return False
    if _SPACELESS.search(inner):
        return bool(_OPERATOR.search(inner))
    words = re.findall(r"[^\W\d_]{4,}", inner)
    return not words or bool(_OPERATOR.search(inner))


def is_formula_after_text(inner: str) -> bool:
    """Return whether a ``$$`` formula that starts at the end of a line of text is a formula."""
    return bool(inner.strip()) and (has_marks(inner) or is_parenthesis_formula(inner))


def is_display_formula(opening: str, inner: str) -> bool:
    r"""Return whether ``$$inner$$`` or ``\[inner\]`` within one line is a formula."""
    stripped = inner.strip()
    if not stripped or "`" in inner:
        return False
    if has_marks(inner):
        return bool(_COMMAND.search(inner)) or not _PROSE.search(inner)
    if _CODE_SIGNS.search(stripped) or _PROSE.search(inner) or _LITTLE_WORDS.search(inner):
        return False
    if not _is_balanced(inner) or stripped[0] in ".,;:)]}&>/|-" or stripped[-1] in "-/:+*(&|":
        return False
    if opening == "$$":
        return " | " not in inner and is_parenthesis_formula(inner)
    # escaped brackets: "\[1\]", "\[x\]", "\[see below\]", "\[--key=value\]"
    has_words = re.search(r"[^\W\d_]{3,}", inner) is not None
    is_padded = inner[0].isspace() and inner[-1].isspace()
    return bool(re.search(r"[+=<>≤≥≠≈]", inner)) and (is_padded or not has_words)
