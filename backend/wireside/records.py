"""Values that a store keeps: conversations with branches, turns and answers; accounts.

A conversation is a tree of turns. A **branch** is a run of turns without a fork: its turns have the
consecutive depths ``first`` … ``last``; the parent of its first turn is the turn at depth
``first - 1`` on the branch ``parent`` or on one of its ancestors. The position of a turn in what a
user sees is therefore its ``depth``, and a page of a conversation is a range of depths on the few
branches that lead to its end, whatever its length.

Times are seconds since 1970. All values are frozen; ids are unguessable strings.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from wireside.identity import Role, Scope
from wireside.messages import End, Entry, Options, parts_of
from wireside.parts import Part, text_of

Verdict = Literal["up", "down"]

TitleSource = Literal["words", "model", "person"]
"""Origin of a title: the first words of the conversation, a model, or the user."""


MemberKind = Literal["user", "group"]

MemberAccess = Literal["read", "reply"]
"""What a member may do: read a conversation, or ask in it too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A user or a group that a conversation is shared with.

    ``id`` is that of the user's account, or the name of the group.
    """

    kind: MemberKind
    id: str
    access: MemberAccess

    @property
    def key(self) -> tuple[MemberKind, str]:
        """What identifies it among the members of a conversation."""
        return self.kind, self.id


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnComment:
    """A comment on a turn of a shared conversation. Models do not get it.

    ``author`` is the id of an account, and ``edited_at`` None unless the text was changed.
    """

    id: str
    conversation_id: str
    turn_id: str
    author: str
    text: str
    created_at: float
    edited_at: float | None = None


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
    folder_id: str | None = None
    """Its folder; None, or a folder that was deleted: it is in none."""
    owner: str = ""
    members: tuple[Member, ...] = ()
    """The users and groups that it is shared with."""


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
    version: int = 0
    """Number of changes that were made to the conversation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationVersion:
    """How far the store is with a conversation: what a server compares with what it has open."""

    version: int
    owner: str
    is_deleted: bool


@dataclass(frozen=True, slots=True)
class Feedback:
    """A user's feedback on an answer.

    ``is_shown``: administrators may read the question, the answer and the words. ``at`` is in
    seconds since 1970, 0 if unknown.
    """

    verdict: Verdict
    words: str = ""
    is_shown: bool = False
    at: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackQuery:
    """Which feedback is read: of which verdict and model, None for all, and of which time.

    ``until`` is the first moment that does not count; both are in seconds since 1970.
    """

    since: float
    until: float
    verdict: Verdict | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RatedAnswer:
    """Feedback as administrators see it: without its user; texts are "" unless ``is_shown``."""

    at: float
    verdict: Verdict
    model: str
    is_shown: bool
    question: str = ""
    answer: str = ""
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackCount:
    """How often the answers of a model were rated."""

    model: str
    up: int
    down: int


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
    replica: str | None = None
    """Id of the server that writes it while it is running; None if one server has the database."""


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
    asked_by: str | None = None
    """The account that asked; None: the owner of the conversation."""

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
class StoredTail:
    """What the store has of an answer after an offset. ``end`` is None while it is running.

    ``replica`` is the id of the server that writes it.
    """

    entries: tuple[Entry, ...]
    end: End | None
    replica: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnAdded:
    """A waiting turn at the end of ``branch``, which becomes the shown branch.

    ``info`` is the conversation with the turn; ``creates``: it must be stored first. ``version`` is
    the one for which the change was made, None for any.
    """

    record: TurnRecord
    branch: Branch
    info: ConversationInfo
    creates: bool
    version: int | None = None

    @property
    def conversation_id(self) -> str:
        """The id of the conversation."""
        return self.info.id


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnWithdrawn:
    """A waiting turn that is removed; all turns after it move up.

    ``branches`` are those that change: the branch of the turn, then those that begin after it.
    ``shown`` is the branch to show. ``version`` is the one for which the change was made, None for
    any.
    """

    conversation_id: str
    turn_id: str
    branches: tuple[Branch, ...]
    shown: int
    version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerBegun:
    """A turn that is being answered by ``segment``, which may replace its earlier segments.

    ``version`` is the one for which the change was made, None for any.
    """

    conversation_id: str
    turn_id: str
    segment: Segment
    replaces: bool = False
    file_ids: tuple[str, ...] = ()
    """Files of the owner that the turn refers to from now on."""
    version: int | None = None


Write = TurnAdded | TurnWithdrawn | AnswerBegun | Tail
"""What answers depend on: written in order, many in one transaction."""

WriteResult = bool | None
"""Whether a write was made; None if its conversation has changed since the change was made."""


