"""Presents turns as rows of the transcript. Plain Python, tested without a page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from wireside.chat.conversation import ConversationTurn
from wireside.chat.instructions import TEXTS, is_instruction
from wireside.generation.log import PartPiece, Piece, ReasoningPiece, TextPiece, ToolPiece
from wireside.generation.reader import Reader
from wireside.generation.runner import Stream
from wireside.invisible_text import SeenStream, seen
from wireside.messages import Cost, ToolDelta
from wireside.parts import (
    EDITED,
    Attachment,
    DataPart,
    FilePart,
    ImagePart,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    data_of,
    is_hidden,
    label_of,
    size_of,
    upload_of,
)
from wireside_ui.i18n.catalogue import sentence_in, words_in
from wireside_ui.markdown.dialect import Markup
from wireside_ui.markdown.highlighting import HighlightBudget
from wireside_ui.markdown.incremental import BlockStream, Op, render
from wireside_ui.presenters.data_parts import data_row
from wireside_ui.presenters.rows import DetailsRow, FileRow, Row, RowPart, State, ToolRow

READ_CHARS = 32_768
"""Characters read from an answer per step (about 60 ms of work); the rest is read next time."""

MAX_SHOWN_CHARS = 1_000_000
"""Maximum length of each text of a turn; imported files may hold more than a browser can show."""

LATE_DATA_CHARS = 20_000
"""Size of a part that is not in the beginning of an answer, but is sent with the rest (2 ms)."""

MAX_INSTRUCTION_CHARS = 300

MIN_MEASURED_S = 0.05
"""Duration of an answer below which its speed says nothing."""

MORE = '<p class="ws-prose-more">…</p>'
"""Follows the beginning of an answer until the rest is rendered."""


def state_of(turn: ConversationTurn) -> State:
    """Return the transcript's state of a turn."""
    if turn.waiting:
        return "waiting"
    end = turn.end
    if end is None:
        return "streaming" if any(stream.log.head for stream in turn.segments) else "thinking"
    if end.error is not None:
        return "error"
    match end.reason:
        case "asking":
            return "asking"
        case "cancelled":
            return "stopped"
        case "interrupted":
            return "interrupted"
        case "length":
            return "length_reached"
        case "content_filter":
            return "filtered"
        case _:
            return "empty" if _is_empty(turn) else "done"


def _is_empty(turn: ConversationTurn) -> bool:
    """Return whether an ended answer has nothing but blank text and reasoning."""
    return all(
        isinstance(part, ReasoningPart)
        or is_hidden(part)
        or (isinstance(part, TextPart) and not part.text.strip())
        for part in turn.answer
    )


def model_of(turn: ConversationTurn, names: Mapping[str, str]) -> str:
    """Return the models of a turn, comma-separated; ``names`` maps ids to display names."""
    models = dict.fromkeys(stream.model for stream in turn.segments if stream.model)
    return seen(", ".join(names.get(model, model) for model in models))


def details_of(turn: ConversationTurn) -> DetailsRow | None:
    """Return what is known of an ended answer, None for any other."""
    if not turn.segments or turn.is_live or turn.end is None:
        return None
    first, last = turn.segments[0], turn.segments[-1]
    usages = [stream.log.end.usage for stream in turn.segments if stream.log.end]
    output_tokens = _sum(usage.output_tokens for usage in usages)
    return DetailsRow(
        code=turn.end.error.code if turn.end.error else "",
        stream=last.name,
        at=first.created_at,
        input_tokens=_sum(usage.input_tokens for usage in usages),
        output_tokens=output_tokens,
        costs=_costs(stream.log.end.cost for stream in turn.segments if stream.log.end),
        first_token_s=first.log.end.timing.first_s if first.log.end else None,
        tokens_per_s=_speed(last) if len(turn.segments) == 1 else None,
    )


def _costs(costs: Iterable[Cost | None]) -> Sequence[tuple[float, str]]:
    """Return the sum of the known costs in each currency."""
    sums: dict[str, float] = {}
    for cost in costs:
        if cost is not None:
            sums[cost.currency] = sums.get(cost.currency, 0.0) + cost.amount
    return [(amount, seen(currency)) for currency, amount in sums.items()]


def _sum(counts: Iterable[int | None]) -> int | None:
    """Return the sum of the known counts, None if none is known."""
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _speed(stream: Stream) -> float | None:
    """Return the tokens per second from the first content to the end, None if unknown."""
    end = stream.log.end
    if end is None or not end.usage.output_tokens:
        return None
    if end.timing.first_s is None or end.timing.total_s is None:
        return None
    tokens, took_s = end.usage.output_tokens, end.timing.total_s - end.timing.first_s
    return tokens / took_s if took_s > MIN_MEASURED_S else None


