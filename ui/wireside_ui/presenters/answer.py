"""Presents turns as rows of the transcript. Plain Python, tested without a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from wireside.chat.conversation import Turn
from wireside.generation.log import AnswerLog, ReasoningPiece, TextPiece, ToolPiece
from wireside.generation.reader import Reader
from wireside.invisible_text import SeenStream, seen
from wireside.messages import ToolDelta
from wireside_ui.i18n.catalogue import sentence_in, words_in
from wireside_ui.markdown.dialect import Markup
from wireside_ui.markdown.highlighting import HighlightBudget
from wireside_ui.markdown.incremental import BlockStream, Op, render
from wireside_ui.presenters.rows import Row, State, Tool

READ_CHARS = 32_768
"""Characters read from an answer per step (about 60 ms of work); the rest is read next time."""

MAX_SHOWN_CHARS = 1_000_000
"""Maximum length of each text of a turn; imported files may hold more than a browser can show."""

MORE = '<p class="ws-more">…</p>'
"""Follows the beginning of an answer until the rest is rendered."""


def state_of(turn: Turn) -> State:
    """Return the transcript's state of a turn."""
    if turn.waiting:
        return "waiting"
    end = turn.end
    if end is None:
        return "streaming" if any(stream.log.head for stream in turn.segments) else "thinking"
    if end.error is not None:
        return "error"
    match end.reason:
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


def _is_empty(turn: Turn) -> bool:
    """Return whether an ended answer has neither text nor tool calls; it may have reasoning."""
    return not turn.text.strip() and not _beside_text(turn)[1]


def model_of(turn: Turn, names: Mapping[str, str]) -> str:
    """Return the models of a turn, comma-separated; ``names`` maps ids to display names."""
    models = dict.fromkeys(stream.model for stream in turn.segments if stream.model)
    return seen(", ".join(names.get(model, model) for model in models))


def retry_after(turn: Turn) -> float | None:
    """Return the delay in seconds of the automatic retry of a failed turn, None for no retry."""
    error = turn.end.error if turn.end else None
    if error is None or error.code != "provider_rate_limited" or turn.text:
        return None
    return error.retry_after


