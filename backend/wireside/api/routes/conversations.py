"""REST routes for conversations: list, search, read, change, export, import."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import partial
from tempfile import SpooledTemporaryFile
from typing import IO, Annotated, Any, Literal, TypeVar, cast
from urllib.parse import quote
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, JsonValue
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from wireside.api.dependencies import CallerChat, CallerLibrary
from wireside.api.errors import PROBLEMS
from wireside.api.policy import API, route_policy, with_policy
from wireside.chat.access import NO_CONVERSATION
from wireside.chat.conversation import Conversation, ConversationTurn
from wireside.chat.instructions import is_instruction
from wireside.chat.library import MAX_TITLE_CHARS, Library
from wireside.errors import BadMessage, NotFound, TooLarge, TooMany
from wireside.generation.log import PartPiece, Piece, ReasoningPiece, TextPiece, ToolPiece
from wireside.generation.runner import Stream, new_stream_name
from wireside.identity import Caller
from wireside.invisible_text import seen
from wireside.offload import run_in_worker
from wireside.parts import (
    Attachment,
    DataPart,
    FilePart,
    ImagePart,
    data_of,
    is_hidden,
    label_of,
    part_to_object,
    upload_of,
)
from wireside.ports.clock import Clock
from wireside.records import (
    MAX_TAG_CHARS,
    MAX_TAGS,
    ConversationInfo,
    Hit,
    HitKind,
    SearchFilter,
)
from wireside.transfer.embedded import PageImages, with_contents
from wireside.transfer.export import Exporter, HtmlExport, JsonExport, MarkdownExport
from wireside.transfer.import_limits import IMPORT_LIMITS, ImportLimits
from wireside.transfer.imports import conversations, passed_over

T = TypeVar("T")

Format = Literal["markdown", "json", "html"]

IN_MEMORY_BYTES = 16 * 1024
"""Bytes of an upload kept in memory; the rest goes to a temporary file until it is complete."""

MAX_PAGE = 200
"""Largest number of conversations, turns or hits in one response."""

Limit = Annotated[int, Query(ge=1, le=MAX_PAGE)]
Id = Annotated[str, Path(max_length=64)]

# The library enforces these limits. Here they are only documented, so that the error sentences are
# those of the library.
Title = Annotated[
    str, Field(json_schema_extra={"minLength": 1, "maxLength": MAX_TITLE_CHARS, "pattern": r"\S"})
]
_TAG: dict[str, JsonValue] = {
    "type": "string",
    "minLength": 1,
    "maxLength": MAX_TAG_CHARS,
    "pattern": r"\S",
}
Tags = Annotated[list[str], Field(json_schema_extra={"maxItems": MAX_TAGS, "items": _TAG})]
Cursor = Annotated[
    str,
    Query(
        max_length=200, json_schema_extra={"pattern": r"^[pu] -?[0-9]{1,12}(\.[0-9]{1,9})? \S+$"}
    ),
]


class ConversationSummary(BaseModel):
    """A conversation in a list. Times are UTC."""

    id: str
    title: str
    created_at: datetime
    updated_at: datetime
    pinned: bool
    archived: bool
    answering: bool = Field(description="Whether an answer is being made in it now.")
    tags: list[str]
    folder: str | None = Field(description="The id of its folder; null if it is in none.")
    right: Literal["own", "reply", "read"] = Field(
        "own", description="What the user may do: everything, read and ask, or read."
    )
    owner: str | None = Field(
        None, description="The name of the user who shares it; null for one of the user's own."
    )
    members: int = Field(
        0, description="How many users and groups it is shared with; 0 for one of another user."
    )


class ConversationList(BaseModel):
    """A page of conversations: pinned ones first, then newest first."""

    conversations: list[ConversationSummary]
    cursor: str | None = Field(description="Asks for the next page; null at the end.")


class AnswerPart(BaseModel):
    """A part of an answer.

    `state`, `name`, `call`, `arguments` and `result` are set for tool calls; `kind`, `part` and
    `data` for parts, as in the protocol's `part` frame.
    """

    type: Literal["text", "reasoning", "tool", "part"]
    text: str | None = None
    name: str | None = None
    call: str | None = None
    state: str | None = None
    arguments: str | None = None
    result: str | None = None
    kind: str | None = None
    part: str | None = None
    data: Any = None


class AnswerStream(BaseModel):
    """A stream of an answer. It can be followed on `/ws/ai-chat`: `resume` with its name."""

    stream: str
    model: str
    state: Literal["live", "finished", "interrupted"]
    head: int = Field(description="The position after its text: an offset to resume from.")
    saved: bool = Field(description="Whether the store has all of it; false while the store fails.")
    reason: str | None
    error: str | None
    code: str | None
    input_tokens: int | None
    output_tokens: int | None
    cost: float | None = Field(None, description="By the prices of the time at which it ended.")
    currency: str | None = None
    parts: list[AnswerPart]


class QuestionAnswer(BaseModel):
    """The answer to a question: `part` is its id, `value` of the type that it wants."""

    part: Annotated[str, Field(min_length=1, max_length=200)]
    value: Any


class QuestionFile(BaseModel):
    """A file of a question. `id` is null for one that the server does not keep."""

    id: str | None
    name: str
    media_type: str


class TurnView(BaseModel):
    """A question with its answer.

    It is number `sibling` of the `siblings` turns that follow the same turn.
    """

    id: str
    index: int
    question: str
    attachments: list[QuestionFile]
    created_at: datetime
    waiting: bool
    sibling: int
    siblings: int
    feedback: Literal["up", "down"] | None
    asked_by: str | None = Field(
        None, description="The name of the user who asked, in a shared conversation."
    )
    instruction: str | None = Field(
        default=None, description="What the page added to the question, such as `Shorter`'s text."
    )
    answer: list[AnswerStream]


class ConversationView(ConversationSummary):
    """A conversation with one page of its shown turns, oldest first."""

    total: int = Field(description="How many turns are shown.")
    turns: list[TurnView]


class CostSum(BaseModel):
    """A sum of costs in one currency."""

    amount: float
    currency: str


class ConversationUsage(BaseModel):
    """Tokens and costs of all answers of a conversation, also of those that are not shown."""

    answers: int
    input_tokens: int
    output_tokens: int
    costs: list[CostSum]


class SearchHit(BaseModel):
    """A search hit. In `snippet`, every second piece, starting with the second, is a match."""

    conversation: str
    title: str
    turn: str | None
    kind: Literal["title", "question", "answer"]
    snippet: list[str]
    created_at: datetime
    owner: str | None = Field(
        None, description="The name of the user who shares the conversation; null for one's own."
    )


class SearchResult(BaseModel):
    """A page of search hits, newest first."""

    hits: list[SearchHit]
    cursor: int | None = Field(description="Asks for what follows; null at the end.")


class TagView(BaseModel):
    """A tag of the user's conversations."""

    tag: str
    conversations: int = Field(description="How many conversations have it.")