def retry_after(turn: ConversationTurn) -> float | None:
    """Return the delay in seconds of the automatic retry of a failed turn, None for no retry."""
    error = turn.end.error if turn.end else None
    if error is None or error.code != "provider_rate_limited" or turn.text:
        return None
    return error.retry_after


def row_of(
    turn: ConversationTurn,
    markup: Markup,
    language: str,
    *,
    place: tuple[int, int] = (0, 1),
    allowance: HighlightBudget | None = None,
    chars: int | None = None,
    names: Mapping[str, str] = {},
    max_shown_chars: int = MAX_SHOWN_CHARS,
) -> Row:
    """Return the transcript's row of a turn.

    An answer in progress is left empty: its content is sent by ``Follower.tick``.

    Args:
        turn: the turn.
        markup: renders the answer.
        language: language of the interface.
        place: index among the siblings and number of siblings.
        allowance: CPU time for highlighting.
        chars: if the answer is longer, only its beginning is rendered; None for no limit.
        names: display names of the models by id.
        max_shown_chars: length of each text after which the rest is only counted.
    """
    sibling, siblings = place
    row = Row(
        id=turn.id,
        question=seen(_shown(_question(turn), language, max_shown_chars)),
        files=files_of(turn),
        state=state_of(turn),
        sibling=sibling,
        siblings=siblings,
        feedback=turn.feedback.verdict if turn.feedback else "",
        is_shown=turn.feedback is not None and turn.feedback.is_shown,
        instruction=_instruction(turn),
        model=model_of(turn, names),
        asked_at=turn.created_at,
    )
    if not turn.segments or turn.is_live:
        return row
    return replace(
        row,
        parts=parts_of_row(
            turn,
            markup,
            language,
            allowance=allowance,
            chars=chars,
            max_shown_chars=max_shown_chars,
        ),
        error=seen(_sentence(turn, language)),
        retry_after=retry_after(turn),
        details=details_of(turn),
        edited=any(map(_is_mark, turn.answer)),
    )


def parts_of_row(
    turn: ConversationTurn,
    markup: Markup,
    language: str,
    *,
    allowance: HighlightBudget | None = None,
    chars: int | None = None,
    max_shown_chars: int = MAX_SHOWN_CHARS,
) -> tuple[RowPart, ...]:
    """Return the parts of an ended answer.

    With ``chars``, up to that length of its text, and large parts are shown by their text.
    """
    shown: list[RowPart] = []
    text_left = max_shown_chars
    for part in turn.answer:
        if is_hidden(part) or _is_mark(part):
            continue
        match part:
            case TextPart() if text_left > 0 and part.text.strip():
                text = _shown(part.text, language, text_left)
                text_left -= len(part.text)
                is_cut = chars is not None and len(text) > chars
                shown.append({"kind": "text", "html": _html(text, chars, markup, allowance)})
                if is_cut:
                    break
                chars = None if chars is None else chars - len(text)
            case ReasoningPart():
                _add_reasoning(shown, seen(_shown(part.text, language, max_shown_chars)))
            case ToolCallPart():
                shown.append(_tool(part, part.call, max_shown_chars))
            case ImagePart() | FilePart() | DataPart():
                if chars is not None and size_of(part) > LATE_DATA_CHARS:
                    part = DataPart(kind="late", data="", text=label_of(part)[:LATE_DATA_CHARS])
                shown.append(data_row(part, part.id if isinstance(part, DataPart) else "", markup))
            case TextPart():
                pass  # white space, or text beyond the limit
            case _:
                assert_never(part)
    _time_reasoning(shown, turn)
    return tuple(shown)


def _time_reasoning(shown: Sequence[RowPart], turn: ConversationTurn) -> None:
    """Note how long the reasoning took, which is known for all reasoning of an answer together."""
    reasoning = [part for part in shown if part["kind"] == "reasoning"]
    if len(reasoning) == 1:
        timings = [stream.log.end.timing for stream in turn.segments if stream.log.end]
        took_s = [timing.reasoning_s for timing in timings if timing.reasoning_s is not None]
        reasoning[0]["seconds"] = sum(took_s) if took_s else None


def _add_reasoning(shown: list[RowPart], text: str) -> None:
    """Add reasoning; that before it goes on if only white space is between them."""
    if shown and (last := shown[-1])["kind"] == "reasoning":
        text = last["text"] + text
        shown.pop()
    shown.append({"kind": "reasoning", "text": text, "seconds": None})


