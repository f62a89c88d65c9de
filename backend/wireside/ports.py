"""What the outside must offer, on one page."""

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
"""Seconds that only grow (``time.monotonic``); passed in wherever time decides something."""


class Provider(Protocol):
    """Somebody who answers: an OpenAI-compatible server, the embedded model, a script."""

    async def warm_up(self) -> None:
        """Do what is slow once, so that the first question need not wait. Raises nothing that the
        first answer would not tell.
        """
        ...

    async def models(self) -> Sequence[ModelInfo]:
        """Return the models on offer, the default first. Raises ``ProviderError``."""
        ...

    def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        """Answer: text, reasoning and tool deltas, then exactly one ``Finished``.

        Deltas that arrived together may come joined. Raises ``ProviderError``, ``UnknownModel``,
        ``NotConfigured``, ``BadMessage`` or ``Overloaded``, before or after some deltas. Closing
        the generator, or cancelling the task that iterates it, closes the upstream response
        before it returns.
        """
        ...

    async def aclose(self) -> None:
        """Free connections and processes. Streams that still run end with an error."""
        ...


class Store(Protocol):
    """Where conversations are kept. Ids that it does not know are no error: nothing is returned or
    done. Every method raises ``StoreError`` when the store can't do it now; then nothing of it is
    done. Times come from the caller, in seconds since 1970.
    """

    # ---- conversations -----------------------------------------------------------------------

    async def create(self, info: ConversationInfo) -> None:
        """Keep a new conversation, with its first branch (0) that has no turns: ``last`` is -1."""
        ...

    async def conversation(self, conversation_id: str) -> StoredConversation | None:
        """Return a conversation without its turns; None when there is none, or it is deleted."""
        ...

    async def titles_and_times(self, owner: str) -> Sequence[tuple[str, str, float]]:
        """Return the ids of an owner's conversations, each with title and time of creation."""
        ...

    async def move_shares(self, old_id: str, new_id: str) -> None:
        """Make snapshots of one conversation those of another, which outlive the first one then."""
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
        """Return a page of those of ``owner`` that are (not) archived: pinned ones first, the
        newest ``pinned_at`` first, then the others, the newest ``updated_at`` first. Deleted ones
        are not there.
        """
        ...

    async def update(self, info: ConversationInfo) -> None:
        """Keep title, its source, ``updated_at``, ``pinned_at``, ``archived_at`` and tags."""
        ...

    async def delete(
        self, conversation_ids: Sequence[str], at: float, *, owner: str = ""
    ) -> Sequence[str]:
        """Hide conversations of ``owner`` from everything, until ``restore`` or ``purge``; returns
        the ids of those that were there.
        """
        ...

    async def restore(self, conversation_ids: Sequence[str], *, owner: str = "") -> Sequence[str]:
        """Take a deletion back; returns the ids that are there again."""
        ...

    async def purge(self, deleted_before: float) -> int:
        """Remove what was deleted before that time from tables, search and files; says how many."""
        ...

    async def outdated(
        self, *, updated_before: float | None, keep: int | None
    ) -> Sequence[tuple[str, str]]:
        """Return up to 500 conversations, neither pinned nor deleted, as id and owner: those that
        were last updated before that time, or are not among the ``keep`` newest of their owner.
        """
        ...

    # ---- turns -------------------------------------------------------------------------------

    async def add_turn(self, turn: TurnRecord, branches: Sequence[Branch], shown: int) -> bool:
        """Keep a new turn without segments, and the branches that it begins or makes longer, in one
        step; ``shown`` becomes the conversation's. Its ``updated_at`` becomes the turn's time.

        Returns False, and does nothing, when there is a turn of that id already.
        """
        ...

    async def remove_turn(self, turn_id: str) -> None:
        """Remove a turn without segments. Those after it on its branch move up by one, and the
        branch becomes shorter by one.
        """
        ...

    async def turns(self, conversation_id: str, spans: Sequence[Span]) -> Sequence[TurnRecord]:
        """Return the turns of these spans with their segments, in the order of the spans, then of
        their depth.
        """
        ...

    async def turn(self, turn_id: str) -> TurnRecord | None:
        """Return one turn with its segments; None when there is none, or it is deleted."""
        ...

    async def all_turns(
        self, conversation_id: str, *, after: tuple[int, int] | None, limit: int
    ) -> Sequence[TurnRecord]:
        """Return turns of all branches, by branch, then depth, those after that place."""
        ...

    async def show(self, conversation_id: str, branch: int) -> None:
        """Remember which branch is shown."""
        ...

    async def keep_options(self, conversation_id: str, options: Options) -> None:
        """Store the model and settings chosen for a conversation."""
        ...

    async def judge(self, turn_id: str, feedback: Feedback | None) -> None:
        """Keep what a person said of an answer, or forget it."""
        ...

    async def add_conversation(
        self,
        info: ConversationInfo,
        branches: Sequence[Branch],
        shown: int,
        turns: Sequence[TurnRecord],
    ) -> bool:
        """Keep a whole conversation, with its finished segments (an import); it is there when all
        of it is. Returns False, and does nothing, when there is one of that id already.
        """
        ...

    # ---- answers -----------------------------------------------------------------------------

    async def begin(self, turn_id: str, segment: Segment, *, anew: bool = False) -> None:
        """Keep a stream that is about to be made: the turn's next segment, or (``anew``) the only
        one, in place of those before. The turn waits no more.
        """
        ...

    async def write(self, tails: Sequence[Tail]) -> None:
        """Keep what is new of all running answers, in one commit. Doing it twice does no harm. An
        end makes the answer's text searchable. Streams that are gone (a deleted conversation) are
        passed over.
        """
        ...

    async def segment(self, stream: str) -> tuple[Segment, str] | None:
        """Return the stream of that name with its text, and its conversation's id."""
        ...

    async def interrupt_all(self) -> int:
        """End all streams that have no end with the reason ``interrupted``, keeping their text;
        called at the start, before anybody is answered. Says how many there were.
        """
        ...

    async def waiting(self) -> Sequence[str]:
        """Return the ids of conversations in which a turn waits."""
        ...

    # ---- search ------------------------------------------------------------------------------

    async def search(
        self, query: str, *, owner: str = "", cursor: int | None, limit: int
    ) -> Sequence[Hit]:
        """Return places in conversations of ``owner`` where all words of ``query`` begin a word,
        the newest first. Nothing for a query without a word. Archived ones are searched too.
        """
        ...

    async def aclose(self) -> None:
        """Free all connections."""
        ...


