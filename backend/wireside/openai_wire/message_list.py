"""Collects the messages of a request, with the results of tools in their calls. No I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from wireside.messages import Message, Role
from wireside.openai_wire.fields import BadField
from wireside.parts import Part, ToolCallPart

MAX_PARTS: Final = 10_000
"""Maximum number of parts, tool calls included, in all messages of a request."""


class MessageList:
    """The messages of a request in their order. Adding a result takes constant time.

    Args:
        param: the name of the field that has the messages, for errors.
    """

    def __init__(self, param: str) -> None:
        self._param = param
        self._messages: list[tuple[Role, list[Part]]] = []
        self._count = 0
        self._open: dict[str, list[tuple[int, deque[int]]]] = {}
        """By id of a call: the messages with such calls without a result, and their places."""
        self._with_results: set[int] = set()

    def add_message(self, role: Role, parts: Iterable[Part]) -> None:
        """Add a message. Raises ``BadField`` if there are too many parts."""
        self._messages.append((role, []))
        self._extend(parts)

    def add_call(self, call: ToolCallPart) -> None:
        """Add a call to the answer before it, or as an answer of its own. Raises ``BadField``."""
        last = len(self._messages) - 1
        if last >= 0 and self._messages[last][0] == "assistant" and last not in self._with_results:
            self._extend((call,))
        else:
            self.add_message("assistant", (call,))

    def add_result(self, call_id: str, result: str) -> bool:
        """Put a result into the latest request of a tool with that id; return if any is open."""
        waiting = self._open.get(call_id)
        if not waiting:
            return False
        index, places = waiting[-1]
        place = places.popleft()
        if not places:
            waiting.pop()
        parts = self._messages[index][1]
        call = parts[place]
        assert isinstance(call, ToolCallPart)  # `_open` has the places of calls
        parts[place] = replace(call, state="done", result=result)
        self._with_results.add(index)
        return True

    def messages(self) -> tuple[Message, ...]:
        """Return the messages."""
        return tuple(Message(role, tuple(parts)) for role, parts in self._messages)

    def _extend(self, added: Iterable[Part]) -> None:
        """Add parts to the last message."""
        index = len(self._messages) - 1
        parts = self._messages[index][1]
        for part in added:
            if self._count == MAX_PARTS:
                raise BadField(self._param, f"have more than {MAX_PARTS:,} parts in all")
            self._count += 1
            if isinstance(part, ToolCallPart):
                self._record_call(index, len(parts), part)
            parts.append(part)

    def _record_call(self, index: int, place: int, call: ToolCallPart) -> None:
        if call.result is not None:
            self._with_results.add(index)
            return
        waiting = self._open.setdefault(call.call, [])
        if not waiting or waiting[-1][0] != index:
            waiting.append((index, deque()))
        waiting[-1][1].append(place)
