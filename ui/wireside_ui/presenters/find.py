"""Search within one conversation.

Case, combining marks and white space are ignored. A query matches the Markdown source and the
rendered text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator

from wireside.chat.conversation import Conversation
from wireside.chat.library import Library
from wireside.offload import run_in_worker
from wireside.parts import text_of
from wireside_ui.presenters.views import TranscriptView

MAX_QUERY_CHARS = 200

MAX_FOUND = 1_000
"""Maximum number of turns that one search returns."""

SLICE_CHARS = 65_536
"""Characters folded at once: some C functions hold the GIL for the whole call."""

_OVERLAP_CHARS = 2_000
"""Overlap of two slices: the longest query, with Markdown syntax in between."""

_SIGNS = re.compile(r"[*_`~\[]+|^[ \t]*(?:#{1,6}|>|[-+])[ \t]+|\]\([^()\s]{0,2000}\)", re.MULTILINE)
"""Markdown syntax that is not shown: emphasis, list and heading marks, the ends of links.

Matching takes linear time: each repetition ends at a character that starts another match.
"""


class FindPresenter:
    """Searches the turns on the shown path. Set ``view`` first."""

    view: TranscriptView

    def __init__(self, library: Library, shown: Callable[[], Conversation | None]) -> None:
        """``shown`` returns the conversation that the page shows."""
        self._library = library
        self._shown = shown
        self._query = ""

    async def find(self, query: str) -> None:
        """Show which turns contain ``query``; a newer search cancels an older one.

        Raises:
            StoreError: the turns can't be read.
        """
        conversation, self._query = self._shown(), query
        wanted = folded(query)
        if conversation is None or not wanted:
            return
        places: list[int] = []
        place = 0
        async for record in self._library.iterate_turns(conversation, "shown"):
            if self._query != query or conversation is not self._shown():
                return
            turn = conversation.turn_in_memory(record.id)
            text = turn.text if turn else text_of(record.answer)
            if await run_in_worker(contains, wanted, (record.question, text)):
                places.append(place)
            if len(places) == MAX_FOUND:
                break
            place += 1
        self.view.found_in(query, places)


def folded(text: str) -> str:
    """Return ``text`` case-folded, without combining marks, with white space collapsed.

    The page's script folds text in the same way.
    """
    plain = unicodedata.normalize("NFKD", text)
    plain = "".join(c for c in plain if not unicodedata.category(c).startswith("M"))
    return " ".join(plain.casefold().split())


def contains(query: str, texts: Iterable[str]) -> bool:
    """Return whether the source or the rendered text of one of ``texts`` contains ``query``.

    ``texts`` are Markdown; ``query`` must be ``folded``.
    """
    return any(
        query in folded(part) or query in folded(_SIGNS.sub("", part))
        for text in texts
        for part in _slices(text)
    )


def _slices(text: str) -> Iterator[str]:
    for start in range(0, max(len(text) - _OVERLAP_CHARS, 1), SLICE_CHARS):
        yield text[start : start + SLICE_CHARS + _OVERLAP_CHARS]
