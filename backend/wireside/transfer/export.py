"""Exports conversations as Markdown, JSON or HTML. Pure.

Files are produced in pieces, and never held in memory as a whole: the caller calls
``text_before_turns``, then ``text_of_turn`` for each turn, parents before their children, then
``text_after_turns``. It decides which turns to pass, the shown ones or all.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from html import escape
from typing import Any, ClassVar, Protocol, assert_never

from wireside.chat import tree
from wireside.chat.graphemes import cut_at_grapheme
from wireside.invisible_text import seen
from wireside.messages import Options, parts_of
from wireside.parts import (
    DataPart,
    FilePart,
    ImagePart,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    is_hidden,
    label_of,
    part_to_object,
    text_of,
    text_parts,
)
from wireside.records import Branch, ConversationInfo, Feedback, Segment, TurnRecord
from wireside.transfer.export_font import font_styles
from wireside.transfer.export_math import ExportedFormulas, export_policy
from wireside.transfer.export_parts import CSS as PARTS_CSS
from wireside.transfer.export_parts import HtmlParts, MarkdownParts, Sources, StepTree, group_parts

FORMAT = "wireside"
VERSION = 1

MAX_NAME_CHARS = 60
"""Maximum length of a file name without its extension.

At four bytes per character it fits every file system.
"""

WORDS: Mapping[str, str] = {
    "question": "You",
    "answer": "Answer",
    "reasoning": "Reasoning",
    "arguments": "Arguments",
    "result": "Result",
    "tool_running": "running",
    "tool_requested": "requested, not run",
    "tool_done": "done",
    "tool_failed": "failed",
    "input": "Input",
    "output": "Output",
    "source": "Source",
    "summary": "Summary of the conversation so far",
    "yes": "Yes",
    "no": "No",
    "not_answered": "Not answered",
    "stopped": "You stopped this answer.",
    "interrupted": "This answer was interrupted.",
    "length_reached": "This answer reached the maximum length.",
    "filtered": "The model service's content filter ended this answer.",
    "empty": "The model gave no answer.",
    "error": "Something went wrong.",
}
"""All words that the Markdown and HTML exports add, in English."""


class Exporter(Protocol):
    """Exports one or more conversations.

    Each has the calls ``text_before_turns text_of_turn* text_after_turns``.
    """

    media_type: ClassVar[str]

    def text_before_turns(
        self, info: ConversationInfo, branches: Sequence[Branch], shown: int | None = None
    ) -> str:
        """Return the text before the turns.

        ``shown`` is the branch that is shown up to its last turn.
        """
        ...

    def text_of_turn(self, record: TurnRecord) -> str:
        """Return the text of a turn."""
        ...

    def text_after_turns(self) -> str:
        """Return the text after the turns."""
        ...

    def file_name(self, title: str) -> str:
        """Return a file name with extension that is safe on every platform."""
        ...


class MarkdownExport:
    """Exports Markdown: answers are unchanged; questions, tools and titles can't contain markup."""

    media_type: ClassVar[str] = "text/markdown; charset=utf-8"

    def __init__(self, words: Mapping[str, str] = WORDS, *, zone: tzinfo = UTC) -> None:
        """``zone`` is the time zone of all displayed times."""
        self._words = {**WORDS, **words}
        self._zone = zone
        self._parts = MarkdownParts(
            self._words,
            inline=_escape_inline,
            fenced=_fenced_code,
            quoted=_quote_block,
            folded=_folded_details,
        )

    def text_before_turns(
        self, info: ConversationInfo, branches: Sequence[Branch], shown: int | None = None
    ) -> str:
        """Return the title as a heading, and the time with its time zone."""
        when = f"{_local_time(info.created_at, self._zone)} ({self._zone})"
        return f"# {_escape_inline(info.title) or 'Conversation'}\n\n{when}\n"

    def text_of_turn(self, record: TurnRecord) -> str:
        """Return the question as a block quotation, and the answer below it."""
        pieces = ["\n---\n"]
        if record.question_parts:
            when = _local_time(record.created_at, self._zone)
            pieces.append(f"\n**{self._words['question']} ({when}):**\n")
            shown = (part for part in record.question_parts if not is_hidden(part))
            pieces += map(self._render_question_part, shown)
        if record.segments:
            models = dict.fromkeys(_escape_inline(segment.model) for segment in record.segments)
            names = ", ".join(name for name in models if name)
            label = self._words["answer"] + (f" ({names})" if names else "")
            pieces.append(f"\n**{label}:**\n")
            pieces += [self._render_part(part) for part in group_parts(record.answer)]
            if note := _end_note(record.segments, self._words):
                pieces.append(f"\n*({_escape_inline(note)})*\n")
        return "".join(pieces)

    def text_after_turns(self) -> str:
        """Return an empty string."""
        return ""

    def file_name(self, title: str) -> str:
        """Return a file name derived from the title."""
        return f"{safe_name(title)}.md"

    def _render_question_part(self, part: Part) -> str:
        if isinstance(part, ImagePart | FilePart):
            return f"\n> {_escape_inline(label_of(part))}\n"
        return _quote_block(_question_text(part))

    def _render_part(self, part: Part | StepTree | Sources) -> str:
        match part:
            case TextPart(text):
                return f"\n{_close_code_block(text)}\n"
            case ReasoningPart(text):
                return _folded_details(self._words["reasoning"], _fenced_code(text))
            case StepTree():
                return self._parts.render_step(part)
            case Sources():
                return self._parts.render_sources(part)
            case ImagePart() | FilePart() | DataPart():
                return self._parts.render_part(part)
            case ToolCallPart():
                body = _fenced_code(part.arguments) if part.arguments else ""
                body += _fenced_code(part.result) if part.result else ""
                return _folded_details(f"{part.name} — {self._words[f'tool_{part.state}']}", body)


