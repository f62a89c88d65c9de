"""Interfaces that external services must implement: providers, stores, quotas and the audit log."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from wireside.identity import Caller, Role
from wireside.messages import Delta, ModelInfo, ModelRequest, Options
from wireside.records import (
    ApiKey,
    AuditEntry,
    Branch,
    ConversationInfo,
    Feedback,
    FigureStep,
    Hit,
    Invitation,
    Listing,
    Segment,
    Share,
    SignIn,
    Span,
    StoredConversation,
    Tail,
    TurnRecord,
    User,
)

Clock = Callable[[], float]
"""Monotonic seconds (``time.monotonic``); passed in wherever time affects behaviour."""


class Provider(Protocol):
    """A source of answers: an OpenAI-compatible server, the embedded model or a script."""

    async def warm_up(self) -> None:
        """Do slow start-up work once, so that the first question is not delayed by it.

        Raises only errors that the first answer would report as well.
        """
        ...

    async def models(self) -> Sequence[ModelInfo]:
        """Return the available models, the default first. Raises ``ProviderError``."""
        ...

    def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        """Stream an answer: text, reasoning and tool deltas, then exactly one ``Finished``.

        Deltas that arrived together may be joined. Closing the generator, or cancelling the task
        that iterates over it, closes the upstream response before it returns.

        Raises:
            ProviderError, UnknownModel, NotConfigured, BadMessage, Overloaded: before or after some
                deltas.
        """
        ...

    async def aclose(self) -> None:
        """Close connections and processes. Running streams end with an error."""
        ...


class Store(Protocol):
    """Storage of conversations.

    Unknown ids are not an error: nothing is returned or changed. Every method raises ``StoreError``
    when the store is unavailable; nothing is changed then. Times are passed by the caller, in
    seconds since 1970.
    """

    # ---- conversations -----------------------------------------------------------------------

    async def create(self, info: ConversationInfo) -> None:
        """Add a conversation with its first branch (0), which has no turns: ``last`` is -1."""
        ...

    async def conversation(self, conversation_id: str) -> StoredConversation | None:
        """Return a conversation without its turns; None when it does not exist or is deleted."""
        ...

    async def titles_and_times(self, owner: str) -> Sequence[tuple[str, str, float]]:
        """Return the ids of an owner's conversations with their titles and creation times."""
        ...

    async def move_shares(self, old_id: str, new_id: str) -> None:
        """Attach the shared snapshots of one conversation to another, so that they outlive it."""
        ...

    async def conversations(
        self,
        *,
        owner: str = "",
        archived: bool = False,
        tag: str | None = None,
        cursor: str | None,
        limit: int,
    ) -> Listing:
        """Return a page of the archived, or not archived, conversations of ``owner``.

        Pinned ones come first, newest ``pinned_at`` first, then the others, newest ``updated_at``
        first. Deleted conversations are left out.
        """
        ...

    async def update(self, info: ConversationInfo) -> None:
        """Update title, title source, ``updated_at``, ``pinned_at``, ``archived_at`` and tags."""
        ...

    async def delete(
        self, conversation_ids: Sequence[str], at: float, *, owner: str = ""
    ) -> Sequence[str]:
        """Hide conversations of ``owner`` everywhere, until ``restore`` or ``purge``.

        Returns the ids of those that existed.
        """
        ...

    async def restore(self, conversation_ids: Sequence[str], *, owner: str = "") -> Sequence[str]:
        """Undo a deletion; returns the ids of the restored conversations."""
        ...

    async def purge(self, deleted_before: float) -> int:
        """Remove conversations that were deleted before that time, and return their number.

        They are removed from the tables, the search index and the files.
        """
        ...

    async def outdated(
        self, *, updated_before: float | None, keep: int | None
    ) -> Sequence[tuple[str, str]]:
        """Return up to 500 outdated conversations, neither pinned nor deleted, as id and owner.

        Outdated are those last updated before ``updated_before``, or not among the ``keep`` newest
        of their owner.
        """
        ...

    # ---- turns -------------------------------------------------------------------------------

    async def add_turn(self, turn: TurnRecord, branches: Sequence[Branch], shown: int) -> bool:
        """Add a turn without segments and its new or extended branches, in one transaction.

        ``shown`` becomes the conversation's shown branch, the turn's time its ``updated_at``.
        Returns False and changes nothing if a turn of that id exists.
        """
        ...

    async def remove_turn(self, turn_id: str) -> None:
        """Remove a turn without segments.

        The turns after it on its branch move up by one, and the branch gets shorter by one.
        """
        ...

    async def turns(self, conversation_id: str, spans: Sequence[Span]) -> Sequence[TurnRecord]:
        """Return the turns of the spans with their segments, ordered by span, then by depth."""
        ...

    async def turn(self, turn_id: str) -> TurnRecord | None:
        """Return one turn with its segments; None when it does not exist or is deleted."""
        ...

    async def all_turns(
        self, conversation_id: str, *, after: tuple[int, int] | None, limit: int
    ) -> Sequence[TurnRecord]:
        """Return turns of all branches, ordered by branch, then depth.

        ``after`` is the branch and depth of the last turn already read.
        """
        ...

    async def show(self, conversation_id: str, branch: int) -> None:
        """Set the shown branch of a conversation."""
        ...

    async def keep_options(self, conversation_id: str, options: Options) -> None:
        """Store the model and settings chosen for a conversation."""
        ...

    async def judge(self, turn_id: str, feedback: Feedback | None) -> None:
        """Store the feedback on an answer, or remove it."""
        ...

    async def add_conversation(
        self,
        info: ConversationInfo,
        branches: Sequence[Branch],
        shown: int,
        turns: Sequence[TurnRecord],
    ) -> bool:
        """Add a whole conversation with its finished segments (an import).

        It becomes visible once all of it is stored. Returns False and changes nothing if a
        conversation of that id exists.
        """
        ...

    # ---- answers -----------------------------------------------------------------------------

    async def begin(self, turn_id: str, segment: Segment, *, anew: bool = False) -> None:
        """Add a stream that is about to start, and mark the turn as not waiting.

        The stream is the turn's next segment, or (``anew``) its only one, replacing earlier
        segments.
        """
        ...

    async def write(self, tails: Sequence[Tail]) -> None:
        """Write the new parts of all running answers, in one commit. Idempotent.

        An end makes the answer's text searchable. Streams that no longer exist (a deleted
        conversation) are skipped.
        """
        ...

    async def segment(self, stream: str) -> tuple[Segment, str] | None:
        """Return the stream of that name with its text, and the id of its conversation."""
        ...

    async def interrupt_all(self) -> int:
        """End all unfinished streams with the reason ``interrupted``, keeping their text.

        Called at start-up, before any answer starts. Returns the number of streams.
        """
        ...

    async def waiting(self) -> Sequence[str]:
        """Return the ids of conversations in which a turn waits."""
        ...

    # ---- search ------------------------------------------------------------------------------

    async def search(
        self, query: str, *, owner: str = "", cursor: int | None, limit: int
    ) -> Sequence[Hit]:
        """Return places in conversations of ``owner`` where each word of ``query`` begins a word.

        Newest first; nothing for a query without a word. Archived conversations are included.
        """
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaState:
    """What a caller may still use; None where there is no limit. Times in seconds."""

    messages_left: int | None = None
    messages_limit: int | None = None
    messages_reset_s: float | None = None
    tokens_left: int | None = None
    tokens_limit: int | None = None
    tokens_reset_s: float | None = None
    streams_left: int | None = None
    streams_limit: int | None = None