class TagList(BaseModel):
    """The tags of the user's conversations, ordered by tag."""

    tags: list[TagView]


class NewConversation(BaseModel):
    """Fields of a new conversation."""

    model_config = ConfigDict(strict=True)

    title: Title


class Copied(BaseModel):
    """What to copy of a conversation: all of it, or the turns up to `turn`, itself included."""

    model_config = ConfigDict(strict=True)

    turn: Annotated[str, Field(max_length=64)] | None = None


class EditedAnswer(BaseModel):
    """The text that takes the place of an answer."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(json_schema_extra={"minLength": 1, "pattern": r"\S"})]


class NewVersion(BaseModel):
    """The version of a turn that a change has added."""

    turn: str = Field(description="Its id; the conversation shows it in the place of the turn.")


class SummaryOutcome(BaseModel):
    """How a request for a summary ended."""

    outcome: Literal["done", "nothing", "empty"] = Field(
        description="`nothing`: no older turn is left to summarise; `empty`: the model wrote none."
    )


class Changes(BaseModel):
    """Changes to a conversation. Fields that are absent stay as they are."""

    model_config = ConfigDict(strict=True)

    title: Title | None = None
    pinned: bool | None = None
    archived: bool | None = None
    tags: Tags | None = None
    folder: Annotated[str, Field(max_length=64)] | None = Field(
        None, description="The id of its folder; null takes it out of its folder."
    )


class Imports(BaseModel):
    """Counts of an import.

    Conversations are new (`imported`), continued by the file (`updated`) or already present
    (`unchanged`). `passed_over` counts unreadable conversations, empty turns, and parts that can't
    be shown as text.
    """

    imported: int
    updated: int
    unchanged: int
    passed_over: int
    conversations: list[str]


_ANY_FILE = {
    "required": True,
    "content": {
        "application/json": {"schema": {}},
        "application/zip": {"schema": {"type": "string", "format": "binary"}},
    },
}


class ConversationRoutes:
    """Routes under ``/api/conversations``. ``render`` turns Markdown into safe HTML."""

    def __init__(
        self,
        render: Callable[[str], str],
        wall_clock: Clock,
        import_limits: ImportLimits = IMPORT_LIMITS,
    ) -> None:
        self._render = render
        self._import_limits = import_limits
        self._now = wall_clock
        # parsing a file takes several times its size in memory
        self._importing = asyncio.Semaphore(1)
        self._importers: set[str] = set()

    def build_router(self) -> APIRouter:
        """Return the router. Fixed paths come before those with a parameter."""
        router = APIRouter(
            prefix="/api/conversations", tags=["conversations"], responses={**PROBLEMS}
        )
        router.get("")(self.page)
        router.post("", status_code=201)(self.create)
        router.delete("", status_code=204)(self.delete_all)
        router.get("/search")(self.search)
        router.get("/tags")(self.tags)
        router.get("/export", response_class=StreamingResponse)(self.export_many)
        router.post("/import", openapi_extra={"requestBody": _ANY_FILE})(self.import_file)
        router.get("/{conversation_id}")(self.show)
        router.patch("/{conversation_id}")(self.change)
        router.delete("/{conversation_id}", status_code=204)(self.delete)
        router.post("/{conversation_id}/restore")(self.restore)
        router.post("/{conversation_id}/copies", status_code=201)(self.copy)
        router.post("/{conversation_id}/answers", status_code=202)(self.answer_question)
        router.post("/{conversation_id}/turns/{turn_id}/edits", status_code=201)(self.edit_answer)
        router.post("/{conversation_id}/summaries")(self.summarise)
        router.delete("/{conversation_id}/summaries/{turn_id}", status_code=204)(self.undo_summary)
        router.get("/{conversation_id}/usage")(self.usage)
        router.get("/{conversation_id}/export", response_class=StreamingResponse)(self.export)
        return with_policy(router, API)

    async def page(
        self,
        library: CallerLibrary,
        archived: bool = False,
        tag: Annotated[str | None, Query(max_length=40)] = None,
        folder: Annotated[str | None, Query(max_length=64)] = None,
        shared: bool = False,
        cursor: Cursor | None = None,
        limit: Limit = 50,
    ) -> ConversationList:
        """List conversations page by page: pinned ones first, then newest first.

        `folder` restricts the list to the conversations of a folder; an empty one to pinned
        conversations and those that are in none. With `shared`, the list has the conversations that
        others share with the user instead of the user's own.
        """
        if shared:
            listing = await library.list_shared(cursor=cursor, limit=limit)
            return ConversationList(
                conversations=await _summary_views(library, listing.conversations),
                cursor=listing.cursor,
            )
        listing = await library.list_page(
            archived=archived, tag=tag, folder=folder, cursor=cursor, limit=limit
        )
        return ConversationList(
            conversations=[_summary_view(library, info) for info in listing.conversations],
            cursor=listing.cursor,
        )

    async def create(self, library: CallerLibrary, new: NewConversation) -> ConversationSummary:
        """Create an empty conversation; continue it on `/ws/ai-chat` or on the page."""
        return _summary_view(library, await library.create(new.title))

    async def search(
        self,
        library: CallerLibrary,
        q: Annotated[str, Query(max_length=200)],
        kind: HitKind | None = None,
        model: Annotated[str | None, Query(max_length=200)] = None,
        folder: Annotated[str | None, Query(max_length=64)] = None,
        tag: Annotated[str | None, Query(max_length=MAX_TAG_CHARS)] = None,
        since: datetime | None = None,
        until: datetime | None = None,
        cursor: Annotated[int | None, Query(ge=0, lt=2**63)] = None,
        limit: Limit = 30,
    ) -> SearchResult:
        """Search titles, questions and answers for texts that match all words of the query.

        A word matches at the start of a word; one of three or more characters also inside words.
        The other parameters restrict the texts: to those in titles, questions or answers (`kind`),
        questions to a model and its answers, conversations of a folder or with a tag, and texts
        written from `since` on and before `until`. With an empty query, they find conversations.
        Of conversations that others share with the user, what is shown is found.
        """
        filters = SearchFilter(
            kind=kind,
            model=model,
            folder_id=folder,
            tag=tag,
            since=_seconds_of(since),
            until=_seconds_of(until),
        )
        hits = await library.search(q, filters=filters, cursor=cursor, limit=limit)
        owners = await library.members.names_of_owners(hits)
        return SearchResult(
            hits=[_search_hit(hit, owners.get(hit.owner)) for hit in hits],
            cursor=hits[-1].cursor if len(hits) == limit else None,
        )

    async def tags(self, library: CallerLibrary) -> TagList:
        """List the 500 most frequent tags of the user's conversations, ordered by tag."""
        return TagList(
            tags=[
                TagView(tag=one.tag, conversations=one.conversations)
                for one in await library.count_tags()
            ]
        )

    async def show(
        self,
        library: CallerLibrary,
        conversation_id: Id,
        before: Annotated[int | None, Query(ge=0)] = None,
        limit: Limit = 50,
    ) -> ConversationView:
        """Read a page of the shown turns: the last ones, or those with an index below `before`."""
        conversation = await self._find_readable(library, conversation_id)
        end = conversation.total if before is None else min(before, conversation.total)
        turns = await library.read_turns(conversation, max(0, end - limit), end - 1)
        (summary,) = await _summary_views(library, [conversation.info])
        names = await _names_of_askers(library, conversation, turns)
        return ConversationView(
            **summary.model_dump(),
            total=conversation.total,
            turns=[
                _turn_view(
                    conversation,
                    turn,
                    is_own=summary.right == "own",
                    asked_by=names.get(turn.id),
                )
                for turn in turns
            ],
        )

    async def usage(self, library: CallerLibrary, conversation_id: Id) -> ConversationUsage:
        """Sum the tokens and the costs of all answers."""
        sums = await library.usage_of(await self._find_conversation(library, conversation_id))
        return ConversationUsage(
            answers=sum(one.answers for _, one in sums),
            input_tokens=sum(one.input_tokens for _, one in sums),
            output_tokens=sum(one.output_tokens for _, one in sums),
            costs=[
                CostSum(amount=one.cost, currency=currency) for currency, one in sums if currency
            ],
        )

    async def change(
        self, library: CallerLibrary, conversation_id: Id, changes: Changes
    ) -> ConversationSummary:
        """Rename, pin, archive or tag a conversation, or put it into a folder."""
        info = (await self._find_conversation(library, conversation_id)).info
        if "folder" in changes.model_fields_set:  # first: it is refused for an unknown folder
            info = await library.move(conversation_id, changes.folder)
        if changes.title is not None:
            info = await library.rename(conversation_id, changes.title)
        if changes.pinned is not None:
            info = await library.pin(conversation_id, changes.pinned)
        if changes.archived is not None:
            info = await library.archive(conversation_id, changes.archived)
        if changes.tags is not None:
            info = await library.tag(conversation_id, changes.tags)
        return _summary_view(library, info)

    async def delete(self, library: CallerLibrary, conversation_id: Id) -> Response:
        """Delete a conversation and stop its answers; `restore` undoes this for 30 seconds."""
        await self._find_conversation(library, conversation_id)
        await library.delete([conversation_id])
        return Response(status_code=204)

    async def delete_all(
        self,
        library: CallerLibrary,
        all: Annotated[Literal["true"], Query()],  # noqa: A002  # the query's name
    ) -> Response:
        """Delete all conversations of the user, archived ones too, and stop their answers.

        `all=true` is required, so that a request for one conversation whose id is missing does not
        delete the others.
        """
        del all
        await library.delete_all()
        return Response(status_code=204)

    async def restore(self, library: CallerLibrary, conversation_id: Id) -> ConversationSummary:
        """Undo a deletion, within 30 seconds. The request is idempotent."""
        infos = await library.restore([conversation_id])
        info = infos[0] if infos else (await self._find_conversation(library, conversation_id)).info
        return _summary_view(library, info)

    async def copy(
        self, library: CallerLibrary, conversation_id: Id, copied: Copied
    ) -> ConversationSummary:
        """Copy a conversation: all of it, or the turns up to one of them.

        An answer that is being written is interrupted in the copy.
        """
        if copied.turn is None:
            info = await library.duplicate(conversation_id)
        else:
            info = await library.fork(conversation_id, copied.turn)
        return _summary_view(library, info)

    async def answer_question(
        self, chat: CallerChat, conversation_id: Id, answer: QuestionAnswer
    ) -> AnswerStream:
        """Answer an open question of an answer, which then goes on. The first answer counts."""
        conversation = await self._find_readable(chat.library, conversation_id)
        turn = await chat.answer_question(conversation, None, answer.part, answer.value)
        return _stream_view(turn.segments[-1])

    async def edit_answer(
        self, chat: CallerChat, conversation_id: Id, turn_id: Id, edited: EditedAnswer
    ) -> NewVersion:
        """Put a text in the place of an answer that has ended, as a new version of its turn.

        The original stays as a version, with the turns after it; later questions go on from the new
        text.
        """
        conversation = await self._find_readable(chat.library, conversation_id)
        turn = await chat.edit_answer(
            conversation, turn_id, edited.text, new_turn_id=new_stream_name()
        )
        return NewVersion(turn=turn.id)

    async def summarise(self, chat: CallerChat, conversation_id: Id) -> SummaryOutcome:
        """Let the conversation's model summarise all turns but the last ones, and wait for it.

        Later questions get the summary in the place of these turns, which stay as they are. It is a
        `summary` part of the answer of the last turn that it covers, and counts as a message.
        """
        conversation = await self._find_readable(chat.library, conversation_id)
        return SummaryOutcome(outcome=await chat.compact(conversation))

    async def undo_summary(self, chat: CallerChat, conversation_id: Id, turn_id: Id) -> None:
        """Undo the summary in the answer of a turn: later questions get its turns again."""
        conversation = await self._find_readable(chat.library, conversation_id)
        await chat.undo_compaction(conversation, turn_id)

    async def export(
        self,
        library: CallerLibrary,
        conversation_id: Id,
        format: Format = "markdown",  # noqa: A002  # the query's name
        tz: Annotated[str, Query(max_length=64)] = "UTC",
    ) -> StreamingResponse:
        """Export a conversation: the shown branch as Markdown or HTML, all branches as JSON.

        Markdown and HTML show times in the time zone ``tz``, such as ``Europe/Berlin`` or
        ``+05:30``; JSON has UTC. JSON contains the files of questions, HTML their images, 20 MB
        at most; Markdown names them.
        """
        library.caller.require("read")
        conversation = await self._find_readable(library, conversation_id)
        zone = _parse_time_zone(tz)
        library.witness.record(
            library.caller, "conversation_exported", f"{conversation.id} {format}"
        )
        if format == "json":
            return _download_response(
                self._export_json_pieces(library, _each([conversation])),
                JsonExport(),
                conversation.title,
            )
        exporter = (
            MarkdownExport(zone=zone)
            if format == "markdown"
            else HtmlExport(self._render, zone=zone)
        )
        return _download_response(
            self._export_pieces(library, conversation, exporter), exporter, conversation.title
        )

    async def export_many(
        self,
        library: CallerLibrary,
        ids: Annotated[str | None, Query(max_length=15_000, pattern="^[A-Za-z0-9_,-]*$")] = None,
    ) -> StreamingResponse:
        """Export several conversations, with all branches, as one importable JSON file.

        Without `ids`, these are all conversations of the user, archived ones too.
        """
        library.caller.require("read")
        if ids is None:
            library.witness.record(library.caller, "conversation_exported", "all json")
            everything = self._open_each(library, await library.list_ids())
            return _download_response(
                self._export_json_pieces(library, everything), JsonExport(), "conversations"
            )
        found = [
            await self._find_readable(library, name)
            for name in dict.fromkeys(ids.split(","))
            if name
        ]
        for one in found:
            library.witness.record(library.caller, "conversation_exported", f"{one.id} json")
        return _download_response(
            self._export_json_pieces(library, _each(found)), JsonExport(), "conversations"
        )

    async def _open_each(self, library: Library, ids: Sequence[str]) -> AsyncIterator[Conversation]:
        """Open conversations one after another; those that were deleted meanwhile are left out."""
        for name in ids:
            if conversation := await library.open_conversation(name):
                yield conversation

    @route_policy(replace(API, max_body_bytes=None))  # read as a stream, up to ``max_bytes``
    async def import_file(self, library: CallerLibrary, request: Request) -> Imports:
        """Import an export of Wireside, ChatGPT, Claude, Open WebUI, LibreChat or DeepSeek.

        The request body is the file, JSON or `.zip`.
        """
        library.caller.require("chat")
        with self._one_import_each(library.caller), SpooledTemporaryFile(IN_MEMORY_BYTES) as file:
            await _save_body(request.receive, file, self._import_limits.max_bytes)
            async with self._importing:
                return await self._import_file(library, await asyncio.to_thread(_read_whole, file))

    async def _import_file(self, library: Library, data: bytes) -> Imports:
        """Store the conversations of a file one by one.

        The file is parsed twice: the first pass validates all of it, so that nothing of an invalid
        file is stored.
        """
        look_through = partial(
            conversations,
            data,
            new_id=new_stream_name,
            now=self._now(),
            limits=self._import_limits,
        )
        await asyncio.to_thread(deque, look_through(), 0)
        names: list[str] = []
        left_out = 0
        counts = {"added": 0, "updated": 0, "unchanged": 0}
        known = await library.known_imports()
        async for imported in _in_a_thread(look_through()):
            left_out += passed_over(imported)
            if imported is not None:
                outcome, name = await library.merge_imported(imported, known)
                counts[outcome] += 1
                if outcome != "unchanged":
                    names.append(name)
        return Imports(
            imported=counts["added"],
            updated=counts["updated"],
            unchanged=counts["unchanged"],
            passed_over=left_out,
            conversations=names,
        )

    @contextmanager
    def _one_import_each(self, caller: Caller) -> Iterator[None]:
        """Allow each user one import at a time. Raises ``TooMany``.

        A file that is queued behind other users' imports is kept on disk.
        """
        if caller.user_id in self._importers:
            raise TooMany("A file of yours is being imported already; wait for it.")
        self._importers.add(caller.user_id)
        try:
            yield
        finally:
            self._importers.discard(caller.user_id)

    async def _find_conversation(self, library: Library, conversation_id: str) -> Conversation:
        """Return a conversation of the caller. Raises ``NotFound`` or ``Forbidden``."""
        conversation = await self._find_readable(library, conversation_id)
        library.check_right(conversation, "own")
        return conversation

    async def _find_readable(self, library: Library, conversation_id: str) -> Conversation:
        """Return a conversation of the caller, or one that others share with it."""
        conversation = await library.find_readable(conversation_id)
        if conversation is None:
            raise NotFound(NO_CONVERSATION)
        return conversation

    async def _export_pieces(
        self, library: Library, conversation: Conversation, exporter: Exporter
    ) -> AsyncIterator[str]:
        info, branches, _ = library.outline(conversation)
        yield exporter.text_before_turns(info, branches)
        files = library.files.within(conversation.id)
        images = PageImages(files) if isinstance(exporter, HtmlExport) else None
        async for record in library.iterate_turns(conversation, "shown"):
            turn = record if images is None else await images.embed_images(record)
            yield await run_in_worker(exporter.text_of_turn, turn)
        yield exporter.text_after_turns()

    async def _export_json_pieces(
        self, library: Library, conversations: AsyncIterator[Conversation]
    ) -> AsyncIterator[str]:
        names = {folder.id: folder.name for folder in await library.folders.list_folders()}
        exporter = JsonExport(names)
        yield exporter.begin_file()
        async for conversation in conversations:
            yield exporter.text_before_turns(*library.outline(conversation))
            files = library.files.within(conversation.id)
            async for record in library.iterate_turns(conversation, "all"):
                async for piece in with_contents(exporter.text_of_turn(record), files):
                    yield piece
            yield exporter.text_after_turns()
        yield exporter.finish_file()


