r"""Formulas in Markdown: finds their delimiters and tells formulas from prices.

``register`` adds the rules to a markdown-it parser. They parse ``\( … \)``, ``$ … $``,
``$$ … $$``, ``\[ … \]`` and ``\begin{align} … \end{align}``. A token's content is the unmodified
source with its delimiters: the page renders it with KaTeX (``assets/math.js``) or falls back to the
source, so that text mistaken for a formula loses nothing.

Theory of operation: every decision depends only on the text before the end of the formula, so that
streamed text produces the same blocks as text parsed at once. A displayed formula either fills its
lines (``math_block``) or spans lines of a paragraph, which is then split into paragraphs and
formulas (``math_paragraph``). Formulas within a line are parsed by an inline rule. Whether the
delimited text is a formula is decided by heuristics: signs of TeX, consecutive words, balanced
brackets, currencies and the characters around the delimiters.
"""

from __future__ import annotations

from markdown_it import MarkdownIt
from markdown_it.ruler import RuleOptionsType
from markdown_it.token import Token

from wireside_ui.markdown.math.blocks import math_block, math_paragraph
from wireside_ui.markdown.math.inline import math_inline
from wireside_ui.markdown.math.table_bars import hide_bars, show_bars


def register(md: MarkdownIt) -> None:
    """Add the rules for formulas to ``md``."""
    alternatives: RuleOptionsType = {"alt": ["paragraph", "reference", "blockquote", "list"]}
    md.block.ruler.before("fence", "math_block", math_block, alternatives)
    md.block.ruler.before("lheading", "math_paragraph", math_paragraph)
    md.inline.ruler.before("escape", "math_inline", math_inline)
    md.core.ruler.before("block", "math_bars", hide_bars)
    md.core.ruler.after("block", "math_bars_back", show_bars)


def classes(token: Token) -> str:
    """Return the CSS classes of a formula's element; ``ws-math`` marks a displayed formula."""
    is_display = token.type == "math_block" or token.meta["display"]
    return "ws-tex ws-math" if is_display else "ws-tex"
