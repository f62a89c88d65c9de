"""Reads conversations from files: our own JSON and exports of other products, as JSON or ``.zip``.

Supported products are ChatGPT, Claude, Open WebUI, LibreChat and DeepSeek.

Pure; a large file takes seconds, so call ``read_conversations`` in a thread. The author of a file
may be hostile: everything in it is checked and bounded (``import_limits``), no name in it becomes a
path, and every id is replaced, so that existing data can't be overwritten or guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from wireside.errors import BadMessage
from wireside.records import Imported
from wireside.transfer.formats.chatgpt import read_chatgpt
from wireside.transfer.formats.claude import is_claude, read_claude
from wireside.transfer.formats.deepseek import is_deepseek, read_deepseek
from wireside.transfer.formats.foreign import ForeignConversation, build_conversation
from wireside.transfer.formats.librechat import is_librechat, read_librechat
from wireside.transfer.formats.open_webui import is_open_webui, read_open_webui
from wireside.transfer.formats.wireside import read_wireside
from wireside.transfer.import_file import (
    EXPECTED,
    FOREIGN_KEYS,
    Format,
    is_too_large,
    parse_conversation,
    read_file,
)
from wireside.transfer.import_limits import (
    IMPORT_LIMITS,
    IN_PARTS,
    ImportBudget,
    ImportLimits,
    TooMuch,
)
from wireside.transfer.turn_tree import ImportContext, NewId

Matches = Callable[[Mapping[str, Any]], bool]
Reader = Callable[[Mapping[str, Any]], ForeignConversation]

READERS: tuple[tuple[Matches, Reader], ...] = (
    (is_claude, read_claude),
    (is_open_webui, read_open_webui),
    (is_librechat, read_librechat),
    (is_deepseek, read_deepseek),
)
"""Readers of other products' formats; what none of them matches is ChatGPT's."""


@dataclass(frozen=True, slots=True)
class ImportResult:
    """The conversations of a file.

    ``passed_over`` counts unreadable conversations and the items omitted from the others.
    """

    conversations: tuple[Imported, ...]
    passed_over: int


def read_conversations(
    data: bytes, *, new_id: NewId, now: float, limits: ImportLimits = IMPORT_LIMITS
) -> ImportResult:
    """Return all conversations of a file. See ``conversations``."""
    found = list(conversations(data, new_id=new_id, now=now, limits=limits))
    return ImportResult(
        tuple(imported for imported in found if imported is not None), sum(map(passed_over, found))
    )


def conversations(
    data: bytes, *, new_id: NewId, now: float, limits: ImportLimits = IMPORT_LIMITS
) -> Iterator[Imported | None]:
    """Iterate over the conversations of a file; None stands for an unreadable one.

    Each conversation is built when it is requested. ``now`` is in seconds since 1970; later times
    are cut to it.

    Raises:
        BadMessage: the file is of no known format or too large, or none of its conversations can be
            read; the message is written for users. It may be raised as late as at the end, so
            iterate once before storing conversations as they come.
    """
    context = ImportContext(new_id=new_id, now=now, budget=ImportBudget(limits))
    count = 0
    is_any_read = False
    for kind, raw in read_file(data, limits):
        count += 1
        if count > limits.max_conversations:
            raise TooMuch(
                f"The file has more than {limits.max_conversations:,} conversations. {IN_PARTS}"
            )
        imported = None if is_too_large(raw, limits) else _try_to_build(kind, raw, context)
        is_any_read = is_any_read or imported is not None
        yield imported
        del imported  # releases it while the next one is built
    if count and not is_any_read:
        raise BadMessage(f"No conversation in the file can be read. {EXPECTED}")


def passed_over(imported: Imported | None) -> int:
    """Return the number of omitted items of a conversation; 1 for an unreadable one."""
    return 1 if imported is None else imported.passed_over


def _try_to_build(kind: Format, raw: msgspec.Raw, context: ImportContext) -> Imported | None:
    """Return a conversation, or None if it is malformed. Raises ``TooMuch``."""
    try:
        value = parse_conversation(raw)
        return _build_imported(kind, value, context) if isinstance(value, dict) else None
    except TooMuch:
        raise
    except (BadMessage, msgspec.MsgspecError, RecursionError):
        return None


def _build_imported(kind: Format, value: dict[str, Any], context: ImportContext) -> Imported:
    if kind == "own" or ("turns" in value and FOREIGN_KEYS.isdisjoint(value)):
        return read_wireside(value, context)
    for matches, read_foreign in READERS:
        if matches(value):
            return build_conversation(read_foreign(value), context)
    return read_chatgpt(value, context)