def _sentence(turn: ConversationTurn, language: str) -> str:
    """Return the error message of a failed answer, "" for any other.

    If the page shows a countdown to the next attempt, the message names no time.
    """
    error = turn.end.error if turn.end else None
    if error is None:
        return ""
    is_counted = retry_after(turn) is not None
    return words_in(language)["service_busy"] if is_counted else sentence_in(language, error)


def text_of(turn: ConversationTurn, language: str) -> str:
    """Return the text to render of an ended answer; "" for any other."""
    return _shown(turn.text, language) if turn.segments and not turn.is_live else ""


def data_chars(turn: ConversationTurn) -> int:
    """Return the size of the parts of an ended answer that are written whole; 0 for any other."""
    if not turn.segments or turn.is_live:
        return 0
    return sum(size_of(part) for part in turn.answer if isinstance(part, Attachment))


class Follower:
    """Follows one answer from its first segment to the end of its last one, as changes of a page.

    The work depends only on what is new since the last ``tick``. ``wake`` is called when there is
    something new. ``goes_on``: the page already shows the beginning of the answer, which is
    replaced without a gap.
    """

    def __init__(
        self,
        turn: ConversationTurn,
        markup: Markup,
        wake: Callable[[], None],
        *,
        goes_on: bool = False,
    ) -> None:
        self.turn = turn
        self.first = turn.segments[0]
        """The first stream of the answer; a retried answer has another one."""
        self._markup = markup
        self._wake = wake
        self._readers: list[Reader] = []
        self._open: _GrowingText | SeenStream | None = None
        """The part that grows at the end of the answer."""
        self._blank = ""
        """White space that is shown once text follows it."""
        self._steps: list[Op | _GrowingText | _WholePart] = [["x"]] if goes_on else []
        """What the next ``flush`` returns; texts and whole parts stand for their operations."""
        self._calls: dict[tuple[int, str], str] = {}
        """Names of the rows of tool calls, by segment and id."""
        self._call_states: dict[str, ToolDelta] = {}
        self._running_calls: dict[tuple[str, str, str], str] = {}
        """Names of the rows of calls that run, which a later segment may end."""
        self._data_ids: set[str] = set()
        self._has_ended = False

    @property
    def has_more(self) -> bool:
        """Whether a ``tick`` would return something new immediately."""
        return len(self._readers) < len(self.turn.segments) or any(
            reader.has_new_pieces for reader in self._readers
        )

    def tick(self) -> tuple[list[Op], bool]:
        """Return the operations for what is new, and whether the answer has ended."""
        has_ended = self.take()
        return self.flush(), has_ended

    @property
    def work(self) -> int:
        """Number of characters that the next ``flush`` processes; see ``BlockStream.work``."""
        return sum(
            step.blocks.work(final=step.is_over)
            if isinstance(step, _GrowingText)
            else size_of(step.part)
            for step in self._steps
            if isinstance(step, _GrowingText | _WholePart)
        )

    def flush(self) -> list[Op]:
        """Return the operations for what ``take`` has read.

        May run in a thread, but no other method may be called at the same time.
        """
        ops: list[Op] = []
        for step in self._steps:
            if isinstance(step, _GrowingText):
                step.is_new = False
                ops += step.blocks.flush(final=step.is_over)
            elif isinstance(step, _WholePart):
                row = data_row(step.part, step.part_id, self._markup)
                ops.append(["d", row])
            else:
                ops.append(step)
        self._steps = []
        return ops

    def take(self) -> bool:
        """Read what is new, for ``flush``; return whether the answer has ended."""
        segments = self.turn.segments
        while len(self._readers) < len(segments):
            self._readers.append(segments[len(self._readers)].new_reader(0, self._wake))
        for number, reader in enumerate(self._readers):
            for piece in reader.take_pieces(READ_CHARS):
                self._add(piece, number)
        self._has_ended = self._readers[-1].end is not None and not self.has_more
        if self._has_ended:
            self._close_part()
        return self._has_ended

    def close(self) -> None:
        """Stop following; the answer itself continues."""
        for reader in self._readers:
            reader.stop_reading()

    def _add(self, piece: Piece, segment: int) -> None:
        match piece:
            case TextPiece():
                self._add_text(piece.text)
            case ReasoningPiece():
                if not isinstance(self._open, SeenStream):
                    self._close_part()
                    self._open = SeenStream()
                self._add_reasoning(self._open.take(piece.text, is_last=False))
            case ToolPiece():
                self._steps.append(["u", _tool(piece.delta, self._call_row(piece.delta, segment))])
            case PartPiece() if not (is_hidden(piece.delta.part) or _is_mark(piece.delta.part)):
                part_id = piece.delta.id
                if not part_id or part_id not in self._data_ids:
                    self._data_ids.add(part_id)
                    self._close_part()
                self._steps.append(_WholePart(piece.delta.part, part_id))
            case PartPiece():
                pass
            case _:
                assert_never(piece)

    def _call_row(self, delta: ToolDelta, segment: int) -> str:
        """Return the name of a tool call's row, as ``messages.parts_of`` joins its states."""
        key = (segment, delta.call)
        if key not in self._calls:
            running = self._running_calls.get(delta.identity)
            if running is None:
                self._close_part()
            self._calls[key] = running or f"{segment}:{delta.call}"
        row = self._calls[key]
        if (before := self._call_states.get(row)) is not None:
            self._running_calls.pop(before.identity, None)
        if delta.state == "running":
            self._running_calls[delta.identity] = row
        self._call_states[row] = delta
        return row

    def _add_text(self, text: str) -> None:
        if not isinstance(self._open, _GrowingText):
            text = self._blank + text
            self._blank = ""
            if not text.strip():
                self._blank = text
                return
            self._close_part()
            self._open = _GrowingText(BlockStream(self._markup))
        self._open.blocks.feed(text)
        self._show(self._open)

    def _add_reasoning(self, text: str) -> None:
        if text:
            self._steps.append(["g", text])

    def _close_part(self) -> None:
        """End the part that grows; the next one begins after it."""
        self._blank = ""
        match self._open:
            case _GrowingText():
                self._open.is_over = True
                self._show(self._open)
            case SeenStream():
                self._add_reasoning(self._open.take("", is_last=True))
        self._open = None

    def _show(self, text: _GrowingText) -> None:
        if not text.is_new:
            text.is_new = True
            self._steps.append(text)


