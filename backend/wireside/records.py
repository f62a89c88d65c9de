"""What a store keeps, as values: conversations, their branches, turns, answers; accounts.

A conversation is a tree of turns. A **branch** is a run of turns without a fork: its turns have the
depths ``first`` … ``last``, one after the other; the parent of its first turn is the turn of the
depth ``first - 1`` on the branch ``parent``, or on an ancestor of it. So the place of a turn in
what a person sees is its ``depth``, and a page of a conversation is a range of depths on the few
branches that lead to its end, however long it is.

Times are seconds since 1970. All values are frozen; ids are strings that nobody can guess.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from wireside.identity import Role, Scope
from wireside.messages import End, Entry, Options

Verdict = Literal["up", "down"]

TitleSource = Literal["words", "model", "person"]
"""Who gave a conversation its title: its first words, a model, somebody."""


@dataclass(frozen=True, slots=True)
class ConversationInfo:
    """What a list of conversations shows. ``pinned_at`` and ``archived_at`` are None where it is
    neither. ``owner`` is the account that it belongs to, "" on a server without accounts.
    """

    id: str
    title: str
    created_at: float
    updated_at: float
    title_source: TitleSource = "words"
    pinned_at: float | None = None
    archived_at: float | None = None
    tags: tuple[str, ...] = ()
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Branch:
    """A run of turns without a fork. The first branch of a conversation has no ``parent``.

    ``id`` counts from 0 within the conversation, in the order of their making.
    """

    id: int
    parent: int | None
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class StoredConversation:
    """A conversation without its turns. ``shown`` is the branch whose last turn ends what is shown;
    ``waiting`` are the ids of turns that wait for their answer, oldest first.
    """

    info: ConversationInfo
    branches: tuple[Branch, ...]
    shown: int
    waiting: tuple[str, ...] = ()
    options: Options | None = None
    """The model and settings chosen for the conversation, None before a choice was made."""


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a person said of an answer."""

    verdict: Verdict
    words: str = ""


@dataclass(frozen=True, slots=True)
class Segment:
    """A stream of an answer; "Continue" adds one. ``end`` is None while it is being made.

    Neighbours of one kind among ``entries`` may be joined: offsets are positions in the text.
    """

    stream: str
    model: str
    entries: tuple[Entry, ...] = ()
    end: End | None = None
    sanitize: bool = False
    created_at: float = 0.0


@dataclass(frozen=True, slots=True)
class TurnRecord:
    """A question with its answer, one segment after the other."""

    id: str
    conversation_id: str
    branch: int
    depth: int
    question: str
    created_at: float
    options: Options = Options()
    is_waiting: bool = False
    feedback: Feedback | None = None
    segments: tuple[Segment, ...] = ()


@dataclass(frozen=True, slots=True)
class Span:
    """The turns of the depths ``first`` … ``last`` (both included) of one branch."""

    branch: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Tail:
    """What is new of one running answer: ``entries`` follow the position ``offset``. ``end`` ends
    it; then nothing follows.
    """

    stream: str
    offset: int
    entries: tuple[Entry, ...]
    end: End | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """A place that a search found. ``turn_id`` is None for a title.

    ``snippet`` is text around the match, in pieces; every second one, beginning with the second,
    is a match. ``cursor`` asks for what follows this hit.
    """

    conversation_id: str
    title: str
    turn_id: str | None
    kind: Literal["title", "question", "answer"]
    snippet: tuple[str, ...]
    cursor: int
    created_at: float


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of a list of conversations; ``cursor`` asks for the next, None at the end."""

    conversations: tuple[ConversationInfo, ...]
    cursor: str | None


# ---- accounts ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class User:
    """An account. ``name`` is what they sign in with, one spelling of it for everybody.

    ``password`` is a hash, None where somebody else vouches for them: then ``subject`` is the name
    that they have there. ``disabled_at`` is None while they may come in.
    """

    id: str
    name: str
    role: Role
    created_at: float
    password: str | None = None
    subject: str | None = None
    disabled_at: float | None = None
    seen_at: float | None = None


@dataclass(frozen=True, slots=True)
class SignIn:
    """A browser in which somebody has signed in. ``token`` is the hash of what its cookie holds."""

    id: str
    token: str
    user_id: str
    created_at: float
    seen_at: float
    expires_at: float
    agent: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key of a program. ``secret`` is a hash; None in the limits: what its user may."""

    id: str
    secret: str
    user_id: str
    name: str
    scopes: frozenset[Scope]
    created_at: float
    expires_at: float | None = None
    used_at: float | None = None
    messages_per_minute: int | None = None
    tokens_per_day: int | None = None
    streams: int | None = None
    """Answers at once."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """A link that works once. ``token`` is the hash of what is in it.

    Without ``user_id`` it makes an account of ``role``, called ``name`` where that is given; with
    one it sets that account's password anew. ``made_by`` is None for those of the command line.
    """

    id: str
    token: str
    role: Role
    created_at: float
    expires_at: float
    name: str = ""
    user_id: str | None = None
    made_by: str | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """A snapshot of a conversation that others may read. ``token`` is the hash of its link's."""

    id: str
    token: str
    owner: str
    conversation_id: str
    title: str
    created_at: float
    content: str = ""


@dataclass(frozen=True, slots=True)
class FigureStep:
    """Figures of ``seconds`` from ``at`` on, as the telemetry writes them; never content."""

    at: int
    seconds: int
    figures: str


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Something that was done to accounts, keys or conversations. ``user_id`` did it, under
    ``name``; "" for nobody known. ``subject`` is what it was done to. Never content.
    """

    at: float
    action: str
    user_id: str = ""
    name: str = ""
    subject: str = ""
    address: str = ""
    number: int = 0
    """Its place, given by the store: asks for what is older."""
