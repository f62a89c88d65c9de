"""The exceptions of Wireside: one tree, one class for each error code of the protocol.

::

    WiresideError                 code            retryable
    ├── RequestError                                        the request can't be served as it is
    │   ├── BadJson               bad_json
    │   ├── BadMessage            bad_message
    │   ├── UnknownType           unknown_type
    │   ├── TooLarge              too_large
    │   ├── InvalidAttachment     invalid_attachment
    │   ├── TooMany               too_many        yes
    │   ├── RateLimited           rate_limited    yes
    │   ├── Unauthorized          unauthorized
    │   │   ├── Forbidden         unauthorized              authenticated, but not permitted
    │   │   │   └── AccountDisabled   unauthorized          disabled by an administrator
    │   │   └── SignInFailed      unauthorized              refused by a sign-in service
    │   ├── UnknownModel          unknown_model
    │   ├── NotConfigured         not_configured
    │   ├── NotFound              not_found
    │   ├── Expired               expired
    │   ├── BadOffset             bad_offset
    │   └── Overloaded            overloaded      yes
    ├── ProviderError                                       the model or its server failed
    │   ├── ProviderAuth          provider_auth
    │   ├── ProviderRateLimited   provider_rate_limited  yes
    │   ├── ProviderUnavailable   provider_unavailable   yes
    │   ├── ProviderTimeout       provider_timeout       yes
    │   ├── ContextTooLong        context_too_long
    │   └── ContentFilter         content_filter
    ├── StoreError                internal        yes       the store can't be read or written now
    │   └── Fenced                internal        yes       other servers have removed this one
    │   └── Fenced                internal        yes       other servers have removed this one
    └── InternalError             internal        yes       a server error, reported without details

A provider raises only ``ProviderError``, ``UnknownModel``, ``NotConfigured``, ``BadMessage`` and
``Overloaded``. The text of an error is a sentence for the user. It never contains a key, a path or
a stack trace.
"""

from __future__ import annotations

from typing import ClassVar, Final, Literal


class WiresideError(Exception):
    """Base class. ``str(error)`` is the sentence; ``retry_after`` is in seconds, or None."""

    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False
    sentence: ClassVar[str] = "Something went wrong on the server. Please try again."

    def __init__(self, message: str | None = None, *, retry_after: float | None = None) -> None:
        super().__init__(message or self.sentence)
        self.retry_after = retry_after


class RequestError(WiresideError):
    """The request can't be served as it is."""


class BadJson(RequestError):
    """The frame is not a JSON object (protocol: no NaN, no duplicate keys, no deep nesting)."""

    code = "bad_json"
    sentence = "The frame is not a JSON object."


class BadMessage(RequestError):
    """A value of the frame is missing or wrong; the sentence names the field."""

    code = "bad_message"
    sentence = "The request is not complete."


class NameTaken(BadMessage):
    """Another object has the name."""


class UnknownName(BadMessage):
    """No object has the name."""


class UnknownType(RequestError):
    """The frame's ``type`` is not part of the protocol."""

    code = "unknown_type"
    sentence = "The frame has an unknown type."


class TooLarge(RequestError):
    """A text is longer than the limit."""

    code = "too_large"
    sentence = "The message is too long."


class InvalidAttachment(RequestError):
    """A file can't be part of a question; the sentence names it and says why."""

    code = "invalid_attachment"
    sentence = "This file can't be attached."


class TooMany(RequestError):
    """More requests are open on this connection than the limit allows."""

    code = "too_many"
    retryable = True
    sentence = "Too many requests are open on this connection; wait until one has ended."


class RateLimited(RequestError):
    """More messages per minute than the limit.

    The sentence is the integration guide's, verbatim.
    """

    code = "rate_limited"
    retryable = True
    sentence = "Rate limit exceeded"


class Unauthorized(RequestError):
    """The request is not authenticated."""

    code = "unauthorized"
    sentence = "Please sign in first."


class Forbidden(Unauthorized):
    """The caller is authenticated, but not permitted to do this."""

    sentence = "Your account may not do this."


class AccountDisabled(Forbidden):
    """The account is disabled by an administrator."""

    sentence = "This account is disabled."


class SignInFailed(Unauthorized):
    """A sign-in service did not authenticate the user.

    ``why`` determines the advice: start again (``expired``), ask the service (``denied``), tell the
    operator of this server (``wrong``), or wait (``unreachable``).
    """

    sentence = "The sign-in did not work; try again."

    def __init__(self, why: Literal["expired", "denied", "wrong", "unreachable"]) -> None:
        super().__init__()
        self.why: Final = why


class UnknownModel(RequestError):
    """The provider does not offer the model."""

    code = "unknown_model"
    sentence = "This server does not offer that model."