@dataclass(frozen=True, slots=True)
class Allowance:
    """What somebody may still ask for; None where there is no limit. Times in seconds."""

    messages_left: int | None = None
    messages_limit: int | None = None
    messages_reset_s: float | None = None
    tokens_left: int | None = None
    tokens_limit: int | None = None
    tokens_reset_s: float | None = None
    streams_left: int | None = None
    streams_limit: int | None = None


class Quotas(Protocol):
    """How much each caller may ask for."""

    def occupy(self, caller: Caller, *, is_due: bool = False) -> Callable[[], None]:
        """Take a place among the answers that are made at once; returns what frees it. Raises
        ``TooMany``, but not for an answer that ``is_due``: it was let in before.
        """
        ...

    async def take(self, caller: Caller) -> None:
        """Count a message. Raises ``RateLimited``, with the seconds to wait."""
        ...

    async def spend(self, caller: Caller, tokens: int) -> None:
        """Count the tokens of an answer, of its context too."""
        ...

    async def allowance(self, caller: Caller) -> Allowance:
        """Return what is left."""
        ...


class Witness(Protocol):
    """Who keeps in mind what was done to accounts, keys and conversations."""

    def saw(self, caller: Caller, action: str, subject: str = "") -> None:
        """``caller`` did ``action`` to ``subject``. Never raises, and never waits."""
        ...


