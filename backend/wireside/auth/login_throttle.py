"""Throttles password attempts, at sign-in and when changing a password."""

from __future__ import annotations

from typing import Final, Protocol

from wireside.auth.limiter import Rate, Remaining
from wireside.errors import RateLimited
from wireside.identity import unauthenticated_at
from wireside.limits.networks import network_of
from wireside.ports.audit import AuditRecorder, NullAuditRecorder

WINDOW_S: Final = 300

AT_NETWORK: Final = Rate(30, WINDOW_S)
"""Attempts from one network, for all names."""

OF_NAME_THERE: Final = Rate(10, WINDOW_S)
"""Attempts for one name from one network."""

OF_NAME: Final = Rate(100, WINDOW_S)
"""Attempts for one name from all networks: locking a user out takes many networks."""

_ONCE: Final = Rate(1, WINDOW_S)


class AttemptLimiter(Protocol):
    """The part of ``Limiter`` that counts attempts."""

    async def count_if_allowed(self, name: str, rate: Rate) -> Remaining:
        """See ``Limiter``."""
        ...

    async def reset_window(self, name: str, rate: Rate) -> None:
        """See ``Limiter``."""
        ...


class LoginThrottle:
    """Counts attempts. A network is an IPv4 address or an IPv6 /64."""

    def __init__(self, limiter: AttemptLimiter, witness: AuditRecorder | None = None) -> None:
        self._limiter = limiter
        self._record = (witness or NullAuditRecorder()).record

    async def record_attempt(self, name: str, address: str) -> None:
        """Count an attempt at the password of ``name``.

        The network's limit is checked first: an attempt that it rejects does not count against the
        name, or an attacker could lock its owner out.

        Raises:
            RateLimited: a limit is reached; ``retry_after`` is in seconds.
        """
        network = network_of(address)
        for what, rate in (
            (f"tries at {network}", AT_NETWORK),
            (_name_and_network(name, network), OF_NAME_THERE),
            (f"tries of {name}", OF_NAME),
        ):
            left = await self._limiter.count_if_allowed(what, rate)
            if not left.was_counted:
                if (await self._limiter.count_if_allowed(f"noted {what}", _ONCE)).was_counted:
                    who = unauthenticated_at(address)
                    self._record(who, "sign_in_throttled", name)
                raise RateLimited(retry_after=left.reset_s)

    async def was_right(self, name: str, address: str) -> None:
        """Reset the counter of a name and network after a correct password."""
        await self._limiter.reset_window(
            _name_and_network(name, network_of(address)), OF_NAME_THERE
        )


def _name_and_network(name: str, network: str) -> str:
    return f"tries there {network} {name}"