class Quotas(Protocol):
    """Rate limits and quotas of callers."""

    def occupy(self, caller: Caller, *, is_due: bool = False) -> Callable[[], None]:
        """Acquire a slot among the concurrent answers; returns a callable that releases it.

        Raises ``TooMany``, except for an answer that ``is_due``: it was accepted earlier.
        """
        ...

    async def take(self, caller: Caller) -> None:
        """Count one message. Raises ``RateLimited`` with the seconds to wait."""
        ...

    async def spend(self, caller: Caller, tokens: int) -> None:
        """Count the tokens of an answer, its context included."""
        ...

    async def allowance(self, caller: Caller) -> QuotaState:
        """Return what is left."""
        ...


class AuditRecorder(Protocol):
    """Audit log: records actions on accounts, keys and conversations."""

    def saw(self, caller: Caller, action: str, subject: str = "") -> None:
        """Record that ``caller`` did ``action`` to ``subject``. Never raises or blocks."""
        ...


class NullAuditRecorder:
    """A ``AuditRecorder`` that records nothing."""

    def saw(self, caller: Caller, action: str, subject: str = "") -> None:
        """See ``AuditRecorder``."""


class Unlimited:
    """``Quotas`` without any limit."""

    def occupy(self, caller: Caller, *, is_due: bool = False) -> Callable[[], None]:
        """See ``Quotas``."""
        return lambda: None

    async def take(self, caller: Caller) -> None:
        """See ``Quotas``."""

    async def spend(self, caller: Caller, tokens: int) -> None:
        """See ``Quotas``."""

    async def allowance(self, caller: Caller) -> QuotaState:
        """See ``Quotas``."""
        return QuotaState()


