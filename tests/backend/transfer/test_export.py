"""Exported conversations are complete, and harmless for any text in them."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, timedelta, timezone, tzinfo
from html.parser import HTMLParser
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from wireside.chat.instructions import TEXTS, instructed
from wireside.chat.summaries import summary_part, undone
from wireside.errors import ProviderTimeout
from wireside.invisible_text import seen
from wireside.messages import End, Entry, PartDelta, ReasoningDelta, TextDelta, ToolDelta
from wireside.parts import EDITED, STEER, DataPart, text_parts
from wireside.records import Branch, ConversationInfo, Segment, TurnRecord
from wireside.transfer.export import Exporter, HtmlExport, JsonExport, MarkdownExport

STOP = End("stop")
INFO = ConversationInfo(
    id="c", title="Rain & <b>sun</b>", created_at=1_700_000_000.25, updated_at=1_700_000_001.0
)
ATTACKS = [
    "# Heading",
    "text\n---\n# Heading",
    "text\n===",
    "```\n# out of the fence\n```",
    "````\n```\n~~~\n# x",
    "\r```\r# Heading",
    "<details><summary>x</summary>",
    "</details></main><script>alert(1)</script>",
    "<!-- ",
    "> quoted\n\n# Heading",
    "- list\n\n    code",
    "1. one\n2. two",
    "[link](javascript:alert(1))",
    "![x](https://evil.example/x.png)",
    "[ref]: https://evil.example",
    "https://evil.example",
    "| a | b |\n| - | - |",
    "\\",
    "&lt;script&gt;",
    "**bold** _it_ $x$ ~~no~~",
    "\x00\u202e\u2028# x",
    "]]>",
    "   # indented",
    "\t# tab",
]


def turn(
    question: str = "Why?", *entries: Entry, end: End | None = STOP, model: str = "gpt"
) -> TurnRecord:
    segment = Segment(stream="s", model=model, entries=entries, end=end)
    return TurnRecord(
        id="t",
        conversation_id="c",
        branch=0,
        depth=0,
        question_parts=text_parts(question),
        created_at=1.0,
        segments=(segment,),
    )


def written(exporter: Exporter, *turns: TurnRecord, info: ConversationInfo = INFO) -> str:
    branches = (Branch(id=0, parent=None, first=0, last=len(turns) - 1),)
    pieces = [
        exporter.text_before_turns(info, branches, 0),
        *map(exporter.text_of_turn, turns),
        exporter.text_after_turns(),
    ]
    return "".join(pieces)


# ---- Markdown ----------------------------------------------------------------------------------


def test_markdown_has_all_that_was_said() -> None:
    text = written(
        MarkdownExport(),
        turn("What is it?\nTell me!", ReasoningDelta("hm"), TextDelta("It "), TextDelta("*is*.")),
    )
    assert text == (
        "# Rain \\& \\<b\\>sun\\</b\\>\n\n2023-11-14 22:13 (UTC)\n\n---\n\n"
        "**You (1970-01-01 00:00):**\n\n> What is it?  \n> Tell me!\n\n"
        "**Answer (gpt):**\n\n"
        "<details>\n<summary>Reasoning</summary>\n\n```text\nhm\n```\n\n</details>\n\n"
        "It *is*.\n"
    )


def test_a_tool_call_is_folded_once_with_its_last_state() -> None:
    text = written(
        MarkdownExport(),
        turn(
            "Q",
            ToolDelta("1", "search", "running", "{}"),
            TextDelta("So"),
            ToolDelta("1", "search", "done", "{}", "found"),
        ),
    )
    assert text.count("<details>") == 1
    assert "search — done" in text
    assert "found" in text
    assert text.index("found") < text.index("So")


@pytest.mark.parametrize(
    ("end", "note"),
    [
        (End("stop"), None),
        (End("cancelled"), "You stopped this answer."),
        (End("interrupted"), "This answer was interrupted."),
        (None, "This answer was interrupted."),
        (End("length"), "This answer reached the maximum length."),
        (End("content_filter"), "content filter ended this answer"),
        (End(None, ProviderTimeout("It took too long.")), "It took too long."),
    ],
)
def test_an_answer_that_did_not_end_well_says_so(end: End | None, note: str | None) -> None:
    markdown = written(MarkdownExport(), turn("Q", TextDelta("half"), end=end))
    html = written(HtmlExport(str), turn("Q", TextDelta("half"), end=end))
    assert ("*(" in markdown, 'class="note"' in html) == (note is not None, note is not None)
    assert note is None or (note in markdown and note in html)


def test_an_open_block_of_code_is_closed() -> None:
    for answer in ("```py\nx = 1", "~~~~\n```\n~~~", "```\na\n```\n\n```"):
        text = written(MarkdownExport(), turn("Q", TextDelta(answer)), turn("Next one"))
        assert "Next one" in words_outside_code(text)


def words_outside_code(text: str) -> str:
    tokens = MarkdownIt("commonmark").parse(text)
    return "\n".join(token.content for token in tokens if token.type == "inline")


def shape(text: str) -> list[str]:
    """The top-level blocks of a Markdown text, without those that hold messages."""
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(text)
    kinds = [token.type for token in tokens if token.level == 0 and token.nesting >= 0]
    return [kind for kind in kinds if kind not in ("fence", "blockquote_open")]


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_that_is_said_changes_the_shape_of_the_markdown(attack: str) -> None:
    def whole(text: str) -> str:
        info = ConversationInfo(id="c", title=text, created_at=1.0, updated_at=1.0)
        said = turn(
            text,
            ReasoningDelta(text),
            ToolDelta("1", text, "done", text, text),
            TextDelta("The answer."),
            end=End(None, ProviderTimeout(text)),
            model=text,
        )
        return written(MarkdownExport(), said, turn(text), info=info)

    assert shape(whole(attack)) == shape(whole("Harmless"))
    tags = [token.content for token in MarkdownIt().parse(whole(attack)) if "html" in token.type]
    assert all(re.match(r"</?(details|summary)\b", tag) for tag in tags)


@given(st.text(st.sampled_from("`~#>-= \n\r\t<!a1.*_[]()|\\&\u2028"), max_size=30))
def test_no_question_at_all_gets_out_of_its_place(question: str) -> None:
    """Near misses of every kind of markup."""
    text = written(MarkdownExport(), turn(f"x{question}"), turn("The end"))
    assert shape(text) == shape(written(MarkdownExport(), turn("x"), turn("The end")))


# ---- JSON --------------------------------------------------------------------------------------


def test_json_names_parents_and_what_is_shown() -> None:
    branches = (
        Branch(id=0, parent=None, first=0, last=2),
        Branch(id=1, parent=0, first=1, last=1),
        Branch(id=2, parent=None, first=0, last=0),
    )
    places = [(0, 0), (0, 1), (0, 2), (1, 1), (2, 0)]
    exporter = JsonExport()
    pieces = [exporter.begin_file(), exporter.text_before_turns(INFO, branches, 1)]
    pieces += [
        exporter.text_of_turn(
            TurnRecord(
                id=f"{branch}.{depth}",
                conversation_id="c",
                branch=branch,
                depth=depth,
                question_parts=text_parts("Q"),
                created_at=1.0,
            )
        )
        for branch, depth in places
    ]
    file = json.loads("".join([*pieces, exporter.text_after_turns(), exporter.finish_file()]))
    assert (file["format"], file["version"]) == ("wireside", 1)
    (conversation,) = file["conversations"]
    assert conversation["created_at"] == "2023-11-14T22:13:20.250000Z"
    assert conversation["shown_turn"] == "1.1"
    assert [each["parent"] for each in conversation["turns"]] == [None, "0.0", "0.1", "0.0", None]


def test_json_of_the_shown_turns_alone_is_a_chain() -> None:
    branches = (Branch(id=0, parent=None, first=0, last=4), Branch(id=1, parent=0, first=2, last=3))
    exporter = JsonExport()
    pieces = [exporter.begin_file(), exporter.text_before_turns(INFO, branches, 1)]
    pieces += [
        exporter.text_of_turn(
            TurnRecord(
                id=f"{depth}",
                conversation_id="c",
                branch=branch,
                depth=depth,
                question_parts=text_parts("Q"),
                created_at=1.0,
            )
        )
        for branch, depth in [(0, 0), (0, 1), (1, 2), (1, 3)]
    ]
    file = json.loads("".join([*pieces, exporter.text_after_turns(), exporter.finish_file()]))
    (conversation,) = file["conversations"]
    assert [each["parent"] for each in conversation["turns"]] == [None, "0", "1", "2"]
    assert conversation["shown_turn"] == "3"


# ---- HTML --------------------------------------------------------------------------------------


class Tags(HTMLParser):
    """The tags of a page, and all its text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(html: str) -> Tags:
    tags = Tags()
    tags.feed(html)
    tags.close()
    return tags