class JsonExport:
    """Exports everything as JSON; ``imports.read_conversations`` restores the same conversations.

    A file consists of ``begin_file``, any number of conversations, and ``finish_file``.
    """

    media_type: ClassVar[str] = "application/json"

    def __init__(self, folders: Mapping[str, str] | None = None) -> None:
        """``folders`` has the names of folders by id; without it, none is named."""
        self._folders = folders or {}
        self._is_first = True
        self._forks: dict[tuple[int, int], str | None] = {}
        self._first_turns: dict[int, tuple[int, int] | None] = {}
        self._before: tuple[int, int, str] | None = None
        self._tip: tuple[int, int] | None = None
        self._shown_turn: str | None = None
        self._has_turn = False

    def begin_file(self) -> str:
        """Return the beginning of the file."""
        return f'{{"format":"{FORMAT}","version":{VERSION},"conversations":['

    def finish_file(self) -> str:
        """Return the end of the file."""
        return "\n]}\n"

    def text_before_turns(
        self, info: ConversationInfo, branches: Sequence[Branch], shown: int | None = None
    ) -> str:
        """Return the conversation's fields, up to its turns.

        Without ``shown``, the last turn passed is the last one shown.
        """
        by_id = {branch.id: branch for branch in branches}
        self._first_turns = {branch.id: _parent_place(by_id, branch) for branch in branches}
        self._forks = {place: None for place in self._first_turns.values() if place is not None}
        self._before = self._shown_turn = None
        spans = tree.path_of_spans(by_id, shown) if shown is not None else []
        self._tip = (spans[-1].branch, spans[-1].last) if spans else None
        self._has_turn = False
        head = {
            "id": info.id,
            "title": info.title,
            "title_source": info.title_source,
            "created_at": _iso_time(info.created_at),
            "updated_at": _iso_time(info.updated_at),
            "pinned": info.pinned_at is not None,
            "archived": info.archived_at is not None,
            "tags": info.tags,
            "folder": self._folders.get(info.folder_id or ""),
        }
        comma, self._is_first = "" if self._is_first else ",", False
        return f'{comma}\n{_encode_json(head)[:-1]},"turns":['

    def text_of_turn(self, record: TurnRecord) -> str:
        """Return a turn with its parent's id."""
        place = (record.branch, record.depth)
        parent = self._parent_turn_id(place)
        self._before = (*place, record.id)
        if place in self._forks:
            self._forks[place] = record.id
        if self._tip is None or place == self._tip:
            self._shown_turn = record.id
        comma, self._has_turn = "," if self._has_turn else "", True
        view = {
            "id": record.id,
            "parent": parent,
            "question": record.question,
            **_question_parts(record.question_parts),
            "created_at": _iso_time(record.created_at),
            "options": _options_object(record.options),
            "feedback": _feedback_object(record.feedback),
            "answer": [_segment_object(segment) for segment in record.segments],
        }
        return f"{comma}\n{_encode_json(view)}"

    def text_after_turns(self) -> str:
        """Return the end of the conversation."""
        return f'],"shown_turn":{_encode_json(self._shown_turn)}}}'

    def file_name(self, title: str) -> str:
        """Return a file name derived from the title."""
        return f"{safe_name(title)}.json"

    def _parent_turn_id(self, place: tuple[int, int]) -> str | None:
        """Return the id of the parent turn. Only turns at which branches begin are remembered."""
        branch, depth = place
        before = self._before
        if before is not None and before[:2] == (branch, depth - 1):
            return before[2]
        fork = self._first_turns.get(branch)
        return self._forks.get(fork) if fork is not None and fork[1] == depth - 1 else None


