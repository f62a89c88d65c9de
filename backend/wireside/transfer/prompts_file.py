"""Files of prompts: written as JSON, and read from that or from an export of Open WebUI."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from wireside.errors import BadMessage
from wireside.records import Prompt
from wireside.transfer.untyped import dict_or_empty, list_or_empty, string_or_empty

FORMAT: Final = "wireside-prompts"


def write_prompts(prompts: Sequence[Prompt]) -> str:
    """Return the content of a file with these prompts."""
    entries = [{"name": prompt.name, "text": prompt.text} for prompt in prompts]
    content = {"format": FORMAT, "version": 1, "prompts": entries}
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"


def read_prompts(data: bytes) -> list[tuple[str, str]]:
    """Return the names and texts of the prompts in a file.

    Raises:
        BadMessage: it is not a file of prompts.
    """
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadMessage("The file is not JSON.") from error
    listed = content if isinstance(content, list) else _own_entries(content)
    entries = [dict_or_empty(entry) for entry in listed]
    found = [(_name_of(entry), _text_of(entry)) for entry in entries]
    if not found or not all(name and text for name, text in found):
        raise BadMessage("The file has no prompts, or one without a name or a text.")
    return found


def _own_entries(content: object) -> list[object]:
    fields = dict_or_empty(content)
    return list_or_empty(fields.get("prompts")) if fields.get("format") == FORMAT else []


def _name_of(entry: dict[str, object]) -> str:
    """Return the name of a prompt; Open WebUI has a title or name, and a command."""
    names = (string_or_empty(entry.get(key)) for key in ("name", "title", "command"))
    return next((name.strip() for name in names if name.strip()), "")


def _text_of(entry: dict[str, object]) -> str:
    texts = (string_or_empty(entry.get(key)) for key in ("text", "content"))
    return next((text for text in texts if text.strip()), "")
