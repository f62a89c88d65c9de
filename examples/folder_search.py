"""Answers from the text files of a folder, with their passages as sources.

    FOLDER=docs wireside serve examples/folder_search.py:chat

With a configured model service, its default model writes the answer from the passages.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

from wireside import Chat, Source, Turn, UnknownModel

chat = Chat("Folder")


@chat.on_message
async def search(turn: Turn) -> AsyncIterator[object]:
    """Answers from the files of a folder."""
    async with turn.step("search", input=turn.text) as step:
        passages = find_passages(Path(os.environ.get("FOLDER", "docs")), turn.text)
        step.output = ", ".join(name for name, _ in passages)
    if not passages:
        yield "No file has anything about this."
        return
    context = "\n\n".join(f"[{name}]\n{text}" for name, text in passages)
    prompt = f"Answer from these passages only:\n\n{context}\n\nQuestion: {turn.text}"
    try:
        async for text in turn.complete([{"role": "user", "content": prompt}]):
            yield text
    except UnknownModel:  # no model service is configured
        yield f"> {passages[0][1]}"
    for name, text in passages:
        yield Source(name, text=text)


def find_passages(folder: Path, question: str, *, count: int = 3) -> list[tuple[str, str]]:
    """Return the paragraphs that have most of the question's words, with their file names."""
    words = set(re.findall(r"\w{4,}", question.lower()))
    scored = [
        (len(words & set(re.findall(r"\w{4,}", paragraph.lower()))), file.name, paragraph.strip())
        for file in sorted(folder.glob("*.md"))
        for paragraph in file.read_text("utf-8").split("\n\n")
    ]
    best = sorted((one for one in scored if one[0]), key=lambda one: -one[0])[:count]
    return [(name, text) for _, name, text in best]
