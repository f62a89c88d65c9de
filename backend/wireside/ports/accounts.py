"""The interface of storage for accounts, their credentials and the audit log."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from wireside.identity import Role
from wireside.records import (
    ApiKey,
    AuditEntry,
    Invitation,
    Share,
    SignIn,
    UserAccount,
)


class AccountStore(Protocol):
    """Storage of accounts. Secrets are passed as hashes.

    Every method raises ``StoreError`` when the store is unavailable; unknown ids are not an error.
    Times as in ``Store``.
    """

    # ---- users -------------------------------------------------------------------------------

    async def list_users(self) -> Sequence[UserAccount]:
        """Return all accounts, oldest first."""
        ...

    async def find_user(self, user_id: str) -> UserAccount | None:
        """Return an account, or None."""
        ...

    async def user_named(self, name: str) -> UserAccount | None:
        """Return the account with that sign-in name."""
        ...

    async def names_of_users(self, user_ids: Collection[str]) -> Mapping[str, str]:
        """Return the names of those of the accounts that exist, by id."""
        ...

    async def find_user_by_subject(self, subject: str) -> UserAccount | None:
        """Return the account of that subject at an external identity provider."""
        ...

    async def add_user(
        self, user: UserAccount, *, invitation: str | None = None, role_of_first: Role | None = None
    ) -> UserAccount | None:
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

    async def set_groups(self, user_id: str, groups: Collection[str]) -> None:
        """Set the groups of an account."""
        ...

    async def disable_user(self, user_id: str, at: float, *, by: str | None = None) -> bool:
        """Set the time since which an account is disabled.

        Revokes the invitations that it made and its password links. Returns False as ``set_role``
        does.
        """
        ...

    async def enable_user(self, user_id: str, *, by: str | None = None) -> bool:
        """Enable a disabled account. Returns False as ``set_role`` does."""
        ...

    async def record_user_activity(self, user_id: str, at: float, *, unless_since: float) -> bool:
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

        Prompts and presets that it shared with all users go to the account ``by``.
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

    async def find_sign_in(self, token: str) -> tuple[SignIn, UserAccount] | None:
        """Return the session with that token and its account; includes expired sessions."""
        ...

    async def list_sign_ins(self, user_id: str) -> Sequence[SignIn]:
        """Return the sessions of an account, most recently used first."""
        ...

    async def record_sign_in_activity(self, sign_in: SignIn, at: float, expires_at: float) -> None:
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

    async def find_key_by_id(self, key_id: str) -> tuple[ApiKey, UserAccount] | None:
        """Return an API key and its account; includes expired keys."""
        ...

    async def list_keys(self, user_id: str) -> Sequence[ApiKey]:
        """Return the API keys of an account, oldest first."""
        ...

    async def record_key_use(self, key_id: str, at: float) -> None:
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

    async def find_share(self, token: str) -> Share | None:
        """Return the snapshot with that token, or None.

        None, too, when its conversation is deleted or its owner disabled.
        """
        ...

    async def list_shares(self, owner: str, conversation_id: str | None = None) -> Sequence[Share]:
        """Return the snapshots of an owner, newest first, without their content."""
        ...

    async def remove_share(self, owner: str, share_id: str) -> bool:
        """Remove a snapshot of an owner; returns whether it existed."""
        ...

    # ---- audit log ---------------------------------------------------------------------------

    async def append_audit_entries(self, entries: Sequence[AuditEntry]) -> None:
        """Append entries to the audit log."""
        ...

    async def read_audit_entries(
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

    async def valid_credentials(
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
