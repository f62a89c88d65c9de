"""The interface of storage for the servers that share a database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from wireside.records import Replica


class ReplicaStore(Protocol):
    """Storage of replicas, on a connection of its own.

    Every method raises ``StoreError`` when the store does not answer in time; what it was to do may
    be done nevertheless.
    """

    async def add_replica(self, replica_id: str, name: str, version: str) -> Sequence[Replica]:
        """Add a replica, and return all, the oldest first."""
        ...

    async def beat(self, replica_id: str, report: str | None = None) -> Sequence[Replica] | None:
        """Show that a replica runs, and return all, the oldest first; None if it was removed.

        ``report`` takes the place of the replica's earlier one.
        """
        ...

    async def remove_replica(self, replica_id: str, *, beat: int | None = None) -> bool:
        """Remove a replica, if its last beat is still ``beat``; return whether it was removed.

        What the replica has not committed by then is refused.
        """
        ...

    async def remove_named(self, name: str, *, but: str) -> Sequence[str]:
        """Remove the replicas of a name except the one of the id ``but``; return their ids."""
        ...

    async def aclose(self) -> None:
        """Close the connection."""
        ...
