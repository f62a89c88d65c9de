"""Questions of a handler for clients that know none: asked in words, answered by a message."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from wireside.chat.conversation import ConversationTurn
from wireside.extension.questions import open_question
from wireside.parts import DataPart, data_of

YES: Final = frozenset(("yes", "y", "true", "ok", "okay", "approve", "approved", "1"))
NO: Final = frozenset(("no", "n", "false", "refuse", "refused", "deny", "0"))


def waiting_question(turn: ConversationTurn | None) -> DataPart | None:
    """Return the question at which the answer of a turn waits; None if it does not."""
    if turn is None or turn.is_live or turn.waiting:
        return None
    return open_question(turn.answer)


def question_in_words(question: DataPart) -> str:
    """Return a question with how to answer it."""
    data = data_of(question)
    if not isinstance(data, dict):
        return question.text
    prompt = data.get("prompt") or question.text
    return f"{prompt}\n\n{_how_to_answer(data)}"


def _how_to_answer(data: Mapping[str, Any]) -> str:
    match data.get("type"):
        case "approve":
            return f"(Answer “{data.get('yes') or 'Yes'}” or “{data.get('no') or 'No'}”.)"
        case "choose":
            labels = [f"{i}. {one['label']}" for i, one in enumerate(_options(data), 1)]
            some = " Several, separated by commas, are possible." if data.get("multiple") else ""
            return "\n".join(labels) + f"\n\n(Answer with the number or the words.{some})"
        case "form":
            names = ", ".join(str(field.get("name")) for field in data.get("fields") or ())
            return f"(Answer with a JSON object with the fields {names}.)"
        case "file":
            return "(Answer with a file.)"
        case _:
            return "(Answer with a text.)"


def answer_from_words(question: DataPart, text: str, *, files: tuple[str, ...] = ()) -> object:
    """Return what a message answers to a question, None if it does not fit.

    Args:
        question: an open question.
        text: the text of the message.
        files: the ids of its files.
    """
    data = data_of(question)
    if not isinstance(data, dict):
        return None
    words = text.strip()
    match data.get("type"):
        case "approve":
            return _approval(data, words.rstrip(".!").casefold())
        case "choose":
            return _choice(data, words)
        case "form":
            try:
                value = json.loads(words)
            except (ValueError, RecursionError):
                return None
            return value if isinstance(value, dict) else None
        case "file":
            return files[0] if files else None
        case "text":
            return words or None
        case _:
            return None


def _approval(data: Mapping[str, Any], words: str) -> bool | None:
    if words in YES or words == str(data.get("yes") or "yes").casefold():
        return True
    if words in NO or words == str(data.get("no") or "no").casefold():
        return False
    return None


def _choice(data: Mapping[str, Any], words: str) -> object:
    options = _options(data)
    by_word: dict[str, Any] = {}
    for number, option in enumerate(options, 1):
        by_word |= {str(number): option["value"]}
    for option in options:
        by_word |= {str(option[key]).casefold(): option["value"] for key in ("value", "label")}
    whole = by_word.get(words.casefold())
    if not data.get("multiple") or whole is not None:
        return whole
    chosen = [by_word.get(word.strip().casefold()) for word in words.split(",")]
    return None if None in chosen else chosen


def _options(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        one
        for one in data.get("options") or ()
        if isinstance(one, dict) and "value" in one and "label" in one
    ]