class HtmlExport:
    """Exports one HTML page that makes no requests.

    ``render`` converts an answer's Markdown to safe HTML. Only a page with formulas contains
    scripts, which render them.
    """

    media_type: ClassVar[str] = "text/html; charset=utf-8"

    def __init__(
        self,
        render: Callable[[str], str],
        words: Mapping[str, str] = WORDS,
        *,
        zone: tzinfo = UTC,
    ) -> None:
        """``zone`` is the time zone of all displayed times."""
        self._render = render
        self._words = {**WORDS, **words}
        self._formulas = ExportedFormulas()
        self._zone = zone
        self._parts = HtmlParts(self._render_markdown, self._words)

    def text_before_turns(
        self, info: ConversationInfo, branches: Sequence[Branch], shown: int | None = None
    ) -> str:
        """Return the page's head and the title."""
        self._formulas = ExportedFormulas()
        title = _escape_html(info.title) or "Conversation"
        when = self._time_element(info.created_at, f" ({self._zone})")
        return (
            '<!doctype html>\n<html lang="en">\n<head>\n'
            '<meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{export_policy()}">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<meta name="color-scheme" content="light dark">\n'
            '<meta name="referrer" content="no-referrer">\n'
            f"<title>{title}</title>\n<style>{font_styles()}{_CSS}{PARTS_CSS}</style>\n</head>\n<body>\n<main>\n"
            f'<header><h1 dir="auto">{title}</h1>'
            f"{when}</header>\n"
        )

    def text_of_turn(self, record: TurnRecord) -> str:
        """Return the question as escaped text, and the answer as rendered HTML."""
        pieces = ["<article>\n"]
        if record.question_parts:
            pieces.append(f"{self._time_element(record.created_at)}\n")
            pieces += self._question_pieces(record.question_parts)
        pieces += [self._render_part(part) for part in group_parts(record.answer)]
        if record.segments and (note := _end_note(record.segments, self._words)):
            pieces.append(f'<p class="note" dir="auto">{_escape_html(note)}</p>\n')
        return "".join([*pieces, "</article>\n"])

    def _question_pieces(self, parts: Sequence[Part]) -> Iterator[str]:
        label = _escape_html(self._words["question"])
        files = [part for part in parts if isinstance(part, ImagePart | FilePart)]
        texts = [
            _question_text(part)
            for part in parts
            if not isinstance(part, ImagePart | FilePart) and not is_hidden(part)
        ]
        if texts:
            question = _escape_html("\n\n".join(texts))
            yield (
                f'<div class="question" role="group" aria-label="{label}" dir="auto">'
                f"{question}</div>\n"
            )
        if files:
            shown = "".join(map(self._parts.render_part, files))
            yield f'<div class="attached" role="group" aria-label="{label}">{shown}</div>\n'

    def text_after_turns(self) -> str:
        """Return the end of the page."""
        return f"</main>\n{self._formulas.head_elements()}</body>\n</html>\n"

    def file_name(self, title: str) -> str:
        """Return a file name derived from the title."""
        return f"{safe_name(title)}.html"

    def _time_element(self, seconds: float, zone: str = "") -> str:
        shown = _escape_html(_local_time(seconds, self._zone) + zone)
        return f'<time datetime="{_iso_time(seconds)}">{shown}</time>'

    def _render_part(self, part: Part | StepTree | Sources) -> str:
        match part:
            case TextPart(text):
                return f'<div class="ws-prose" dir="auto">{self._render_markdown(text)}</div>\n'
            case ReasoningPart(text):
                return self._folded_details(self._words["reasoning"], ("", text))
            case StepTree():
                return self._parts.render_step(part)
            case Sources():
                return self._parts.render_sources(part)
            case ImagePart() | FilePart() | DataPart():
                return self._parts.render_part(part)
            case ToolCallPart():
                return self._folded_details(
                    f"{part.name} — {self._words[f'tool_{part.state}']}",
                    (self._words["arguments"], part.arguments),
                    (self._words["result"], part.result or ""),
                )

    def _render_markdown(self, text: str) -> str:
        html = self._render(text)
        self._formulas.scan_formulas(html)
        return html

    def _folded_details(self, label: str, *parts: tuple[str, str]) -> str:
        body = "".join(
            (f"<h2>{_escape_html(title)}</h2>" if title else "")
            + f'<pre dir="auto">{_escape_html(text)}</pre>'
            for title, text in parts
            if text
        )
        return f"<details><summary>{_escape_html(label)}</summary>{body}</details>\n"


