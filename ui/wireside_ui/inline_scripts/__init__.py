"""Scripts that are part of a page's HTML, because they run before others are loaded.

Each file is one function expression.
"""

from functools import cache
from pathlib import Path


@cache
def inline(name: str) -> str:
    """Return the function of ``NAME.js``, to be called within a ``<script>`` element."""
    text = (Path(__file__).parent / f"{name}.js").read_text("utf-8")
    return text.strip().removesuffix(";")
