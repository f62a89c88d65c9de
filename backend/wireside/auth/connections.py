"""Open connections by caller, so that signing out or revoking a key closes them at once."""

from __future__ import annotations

from collections.abc import Callable

from wireside.identity import Caller


class LiveConnections:
    """Registry of the open connections of authenticated callers."""

    def __init__(self) -> None:
        self._here: dict[object, tuple[Caller, Callable[[], None]]] = {}
        self.endings = 0
        """Revocation counter; lets a handshake notice a revocation during its authentication."""

    def register_connection(self, caller: Caller, end: Callable[[], None]) -> Callable[[], None]:
        """Register a connection that ``end()`` closes; return a function that unregisters it."""
        key = object()
        self._here[key] = caller, end

        def unregister() -> None:
            self._here.pop(key, None)

        return unregister

    @property
    def connected_callers(self) -> set[Caller]:
        """All callers with an open connection."""
        return {caller for caller, _ in self._here.values()}

    def close_where(self, is_over: Callable[[Caller], bool]) -> None:
        """Close the connections of callers for which ``is_over`` is true."""
        self.endings += 1
        for caller, end in tuple(self._here.values()):
            if is_over(caller):
                end()

    def close_of_user(self, user_id: str) -> None:
        """Close all connections of a user."""
        self.close_where(lambda caller: caller.user_id == user_id)

    def end_credentials(self, credentials: frozenset[str]) -> None:
        """Close the connections that were authenticated by these sessions or keys."""
        self.close_where(lambda caller: caller.credential in credentials)
