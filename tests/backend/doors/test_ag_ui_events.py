"""Any answer is encoded to events that AG-UI's verifier accepts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.backend.doors.drawn_answers import ends, pieces_of, questions, segments, text_of
from wireside.doors.ag_ui.events import EventEncoder
from wireside.doors.answers import ShownPieces
from wireside.generation.log import PartPiece, ToolPiece
from wireside.messages import End, Entry, PartDelta, ToolDelta
from wireside.parts import DataPart

STRINGS: dict[str, tuple[str, ...]] = {
    "RUN_STARTED": ("threadId", "runId", "protocolVersion"),
    "RUN_FINISHED": ("threadId", "runId"),
    "RUN_ERROR": ("message", "code"),
    "CUSTOM": ("name",),
    "TEXT_MESSAGE_START": ("messageId", "role"),
    "TEXT_MESSAGE_CONTENT": ("messageId", "delta"),
    "TEXT_MESSAGE_END": ("messageId",),
    "REASONING_START": ("messageId",),
    "REASONING_MESSAGE_START": ("messageId", "role"),
    "REASONING_MESSAGE_CONTENT": ("messageId", "delta"),
    "REASONING_MESSAGE_END": ("messageId",),
    "REASONING_END": ("messageId",),
    "TOOL_CALL_START": ("toolCallId", "toolCallName"),
    "TOOL_CALL_ARGS": ("toolCallId", "delta"),
    "TOOL_CALL_END": ("toolCallId",),
    "TOOL_CALL_RESULT": ("messageId", "toolCallId", "content"),
    "STEP_STARTED": ("stepName",),
    "STEP_FINISHED": ("stepName",),
    "ACTIVITY_SNAPSHOT": ("messageId", "activityType"),
    "STATE_SNAPSHOT": (),
}
"""The events of the door, with their fields that must be strings."""

OPENERS = {"TEXT_MESSAGE_START", "REASONING_START", "REASONING_MESSAGE_START", "TOOL_CALL_START"}


class Verifier:
    """Accepts events as ``verify.ts`` does, and collects the text."""

    def __init__(self) -> None:
        self.text = ""
        self.open: set[tuple[str, str]] = set()
        self.calls: set[str] = set()
        self.results: set[str] = set()
        self.is_over = False

    def receive(self, line: str) -> None:
        assert "\n" not in line
        assert not self.is_over
        event: dict[str, Any] = json.loads(line)
        kind = event["type"]
        for name in STRINGS[kind]:
            assert isinstance(event[name], str), (kind, name)
        family, _, what = kind.rpartition("_")
        named = event.get("messageId") if "MESSAGE" in kind or "REASONING" in kind else None
        key = (family, named or event.get("toolCallId") or event.get("stepName") or "")
        if kind in OPENERS or kind == "STEP_STARTED":
            assert key not in self.open
            self.open.add(key)
        elif what in ("CONTENT", "ARGS"):
            assert key in self.open
            assert event["delta"]
        elif what == "END" or kind == "STEP_FINISHED":
            self.open.remove(key)
        if kind == "TEXT_MESSAGE_CONTENT":
            self.text += event["delta"]
        elif kind == "TOOL_CALL_START":
            assert event["toolCallId"] not in self.calls
            self.calls.add(event["toolCallId"])
        elif kind == "TOOL_CALL_RESULT":
            assert event["toolCallId"] in self.calls
            assert event["messageId"] not in self.results
            self.results.add(event["messageId"])
        elif kind == "ACTIVITY_SNAPSHOT":
            assert isinstance(event["content"], dict)
        elif kind in ("RUN_FINISHED", "RUN_ERROR"):
            self.is_over = True
            assert kind == "RUN_ERROR" or not self.open
            outcome = event.get("outcome", {})
            assert outcome.get("type") != "interrupt" or outcome["interrupts"]


def encode(streams: Sequence[Sequence[Entry]], end: End, cut: int) -> list[str]:
    encoder = EventEncoder("t", "r")
    events = encoder.start()
    for number, entries in enumerate(streams):
        events += encoder.begin_segment(f"s{number}", {})
        shown = ShownPieces(sanitize=False)
        for pieces in pieces_of(entries, cut):
            events += encoder.encode_pieces(shown.add_pieces(pieces))
        events += encoder.end_segment()
    return events + encoder.finish(end, "lab")


@given(streams=segments, end=ends, cut=st.integers(1, 50))
def test_any_answer_is_accepted(streams: list[list[Entry]], end: End, cut: int) -> None:
    verifier = Verifier()
    for event in encode(streams, end, cut):
        verifier.receive(event)
    assert verifier.text == text_of(streams)
    assert verifier.is_over


@given(part=questions())
def test_an_open_question_interrupts_the_run(part: DataPart) -> None:
    encoder = EventEncoder("t", "r")
    encoder.begin_segment("s", {})
    encoder.encode_pieces([PartPiece(PartDelta(part), 1)])
    last = json.loads(encoder.finish(End("asking"), "lab")[0])
    is_open = json.loads(part.data)["answer"] is None
    assert (last["outcome"]["type"] == "interrupt") == is_open


def test_a_call_that_waits_for_approval_gets_its_result_in_the_next_run() -> None:
    encoder = EventEncoder("t", "r")
    encoder.begin_segment("s1", {})
    encoder.encode_pieces([ToolPiece(ToolDelta("c", "add", "running", "{}"), 1)])
    encoder.end_segment()
    encoder.begin_segment("s2", {})
    (event,) = encoder.encode_pieces([ToolPiece(ToolDelta("c", "add", "done", "{}", "2"), 1)])
    assert json.loads(event)["type"] == "TOOL_CALL_RESULT"
