"""Accounts: the first administrator, invitations, passwords and administration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from wireside.auth.audit import is_another_day
from wireside.auth.connections import LiveConnections
from wireside.auth.login_throttle import LoginThrottle
from wireside.auth.passwords import Passwords
from wireside.errors import AccountDisabled, BadMessage, Forbidden, NotFound, RequestError
from wireside.identity import LOCAL, MAX_NAME_CHARS, Caller, Role, clean_name
from wireside.ports.accounts import AccountStore
from wireside.ports.audit import AuditRecorder, NullAuditRecorder
from wireside.ports.clock import Clock
from wireside.records import Invitation, UserAccount
from wireside.tokens import hash_secret, new_record_id, new_secret

INVITATION_S = 7 * 86_400.0
"""Lifetime of an invitation link, in seconds."""

RESET_S = 86_400.0
"""Lifetime of a password-reset link, in seconds."""

SEEN_S = 60.0
"""Resolution of the stored "last seen" times, in seconds."""

LAST = "At least one administrator is required: create another one first."

WRONG = "The current password is wrong."

ELSEWHERE = "Sign-in is external (WIRESIDE_AUTH): invitation and reset links are not used."


@dataclass(frozen=True, slots=True)
class ExternalIdentity:
    """A user authenticated elsewhere: by OpenID Connect, a proxy or a host application.

    ``subject`` is the permanent identifier at the provider; ``name`` is the display name. ``role``
    is None where roles are assigned by Wireside's administrators. ``groups`` are kept until the
    next sign-in; None keeps none, where each request names them.
    """

    subject: str
    name: str
    role: Role | None = None
    groups: frozenset[str] | None = None


class Accounts:
    """Account operations. Every method may raise ``StoreError`` if the store is unavailable."""

    def __init__(
        self,
        store: AccountStore,
        passwords: Passwords,
        presence: LiveConnections,
        tries: LoginThrottle,
        wall_clock: Clock,
        on_removed: Callable[[str], None] = lambda _: None,
        witness: AuditRecorder | None = None,
        *,
        has_passwords: bool = True,
    ) -> None:
        """Create the account service.

        Args:
            on_removed: called with the id of each account that was removed.
            has_passwords: False if sign-in is external (OpenID Connect, proxy); invitation and
                password-reset links are then refused.
        """
        self._record = (witness or NullAuditRecorder()).record
        self._store = store
        self._passwords = passwords
        self._presence = presence
        self._tries = tries
        self._now = wall_clock
        self._on_removed = on_removed
        self._has_passwords = has_passwords

    # ---- invitations and external sign-in ----------------------------------------------------

    async def exist(self) -> bool:
        """Return whether there is an account."""
        return bool(await self._store.list_users())

    async def first_link(self) -> str | None:
        """Return the secret of a link that creates the first administrator.

        Returns None if an account exists. Links issued by earlier starts are invalidated.
        """
        if await self.exist():
            return None
        old = [one.id for one in await self._store.invitations()]
        await self._store.remove_invitations(old)
        return await self._add_invitation(LOCAL, "admin")

    async def invitation(self, secret: str) -> tuple[Invitation, str]:
        """Return the invitation of a link and the name of its account ("" for a new account).

        Raises:
            NotFound: the link is unknown, used or expired, or sign-in is external.
        """
        if not self._has_passwords:
            raise NotFound(ELSEWHERE)
        found = await self._store.invitation(hash_secret(secret))
        if found is None or found.expires_at < self._now():
            raise NotFound("This link has been used or has expired. Ask for a new one.")
        if found.user_id is None:
            return found, ""
        user = await self._store.find_user(found.user_id)
        return found, user.name if user else ""

    async def accept_invitation(self, secret: str, name: str, password: str) -> UserAccount:
        """Create the invited account, or set the password of the account that the link resets.

        Raises:
            NotFound: the link is unknown, used or expired.
            BadMessage: the name is taken, or the name or the password is not acceptable.
        """
        invitation, _ = await self.invitation(secret)
        if invitation.user_id is not None:
            return await self._reset_password(invitation, password)
        name = checked_name(invitation.name or name)
        if await self._store.user_named(name):
            raise BadMessage("That name is taken; choose another name.")
        user = UserAccount(
            id=new_record_id(),
            name=name,
            role=invitation.role,
            created_at=self._now(),
            password=await self._passwords.hash_password(password),
        )
        if not await self._store.add_user(user, invitation=invitation.id):
            raise BadMessage("That name is taken, or the link has just been used.")
        self._record(_caller_of_user(user), "account_made", f"as {user.role}")
        return user

    async def _reset_password(self, invitation: Invitation, password: str) -> UserAccount:
        user = await self._store.find_user(invitation.user_id or "")
        if user is None:
            raise NotFound("This account no longer exists.")
        hashed = await self._passwords.hash_password(password)
        if not await self._store.set_password(user.id, hashed, invitation=invitation.id):
            raise NotFound("This link has already been used.")
        await self._store.end_sign_ins(user.id)
        self._presence.close_of_user(user.id)
        self._record(_caller_of_user(user), "password_reset")
        return replace(user, password=hashed)

    async def sign_in_external(
        self, somebody: ExternalIdentity, *, visit_from: str | None = None
    ) -> UserAccount:
        """Return the account of an externally authenticated user; create it on the first visit.

        ``visit_from`` is the client address where no session is created (proxy, host): the first
        request of a day (UTC) is then recorded in the audit log as a sign-in.

        Raises:
            AccountDisabled: the account is disabled.
        """
        user = await self._store.find_user_by_subject(somebody.subject)
        if user is None:
            user = await self._make_vouched(somebody)
        if user.disabled_at is not None:
            raise AccountDisabled
        if somebody.role is not None and user.role != somebody.role:
            was, user = user.role, replace(user, role=somebody.role)
            # the provider assigns the groups, also those of the last administrator
            await self._store.set_role(user.id, user.role, even_of_last=True)
            self._presence.close_of_user(user.id)
            self._record(
                _caller_of_user(user), "role_changed", f"{user.name}: {was} to {user.role}"
            )
        if somebody.groups is not None and user.groups != somebody.groups:
            user = replace(user, groups=somebody.groups)
            await self._store.set_groups(user.id, user.groups)
            self._presence.close_of_user(user.id)
        now = self._now()
        if user.seen_at is None or now - user.seen_at >= SEEN_S:
            is_first = await self._store.record_user_activity(
                user.id, now, unless_since=now - SEEN_S
            )
            if is_first and visit_from is not None and is_another_day(user.seen_at, now):
                by = "by the host" if somebody.subject.startswith("host ") else "by the proxy"
                self._record(replace(_caller_of_user(user), address=visit_from), "signed_in", by)
        return user

    async def _make_vouched(self, somebody: ExternalIdentity) -> UserAccount:
        role_of_first: Role | None = None if somebody.role else "admin"
        name = clean_name(somebody.name) or "somebody"
        for attempt in range(1, 100):
            user = UserAccount(
                id=new_record_id(),
                name=name if attempt == 1 else f"{name} {attempt}",
                role=somebody.role or "user",
                created_at=self._now(),
                subject=somebody.subject,
                groups=somebody.groups or frozenset(),
            )
            if added := await self._store.add_user(user, role_of_first=role_of_first):
                self._record(
                    _caller_of_user(added),
                    "account_made",
                    f"as {added.role}, by {somebody.subject}",
                )
                return added
            if known := await self._store.find_user_by_subject(
                somebody.subject
            ):  # created concurrently
                return known
        raise BadMessage("There are too many accounts with that name.")

    # ---- operations of every user ------------------------------------------------------------

    async def find_user(self, user_id: str) -> UserAccount | None:
        """Return an account by id, without an authorisation check."""
        return await self._store.find_user(user_id)

    async def change_password(self, caller: Caller, old: str, new: str) -> None:
        """Set the caller's own password and end all of the caller's other sessions.

        Raises:
            BadMessage: the old password is wrong, the new one is not acceptable, or the account
                has no password.
            RateLimited: too many attempts; an unattended page could be used to guess the password.
        """
        caller.require_in_person()
        user = await self._store.find_user(caller.user_id)
        if user is None or user.password is None:
            raise BadMessage("Your account has no password here: sign-in is external.")
        await self._tries.record_attempt(user.name, caller.address)
        if not await self._passwords.verify_password(old, user.password):
            self._record(caller, "password_refused")
            raise BadMessage(WRONG)
        await self._tries.was_right(user.name, caller.address)
        hashed = await self._passwords.hash_password(new)
        if not await self._store.set_password(user.id, hashed, was=user.password):
            self._record(caller, "password_refused")  # the password was changed concurrently
            raise BadMessage(WRONG)
        here = caller.credential.removeprefix("session ")
        ended = await self._store.end_sign_ins(user.id, but=here)
        self._presence.end_credentials(frozenset(f"session {one}" for one in ended))
        self._record(caller, "password_changed")

    # ---- administration ----------------------------------------------------------------------

    async def list_users(self, caller: Caller) -> Sequence[UserAccount]:
        """Return all accounts."""
        caller.require("admin")
        return await self._store.list_users()

    async def invitations(self, caller: Caller) -> Sequence[Invitation]:
        """Return the invitations that have not expired, password-reset links included."""
        caller.require("admin")
        now = self._now()
        return [one for one in await self._store.invitations() if one.expires_at > now]

    async def create_user(
        self, caller: Caller, *, name: str, role: Role, password: str
    ) -> UserAccount:
        """Create an account with a password.

        Raises:
            BadMessage: the name is taken, or the name or the password is not acceptable.
            Forbidden: the caller is not an administrator.
        """
        caller.require("admin")
        self._require_passwords()
        name = checked_name(name)
        hashed = await self._passwords.hash_password(password)
        user = await self._store.add_user(
            UserAccount(
                id=new_record_id(), name=name, role=role, created_at=self._now(), password=hashed
            )
        )
        if user is None:
            raise BadMessage("That name is taken; choose another name.")
        self._record(caller, "account_made", f"{user.name} as {user.role}")
        return user

    async def create_invitation(self, caller: Caller, role: Role, name: str = "") -> str:
        """Return the secret of a single-use link that creates an account.

        The link becomes invalid when the caller loses the administrator role.
        """
        caller.require("admin")
        self._require_passwords()
        if name:
            name = checked_name(name)
            if await self._store.user_named(name):
                raise BadMessage("That name is taken; choose another name.")
        secret = await self._add_invitation(caller, role, name)
        self._record(caller, "invited", f"{name or 'a new user'} as {role}")
        return secret

    async def _add_invitation(
        self, caller: Caller, role: Role, name: str = "", user_id: str = ""
    ) -> str:
        secret, now = new_secret(), self._now()
        invitation = Invitation(
            id=new_record_id(),
            token=hash_secret(secret),
            role=role,
            created_at=now,
            expires_at=now + (RESET_S if user_id else INVITATION_S),
            name=name,
            user_id=user_id or None,
            made_by=_account_of(caller),
        )
        if not await self._store.add_invitation(invitation):
            raise Forbidden
        return secret

    async def take_back(self, caller: Caller, invitation_id: str) -> None:
        """Revoke an invitation link."""
        caller.require("admin")
        await self._store.remove_invitations([invitation_id])
        self._record(caller, "invitation_taken_back")

    async def create_reset_link(self, caller: Caller, user_id: str) -> str:
        """Return the secret of a single-use link that resets an account's password."""
        caller.require("admin")
        self._require_passwords()
        user = await self._require_user(user_id)
        if user.password is None:
            raise BadMessage("This account has no password here: sign-in is external.")
        secret = await self._add_invitation(caller, user.role, user.name, user.id)
        self._record(caller, "password_reset_offered", user.name)
        return secret

    async def set_role(self, caller: Caller, user_id: str, role: Role) -> None:
        """Change an account's role; its open connections are closed and reconnect with it."""
        caller.require("admin")
        user = await self._require_user(user_id)
        if role != user.role:
            if not await self._store.set_role(user_id, role, by=_account_of(caller)):
                raise await self._refusal_reason(caller)
            self._presence.close_of_user(user_id)
            self._record(caller, "role_changed", f"{user.name}: {user.role} to {role}")

    async def disable_user(self, caller: Caller, user_id: str) -> None:
        """Disable an account; its open pages and connections are closed.

        Its sessions are kept until the account is enabled: they do not authenticate, but let the
        sign-in page explain why.
        """
        caller.require("admin")
        user = await self._require_user(user_id)
        if not await self._store.disable_user(user_id, self._now(), by=_account_of(caller)):
            raise await self._refusal_reason(caller)
        self._presence.close_of_user(user_id)
        self._record(caller, "account_disabled", user.name)

    async def enable_user(self, caller: Caller, user_id: str) -> None:
        """Enable a disabled account. Sessions from before it was disabled are deleted."""
        caller.require("admin")
        user = await self._require_user(user_id)
        if user.disabled_at is not None:
            await self._store.end_sign_ins(user_id)
        if not await self._store.enable_user(user_id, by=_account_of(caller)):
            raise await self._refusal_reason(caller)
        self._record(caller, "account_enabled", user.name)

    async def remove_user(self, caller: Caller, user_id: str) -> None:
        """Remove an account and all of its data, conversations included.

        Prompts and presets that it shared with all users go to the caller.
        """
        caller.require("admin")
        user = await self._require_user(user_id)
        if not await self._store.remove_user(user_id, self._now(), by=_account_of(caller)):
            raise await self._refusal_reason(caller)
        self._presence.close_of_user(user_id)
        self._on_removed(user_id)
        self._record(caller, "account_removed", user.name)

    async def _refusal_reason(self, caller: Caller) -> RequestError:
        """Return the error for a refused change: the caller's role may have just been revoked."""
        if by := _account_of(caller):
            user = await self._store.find_user(by)
            if user is None or user.role != "admin" or user.disabled_at is not None:
                return Forbidden()
        return BadMessage(LAST)

    async def _require_user(self, user_id: str) -> UserAccount:
        user = await self._store.find_user(user_id)
        if user is None:
            raise NotFound("There is no such account.")
        return user

    def _require_passwords(self) -> None:
        if not self._has_passwords:
            raise BadMessage(ELSEWHERE)


def _account_of(caller: Caller) -> str | None:
    """Return the id of the caller's account, None for the command line."""
    return caller.user_id or None


def _caller_of_user(user: UserAccount) -> Caller:
    return Caller(user_id=user.id, name=user.name, role=user.role)


def checked_name(name: str) -> str:
    """Return the canonical form of a name.

    Raises:
        BadMessage: the name is empty or too long.
    """
    clean = clean_name(name)
    if not clean or len(clean) > MAX_NAME_CHARS:
        raise BadMessage(f"The name must have 1 to {MAX_NAME_CHARS} characters.")
    return clean