class Blind:
    """``Witness`` of a server that keeps nothing in mind."""

    def saw(self, caller: Caller, action: str, subject: str = "") -> None:
        """See ``Witness``."""


class Unlimited:
    """``Quotas`` of a server that has none."""

    def occupy(self, caller: Caller, *, is_due: bool = False) -> Callable[[], None]:
        """See ``Quotas``."""
        return lambda: None

    async def take(self, caller: Caller) -> None:
        """See ``Quotas``."""

    async def spend(self, caller: Caller, tokens: int) -> None:
        """See ``Quotas``."""

    async def allowance(self, caller: Caller) -> Allowance:
        """See ``Quotas``."""
        return Allowance()


class FigureStore(Protocol):
    """Where the server's figures are kept. Every method raises ``StoreError`` when the store can't
    do it now. Times are whole seconds since 1970.
    """

    async def keep(self, steps: Sequence[FigureStep]) -> None:
        """Keep steps, in place of those of the same time and length."""
        ...

    async def steps(self, seconds: int, since: int, until: int) -> Sequence[FigureStep]:
        """Return the steps of that length that begin from ``since`` to before ``until``, the oldest
        first.
        """
        ...

    async def forget(self, before: int) -> None:
        """Remove what began before."""
        ...


class AccountStore(Protocol):
    """Where accounts are kept. Secrets come as hashes. Every method raises ``StoreError`` when the
    store can't do it now; ids that it does not know are no error. Times as in ``Store``.
    """

    # ---- users -------------------------------------------------------------------------------

    async def users(self) -> Sequence[User]:
        """Return all accounts, the oldest first."""
        ...

    async def user(self, user_id: str) -> User | None:
        """Return an account."""
        ...

    async def user_named(self, name: str) -> User | None:
        """Return the account that signs in with that name."""
        ...

    async def user_of(self, subject: str) -> User | None:
        """Return the account that somebody else vouches for under that name."""
        ...

    async def add_user(
        self, user: User, *, invitation: str | None = None, role_of_first: Role | None = None
    ) -> User | None:
        """Add an account, and use the invitation of that id up, in one step. The first account of
        all gets the conversations that nobody owns, and ``role_of_first`` where that is given.
        Returns the account; None, and does nothing, when the name or the subject is taken, or the
        invitation is used.
        """
        ...

    async def set_role(
        self, user_id: str, role: Role, *, by: str | None = None, even_of_last: bool = False
    ) -> bool:
        """Keep another role; invitations of somebody who administers no more are taken back.
        Returns False, and does nothing, when nobody would be left who administers and is not
        disabled, unless ``even_of_last``; or when ``by``, an account, is none of those who do.
        """
        ...

    async def disable(self, user_id: str, at: float, *, by: str | None = None) -> bool:
        """Keep since when an account is disabled; the invitations that it has made, and links to
        its password, are taken back. Returns False as ``set_role`` does.
        """
        ...

    async def enable(self, user_id: str, *, by: str | None = None) -> bool:
        """Keep that an account is disabled no more. Returns False as ``set_role`` does."""
        ...

    async def see_user(self, user_id: str, at: float, *, unless_since: float) -> bool:
        """Keep that somebody was here at that time, unless it is kept that they were after
        ``unless_since``; returns whether it was. Of many who say so at once one is told True.
        """
        ...

    async def set_password(
        self, user_id: str, password: str, *, invitation: str | None = None, was: str | None = None
    ) -> bool:
        """Keep another password, and use the invitation up; no other link sets it then. Returns
        False, and does nothing, when that is used, or where the password is not ``was`` any more.
        """
        ...

    async def remove_user(self, user_id: str, at: float, *, by: str | None = None) -> bool:
        """Remove an account with all it has, the invitations that it has made too; its
        conversations are deleted at ``at``. Returns False as ``set_role`` does.
        """
        ...

    # ---- where they are signed in ------------------------------------------------------------

    async def add_sign_in(self, sign_in: SignIn, *, password: str | None = None) -> bool:
        """Keep a browser in which somebody has signed in. Returns False, and does nothing, when the
        account is disabled or no more, or its password is not ``password`` any more.
        """
        ...

    async def sign_in(self, token: str) -> tuple[SignIn, User] | None:
        """Return the browser of that token, and whose it is; also one that has expired."""
        ...

    async def sign_ins(self, user_id: str) -> Sequence[SignIn]:
        """Return the browsers of an account, the last used first."""
        ...

    async def see(self, sign_in: SignIn, at: float, expires_at: float) -> None:
        """Keep that somebody was here at that time, which puts off the end."""
        ...

    async def end_sign_ins(
        self, user_id: str, *, only: str | None = None, but: str | None = None
    ) -> Sequence[str]:
        """Forget browsers of an account: all, one, or all but one; returns their ids."""
        ...

    # ---- keys --------------------------------------------------------------------------------

    async def add_key(self, key: ApiKey) -> None:
        """Keep a key."""
        ...

    async def key(self, key_id: str) -> tuple[ApiKey, User] | None:
        """Return a key, and whose it is; also one that has expired."""
        ...

    async def keys(self, user_id: str) -> Sequence[ApiKey]:
        """Return the keys of an account, the oldest first."""
        ...

    async def use_key(self, key_id: str, at: float) -> None:
        """Keep that a key was used at that time."""
        ...

    async def remove_key(self, user_id: str, key_id: str) -> bool:
        """Remove a key of an account; returns whether there was one."""
        ...

    # ---- invitations -------------------------------------------------------------------------

    async def add_invitation(self, invitation: Invitation) -> bool:
        """Keep an invitation. One that is for an account takes the place of those before. Returns
        False, and does nothing, when whoever made it administers no more.
        """
        ...

    async def invitation(self, token: str) -> Invitation | None:
        """Return the invitation of that token; also one that has expired."""
        ...

    async def invitations(self) -> Sequence[Invitation]:
        """Return those that are not used, the oldest first."""
        ...

    async def remove_invitations(self, ids: Collection[str]) -> None:
        """Take invitations back."""
        ...

    # ---- shares ------------------------------------------------------------------------------

    async def add_share(self, share: Share) -> None:
        """Keep a snapshot of a conversation."""
        ...

    async def share(self, token: str) -> Share | None:
        """Return the snapshot of that token, unless its conversation is deleted or its owner
        disabled.
        """
        ...

    async def shares(self, owner: str, conversation_id: str | None = None) -> Sequence[Share]:
        """Return the snapshots of an owner, the newest first, without their content."""
        ...

    async def remove_share(self, owner: str, share_id: str) -> bool:
        """Remove a snapshot of an owner; returns whether there was one."""
        ...

    # ---- what was done -----------------------------------------------------------------------

    async def note(self, entries: Sequence[AuditEntry]) -> None:
        """Keep what was done."""
        ...

    async def audit(
        self, words: Sequence[str], *, before: int | None, limit: int
    ) -> Sequence[AuditEntry]:
        """Return entries in which all ``words`` occur, the newest first, those before a place."""
        ...

    async def forget_audit(self, before: float) -> None:
        """Remove what was done before that time."""
        ...

    # ---- all of them -------------------------------------------------------------------------

    async def valid(
        self,
        sign_in_ids: Collection[str],
        key_ids: Collection[str],
        user_ids: Collection[str],
        now: float,
    ) -> frozenset[tuple[str, str]]:
        """Return which of these still let somebody in, as a caller's ``credential`` and role."""
        ...

    async def clean_up(self, now: float) -> None:
        """Remove what has expired."""
        ...
