"""The schemas of the server's frames: each sent frame fits them, of each level and kind of part."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from jsonschema import Draft7Validator, Draft202012Validator

from tests.backend.protocol.frames.test_server import frames
from wireside import AskText, Chat, Choose, Source, Table, Turn
from wireside.extension.parts import File, Image, StepPart, View
from wireside.messages import TextDelta
from wireside.protocol.contract import schema_document, server_schemas
from wireside.protocol.contract.examples import SERVER
from wireside.protocol.contract.part_schemas import PART_DATA
from wireside.protocol.frames import KeepaliveReply, ServerFrame, UnknownFrame, parse_server_frame
from wireside.tester import ChatTester

DOCUMENT = schema_document("Frames of the server", server_schemas())


@cache
def validator(name: str | None = None) -> Draft202012Validator:
    """Return the validator of a frame by name, by default of any frame."""
    wanted = DOCUMENT["anyOf"] if name is None else [{"$ref": f"#/$defs/{name}"}]
    return Draft202012Validator({**DOCUMENT, "anyOf": wanted})


def test_the_document_is_json_schema_of_two_drafts() -> None:
    Draft202012Validator.check_schema(DOCUMENT)
    Draft7Validator.check_schema(DOCUMENT)


@pytest.mark.parametrize("name", SERVER)
def test_examples_are_valid_and_read_by_clients(name: str) -> None:
    for example in SERVER[name]:
        validator(name).validate(example)
        assert parse_server_frame(json.dumps(example)).type == example["type"]


@given(frames)
def test_what_a_value_encodes_is_valid(frame: ServerFrame) -> None:
    if isinstance(frame, KeepaliveReply):
        return
    sent = json.loads(frame.encode())
    if isinstance(frame, UnknownFrame):
        validator("UnknownFrame").validate(sent)
        return
    is_level_1 = set(sent) <= {"type", "message"} or set(sent) == {"type", "content"}
    level = "Level1" if is_level_1 and sent["type"] != "pong" else ""
    name = sent["type"].title().replace("_", "")
    validator(name + level).validate(sent)
    assert validator().is_valid(sent)


@pytest.mark.parametrize(
    "invalid",
    [
        {"type": "chunk"},
        {"type": "chunk", "content": "a", "offset": 1},
        {"type": "chunk", "content": "a", "newer": 1},
        {"type": "chunk", "id": None, "content": "a", "offset": 1},
        {"type": "done", "id": "q"},
        {"type": "done", "reason": "stop"},
        {"type": "error", "message": "a", "code": "b"},
        {"type": "tool", "id": "q", "offset": 1, "name": "a", "call": "b", "state": "done"},
        {"type": "part", "id": "q", "offset": 1, "kind": "source", "data": {"title": "a"}},
        {"type": "start", "id": "q", "stream": "s"},
        {"content": "a"},
    ],
)
def test_what_is_no_frame_is_refused(invalid: dict[str, Any]) -> None:
    assert not validator().is_valid(invalid)


@pytest.mark.parametrize("name", [name for name in SERVER if name.endswith("Level1")])
def test_level_1_has_no_other_keys(name: str) -> None:
    for example in SERVER[name]:
        assert not validator(name).is_valid({**example, "newer": 1})


PIXEL = (
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\6\0\0\0\x1f\x15\xc4\x89\0\0\0\rIDATx\xdac"
    b"\xfc\xcf\xc0P\x0f\0\x04\x85\x01\x80\x84\xa9\x8c!\0\0\0\0IEND\xaeB`\x82"
)


async def test_an_answer_with_every_part_is_valid() -> None:
    """Frames of a conversation with every kind of part, as a session sends them."""
    chat = Chat()

    @chat.view
    def board() -> None:
        """Build nothing: the view is shown elsewhere."""

    @chat.on_message
    async def reply(turn: Turn) -> Any:
        yield TextDelta("Look: ")
        yield StepPart(id="s", name="search")
        yield StepPart(id="s", name="search", state="done", seconds=0.1)
        yield Source("A page", "https://example.org")
        yield Table(columns=["a"], rows=[[1], ["b"], [None], [True]])
        yield Image(data=PIXEL)
        yield File(b"a", "a.txt")
        yield View("board", {})
        await turn.ask(Choose("Which?", ["a", "b"]))
        yield await turn.ask(AskText("What else?"))

    async with ChatTester(chat, door="socket") as tester:
        replies = [await tester.ask("Hi"), await tester.answer(["a"]), await tester.answer("no")]
    sent = [frame for reply in replies for frame in reply.frames]
    for frame in sent:
        validator().validate(frame)
    assert {frame["type"] for frame in sent} == {"start", "chunk", "part", "done"}
    kinds = {frame["kind"] for frame in sent if frame["type"] == "part"}
    assert kinds == set(PART_DATA) - {"figure"}  # it needs Plotly