# ---- shared helpers ----------------------------------------------------------------------------


def safe_name(title: str) -> str:
    """Return ``title`` without characters that are special to a file system or a shell.

    >>> safe_name("../../etc/passwd")
    'etc passwd'
    """
    plain = unicodedata.normalize("NFC", " ".join(title.split()))
    plain = _LOOSE_JOINERS.sub("", "".join(filter(_is_allowed_char, plain)))
    plain = " ".join(re.sub(r'[/\\:*?"<>|%]+', " ", plain).split())
    plain = cut_at_grapheme(plain.lstrip(".- ~"), MAX_NAME_CHARS).strip(". ")
    plain = plain or "conversation"
    # reserved even if spaces and an extension follow
    return f"_{plain}" if _DEVICE.fullmatch(plain) else plain


_DEVICE = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\u00b9\u00b2\u00b3]) *(\..*)?", re.IGNORECASE
)
"""Device names reserved by Windows."""

_SHAPED = "[\u0600-\u0dff\u0f00-\u109f\u1780-\u18af\u203c-\u3299\ufe0f\U0001f000-\U0001faff]"
_LOOSE_JOINERS = re.compile(
    f"(?<!{_SHAPED})[\u200c\u200d]|[\u200c\u200d](?!{_SHAPED})"
    "|(?<![\U0001f3f4\U000e0020-\U000e007f])[\U000e0020-\U000e007f]+"
)
"""Matches joiners and tags that have no visible effect."""


def _is_allowed_char(char: str) -> bool:
    """Return whether a name may contain the character."""
    # "C": control and format characters, surrogates, private use, unassigned
    return (
        unicodedata.category(char)[0] != "C"
        or char in "\u200c\u200d"
        or "\U000e0020" <= char <= "\U000e007f"
        or "\U0001f000" <= char <= "\U0001faff"  # emoji newer than Python's Unicode data
    )


def _iso_time(seconds: float) -> str:
    bounded = min(max(seconds, 0.0), 253_402_300_799.0)  # the last second of the year 9999
    return datetime.fromtimestamp(bounded, UTC).isoformat().replace("+00:00", "Z")


