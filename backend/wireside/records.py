"""Values that a store keeps: conversations with branches, turns and answers; accounts.

A conversation is a tree of turns. A **branch** is a run of turns without a fork: its turns have the
consecutive depths ``first`` … ``last``; the parent of its first turn is the turn at depth
``first - 1`` on the branch ``parent`` or on one of its ancestors. The position of a turn in what a
user sees is therefore its ``depth``, and a page of a conversation is a range of depths on the few
branches that lead to its end, whatever its length.

Times are seconds since 1970. All values are frozen; ids are unguessable strings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from wireside.identity import Role, Scope
from wireside.messages import End, Entry, Options, parts_of
from wireside.parts import Part, text_of

Verdict = Literal["up", "down"]

TitleSource = Literal["words", "model", "person"]
"""Origin of a title: the first words of the conversation, a model, or the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationInfo:
    """A conversation as lists show it.

    ``pinned_at`` and ``archived_at`` are None if it is not pinned or archived. ``owner`` is the
    account id, "" on a server without accounts.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnPlace:
    """Where a turn is: in a branch of a conversation, at a depth."""

    conversation_id: str
    branch: int
    depth: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """A run of turns without a fork. The first branch of a conversation has no ``parent``.

    ``id`` counts from 0 within the conversation, in order of creation.
    """

    id: int
    parent: int | None
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredConversation:
    """A conversation without its turns.

    ``shown`` is the branch whose last turn ends the shown path; ``waiting`` are the ids of turns
    that wait for their answer, oldest first.
    """

    info: ConversationInfo
    branches: tuple[Branch, ...]
    shown: int
    waiting: tuple[str, ...] = ()
    options: Options | None = None
    """The model and settings chosen for the conversation; None until a choice was made."""


@dataclass(frozen=True, slots=True)
class Feedback:
    """A user's feedback on an answer."""

    verdict: Verdict
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One stream of an answer; "Continue" adds another. ``end`` is None while it is running.

    Neighbours of one kind among ``entries`` may be joined: offsets are positions in the text.
    """

    stream: str
    model: str
    entries: tuple[Entry, ...] = ()
    end: End | None = None
    sanitize: bool = False
    created_at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRecord:
    """A question with its answer, which consists of consecutive segments."""

    id: str
    conversation_id: str
    branch: int
    depth: int
    question_parts: tuple[Part, ...]
    created_at: float
    options: Options = Options()
    is_waiting: bool = False
    feedback: Feedback | None = None
    segments: tuple[Segment, ...] = ()

    @property
    def question(self) -> str:
        """The text of the question."""
        return text_of(self.question_parts)

    @property
    def answer(self) -> tuple[Part, ...]:
        """The parts of the answer."""
        return parts_of(*(segment.entries for segment in self.segments))


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file of an account. Its content is kept under its hash, ``sha256`` in hexadecimal digits.

    ``media_type`` was determined from the content. ``text`` is the text for a model that was
    extracted from a document, None for other files and before that.
    """

    id: str
    owner: str
    name: str
    media_type: str
    size_bytes: int
    sha256: str
    created_at: float
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """The turns at the depths ``first`` … ``last`` (both included) of one branch."""

    branch: int
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """New entries of one running answer, from the position ``offset`` on.

    An ``end`` finishes the answer; nothing follows it. With an end and the offset 0, ``entries``
    are the whole answer.
    """

    stream: str
    offset: int
    entries: tuple[Entry, ...]
    end: End | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnAdded:
    """A waiting turn at the end of ``branch``, which becomes the shown branch.

    ``info`` is the conversation with the turn; ``creates``: it must be stored first.
    """

    record: TurnRecord
    branch: Branch
    info: ConversationInfo
    creates: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnWithdrawn:
    """A waiting turn that is removed; all turns after it move up.

    ``branches`` are those that change: the branch of the turn, then those that begin after it.
    ``shown`` is the branch to show.
    """

    turn_id: str
    branches: tuple[Branch, ...]
    shown: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerBegun:
    """A turn that is being answered by ``segment``, which may replace its earlier segments."""

    conversation_id: str
    turn_id: str
    segment: Segment
    replaces: bool = False
    file_ids: tuple[str, ...] = ()
    """Files of the owner that the turn refers to from now on."""


Write = TurnAdded | TurnWithdrawn | AnswerBegun | Tail
"""What answers depend on: written in order, many in one transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A search result. ``turn_id`` is None for a match in a title.

    ``snippet`` is text around the match, in pieces; every second one, starting with the second, is
    a match. ``cursor`` requests the results after this one.
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
    """One page of a list of conversations; ``cursor`` requests the next one, None at the end."""

    conversations: tuple[ConversationInfo, ...]
    cursor: str | None


# ---- accounts ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class UserAccount:
    """An account. ``name`` is the sign-in name, in one normalised spelling.

    ``password`` is a hash, None for an account of an external identity provider; ``subject`` is its
    name there. ``disabled_at`` is None while the account is enabled.
    """

    id: str
    name: str
    role: Role
    created_at: float
    password: str | None = None
    subject: str | None = None
    disabled_at: float | None = None
    seen_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """A signed-in browser session. ``token`` is the hash of the cookie's value."""

    id: str
    token: str
    user_id: str
    created_at: float
    seen_at: float
    expires_at: float
    agent: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """An API key. ``secret`` is a hash; a limit of None means the limit of its account."""

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
    """Maximum number of concurrent answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """A single-use link. ``token`` is the hash of the one in the link.

    Without ``user_id`` it creates an account with the role ``role``, named ``name`` if given; with
    one it resets that account's password. ``made_by`` is None for links made on the command line.
    """

    id: str
    token: str
    role: Role
    created_at: float
    expires_at: float
    name: str = ""
    user_id: str | None = None
    made_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A published snapshot of a conversation. ``token`` is the hash of the one in its link."""

    id: str
    token: str
    owner: str
    conversation_id: str
    title: str
    created_at: float
    content: str = ""


@dataclass(frozen=True, slots=True)
class FigureStep:
    """Metrics of ``seconds`` seconds from ``at`` on, in the telemetry's format; never content."""

    at: int
    seconds: int
    figures: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """An action on accounts, keys or conversations; never content.

    ``user_id`` and ``name`` identify the account that did it, "" if unknown. ``subject`` is the
    object of the action.
    """

    at: float
    action: str
    user_id: str = ""
    name: str = ""
    subject: str = ""
    address: str = ""
    number: int = 0
    """Sequence number assigned by the store; used as a cursor for older entries."""


MAX_TAGS = 20
"""Of one conversation."""

MAX_TAG_CHARS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A whole conversation, ready for ``Store.add_conversation``."""

    info: ConversationInfo
    branches: tuple[Branch, ...]
    shown: int
    turns: tuple[TurnRecord, ...]
    passed_over: int = 0
    """Number of omitted items: turns without content, and parts that text can't represent."""
    is_dated: bool = True
    """Whether the file has the time at which the conversation began."""
