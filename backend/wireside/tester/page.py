"""The chat page without a browser: its presenter, with views that note only the turns."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import fields
from typing import Any, cast

from wireside.chat.service import ChatService
from wireside.errors import BadMessage, WiresideError
from wireside.messages import Options
from wireside_ui.markdown.dialect import Markup
from wireside_ui.presenters.chat import ChatPresenter
from wireside_ui.presenters.questions import answer_from
from wireside_ui.presenters.rows import Row, RowPart
from wireside_ui.presenters.views import ChatViews, Sending


class Page:
    """One open page. Call ``open`` first and ``close`` at the end.

    Args:
        service: the chat service, bound to the user.
    """

    def __init__(self, service: ChatService) -> None:
        self._noting = _Noting(service)
        self._rows: Sequence[Row] = ()
        self._presenter = ChatPresenter(
            cast("ChatService", self._noting),
            markup=Markup(frozenset()),
            language="en",
            base="",
            connection=_Connection(),
        )
        views: dict[str, Any] = {field.name: _View() for field in fields(ChatViews)}
        self._presenter.connect(ChatViews(**{**views, "transcript": _Turns(self._show)}))
        self._updates: asyncio.Task[None] | None = None

    async def open(self, conversation_id: str | None) -> None:
        """Show a conversation, None for a new one, and follow its changes."""
        presenter = self._presenter
        await presenter.begin(await presenter.load(conversation_id), None)
        presenter.watch()
        self._updates = asyncio.create_task(presenter.updates.run(), name="page of a test")
        presenter.updates.wake()

    async def close(self) -> None:
        """Close the page. Raises the error of an update that has failed."""
        self._presenter.close()
        if self._updates is not None:
            self._updates.cancel()
            with suppress(asyncio.CancelledError):
                await self._updates

    async def ask(
        self, turn_id: str, text: str, options: Options, *, attachments: Sequence[str] = ()
    ) -> str:
        """Ask a question and return the conversation's id. Raises ``WiresideError``."""
        sending = Sending(
            turn_id=turn_id,
            question=text,
            options=options,
            edits=None,
            attachments=tuple(attachments),
        )
        await self._noting.done(self._presenter.send(sending))
        conversation = self._presenter.transcript.conversation
        assert conversation is not None
        return conversation.id

    async def answer(self, turn_id: str, part_id: str, value: object) -> None:
        """Answer an open question. Raises ``WiresideError``."""
        answer = answer_from({"id": turn_id, "part": part_id, "value": value})
        if answer is None:
            raise BadMessage("answer: the page sends no such value.")
        await self._noting.done(self._presenter.answer_question(answer))

    async def update(self) -> None:
        """Show all changes now, as the page's loop does a few times a second."""
        await self._presenter.update()

    def last_parts(self) -> tuple[RowPart, ...]:
        """Return the parts of the last answer that was there when the page was opened."""
        return self._rows[-1].parts if self._rows else ()

    def _show(self, rows: Sequence[Row]) -> None:
        self._rows = rows


class _Connection:
    """A browser that takes every message at once."""

    is_open = True
    queued = 0


class _View:
    """An element that shows nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args, **kwargs: None


class _Turns(_View):
    """The transcript: notes the turns with which the page begins."""

    def __init__(self, show: Callable[[Sequence[Row]], None]) -> None:
        self._show = show

    def reset(self, rows: Sequence[Row], total: int) -> None:
        self._show(rows)


class _Noting:
    """A chat service whose errors are noted: the page shows them as sentences."""

    def __init__(self, service: ChatService) -> None:
        self._service = service
        self._error: WiresideError | None = None

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._service, name)
        if name not in (ChatService.send_question.__name__, ChatService.answer_question.__name__):
            return found

        async def noted(*args: Any, **kwargs: Any) -> Any:
            try:
                return await found(*args, **kwargs)
            except WiresideError as error:
                self._error = error
                raise

        return noted

    async def done(self, event: Awaitable[object]) -> None:
        """Wait until an event is handled, and raise the error that the page shows."""
        self._error = None
        await event
        if self._error is not None:
            raise self._error
