"""Translates the errors of model servers into ``WiresideError``. No I/O.

The server's message determines the error and is logged; it is never shown to users.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from itertools import pairwise
from typing import Any, Literal, cast

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
from wireside.openai_wire import wordings

NO_QUOTA = (
    "The account behind this server's key has used up its quota; tell the administrator of this "
    "server."
)
WRONG_ADDRESS = (
    "The model service does not know this address. Administrator of this server: set "
    "OPENAI_BASE_URL to the address of an OpenAI-compatible API, usually up to /v1."
)
NO_REGION = (
    "The model service does not serve the country or region of this server; tell its administrator."
)
SHIELD = (
    "A firewall in front of the model service refused this server's request; tell the "
    "administrator of this server."
)
LOADING = "The model is loading; try again in a moment."
NO_MEMORY = (
    "The model needs more memory than its server has free; choose a smaller model, or tell "
    "the administrator of this server."
)
REFUSED = "The model service did not accept this request."
FAILED = "The model service failed; try again."
BROKE_OFF = "The model service broke this answer off. What it wrote is kept."

REFUSABLE_FIELDS = (
    *("temperature", "max_tokens", "max_completion_tokens", "top_p", "top_k", "min_p", "seed"),
    *("presence_penalty", "frequency_penalty", "logit_bias", "response_format", "tool_choice"),
    *("parallel_tool_calls", "reasoning_effort", "verbosity", "service_tier", "prediction"),
    *("web_search_options", "stop", "tools"),
)
"""Request fields that the sentence of a refusal names."""

MAX_CHARS = 4_000
"""Maximum length of the part of a server's message that is searched."""

