"""What ``encode`` writes, ``decode`` and the model list's parser read."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from wireside.messages import (
    Delta,
    Finished,
    FinishReason,
    ModelInfo,
    ReasoningDelta,
    TextDelta,
    ToolDelta,
    Usage,
)
from wireside.openai_wire.decode import Completion
from wireside.openai_wire.encode import (
    DONE,
    CompletionEncoder,
    comment,
    error_body,
    event,
    model_list,
)
from wireside.openai_wire.errors import failure_for, is_error, problem_in
from wireside.openai_wire.sse import SseDecoder
from wireside.providers.model_list import models_in

ENCODER = CompletionEncoder(id="chatcmpl-1", model="gpt-1", created=1_700_000_000)

# without what ``decode`` interprets: the first characters of reasoning tags, and leading blanks
characters = st.characters(
    categories=["L", "N", "Mn"], exclude_characters="a", include_characters=' \n\t"\\{},.\0😀'
)
pieces = st.text(characters, min_size=1, max_size=20).filter(str.strip)
tokens = st.none() | st.integers(0, 2**40)
arguments = st.dictionaries(st.text("ab{", max_size=3), st.integers() | st.text()).map(json.dumps)


@st.composite
def answers(draw: st.DrawFn) -> list[Delta]:
    """Draw reasoning and text in any order, then tool calls, then the end."""
    deltas: list[Delta] = draw(
        st.lists(st.builds(TextDelta, pieces) | st.builds(ReasoningDelta, pieces), max_size=8)
    )
    for number in range(draw(st.integers(0, 3))):
        name = draw(st.text("ab_", min_size=1, max_size=9))
        deltas.append(ToolDelta(f"call_{number}", name, "requested", draw(arguments)))
    reasons: tuple[FinishReason, ...] = ("stop", "length", "content_filter")
    reason = draw(st.sampled_from(reasons))
    return [*deltas, Finished(reason, draw(st.builds(Usage, tokens, tokens)))]


def merged(deltas: Iterable[Delta]) -> list[Delta]:
    """Join adjacent deltas of text or of reasoning; leave out the end."""
    joined: list[Delta] = []
    for kind, group in groupby((d for d in deltas if not isinstance(d, Finished)), type):
        if kind is ToolDelta:
            joined += group
        else:
            texts = (d.text for d in group if isinstance(d, TextDelta | ReasoningDelta))
            joined.append(kind("".join(texts)))
    return joined


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(at % (len(data) + 1) for at in cuts)})
    return [data[a:b] for a, b in zip(edges, edges[1:], strict=False)]


@given(answers(), st.lists(st.integers(0, 10_000), max_size=6))
def test_a_streamed_answer_is_read_back(answer: list[Delta], cuts: list[int]) -> None:
    data = b"".join(map(event, ENCODER.chunks(answer))) + DONE
    completion = Completion()
    deltas = [delta for piece in cut(data, cuts) for delta in completion.feed(piece)]
    deltas += completion.flush()
    assert merged(deltas) == merged(answer)
    assert_ended(completion, answer)


@given(answers())
def test_a_whole_answer_is_read_back(answer: list[Delta]) -> None:
    completion = Completion()
    deltas = completion.whole(json.dumps(ENCODER.whole(answer)).encode())
    for kind in (TextDelta, ReasoningDelta, ToolDelta):
        only = [delta for delta in answer if isinstance(delta, kind)]
        assert merged(delta for delta in deltas if isinstance(delta, kind)) == merged(only)
    assert_ended(completion, answer)


def assert_ended(completion: Completion, answer: list[Delta]) -> None:
    end = answer[-1]
    assert isinstance(end, Finished)
    assert completion.failure is None
    assert (completion.reason, completion.usage) == (end.reason, end.usage)
    assert (completion.id, completion.model) == ("chatcmpl-1", "gpt-1")


def test_the_shape_of_a_chunk_is_openais() -> None:
    assert ENCODER.text("é") == {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": "gpt-1",
        "choices": [
            {"index": 0, "delta": {"content": "é"}, "logprobs": None, "finish_reason": None}
        ],
    }
    assert ENCODER.usage(Usage(7, 2)) | {"choices": []} == ENCODER.usage(Usage(7, 2))
    assert ENCODER.usage(Usage(7, 2))["usage"] == {
        "prompt_tokens": 7,
        "completion_tokens": 2,
        "total_tokens": 9,
    }


def test_a_tool_call_may_be_cut_in_its_arguments() -> None:
    call = ToolDelta("c", "weather", "requested", '{"city": "Zürich"}')
    chunks = ENCODER.tool_call(0, call, pieces=['{"ci', 'ty": "Zür', 'ich"}'])
    completion = Completion()
    assert completion.feed(b"".join(map(event, [*chunks, ENCODER.finish("tool_calls")]))) == []
    assert completion.flush() == [call]


def test_proposed_tool_calls_are_the_reason_of_the_end() -> None:
    answer: list[Delta] = [ToolDelta("c", "n", "done", "{}"), Finished("stop")]
    *_, end, _ = ENCODER.chunks(answer)
    assert end["choices"][0]["finish_reason"] == "tool_calls"
    assert ENCODER.whole(answer)["choices"][0]["finish_reason"] == "tool_calls"


def test_events() -> None:
    assert event({"a": "é\n"}) == 'data: {"a": "é\\n"}\n\n'.encode()
    assert event("as it is", "error") == b"event: error\ndata: as it is\n\n"
    decoder = SseDecoder()
    assert decoder.feed(comment("keep-alive") + event({})) == SseDecoder().feed(event({}))


def test_an_error_body_is_read_back() -> None:
    body = error_body("No such model.", kind="invalid_request_error", code="model_not_found")
    assert is_error(body)
    assert problem_in(body).text == "No such model."
    assert failure_for(404, problem_in(body), model="m").error.code == "unknown_model"


def test_a_model_list_is_read_back() -> None:
    models = [ModelInfo(id="a", name="a", owner="lab"), ModelInfo(id="b", name="b", owner="")]
    found = models_in(json.dumps(model_list(models, created=7)).encode())
    assert [(model.id, model.owner or "") for model in found] == [("a", "lab"), ("b", "")]
