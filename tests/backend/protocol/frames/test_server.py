"""Frames of the server: their bytes on the wire, and what a client reads of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wireside.errors import (
    BadJson,
    BadMessage,
    NotFound,
    ProviderTimeout,
    RateLimited,
    WiresideError,
)
from wireside.messages import Usage
from wireside.protocol.frames import (
    BatchDoneFrame,
    ChunkFrame,
    DoneFrame,
    ErrorFrame,
    KeepaliveReply,
    Level,
    PartFrame,
    PongFrame,
    ReasoningFrame,
    ResumedFrame,
    ServerFrame,
    StartFrame,
    ToolFrame,
    UnknownFrame,
    encode_chunk,
    parse_server_frame,
)

PROTOCOL = Path(__file__).parents[4] / "docs" / "protocol.md"

ids = st.text("aZ09_-.:", min_size=1, max_size=64)
texts = st.text(max_size=40)
offsets = st.integers(0, 2**53 - 1)
indexes = st.none() | st.integers(0, 19)
tokens = st.none() | offsets

frames = st.one_of(
    st.builds(ChunkFrame, content=texts),
    st.builds(ChunkFrame, id=ids, content=texts, offset=offsets, index=indexes),
    st.builds(ReasoningFrame, id=ids, content=texts, offset=offsets, index=indexes),
    st.builds(BatchDoneFrame, id=ids, done=offsets, failed=offsets, cancelled=offsets),
    st.builds(
        ToolFrame,
        id=ids,
        offset=offsets,
        name=texts,
        call=texts,
        state=st.sampled_from(["running", "done", "failed", "of a newer server"]),
        arguments=texts,
        result=st.none() | texts,
        truncated=st.booleans(),
        index=indexes,
    ),
    st.builds(
        PartFrame,
        id=ids,
        offset=offsets,
        kind=texts,
        part=texts,
        text=texts,
        data=st.none() | st.just({"a": [1, None]}),
        truncated=st.booleans(),
        index=indexes,
    ),
    st.builds(
        StartFrame, id=ids, stream=texts, model=texts, conversation=st.none() | texts, index=indexes
    ),
    st.builds(ResumedFrame, id=ids, stream=texts, head=offsets, state=texts, index=indexes),
    st.just(DoneFrame()),
    st.builds(
        DoneFrame,
        id=ids,
        offset=offsets,
        reason=texts,
        usage=st.builds(Usage, tokens, tokens),
        index=indexes,
    ),
    st.builds(ErrorFrame, message=texts),
    st.builds(
        ErrorFrame,
        id=st.none() | ids,
        message=texts,
        code=texts,
        retryable=st.booleans(),
        retry_after=st.none() | st.floats(0, 1e6),
        index=indexes,
    ),
    st.builds(
        PongFrame,
        t=st.one_of(
            st.none(),
            st.text(max_size=256),
            st.integers(-(10**255), 10**255),
            st.floats(allow_nan=False, allow_infinity=False),
        ),
    ),
    st.sampled_from(["pong", "PONG", "__pong__", '"pong"']).map(
        lambda text: KeepaliveReply(text=text)
    ),
    st.builds(
        lambda content: UnknownFrame(
            type="newer", text=json.dumps({"type": "newer", "content": content})
        ),
        texts,
    ),
)


@given(frames)
def test_an_encoded_frame_is_parsed_as_the_same_value(frame: ServerFrame) -> None:
    assert parse_server_frame(frame.encode()) == frame


@given(frames.filter(lambda frame: not isinstance(frame, KeepaliveReply)))
def test_the_keys_of_a_newer_server_are_ignored(frame: ServerFrame) -> None:
    fields = json.loads(frame.encode()) | {"newer": {"type": [1, None]}}
    if isinstance(frame, UnknownFrame):
        frame = UnknownFrame(type=frame.type, text=json.dumps(fields))
    assert parse_server_frame(json.dumps(fields)) == frame


@given(frames)
def test_the_text_is_one_json_object_without_nulls(frame: ServerFrame) -> None:
    if isinstance(frame, KeepaliveReply | UnknownFrame):
        return
    fields = json.loads(frame.encode())
    assert fields["type"] == frame.type
    assert None not in fields.values()


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        (ChunkFrame(content="é"), '{"type":"chunk","content":"é"}'),
        (
            ChunkFrame(id="q", content='"', offset=7),
            '{"type":"chunk","id":"q","content":"\\"","offset":7}',
        ),
        (
            ReasoningFrame(id="q", content="hm", offset=2),
            '{"type":"reasoning","id":"q","content":"hm","offset":2}',
        ),
        (
            ToolFrame(id="q", offset=3, name="n", call="c", state="running", arguments=""),
            (
                '{"type":"tool","id":"q","offset":3,"name":"n","call":"c","state":"running",'
                '"arguments":""}'
            ),
        ),
        (
            ToolFrame(
                id="q",
                offset=3,
                name="n",
                call="c",
                state="done",
                arguments="{}",
                result="",
                truncated=True,
            ),
            (
                '{"type":"tool","id":"q","offset":3,"name":"n","call":"c","state":"done",'
                '"arguments":"{}","result":"","truncated":true}'
            ),
        ),
        (
            StartFrame(id="q", stream="s", model="m", conversation="k", index=0),
            '{"type":"start","id":"q","stream":"s","model":"m","conversation":"k","index":0}',
        ),
        (
            ResumedFrame(id="q", stream="s", head=0, state="live"),
            '{"type":"resumed","id":"q","stream":"s","head":0,"state":"live"}',
        ),
        (DoneFrame(), '{"type":"done"}'),
        (
            ChunkFrame(id="q", content="a", offset=7, index=0),
            '{"type":"chunk","id":"q","content":"a","offset":7,"index":0}',
        ),
        (
            BatchDoneFrame(id="q", done=3, failed=0, cancelled=1),
            '{"type":"batch_done","id":"q","done":3,"failed":0,"cancelled":1}',
        ),
        (
            DoneFrame(id="q", offset=0, reason="stop", usage=Usage(3), index=1),
            (
                '{"type":"done","id":"q","offset":0,"reason":"stop",'
                '"usage":{"input_tokens":3,"output_tokens":null},"index":1}'
            ),
        ),
        (
            ErrorFrame.of(RateLimited(retry_after=1.5), level=2, id="q", index=2),
            (
                '{"type":"error","id":"q","message":"Rate limit exceeded","code":"rate_limited",'
                '"retryable":true,"retry_after":1.5,"index":2}'
            ),
        ),
        (
            ErrorFrame.of(NotFound("No."), level=2),
            '{"type":"error","message":"No.","code":"not_found","retryable":false}',
        ),
        (
            ErrorFrame.of(NotFound("No."), level=1, id="q", index=2),
            '{"type":"error","message":"No."}',
        ),
        (PongFrame(), '{"type":"pong"}'),
        (PongFrame(t=0), '{"type":"pong","t":0}'),
    ],
)
def test_the_bytes_on_the_wire(frame: ServerFrame, text: str) -> None:
    assert frame.encode() == text
    assert parse_server_frame(text) == frame


@given(st.none() | ids, texts, offsets, indexes)
def test_the_fast_path_for_chunks_writes_the_same(
    request_id: str | None, content: str, offset: int, index: int | None
) -> None:
    chunk = ChunkFrame(content=content)
    if request_id is not None:
        chunk = ChunkFrame(id=request_id, content=content, offset=offset, index=index)
    assert encode_chunk(request_id, content, offset, index) == chunk.encode()


@pytest.mark.parametrize("level", [1, 2])
def test_a_long_sentence_is_cut(level: Level) -> None:
    error = ErrorFrame.of(ProviderTimeout("x" * 501), level=level)
    assert error.message == "x" * 500 + "…"


class TestParsing:
    def test_keys_may_have_any_order(self) -> None:
        text = '{"offset": 1, "content": "a", "id": "q", "type": "chunk"}'
        assert parse_server_frame(text) == ChunkFrame(id="q", content="a", offset=1)

    @pytest.mark.parametrize("text", ['{"type":"newer"}', '{"a":[{}],"type":"newer","content":7}'])
    def test_an_unknown_type_is_no_error(self, text: str) -> None:
        assert parse_server_frame(text) == UnknownFrame(type="newer", text=text)

    @pytest.mark.parametrize("text", ["", "hello", "{", '{"type":"chunk"', '"\\ud800"', "\ud800"])
    def test_what_is_not_json_is_refused(self, text: str) -> None:
        with pytest.raises(BadJson):
            parse_server_frame(text)

    @pytest.mark.parametrize(
        "text",
        [
            *("[]", "7", "{}", '{"type":7}', '{"type":null}', '{"type":"chunk"}'),
            *('{"type":"chunk","content":7}', '{"type":"start","id":"q"}'),
            *('{"type":"done","usage":"none"}', '{"type":"error","message":"x","index":"0"}'),
        ],
    )
    def test_an_invalid_field_is_refused(self, text: str) -> None:
        with pytest.raises(BadMessage):
            parse_server_frame(text)

    @pytest.mark.parametrize("key", ["type", "new"])
    def test_deep_nesting_is_refused(self, key: str) -> None:
        with pytest.raises(BadJson):
            parse_server_frame(f'{{"{key}":{"[" * 100_000}')

    @given(st.text(max_size=60) | st.text('{}[]":,typechunkdone1 ', max_size=40))
    def test_any_text_is_parsed_or_refused(self, text: str) -> None:
        try:
            frame = parse_server_frame(text)
        except WiresideError:
            return
        assert parse_server_frame(frame.encode()) == frame


class TestCutTools:
    @pytest.mark.parametrize("max_bytes", [1_024, 8_000])
    def test_a_part_that_does_not_fit_has_no_data_and_says_so(self, max_bytes: int) -> None:
        part = PartFrame(
            id="q",
            offset=1,
            kind="table",
            part="1",
            text="\u00e9<" * 9_000,
            data={"rows": [1]},
        )
        cut = part.cut_to(max_bytes)
        assert max_bytes - 100 < len(cut.encode().encode()) <= max_bytes
        assert cut.truncated
        assert cut.data is None
        assert part.text.startswith(cut.text)
        assert part.cut_to(1_000_000) is part

    def test_a_tool_that_fits_is_unchanged(self) -> None:
        tool = ToolFrame(
            id="q", offset=1, name="n", call="c", state="done", arguments="{}", result="r"
        )
        assert tool.cut_to(8_000) is tool

    @pytest.mark.parametrize("filler", ["x", "\0", "字"])
    def test_a_tool_that_does_not_fit_is_cut_and_says_so(self, filler: str) -> None:
        text = filler * 20_000
        tool = ToolFrame(
            id="q", offset=1, name="n", call="c", state="done", arguments=text, result=text
        ).cut_to(8_000)
        assert 7_000 < len(tool.encode().encode()) <= 8_000
        assert tool.truncated
        assert tool.result
        assert text.startswith(tool.result)

    @given(st.text(max_size=300), st.none() | st.text(max_size=300), st.integers(150, 2_000))
    def test_a_cut_tool_keeps_the_beginning(
        self, arguments: str, result: str | None, max_bytes: int
    ) -> None:
        tool = ToolFrame(
            id="q", offset=1, name="n", call="c", state="done", arguments=arguments, result=result
        )
        cut = tool.cut_to(max_bytes)
        assert len(cut.encode().encode()) <= max_bytes
        assert cut.truncated == (cut != tool)
        assert arguments.startswith(cut.arguments)
        assert (cut.result is None) == (result is None)
        assert result is None or result.startswith(cut.result or "")


def test_the_documented_keys_are_those_of_the_values() -> None:
    """The table "Server to client" of docs/protocol.md names every frame and every key."""
    table = (
        PROTOCOL.read_text("utf-8").partition("## Server to client")[2].partition("\n\nClients")[0]
    )
    rows = [row.split("|")[1:] for row in table.splitlines() if row.startswith("| `")]
    documented = {row[0].strip(" `"): {*_keys(row[1]), *_keys(row[2])} for row in rows[1:]}
    classes = (
        ChunkFrame,
        ReasoningFrame,
        ToolFrame,
        PartFrame,
        StartFrame,
        ResumedFrame,
        DoneFrame,
        ErrorFrame,
        BatchDoneFrame,
        PongFrame,
    )
    written = {str(frame.__struct_config__.tag): set(frame.__struct_fields__) for frame in classes}
    assert documented == written


def _keys(cell: str) -> list[str]:
    """Return the keys of a table's cell, which are followed by explanations in parentheses."""
    return re.findall(r"`(\w+)`", re.sub(r"\([^()]*\)", "", cell).partition(": ")[0])
