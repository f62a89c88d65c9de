"""Writes the chat completions of OpenAI's API: deltas in, JSON documents and events out. No I/O.

``decode`` reads what this module writes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

import msgspec

from wireside.messages import (
    Delta,
    Finished,
    ModelInfo,
    PartDelta,
    ReasoningDelta,
    TextDelta,
    ToolDelta,
    Usage,
)

Document = dict[str, Any]

DONE = b"data: [DONE]\n\n"
"""The last event of a stream."""


def event(data: object, name: str = "") -> bytes:
    """Return a server-sent event. ``data`` becomes JSON; a string is sent as it is, in one line."""
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    return (f"event: {name}\n" if name else "").encode() + f"data: {text}\n\n".encode()


def encode_text(text: str) -> bytes:
    """Return a text as JSON."""
    try:
        return msgspec.json.encode(text)
    except UnicodeEncodeError:  # half of a surrogate pair
        return json.dumps(text).encode()


def comment(text: str) -> bytes:
    """Return a comment, which keeps a connection open and is ignored by clients."""
    return f": {text}\n\n".encode()


def error_body(
    message: str, *, kind: str, code: str | int | None = None, param: str | None = None
) -> Document:
    """Return the body of an error response. ``kind`` is its ``type``."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def model_list(models: Iterable[ModelInfo], *, created: int) -> Document:
    """Return the list of models; ``created`` is in Unix seconds."""
    entries = [
        {"id": model.id, "object": "model", "created": created, "owned_by": model.owner or ""}
        for model in models
    ]
    return {"object": "list", "data": entries}


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionEncoder:
    """Writes the chunks of one streamed answer, or the same answer as one document.

    Attributes:
        id: id of the answer.
        model: name of the model.
        created: Unix time in seconds.
        reasoning_field: field for reasoning, which OpenAI's API does not define.
    """

    id: str
    model: str
    created: int
    reasoning_field: str = "reasoning_content"

    def chunk(self, delta: object, finish: str | None = None, **choice: object) -> Document:
        """Return a chunk with any ``delta``; ``choice`` are further fields next to it."""
        choices = [
            {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish, **choice}
        ]
        return self._head("chat.completion.chunk", choices)

    def field_event(self, name: str) -> Callable[[str], bytes]:
        """Return a function that writes the event of a chunk with one text, such as "content".

        It is called for each token: only the text is encoded.
        """
        before, after = event(self.chunk({name: "\0"})).split(b'"\\u0000"')

        def write(text: str) -> bytes:
            return b"%b%b%b" % (before, encode_text(text), after)

        return write

    def opening(self) -> Document:
        """Return the first chunk, which names the role."""
        return self.chunk({"role": "assistant", "content": ""})

    def text(self, text: str) -> Document:
        """Return the chunk for a piece of text."""
        return self.chunk({"content": text})

    def reasoning(self, text: str) -> Document:
        """Return the chunk for a piece of reasoning."""
        return self.chunk({self.reasoning_field: text})

    def tool_call(self, index: int, call: ToolDelta, *, pieces: Sequence[str]) -> list[Document]:
        """Return the chunks for a tool call: its name, then ``pieces`` of its arguments."""
        function = {"name": call.name, "arguments": ""}
        calls: list[Document] = [
            {"index": index, "id": call.call, "type": "function", "function": function}
        ]
        calls += [{"index": index, "function": {"arguments": piece}} for piece in pieces]
        return [self.chunk({"tool_calls": [call]}) for call in calls]

    def finish(self, reason: str) -> Document:
        """Return the chunk with the finish reason."""
        return self.chunk({}, reason)

    def usage(self, usage: Usage) -> Document:
        """Return the chunk with the usage, which has no choices."""
        return {**self._head("chat.completion.chunk", []), "usage": usage_fields(usage)}

    def chunks(self, deltas: Iterable[Delta]) -> Iterator[Document]:
        """Yield the chunks of an answer.

        A tool call is written once, as the model proposed it; its result is not part of the API.
        """
        yield self.opening()
        calls = 0
        for delta in deltas:
            match delta:
                case TextDelta(text):
                    yield self.text(text)
                case ReasoningDelta(text):
                    yield self.reasoning(text)
                case ToolDelta():
                    yield from self.tool_call(calls, delta, pieces=[delta.arguments])
                    calls += 1
                case PartDelta():
                    pass  # not part of the API
                case Finished(reason, usage):
                    yield self.finish(_finish_reason(reason, calls))
                    yield self.usage(usage)
                case _:
                    assert_never(delta)

    def whole(self, deltas: Iterable[Delta]) -> Document:
        """Return the answer as one document, for a request without ``stream``."""
        texts: list[str] = []
        thoughts: list[str] = []
        calls: list[Document] = []
        end = Finished("stop")
        for delta in deltas:
            match delta:
                case TextDelta(text):
                    texts.append(text)
                case ReasoningDelta(text):
                    thoughts.append(text)
                case ToolDelta():
                    function = {"name": delta.name, "arguments": delta.arguments}
                    calls.append({"id": delta.call, "type": "function", "function": function})
                case PartDelta():
                    pass  # not part of the API
                case Finished():
                    end = delta
                case _:
                    assert_never(delta)
        message: Document = {"role": "assistant", "content": "".join(texts)}
        if thoughts:
            message[self.reasoning_field] = "".join(thoughts)
        if calls:
            message["tool_calls"] = calls
        choice = {
            "index": 0,
            "message": message,
            "logprobs": None,
            "finish_reason": _finish_reason(end.reason, len(calls)),
        }
        return {**self._head("chat.completion", [choice]), "usage": usage_fields(end.usage)}

    def _head(self, kind: str, choices: list[Document]) -> Document:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "choices": choices,
        }


def usage_fields(usage: Usage) -> Document:
    """Return the ``usage`` of an answer; the total is null if a part of it is not known."""
    sent, written = usage.input_tokens, usage.output_tokens
    total = None if sent is None or written is None else sent + written
    return {"prompt_tokens": sent, "completion_tokens": written, "total_tokens": total}


def _finish_reason(reason: str, calls: int) -> str:
    return "tool_calls" if calls and reason == "stop" else reason