class NotConfigured(RequestError):
    """Something must be set up before this can work; the sentence says what.

    ``remedy`` is the command or setting that fixes it, for the console only: it may contain an
    internal address.
    """

    code = "not_configured"
    sentence = "This server is not set up for that."

    def __init__(
        self,
        message: str | None = None,
        *,
        retry_after: float | None = None,
        remedy: str | None = None,
    ) -> None:
        super().__init__(message, retry_after=retry_after)
        self.remedy: Final = remedy


class NotFound(RequestError):
    """No such stream, conversation or upload, or it belongs to another user."""

    code = "not_found"
    sentence = "There is no such stream."


class AlreadyAnswered(RequestError):
    """A question has its answer already: the first one counts."""

    code = "already_answered"
    sentence = "This question was answered already."


class Expired(RequestError):
    """The stream was never stored and has left the resume window."""

    code = "expired"
    sentence = "This answer is no longer kept; ask again."


class BadOffset(RequestError):
    """The offset is beyond the end of the answer."""

    code = "bad_offset"
    sentence = "The offset is beyond the end of the answer; resume from an offset that was sent."


class Overloaded(RequestError):
    """The server generates as many answers as it can."""

    code = "overloaded"
    retryable = True
    sentence = "The server is busy with many answers; try again in a moment."


class ProviderError(WiresideError):
    """The model, or the server it runs on, failed."""


class ProviderAuth(ProviderError):
    """The provider refused the server's API key."""

    code = "provider_auth"
    sentence = "The server's key for this model was refused; tell the administrator of this server."


class ProviderRateLimited(ProviderError):
    """The provider's rate limit is reached."""

    code = "provider_rate_limited"
    retryable = True
    sentence = "The model service is busy; try again in a moment."


class ProviderUnavailable(ProviderError):
    """The provider can't be reached, failed, or aborted the answer."""

    code = "provider_unavailable"
    retryable = True
    sentence = "The model service can't be reached at the moment; try again."


class ProviderTimeout(ProviderError):
    """The model did not begin within ``first_token_s``, or stopped for ``silence_s``."""

    code = "provider_timeout"
    retryable = True
    sentence = "The model did not answer in time. What it wrote is kept."


class ContextTooLong(ProviderError):
    """The context is longer than the model's context window."""

    code = "context_too_long"
    sentence = "This conversation is too long for the model; start a new one."


class ContentFilter(ProviderError):
    """The provider refused the request for its content."""

    code = "content_filter"
    sentence = "The model service refused this request because of its content."


class StoreError(WiresideError):
    """The store can't be read or written now: locked, full, gone. Unsaved data is reported."""

    code = "internal"
    retryable = True
    sentence = "The conversation can't be saved at the moment. Please try again."


class NotStorable(StoreError):
    """The store works, but refuses a value; trying again does not help: a fault of the server."""

    retryable = False
    sentence = "This can't be saved, because of a fault of the server."


class Fenced(StoreError):
    """The other servers on the database have removed this one: it must write nothing any more."""

    sentence = "The server has just been replaced. Please try again."


class InternalError(WiresideError):
    """An error of the server: logged with all details, reported without them."""

    code = "internal"
    retryable = True


class HandlerFailed(InternalError):
    """A handler raised an exception; the message has the id under which the log has its trace."""


class Conflict(Exception):
    """Another server has changed the conversation for which a change was made.

    It is no ``WiresideError``: no client sees it. The conversation is loaded again, and the change
    made again (``chat.opened``).
    """


class ResponseAborted(ConnectionAbortedError):
    """A response that must end before its last byte, so that the client does not take it for whole.

    It is no ``WiresideError``: the client sees a lost connection. ``wireside serve`` closes it
    without an entry in the log, other servers log an error.
    """


def missing_extra(setting: str, extra: str) -> NotConfigured:
    """Return the error for a setting that needs packages which are not installed.

    Args:
        setting: the setting as the operator wrote it.
        extra: name of the extra that installs the packages.
    """
    return NotConfigured(
        f"{setting} needs packages that are not installed: run `pip install 'wireside[{extra}]'`."
    )


BY_CODE: Final[dict[str, type[WiresideError]]] = {
    kind.code: kind
    for kind in tuple(globals().values())
    if isinstance(kind, type) and issubclass(kind, WiresideError) and "code" in vars(kind)
} | {"internal": InternalError}
"""The error of each code: the class that defines the code, not one that inherits it."""


def error_from_code(
    code: str, message: str | None, *, retry_after: float | None = None
) -> WiresideError:
    """Return the error of a code, ``InternalError`` for a code that this version does not know."""
    return BY_CODE.get(code, InternalError)(message, retry_after=retry_after)