@pytest.mark.parametrize("attack", [*ATTACKS, '" onload="x', "'><img src=x onerror=x>"])
def test_nothing_that_is_said_is_markup_in_html(attack: str) -> None:
    def whole(text: str) -> str:
        info = ConversationInfo(id="c", title=text, created_at=1.0, updated_at=1.0)
        said = turn(
            text,
            ReasoningDelta(text),
            ToolDelta("1", text, "done", text, text),
            TextDelta("The answer."),
            end=End(None, ProviderTimeout(text)),
        )
        return written(HtmlExport(lambda _: "<p>fine</p>"), said, info=info)

    attacked, harmless = parsed(whole(attack)), parsed(whole("Harmless"))
    assert attacked.tags == harmless.tags
    assert attacked.attributes == harmless.attributes
    assert seen(attack.replace("\x00", "\ufffd")) in attacked.text


def test_html_needs_nothing_from_outside() -> None:
    html = written(HtmlExport(lambda text: f"<p>{text}</p>"), turn("Q", TextDelta("A")))
    assert (
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'; img-src data:; font-src data:; script-src 'sha256-"
    ) in html
    assert not re.search(r"<script|<link|\bsrc=|\bhref=|url\((?!data:)|@import", html)
    assert '@font-face{font-family:"Source Sans 3"' in html  # it looks like the page, anywhere
    assert html.index("Content-Security-Policy") < html.index("<style>")
    assert "<p>A</p>" in html


