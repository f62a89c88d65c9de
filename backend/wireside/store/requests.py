"""Requests that clients name by a key, so that each is answered once, whichever server gets it.

It is for answers outside of conversations; in a conversation, the id of the turn follows from the
key. Every function runs inside one transaction.
"""

from __future__ import annotations

from sqlalchemy import Connection, delete, select

from wireside.store.sql import insert_into, is_sqlite
from wireside.store.tables import keyed_requests


def claim_request(connection: Connection, digest: str, stream: str, at: float) -> str:
    """Make ``stream`` the answer to a request, and return the one that is it.

    That is another one if the request has an answer.
    """
    add = insert_into(keyed_requests, is_sqlite(connection)).values(
        digest=digest, stream=stream, created_at=at
    )
    connection.execute(add.on_conflict_do_nothing())
    return find_request(connection, digest) or stream


def find_request(connection: Connection, digest: str) -> str | None:
    """Return the stream that answers a request; None if it was not made."""
    its_stream = select(keyed_requests.c.stream).where(keyed_requests.c.digest == digest)
    return connection.scalar(its_stream)


def forget_request(connection: Connection, digest: str, stream: str) -> None:
    """Forget a request that ``stream`` answers, so that it can be made again."""
    its_row = (keyed_requests.c.digest == digest, keyed_requests.c.stream == stream)
    connection.execute(delete(keyed_requests).where(*its_row))


def forget_requests(connection: Connection, before: float) -> None:
    """Forget the requests that were made before that time."""
    connection.execute(delete(keyed_requests).where(keyed_requests.c.created_at < before))