def _local_time(seconds: float, zone: tzinfo) -> str:
    bounded = min(max(seconds, 0.0), 253_402_300_799.0 - 86_400)  # at most year 9999 in any zone
    return f"{datetime.fromtimestamp(bounded, zone):%Y-%m-%d %H:%M}"


def _question_text(part: Part) -> str:
    """Return the text of a question's part; a mark for one that is not text."""
    match part:
        case TextPart() | ReasoningPart():
            return part.text
        case ToolCallPart():
            return part.result or ""
        case ImagePart() | FilePart() | DataPart():
            return label_of(part)
        case _:
            assert_never(part)


def _end_note(segments: Sequence[Segment], words: Mapping[str, str]) -> str:
    """Return a note about how an answer ended, "" if it is complete."""
    end = segments[-1].end
    if end is not None and end.error is not None:
        return str(end.error) or words["error"]
    match end.reason if end else "interrupted":
        case "cancelled":
            return words["stopped"]
        case "interrupted":
            return words["interrupted"]
        case "length":
            return words["length_reached"]
        case "content_filter":
            return words["filtered"]
        case _:
            return "" if any(segment.entries for segment in segments) else words["empty"]


# ---- Markdown ----------------------------------------------------------------------------------

_PROSE = re.compile(r"(?:^(?:[^\W\d_][\w ,.;:?!'’“”„«»()–—…%/-]*)?$\n?)*", re.MULTILINE)
"""Matches lines that are plain text in every Markdown dialect."""


def _quote_block(question: str) -> str:
    """Return a question as a quotation, or as a code block if it may contain markup."""
    lines = question.replace("\r\n", "\n").replace("\r", "\n").strip("\n")
    if not all(_PROSE.fullmatch(line) for line in lines.split("\n")):
        return _fenced_code(lines)
    # two trailing spaces are a line break
    quoted = [f"> {line}  " if line else ">" for line in lines.split("\n")]
    return "\n" + "\n".join(quoted).rstrip() + "\n"


def _fenced_code(text: str) -> str:
    runs = re.findall(r"`+", text)
    fence = "`" * max(3, 1 + max(map(len, runs), default=0))
    return f"\n{fence}text\n{text}\n{fence}\n"


def _folded_details(label: str, body: str) -> str:
    return f"\n<details>\n<summary>{_escape_html(_one_line(label))}</summary>\n{body}\n</details>\n"


def _escape_inline(text: str) -> str:
    """Return a text on one line with all markup escaped."""
    return re.sub(r"([\\`*_{}\[\]()<>#|~&$!+=:@-])", r"\\\1", _one_line(text))


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _close_code_block(answer: str) -> str:
    """Close a code block that is still open since the answer was stopped."""
    fence = ""
    for line in answer.splitlines():
        mark = re.match(r" {0,3}(`{3,}|~{3,})(.*)", line)
        if not mark:
            continue
        run, rest = mark.groups()
        if not fence:
            fence = run if run[0] == "~" or "`" not in rest else ""
        elif run.startswith(fence) and not rest.strip():
            fence = ""
    return f"{answer}\n{fence}" if fence else answer


# ---- JSON --------------------------------------------------------------------------------------


def _encode_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _parent_place(branches: Mapping[int, Branch], branch: Branch) -> tuple[int, int] | None:
    """Return the branch and depth of the parent of the first turn of ``branch``."""
    depth = branch.first - 1
    at = branch.parent
    while at is not None and branches[at].first > depth:
        at = branches[at].parent
    return (at, depth) if at is not None and depth >= 0 else None


def _options_object(options: Options) -> dict[str, Any]:
    return {
        "model": options.model,
        "system": options.system,
        "temperature": options.temperature,
        "max_tokens": options.max_tokens,
        "sanitize": options.sanitize,
    }


def _feedback_object(feedback: Feedback | None) -> dict[str, str] | None:
    return {"verdict": feedback.verdict, "words": feedback.words} if feedback else None


