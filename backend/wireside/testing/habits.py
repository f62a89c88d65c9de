"""Habits of real model services, by name: behaviour that differs from OpenAI's specification.

The message ``/lab NAME`` selects one. docs/models.md lists which services have which habit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from wireside.messages import TextDelta, Usage
from wireside.openai_wire.encode import DONE, comment, usage_fields
from wireside.testing.scripts import (
    Cut,
    Script,
    Step,
    Wait,
    answer,
    completion,
    encoder_for,
    error_event,
    event,
    failure,
    json_page,
    page,
)

WORDS = ("Hello", " big", " world")
"""The tokens of every habit's answer, if it answers."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The input of a habit.

    ``numbers`` follow its name in the message, ``body`` is the request's JSON, and ``times`` is the
    number of times that the message has been received.
    """

    numbers: Sequence[float] = ()
    body: Mapping[str, Any] = field(default_factory=dict)
    times: int = 1

    def number(self, default: float) -> float:
        """Return the first number, or ``default``."""
        return self.numbers[0] if self.numbers else default

    def has(self, name: str) -> bool:
        """Whether the request has a true field, or for ``system`` a message of that role."""
        if name == "system":
            return any(message.get("role") == "system" for message in self.messages)
        return bool(self.body.get(name))

    @property
    def messages(self) -> Sequence[Mapping[str, Any]]:
        """The messages of the request."""
        return self.body.get("messages") or ()


@dataclass(frozen=True, slots=True)
class Habit:
    """A service's behaviour, with a one-line description."""

    about: str
    make: Callable[[Asked], Script]


def chunk(delta: object, finish: str | None = None, **more: object) -> bytes:
    """Return the event for a chunk. ``more`` are further fields of its choice."""
    return event(_ENCODER.chunk(delta, finish, **more))


def says(text: str, finish: str | None = None, **more: object) -> bytes:
    """Return the event for a piece of text. ``more`` are further fields of the delta."""
    return chunk({"content": text, **more}, finish)


def stream(*steps: Step) -> Script:
    """Return a streamed answer of these steps."""
    return Script(steps)


def _pieces(finish: str | None = None, **more: object) -> list[bytes]:
    return [says(word, finish, **more) for word in WORDS]


def _end(reason: str = "stop") -> tuple[bytes, bytes]:
    return chunk({}, reason), DONE


def _whole() -> Script:
    return completion(WORDS)


def _call(**call: object) -> dict[str, object]:
    return {"tool_calls": [{"index": 0, "id": "a", "type": "function", **call}]}


def _function(name: str = "get_weather", arguments: str = "{}") -> dict[str, str]:
    return {"name": name, "arguments": arguments}


def _refusing(field_name: str, refusal: Script) -> Callable[[Asked], Script]:
    """Return a habit that refuses requests with a certain field, and answers others."""

    def make(asked: Asked) -> Script:
        if asked.has(field_name):
            return refusal
        return stream(*_pieces(), *_end()) if asked.body.get("stream") else _whole()

    return make


