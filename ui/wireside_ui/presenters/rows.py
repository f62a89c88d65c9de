"""The rows of a transcript, and the user's actions on them, as values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

from wireside.chat.instructions import Instruction
from wireside.parts import ToolState

State = Literal[
    "waiting",
    "thinking",
    "streaming",
    "asking",
    "done",
    "empty",
    "stopped",
    "interrupted",
    "length_reached",
    "filtered",
    "error",
]
"""State of a turn.

- ``waiting``: the question is queued
- ``thinking``: the question was sent to the model, no text yet
- ``streaming``: text is being received
- ``asking``: the answer waits for the user's answer to a question in it
- ``empty``: the answer has ended and has neither text nor tool calls
- ``length_reached``, ``filtered``: the provider ended the answer because of its length or by its
  content filter
"""

ActionName = Literal[
    "retry",
    "edit",
    "stop",
    "continue",
    "withdraw",
    "fork",
    "previous",
    "next",
    "up",
    "down",
    "no-feedback",
    "say",
    "unshow",
    "undo-summary",
    "keep",
]
"""Name of a user action.

``fork`` copies the conversation up to the turn and opens the copy; ``previous`` and ``next``
switch to a turn's sibling; ``up``, ``down`` and ``no-feedback`` set the feedback on its answer,
``say`` adds a comment to the feedback, and whether administrators may read the answer;
``unshow`` takes that permission back.
``undo-summary`` undoes the summary in an answer. ``keep`` keeps one of the answers that are shown
side by side.
"""


class TextRow(TypedDict):
    """Text of an answer; ``html`` is sanitised (``markdown.incremental.render``)."""

    kind: Literal["text"]
    html: str


class ReasoningRow(TypedDict):
    """The model's reasoning, shown verbatim but for headings, lists, bold and code.

    ``seconds`` is how long it took, None if unknown.
    """

    kind: Literal["reasoning"]
    text: str
    seconds: float | None


class ToolRow(TypedDict):
    """A tool call, identified by ``call``.

    ``seconds`` is ``None`` while it runs; ``arguments`` and ``result`` are shown verbatim.
    """

    kind: Literal["tool"]
    call: str
    name: str
    state: ToolState
    seconds: float | None
    arguments: str
    result: str


class DataRow(TypedDict):
    """A part that is shown whole, identified by ``id`` ("" if it is never replaced).

    ``type`` is the kind of the part and ``data`` its data, None if the page only shows ``text``.
    """

    kind: Literal["data"]
    id: str
    type: str
    text: str
    data: Any


RowPart = TextRow | ReasoningRow | ToolRow | DataRow
"""A part of an answer."""


class FileRow(TypedDict):
    """A file of a question, which the page loads by its ``id``."""

    id: str
    name: str
    media_type: str


class DetailsRow(TypedDict):
    """What is known of an ended answer; None and "" are unknown or nothing."""

    code: str
    """The code of the error that ended it."""
    stream: str
    """Its id, which the server's log has too."""
    at: float
    """Time in seconds since 1970 at which it began."""
    input_tokens: int | None
    output_tokens: int | None
    costs: Sequence[tuple[float, str]]
    """Amounts with their currencies: one, or none if the cost is unknown."""
    first_token_s: float | None
    tokens_per_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One turn. ``parts`` is empty for an answer that is streamed by ``ops``."""

    id: str
    question: str = ""
    files: tuple[FileRow, ...] = ()
    state: State = "done"
    parts: tuple[RowPart, ...] = ()
    error: str = ""
    """Error message for the state ``error``."""
    retry_after: float | None = None
    """Seconds after which the component triggers ``retry`` automatically, with a countdown."""
    sibling: int = 0
    """Index among its ``siblings``, from 0."""
    siblings: int = 1
    """Number of turns with the same parent; a switch between them is shown if there are several."""
    feedback: Literal["", "up", "down"] = ""
    is_shown: bool = False
    """Whether administrators may read the rated answer."""
    instruction: str = ""
    """What the page added to the question: the name of it, such as "shorter", or its text."""
    edited: bool = False
    """Whether the answer's text was changed by its owner."""
    model: str = ""
    """Name of the model; several, comma-separated, if the answer was continued by another one."""
    details: DetailsRow | None = None
    asked_at: float = 0.0
    """Time of the question in seconds since 1970; 0 if unknown."""
    asked_by: str = ""
    """Name of the user who asked, if that is neither the user of the page nor known by itself."""
    is_asker: bool = False
    """Whether the user of the page has asked, in a conversation of another user."""
    beside: tuple[Row, ...] = ()
    """The answers of other models to the question, shown next to this one."""


class RowPatch(TypedDict, total=False):
    """The fields of a row that can change."""

    question: str
    state: State
    parts: Sequence[RowPart]
    error: str
    retry_after: float | None
    sibling: int
    siblings: int
    feedback: Literal["", "up", "down"]
    is_shown: bool
    edited: bool
    model: str
    details: DetailsRow | None
    follow_ups: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """A user action on a row. ``row_id`` is untrusted input, which the page must validate.

    ``automatic``: a countdown ended; every open page of the conversation sends this action, and the
    first one is executed. ``words`` is the comment of ``say``, at most ``MAX_FEEDBACK_CHARS``.
    """

    name: ActionName
    row_id: str
    automatic: bool = False
    words: str = ""
    is_shown: bool = False
    """Whether administrators may read the answer, for ``say``."""
    model: str = ""
    """The model for ``retry``, "" for the chosen one."""
    instruction: Instruction | None = None
    """What ``retry`` adds to the question."""
