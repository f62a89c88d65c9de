"""Writes a response (``/v1/responses``) and its events from the log of an answer. No I/O.

The sequence number of an event follows from its offset in the answer: events at an offset count up
from ``STEP`` times the offset. It is therefore the same for each reader, in each of which the text
may be cut elsewhere, and after a restart; numbers increase, with gaps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, assert_never

from wireside.messages import (
    End,
    Entry,
    FinishReason,
    PartDelta,
    ReasoningDelta,
    TextDelta,
    ToolDelta,
    Usage,
)
from wireside.openai_wire.encode import Document, encode_text, event
from wireside.parts import Attachment

STEP: Final = 16
"""Maximum number of events at one offset."""

SERVER_LABEL: Final = "wireside"
"""Names the server's own tools, which are items of the type ``mcp_call``."""

TERMINAL: Final = {
    "completed": "response.completed",
    "failed": "response.failed",
    "incomplete": "response.incomplete",
    "cancelled": "response.incomplete",
}
"""The last event of a response by its status; the API has none for a cancelled one."""

INCOMPLETE: Final[dict[FinishReason | None, str]] = {
    "length": "max_output_tokens",
    "content_filter": "content_filter",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PartWriter:
    """Represents parts that the API does not have.

    Attributes:
        text_for: returns the text of a part, "" for none.
        citation_for: returns ``url`` and ``title`` of a source, None for any other part.
    """

    text_for: Callable[[Attachment], str]
    citation_for: Callable[[Attachment], Document | None]


@dataclass(slots=True)
class _Item:
    """An item of the output."""

    kind: str
    id: str
    index: int
    texts: list[str] = field(default_factory=list)
    annotations: list[Document] = field(default_factory=list)
    fields: Document = field(default_factory=dict)

    @property
    def text(self) -> str:
        return "".join(self.texts)

    def document(self, status: str) -> Document:
        """Return the item in its present state."""
        base = {"id": self.id, "type": self.kind, "status": status}
        match self.kind:
            case "message":
                content = [self.text_part()] if self.texts or status != "in_progress" else []
                return {**base, "role": "assistant", "content": content}
            case "reasoning":
                content = [{"type": "reasoning_text", "text": self.text}] if self.texts else []
                return {**base, "summary": [], "content": content}
            case _:
                return {**base, **self.fields}

    def text_part(self) -> Document:
        return {
            "type": "output_text",
            "text": self.text,
            "annotations": self.annotations,
            "logprobs": [],
        }


class ResponseEncoder:
    """Writes the events of one response.

    Args:
        response_id: id of the response.
        base: the fields of the response that do not change.
        parts: represents parts that the API does not have.
        after: events up to this sequence number are not written.
    """

    def __init__(
        self, response_id: str, base: Mapping[str, Any], parts: PartWriter, *, after: int = -1
    ) -> None:
        self._id = response_id
        self._base = base
        self._parts = parts
        self._after = after
        self._items: list[_Item] = []
        self._open: _Item | None = None
        self._calls = 0
        self._running: dict[str, _Item] = {}
        self._has_output = False
        self._position = 0
        self._number = -1
        self._out: list[bytes] = []
        self._around_delta = (b"", b"")

    def begin(self) -> bytes:
        """Return the first events."""
        for kind in ("response.created", "response.in_progress"):
            self._emit(kind, response=self.response(None))
        return self._take()

    def write(self, entry: Entry, offset: int) -> bytes:
        """Return the events of an entry; ``offset`` is the position after it."""
        match entry:
            case TextDelta(text):
                self._add_text(text, offset)
            case ReasoningDelta(text):
                self._add_reasoning(text, offset)
            case ToolDelta():
                self._add_call(entry, offset)
            case PartDelta(part):
                self._add_part(part, offset)
            case _:
                assert_never(entry)
        self._move_to(offset)
        return self._take()

    def end(self, end: End) -> bytes:
        """Return the last events."""
        self._close_item()
        self._running.clear()
        response = self.response(end)
        self._emit(TERMINAL[response["status"]], response=response)
        return self._take()

    def response(self, end: End | None) -> Document:
        """Return the response in its present state; ``end`` is None while it is written."""
        status = status_of(end)
        is_done = end is not None
        return {
            **self._base,
            "id": self._id,
            "object": "response",
            "status": status,
            "error": _error(end),
            "incomplete_details": _incomplete(end),
            "output": [
                item.document("completed" if is_done else "in_progress") for item in self._items
            ],
            "usage": None if end is None else _usage(end.usage),
        }

    # ---- entries -------------------------------------------------------------------------------

    def _add_text(self, text: str, offset: int) -> None:
        if not text:
            return
        item = self._item_of("message")
        item.texts.append(text)
        self._move_to(offset)
        self._emit_delta(text)

    def _add_reasoning(self, text: str, offset: int) -> None:
        item = self._item_of("reasoning")
        item.texts.append(text)
        self._move_to(offset)
        self._emit_delta(text)

    def _add_part(self, part: Attachment, offset: int) -> None:
        self._has_output = True
        if text := self._parts.text_for(part):
            self._add_text(text, offset)
        elif citation := self._parts.citation_for(part):
            item = self._item_of("message")
            place = len(item.text)
            annotation = {
                **citation, "type": "url_citation", "start_index": place, "end_index": place,
            }  # fmt: skip
            item.annotations.append(annotation)
            self._emit(
                "response.output_text.annotation.added",
                item_id=item.id,
                output_index=item.index,
                content_index=0,
                annotation_index=len(item.annotations) - 1,
                annotation=annotation,
            )

    def _add_call(self, call: ToolDelta, offset: int) -> None:
        if call.state == "requested":
            self._add_requested(call, offset)
        elif call.state == "running" or call.call in self._running or self._has_output:
            self._add_own_call(call)
        # else it is a result with which the client continues an earlier response

    def _add_requested(self, call: ToolDelta, offset: int) -> None:
        self._calls += 1
        fields = {
            "name": call.name,
            "call_id": call.call or f"call_{self._calls}",
            "arguments": "",
        }
        item = self._new_item("function_call", fields)
        self._move_to(offset)
        place: Document = {"item_id": item.id, "output_index": item.index}
        self._emit("response.function_call_arguments.delta", delta=call.arguments, **place)
        item.fields["arguments"] = call.arguments
        self._emit("response.function_call_arguments.done", arguments=call.arguments, **place)
        self._emit_done(item, "completed")

    def _add_own_call(self, call: ToolDelta) -> None:
        """Write a state of a call that the server itself runs."""
        item = self._running.get(call.call)
        if item is None:
            fields = {
                "name": call.name,
                "arguments": call.arguments,
                "server_label": SERVER_LABEL,
                "output": None,
                "error": None,
            }
            item = self._running[call.call] = self._new_item("mcp_call", fields)
        if call.state == "running":
            return
        del self._running[call.call]
        item.fields["output" if call.state == "done" else "error"] = call.result
        self._emit_done(item, "completed" if call.state == "done" else "failed")

    # ---- items ---------------------------------------------------------------------------------

    def _item_of(self, kind: str) -> _Item:
        """Return the open item if it is of that kind, else a new one."""
        if self._open is not None and self._open.kind == kind:
            return self._open
        item = self._new_item(kind, {})
        self._open = item
        place = {"item_id": item.id, "output_index": item.index, "content_index": 0}
        name = "output_text" if kind == "message" else "reasoning_text"
        part: Document = {"type": name, "text": ""}
        if kind == "message":
            part |= {"annotations": [], "logprobs": []}
        self._emit("response.content_part.added", part=part, **place)
        self._around_delta = _halves(
            f"response.{name}.delta", place, has_logprobs=kind == "message"
        )
        return item

    def _new_item(self, kind: str, fields: Document) -> _Item:
        self._close_item()
        self._has_output = True
        index = len(self._items)
        prefix = {"message": "msg", "reasoning": "rs", "function_call": "fc"}.get(kind, "mcp")
        item = _Item(kind, f"{prefix}_{self._id.removeprefix('resp_')}_{index}", index)
        item.fields = fields
        self._items.append(item)
        self._emit(
            "response.output_item.added", output_index=index, item=item.document("in_progress")
        )
        return item

    def _close_item(self) -> None:
        item, self._open = self._open, None
        if item is None:
            return
        place = {"item_id": item.id, "output_index": item.index, "content_index": 0}
        if item.kind == "message":
            self._emit("response.output_text.done", text=item.text, logprobs=[], **place)
            part = item.text_part()
        else:
            self._emit("response.reasoning_text.done", text=item.text, **place)
            part = {"type": "reasoning_text", "text": item.text}
        self._emit("response.content_part.done", part=part, **place)
        self._emit_done(item, "completed")

    def _emit_done(self, item: _Item, status: str) -> None:
        self._emit("response.output_item.done", output_index=item.index, item=item.document(status))

    # ---- events --------------------------------------------------------------------------------

    def _move_to(self, offset: int) -> None:
        if offset != self._position:
            self._position, self._number = offset, -1

    def _next_number(self) -> int:
        self._number += 1
        return self._position * STEP + self._number

    def _emit(self, kind: str, **fields: object) -> None:
        number = self._next_number()
        if number > self._after:
            self._out.append(event({"type": kind, "sequence_number": number, **fields}, kind))

    def _emit_delta(self, text: str) -> None:
        """Write the event of each token: only its number and its text are encoded."""
        number = self._next_number()
        if number > self._after:
            before, after = self._around_delta
            self._out.append(b"%b%d%b%b}\n\n" % (before, number, after, encode_text(text)))

    def _take(self) -> bytes:
        data = b"".join(self._out)
        self._out.clear()
        return data


def _halves(kind: str, place: Document, *, has_logprobs: bool) -> tuple[bytes, bytes]:
    """Return what is written around the number of a delta's event, up to its text."""
    more = {**place, **({"logprobs": []} if has_logprobs else {})}
    data = event({"type": kind, "sequence_number": 0, **more, "delta": ""}, kind)
    before, after = data.removesuffix(b'""}\n\n').split(b'"sequence_number": 0')
    return before + b'"sequence_number": ', after


def status_of(end: End | None) -> str:
    """Return the status of a response."""
    if end is None:
        return "in_progress"
    if end.error is not None or end.reason == "interrupted":
        return "failed"
    if end.reason == "cancelled":
        return "cancelled"
    return "incomplete" if end.reason in INCOMPLETE else "completed"


def _error(end: End | None) -> Document | None:
    if end is None or status_of(end) != "failed":
        return None
    if end.error is None:
        return {"code": "server_error", "message": "The answer was interrupted."}
    is_limit = end.error.code in ("rate_limited", "provider_rate_limited")
    code = "rate_limit_exceeded" if is_limit else "server_error"
    return {"code": code, "message": str(end.error)}


def _incomplete(end: End | None) -> Document | None:
    reason = None if end is None else INCOMPLETE.get(end.reason)
    return None if reason is None else {"reason": reason}


def _usage(usage: Usage) -> Document | None:
    read, written = usage.input_tokens, usage.output_tokens
    if read is None or written is None:
        return None
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": read + written,
    }
