"""The pieces of the chat in a terminal: harmless text, Markdown, questions, input."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from wireside.cli.harmless_text import HarmlessStream, harmless
from wireside.cli.terminal import markdown_stream
from wireside.cli.terminal.answer_view import show_answer
from wireside.cli.terminal.line_input import LineInput
from wireside.cli.terminal.markdown_stream import BlockSplitter, MarkdownStream
from wireside.cli.terminal.questions import QuestionAsker
from wireside.client import Answer, Piece
from wireside.protocol.frames import ChunkFrame, PartFrame, ReasoningFrame, ToolFrame

HOSTILE = st.sampled_from(
    [
        *"ab \n\t\r\x1b\x07\x08\x7f\x9b\u202e\u2066\u200b\U000e0041\u2028é字",
        "\x1b[2J",
        "\x1b]0;x\x07",
    ]
)


@given(st.lists(HOSTILE, max_size=20))
def test_no_control_character_reaches_the_terminal(pieces: list[str]) -> None:
    text = harmless("".join(pieces))
    assert not [c for c in text if (ord(c) < 32 and c not in "\n\t") or 0x7F <= ord(c) < 0xA0]
    assert not set(text) & {"\u202e", "\u2066", "\U000e0041"}


@given(st.lists(HOSTILE, max_size=20))
def test_harmless_text_does_not_depend_on_how_it_is_split(pieces: list[str]) -> None:
    stream = HarmlessStream()
    assert "".join(map(stream.feed, pieces)) + stream.flush() == harmless("".join(pieces))


BLOCKS = st.sampled_from(
    [
        "# T\n",
        "a\n",
        "\n",
        "- x\n",
        "  y\n",
        "1. z\n",
        "```\n",
        "    c\n",
        "> q\n",
        "---\n",
        "|a|\n|-|\n",
    ]
)


@given(st.lists(BLOCKS, max_size=25))
def test_complete_blocks_make_the_text(lines: list[str]) -> None:
    splitter = BlockSplitter()
    blocks = [splitter.feed(line) for line in lines]
    assert "".join([*blocks, splitter.flush()]) == "".join(lines)


def test_a_block_is_printed_once_it_can_not_change() -> None:
    splitter = BlockSplitter()
    assert splitter.feed("# Title\n") == ""
    assert splitter.feed("text\n") == "# Title\n"
    assert splitter.feed("```py\na\n\nb\n") == "text\n"
    assert splitter.feed("c\n```\n") == ""
    assert splitter.feed("end") == ""
    assert splitter.feed("\n") == "```py\na\n\nb\nc\n```\n"
    assert splitter.flush() == "end\n"


def test_a_long_block_is_parsed_a_few_times_only(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[int] = []
    parse = markdown_stream._parser.parse

    def count(text: str) -> Any:
        parsed.append(len(text))
        return parse(text)

    monkeypatch.setattr(markdown_stream._parser, "parse", count)
    splitter = BlockSplitter()
    lines = ["```\n", *(f"line {number}\n" for number in range(20_000)), "```\n", "end"]
    blocks = [splitter.feed(line) for line in lines]
    assert "".join([*blocks, splitter.flush()]) == "".join(lines)
    assert sum(parsed) < 10 * len("".join(lines))


def console(width: int = 40) -> Console:
    return Console(file=io.StringIO(), width=width, height=10, force_terminal=True, markup=False)


def test_tags_and_addresses_are_shown_as_text() -> None:
    screen = console()
    with MarkdownStream(screen) as markdown:
        for piece in ("vector<int> [here](https://x.org)", " and <b>bold</b>\n\n", "next"):
            markdown.feed(piece)
    shown = screen.file.getvalue()  # type: ignore[attr-defined]
    assert "vector<int>" in shown
    assert "https://x.org" in shown
    assert "<b>bold</b>" in shown
    assert "\x1b]8;" not in shown  # a link hides its address


def test_a_long_block_is_shown_by_its_last_lines() -> None:
    screen = console()
    with MarkdownStream(screen) as markdown:
        for number in range(200):
            markdown.feed(f"line {number}\n")
        shown = str(markdown._growing_block())
        assert shown.splitlines()[-1] == "line 199"
        assert len(shown.splitlines()) <= 8


def answered(question: dict[str, Any], *lines: str, client: Any = None) -> tuple[Any, list[str]]:
    given, said = iter(lines), list[str]()
    asker = QuestionAsker(client, lambda prompt: next(given), said.append)
    value = asker.ask(question)
    assert next(given, None) is None
    return value, said


OPTIONS = [{"value": "a", "label": "First"}, {"value": "b", "label": "\x1b[2JSecond"}]


@pytest.mark.parametrize(
    ("question", "lines", "value"),
    [
        ({"type": "approve", "yes": "Do", "no": ""}, ["what", "y"], True),
        ({"type": "approve"}, ["No"], False),
        ({"type": "choose", "options": OPTIONS}, ["", "3", "x", "1 2", "2"], "b"),
        ({"type": "choose", "options": OPTIONS, "multiple": True}, ["0", "2, 1 2"], ["b", "a"]),
        ({"type": "text"}, ["", " hi "], "hi"),
        (
            {
                "type": "form",
                "fields": [
                    {"name": "n", "type": "number", "required": True, "value": None},
                    {"name": "t", "type": "text", "required": False, "value": None},
                    {"name": "d", "type": "text", "required": True, "value": "x"},
                    {"name": "s", "type": "switch", "value": True},
                    {"name": "c", "type": "choice", "options": OPTIONS},
                ],
            },
            ["", "five", "5", "", "", "n", "1"],
            {"n": 5, "t": None, "d": "x", "s": False, "c": "a"},
        ),
        ({"type": "of a newer server"}, ["text"], "text"),
        ({"type": "choose", "options": ["a", 1]}, ["text"], "text"),
        ({"type": "choose", "options": "ab"}, ["text"], "text"),
        ({"type": "form", "fields": [1, {"label": "L"}, {"name": "n"}]}, ["v"], {"n": "v"}),
        (
            {"type": "form", "fields": [{"name": "n", "type": "choice", "options": [1]}]},
            ["v"],
            {"n": "v"},
        ),
    ],
)
def test_a_question_is_asked_until_its_answer_fits(
    question: dict[str, Any], lines: list[str], value: Any
) -> None:
    found, said = answered({"prompt": "Really?\x1b[31m", **question}, *lines)
    assert found == value
    assert said[0] == "Really?␛[31m"
    assert not any("\x1b" in line for line in said)


def test_a_file_answers_a_question(tmp_path: Path) -> None:
    class Uploads:
        id = "u1"

        def upload(self, path: Path) -> Uploads:
            assert path == tmp_path / "a.csv"
            return self

    (tmp_path / "a.csv").write_text("1")
    question = {"type": "file", "prompt": "?"}
    found, said = answered(question, "none", str(tmp_path / "a.csv"), client=Uploads())
    assert found == "u1"
    assert said[1:] == ["There is no file none."]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["one"], "one"),
        (["one\\", "two\\", "three"], "one\ntwo\nthree"),
        (['"""', "a", "", "b", '"""'], "a\n\nb"),
        (['"""one"""'], "one"),
    ],
)
def test_messages_of_several_lines(
    lines: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = iter(lines)
    monkeypatch.setattr("builtins.input", lambda prompt: next(given))
    assert LineInput(None).read_message("> ") == message


class FakeAnswer:
    """An answer of these parts."""

    def __init__(self, *parts: Piece) -> None:
        self._parts = parts

    def parts(self) -> Iterator[Piece]:
        return iter(self._parts)

    def __iter__(self) -> Iterator[str]:
        return (part.content for part in self._parts if isinstance(part, ChunkFrame))


def shown(*parts: Piece, is_raw: bool = False, is_terminal: bool = True) -> str:
    screen = Console(
        file=io.StringIO(), width=60, height=20, force_terminal=is_terminal, markup=False
    )
    show_answer(screen, cast("Answer", FakeAnswer(*parts)), is_raw=is_raw)
    text = screen.file.getvalue()  # type: ignore[attr-defined]
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", str(text))


def part(kind: str, data: Any = None, *, text: str = "", name: str = "") -> PartFrame:
    return PartFrame(id="r", offset=1, kind=kind, part=name, text=text, data=data)


def chunk(text: str) -> ChunkFrame:
    return ChunkFrame(id="r", content=text, offset=1)


def test_the_parts_of_an_answer_are_shown_in_order() -> None:
    evil = "\x1b]0;x\x07"
    running = ToolFrame(
        id="r", offset=1, name=f"weather{evil}", call="c", state="running", arguments="{"
    )
    text = shown(
        ReasoningFrame(id="r", content=f"Let me\nsee{evil}", offset=1),
        chunk("First.\n\n"),
        running,
        running,
        msgspec.structs.replace(running, state="done", result="1"),
        part("step", {"name": f"Search{evil}", "state": "running"}, name="s"),
        part("step", {"name": "Search", "state": "done"}, name="s"),
        part("source", {"title": f"Page{evil}", "url": "https://x.org"}),
        part(
            "table", {"columns": ["a", evil], "rows": [[1, None], [f"b{evil}", True]], "total": 9}
        ),
        part("image", {"name": "cat.png", "url": "/api/files/1"}),
        part("file", {"name": "data.csv", "url": "data:text/csv,1"}),
        part("view", {"name": "own"}, text=f"A view{evil}"),
        part("question", {"type": "text"}, text="Not here"),
        chunk("Last."),
    )
    assert "\x1b" not in text
    assert "\x07" not in text
    words = ["Let me", "see", "First.", "weather␛]0;x␇: running", "weather␛]0;x␇: done"]
    words += ["Search␛]0;x␇: running", "Search: done", "[1] Page␛]0;x␇ https://x.org"]
    words += ["b␛]0;x␇", "True", "[cat.png] /api/files/1", "[data.csv]", "A view", "Last."]
    places = [text.index(word) for word in words]
    assert places == sorted(places)
    assert text.count("weather␛]0;x␇: running") == 1
    assert "Not here" not in text


def test_a_part_that_was_cut_or_is_unknown_is_shown_as_its_text() -> None:
    text = shown(part("table", None, text="a b"), part("newer", {"x": 1}, text="of a newer server"))
    assert "a b" in text
    assert "of a newer server" in text


@pytest.mark.parametrize(
    "data",
    [
        {"columns": ["a"], "rows": {"0": [1]}},
        {"columns": ["a"], "rows": [1]},
        {"columns": 1, "rows": [[1]]},
        {"columns": ["a"], "rows": [[1]], "total": "many"},
    ],
)
def test_a_table_that_is_malformed_is_shown_as_its_text(data: dict[str, Any]) -> None:
    assert "a b" in shown(part("table", data, text="a b"))


@pytest.mark.parametrize(
    "source",
    ["a&#x202e;b", "`a`&#xE0041;b", "[a&#x202e;b](https://x.org/&#x202e;)", "- **a&#x202e;b**"],
)
def test_entities_are_no_way_around_harmless_text(source: str) -> None:
    text = shown(chunk(source))
    assert not set(text) & {"\u202e", "\U000e0041"}
    assert "b" in text


def test_raw_text_is_harmless_in_a_terminal_and_as_it_is_elsewhere() -> None:
    pieces = (chunk("# a \x1b[2J"), ReasoningFrame(id="r", content="hm", offset=1), chunk("b"))
    assert shown(*pieces, is_raw=True) == "# a ␛[2Jb"
    screen = Console(file=io.StringIO(), force_terminal=False)
    show_answer(screen, cast("Answer", FakeAnswer(*pieces)), is_raw=True)
    assert screen.file.getvalue() == "# a \x1b[2Jb"  # type: ignore[attr-defined]