@dataclass(slots=True, eq=False)
class _GrowingText:
    """A text of an answer in progress.

    ``is_new``: the next ``flush`` returns operations for it. ``is_over``: nothing is added to it.
    """

    blocks: BlockStream
    is_new: bool = False
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class _WholePart:
    """A part that is written whole, whose data is not read yet."""

    part: Attachment
    part_id: str


def _question(turn: ConversationTurn) -> str:
    """Return the text of a question, with marks for images, files and data that are not kept."""
    texts: list[str] = []
    for part in turn.question_parts:
        match part:
            case TextPart(text):
                texts.append(text)
            case DataPart() if is_hidden(part) or is_instruction(part):
                pass
            case ImagePart() | FilePart() | DataPart() if upload_of(part) is None:
                texts.append(label_of(part))
    return "\n\n".join(texts)


def _is_mark(part: Part) -> bool:
    """Return whether a part only marks an answer as edited."""
    return isinstance(part, DataPart) and part.kind == EDITED


def _instruction(turn: ConversationTurn) -> str:
    """Return the name of what the page added to a question, or its text if it is not known."""
    for part in turn.question_parts:
        if isinstance(part, DataPart) and is_instruction(part):
            data = data_of(part)
            name = data.get("name") if isinstance(data, dict) else None
            own = {text: known for known, text in TEXTS.items()}.get(part.text)
            return (
                own if own is not None and own == name else seen(part.text[:MAX_INSTRUCTION_CHARS])
            )
    return ""


def files_of(turn: ConversationTurn) -> tuple[FileRow, ...]:
    """Return the files of a question that the server keeps."""
    return tuple(
        FileRow(id=file_id, name=seen(part.name), media_type=part.media_type)
        for part in turn.question_parts
        if isinstance(part, ImagePart | FilePart) and (file_id := upload_of(part))
    )


def _html(text: str, chars: int | None, markup: Markup, allowance: HighlightBudget | None) -> str:
    if chars == 0:
        return ""
    if chars is None or len(text) <= chars:
        return render(text, markup, allowance)
    cut = text.rfind("\n\n", 0, chars)
    return render(text[: cut if cut > 0 else chars], markup, allowance) + MORE


def _shown(text: str, language: str, max_chars: int = MAX_SHOWN_CHARS) -> str:
    """Return the text, truncated to ``max_chars`` with a note about the rest."""
    more = len(text) - max_chars
    if more <= 0:
        return text
    told = words_in(language)["more_chars"].format(count=f"{more:,}")
    return f"{text[:max_chars]}…\n\n{told}"


def _tool(state: ToolDelta | ToolCallPart, call: str, max_chars: int = MAX_SHOWN_CHARS) -> ToolRow:
    return ToolRow(
        kind="tool",
        call=call,
        name=seen(state.name),
        state=state.state,
        seconds=None,
        arguments=seen(state.arguments[:max_chars]),
        result=seen((state.result or "")[:max_chars]),
    )
