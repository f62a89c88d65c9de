"""All checks of a server, in the order in which they run."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from types import ModuleType

from wireside.conformance.checks import (
    answers,
    batches,
    closing,
    conversations,
    handshake,
    heartbeats,
    invalid_frames,
    level_1,
    requests,
    resume,
    tickets,
)
from wireside.conformance.kit import ConformanceCheck

_MODULES = (
    handshake,
    tickets,
    heartbeats,
    level_1,
    invalid_frames,
    answers,
    requests,
    resume,
    batches,
    conversations,
    closing,  # last, because the checks of the rate limit spend the address's allowance
)


def _checks_in(module: ModuleType) -> Iterator[ConformanceCheck]:
    for value in vars(module).values():
        if isinstance(value, ConformanceCheck):
            yield value
        elif isinstance(value, tuple):
            yield from (one for one in value if isinstance(one, ConformanceCheck))


CHECKS: tuple[ConformanceCheck, ...] = tuple(
    one for module in _MODULES for one in _checks_in(module)
)


def selected(*, level: int = 2, only: tuple[str, ...] = ()) -> list[ConformanceCheck]:
    """Return the checks of a level and those below it; ``only`` are patterns of names.

    >>> [check.name for check in selected(only=("origin-*",))]
    ['origin-own', 'origin-foreign']
    """
    return [
        check
        for check in CHECKS
        if check.level <= level
        and (not only or any(fnmatchcase(check.name, pattern) for pattern in only))
    ]
