"""Changes of a conversation, which must be stored, and the events that follow from them. Values.

The ``version`` of a change is that of the conversation for which it was made.
"""

from __future__ import annotations

from dataclasses import dataclass

from wireside.generation.runner import Stream
from wireside.messages import Options
from wireside.records import ConversationInfo, Feedback, TurnAdded, TurnWithdrawn

# ---- changes: what must be stored ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ConversationCreated:
    """Store the conversation, without turns."""

    info: ConversationInfo


@dataclass(frozen=True, slots=True)
class BranchShown:
    """Store the branch whose end is the end of the shown path."""

    branch: int
    version: int


@dataclass(frozen=True, slots=True)
class OptionsChosen:
    """Store the model and settings for the next answers, if the conversation ``is_stored``."""

    options: Options
    is_stored: bool
    version: int


@dataclass(frozen=True, slots=True)
class FeedbackGiven:
    """Store the feedback on an answer; None removes it."""

    turn_id: str
    feedback: Feedback | None
    version: int


@dataclass(frozen=True, slots=True)
class InfoChanged:
    """Store title, pin, archive and tags."""

    info: ConversationInfo
    version: int


Change = (
    ConversationCreated
    | TurnAdded
    | TurnWithdrawn
    | BranchShown
    | OptionsChosen
    | FeedbackGiven
    | InfoChanged
)


# ---- events: what readers are sent and what must be stopped --------------------------------------


@dataclass(frozen=True, slots=True)
class ConversationChanged:
    """The shown turns, the title or the options have changed."""


@dataclass(frozen=True, slots=True)
class TurnChanged:
    """A turn has changed: its answer began or ended, or it got feedback."""

    turn_id: str


@dataclass(frozen=True, slots=True)
class EntryChanged:
    """The conversation's entry in the list has changed."""

    info: ConversationInfo


@dataclass(frozen=True, slots=True)
class AnsweringChanged:
    """Whether an answer of the conversation is running; may repeat the last event."""

    is_answering: bool


@dataclass(frozen=True, slots=True)
class QuestionsChanged:
    """The open questions of the shown turns may have changed."""


@dataclass(frozen=True, slots=True)
class StopAnswer:
    """Stop this running answer."""

    stream: Stream


@dataclass(frozen=True, slots=True)
class AnsweredElsewhere:
    """Another server has begun this answer to a turn."""

    turn_id: str
    stream: Stream


@dataclass(frozen=True, slots=True)
class QuestionAnsweredElsewhere:
    """The open question of an answer was answered at another server, where it goes on."""


Event = (
    ConversationChanged
    | TurnChanged
    | EntryChanged
    | AnsweringChanged
    | QuestionsChanged
    | StopAnswer
    | AnsweredElsewhere
    | QuestionAnsweredElsewhere
)
