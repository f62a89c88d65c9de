"""Long answers, rendered after their rows have been sent with only the beginning."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from wireside.chat.conversation import ConversationTurn
from wireside_ui.presenters.answer import text_of
from wireside_ui.presenters.rows import RowPart


class LateAnswers:
    """A queue of answers to render; those added last are rendered first."""

    def __init__(
        self,
        *,
        language: str,
        render: Callable[[ConversationTurn], Awaitable[tuple[RowPart, ...]]],
        show: Callable[[str, tuple[RowPart, ...]], None],
        until_taken: Callable[[], Awaitable[None]],
    ) -> None:
        """Create the queue.

        Args:
            language: language of the interface.
            render: renders the parts of an answer without blocking the event loop.
            show: called with the id of a turn and the parts of its answer.
            until_taken: waits until the browser can take more.
        """
        self._language = language
        self._render = render
        self._show = show
        self._until_taken = until_taken
        self._queue: dict[str, ConversationTurn] = {}
        self._is_queued = asyncio.Event()

    @property
    def queued(self) -> Sequence[str]:
        """The ids of the queued turns, in the order in which they will be rendered."""
        return tuple(self._queue)

    def add(self, turns: Sequence[ConversationTurn]) -> None:
        """Queue whole answers for rendering."""
        self._queue = {turn.id: turn for turn in turns} | self._queue
        self._is_queued.set()

    def clear(self) -> None:
        """Empty the queue."""
        self._queue.clear()

    async def run(self) -> None:
        """Render the queued answers and show them, until cancelled."""
        while True:
            await self._is_queued.wait()
            while self._queue:
                await self._render_next()
                await self._until_taken()
            self._is_queued.clear()

    async def _render_next(self) -> None:
        turn = self._queue.pop(next(iter(self._queue)))
        text = text_of(turn, self._language)
        parts = await self._render(turn)
        if text_of(turn, self._language) == text:  # else it was continued meanwhile
            self._show(turn.id, parts)
