"""Presenter of the transcript: the turns on the shown path of one conversation.

Theory of operation: ``note_change`` only records what has changed, and ``update`` sends it. Rows
are sent immediately with at most the beginning of long answers; ``LateAnswers`` renders the rest in
a thread. Each answer in progress is sent by a ``Follower``. The presenter stores no text of an
answer, only what each row shows besides it (``Mark``).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from wireside.chat import tree
from wireside.chat.conversation import WAITING_TURNS, Conversation, ConversationTurn
from wireside.chat.service import ChatService
from wireside.errors import NotFound, StoreError
from wireside.invisible_text import seen
from wireside.offload import aside_short, run_in_worker
from wireside.records import Span
from wireside_ui.markdown.dialect import Markup
from wireside_ui.markdown.highlighting import HighlightBudget, are_lexers_ready
from wireside_ui.markdown.incremental import LOOP_CHARS
from wireside_ui.presenters.answer import (
    LATE_DATA_CHARS,
    Follower,
    data_chars,
    model_of,
    parts_of_row,
    row_of,
    state_of,
    text_of,
)
from wireside_ui.presenters.late_answers import LateAnswers
from wireside_ui.presenters.rows import Row, RowPart
from wireside_ui.presenters.updates import UpdateLoop
from wireside_ui.presenters.views import TranscriptView


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptLimits:
    """How much of a conversation is sent and remembered at once."""

    page_size: int = 20
    """Turns per request of the transcript."""
    ready_chars: int = 8_192
    """Characters of the answers sent together that are rendered immediately (15 ms of work).

    Of earlier answers the beginning is sent, and the whole once it is rendered.
    """
    beginning_chars: int = 1_000
    """Characters of the beginning of an answer that is rendered later."""
    marks: int = 500
    """Maximum number of turns whose displayed state is stored; others are sent on request."""


LIMITS = TranscriptLimits()
"""The limits of a page."""


class Mark(NamedTuple):
    """What a row shows, apart from the text of its answer."""

    state: str
    first: str | None
    """Name of the first stream."""
    segments: int
    """Number of streams."""
    rest: object


UNKNOWN = Mark("", None, 0, None)
"""Mark of a row whose state must be sent again."""


class TranscriptPresenter:
    """Shows one conversation and follows it. Set ``view`` first."""

    view: TranscriptView

    def __init__(
        self,
        chat: ChatService,
        *,
        markup: Markup,
        language: str,
        base: str,
        updates: UpdateLoop,
        names: Callable[[], Mapping[str, str]] = dict,
        limits: TranscriptLimits = LIMITS,
    ) -> None:
        """Create the presenter, without a conversation.

        Args:
            chat: the chat service, bound to the caller.
            markup: renders the answers.
            language: language of the interface.
            base: path that the application is mounted at, without a trailing slash.
            updates: the page's updates, one of which calls ``update``.
            names: returns the display names of the models by id.
            limits: how much is sent and remembered at once.
        """
        self._chat = chat
        self._markup = markup
        self._language = language
        self._base = base
        self._updates = updates
        self._names = names
        self._people: dict[str, str] = {}
        """Names of the users who have asked in shared conversations, by account id."""
        self._limits = limits
        self._conversation: Conversation | None = None
        self._unwatch: Callable[[], object] = lambda: None
        self._unwatch_comments: Callable[[], object] = lambda: None
        self._are_comments_new = False
        self._can_comment = False
        self._path: list[Span] = []
        self._total = 0
        self._removals = 0
        self._marks: OrderedDict[str, Mark] = OrderedDict()
        self._followers: dict[str, Follower] = {}
        self._changed: set[str] = set()
        self._is_shape_new = False
        self._beside: list[ConversationTurn] = []
        """The answers next to that of the last turn, in a comparison of models."""
        self._compared_at: int | None = None
        """Depth of the turn next to which others are shown; None if there is none."""
        self._branches = 0
        """Number of branches when the shown turns were read; a new one may be an answer beside."""
        self._suggested = ""
        """Id of the turn after which questions are suggested, "" for none."""
        self.changed_answers = 0
        """Number of answers that have ended or changed while they were shown."""
        self.late = LateAnswers(
            language=language,
            render=self._render,
            show=self._show_late,
            until_taken=updates.until_taken,
        )

    @property
    def conversation(self) -> Conversation | None:
        """The conversation that is shown, if any."""
        return self._conversation

    @property
    def total(self) -> int:
        """Number of turns on the shown path."""
        return self._total

    @property
    def is_shape_new(self) -> bool:
        """Whether the shown turns or the title of the conversation have changed."""
        return self._is_shape_new

    @property
    def is_answering(self) -> bool:
        """Whether a shown answer is in progress."""
        return bool(self._followers)

    # ---- choice of the conversation ----------------------------------------------------------

    async def open(self, conversation: Conversation) -> None:
        """Show a conversation in place of the one before.

        Raises:
            StoreError: its turns can't be read; no conversation is shown.
        """
        self.close()
        self._conversation = conversation
        self._unwatch = self._chat.watch_conversation(conversation, self.note_change)
        comments = self._chat.library.comments
        self._unwatch_comments = comments.watch(conversation, self._note_comments)
        self._path, self._total = conversation.shown_path(), conversation.total
        self._removals = conversation.removals
        self._branches = len(conversation.branches)
        try:
            turns = await self._turns(self._total - self._limits.page_size, self._total - 1)
            await self._read_beside(turns)
            counts = await comments.count_comments(conversation)
        except StoreError:
            self.close()
            raise
        if conversation is self._conversation:
            self._show_comments(conversation, counts)
            self.view.set_right(self._chat.library.right_on(conversation) or "read")
            self.view.reset(self._rows(turns), self._total)
            address = f"{self._base}/api/conversations/{conversation.id}"
            self.view.set_source("" if conversation.is_temporary else address)

    def clear(self) -> None:
        """Show an empty transcript."""
        self.close()
        self.view.set_right("own")
        self.view.set_comments({}, can_add=False)
        self.view.reset([], 0)
        self.view.set_source("")

    def close(self) -> None:
        """Stop following the conversation; the view is left as it is."""
        self._unwatch()
        self._unwatch_comments()
        self._are_comments_new = self._can_comment = False
        for turn_id in tuple(self._followers):
            self._stop_following(turn_id)
        self._conversation = None
        self._path, self._total = [], 0
        self._marks.clear()
        self.late.clear()
        self._changed.clear()

    # ---- changes -----------------------------------------------------------------------------

    def note_change(self, turn_id: str | None) -> None:
        """Record that a turn has changed; None: which turns are shown, or the title."""
        if turn_id is None:
            self._is_shape_new = True
        else:
            self._changed.add(turn_id)
        self._updates.wake()

    def resend(self, turn_id: str) -> None:
        """Send the state of a row again: the browser shows an action that has failed as done."""
        if turn_id in self._marks:
            self._marks[turn_id] = UNKNOWN
            self.note_change(turn_id)

    async def update(self) -> None:
        """Send all changes since the last update."""
        conversation = self._conversation
        if conversation is None:
            return
        try:
            if self._is_shape_new:
                self._is_shape_new = False
                await self.update_shape()
            await self._update_comments(conversation)
            while self._changed and conversation is self._conversation:
                await self._update_turn(conversation, self._changed.pop())
        except StoreError:
            self.note_change(None)  # retried until the store can be read
        for follower in tuple(self._followers.values()):
            await self._send_answer(follower)

    async def update_shape(self) -> None:
        """Show turns of another branch, new turns and turns that moved.

        Raises:
            StoreError: the turns can't be read.
        """
        conversation = self._conversation
        if conversation is None:
            return
        path, total = conversation.shown_path(), conversation.total
        kept = self._kept(conversation, path)
        branches = len(conversation.branches)
        if kept == total == self._total:
            if branches == self._branches or not await self._is_beside_new(conversation):
                self._branches = branches
                return
            kept = total - 1
        self._branches = branches
        turns = await self._turns(kept, min(total, kept + self._limits.page_size) - 1)
        await self._read_beside(turns)
        if conversation is not self._conversation:
            return
        rows = self._rows(turns)
        if kept == self._total and total == kept + len(rows):
            for row in rows:
                self.view.append(row)
        else:
            self.view.replace_from(kept, rows, total)
        self._path, self._total, self._removals = path, total, conversation.removals
        for follower in tuple(self._followers.values()):
            if not self.shows(follower.turn):
                self._stop_following(follower.turn.id)

    def _kept(self, conversation: Conversation, path: list[Span]) -> int:
        """Return the number of shown turns that stay as they are on another path."""
        kept, total = tree.shared_length(self._path, path), conversation.total
        if conversation.removals != self._removals:
            kept = max(0, min(kept, total - WAITING_TURNS))
        if self._compared_at is not None and total > self._total:
            kept = min(kept, self._compared_at)  # the conversation goes on from one of the answers
        return kept

    async def _update_turn(self, conversation: Conversation, turn_id: str) -> None:
        if turn_id not in self._marks:
            return  # the browser requests it when it is scrolled to
        try:
            turn = await self._chat.library.read_turn(conversation, turn_id)
        except NotFound:
            return
        if turn.is_live:
            self._ensure_following(turn)
        else:
            self._send_state(turn)
            await self._end_comparison(conversation, turn)

    def _send_growth(self, turn: ConversationTurn) -> None:
        mark = self._mark(turn)
        if self._marks.get(turn.id) != mark and turn.is_live:
            self._marks[turn.id] = mark
            model = model_of(turn, self._names())
            self.view.change(turn.id, state=state_of(turn), model=model)

    def _send_state(self, turn: ConversationTurn) -> None:
        mark = self._mark(turn)
        before = self._marks.get(turn.id)
        if before is None or mark == before or turn.id in self._followers:
            return  # the end is sent after all text
        self._marks[turn.id] = mark
        self.changed_answers += 1
        row = self._row(turn, chars=0)
        self.view.change(
            turn.id,
            state=row.state,
            error=row.error,
            retry_after=row.retry_after,
            sibling=row.sibling,
            siblings=row.siblings,
            feedback=row.feedback,
            is_shown=row.is_shown,
            edited=row.edited,
            model=row.model,
            details=row.details,
        )
        if before[1:3] != mark[1:3]:  # an answer without a follower: it ended immediately
            self.late.add([turn])

    # ---- comments ----------------------------------------------------------------------------

    def _note_comments(self) -> None:
        self._are_comments_new = True
        self._updates.wake()

    async def _update_comments(self, conversation: Conversation) -> None:
        """Send the numbers of comments if comments, or the right to add some, have changed.

        Raises:
            StoreError: the comments can't be read.
        """
        comments = self._chat.library.comments
        has_right = comments.can_add(conversation) != self._can_comment
        if not (self._are_comments_new or has_right) or conversation is not self._conversation:
            return
        counts = await comments.count_comments(conversation)
        if conversation is self._conversation:
            self._are_comments_new = False
            self._show_comments(conversation, counts)

    def _show_comments(self, conversation: Conversation, counts: Mapping[str, int]) -> None:
        self._can_comment = self._chat.library.comments.can_add(conversation)
        self.view.set_comments(counts, can_add=self._can_comment)

    # ---- answers in progress -----------------------------------------------------------------

    def _ensure_following(self, turn: ConversationTurn) -> None:
        known = self._followers.get(turn.id)
        if known is None or known.first is not turn.segments[0]:
            self._stop_following(turn.id)
            goes_on = self._marks[turn.id].first == turn.segments[0].name
            if goes_on:  # the follower replaces the text, so that it does not disappear briefly
                self.view.change(turn.id, error="")
            else:
                self.view.change(turn.id, parts=[], error="")
            self._follow(turn, goes_on=goes_on)
        self._send_growth(turn)

    def _follow(self, turn: ConversationTurn, *, goes_on: bool = False) -> None:
        wake = self._updates.wake
        self._followers[turn.id] = Follower(turn, self._markup, wake, goes_on=goes_on)
        wake()

    def _stop_following(self, turn_id: str) -> None:
        if follower := self._followers.pop(turn_id, None):
            follower.close()

    async def _send_answer(self, follower: Follower) -> None:
        turn = follower.turn
        has_ended = follower.take()
        if follower.work <= LOOP_CHARS:
            ops = follower.flush()
        else:
            ops = await aside_short(follower.flush)
            if self._followers.get(turn.id) is not follower:
                return  # the page shows something else meanwhile
        self._send_growth(turn)
        self.view.ops(turn.id, ops)
        if has_ended:
            self._stop_following(turn.id)
            self._send_state(turn)
            if turn.is_live:  # continued meanwhile
                self.note_change(turn.id)
        elif follower.has_more:
            self._updates.wake()

    # ---- answers side by side ----------------------------------------------------------------

    def shows(self, turn: ConversationTurn) -> bool:
        """Return whether the answer of a turn is shown, on the path or next to it."""
        conversation = self._conversation
        is_on_path = conversation is not None and conversation.is_on_shown_path(turn)
        return is_on_path or turn in self._beside

    async def _read_beside(self, turns: Sequence[ConversationTurn]) -> None:
        """Read the answers that are shown next to the last of ``turns``."""
        conversation = self._conversation
        self._beside = []
        if conversation is not None and turns and turns[-1].depth + 1 == conversation.total:
            compared = await self._chat.compared_turns(conversation, turns[-1])
            self._beside = [turn for turn in compared if turn is not turns[-1]]
        self._compared_at = turns[-1].depth if self._beside else None

    async def _is_beside_new(self, conversation: Conversation) -> bool:
        """Return whether other answers belong next to the last turn than are shown there."""
        turns = await self._turns(conversation.total - 1, conversation.total - 1)
        if not turns:
            return False
        compared = await self._chat.compared_turns(conversation, turns[-1])
        return {one.id for one in compared} - {turns[-1].id} != {one.id for one in self._beside}

    async def _end_comparison(self, conversation: Conversation, turn: ConversationTurn) -> None:
        """Show the last answer alone if it, or another one next to it, was kept."""
        depth = self._compared_at
        if depth is None or turn.depth != depth or depth + 1 != conversation.total:
            return
        if await self._chat.compared_turns(conversation, turn):
            return
        turns = await self._turns(depth, depth)
        await self._read_beside(turns)
        if conversation is self._conversation and depth + 1 == self._total:
            self.view.replace_from(depth, self._rows(turns), self._total)

    # ---- rows --------------------------------------------------------------------------------

    async def give_rows(self, page: int) -> None:
        """Send a page of earlier turns that the browser requests.

        Raises:
            StoreError: the turns can't be read; the browser requests them again.
        """
        if self._conversation is None:
            return
        first = page * self._limits.page_size
        try:
            turns = await self._turns(first, first + self._limits.page_size - 1)
        except StoreError:
            self.view.miss(page)
            raise
        self.view.put(page, self._rows(turns))

    def suggest(self, turn: ConversationTurn, questions: Sequence[str]) -> None:
        """Show questions to ask after the last answer."""
        if turn.id in self._marks and self._conversation is not None:
            self._suggested = turn.id if questions else ""
            self.view.change(turn.id, follow_ups=[seen(one) for one in questions])

    def forget_suggestions(self) -> None:
        """Remove the suggested questions, as the conversation goes on."""
        if self._suggested in self._marks:
            self.view.change(self._suggested, follow_ups=[])
        self._suggested = ""

    async def last_turn(self) -> ConversationTurn | None:
        """Return the last shown turn, None if there is none. Raises ``StoreError``."""
        turns = await self._turns(self._total - 1, self._total - 1)
        return turns[0] if turns else None

    async def _turns(self, first: int, last: int) -> list[ConversationTurn]:
        conversation = self._conversation
        if conversation is None or self._chat.library.right_on(conversation) is None:
            return []  # without a right, the page is about to leave the conversation
        turns = await self._chat.library.read_turns(conversation, max(0, first), last)
        await self._read_people(conversation, turns)
        return turns

    async def _read_people(
        self, conversation: Conversation, turns: Sequence[ConversationTurn]
    ) -> None:
        """Read the names of those who have asked turns and are not known yet."""
        owner = conversation.info.owner
        askers = {turn.asked_by or owner for turn in turns} - {self._chat.caller.user_id}
        if unknown := askers - self._people.keys():
            self._people |= await self._chat.library.members.names_of(unknown)

    def _rows(self, turns: Sequence[ConversationTurn]) -> list[Row]:
        """Return the rows of turns and start followers for answers in progress."""
        for turn in turns:
            self._note_row(turn)
        while len(self._marks) > self._limits.marks:
            self._marks.popitem(last=False)
        late = self._too_costly(turns)
        self.late.add(late)
        budget = self._markup.highlight_budget(loads=False)
        # the last one is visible first
        rows = [
            self._row(turn, budget, self._limits.beginning_chars if turn in late else None)
            for turn in reversed(turns)
        ]
        rows.reverse()
        if self._beside and turns and turns[-1].depth == self._compared_at:
            for turn in self._beside:
                self._note_row(turn)
            beside = tuple(self._row(turn, budget) for turn in self._beside)
            rows[-1] = replace(rows[-1], beside=beside)
        return rows

    def _note_row(self, turn: ConversationTurn) -> None:
        """Note what the row of a turn shows, and follow its answer in progress."""
        self._stop_following(turn.id)
        self._marks.pop(turn.id, None)
        self._marks[turn.id] = self._mark(turn)
        if turn.is_live:
            self._follow(turn)

    def _too_costly(self, turns: Sequence[ConversationTurn]) -> list[ConversationTurn]:
        """Return the turns whose answers are rendered later, the last one first."""
        left = self._limits.ready_chars
        late = []
        for turn in reversed(turns):
            text = text_of(turn, self._language)
            left -= len(text)
            is_long = len(text) > self._limits.beginning_chars
            is_large = data_chars(turn) > LATE_DATA_CHARS
            if is_large or (is_long and left < 0) or not are_lexers_ready(text):
                late.append(turn)
        return late

    def _row(
        self,
        turn: ConversationTurn,
        budget: HighlightBudget | None = None,
        chars: int | None = None,
    ) -> Row:
        row = row_of(
            turn,
            self._markup,
            self._language,
            place=self._place(turn),
            allowance=budget,
            chars=chars,
            names=self._names(),
        )
        asker = turn.asked_by or (self._conversation.info.owner if self._conversation else "")
        is_asker = turn.asked_by is not None and asker == self._chat.caller.user_id
        return replace(row, asked_by=seen(self._people.get(asker, "")), is_asker=is_asker)

    def _mark(self, turn: ConversationTurn) -> Mark:
        first = turn.segments[0].name if turn.segments else None
        rest = (self._place(turn), turn.feedback)
        return Mark(state_of(turn), first, len(turn.segments), rest)

    def _place(self, turn: ConversationTurn) -> tuple[int, int]:
        return self._conversation.siblings(turn) if self._conversation else (0, 1)

    async def _render(self, turn: ConversationTurn) -> tuple[RowPart, ...]:
        return await run_in_worker(parts_of_row, turn, self._markup, self._language)

    def _show_late(self, turn_id: str, parts: tuple[RowPart, ...]) -> None:
        if turn_id in self._marks:
            self.view.change(turn_id, parts=parts)