@pytest.mark.parametrize(
    ("zone", "shown"),
    [
        (UTC, "2023-11-14 22:13 (UTC)"),
        (ZoneInfo("Asia/Tokyo"), "2023-11-15 07:13 (Asia/Tokyo)"),
        (ZoneInfo("America/New_York"), "2023-11-14 17:13 (America/New_York)"),
        (timezone(timedelta(hours=5, minutes=45)), "2023-11-15 03:58 (UTC+05:45)"),
    ],
)
def test_times_are_those_of_the_zone_which_is_named(zone: tzinfo, shown: str) -> None:
    said = replace(turn("Q", TextDelta("A")), created_at=INFO.created_at + 60)
    minute = shown[:13] + f":{int(shown[14:16]) + 1:02}"
    markdown = written(MarkdownExport(zone=zone), said)
    assert f"\n{shown}\n" in markdown
    assert f"**You ({minute}):**" in markdown
    html = written(HtmlExport(str, zone=zone), said)
    assert re.findall(r"<time datetime=\"([^\"]+)\">([^<]+)</time>", html) == [
        ("2023-11-14T22:13:20.250000Z", shown),
        ("2023-11-14T22:14:20.250000Z", minute),
    ]


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
@pytest.mark.parametrize("seconds", [-1e18, 0.0, 1e18])
def test_any_time_can_be_written_in_any_zone(zone: str, seconds: float) -> None:
    info = replace(INFO, created_at=seconds)
    for exporter in (MarkdownExport(zone=ZoneInfo(zone)), HtmlExport(str, zone=ZoneInfo(zone))):
        assert zone in written(exporter, turn("Q", TextDelta("A")), info=info)


# ---- file names --------------------------------------------------------------------------------

BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"