HitKind = Literal["title", "question", "answer"]
"""What a search has found a match in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchFilter:
    """Which texts a search considers; None considers all.

    Without words to search for, the filters find conversations: those with a question to ``model``,
    and those that were in use between ``since`` and ``until``.
    """

    kind: HitKind | None = None
    model: str | None = None
    """The model that answers, or has answered, the question."""
    folder_id: str | None = None
    tag: str | None = None
    since: float | None = None
    until: float | None = None
    """The time before which a text was written; ``since`` is the time from which on."""

    @property
    def is_empty(self) -> bool:
        """Whether it considers all texts."""
        return self == SearchFilter()


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A search result. ``turn_id`` is None for a match in a title.

    ``snippet`` is text around the match, in pieces; every second one, starting with the second, is
    a match. ``cursor`` requests the results after this one.
    """

    conversation_id: str
    title: str
    turn_id: str | None
    kind: HitKind
    snippet: tuple[str, ...]
    cursor: int
    created_at: float
    is_archived: bool = False
    """Whether the conversation is archived."""
    owner: str = ""
    """The account id of the owner of the conversation."""
    place: tuple[int, int] | None = None
    """The branch and the depth of the turn, None for a match in a title."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A folder of conversations."""

    id: str
    owner: str
    name: str
    created_at: float


@dataclass(frozen=True, slots=True)
class TagCount:
    """A tag, and the number of the conversations that have it."""

    tag: str
    conversations: int


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of a list of conversations; ``cursor`` requests the next one, None at the end."""

    conversations: tuple[ConversationInfo, ...]
    cursor: str | None


# ---- replicas ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """A server among several on one database. Its id is never used again.

    ``beat`` grows while it runs. ``started_at`` is by the clock of the database, which was
    ``age_s`` later when the row was read. ``report`` is what the server says about itself, in the
    telemetry's format; None before its first beat.
    """

    id: str
    name: str
    beat: int
    version: str
    started_at: float
    age_s: float = 0.0
    report: str | None = None


# ---- what users save -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedItem:
    """Something with a name that a user has saved; ``is_shared`` shows it to all users."""

    id: str
    owner: str
    name: str
    is_shared: bool
    updated_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt(SavedItem):
    """A text to ask with."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset(SavedItem):
    """A model and settings to ask with."""

    options: Options


# ---- administration ------------------------------------------------------------------------------

Severity = Literal["info", "warning", "error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredProvider:
    """A provider of the administrators' page.

    ``spec`` is the JSON text of its table, without the key, which ``secret`` is, encrypted.
    ``secret_set_at`` is None without a key.
    """

    name: str
    spec: str
    secret: str | None
    secret_set_at: float | None
    updated_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRule:
    """What administrators have set for one model; ``price`` is JSON text, None: its provider's."""

    model: str
    is_disabled: bool = False
    price: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Banner:
    """A text on top of the chat page, from ``begins_at`` until ``ends_at``; None: without limit."""

    id: str
    text: str
    severity: Severity
    begins_at: float | None
    ends_at: float | None
    is_dismissible: bool
    updated_at: float

    def is_shown_at(self, now: float) -> bool:
        """Whether the banner is shown at a time."""
        begins_at = -math.inf if self.begins_at is None else self.begins_at
        ends_at = math.inf if self.ends_at is None else self.ends_at
        return begins_at <= now < ends_at


@dataclass(frozen=True, slots=True, kw_only=True)
class AdministeredState:
    """All that administrators have set. ``version`` grows with each change."""

    version: int = 0
    providers: tuple[StoredProvider, ...] = ()
    model_rules: tuple[ModelRule, ...] = ()
    banners: tuple[Banner, ...] = ()
    default_preset: str | None = None
    """Id of the preset with which users begin new chats that have chosen none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageKey:
    """What usage is counted by. ``day`` is in days since 1970, in UTC."""

    day: int
    owner: str
    model: str
    currency: str = ""
    """That of the cost, "" for answers whose cost is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageSum:
    """The usage of some answers."""

    answers: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0

    def __add__(self, other: UsageSum) -> UsageSum:
        return UsageSum(
            answers=self.answers + other.answers,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cost=self.cost + other.cost,
        )


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
    groups: frozenset[str] = frozenset()
    """The groups that an OpenID provider named at the last sign-in."""


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
    """Metrics of ``seconds`` seconds from ``at`` on, in the telemetry's format; never content.

    ``server`` is the name of the server among several on one database.
    """

    at: int
    seconds: int
    figures: str
    server: str = ""


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
    """A whole conversation, ready for ``Store.add_imported``."""

    info: ConversationInfo
    branches: tuple[Branch, ...]
    shown: int
    turns: tuple[TurnRecord, ...]
    passed_over: int = 0
    """Number of omitted items: turns without content, and parts that text can't represent."""
    folder: str = ""
    """The name of its folder, "" for none."""
    is_dated: bool = True
    """Whether the file has the time at which the conversation began."""
