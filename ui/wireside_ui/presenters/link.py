"""A link to a new chat: what its address asks for, also as the target of shared texts.

A page of another site can open such a link. It therefore only fills in what the user sees and can
change: a question is never sent by itself, a model is chosen for this chat alone, and invisible
characters are removed from the question.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wireside.invisible_text import seen

MAX_ID_CHARS = 200
"""Longest name of a model, or id of a preset, in an address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatLink:
    """What the address of a new chat asks for; "" for what it does not name."""

    question: str = ""
    model: str = ""
    preset: str = ""
    is_temporary: bool = False

    @classmethod
    def parse(cls, query: Mapping[str, str], *, max_question_chars: int) -> ChatLink:
        """Read the query of an address; values that can't be used are left out."""
        text = query.get("q") or _shared_text(query)
        question = seen(text).replace("\0", "").strip()
        model, preset = query.get("model", ""), query.get("preset", "")
        return cls(
            question=question[:max_question_chars],
            model=model if len(model) <= MAX_ID_CHARS else "",
            preset=preset if len(preset) <= MAX_ID_CHARS else "",
            is_temporary=query.get("temporary") == "1",
        )


def _shared_text(query: Mapping[str, str]) -> str:
    """Return what another application shares by the manifest's share target, "" for nothing.

    Applications put an address into any of the three fields, or into two of them.
    """
    lines: list[str] = []
    for line in (query.get("title", ""), query.get("text", ""), query.get("url", "")):
        if line.strip() and not any(line.strip() in other for other in lines):
            lines = [other for other in lines if other not in line]
            lines.append(line.strip())
    return "\n".join(lines)


NO_LINK = ChatLink()
"""An address that asks for nothing."""