NAMES = [
    ("Rain on Sunday", "Rain on Sunday"),
    ("../../etc/passwd", "etc passwd"),
    ("C:\\Windows\\system32", "C Windows system32"),
    ("invoice\u202efdp.exe", "invoicefdp.exe"),
    ("a\x00b\r\nc\u200b", "ab c"),
    (".bashrc", "bashrc"),
    ("-rf ~", "rf ~"),
    ("CON", "_CON"),
    ("nul.txt", "_nul.txt"),
    ("   ", "conversation"),
    ("...", "conversation"),
    ("天気と\ud800雨", "天気と雨"),
    ("50% off?", "50 off"),
    ("x" * 500, "x" * 60),
    # graphemes stay whole
    ("Trip of 👨‍👩‍👧‍👦", "Trip of 👨‍👩‍👧‍👦"),
    ("👨‍👩‍👧‍👦" * 20, "👨‍👩‍👧‍👦" * 8),
    ("x" * 59 + "🇩🇪", "x" * 59),
    ("x" * 57 + "🇩🇪🇫🇷", "x" * 57 + "🇩🇪"),
    ("x" * 59 + "👍🏽", "x" * 59),
    ("x" * 58 + "q\u0323\u0307", "x" * 58),
    ("x" * 58 + "क्षि", "x" * 58),
    ("x" * 59 + "\u1112\u1161\u11ab", "x" * 59 + "한"),
    ("x" * 58 + "☎\ufe0f", "x" * 58 + "☎\ufe0f"),
    ("x" * 60 + "\u0331", "x" * 59),
    ("a 🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f b", None),
    ("می\u200cخواهم", "می\u200cخواهم"),
    ("new \U0001faea", "new \U0001faea"),
    ("pay\u200dpal \U000e0041", "paypal"),
    ("e" + "\u0331" * 500, "e" + "\u0331" * 59),
    # device names of Windows
    ("COM¹", "_COM¹"),
    ("conin$", "_conin$"),
    ("Aux .backup", "_Aux .backup"),
    ("Console", "Console"),
    ("COM10", "COM10"),
    ("x" * 58 + ". . tail", "x" * 58),
]


@pytest.mark.parametrize(("title", "name"), NAMES)
def test_a_file_has_a_harmless_name(title: str, name: str | None) -> None:
    name = title if name is None else name
    assert MarkdownExport().file_name(title) == f"{name}.md"
    assert JsonExport().file_name(title) == f"{name}.json"
    assert HtmlExport(str).file_name(title) == f"{name}.html"


@given(st.text(st.characters(exclude_categories=()), max_size=200))
def test_any_title_gives_a_name(title: str) -> None:
    """From any characters, including lone surrogates."""
    name = MarkdownExport().file_name(title)
    assert not set(name) & set('/\\:*?"<>|\x00\n\r\u202e')
    assert name == name.strip()
    assert not name.startswith((".", "-"))
    assert 4 <= len(name.encode()) <= 4 * 60 + 3
    assert not any(unicodedata.category(char) in ("Cc", "Cs", "Co") for char in name)
    assert not set(name) & set(BIDI)


@pytest.mark.parametrize("exporter", [MarkdownExport, JsonExport, lambda: HtmlExport(str)])
def test_what_was_added_and_edited_is_said(exporter: Callable[[], Exporter]) -> None:
    marked = DataPart(kind=EDITED, data="{}", text="(edited)")
    summary = summary_part("About <b>rain</b>", turns=3, model="m")
    asked = turn("Why?", PartDelta(marked), TextDelta("So."), PartDelta(summary))
    steering = DataPart(kind=STEER, data="{}")
    parts = (*instructed(text_parts("Why?"), "shorter"), steering)
    text = exporter().text_of_turn(replace(asked, question_parts=parts))
    assert TEXTS["shorter"].strip("()")[:20] in text
    assert "edited" in text
    assert "About" in text
    assert "steer" not in text
    if exporter is not JsonExport:
        assert ("<b>" in text) == (exporter is MarkdownExport)  # in a block of code
        gone = turn("Why?", TextDelta("So."), PartDelta(summary), PartDelta(undone(summary)))
        assert "Summary" not in exporter().text_of_turn(gone)
