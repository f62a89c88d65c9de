"""Errors that a client raises, besides those of ``wireside.errors`` by the server's code."""

from __future__ import annotations

from typing import Final

from wireside.errors import BY_CODE, WiresideError
from wireside.protocol.frames import ErrorFrame


class ClientClosed(WiresideError):
    """The client was closed, so the request has no result here; its answer goes on."""

    code = "closed"
    sentence = "The client was closed."


class ConnectionLost(WiresideError):
    """The server can't be reached, or a response was not received."""

    code = "closed"
    retryable = True
    sentence = "The connection to the server was lost."


class UnknownError(WiresideError):
    """An error whose code this version does not know.

    ``server_code`` and ``is_retryable`` are what the server sent.
    """

    def __init__(self, message: str | None = None, *, code: str, is_retryable: bool) -> None:
        super().__init__(message)
        self.server_code: Final = code
        self.is_retryable: Final = is_retryable


def error_of_frame(frame: ErrorFrame) -> WiresideError:
    """Return the exception for an ``error`` frame, by its code."""
    return error_of_code(
        frame.code or "",
        frame.message,
        retry_after=frame.retry_after,
        is_retryable=bool(frame.retryable),
    )


def error_of_code(
    code: str, message: str, *, retry_after: float | None = None, is_retryable: bool = False
) -> WiresideError:
    """Return the exception for an error of the server."""
    if (kind := BY_CODE.get(code)) is not None:
        return kind(message, retry_after=retry_after)
    error = UnknownError(message, code=code, is_retryable=is_retryable)
    error.retry_after = retry_after
    return error
