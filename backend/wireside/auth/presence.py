"""Who is here now: open pages and sockets, so that a log-out or a revoked key ends them at once."""

from __future__ import annotations

from collections.abc import Callable

from wireside.identity import Caller


class Presence:
    """The open connections of everybody who was let in."""

    def __init__(self) -> None:
        self._here: dict[object, tuple[Caller, Callable[[], None]]] = {}
        self.endings = 0
        """How often somebody was put out: who enters may have been read before and come after."""

    def enter(self, caller: Caller, end: Callable[[], None]) -> Callable[[], None]:
        """Note a connection, which ``end`` would close; returns what forgets it."""
        key = object()
        self._here[key] = caller, end

        def leave() -> None:
            self._here.pop(key, None)

        return leave

    @property
    def callers(self) -> set[Caller]:
        """Everybody who has a connection open."""
        return {caller for caller, _ in self._here.values()}

    def end(self, is_over: Callable[[Caller], bool]) -> None:
        """Close the connections of those whose right to be here is over."""
        self.endings += 1
        for caller, end in tuple(self._here.values()):
            if is_over(caller):
                end()

    def end_user(self, user_id: str) -> None:
        """Close all that somebody has open."""
        self.end(lambda caller: caller.user_id == user_id)

    def end_credentials(self, credentials: frozenset[str]) -> None:
        """Close what was opened with these sessions or keys."""
        self.end(lambda caller: caller.credential in credentials)