_SECRET = re.compile(r"(?i)\b(sk|key|bearer)([-_ ])[\w\-*.~+/=]{6,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An error to raise, and how to handle it.

    ``may_pass``: the same request may be retried. ``is_loading``: the model answers once it is
    loaded. ``cannot_chat``: the model can't chat at all. ``is_wrong_address``: there is no API at
    the requested URL.
    """

    error: WiresideError
    may_pass: bool = False
    is_loading: bool = False
    cannot_chat: bool = False
    is_wrong_address: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamProblem:
    """The parsed fields of a server's error; missing ones are empty strings."""

    text: str = ""
    code: str = ""
    kind: str = ""
    field: str = ""
    status: int | None = None
    is_json: bool = False

    def names(self, field: str) -> bool:
        """Whether the problem is about ``field`` of the request."""
        said = self.text[:MAX_CHARS]
        return self.field == field or re.search(rf"\b{field}\b", said) is not None

    @property
    def words(self) -> str:
        """Code, type and message in one string, to search in."""
        parts = (self.code, self.kind, self.text)
        return " ".join(part[:MAX_CHARS] for part in parts)


def problem_in(body: object) -> UpstreamProblem:
    """Parse an error body: ``{"error": {...}}``, its inner object, or plain text.

    Other forms: a list around it (Gemini), ``errors`` (Cloudflare), ``base_resp`` (MiniMax),
    ``error_msg`` (Baidu), ``msg``, ``Message``, ``fault`` and an error as a string in one of them.
    """
    if isinstance(body, list) and body and isinstance(body[0], dict):
        body = body[0]
    if not isinstance(body, dict):
        return UpstreamProblem(text=str(body or ""))
    inside = _inside(body)
    status = next(
        (
            value
            for key in ("status", "status_code", "code", "http_code", "error_code")
            for place in (inside, body)
            if _is_status(value := place.get(key))
        ),
        None,
    )
    return UpstreamProblem(
        text=" ".join(
            dict.fromkeys(
                _text_of(inside[key])
                for key in (*_TEXTS, "metadata", "details")
                if inside.get(key) and not isinstance(inside[key], bool)
            )
        ),
        code=_first(inside, "code", "status_code", "error_code", "errorCode", "reason"),
        kind=" ".join(filter(None, (_kind_in(inside), _word(inside.get("status")), _base(inside)))),
        field=_first(inside, "param"),
        status=int(status) if status is not None else None,
        is_json=True,
    )


_TEXTS = (
    *("message", "detail", "status_msg", "msg", "error_msg", "error_message", "errorMessage"),
    *("Message", "title", "error_description", "faultstring", "reason"),
)

_MINIMAX = {
    "1000": "unknown error",
    "1001": "timeout",
    "1002": "rate_limit",
    "1004": "authentication",
    "1008": "insufficient balance",
    "1026": "new_sensitive",
    "1027": "new_sensitive",
    "1039": "rate_limit",
    "2049": "invalid api key",
}
"""Meanings of the status codes in ``base_resp`` whose messages do not state them."""


def _inside(body: dict[str, Any]) -> dict[str, Any]:
    """Return the object that describes the error."""
    for key in ("error", "errors", "base_resp", "detail", "fault"):
        inside = body.get(key)
        if isinstance(inside, dict) and inside:
            return inside
        if isinstance(inside, list) and inside and isinstance(inside[0], dict):
            return {**body, **inside[0], "message": inside}
        if inside and not isinstance(inside, bool):
            return {**body, "message": inside}
    return body


def _text_of(value: object) -> str:
    try:
        return str(value)
    except (ValueError, RecursionError):  # a number is too long, or a list nested too deeply
        return ""


def _base(inside: dict[str, Any]) -> str:
    return _MINIMAX.get(str(inside.get("status_code")), "") if "status_msg" in inside else ""


def _first(inside: dict[str, Any], *keys: str) -> str:
    return next((_text_of(inside[key]) for key in keys if inside.get(key)), "")


def _kind_in(inside: dict[str, Any]) -> str:
    """Return the ``type``, unless it is a URI as in RFC 9457."""
    kind = _first(inside, "type")
    return "" if kind.startswith(("about:", "http:", "https:")) else kind


def _word(value: object) -> str:
    return value if isinstance(value, str) else ""


def is_error(document: object) -> bool:
    """Whether a JSON document that is not an answer describes an error."""
    if isinstance(document, list):
        return bool(document) and is_error(document[0])
    if not isinstance(document, dict):
        return False
    if isinstance(base := document.get("base_resp"), dict):
        return bool(base.get("status_code"))
    words = ("error", "errors", "error_msg", "error_code", "message", "msg", "detail", "fault")
    return any(document.get(word) for word in words)


def _is_status(value: object) -> bool:
    if isinstance(value, str):
        return re.fullmatch(r"[45]\d\d", value, re.ASCII) is not None
    return isinstance(value, int) and 400 <= value <= 599


def failure_for(
    status: int | None, problem: UpstreamProblem, *, model: str, retry_after: float | None = None
) -> Failure:
    """Return the failure for an HTTP status (None inside an answer) and the parsed error.

    ``retry_after`` is in seconds.
    """
    status = status if status and status >= 300 else problem.status
    retry_after = _wait_told(problem) if retry_after is None else retry_after
    is_busy = status in (None, 400, 403, 429) and _says_busy(problem)
    if make := _OF_WIRESIDE.get(problem.code) or (_busy if is_busy else None):
        return make(retry_after)
    for statuses, pattern, make_of_model in _BY_WORDS:
        if status in statuses and pattern.search(problem.words):
            return make_of_model(model)
    if status is None:
        return Failure(error=ProviderUnavailable(BROKE_OFF, retry_after=retry_after), may_pass=True)
    if status == 403 and not problem.is_json and wordings.SHIELD.search(problem.words):
        return Failure(error=ProviderAuth(SHIELD))
    if status == 404 and problem.is_json and (problem.code or problem.kind):
        return _no_model(model)  # a compatible API sends a structured error; other servers don't
    if make := _BY_STATUS.get(status):
        return make(retry_after)
    if status >= 500:
        return _down(retry_after)
    if status >= 400 and status not in (404, 405):
        return Failure(error=BadMessage(_refusal(problem)))
    return wrong_address()  # 404, 405 or a redirect that can't be followed


def wrong_address() -> Failure:
    """Return the failure for a URL without an OpenAI-compatible API."""
    return Failure(error=NotConfigured(WRONG_ADDRESS), is_wrong_address=True)


def _says_busy(problem: UpstreamProblem) -> bool:
    """Whether the problem is a rate limit, even if its message also names billing or quota."""
    if wordings.QUOTA.search(f"{problem.code} {problem.kind}"):
        return False
    return wordings.BUSY.search(problem.words) is not None and (
        wordings.BY_MINUTE.search(problem.words) is not None
        or wordings.QUOTA.search(problem.words) is None
    )


def _wait_told(problem: UpstreamProblem) -> float | None:
    """Return the seconds to wait that a rate limit's message names."""
    if (told := wordings.WAIT_TOLD.search(problem.text[:MAX_CHARS])) is None:
        return None
    unit = {"m": 0.001 if told[2].lower().startswith(("ms", "mil")) else 60.0}
    return float(told[1]) * unit.get(told[2][0].lower(), 1.0)


def _busy(retry_after: float | None) -> Failure:
    if retry_after is None:
        return Failure(error=ProviderRateLimited(), may_pass=True)
    sentence = f"The model service is busy; try again in {math.ceil(retry_after)} s."
    return Failure(error=ProviderRateLimited(sentence, retry_after=retry_after), may_pass=True)


def _down(retry_after: float | None) -> Failure:
    return Failure(error=ProviderUnavailable(FAILED, retry_after=retry_after), may_pass=True)


def _late(retry_after: float | None) -> Failure:
    sentence = "The model service did not answer in time; try again."
    return Failure(error=ProviderTimeout(sentence, retry_after=retry_after), may_pass=True)


def _no_model(model: str) -> Failure:
    return Failure(error=UnknownModel(f'The model service does not offer "{model[:100]}".'))


def _no_chat(model: str) -> Failure:
    sentence = f'The model "{model[:100]}" can\'t chat; choose another one.'
    return Failure(error=UnknownModel(sentence), cannot_chat=True)


def _loading(_: str) -> Failure:
    return Failure(error=ProviderUnavailable(LOADING), is_loading=True)


_BY_STATUS: dict[int, Callable[[float | None], Failure]] = {
    401: lambda _: Failure(error=ProviderAuth()),
    402: lambda _: Failure(error=ProviderAuth(NO_QUOTA)),
    403: lambda _: Failure(error=ProviderAuth()),
    408: _late,
    409: _down,
    413: lambda _: Failure(error=ContextTooLong()),
    425: _down,
    429: _busy,
    504: _late,
}

_OF_WIRESIDE: dict[str, Callable[[float | None], Failure]] = {
    "provider_auth": lambda _: Failure(error=ProviderAuth()),
    "provider_rate_limited": _busy,
    "provider_timeout": _late,
}
"""Errors of a model service that is another Wireside, by its codes."""

_ANY = range(400, 600)

_BY_WORDS: tuple[tuple[frozenset[int | None], re.Pattern[str], Callable[[str], Failure]], ...] = (
    # 500: some servers fail instead of refusing the request
    (
        frozenset({None, 400, 413, 422, 500}),
        wordings.TOO_LONG,
        lambda _: Failure(error=ContextTooLong()),
    ),
    (
        frozenset({None, *_ANY}),
        wordings.MEMORY,
        lambda _: Failure(error=ProviderUnavailable(NO_MEMORY)),
    ),
    (frozenset({None, 404, 409, 425, 500, 502, 503}), wordings.LOADING, _loading),
    (
        frozenset({None, 400, 403, 404}),
        wordings.REGION,
        lambda _: Failure(error=ProviderAuth(NO_REGION)),
    ),
    (frozenset({None, 400, 403, 422}), wordings.FILTERED, lambda _: Failure(error=ContentFilter())),
    (frozenset({None, 403, 429}), wordings.QUOTA, lambda _: Failure(error=ProviderAuth(NO_QUOTA))),
    (frozenset({400}), wordings.QUOTA_IN_400, lambda _: Failure(error=ProviderAuth(NO_QUOTA))),
    (frozenset({None, 400, 404, 405, 422, 500, 501}), wordings.CANNOT_CHAT, _no_chat),
    (frozenset({400, 422}), wordings.AUTH_IN_400, lambda _: Failure(error=ProviderAuth())),
    (frozenset({None, 400, 404, 422}), wordings.NO_MODEL, _no_model),
    (frozenset({None, 400, 404, 405, 501}), wordings.WRONG_PATH, lambda _: wrong_address()),
    (frozenset({None}), wordings.BUSY, lambda _: _busy(None)),
    (frozenset({None}), wordings.AUTH, lambda _: Failure(error=ProviderAuth())),
)


def _refusal(problem: UpstreamProblem) -> str:
    for field in REFUSABLE_FIELDS:
        if problem.names(field):
            return f"The model does not accept this `{field.replace('_completion', '')}`."
    return REFUSED


def retry_after_in(headers: Mapping[str, str], now: float) -> float | None:
    """Return the delay in seconds of a ``Retry-After`` header; ``now`` is in seconds since 1970."""
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
    """Return a server's message for the log: keys masked, at most 500 characters."""
    if key:
        text = text.replace(key, "***")
    return _SECRET.sub(r"\1\2***", text)[:500]


Refit = Literal[
    "stream",
    "stream_options",
    "tools",
    "system",
    "roles",
    "last_role",
    "max_tokens",
    "no_max_tokens",
    "temperature",
]
"""An adaptation of the requests for a model; see ``refit_for``."""

_REFITTING = frozenset({None, 400, 403, 404, 405, 415, 422, 500, 501})


def refit_for(
    status: int | None, problem: UpstreamProblem, body: Mapping[str, Any]
) -> Refit | None:
    """Return the adaptation with which a refused request may be accepted; None if there is none.

    ``status`` is None for an error inside an answer. ``tools``: earlier tool calls are sent as
    text. ``system`` and ``roles``: system text is moved into the first user message; for ``roles``,
    consecutive messages of the same role are also joined. ``last_role``: a user message is added
    after an answer to continue. ``max_tokens`` is renamed to ``max_completion_tokens``, then
    omitted (``no_max_tokens``). ``stream`` requests an answer that is not streamed. The others omit
    the field of that name.
    """
    if status not in _REFITTING:
        return None
    if "stream_options" in body and (
        problem.names("stream_options") or problem.names("include_usage")
    ):
        return "stream_options"
    is_unknown = wordings.NOT_KNOWN.search(problem.words) is not None
    if "temperature" in body and problem.names("temperature") and is_unknown:
        return "temperature"
    for field, renamed in (
        ("max_tokens", "max_tokens"),
        ("max_completion_tokens", "no_max_tokens"),
    ):
        if field in body and problem.names(field) and is_unknown:
            return cast("Refit", renamed)
    roles = [message["role"] for message in body.get("messages", ())]
    if refit := _refit_of_roles(roles, problem.words):
        return refit
    is_stream = problem.field == "stream" or wordings.STREAM.search(problem.text[:MAX_CHARS])
    if body.get("stream") and is_stream and is_unknown:
        return "stream"
    return None


def _refit_of_roles(roles: Sequence[str], words: str) -> Refit | None:
    """Return the adaptation of the messages for a service that refuses some of their roles."""
    if "tool" in roles and wordings.NO_TOOLS.search(words):
        return "tools"
    if "system" in roles and wordings.NO_SYSTEM.search(words):
        return "system"
    is_uneven = any(one == other for one, other in pairwise(roles))
    if ("system" in roles or is_uneven) and wordings.ALTERNATE.search(words):
        return "roles"
    if roles and roles[-1] == "assistant" and wordings.LAST_ROLE.search(words):
        return "last_role"
    return None
