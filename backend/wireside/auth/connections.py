"""Open connections by caller, so that signing out or revoking a key closes them at once."""

from __future__ import annotations

from collections.abc import Callable

from wireside.identity import Caller


class LiveConnections:
    """Registry of the open connections of authenticated callers."""

    def __init__(self) -> None:
        self._here: dict[object, tuple[Caller, Callable[[], None]]] = {}
        self.announce_endings: Callable[[frozenset[str], frozenset[str]], None] | None = None
        """Called with the user ids and the credentials whose connections end, so that other
        servers close theirs."""
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
        self._end_everywhere(users=frozenset({user_id}))

    def end_credentials(self, credentials: frozenset[str]) -> None:
        """Close the connections that were authenticated by these sessions or keys."""
        self._end_everywhere(credentials=credentials)

    def end_here(self, users: frozenset[str], credentials: frozenset[str]) -> None:
        """Close the connections of users and credentials at this server."""
        self.close_where(lambda caller: caller.user_id in users or caller.credential in credentials)

    def _end_everywhere(
        self,
        *,
        users: frozenset[str] = frozenset(),
        credentials: frozenset[str] = frozenset(),
    ) -> None:
        self.end_here(users, credentials)
        if self.announce_endings is not None:
            self.announce_endings(users, credentials)
