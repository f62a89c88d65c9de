"""How often a password may be tried, to come in or to set another one."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from wireside.auth.limiter import Limiter, Rate
from wireside.errors import RateLimited
from wireside.identity import NOBODY
from wireside.ports import Blind, Witness
from wireside.protocol.limits import network_of

WINDOW_S: Final = 300

AT_NETWORK: Final = Rate(30, WINDOW_S)
"""Tries from one network, for whatever names."""

OF_NAME_THERE: Final = Rate(10, WINDOW_S)
"""Tries of one name from one network."""

OF_NAME: Final = Rate(100, WINDOW_S)
"""Tries of one name from everywhere: so many that it takes many networks to keep somebody out."""

_ONCE: Final = Rate(1, WINDOW_S)


class Tries:
    """Counts tries. A network is an address, or the /64 of an IPv6 one."""

    def __init__(self, limiter: Limiter, witness: Witness | None = None) -> None:
        self._limiter = limiter
        self._saw = (witness or Blind()).saw

    async def take(self, name: str, address: str) -> None:
        """Count a try of the password of ``name``. Raises ``RateLimited``.

        The network's own limit comes first: a try that is refused there uses nothing of the name
        up, or anybody could keep its owner out.
        """
        network = network_of(address)
        for what, rate in (
            (f"tries at {network}", AT_NETWORK),
            (_there(name, network), OF_NAME_THERE),
            (f"tries of {name}", OF_NAME),
        ):
            left = await self._limiter.take(what, rate)
            if not left.was_taken:
                if (await self._limiter.take(f"told {what}", _ONCE)).was_taken:
                    who = replace(NOBODY, user_id="", address=address)
                    self._saw(who, "sign_in_throttled", name)
                raise RateLimited(retry_after=left.reset_s)

    async def was_right(self, name: str, address: str) -> None:
        """Who knows the password may come again as often as they like."""
        await self._limiter.forget(_there(name, network_of(address)), OF_NAME_THERE)


def _there(name: str, network: str) -> str:
    return f"tries there {network} {name}"