def _segment_object(segment: Segment) -> dict[str, Any]:
    end = segment.end
    error = end.error if end else None
    return {
        "model": segment.model,
        "created_at": _iso_time(segment.created_at),
        "reason": end.reason if end else None,
        "error": {"code": error.code, "message": str(error)} if error else None,
        "usage": {
            "input_tokens": end.usage.input_tokens if end else None,
            "output_tokens": end.usage.output_tokens if end else None,
        },
        "timing": {
            "first_s": end.timing.first_s if end else None,
            "reasoning_s": end.timing.reasoning_s if end else None,
            "total_s": end.timing.total_s if end else None,
        },
        "parts": [
            part_to_object(part) for part in parts_of(segment.entries) if not is_hidden(part)
        ],
    }


def _question_parts(parts: Sequence[Part]) -> dict[str, Any]:
    """Return the field for the parts of a question; none if it consists of its text."""
    parts = [part for part in parts if not is_hidden(part)]
    if tuple(parts) == text_parts(text_of(parts)):
        return {}
    return {"question_parts": [part_to_object(part) for part in parts]}


# ---- HTML --------------------------------------------------------------------------------------


def _escape_html(text: str) -> str:
    """Escape text for an HTML element or a quoted attribute."""
    return escape(seen(text.replace("\x00", "\ufffd")), quote=True)


