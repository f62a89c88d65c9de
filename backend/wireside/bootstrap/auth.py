"""Builds authentication: accounts, sessions, keys, quotas and OpenID Connect."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from wireside.auth.accounts import Accounts
from wireside.auth.audit import Audit
from wireside.auth.auth import Auth
from wireside.auth.authenticator import Authenticator, Mode, ProxyRules, RolesByGroup
from wireside.auth.connections import LiveConnections
from wireside.auth.cookies import CookieKey
from wireside.auth.keys import Keys
from wireside.auth.limiter import Limiter, MemoryLimiter, RedisLimiter
from wireside.auth.login_throttle import AttemptLimiter, LoginThrottle
from wireside.auth.passwords import Passwords
from wireside.auth.quotas import QuotaLimits, UserQuotas
from wireside.auth.sessions import BrowserSessions
from wireside.auth.shared_slots import SharedSlots
from wireside.auth.tickets import MemoryTickets, Tickets
from wireside.errors import missing_extra
from wireside.ports.accounts import AccountStore
from wireside.secret_box import RESULTS, SecretBox
from wireside.settings.model import Settings

if TYPE_CHECKING:
    from wireside.auth.oidc import OpenId


def build_auth(
    settings: Settings,
    store: AccountStore,
    limiter: Limiter,
    *,
    mode: Mode,
    cookie_key: CookieKey,
    on_removed: Callable[[str], None],
    tickets: Tickets | None = None,
    slots: SharedSlots | None = None,
    attempts: AttemptLimiter | None = None,
) -> Auth:
    """Return the authentication components.

    Args:
        settings: the settings.
        store: the storage of accounts.
        limiter: counts messages, tokens and password attempts.
        mode: how callers are authenticated.
        cookie_key: the key that signs cookies.
        on_removed: called with the id of an account that was removed.
        tickets: those of several servers; None: of this one.
        slots: counts concurrent answers over several servers; None: over this one.
        attempts: counts password attempts over several servers; None: ``limiter`` does.

    Raises:
        NotConfigured: an optional dependency is missing.
    """
    passwords, presence = Passwords(), LiveConnections()
    audit = Audit(store, time.time)
    witness = audit if mode != "none" else None
    tries = LoginThrottle(attempts or limiter, witness)
    accounts = Accounts(
        store=store,
        passwords=passwords,
        presence=presence,
        tries=tries,
        wall_clock=time.time,
        on_removed=on_removed,
        witness=witness,
        has_passwords=mode in ("none", "password"),
    )
    sign_ins = BrowserSessions(
        store=store,
        passwords=passwords,
        presence=presence,
        tries=tries,
        wall_clock=time.time,
        key=cookie_key,
        days=settings.session_days,
        witness=witness,
    )
    keys = Keys(store, presence, time.time, witness)
    tickets = tickets or MemoryTickets(time.monotonic)
    gate = Authenticator(
        mode,
        accounts=accounts,
        sign_ins=sign_ins,
        keys=keys,
        tickets=tickets,
        proxy=_proxy_rules(settings),
        presence=presence,
        store=store,
        wall_clock=time.time,
    )
    return Auth(
        gate=gate,
        accounts=accounts,
        sign_ins=sign_ins,
        keys=keys,
        tickets=tickets,
        quotas=UserQuotas(limiter, _quota_limits(settings), slots),
        open_id=_build_open_id(settings) if mode == "oidc" else None,
        audit=audit,
        box=SecretBox(lambda: cookie_key.value, RESULTS),
        days=settings.session_days,
    )


def build_limiter(settings: Settings) -> Limiter:
    """Return the counters of rate limits, in memory or in Redis. Raises ``NotConfigured``."""
    if settings.redis_url is None:
        return MemoryLimiter(time.monotonic)
    return RedisLimiter(settings.redis_url.get_secret_value(), time.monotonic)


def _roles_by_group(settings: Settings) -> RolesByGroup:
    return RolesByGroup(frozenset(settings.admin_groups), frozenset(settings.user_groups))


def _proxy_rules(settings: Settings) -> ProxyRules:
    return ProxyRules(
        settings.proxy_user_header.lower(),
        settings.proxy_groups_header.lower(),
        _roles_by_group(settings),
    )


def _quota_limits(settings: Settings) -> QuotaLimits:
    return QuotaLimits(
        messages_per_minute=settings.user_messages_per_minute,
        messages_per_minute_address=settings.messages_per_minute_address,
        tokens_per_day=settings.user_tokens_per_day,
        streams=settings.user_streams,
        requests_per_minute=settings.requests_per_minute,
    )


def _build_open_id(settings: Settings) -> OpenId:
    try:
        from wireside.auth.oidc import OpenId, OpenIdRules  # a large import that few servers need
    except ImportError as error:
        raise missing_extra("WIRESIDE_AUTH=oidc", "oidc") from error

    secret = settings.oidc_client_secret
    return OpenId(
        OpenIdRules(
            issuer=settings.oidc_issuer or "",
            client_id=settings.oidc_client_id or "",
            client_secret=secret.get_secret_value() if secret else None,
            name=settings.oidc_name,
            groups_claim=settings.oidc_groups_claim,
            roles=_roles_by_group(settings),
        )
    )
