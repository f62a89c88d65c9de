"""Browser sessions: sign in, authenticate, sign out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from itsdangerous import BadSignature, Signer

from wireside.auth.accounts import SEEN_S, Accounts, ExternalIdentity
from wireside.auth.connections import LiveConnections
from wireside.auth.cookies import CookieKey
from wireside.auth.login_throttle import LoginThrottle
from wireside.auth.passwords import Passwords
from wireside.errors import AccountDisabled, Forbidden, NotFound, Unauthorized
from wireside.identity import Caller, clean_name, unauthenticated_at
from wireside.ports.accounts import AccountStore
from wireside.ports.audit import AuditRecorder, NullAuditRecorder
from wireside.ports.clock import Clock
from wireside.records import SignIn, UserAccount
from wireside.tokens import hash_secret, new_record_id, new_secret

MAX_AGENT_CHARS = 200

_WRONG = "The name or the password is wrong."


class BrowserSessions:
    """Creates, authenticates and ends sessions.

    Cookie values are signed, so that forged ones are rejected without a database query.
    """

    def __init__(
        self,
        store: AccountStore,
        passwords: Passwords,
        presence: LiveConnections,
        tries: LoginThrottle,
        wall_clock: Clock,
        *,
        key: CookieKey,
        days: float,
        witness: AuditRecorder | None = None,
    ) -> None:
        """Create the service.

        ``key`` signs cookies; a session expires after ``days`` days without a request.
        """
        self._store = store
        self._passwords = passwords
        self._presence = presence
        self._tries = tries
        self._now = wall_clock
        self._record = (witness or NullAuditRecorder()).record
        self._key = key
        self._for_s = days * 86_400

    @cached_property
    def _signer(self) -> Signer:
        return Signer(self._key.value, salt="wireside session")

    async def sign_in(self, name: str, password: str, *, agent: str, address: str) -> str:
        """Sign in with a password; return the session cookie's value.

        Raises:
            Unauthorized: the name or the password is wrong; the error does not say which.
            AccountDisabled: both are right, but the account is disabled.
            RateLimited: too many attempts.
        """
        name = clean_name(name)
        await self._tries.record_attempt(name, address)
        user = await self._store.user_named(name)
        is_right = await self._passwords.verify_password(password, user.password if user else None)
        if user is None or not is_right or user.disabled_at is not None:
            self._record(unauthenticated_at(address), "sign_in_failed", name)
            raise AccountDisabled if user is not None and is_right else Unauthorized(_WRONG)
        await self._tries.was_right(name, address)
        return await self.create_session(user, agent=agent, address=address)

    async def sign_in_vouched(
        self, somebody: ExternalIdentity, accounts: Accounts, *, agent: str, address: str
    ) -> str:
        """Sign in an externally authenticated user; return the session cookie's value.

        Raises:
            AccountDisabled: the account is disabled.
        """
        try:
            user = await accounts.sign_in_external(somebody)
        except Forbidden:
            self._record(unauthenticated_at(address), "sign_in_failed", somebody.name)
            raise
        return await self.create_session(user, agent=agent, address=address)

    async def create_session(self, user: UserAccount, *, agent: str, address: str) -> str:
        """Create a new session and return the cookie's value; an id is never reused (fixation).

        ``user`` is the record that was authenticated. Checking a password takes time, so the store
        compares the record again.

        Raises:
            Unauthorized: the password was changed, or the account disabled, in the meantime.
        """
        token, now = new_secret(), self._now()
        sign_in = SignIn(
            id=new_record_id(),
            token=hash_secret(token),
            user_id=user.id,
            created_at=now,
            seen_at=now,
            expires_at=now + self._for_s,
            agent=agent[:MAX_AGENT_CHARS],
            address=address,
        )
        if not await self._store.add_sign_in(sign_in, password=user.password):
            self._record(unauthenticated_at(address), "sign_in_failed", user.name)
            raise Unauthorized(_WRONG)
        self._record(
            Caller(user_id=user.id, name=user.name, role=user.role, address=address),
            "signed_in",
            agent,
        )
        return self._signer.sign(token).decode()

    async def authenticate(self, cookie: str, address: str) -> Caller | None:
        """Return the caller of a session cookie, None if the session is invalid or expired.

        Raises:
            AccountDisabled: the account is disabled; the sign-in page shows the reason.
        """
        try:
            token = self._signer.unsign(cookie).decode()
        except (BadSignature, UnicodeError):
            return None
        found = await self._store.find_sign_in(hash_secret(token))
        if found is None:
            return None
        sign_in, user = found
        now = self._now()
        if sign_in.expires_at <= now:
            return None
        if user.disabled_at is not None:
            raise AccountDisabled
        if now - sign_in.seen_at >= SEEN_S:
            await self._store.record_sign_in_activity(sign_in, now, now + self._for_s)
        return Caller(
            user_id=user.id,
            name=user.name,
            role=user.role,
            credential=f"session {sign_in.id}",
            groups=user.groups,
            address=address,
        )

    async def list_sessions(self, caller: Caller) -> Sequence[SignIn]:
        """Return the caller's sessions, most recently used first."""
        caller.require_in_person()
        return await self._store.list_sign_ins(caller.user_id)

    async def end_session(self, caller: Caller, sign_in_id: str | None = None) -> None:
        """End the current session, or the caller's session ``sign_in_id``; close its connections.

        Raises:
            NotFound: ``sign_in_id`` is not a session of the caller.
        """
        caller.require_in_person()
        here = caller.credential.removeprefix("session ")
        ended = await self._store.end_sign_ins(caller.user_id, only=sign_in_id or here)
        if sign_in_id is not None and not ended:
            raise NotFound("You have no such session.")
        self._close_connections(caller, ended)

    async def end_others(self, caller: Caller) -> None:
        """End all sessions of the caller but the current one."""
        caller.require_in_person()
        here = caller.credential.removeprefix("session ")
        self._close_connections(caller, await self._store.end_sign_ins(caller.user_id, but=here))

    def _close_connections(self, caller: Caller, ids: Sequence[str]) -> None:
        if not ids:
            return
        self._presence.end_credentials(frozenset(f"session {one}" for one in ids))
        self._record(caller, "signed_out", f"{len(ids)} browsers" if len(ids) > 1 else "")
