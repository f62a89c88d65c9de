"""Exports of other products become conversations: texts, reasoning, tools, branches, files."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wireside.errors import BadMessage
from wireside.messages import ReasoningDelta, TextDelta, ToolDelta
from wireside.records import Imported, TurnRecord
from wireside.transfer import imports

NOW = 1_800_000_000.0


def read(value: Any) -> imports.ImportResult:
    ids = count()
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return imports.read_conversations(data, new_id=lambda: f"new-{next(ids)}", now=NOW)


def the_one(value: Any) -> Imported:
    (imported,) = read(value).conversations
    return imported


def text_of(turn: TurnRecord) -> str:
    return "".join(
        entry.text
        for segment in turn.segments
        for entry in segment.entries
        if isinstance(entry, TextDelta)
    )


def reasoning_of(turn: TurnRecord) -> str:
    return "".join(
        entry.text
        for segment in turn.segments
        for entry in segment.entries
        if isinstance(entry, ReasoningDelta)
    ).strip()


def tools_of(turn: TurnRecord) -> list[tuple[str, str, str | None]]:
    return [
        (entry.name, entry.state, entry.result)
        for segment in turn.segments
        for entry in segment.entries
        if isinstance(entry, ToolDelta)
    ]


def talk(imported: Imported) -> list[tuple[str, str]]:
    return [(turn.question, text_of(turn)) for turn in imported.turns]


# ---- ChatGPT's marks ---------------------------------------------------------------------------


def mark(*fields: str) -> str:
    return "\ue200" + "\ue202".join(fields) + "\ue201"


PERSON = mark("entity", '["people", "Ada Example", 0]')
PLACE = mark("entity", '["place", "São Paulo"]')
PICTURES = mark("image_group", '{"query": ["a"]}')
BROKEN = mark("entity", '["people", "Ada"')


def chatgpt(text: str, **metadata: Any) -> dict[str, Any]:
    def message(role: str, part: str, more: dict[str, Any]) -> dict[str, Any]:
        content = {"content_type": "text", "parts": [part]}
        return {"author": {"role": role}, "content": content, "metadata": more}

    return {
        "title": "t",
        "mapping": {
            "q": {"id": "q", "parent": None, "message": message("user", "Question", {})},
            "a": {"id": "a", "parent": "q", "message": message("assistant", text, metadata)},
        },
        "current_node": "a",
    }


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        (f"By {PERSON}.", "By Ada Example."),
        (f"In {PLACE}.", "In São Paulo."),
        (f"See {mark('url', 'the page', 'turn0search1')}.", "See the page."),
        (f"See {mark('link_title', 'Der Bericht', 'turn12view0')}.", "See Der Bericht."),
        (f"So.{mark('cite', 'turn0search3', 'turn0search8')}", "So."),
        (f"So.{mark('filecite', 'turn0file2')}", "So."),
        (f"{PICTURES}Text", "Text"),
        (f"{mark('i', 'turn0image1')}Text", "Text"),
        ("An ingot. 【12†source】 See.", "An ingot.  See."),
        ("An ingot【3:0†report.pdf】.", "An ingot."),
        ("【重要】 stays", "【重要】 stays"),
        ("\ue200never closed", "\ue200never closed"),
        (f"{BROKEN}!", "!"),
    ],
)
def test_marks_of_chatgpt_show_what_a_reader_saw(written: str, seen: str) -> None:
    assert text_of(the_one(chatgpt(written)).turns[0]) == seen


def test_sources_of_citations_are_kept() -> None:
    cite, name = mark("cite", "turn0search3"), mark("entity", '["people", "Jane Doe", 0]')
    references = [
        {"matched_text": cite, "type": "grouped_webpages", "alt": "([E](https://e.example))"},
        {"matched_text": name, "type": "entity", "alt": None},
    ]
    (turn,) = the_one(chatgpt(f"By {name}. {cite}", content_references=references)).turns
    assert text_of(turn) == "By Jane Doe. ([E](https://e.example))"


@pytest.mark.parametrize(
    ("details", "reason"),
    [
        ({"type": "stop"}, "stop"),
        ({"type": "interrupted"}, "interrupted"),
        ({"type": "max_tokens"}, "length"),
        (None, "stop"),
    ],
)
def test_the_end_of_an_answer_of_chatgpt_is_kept(details: Any, reason: str) -> None:
    (turn,) = the_one(chatgpt("Text", finish_details=details)).turns
    assert turn.segments[0].end is not None
    assert turn.segments[0].end.reason == reason


def test_attachments_that_are_only_named_are_kept() -> None:
    value = chatgpt("Text")
    value["mapping"]["q"]["message"]["metadata"] = {
        "attachments": [{"name": "a.pdf", "mime_type": "application/pdf"}, {"name": "b.csv"}]
    }
    assert the_one(value).turns[0].question == "Question\n\n[file: a.pdf]\n\n[file: b.csv]"


@pytest.mark.parametrize(
    ("content", "result"),
    [
        ({"content_type": "tether_quote", "url": "https://x.example", "text": "quoted"}, "quoted"),
        ({"content_type": "citable_code_output", "output_str": "42"}, "42"),
        ({"content_type": "execution_output", "text": "43"}, "43"),
        ({"content_type": "computer_output", "screenshot": {"asset_pointer": "x"}}, "[image]"),
    ],
)
def test_results_of_tools_of_chatgpt_are_kept(content: dict[str, Any], result: str) -> None:
    value = chatgpt("Text")
    value["mapping"]["t"] = {
        "id": "t",
        "parent": "q",
        "message": {"author": {"role": "tool", "name": "web"}, "content": content},
    }
    value["mapping"]["a"]["parent"] = "t"
    imported = the_one(value)
    assert [result in (one or "") for _, _, one in tools_of(imported.turns[0])] == [True]
    assert imported.passed_over == 0


def test_what_can_not_be_kept_is_counted() -> None:
    value = chatgpt("Text")
    value["mapping"]["t"] = {
        "id": "t",
        "parent": "q",
        "message": {"author": {"role": "tool"}, "content": {"content_type": "new", "blob": [1]}},
    }
    value["mapping"]["a"]["parent"] = "t"
    assert the_one(value).passed_over == 1


# ---- Claude ------------------------------------------------------------------------------------


def claude(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    at = {"created_at": "2025-02-19T10:00:00Z", "updated_at": "2025-02-19T10:01:00Z"}
    return {"uuid": "c", "name": "A chat", **at, "chat_messages": list(messages), **more}


def test_a_chat_of_claude_becomes_turns() -> None:
    imported = the_one(
        [
            claude(
                {"uuid": "1", "sender": "human", "text": "Hi", "content": [],
                 "created_at": "2025-02-19T10:00:01Z", "attachments": [{"file_name": "a.txt"}]},
                {"uuid": "2", "sender": "assistant", "text": "…", "content": [
                    {"type": "thinking", "thinking": "greet back"},
                    {"type": "text", "text": "Hello!"},
                    {"type": "tool_use", "id": "t", "name": "search", "input": {"q": "x"}},
                    {"type": "tool_result", "tool_use_id": "t", "content": [{"text": "found"}]},
                    {"type": "text", "text": "Found."},
                    {"type": "token_budget"},
                ]},
                {"uuid": "3", "sender": "human", "text": "More"},
                {"uuid": "4", "sender": "assistant", "text": "Of course."},
            )
        ]
    )  # fmt: skip
    assert imported.info.title == "A chat"
    assert imported.info.created_at == 1739959200.0
    assert talk(imported) == [
        ("Hi\n\n[file: a.txt]", "Hello!\n\nFound."),
        ("More", "Of course."),
    ]
    first = imported.turns[0]
    assert reasoning_of(first) == "greet back"
    assert tools_of(first) == [("search", "running", None), ("search", "done", "found")]
    assert imported.passed_over == 0


def test_branches_of_claude_are_branches() -> None:
    imported = the_one(
        claude(
            {"uuid": "1", "sender": "human", "text": "Hi", "parent_message_uuid": "root"},
            {"uuid": "2", "sender": "assistant", "text": "One", "parent_message_uuid": "1"},
            {"uuid": "3", "sender": "assistant", "text": "Two", "parent_message_uuid": "1"},
            current_leaf_message_uuid="2",
        )
    )
    assert sorted(talk(imported)) == [("Hi", "One"), ("Hi", "Two")]
    shown = next(turn for turn in imported.turns if turn.branch == imported.shown)
    assert text_of(shown) == "One"


# ---- Open WebUI --------------------------------------------------------------------------------


def test_a_chat_of_open_webui_becomes_turns_with_branches() -> None:
    thought = (
        '<details type="reasoning" done="true" duration="2">\n<summary>Thought</summary>\n'
        "> 1 &lt; 2\n> so\n</details>\n"
    )
    tool = (
        '<details type="tool_calls" done="true" id="t" name="search" arguments="{&quot;q&quot;: 1}"'
        ' result="&quot;found&quot;">\n<summary>Tool</summary>\n</details>\n'
    )
    messages = {
        "m1": {"id": "m1", "parentId": None, "role": "user", "content": "Hi", "timestamp": 1.74e9},
        "m2": {"id": "m2", "parentId": "m1", "role": "assistant", "model": "llama",
               "content": f"{thought}Before.\n{tool}After.", "done": True},
        "m3": {"id": "m3", "parentId": "m1", "role": "assistant", "content": "Cut", "done": False},
    }  # fmt: skip
    chat = {"title": "OW", "history": {"messages": messages, "currentId": "m2"}}
    imported = the_one(
        [{"id": "x", "chat": chat, "created_at": 1.74e9, "pinned": True, "meta": {"tags": ["a"]}}]
    )
    assert (imported.info.title, imported.info.tags) == ("OW", ("a",))
    assert imported.info.pinned_at is not None
    whole = next(turn for turn in imported.turns if reasoning_of(turn))
    assert reasoning_of(whole) == "1 < 2\nso"
    assert text_of(whole) == "Before.\n\nAfter."
    assert tools_of(whole) == [("search", "done", '"found"')]
    assert whole.segments[0].model == "llama"
    cut = next(turn for turn in imported.turns if text_of(turn) == "Cut")
    assert cut.segments[0].end is not None
    assert cut.segments[0].end.reason == "interrupted"


def test_a_chat_of_open_webui_without_a_tree_is_read_in_order() -> None:
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    chat = {"title": "T", "messages": messages, "timestamp": 1_740_000_000_000}
    imported = the_one({"chat": chat})
    assert talk(imported) == [("Hi", "Hello")]
    assert imported.info.created_at == 1_740_000_000.0


# ---- LibreChat ---------------------------------------------------------------------------------

ROOT = "00000000-0000-0000-0000-000000000000"


@pytest.mark.parametrize("is_nested", [False, True])
def test_a_chat_of_librechat_becomes_turns(is_nested: bool) -> None:
    question = {"messageId": "1", "isCreatedByUser": True, "text": "Hi", "createdAt": "2025-01-01"}
    answers: list[dict[str, Any]] = [
        {"messageId": "2", "isCreatedByUser": False, "model": "gpt", "text": "", "content": [
            {"type": "think", "think": "hm"},
            {"type": "text", "text": {"value": "Hello"}},
            {"type": "tool_call", "tool_call": {"id": "t", "name": "search", "output": "found"}},
        ]},
        {"messageId": "3", "isCreatedByUser": False, "text": "Half", "unfinished": True},
    ]  # fmt: skip
    if is_nested:
        messages: list[Any] = [{**question, "children": answers}]
    else:
        messages = [{**question, "parentMessageId": ROOT}]
        messages += [{**one, "parentMessageId": "1"} for one in answers]
    imported = the_one({"conversationId": "c", "title": "LC", "messages": messages})
    assert sorted(talk(imported)) == [("Hi", "Half"), ("Hi", "Hello")]
    whole = next(turn for turn in imported.turns if reasoning_of(turn))
    assert (reasoning_of(whole), tools_of(whole)) == ("hm", [("search", "done", "found")])
    assert whole.segments[0].model == "gpt"


# ---- DeepSeek ----------------------------------------------------------------------------------


def test_a_chat_of_deepseek_becomes_turns() -> None:
    def node(key: str, parent: str | None, message: Any) -> dict[str, Any]:
        return {"id": key, "parent": parent, "children": [], "message": message}

    def fragments(*pairs: tuple[str, str]) -> dict[str, Any]:
        parts = [{"type": kind, "content": text} for kind, text in pairs]
        return {"model": "deepseek-chat", "inserted_at": "2025-05-01T10:00:00+08:00",
                "fragments": parts}  # fmt: skip

    imported = the_one(
        [
            {
                "id": "c",
                "title": "DS",
                "inserted_at": "2025-05-01T10:00:00+08:00",
                "mapping": {
                    "root": node("root", None, None),
                    "1": node("1", "root", fragments(("REQUEST", "Hi"))),
                    "2": node("2", "1", fragments(("THINK", "hm"), ("RESPONSE", "Hello"))),
                    "3": node("3", "1", fragments(("RESPONSE", "Other"))),
                },
            }
        ]
    )
    assert sorted(talk(imported)) == [("Hi", "Hello"), ("Hi", "Other")]
    assert [reasoning_of(turn) for turn in imported.turns if text_of(turn) == "Hello"] == ["hm"]


def test_an_older_chat_of_deepseek_has_contents_without_roles() -> None:
    messages = [("1", "root", "Hi", None), ("2", "1", "Hello", "hm"), ("3", "2", "More", None)]
    mapping: dict[str, Any] = {"root": {"id": "root", "parent": None, "message": None}}
    for key, parent, content, thought in messages:
        message = {"content": content, "reasoning_content": thought}
        mapping[key] = {"id": key, "parent": parent, "message": message}
    imported = the_one([{"title": "DS", "inserted_at": "2025-05-01", "mapping": mapping}])
    assert talk(imported) == [("Hi", "Hello"), ("More", "")]


# ---- all ---------------------------------------------------------------------------------------


def test_exports_of_several_products_may_be_in_one_list() -> None:
    value = [claude({"uuid": "1", "sender": "human", "text": "Hi"}), chatgpt("Text")]
    assert len(read(value).conversations) == 2


def test_an_archive_of_claude_is_read() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        one = claude({"uuid": "1", "sender": "human", "text": "Hi"})
        archive.writestr("data-2026/conversations.json", json.dumps([one]))
        archive.writestr("data-2026/users.json", "[]")
    assert len(read(packed.getvalue()).conversations) == 1


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4)
    | st.sampled_from(["user", "assistant", "human", "1", "2", "text", "RESPONSE"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from([
            "mapping", "chat_messages", "chat", "history", "messages", "content", "fragments",
            "parentId", "parent", "parentMessageId", "messageId", "uuid", "sender", "text", "role",
            "type", "tool_call", "children", "inserted_at", "conversationId", "files", "message",
            "1", "2", "createdAt", "timestamp", "title", "meta", "tags", "sources", "name",
        ]),
        inner,
        max_size=6,
    ),
    max_leaves=30,
)  # fmt: skip


@settings(deadline=None)
@given(VALUES)
def test_no_value_is_worse_than_a_bad_message(value: Any) -> None:
    try:
        read(json.dumps(value).encode())
    except BadMessage as error:
        assert str(error)


def test_messages_that_lead_to_each_other_or_twice_have_one_id_are_no_problem() -> None:
    value = {
        "conversationId": "c",
        "messages": [
            {"messageId": "1", "parentMessageId": "2", "isCreatedByUser": True, "text": "Loop"},
            {"messageId": "2", "parentMessageId": "1", "text": "Loop"},
            {"messageId": "3", "parentMessageId": ROOT, "isCreatedByUser": True, "text": "Hi"},
            {"messageId": "3", "parentMessageId": ROOT, "isCreatedByUser": True, "text": "Twice"},
        ],
    }
    assert talk(the_one(value)) == [("Hi", "")]


def test_a_nested_chat_of_librechat_is_in_its_tree() -> None:
    def message(key: str, text: str, *children: dict[str, Any], asks: bool) -> dict[str, Any]:
        return {"messageId": key, "isCreatedByUser": asks, "text": text, "children": [*children]}

    answers = [message(key, key, asks=False) for key in ("b", "c")]
    tree = [message("a", "Hi", *answers, asks=True)]
    value = {"conversationId": "x", "recursive": True, "messagesTree": tree}
    assert talk(the_one(value)) == [("Hi", "b"), ("Hi", "c")]


def test_texts_of_files_that_are_in_the_export_are_kept() -> None:
    pasted = {"file_name": "", "extracted_content": "A long text."}
    named = {"file_name": "a.py", "extracted_content": "```\nx\n```"}
    imported = the_one(
        claude(
            {"sender": "human", "text": "", "attachments": [pasted]},
            {"sender": "assistant", "text": "Read."},
            {"sender": "human", "text": "And?", "attachments": [named]},
        )
    )
    assert [turn.question for turn in imported.turns] == [
        "A long text.",
        "And?\n\n[file: a.py]\n\n````\n```\nx\n```\n````",
    ]
    file = {"type": "file", "file": {"filename": "b.txt", "data": {"content": "b"}}}
    asked = {"role": "user", "content": "Hi", "files": [file]}
    (turn,) = the_one({"chat": {"messages": [asked]}}).turns
    assert turn.question == "Hi\n\n[file: b.txt]\n\n```\nb\n```"


def test_an_answer_of_open_webui_may_be_in_items() -> None:
    output = [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"type": "function_call", "call_id": "k", "name": "find", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "k", "output": [{"text": "found"}]},
        {"type": "open_webui:code_interpreter", "code": "1+1", "output": "2"},
        {"type": "message", "content": [{"type": "output_text", "text": "Hello"}]},
        {"type": "unknown"},
    ]
    image = [{"type": "text", "text": "Hi"}, {"type": "image_url", "image_url": {"url": "data:"}}]
    messages = [
        {"role": "user", "content": image},
        {"role": "assistant", "content": "", "output": output},
    ]
    imported = the_one({"version": "1", "chats": [{"id": "x", "chat": {"messages": messages}}]})
    assert talk(imported) == [("Hi\n\n[image]", "Hello")]
    assert reasoning_of(imported.turns[0]) == "hm"
    assert [one for one in tools_of(imported.turns[0]) if one[1] == "done"] == [
        ("find", "done", "found"),
        ("code_interpreter", "done", "2"),
    ]


def test_what_deepseek_found_is_kept_and_its_citations_lead_there() -> None:
    found = [{"url": "https://a.example/", "title": "A", "cite_index": 7}]
    fragments = [
        {"type": "SEARCH", "results": found},
        {"type": "TOOL_OPEN", "result": {"url": "https://b.example/", "title": "B"}},
        {"type": "READ_LINK", "content": "A page."},
        {"type": "TOOL_SEARCH", "results": []},
        {"type": "RESPONSE", "content": "So it is [citation:7][citation:9]."},
    ]
    asked = [{"type": "REQUEST", "content": "Is it?"}, {"type": "FILE", "content": "?"}]
    nodes = {
        "1": {"parent": None, "message": {"fragments": asked}},
        "2": {"parent": "1", "message": {"fragments": fragments}},
    }
    result = read([{"mapping": nodes, "inserted_at": "2026-01-01T00:00:00+08:00"}])
    (imported,) = result.conversations
    assert talk(imported) == [("Is it?", "So it is [7](<https://a.example/>).")]
    assert [name for name, _, _ in tools_of(imported.turns[0])] == [
        "search",
        "tool_open",
        "read_link",
    ]
    assert result.passed_over == 1


@pytest.mark.parametrize(
    "names",
    [
        ("chat-export-1740000000.json", "users.json", "__MACOSX/._chat-export-1740000000.json"),
        ("conversations/0aef.json", "user.json", "message_feedback.json"),
        ("data\\conversations.json", "data\\projects.json"),
        ("Conversations (1).json", "notes.json"),
        ("export/conversations_001.json", "export/.hidden.json"),
    ],
)
def test_an_archive_may_name_its_files_otherwise(names: tuple[str, ...]) -> None:
    chat = [claude({"sender": "human", "text": "Hi"}, {"sender": "assistant", "text": "Yo"})]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in names:
            archive.writestr(name, json.dumps(chat if name is names[0] else {"no": "chat"}))
    result = read(packed.getvalue())
    assert [talk(one) for one in result.conversations] == [[("Hi", "Yo")]]
    assert result.passed_over == 0


def test_a_file_of_an_archive_that_is_broken_is_counted() -> None:
    chat = [claude({"sender": "human", "text": "Hi"}, {"sender": "assistant", "text": "Yo"})]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("conversations-000.json", json.dumps(chat))
        archive.writestr("conversations-001.json", json.dumps(chat)[:-5])
    result = read(packed.getvalue())
    assert (len(result.conversations), result.passed_over) == (1, 1)


@pytest.mark.parametrize(
    "content",
    [
        f"<details type={'-' * 400_000}>x</details>",
        f"<details>{' ' * 400_000}",
        "<details>" * 40_000,
        "<details><summary>" * 20_000,
    ],
)
def test_a_hostile_answer_of_open_webui_takes_no_time(content: str) -> None:
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": content}]
    assert talk(the_one({"chat": {"messages": messages}})) == [("Hi", content)]


# ---- hostile sizes -----------------------------------------------------------------------------


def claude_parts(count: int) -> dict[str, Any]:
    ids = [f"c{i}" for i in range(count)]
    content = [
        *({"type": "tool_use", "id": one, "name": "f"} for one in ids),
        *({"type": "tool_result", "tool_use_id": one, "content": "r"} for one in ids),
        *({"type": "text", "text": "x"} for _ in ids),
    ]
    return {"chat_messages": [{"uuid": "a", "sender": "assistant", "content": content}]}


def open_webui_parts(count: int) -> dict[str, Any]:
    ids = [f"c{i}" for i in range(count)]
    output = [
        *({"type": "function_call", "call_id": one, "name": "f"} for one in ids),
        *({"type": "function_call_output", "call_id": one, "output": "r"} for one in ids),
        *({"type": "message", "content": [{"text": "x"}]} for _ in ids),
    ]
    return {"chat": {"messages": [{"role": "assistant", "content": "", "output": output}]}}


def librechat_parts(count: int) -> dict[str, Any]:
    call = {"type": "tool_call", "tool_call": {"name": "f", "output": "r"}}
    content = [*([call] * count), *([{"type": "text", "text": "x"}] * count)]
    return {"endpoint": "e", "messages": [{"messageId": "a", "content": content}]}


def deepseek_parts(count: int) -> dict[str, Any]:
    fragments = [
        *([{"type": "TOOL_OPEN", "content": "page"}] * count),
        *([{"type": "RESPONSE", "content": "x"}] * count),
    ]
    message = {"fragments": fragments}
    return {"inserted_at": "2025-01-01", "mapping": {"a": {"parent": None, "message": message}}}


def chatgpt_parts(count: int) -> dict[str, Any]:
    call = {"author": {"role": "assistant"}, "recipient": "f", "content": {"parts": ["{}"]}}
    result = {"author": {"role": "tool"}, "content": {"parts": ["r"]}}
    text = {"author": {"role": "assistant"}, "content": {"parts": ["x"]}}
    messages = [*([call] * count), *([result] * count), *([text] * count)]
    mapping = {
        str(number): {"parent": str(number - 1), "message": message}
        for number, message in enumerate(messages)
    }
    return {"mapping": mapping}


def calls_made_for(value: dict[str, Any]) -> int:
    """The number of function calls and generator steps of an import."""
    data = json.dumps([value]).encode()
    made = 0

    def profile(_frame: object, event: str, _argument: object) -> None:
        nonlocal made
        made += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        read(data)
    finally:
        sys.setprofile(None)
    return made


@pytest.mark.parametrize(
    "parts", [claude_parts, open_webui_parts, librechat_parts, deepseek_parts, chatgpt_parts]
)
def test_the_work_for_an_answer_grows_with_its_parts_not_with_their_square(
    parts: Callable[[int], dict[str, Any]],
) -> None:
    assert talk(the_one([parts(3)])) == [("", "x\n\nx\n\nx")]
    assert calls_made_for(parts(400)) < 3 * calls_made_for(parts(200))
