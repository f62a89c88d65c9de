"""What a model's server says when it can't answer, told as one of our errors. No I/O.

The server's own words decide which error it is and go to the log; they are never shown.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from wireside.errors import (
    BadMessage,
    ContentFilter,
    ContextTooLong,
    NotConfigured,
    ProviderAuth,
    ProviderRateLimited,
    ProviderTimeout,
    ProviderUnavailable,
    UnknownModel,
    WiresideError,
)

NO_QUOTA = (
    "The account behind this server's key has used up its quota; tell whoever runs this server."
)
WRONG_ADDRESS = (
    "The model service does not know this address. Whoever runs this server: set OPENAI_BASE_URL "
    "to the address of an OpenAI-compatible API, usually up to /v1."
)
REFUSED = "The model service did not accept this request."
FAILED = "The model service failed; try again."
LOADING = "The model service is still loading this model; try again in a moment."
NO_MEMORY = (
    "The model service does not have enough memory for this model. Whoever runs it: choose a "
    "smaller model or a shorter context."
)
BROKE_OFF = "The model service broke this answer off. What it wrote is kept."

OUR_FIELDS = ("temperature", "max_tokens", "max_completion_tokens", "stream_options", "messages")
"""What we send beside ``model``; a refusal may name one."""

LOADING_S = 5.0
"""After how many seconds a model that is being loaded is asked again."""

MAX_CHARS = 4_000
"""Of what a server says, patterns look through so much."""

_TOO_LONG = re.compile(
    r"context.{0,12}(length|window|size)|maximum (context|prompt)|too many (input )?tokens"
    r"|(prompt|input|request|conversation) (is )?too (long|large)",
    re.IGNORECASE,
)
_FILTERED = re.compile(
    r"content_(filter|policy)|responsible_?ai|moderation|new_sensitive|data_inspection_failed"
    r"|prohibited_content",
    re.IGNORECASE,
)
_NO_MODEL = re.compile(
    r"model_not_found|model.{0,300}(not.{0,6}(found|exist|support|available|load)|no such|unknown)"
    r"|(no such|unknown|invalid) model",
    re.IGNORECASE | re.DOTALL,
)
_QUOTA = re.compile(
    r"insufficient_(quota|balance)|insufficient balance|billing|credit", re.IGNORECASE
)
_BUSY = re.compile(r"rate_?.?limit|overloaded|too many requests|resource_?exhausted", re.IGNORECASE)
_AUTH = re.compile(r"authentication|permission|unauthori[sz]ed|login fail", re.IGNORECASE)
_BAD_KEY = re.compile(
    r"(invalid|incorrect|wrong|expired|missing|bad)[ _-]{0,3}(api|access)[ _-]?(key|token)"
    r"|api[ _-]?key.{0,20}(not valid|invalid|expired|incorrect|missing|not found)",
    re.IGNORECASE,
)
_LOADING = re.compile(
    r"(loading|starting|warming up) (the )?model|model.{0,80}(is|being) (currently )?load(ing|ed)"
    r"|model.{0,20}not (yet )?(loaded|ready)",
    re.IGNORECASE,
)
_NO_MEMORY = re.compile(
    r"out of memory|(more|insufficient|not enough|enough) (system |free |gpu |available )?memory"
    r"|failed to allocate|cudaMalloc|OutOfMemory",
    re.IGNORECASE,
)
_NOT_KNOWN = re.compile(
    r"unsupported|not (supported|permitted|allowed)|un(known|recogni[sz]ed|expected)|extra"
    r"|max_completion_tokens",
    re.IGNORECASE,
)
_SECRET = re.compile(r"(?i)\b(sk|key|bearer)([-_ ])[\w\-*.~+/=]{6,}")


@dataclass(frozen=True, slots=True)
class Failure:
    """An error to raise, and whether the same request may be tried again by us at once."""

    error: WiresideError
    may_pass: bool = False


@dataclass(frozen=True, slots=True)
class Problem:
    """What a server said, as far as it can be understood; empty strings where it did not."""

    text: str = ""
    code: str = ""
    kind: str = ""
    field: str = ""
    status: int | None = None
    is_json: bool = False

    def names(self, field: str) -> bool:
        """Whether the problem is about ``field`` of our request."""
        said = self.text[:MAX_CHARS]
        return self.field == field or re.search(rf"\b{field}\b", said) is not None

    @property
    def words(self) -> str:
        """What was said, to search in."""
        parts = (self.code, self.kind, self.text)
        return " ".join(part[:MAX_CHARS] for part in parts)


def problem_in(body: object) -> Problem:
    """Return the problem in an error body: ``{"error": {...}}``, its inside, a list of these
    (Gemini, Cloudflare), MiniMax's ``base_resp``, or plain text.
    """
    if isinstance(body, list):
        body = next((item for item in body if isinstance(item, dict)), body)
    if not isinstance(body, dict):
        return Problem(text=str(body or ""))
    inside: Any = next(filter(None, map(body.get, _INSIDE)), body)
    if isinstance(inside, list) and inside and isinstance(inside[0], dict):
        inside = {**inside[0], "message": _said(inside[0]) or inside}
    if not isinstance(inside, dict):
        inside = {**body, "message": inside}
    status = next(
        (
            value
            for key in ("status", "status_code", "code", "http_code")
            if _is_status(value := inside.get(key))
        ),
        None,
    )
    return Problem(
        text=str(_said(inside) or ""),
        code=str(next(filter(None, map(inside.get, _CODES)), "")),
        kind=str(inside.get("type") or ""),
        field=str(inside.get("param") or ""),
        status=int(status) if status is not None else None,
        is_json=True,
    )


_INSIDE = ("error", "detail", "errors", "base_resp")
_CODES = ("code", "status_code", "error_code")
_SAID = ("message", "detail", "msg", "error_msg", "status_msg", "error_description", "title")


def _said(inside: Mapping[str, object]) -> object:
    return next(filter(None, map(inside.get, _SAID)), None)


def _is_status(value: object) -> bool:
    if isinstance(value, str):
        return re.fullmatch(r"[45]\d\d", value, re.ASCII) is not None
    return isinstance(value, int) and 400 <= value <= 599


def failure_for(
    status: int | None, problem: Problem, *, model: str, retry_after: float | None = None
) -> Failure:
    """Return our error for an HTTP status (None inside an answer) and what was said with it."""
    status = status or problem.status
    for statuses, pattern, make_of_model in _BY_WORDS:
        if status in statuses and pattern.search(problem.words):
            return make_of_model(model)
    if status is None:
        return Failure(ProviderUnavailable(BROKE_OFF, retry_after=retry_after), may_pass=True)
    if status == 404 and problem.is_json and (problem.code or problem.kind):
        return _no_model(model)  # an API that knows us says it in its own form; others don't
    if make := _BY_STATUS.get(status):
        return make(retry_after)
    if status >= 500:
        return _down(retry_after)
    if status >= 400 and status != 404:
        return Failure(BadMessage(_refusal(problem)))
    return Failure(NotConfigured(WRONG_ADDRESS))  # nothing there, or a redirect to nowhere


def _busy(retry_after: float | None) -> Failure:
    if retry_after is None:
        return Failure(ProviderRateLimited(), may_pass=True)
    sentence = f"The model service is busy; try again in {math.ceil(retry_after)} s."
    return Failure(ProviderRateLimited(sentence, retry_after=retry_after), may_pass=True)


def _down(retry_after: float | None) -> Failure:
    return Failure(ProviderUnavailable(FAILED, retry_after=retry_after), may_pass=True)


def _late(retry_after: float | None) -> Failure:
    sentence = "The model service did not answer in time; try again."
    return Failure(ProviderTimeout(sentence, retry_after=retry_after), may_pass=True)


def _loading() -> Failure:
    return Failure(ProviderUnavailable(LOADING, retry_after=LOADING_S), may_pass=True)


def _no_memory() -> Failure:
    return Failure(ProviderUnavailable(NO_MEMORY))


def _no_model(model: str) -> Failure:
    return Failure(UnknownModel(f'The model service does not offer "{model[:100]}".'))


_BY_STATUS: dict[int, Callable[[float | None], Failure]] = {
    401: lambda _: Failure(ProviderAuth()),
    402: lambda _: Failure(ProviderAuth(NO_QUOTA)),
    403: lambda _: Failure(ProviderAuth()),
    408: _late,
    409: _down,
    413: lambda _: Failure(ContextTooLong()),
    425: _down,
    429: _busy,
    504: _late,
}

_BY_WORDS: tuple[tuple[frozenset[int | None], re.Pattern[str], Callable[[str], Failure]], ...] = (
    (frozenset({None, 500, 502, 503}), _LOADING, lambda _: _loading()),
    (frozenset({None, 400, 500, 503, 507}), _NO_MEMORY, lambda _: _no_memory()),
    (frozenset({None, 400, 401, 403}), _BAD_KEY, lambda _: Failure(ProviderAuth())),
    # 500: some servers fail over it instead of refusing it
    (frozenset({None, 400, 413, 422, 500}), _TOO_LONG, lambda _: Failure(ContextTooLong())),
    (frozenset({None, 400, 403, 422}), _FILTERED, lambda _: Failure(ContentFilter())),
    (frozenset({None, 400, 404, 422}), _NO_MODEL, _no_model),
    (frozenset({None, 403, 429}), _QUOTA, lambda _: Failure(ProviderAuth(NO_QUOTA))),
    (frozenset({None}), _BUSY, lambda _: _busy(None)),
    (frozenset({None}), _AUTH, lambda _: Failure(ProviderAuth())),
)


def _refusal(problem: Problem) -> str:
    for field in OUR_FIELDS[:3]:
        if problem.names(field):
            return f"The model does not accept this `{field.replace('_completion', '')}`."
    return REFUSED


def retry_after_in(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds that a server asks us to wait; ``now`` is the time of day (Unix)."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        if (seconds := _number(headers.get(name))) is not None:
            return max(0.0, seconds * unit)
    try:
        return max(0.0, parsedate_to_datetime(headers.get("retry-after", "")).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def without_secrets(text: str, key: str | None) -> str:
    """Return a server's words for the log: no key in them, and not too many of them."""
    if key:
        text = text.replace(key, "***")
    return _SECRET.sub(r"\1\2***", text)[:500]


Refit = Literal["stream_options", "max_tokens"]


def refit_for(status: int, problem: Problem, body: Mapping[str, object]) -> Refit | None:
    """Return the field that a server does not know, where the request can do without it."""
    if status not in (400, 422):
        return None
    if "stream_options" in body and problem.names("stream_options"):
        return "stream_options"
    is_unknown = _NOT_KNOWN.search(problem.words) is not None
    if "max_tokens" in body and problem.names("max_tokens") and is_unknown:
        return "max_tokens"
    return None