def row_of(
    turn: Turn,
    markup: Markup,
    language: str,
    *,
    place: tuple[int, int] = (0, 1),
    allowance: HighlightBudget | None = None,
    chars: int | None = None,
    names: Mapping[str, str] = {},
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
    """
    sibling, siblings = place
    row = Row(
        id=turn.id,
        question=seen(_shown(turn.question, language)),
        state=state_of(turn),
        sibling=sibling,
        siblings=siblings,
        feedback=turn.feedback.verdict if turn.feedback else "",
        model=model_of(turn, names),
        asked_at=turn.created_at,
    )
    if not turn.segments or turn.is_live:
        return row
    reasoning, tools = _beside_text(turn)
    return replace(
        row,
        html=_html(text_of(turn, language), chars, markup, allowance),
        reasoning=seen(_shown(reasoning, language)),
        tools=tools,
        error=seen(_sentence(turn, language)),
        retry_after=retry_after(turn),
    )


def _sentence(turn: Turn, language: str) -> str:
    """Return the error message of a failed answer, "" for any other.

    If the page shows a countdown to the next attempt, the message names no time.
    """
    error = turn.end.error if turn.end else None
    if error is None:
        return ""
    is_counted = retry_after(turn) is not None
    return words_in(language)["service_busy"] if is_counted else sentence_in(language, error)


def text_of(turn: Turn, language: str) -> str:
    """Return the text to render of an ended answer; "" for any other."""
    return _shown(turn.text, language) if turn.segments and not turn.is_live else ""


class Follower:
    """Follows one answer from its first segment to the end of its last one, as changes of a page.

    The work depends only on what is new since the last ``tick``. ``wake`` is called when there is
    something new. ``goes_on``: the page already shows the beginning of the answer, which is
    replaced without a gap.
    """

    def __init__(
        self, turn: Turn, markup: Markup, wake: Callable[[], None], *, goes_on: bool = False
    ) -> None:
        self.turn = turn
        self.first = turn.segments[0]
        """The first stream of the answer; a retried answer has another one."""
        self._wake = wake
        self._goes_on = goes_on
        self._blocks = BlockStream(markup)
        self._thoughts = SeenStream()
        self._readers: list[Reader] = []
        self._tools: dict[str, Tool] = {}
        self._has_ended = False

    @property
    def has_more(self) -> bool:
        """Whether a ``tick`` would return something new immediately."""
        return len(self._readers) < len(self.turn.segments) or any(
            reader.has_more for reader in self._readers
        )

    def tick(self) -> tuple[list[Op], str, list[Tool] | None, bool]:
        """Return what is new since the last call.

        Returns:
            Operations on the text, new reasoning, all tool calls if one has changed (else None) and
            whether the answer has ended.
        """
        news = self.take()
        return (self.flush(), *news)

    @property
    def work(self) -> int:
        """Number of characters that the next ``flush`` processes; see ``BlockStream.work``."""
        return self._blocks.work(final=self._has_ended)

    def flush(self) -> list[Op]:
        """Return the operations for the text read by ``take``.

        May run in a thread, but no other method may be called at the same time.
        """
        ops = self._blocks.flush(final=self._has_ended)
        if self._goes_on:
            self._goes_on = False
            ops.insert(0, ["r", ""])
        return ops

    def take(self) -> tuple[str, list[Tool] | None, bool]:
        """Read what is new since the last call; the text is kept for ``flush``.

        Returns:
            New reasoning, all tool calls if one has changed (else None) and whether the answer has
            ended.
        """
        segments = self.turn.segments
        while len(self._readers) < len(segments):
            self._readers.append(segments[len(self._readers)].reader(0, self._wake))
        reasoning: list[str] = []
        tools_changed = False
        for reader in self._readers:
            for piece in reader.take(READ_CHARS):
                match piece:
                    case TextPiece():
                        self._blocks.feed(piece.text)
                    case ReasoningPiece():
                        reasoning.append(piece.text)
                    case ToolPiece():
                        self._tools[piece.delta.call] = _tool(piece.delta)
                        tools_changed = True
        self._has_ended = has_ended = self._readers[-1].end is not None and not self.has_more
        tools = list(self._tools.values()) if tools_changed else None
        thoughts = self._thoughts.take("".join(reasoning), is_last=has_ended)
        return thoughts, tools, has_ended

    def close(self) -> None:
        """Stop following; the answer itself continues."""
        for reader in self._readers:
            reader.close()


def _beside_text(turn: Turn) -> tuple[str, tuple[Tool, ...]]:
    reasoning: list[str] = []
    tools: dict[str, Tool] = {}
    for stream in turn.segments:
        for piece in _all(stream.log):
            match piece:
                case TextPiece():
                    pass
                case ReasoningPiece():
                    reasoning.append(piece.text)
                case ToolPiece():
                    tools[piece.delta.call] = _tool(piece.delta)
    return "".join(reasoning), tuple(tools.values())


def _html(text: str, chars: int | None, markup: Markup, allowance: HighlightBudget | None) -> str:
    if chars == 0:
        return ""
    if chars is None or len(text) <= chars:
        return render(text, markup, allowance)
    cut = text.rfind("\n\n", 0, chars)
    return render(text[: cut if cut > 0 else chars], markup, allowance) + MORE


def _shown(text: str, language: str) -> str:
    """Return the text, truncated to ``MAX_SHOWN_CHARS`` with a note about the rest."""
    more = len(text) - MAX_SHOWN_CHARS
    if more <= 0:
        return text
    told = words_in(language)["more_chars"].format(count=f"{more:,}")
    return f"{text[:MAX_SHOWN_CHARS]}…\n\n{told}"


def _all(log: AnswerLog) -> list[TextPiece | ReasoningPiece | ToolPiece]:
    return log.read(0, log.head) if log.head else []


def _tool(delta: ToolDelta) -> Tool:
    return Tool(
        call=delta.call,
        name=seen(delta.name),
        state=delta.state,
        seconds=None,
        arguments=seen(delta.arguments[:MAX_SHOWN_CHARS]),
        result=seen((delta.result or "")[:MAX_SHOWN_CHARS]),
    )
