"""The tool calls of one answer of an agent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import Any

from wireside.messages import ToolDelta


class Calls:
    """The states of an agent's tool calls.

    An agent asks its model several times in one answer, and some services number the calls of each
    response from zero. Therefore a call whose id has been used is shown with another one.
    """

    def __init__(self) -> None:
        self._running: dict[str, ToolDelta] = {}
        self._times: dict[str, int] = {}

    def start(self, call_id: str, name: str, arguments: str) -> ToolDelta:
        """Return a call as running; the same again if it already runs."""
        if call_id not in self._running:
            times = self._times[call_id] = self._times.get(call_id, 0) + 1
            shown_id = call_id if times == 1 else f"{call_id}-{times}"
            self._running[call_id] = ToolDelta(shown_id, name, "running", arguments)
        return self._running[call_id]

    def end(self, call_id: str, result: str, *, failed: bool = False) -> Iterable[ToolDelta]:
        """Yield a call as done or failed; nothing if it does not run."""
        call = self._running.pop(call_id, None)
        if call is not None:
            yield replace(call, state="failed" if failed else "done", result=result)

    def to_object(self) -> dict[str, Any]:
        """Return the calls as JSON."""
        running = {call_id: asdict(call) for call_id, call in self._running.items()}
        return {"running": running, "times": self._times}

    def restore(self, saved: Any) -> None:
        """Read the calls of ``to_object``."""
        self._running = {call_id: ToolDelta(**call) for call_id, call in saved["running"].items()}
        self._times = dict(saved["times"])