async def _each(items: Iterable[T]) -> AsyncIterator[T]:
    for item in items:
        yield item


async def _in_a_thread(items: Iterator[T]) -> AsyncIterator[T]:
    """Iterate over ``items`` in a worker thread, as each step takes a while."""
    end = object()
    while (item := await asyncio.to_thread(next, items, end)) is not end:
        yield cast("T", item)
        del item  # else it stays in memory while the next one is made


async def _save_body(receive: Receive, file: IO[bytes], max_bytes: int) -> None:
    """Write a request body to a file as it arrives, so that a stalled upload holds no memory."""
    # no variable keeps a piece alive during the wait
    while await _append_message(file, await receive(), max_bytes):
        pass


async def _append_message(file: IO[bytes], message: Message, max_bytes: int) -> bool:
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    await asyncio.to_thread(file.write, message.get("body", b""))
    if file.tell() > max_bytes:
        raise TooLarge(f"The file has more than {max_bytes // 2**20} MB.")
    return bool(message.get("more_body", False))


def _read_whole(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()


def _summary_view(library: Library, info: ConversationInfo) -> ConversationSummary:
    return ConversationSummary(
        id=info.id,
        title=info.title,
        created_at=_datetime_of(info.created_at),
        updated_at=_datetime_of(info.updated_at),
        pinned=info.pinned_at is not None,
        archived=info.archived_at is not None,
        answering=info.id in library.answering,
        tags=list(info.tags),
        folder=info.folder_id,
        members=len(info.members),
    )


async def _summary_views(
    library: Library, infos: Sequence[ConversationInfo]
) -> list[ConversationSummary]:
    """Return the summaries of conversations of any owner that the caller may read."""
    names = await library.members.names_of_owners(infos)
    views: list[ConversationSummary] = []
    for info in infos:
        view = _summary_view(library, library.view_of(info))
        right = library.right_on_info(info) or "read"
        if right != "own":
            view.right, view.owner, view.members = right, names.get(info.owner, ""), 0
            view.answering = library.is_answering(info)
        views.append(view)
    return views


async def _names_of_askers(
    library: Library, conversation: Conversation, turns: Sequence[ConversationTurn]
) -> dict[str, str]:
    """Return who has asked each turn of a conversation that is or was shared, by turn id."""
    owner = conversation.info.owner
    if not conversation.info.members and not any(turn.asked_by for turn in turns):
        return {}
    names = await library.members.names_of({turn.asked_by or owner for turn in turns})
    return {turn.id: names.get(turn.asked_by or owner, "") for turn in turns}


def _parse_time_zone(name: str) -> tzinfo:
    """Return a time zone of the IANA database, or of an offset such as ``+05:30``."""
    if offset := re.fullmatch(r"([+-])(0\d|1[0-4]):([0-5]\d)", name):
        sign, hours, minutes = offset.groups()
        distance = timedelta(hours=int(hours), minutes=int(minutes))
        return timezone(distance if sign == "+" else -distance)
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise BadMessage("tz is not the name of a time zone, such as Europe/Berlin.") from error


def _download_response(
    pieces: AsyncIterator[str], exporter: Exporter, title: str
) -> StreamingResponse:
    name = exporter.file_name(title)
    return StreamingResponse(
        pieces,
        media_type=exporter.media_type,
        headers={"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}"},
    )


def _turn_view(
    conversation: Conversation,
    turn: ConversationTurn,
    *,
    is_own: bool,
    asked_by: str | None,
) -> TurnView:
    sibling, siblings = conversation.siblings(turn)
    return TurnView(
        id=turn.id,
        index=turn.depth,
        question=turn.question,
        attachments=[
            QuestionFile(id=upload_of(part), name=part.name, media_type=part.media_type)
            for part in turn.question_parts
            if isinstance(part, ImagePart | FilePart)
        ],
        created_at=_datetime_of(turn.created_at),
        waiting=turn.waiting,
        sibling=sibling,
        siblings=siblings,
        feedback=turn.feedback.verdict if turn.feedback and is_own else None,
        asked_by=asked_by,
        instruction=next((part.text for part in turn.question_parts if is_instruction(part)), None),
        answer=[_stream_view(stream) for stream in turn.segments],
    )


def _stream_view(stream: Stream) -> AnswerStream:
    end = stream.log.end
    error = end.error if end else None
    is_cut = end is not None and (end.reason == "interrupted" or end.error is not None)
    return AnswerStream(
        stream=stream.name,
        model=stream.model,
        state="live" if end is None else "interrupted" if is_cut else "finished",
        head=stream.log.head,
        saved=stream.is_saved,
        reason=end.reason if end else None,
        error=str(error) if error else None,
        code=error.code if error else None,
        input_tokens=end.usage.input_tokens if end else None,
        output_tokens=end.usage.output_tokens if end else None,
        cost=end.cost.amount if end and end.cost else None,
        currency=end.cost.currency if end and end.cost else None,
        parts=[
            _answer_part(piece)
            for piece in stream.log.read_pieces(0, stream.log.head)
            if not (isinstance(piece, PartPiece) and is_hidden(piece.delta.part))
        ],
    )


def _answer_part(piece: Piece) -> AnswerPart:
    match piece:
        case TextPiece():
            return AnswerPart(type="text", text=piece.text)
        case ReasoningPiece():
            return AnswerPart(type="reasoning", text=piece.text)
        case ToolPiece():
            return AnswerPart(type="tool", **asdict(piece.delta))
        case PartPiece():
            return _other_part(piece.delta.part)


def _other_part(part: Attachment) -> AnswerPart:
    if isinstance(part, DataPart):
        data = data_of(part)
        return AnswerPart(type="part", kind=part.kind, part=part.id, text=part.text, data=data)
    data = part_to_object(part)
    kind = data.pop("type")
    return AnswerPart(type="part", kind=kind, part="", text=label_of(part), data=data)


def _search_hit(hit: Hit, owner: str | None) -> SearchHit:
    return SearchHit(
        conversation=hit.conversation_id,
        title=hit.title,
        turn=hit.turn_id,
        kind=hit.kind,
        snippet=list(hit.snippet),
        created_at=_datetime_of(hit.created_at),
        owner=None if owner is None else seen(owner),
    )


def _seconds_of(moment: datetime | None) -> float | None:
    """Return a time in seconds since 1970; without a time zone, it is UTC."""
    if moment is None:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _datetime_of(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
