"""Reads conversations of our own JSON export."""

from __future__ import annotations

from typing import Any

from wireside.chat.library import MAX_TITLE_CHARS
from wireside.errors import BadMessage, error_from_code
from wireside.messages import (
    End,
    Entry,
    FinishReason,
    Options,
    PartDelta,
    ReasoningDelta,
    TextDelta,
    Timing,
    ToolDelta,
    Usage,
)
from wireside.parts import (
    Attachment,
    DataPart,
    FilePart,
    ImagePart,
    Part,
    TextPart,
    ToolCallPart,
    is_hidden,
    part_from_object,
    text_parts,
)
from wireside.records import Feedback, Imported, Segment, TitleSource
from wireside.transfer.import_limits import MAX_NAME_CHARS
from wireside.transfer.turn_tree import ImportContext, Node, build_imported
from wireside.transfer.untyped import (
    as_number,
    count_or_none,
    dict_or_empty,
    list_or_empty,
    seconds_or_none,
    single_line,
    string_or_empty,
)

MAX_WORDS_CHARS = 2_000

MAX_FOLDER_CHARS = 100


def read_wireside(value: dict[str, Any], context: ImportContext) -> Imported:
    """Build a conversation of our own format. Raises ``BadMessage``, ``TooMuch``."""
    created_at = context.time_or_fallback(value.get("created_at"), context.now)
    turns = value.get("turns")
    if not isinstance(turns, list):
        raise BadMessage("turns: a list.")
    nodes = [
        _read_node(turn, fallback=created_at, context=context)
        for turn in turns
        if isinstance(turn, dict)
    ]
    source = value.get("title_source")
    titles: dict[object, TitleSource] = {"words": "words", "model": "model", "person": "person"}
    return build_imported(
        nodes,
        value.get("shown_turn"),
        context,
        title=single_line(value.get("title"), MAX_TITLE_CHARS),
        title_source=titles.get(source if isinstance(source, str) else None, "model"),
        created_at=created_at,
        updated_at=context.time_or_fallback(value.get("updated_at"), created_at),
        is_pinned=value.get("pinned") is True,
        is_archived=value.get("archived") is True,
        tags=list_or_empty(value.get("tags")),
        folder=single_line(value.get("folder"), MAX_FOLDER_CHARS),
    )


def _read_node(turn: dict[str, Any], *, fallback: float, context: ImportContext) -> Node:
    created_at = context.time_or_fallback(turn.get("created_at"), fallback)
    options = _read_options(dict_or_empty(turn.get("options")))
    calls: dict[str, str] = {}
    segments = [
        _read_segment(
            segment, calls, sanitize=options.sanitize, fallback=created_at, context=context
        )
        for segment in list_or_empty(turn.get("answer"))
        if isinstance(segment, dict)
    ]
    question = _read_question(turn)
    parts = len(question) + sum(len(segment.entries) + 1 for segment in segments)
    context.budget.spend_budget(parts=parts)
    key, parent = turn.get("id"), turn.get("parent")
    node = Node(
        key=key if isinstance(key, str) and key else context.new_id(),
        parent=parent if isinstance(parent, str) else None,
        question=question,
        created_at=created_at,
        segments=tuple(segments) or (context.no_answer(created_at),),
        options=options,
        feedback=_read_feedback(dict_or_empty(turn.get("feedback"))),
    )
    context.spend_turn(node)
    return node


QUESTION_PARTS = (TextPart, ImagePart, FilePart, DataPart)


def _read_question(turn: dict[str, Any]) -> tuple[Part, ...]:
    """Return the parts of a question; without a list of them, it is one text."""
    listed = list_or_empty(turn.get("question_parts"))
    found = (part_from_object(one) for one in listed if isinstance(one, dict))
    parts = tuple(
        part for part in found if isinstance(part, QUESTION_PARTS) and not is_hidden(part)
    )
    return parts or text_parts(string_or_empty(turn.get("question")))


def _read_segment(
    value: dict[str, Any],
    calls: dict[str, str],
    *,
    sanitize: bool,
    fallback: float,
    context: ImportContext,
) -> Segment:
    parts = (part for part in list_or_empty(value.get("parts")) if isinstance(part, dict))
    return Segment(
        stream=context.new_id(),
        model=single_line(value.get("model"), MAX_NAME_CHARS),
        entries=tuple(entry for part in parts if (entry := _read_entry(part, calls)) is not None),
        end=_read_end(value),
        sanitize=sanitize,
        created_at=context.time_or_fallback(value.get("created_at"), fallback),
    )


def _read_entry(part: dict[str, Any], calls: dict[str, str]) -> Entry | None:
    match part.get("type"):
        case "text":
            return TextDelta(text) if (text := string_or_empty(part.get("text"))) else None
        case "reasoning":
            return ReasoningDelta(text) if (text := string_or_empty(part.get("text"))) else None
        case "tool":
            call = calls.setdefault(string_or_empty(part.get("call")), f"call-{len(calls) + 1}")
            found = part_from_object(part)
            assert isinstance(found, ToolCallPart)
            return ToolDelta(
                call,
                single_line(found.name, MAX_NAME_CHARS),
                found.state,
                arguments=string_or_empty(found.arguments),
                result=None if found.result is None else string_or_empty(found.result),
            )
        case "image" | "file" | "data":
            other = part_from_object(part)
            if not isinstance(other, Attachment) or is_hidden(other):
                return None
            return PartDelta(other)
        case _:
            return None


def _read_end(value: dict[str, Any]) -> End:
    numbers = dict_or_empty(value.get("usage"))
    usage = Usage(
        count_or_none(numbers.get("input_tokens")), count_or_none(numbers.get("output_tokens"))
    )
    durations = dict_or_empty(value.get("timing"))
    timing = Timing(
        first_s=seconds_or_none(durations.get("first_s")),
        reasoning_s=seconds_or_none(durations.get("reasoning_s")),
        total_s=seconds_or_none(durations.get("total_s")),
    )
    if isinstance(error := value.get("error"), dict):
        code, message = string_or_empty(error.get("code")), single_line(error.get("message"), 1_000)
        return End(None, error_from_code(code, message or None), usage, timing)
    reasons: dict[object, FinishReason] = {
        "stop": "stop",
        "length": "length",
        "cancelled": "cancelled",
        "content_filter": "content_filter",
        "asking": "asking",
    }
    # without a reason, the answer was still running when the file was written
    reason = value.get("reason")
    ended = reasons.get(reason if isinstance(reason, str) else None, "interrupted")
    return End(ended, None, usage, timing)


def _read_options(value: dict[str, Any]) -> Options:
    temperature = as_number(value.get("temperature"))
    return Options(
        model=single_line(value.get("model"), MAX_NAME_CHARS) or None,
        system=string_or_empty(value.get("system")) or None,
        temperature=temperature if temperature is not None and 0 <= temperature <= 2 else None,
        max_tokens=count_or_none(value.get("max_tokens")) or None,
        sanitize=value.get("sanitize") is True,
    )


def _read_feedback(value: dict[str, Any]) -> Feedback | None:
    words = string_or_empty(value.get("words"))[:MAX_WORDS_CHARS]
    match value.get("verdict"):
        case "up":
            return Feedback("up", words)
        case "down":
            return Feedback("down", words)
        case _:
            return None
