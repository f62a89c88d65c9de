"""Authenticates a request by session cookie, API key, ticket or proxy header."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

import structlog

from wireside.auth.accounts import Accounts, ExternalIdentity
from wireside.auth.connections import LiveConnections
from wireside.auth.host import HostUser, subject_of
from wireside.auth.keys import Keys
from wireside.auth.sessions import BrowserSessions
from wireside.auth.tickets import Tickets
from wireside.errors import RequestError, StoreError
from wireside.identity import LOCAL, Caller, Role
from wireside.ports.accounts import AccountStore
from wireside.ports.clock import Clock

_log = structlog.get_logger(__name__)

Mode = Literal["none", "password", "oidc", "proxy", "host"]
"""The values of ``WIRESIDE_AUTH``; ``host`` where a host application authenticates users."""

WATCH_EVERY_S = 5.0
"""Interval between checks of the open connections' credentials, in seconds.

Revocations within this process take effect immediately; the check is for other processes, such as
the command line.
"""

HURRIED_EVERY_S = 1.0
"""The same while revocations at other servers are not announced to this one."""

MAX_SUBJECT_CHARS = 255
"""Maximum length of a proxy's user name. Truncating could make two names equal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """The credentials of a request.

    ``is_own_page`` is True if the request was not sent by a page of another site; only then are
    ambient credentials (cookies, proxy headers) accepted.
    """

    address: str
    bearer: str | None = None
    cookie: str | None = None
    ticket: str | None = None
    origin: str | None = None
    is_own_page: bool = True
    is_from_proxy: bool = False
    host_user: HostUser | None = None
    """The user, as the host application of a mounted chat authenticates it."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers of an authenticating proxy, by name in lower case."""
    repeated: frozenset[str] = frozenset()
    """Names of headers that occur more than once: one of them may come from the client."""


@dataclass(frozen=True, slots=True)
class ProxyRules:
    """Configuration of an authenticating proxy: header names and the roles of groups."""

    user_header: str = "x-forwarded-user"
    groups_header: str = "x-forwarded-groups"
    roles: RolesByGroup = field(default_factory=lambda: RolesByGroup())


@dataclass(frozen=True, slots=True)
class RolesByGroup:
    """Maps groups of an identity provider to roles; without groups, administrators assign roles."""

    admin: frozenset[str] = frozenset()
    user: frozenset[str] = frozenset()

    def role_of_member(self, groups: frozenset[str]) -> Role | None:
        """Return the role of a member of ``groups``; None where administrators assign roles."""
        if groups & self.admin:
            return "admin"
        if self.user:
            return "user" if groups & self.user else "viewer"
        return "user" if self.admin else None