def _alternating(asked: Asked) -> Script:
    roles = [message.get("role") for message in asked.messages]
    if roles == ["user", "assistant"] * (len(roles) // 2) + ["user"]:
        return stream(*_pieces(), *_end())
    return json_page(
        {"object": "error", "message": "Conversation roles must alternate user/assistant/user/…"},
        400,
    )


def _last_role(asked: Asked) -> Script:
    if asked.messages and asked.messages[-1].get("role") == "assistant":
        said = "Expected last role User or Tool (or Assistant with prefix True) but got assistant"
        return json_page({"object": "error", "message": said, "type": "invalid_request"}, 400)
    return stream(*_pieces(), *_end())


def _max_tokens(asked: Asked) -> Script:
    if asked.has("max_tokens"):
        said = (
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
            "'max_completion_tokens' instead."
        )
        return failure(400, said, code="unsupported_parameter", param="max_tokens")
    return stream(*_pieces(), *_end())


def _loading(asked: Asked) -> Script:
    if asked.times <= asked.number(2):
        error = {"code": 503, "message": "Loading model", "type": "unavailable_error"}
        return json_page({"error": error}, 503)
    return stream(*_pieces(), *_end())


def _queue(comment: bytes) -> Callable[[Asked], Script]:
    def make(asked: Asked) -> Script:
        seconds = asked.number(3)
        count = max(1, round(seconds / min(1.0, seconds or 1.0)))
        waits: list[Step] = [
            step for _ in range(count) for step in (comment, Wait(seconds / count))
        ]
        return stream(*waits, *_pieces(), *_end())

    return make


def _always(*steps: Step) -> Callable[[Asked], Script]:
    return lambda _: stream(*steps)


def _document(document: object, status: int = 200) -> Callable[[Asked], Script]:
    return lambda _: json_page(document, status)


def _error(message: str, http_status: int, /, **error: Any) -> Callable[[Asked], Script]:
    return lambda _: json_page({"error": {"message": message, **error}}, http_status)


_ENCODER = encoder_for()
_USAGE = Usage(5, len(WORDS))
_PNG = "data:image/png;base64,iVBORw0KGgo="
_THINKING = {"type": "thinking", "thinking": [{"type": "text", "text": "Secret plan"}]}
_MOVED = replace(page("", 301), headers=(("Location", "/moved/v1/chat/completions"),))
_VERIFY = failure(
    400,
    "Your organization must be verified to stream this model.",
    kind="invalid_request_error",
    code="unsupported_value",
    param="stream",
)
_NO_ARGUMENT = json_page(
    {"error": {"message": "create() got an unexpected keyword argument 'stream_options'"}}, 500
)
_NO_SYSTEM = json_page(
    {"object": "error", "message": "System role not supported", "code": 400}, 400
)
_TEMPERATURE = failure(
    400,
    "Unsupported value: 'temperature' does not support 0.3 with this model. Only the default (1) "
    "value is supported.",
    code="unsupported_value",
    param="temperature",
)
_GEMINI_KEY = {
    "code": 400,
    "message": "API key not valid. Please pass a valid API key.",
    "status": "INVALID_ARGUMENT",
    "details": [{"reason": "API_KEY_INVALID", "domain": "googleapis.com"}],
}
_GEMINI_QUOTA = {
    "code": 429,
    "message": "You exceeded your current quota, please check your plan and billing details. "
    "Quota: generate_content_requests per minute. Please retry in 28.4s.",
    "status": "RESOURCE_EXHAUSTED",
}
_LLAMA = {"code": 500, "message": "failed to decode", "type": "server_error"}
_LLAMA_LONG = {"code": 400, "message": "the request exceeds the available context size"}


def _field(name: str, document: dict[str, Any]) -> bytes:
    return event(document).replace(b"data:", f"{name}:".encode(), 1)


HABITS: dict[str, Habit] = {
    # How an answer ends
    "finish-empty": Habit(
        "an empty `finish_reason` in every chunk, and a pause of 3 s (`/lab finish-empty 5`: 5 s)",
        lambda asked: stream(*_pieces("")[:2], Wait(asked.number(3)), says(WORDS[2], ""), *_end()),
    ),
    "finish-null": Habit('the word "null" as `finish_reason`', _always(*_pieces("null"), *_end())),
    "finish-early": Habit(
        "`stop` in each chunk of the reasoning, then the answer",
        _always(chunk({"reasoning_content": "Secret plan"}, "stop"), *_pieces(), *_end()),
    ),
    "finish-empty-error": Habit(
        "empty reasons, then an error",
        _always(*_pieces("")[:2], error_event("CUDA out of memory", code=500), DONE),
    ),
    "finish-empty-cut": Habit(
        "empty reasons, then the connection ends", _always(*_pieces("")[:2], Cut())
    ),
    "finish-empty-length": Habit(
        "empty reasons, then `length`", _always(*_pieces(""), *_end("length"))
    ),
    "finish-upper": Habit("`MAX_TOKENS` as the reason", _always(*_pieces(), *_end("MAX_TOKENS"))),
    "finish-safety": Habit("`SAFETY` as the reason", _always(*_pieces(), *_end("SAFETY"))),
    "finish-abort": Habit("`abort` as the reason", _always(*_pieces(), *_end("abort"))),
    "done-only": Habit("`[DONE]` without a reason", _always(*_pieces(), DONE)),
    "done-only-tool": Habit(
        "the same behind a tool call", _always(chunk(_call(function=_function())), DONE)
    ),
    # Silence and keep-alives
    "load": Habit(
        "no answer at all for 3 s (`/lab load 70`: 70 s), while the model loads",
        lambda asked: stream(*_pieces(), *_end()).slow_head(asked.number(3)),
    ),
    "loading": Habit("503 `Loading model` twice (`/lab loading 5`: five times)", _loading),
    "queue": Habit(
        "comments for 3 s (`/lab queue 66`: 66 s), then the answer",
        _queue(comment("OPENROUTER PROCESSING")),
    ),
    "queue-chunks": Habit("the same with empty chunks", _queue(says(""))),
    "queue-newlines": Habit("the same with empty lines", _queue(b"\n")),
    "data-empty": Habit(
        "an empty `data:` as a heartbeat", _always(b"data: \n\n", *_pieces(), *_end())
    ),
    "data-comment": Habit(
        "a comment inside of `data:`", _always(b"data: : keep-alive\n\n", *_pieces(), *_end())
    ),
    # Errors in other forms
    "error-field": Habit(
        "an error as an SSE field `error:`", _always(_field("error", _LLAMA_LONG), DONE)
    ),
    "error-field-mid": Habit(
        "the same in the middle", _always(says(WORDS[0]), _field("error", _LLAMA), DONE)
    ),
    "base-resp": Habit(
        "200 with `base_resp` and no choices",
        _document(
            {"choices": None, "base_resp": {"status_code": 1004, "status_msg": "login fail"}}
        ),
    ),
    "cloudflare": Habit(
        "an error in Cloudflare's form",
        _document(
            {"success": False, "errors": [{"code": 10000, "message": "Authentication error"}]}, 400
        ),
    ),
    "shield": Habit(
        "a firewall's page",
        lambda _: page("<!doctype html><title>Just a moment...</title> Cloudflare", 403),
    ),
    "gemini-key": Habit(
        "a bad key told by 400, in a list", _document([{"error": _GEMINI_KEY}], 400)
    ),
    "gemini-quota": Habit(
        "a limit of requests that talks of billing", _document([{"error": _GEMINI_QUOTA}], 429)
    ),
    "quota": Habit(
        "an account without money told by 400",
        _error(
            "Your credit balance is too low to access the API.", 400, type="invalid_request_error"
        ),
    ),
    "billing": Habit("an account without money told by 402", _error("Insufficient Balance", 402)),
    "region": Habit(
        "a region that is not served",
        _error(
            "User location is not supported for the API use.", 400, status="FAILED_PRECONDITION"
        ),
    ),
    "memory": Habit(
        "a model that is larger than the memory",
        _document(
            {"error": "model requires more system memory (5.6 GiB) than is available (3.1 GiB)"},
            500,
        ),
    ),
    "no-chat": Habit(
        "a model that does not chat",
        _error(
            '"nomic-embed-text:latest" does not support chat', 400, type="invalid_request_error"
        ),
    ),
    "wrong-path": Habit(
        "200 with an error about the address",
        _document({"error": "Unexpected endpoint or method. (POST /chat/completions)"}),
    ),
    "redirect": Habit("301 to another address", lambda _: _MOVED),
    # Requests that are refused
    "stream-refused": Habit("refuses `stream`", _refusing("stream", _VERIFY)),
    "stream-options-refused": Habit(
        "refuses `stream_options`, by a 500", _refusing("stream_options", _NO_ARGUMENT)
    ),
    "system-refused": Habit("refuses the role `system`", _refusing("system", _NO_SYSTEM)),
    "roles-alternate": Habit("refuses all but user and assistant in turns", _alternating),
    "continue-refused": Habit("refuses an answer as the last message", _last_role),
    "temperature-refused": Habit("refuses `temperature`", _refusing("temperature", _TEMPERATURE)),
    "max-tokens-refused": Habit("refuses `max_tokens`, by its old name", _max_tokens),
    # Reasoning
    "think-tags": Habit(
        "reasoning as `<think>` in the text",
        _always(
            says("<think>"),
            says("\nSecret plan\n"),
            says("</think>"),
            says("\n\n"),
            *_pieces(),
            *_end(),
        ),
    ),
    "think-close": Habit(
        "reasoning that ends in `</think>` and does not begin",
        _always(says("Secret plan\n"), says("</think>\n\n"), *_pieces(), *_end()),
    ),
    "think-channel": Habit(
        "reasoning in a channel of the text",
        _always(
            says("<|channel|>analysis<|message|>Secret plan<|end|>"),
            says("<|start|>assistant<|channel|>final<|message|>"),
            *_pieces(),
            *_end(),
        ),
    ),
    "think-parts": Habit(
        "reasoning as parts of the content",
        _always(chunk({"content": [_THINKING]}), *_pieces(), *_end()),
    ),
    "reasoning-details": Habit(
        "reasoning in `reasoning_details`",
        _always(
            says("", reasoning_details=[{"type": "reasoning.text", "text": "Secret plan"}]),
            *_pieces(),
            *_end(),
        ),
    ),
    "reasoning-text": Habit(
        "reasoning in `reasoning_text`",
        _always(says("", reasoning_text="Secret plan"), *_pieces(), *_end()),
    ),
    "thinking": Habit(
        "reasoning in `thinking`", _always(says("", thinking="Secret plan"), *_pieces(), *_end())
    ),
    # Side fields
    "tool-id-number": Habit(
        "numbers as ids of tool calls",
        _always(*_pieces(tool_calls=[{"index": 0, "id": 17, "function": _function()}]), *_end()),
    ),
    "tool-calls-object": Habit(
        "an object as `tool_calls`", _always(*_pieces(tool_calls={}), *_end())
    ),
    "tool-name-repeated": Habit(
        "a tool's name in each of its chunks",
        _always(
            chunk(_call(function=_function(arguments=""))),
            chunk(_call(function=_function(arguments='{"x":'))),
            chunk(_call(function=_function(arguments="1}"))),
            *_end("tool_calls"),
        ),
    ),
    "usage-text": Habit(
        "text as `usage`",
        _always(*_pieces(), event({"choices": [], "usage": ""}), *_end()),
    ),
    "delta-text": Habit("text as `delta`", _always(chunk(""), *_pieces(), *_end())),
    "usage-null-last": Habit(
        "usage, then the same without numbers",
        _always(
            *_pieces(),
            chunk({}, "stop"),
            event(_ENCODER.usage(_USAGE)),
            event(_ENCODER.usage(Usage())),
            DONE,
        ),
    ),
    "usage-input-tokens": Habit(
        "usage by other names",
        _always(
            *_pieces(),
            chunk({}, "stop"),
            event({"choices": [], "usage": {"input_tokens": 5, "output_tokens": 3}}),
            DONE,
        ),
    ),
    "usage-in-choice": Habit(
        "usage inside of the choice",
        _always(*_pieces(), chunk({}, "stop", usage=usage_fields(_USAGE)), DONE),
    ),
    "message-after-deltas": Habit(
        "the whole message behind its pieces",
        _always(
            *_pieces(),
            event(_ENCODER.whole(map(TextDelta, WORDS))),
            DONE,
        ),
    ),
    "single-newlines": Habit(
        "one newline between events",
        lambda _: replace(
            answer(WORDS),
            body=tuple(step.replace(b"\n\n", b"\n") for step in (*_pieces(), *_end())),
        ),
    ),
    # Answers without text
    "empty": Habit("an answer without a word", _always(says(""), *_end())),
    "images": Habit(
        "a picture",
        _always(says("", images=[{"type": "image_url", "image_url": {"url": _PNG}}]), *_end()),
    ),
    "audio": Habit(
        "speech", _always(chunk({"audio": {"id": "a", "transcript": "Hello"}}), *_end())
    ),
}

HABITS_HELP = "\n".join(f"- `/lab {name}`: {habit.about}" for name, habit in HABITS.items())