_CSS = """
:root{color-scheme:light dark;--bg:#fbfaf8;--bubble:#f0ede7;--text:#201e1b;--muted:#6a655d;
--line:#e3dfd8;--accent:#2f5cc5;--code:#f4f2ed;--k:#a626a4;--s:#2f7d32;--n:#8f4d00;--f:#2454c6;
--c:#6a6f78;--del:#b3261e}
@media(prefers-color-scheme:dark){:root{--bg:#171614;--bubble:#2b2926;--text:#ecebe7;
--muted:#a8a39b;--line:#37342f;--accent:#92aefc;--code:#1f1d1b;--k:#d8a2f0;--s:#9fd39b;--n:#f0b67f;
--f:#8fb4ff;--c:#9297a1;--del:#ff8f9b}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--text);
font:1rem/1.6 "Source Sans 3","Noto Sans","Segoe UI",system-ui,sans-serif}
main{max-width:49rem;margin:0 auto;padding:2.5rem 1.5rem 4rem}
header{margin-bottom:2.5rem;padding-bottom:1rem;border-bottom:1px solid var(--line)}
h1{margin:0;font-size:1.75rem;line-height:1.25;overflow-wrap:anywhere;text-wrap:balance}
time,.note,summary{color:var(--muted);font-size:.9375rem}
article{display:flow-root;margin-bottom:2rem}
article>time{display:block;margin-bottom:.25rem;text-align:end;font-size:.8125rem}
.question{width:fit-content;max-width:85%;margin:0 0 1rem;margin-inline-start:auto;
padding:.625rem 1rem;border-radius:20px;border-end-end-radius:6px;background:var(--bubble);
overflow:clip;overflow-wrap:anywhere;white-space:pre-wrap;unicode-bidi:plaintext}
.note{margin:.75rem 0 0;font-style:italic}
details{margin:0 0 .75rem}
summary{cursor:pointer}
details h2{margin:.5rem 0 0;color:var(--muted);font-size:.8125rem}
details pre{margin:.25rem 0;padding-inline-start:1rem;border-inline-start:2px solid var(--line);
color:var(--muted)}
pre,code{font-family:"Source Code Pro",ui-monospace,Consolas,monospace;font-size:.875em}
pre{overflow-wrap:anywhere;white-space:pre-wrap}
.ws-prose{overflow:clip;overflow-clip-margin:.75rem;overflow-wrap:break-word}
.ws-prose :is(h3,h4,h5,h6){margin:1.5rem 0 .5rem;font-size:1rem;line-height:1.3}
.ws-prose h3{font-size:1.5rem}
.ws-prose h4{font-size:1.25rem}
.ws-prose h5{font-size:1.0625rem}
.ws-prose :is(p,li,h3,h4,h5,h6,td,th){unicode-bidi:plaintext;text-align:start}
.ws-prose .ws-only-code,.ws-prose .ws-only-code>p:first-child{unicode-bidi:normal}
.ws-prose>:first-child{margin-top:0}
.ws-prose>:last-child{margin-bottom:0}
.ws-prose a{color:var(--accent);overflow-wrap:anywhere}
.ws-host{color:var(--muted);font-size:.875em}
.ws-prose blockquote{margin-inline:0;padding-inline-start:1rem;
border-inline-start:3px solid var(--line);color:var(--muted)}
.ws-prose details{padding:.5rem .875rem;border:1px solid var(--line);border-radius:12px}
.ws-prose summary{color:inherit;font-size:inherit;font-weight:600}
.ws-prose details pre{margin:0;padding:.375rem 1rem .75rem;border:0;color:inherit}
.ws-prose kbd{padding:.0625em .375em;border:1px solid var(--line);border-bottom-width:2px;
border-radius:6px;font-family:"Source Code Pro",ui-monospace,Consolas,monospace;font-size:.875em}
.ws-prose mark{padding:0 .125em;border-radius:4px;color:inherit;
background:color-mix(in srgb,#ffd43b 45%,transparent)}
.ws-prose :is(sub,sup){line-height:0}
.ws-prose hr{height:1px;border:0;background:var(--line)}
.ws-prose :not(pre)>code{padding:.125em .375em;border-radius:6px;background:var(--code)}
.ws-code{margin:0 0 1rem;border:1px solid var(--line);border-radius:12px;background:var(--code);
direction:ltr}
.ws-code::before{display:block;padding:.375rem 1rem 0;color:var(--muted);content:attr(data-lang);
font-size:.8125rem}
.ws-code pre{margin:0;padding:.375rem 1rem .75rem;tab-size:4}
.ws-code pre code{font-size:inherit}
.ws-code .k{color:var(--k)}
.ws-code :is(.s,.gi){color:var(--s)}
.ws-code :is(.n,.v,.d,.a){color:var(--n)}
.ws-code :is(.f,.t,.b){color:var(--f)}
.ws-code .c{color:var(--c);font-style:italic}
.ws-code .gd{color:var(--del)}
.ws-table{margin:0 0 1rem;overflow-x:auto}
.ws-table table{border-collapse:collapse}
.ws-table :is(th,td){padding:.375rem .75rem;border:1px solid var(--line);text-align:start;
vertical-align:top}
.ws-tex{direction:ltr;unicode-bidi:isolate}
.ws-tex:not([data-drawn="1"]){font-family:ui-monospace,Consolas,monospace;font-size:.875em;
white-space:pre-wrap;overflow-wrap:anywhere}
.ws-math{display:block;margin:.75rem 0;padding:.25rem 0;overflow-x:auto;overflow-y:hidden}
.ws-math[data-drawn="1"]{text-align:center}
.ws-prose .katex{font-size:1.15em}
.ws-prose .ws-math>.katex-display{width:max-content;min-width:100%;margin:0}
.ws-task{list-style:none}
.ws-check{display:inline-block;width:.875rem;height:.875rem;margin-inline:-1.375rem .5rem;
border:1.5px solid var(--muted);border-radius:4px;vertical-align:-.1em}
.ws-check[data-on]{border-color:var(--accent);background:var(--accent);color:var(--bg);
font:700 .75rem/.75rem sans-serif;text-align:center;print-color-adjust:exact}
.ws-check[data-on]::after{content:"\\2713"}
.ws-image .ws-host{margin-inline-start:.5em}
.ws-img{max-width:100%}
.ws-fn{font-size:.75em}
.ws-footnotes{padding-top:.75rem;border-top:1px solid var(--line);color:var(--muted);
font-size:.875rem}
@media(max-width:40rem){main{padding:1.5rem 1rem 3rem}}
@media print{:root{--bg:#fff;--text:#000}main{max-width:none;padding:0}.question{border:1px solid
var(--line)}.ws-code,.ws-table,.question{break-inside:avoid-page}}
"""