class Authenticator:
    """Authenticates requests. ``proxy`` also maps the groups of a host's users to roles."""

    def __init__(
        self,
        mode: Mode,
        *,
        accounts: Accounts,
        sign_ins: BrowserSessions,
        keys: Keys,
        tickets: Tickets,
        proxy: ProxyRules,
        presence: LiveConnections,
        store: AccountStore,
        wall_clock: Clock,
        watch_every_s: float = WATCH_EVERY_S,
    ) -> None:
        self.mode: Final = mode
        self.presence = presence
        self._store = store
        self._now = wall_clock
        self._accounts = accounts
        self._sign_ins = sign_ins
        self._keys = keys
        self._tickets = tickets
        self._proxy = proxy
        self._watch_every_s = watch_every_s
        self.hears_revocations: Callable[[], bool] | None = None
        """Whether revocations at other servers are announced to this one at present; None if it
        has the database alone."""

    async def authenticate(self, credentials: Credentials) -> Caller | None:
        """Return the caller of a request, None if the credentials are missing or invalid.

        Raises:
            AccountDisabled: a session or the proxy authenticates a disabled account.
            StoreError: the store is unavailable.
        """
        address = credentials.address
        if self.mode == "none":
            return replace(LOCAL, address=address)
        if credentials.host_user is not None:
            return await self._vouched_by_host(credentials.host_user, address)
        if credentials.bearer is not None:
            return await self._keys.authenticate(credentials.bearer, address)
        if credentials.ticket is not None:
            caller = await self._tickets.redeem_ticket(credentials.ticket, credentials.origin)
            return caller if caller and await self.is_still_valid(caller) else None
        if not credentials.is_own_page:
            return None
        if self.mode == "proxy":
            return await self._vouched_by_proxy(credentials)
        if credentials.cookie is not None:
            return await self._sign_ins.authenticate(credentials.cookie, address)
        return None

    async def _vouched_by_proxy(self, credentials: Credentials) -> Caller | None:
        name = _decode_header(credentials.headers.get(self._proxy.user_header, "")).strip()
        if not credentials.is_from_proxy or not name:
            return None
        if {self._proxy.user_header, self._proxy.groups_header} & credentials.repeated:
            _log.warning("vouched_refused", reason="The proxy's headers occur more than once.")
            return None
        if len(name) > MAX_SUBJECT_CHARS:
            _log.warning("vouched_refused", reason="The user name sent by the proxy is too long.")
            return None
        said = _decode_header(credentials.headers.get(self._proxy.groups_header, ""))
        groups = frozenset(group.strip() for group in said.split(",")) - {""}
        identity = ExternalIdentity(f"proxy {name}", name, self._proxy.roles.role_of_member(groups))
        caller = await self._external_caller(identity, credentials.address)
        return replace(caller, groups=groups)

    async def _vouched_by_host(self, user: HostUser, address: str) -> Caller | None:
        if len(user.id) > MAX_SUBJECT_CHARS:
            _log.warning("vouched_refused", reason="The id of the host's user is too long.")
            return None
        role = user.role or self._proxy.roles.role_of_member(user.groups) or "user"
        caller = await self._external_caller(
            ExternalIdentity(subject_of(user.id), user.name, role), address
        )
        return replace(caller, name=user.name, host_id=user.id, groups=user.groups)

    async def _external_caller(self, identity: ExternalIdentity, address: str) -> Caller:
        try:
            user = await self._accounts.sign_in_external(identity, visit_from=address)
        except RequestError as error:
            _log.warning("vouched_refused", reason=str(error))
            raise
        return Caller(
            user_id=user.id,
            name=user.name,
            role=user.role,
            credential=f"user {user.id}",
            address=address,
        )

    async def is_still_valid(self, caller: Caller) -> bool:
        """Return whether the caller's credential is still valid and its role unchanged.

        Raises:
            StoreError: the store is unavailable.
        """
        return not await self._revoked_callers({caller})

    async def close_revoked(self) -> None:
        """Close connections with revoked credentials every ``watch_every_s``, until cancelled."""
        while True:
            await self._wait_for_check()
            try:
                if gone := await self._revoked_callers(self.presence.connected_callers):
                    self.presence.close_where(gone.__contains__)
                await self._store.clean_up(self._now())
            except StoreError:
                continue  # the store reports its failures itself

    async def _wait_for_check(self) -> None:
        rest_s = self._watch_every_s
        if self.hears_revocations is None:
            await asyncio.sleep(rest_s)
            return
        while rest_s > 0:
            step_s = min(rest_s, HURRIED_EVERY_S)
            await asyncio.sleep(step_s)
            rest_s = rest_s - step_s if self.hears_revocations() else 0

    async def _revoked_callers(self, callers: set[Caller]) -> set[Caller]:
        """Return the callers whose session or key is no longer valid, or whose role has changed."""
        here = {caller for caller in callers if caller.credential}
        if not here:
            return set()
        ids = [caller.credential.split(" ", 1) for caller in here]
        valid = await self._store.valid_credentials(
            {name for kind, name in ids if kind == "session"},
            {name for kind, name in ids if kind == "key"},
            {name for kind, name in ids if kind == "user"},
            self._now(),
        )
        return {one for one in here if (one.credential, one.role) not in valid}


def _decode_header(value: str) -> str:
    """Decode a header value: proxies send UTF-8, and ASGI servers decode it as Latin-1."""
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return value
