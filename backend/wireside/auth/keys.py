"""API keys: shown once at creation, stored as a hash."""

from __future__ import annotations

import hmac
import re
from collections.abc import Collection, Sequence

from wireside.auth.audit import is_another_day
from wireside.auth.connections import LiveConnections
from wireside.errors import BadMessage, NotFound
from wireside.identity import SCOPES, Caller, Scope
from wireside.ports.accounts import AccountStore
from wireside.ports.audit import AuditRecorder, NullAuditRecorder
from wireside.ports.clock import Clock
from wireside.records import ApiKey
from wireside.tokens import hash_secret, new_record_id, new_secret

USED_S = 60.0
"""Resolution of the stored "last used" times, in seconds."""

TOLD_S = 3600.0
"""Idle time after which a use is audited again, in seconds; the first use of a day always is."""

MAX_KEYS = 50
MAX_NAME_CHARS = 64
MAX_DAYS = 3650
MAX_MESSAGES = 2**31 - 1
MAX_TOKENS = 2**53
MAX_STREAMS = 2**31 - 1

_KEY = re.compile(r"wireside_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")


class Keys:
    """Creates, authenticates and revokes API keys of the form ``wireside_ID_SECRET``."""

    def __init__(
        self,
        store: AccountStore,
        presence: LiveConnections,
        wall_clock: Clock,
        witness: AuditRecorder | None = None,
    ) -> None:
        self._record = (witness or NullAuditRecorder()).record
        self._store = store
        self._presence = presence
        self._now = wall_clock

    async def create_key(
        self,
        caller: Caller,
        name: str,
        scopes: Collection[Scope],
        *,
        days: float | None = None,
        messages_per_minute: int | None = None,
        tokens_per_day: int | None = None,
        streams: int | None = None,
    ) -> tuple[ApiKey, str]:
        """Create a key and return it with its text, which can't be shown again.

        Args:
            scopes: what the key may do; at least one, and none that the caller lacks.
            days: lifetime in days; None: it does not expire.
            messages_per_minute: rate limit of the key; None: no limit of its own.
            tokens_per_day: token quota of the key; None: no quota of its own.
            streams: concurrent answers of the key; None: no limit of its own.

        Raises:
            BadMessage: an argument is out of range, or the caller has ``MAX_KEYS`` keys.
            Forbidden: the caller lacks a scope, or is not signed in by a session.
        """
        caller.require_in_person()
        name = " ".join(name.split())
        if not 0 < len(name) <= MAX_NAME_CHARS or not name.isprintable():
            raise BadMessage(f"The name of a key must have 1 to {MAX_NAME_CHARS} characters.")
        if not scopes or not set(scopes) <= set(SCOPES):
            raise BadMessage(f"A key must have one or more of the scopes {', '.join(SCOPES)}.")
        for scope in scopes:
            caller.require(scope)
        if days is not None and not 0 < days <= MAX_DAYS:
            raise BadMessage(f"The lifetime of a key must be 1 to {MAX_DAYS} days.")
        for most, largest in (
            (messages_per_minute, MAX_MESSAGES),
            (tokens_per_day, MAX_TOKENS),
            (streams, MAX_STREAMS),
        ):
            if most is not None and not 1 <= most <= largest:
                raise BadMessage(f"The limits of a key must be whole numbers from 1 to {largest}.")
        if len(await self._store.list_keys(caller.user_id)) >= MAX_KEYS:
            raise BadMessage(f"You already have {MAX_KEYS} keys; revoke one first.")
        secret, now = new_secret(), self._now()
        key = ApiKey(
            id=new_record_id(),
            secret=hash_secret(secret),
            user_id=caller.user_id,
            name=name,
            scopes=frozenset(scopes),
            created_at=now,
            expires_at=None if days is None else now + days * 86_400,
            used_at=None,
            messages_per_minute=messages_per_minute,
            tokens_per_day=tokens_per_day,
            streams=streams,
        )
        await self._store.add_key(key)
        self._record(caller, "key_made", f"{key.id} {name}: {', '.join(sorted(scopes))}")
        return key, f"wireside_{key.id}_{secret}"

    async def authenticate(self, text: str, address: str) -> Caller | None:
        """Return the caller that a key authenticates, None if the key is invalid or expired."""
        match = _KEY.fullmatch(text)
        found = await self._store.find_key_by_id(match[1]) if match else None
        if match is None or found is None:
            return None
        key, user = found
        now = self._now()
        is_right = hmac.compare_digest(key.secret, hash_secret(match[2]))
        is_over = key.expires_at is not None and key.expires_at <= now
        if not is_right or is_over or user.disabled_at is not None:
            return None
        caller = Caller(
            user_id=user.id,
            name=user.name,
            role=user.role,
            scopes=key.scopes,
            credential=f"key {key.id}",
            groups=user.groups,
            address=address,
            messages_per_minute=key.messages_per_minute,
            tokens_per_day=key.tokens_per_day,
            streams=key.streams,
        )
        if key.used_at is None or now - key.used_at >= USED_S:
            await self._store.record_key_use(key.id, now)
        has_rested = key.used_at is None or now - key.used_at >= TOLD_S
        if has_rested or is_another_day(key.used_at, now):
            self._record(caller, "key_used", f"{key.id} {key.name}")
        return caller

    async def list_keys(self, caller: Caller) -> Sequence[ApiKey]:
        """Return the caller's keys."""
        caller.require_in_person()
        return await self._store.list_keys(caller.user_id)

    async def revoke_key(self, caller: Caller, key_id: str) -> None:
        """Revoke a key and close the connections that were opened with it.

        Raises:
            NotFound: the caller has no such key.
        """
        caller.require_in_person()
        if not await self._store.remove_key(caller.user_id, key_id):
            raise NotFound("There is no such key.")
        self._presence.end_credentials(frozenset({f"key {key_id}"}))
        self._record(caller, "key_revoked", key_id)
