"""Ids of tool calls that are unique within an answer. Pure.

The calls of each stream of an answer are its own, except for those that a stream before it has left
running or requested, as when the user was asked for approval or the client runs the tool: model
services use an id again.
"""

from __future__ import annotations

from wireside.messages import ToolDelta


class ToolIds:
    """The ids of one answer's calls, for the client."""

    def __init__(self) -> None:
        self._segment = -1
        self._current: dict[str, str] = {}
        self._left_open: dict[tuple[str, str, str], str] = {}
        self._unfinished: dict[str, tuple[str, str, str]] = {}
        self._used: set[str] = set()

    def begin_segment(self) -> None:
        """Begin the next stream of the answer."""
        self._segment += 1
        self._left_open = {identity: tool for tool, identity in self._unfinished.items()}
        self._current = {}

    def id_of(self, delta: ToolDelta) -> str:
        """Return the id of a call, and record its state."""
        tool = self._current.get(delta.call) or self._left_open.pop(delta.identity, None)
        if tool is None:
            tool = delta.call
            while tool in self._used:
                tool = f"{tool}-{self._segment}"
            self._used.add(tool)
        self._current[delta.call] = tool
        if delta.state in ("running", "requested"):
            self._unfinished[tool] = delta.identity
        else:
            self._unfinished.pop(tool, None)
        return tool

    def reserve(self, tool: str) -> None:
        """Keep an id from being given to a call."""
        self._used.add(tool)