class FigureStore(Protocol):
    """Storage of the server's metrics.

    Every method raises ``StoreError`` when the store is unavailable. Times are whole seconds since
    1970.
    """

    async def keep(self, steps: Sequence[FigureStep]) -> None:
        """Store steps, replacing those of the same time and length."""
        ...

    async def steps(self, seconds: int, since: int, until: int) -> Sequence[FigureStep]:
        """Return the steps of length ``seconds`` with ``since <= at < until``, oldest first."""
        ...

    async def forget(self, before: int) -> None:
        """Remove steps that begin before that time."""
        ...


class AccountStore(Protocol):
    """Storage of accounts. Secrets are passed as hashes.

    Every method raises ``StoreError`` when the store is unavailable; unknown ids are not an error.
    Times as in ``Store``.
    """

    # ---- users -------------------------------------------------------------------------------

    async def users(self) -> Sequence[User]:
        """Return all accounts, oldest first."""
        ...

    async def user(self, user_id: str) -> User | None:
        """Return an account, or None."""
        ...

    async def user_named(self, name: str) -> User | None:
        """Return the account with that sign-in name."""
        ...

    async def user_of(self, subject: str) -> User | None:
        """Return the account of that subject at an external identity provider."""
        ...

    async def add_user(
        self, user: User, *, invitation: str | None = None, role_of_first: Role | None = None
    ) -> User | None:
        """Add an account and use up the invitation of that id, in one transaction.

        The first account of all takes over the conversations without an owner, and gets
        ``role_of_first`` if given. Returns the account; None, without any change, when the name or
        the subject is taken or the invitation is used.
        """
        ...

    async def set_role(
        self, user_id: str, role: Role, *, by: str | None = None, even_of_last: bool = False
    ) -> bool:
        """Change an account's role; removing the admin role revokes the invitations of the account.

        Returns False and changes nothing when no enabled administrator would remain (unless
        ``even_of_last``), or when ``by``, an account id, is not an enabled administrator.
        """
        ...

    async def disable(self, user_id: str, at: float, *, by: str | None = None) -> bool:
        """Set the time since which an account is disabled.

        Revokes the invitations that it made and its password links. Returns False as ``set_role``
        does.
        """
        ...

    async def enable(self, user_id: str, *, by: str | None = None) -> bool:
        """Enable a disabled account. Returns False as ``set_role`` does."""
        ...

    async def see_user(self, user_id: str, at: float, *, unless_since: float) -> bool:
        """Record that an account was active at ``at``.

        Nothing is recorded if there is a record of activity after ``unless_since``. Returns whether
        it was recorded; of several concurrent calls only one returns True.
        """
        ...

    async def set_password(
        self, user_id: str, password: str, *, invitation: str | None = None, was: str | None = None
    ) -> bool:
        """Change a password, use up the invitation and revoke the account's other password links.

        Returns False and changes nothing when the invitation is used, or when ``was`` is no longer
        the password.
        """
        ...

    async def remove_user(self, user_id: str, at: float, *, by: str | None = None) -> bool:
        """Remove an account with all its data and the invitations it made.

        Its conversations are deleted at ``at``. Returns False as ``set_role`` does.
        """
        ...

    # ---- sessions ----------------------------------------------------------------------------

    async def add_sign_in(self, sign_in: SignIn, *, password: str | None = None) -> bool:
        """Add a session.

        Returns False and changes nothing when the account is disabled or removed, or when
        ``password`` is no longer its password.
        """
        ...

    async def sign_in(self, token: str) -> tuple[SignIn, User] | None:
        """Return the session with that token and its account; includes expired sessions."""
        ...

    async def sign_ins(self, user_id: str) -> Sequence[SignIn]:
        """Return the sessions of an account, most recently used first."""
        ...

    async def see(self, sign_in: SignIn, at: float, expires_at: float) -> None:
        """Record activity of a session at ``at`` and extend its expiry."""
        ...

    async def end_sign_ins(
        self, user_id: str, *, only: str | None = None, but: str | None = None
    ) -> Sequence[str]:
        """End sessions of an account and return their ids.

        Ends all of them, one (``only``), or all but one (``but``).
        """
        ...

    # ---- keys --------------------------------------------------------------------------------

    async def add_key(self, key: ApiKey) -> None:
        """Add an API key."""
        ...

    async def key(self, key_id: str) -> tuple[ApiKey, User] | None:
        """Return an API key and its account; includes expired keys."""
        ...

    async def keys(self, user_id: str) -> Sequence[ApiKey]:
        """Return the API keys of an account, oldest first."""
        ...

    async def use_key(self, key_id: str, at: float) -> None:
        """Record that an API key was used at that time."""
        ...

    async def remove_key(self, user_id: str, key_id: str) -> bool:
        """Remove an API key of an account; returns whether it existed."""
        ...

    # ---- invitations -------------------------------------------------------------------------

    async def add_invitation(self, invitation: Invitation) -> bool:
        """Add an invitation; one for an account replaces the earlier ones.

        Returns False and changes nothing when its maker is no longer an administrator.
        """
        ...

    async def invitation(self, token: str) -> Invitation | None:
        """Return the invitation with that token; includes expired ones."""
        ...

    async def invitations(self) -> Sequence[Invitation]:
        """Return the unused invitations, oldest first."""
        ...

    async def remove_invitations(self, ids: Collection[str]) -> None:
        """Revoke invitations."""
        ...

    # ---- shares ------------------------------------------------------------------------------

    async def add_share(self, share: Share) -> None:
        """Add a snapshot of a conversation."""
        ...

    async def share(self, token: str) -> Share | None:
        """Return the snapshot with that token, or None.

        None, too, when its conversation is deleted or its owner disabled.
        """
        ...

    async def shares(self, owner: str, conversation_id: str | None = None) -> Sequence[Share]:
        """Return the snapshots of an owner, newest first, without their content."""
        ...

    async def remove_share(self, owner: str, share_id: str) -> bool:
        """Remove a snapshot of an owner; returns whether it existed."""
        ...

    # ---- audit log ---------------------------------------------------------------------------

    async def note(self, entries: Sequence[AuditEntry]) -> None:
        """Append entries to the audit log."""
        ...

    async def audit(
        self, words: Sequence[str], *, before: int | None, limit: int
    ) -> Sequence[AuditEntry]:
        """Return entries that contain all ``words``, newest first.

        ``before`` is the number of the last entry already read.
        """
        ...

    async def forget_audit(self, before: float) -> None:
        """Remove audit entries from before that time."""
        ...

    # ---- all credentials ---------------------------------------------------------------------

    async def valid(
        self,
        sign_in_ids: Collection[str],
        key_ids: Collection[str],
        user_ids: Collection[str],
        now: float,
    ) -> frozenset[tuple[str, str]]:
        """Return the credentials that are still valid.

        Each pair is a caller's ``credential`` and role.
        """
        ...

    async def clean_up(self, now: float) -> None:
        """Remove expired data."""
        ...
