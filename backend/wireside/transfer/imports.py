"""Reads conversations from files: our own JSON and exports of other products, as JSON or ``.zip``.

Supported products are ChatGPT, Claude, Open WebUI, LibreChat and DeepSeek.

Pure; a large file takes seconds, so call ``read`` in a thread. The author of a file may be hostile:
everything in it is checked and bounded, no name in it becomes a path, and every id is replaced, so
that existing data can't be overwritten or guessed. A few bytes of an archive may expand to millions
of turns, and a tree may repeat the same text again and again: so the output is bounded over the
whole file, not only the input.
"""

from __future__ import annotations

import io
import math
import re
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from heapq import heappop, heappush
from typing import Any, Generic, TypeVar

import msgspec

from wireside.chat import tree
from wireside.chat.conversation import title_of
from wireside.errors import BY_CODE, BadMessage, InternalError
from wireside.messages import (
    End,
    Entry,
    FinishReason,
    Options,
    ReasoningDelta,
    TextDelta,
    ToolDelta,
    ToolState,
    Usage,
)
from wireside.records import (
    MAX_TAG_CHARS,
    MAX_TAGS,
    Branch,
    ConversationInfo,
    Feedback,
    Imported,
    Segment,
    TitleSource,
    TurnRecord,
)
from wireside.transfer.export import FORMAT, VERSION
from wireside.transfer.foreign_exports import (
    EntryCollector,
    ForeignConversation,
    ForeignMessage,
    file_marks,
    reader_for,
    reason_of,
)
from wireside.transfer.untyped import as_dict, as_line, as_list, as_text

MAX_BYTES = 256 * 1024 * 1024
"""Maximum size of a file, and of its unpacked content."""

MAX_CONVERSATIONS = 20_000
MAX_TURNS = 200_000
"""Maximum number of turns in all conversations of a file."""

MAX_PARTS = 1_000_000
"""Maximum number of pieces in all answers: branches of ChatGPT's trees share theirs."""

MAX_CHARS = 256 * 1024 * 1024
"""Maximum length of all questions and answers, for the same reason."""

MAX_ENTRIES = 100_000
"""Maximum number of files in an archive."""

MAX_VALUES = 8_000_000
"""Maximum number of values in a JSON text.

Locating conversations costs 80 bytes each, and each may be a single value.
"""

MAX_VALUES_OF_ONE = 3_000_000
MAX_BYTES_OF_ONE = 128 * 1024 * 1024
"""Maximum size of one conversation.

Its values are in memory, at 200 bytes per value or four per character.
"""

MAX_TITLE_CHARS = 200
MAX_NAME_CHARS = 200
"""Maximum length of the name of a model or a tool."""

MAX_WORDS_CHARS = 2_000
MAX_NUMBER = 2**53

PARTS = "Import it in parts: put fewer conversations into each file."
EXPECTED = (
    "Expected: a file exported here as JSON, or an export of ChatGPT (conversations.json), Claude,"
    " Open WebUI, LibreChat or DeepSeek, as JSON or as the .zip that it came in."
)

NewId = Callable[[], str]
M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class ImportResult:
    """The conversations of a file.

    ``passed_over`` counts unreadable conversations and the items omitted from the others.
    """

    conversations: tuple[Imported, ...]
    passed_over: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A turn of a file before it is placed. ``key`` and ``parent`` are ids in the file."""

    key: str
    parent: str | None
    question: str
    created_at: float
    segments: tuple[Segment, ...]
    options: Options = Options()
    feedback: Feedback | None = None


def read(data: bytes, *, new_id: NewId, now: float) -> ImportResult:
    """Return all conversations of a file. See ``conversations``."""
    found = list(conversations(data, new_id=new_id, now=now))
    return ImportResult(
        tuple(imported for imported in found if imported is not None), sum(map(passed_over, found))
    )


def conversations(data: bytes, *, new_id: NewId, now: float) -> Iterator[Imported | None]:
    """Iterate over the conversations of a file; None stands for an unreadable one.

    Each conversation is built when it is requested. ``now`` is in seconds since 1970; later times
    are cut to it.

    Raises:
        BadMessage: the file is of no known format or too large, or none of its conversations can be
            read; the message is written for users. It may be raised as late as at the end, so
            iterate once before storing conversations as they come.
    """
    if len(data) > MAX_BYTES:
        raise _too_large()
    room = Room()
    count = 0
    is_any_read = False
    for make, raw in _all_of(data):
        count += 1
        if count > MAX_CONVERSATIONS:
            raise TooMuch(f"The file has more than {MAX_CONVERSATIONS:,} conversations. {PARTS}")
        imported = _attempt(make=make, raw=raw, new_id=new_id, now=now, room=room)
        is_any_read = is_any_read or imported is not None
        yield imported
        del imported  # releases it while the next one is built
    if count and not is_any_read:
        raise BadMessage(f"No conversation in the file can be read. {EXPECTED}")


def passed_over(imported: Imported | None) -> int:
    """Return the number of omitted items of a conversation; 1 for an unreadable one."""
    return 1 if imported is None else imported.passed_over


class TooMuch(BadMessage):
    """The file exceeds a limit as a whole.

    The file is rejected, whereas a single malformed conversation is skipped.
    """


@dataclass(slots=True)
class Room:
    """The remaining limits for the conversations of a file."""

    turns: int = field(default_factory=lambda: MAX_TURNS)
    parts: int = field(default_factory=lambda: MAX_PARTS)
    chars: int = field(default_factory=lambda: MAX_CHARS)

    def take(self, *, turns: int = 0, parts: int = 0, chars: int = 0) -> None:
        """Subtract from the limits. Raises ``TooMuch``."""
        self.turns -= turns
        self.parts -= parts
        self.chars -= chars
        if self.turns < 0:
            raise TooMuch(f"The file has more than {MAX_TURNS:,} turns in all. {PARTS}")
        if self.parts < 0 or self.chars < 0:
            raise TooMuch(f"The answers in the file are too long in all. {PARTS}")

    def take_node(self, node: Node) -> None:
        """Count a turn. Raises ``TooMuch``."""
        chars = sum(_chars(entry) for segment in node.segments for entry in segment.entries)
        self.take(turns=1, chars=len(node.question) + chars)


def _chars(entry: Entry) -> int:
    if isinstance(entry, ToolDelta):
        return len(entry.arguments or "") + len(entry.result or "")
    return len(entry.text)


def place(nodes: Sequence[Node]) -> tuple[list[tuple[Node, int, int]], tuple[Branch, ...]]:
    """Return each node with its branch and depth, by branch, then depth, and the branches.

    Of the children of a node, the first in ``nodes`` continues its branch; each other one starts a
    new branch, in order. Nodes with an unknown parent are roots. Of several nodes with the same
    key, only the first is used; nodes in a cycle are omitted.
    """
    by_key: dict[str, int] = {}
    for index, node in enumerate(nodes):
        by_key.setdefault(node.key, index)
    follow: dict[int | None, list[int]] = {}
    for node in nodes:
        index = by_key[node.key]
        if nodes[index] is node:
            follow.setdefault(by_key.get(node.parent or ""), []).append(index)

    places: dict[int, tuple[int, int]] = {}
    branches: list[Branch] = []
    # The earliest of all nodes whose parent is placed: a branch is created after its parent.
    ready: list[tuple[int, int | None]] = [(index, None) for index in follow.get(None, [])]
    while ready:
        index, parent = heappop(ready)
        branch, depth = places[parent] if parent is not None else (None, -1)
        depth += 1
        if branch is not None and branches[branch].last == depth - 1:
            branches[branch] = replace(branches[branch], last=depth)
            places[index] = (branch, depth)
        else:
            places[index] = (len(branches), depth)
            branches.append(Branch(id=len(branches), parent=branch, first=depth, last=depth))
        for child in follow.get(index, ()):
            heappush(ready, (child, index))
    placed = sorted((*where, index) for index, where in places.items())
    return (
        [(nodes[index], branch, depth) for branch, depth, index in placed],
        tuple(branches) or (Branch(id=0, parent=None, first=0, last=-1),),
    )


@dataclass(slots=True)
class _Said(Generic[M]):
    """A shown message of a file. ``above`` is the shown message before it."""

    key: str
    above: _Said[M] | None
    is_question: bool
    message: M
    time: float
    is_end: bool = True
    """Whether a turn ends here: no part of an answer follows, or a question does."""
    after: _Said[M] | None = None
    """The last part of an answer that follows this message."""


# ---- the file ----------------------------------------------------------------------------------

Make = Callable[[dict[str, Any], NewId, float, Room], Imported]

_Top = list[msgspec.Raw] | dict[str, msgspec.Raw]


def _all_of(data: bytes) -> Iterator[tuple[Make, msgspec.Raw]]:
    """Iterate over the conversations of a JSON text or an archive.

    An unreadable file of an archive counts as one unreadable conversation.
    """
    if data[:2] != b"PK":
        yield from _conversations(data)
        return
    for text in _unpacked(data):
        try:
            yield from _conversations(text)
        except TooMuch:
            raise
        except BadMessage:
            yield _from_elsewhere, msgspec.Raw(b"null")


def _attempt(
    make: Make, raw: msgspec.Raw, new_id: NewId, now: float, room: Room
) -> Imported | None:
    """Return a conversation, or None if it is malformed. Raises ``TooMuch``."""
    try:
        value = None if _is_too_large(raw) else _value(raw)
        return make(value, new_id, now, room) if isinstance(value, dict) else None
    except TooMuch:
        raise
    except (BadMessage, msgspec.MsgspecError, RecursionError):
        return None


def _is_too_large(raw: msgspec.Raw) -> bool:
    size = memoryview(raw).nbytes
    if size <= MAX_VALUES_OF_ONE:
        return False
    return size > MAX_BYTES_OF_ONE or _has_more_values(bytes(raw), MAX_VALUES_OF_ONE)


def _has_more_values(text: bytes, limit: int) -> bool:
    """Return whether a JSON text has more than ``limit`` values; string contents don't count."""
    if text.count(b",") + text.count(b"[") + text.count(b"{") <= limit:
        return False
    counted = 0
    for match in _TOKEN.finditer(text):
        counted += match[1] is not None
        if counted > limit:
            return True
    return False


_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"?|([,\[{])', re.DOTALL)
"""A string, even an unterminated one, or (the group) a character after which a value follows."""


def _conversations(text: bytes) -> Iterator[tuple[Make, msgspec.Raw]]:
    """Iterate over the conversations of a JSON text; each is parsed when it is requested."""
    text = text.removeprefix(b"\xef\xbb\xbf")
    if _has_more_values(text, MAX_VALUES):
        raise TooMuch(f"There is too much in the file. {PARTS}")
    try:
        whole = _cut(text)
        if isinstance(whole, list):
            yield from ((_from_elsewhere, raw) for raw in whole)
        elif "format" not in whole and not FOREIGN_KEYS.isdisjoint(whole):
            yield _from_elsewhere, msgspec.Raw(text)
        elif "format" not in whole and (raws := _listed(whole)):
            yield from ((_from_elsewhere, raw) for raw in raws)
        else:
            yield from ((_from_ours, raw) for raw in _ours(whole))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadMessage(f"The file is not JSON that can be read. {EXPECTED}") from error


FOREIGN_KEYS = frozenset(
    {"mapping", "chat_messages", "chat", "history", "messages", "messagesTree"}
)
"""Each conversation of another product's export has one of these keys."""


def _from_elsewhere(value: dict[str, Any], new_id: NewId, now: float, room: Room) -> Imported:
    if "turns" in value and FOREIGN_KEYS.isdisjoint(value):
        return _from_ours(value, new_id, now, room)
    if (reader := reader_for(value)) is None:
        return _from_chatgpt(value, new_id, now, room)
    return _from_foreign(reader(value), new_id, now, room)


def _from_foreign(found: ForeignConversation, new_id: NewId, now: float, room: Room) -> Imported:
    created_at = _time(found.created_at, now, now)
    said, nearest = _said_in(found.messages, created_at, now)

    def question(here: _Said[ForeignMessage]) -> str:
        return here.message.question or ""

    def answer(chain: list[_Said[ForeignMessage]]) -> Segment | None:
        return _joined(chain, as_line(found.model, MAX_NAME_CHARS), new_id)

    nodes = _turns_of(said=said, question=question, answer=answer, new_id=new_id, room=room)
    if not nodes:
        raise BadMessage("messages: at least one.")
    title = as_line(found.title, MAX_TITLE_CHARS)
    tags = (as_line(tag, MAX_TAG_CHARS) for tag in found.tags)
    return _imported(
        nodes,
        _shown_end(nearest.get(found.current) if isinstance(found.current, str) else None),
        title=title,
        title_source="model" if title else "words",
        created_at=created_at,
        updated_at=_time(found.updated_at, created_at, now),
        is_pinned=found.is_pinned,
        is_archived=found.is_archived,
        tags=tuple(dict.fromkeys(tag for tag in tags if tag))[:MAX_TAGS],
        new_id=new_id,
        now=now,
        left_out=sum(one.left_out for one in found.messages),
    )


def _said_in(
    messages: Sequence[ForeignMessage], fallback: float, now: float
) -> tuple[list[_Said[ForeignMessage]], dict[str, _Said[ForeignMessage] | None]]:
    """Return the messages, parents first; of several with the same key, the first is used."""
    by_key = {one.key: one for one in reversed(messages)}
    follow: dict[str | None, list[str]] = {}
    for key, one in reversed(by_key.items()):
        parent = one.parent if one.parent in by_key and one.parent != key else None
        follow.setdefault(parent, []).append(key)
    said: list[_Said[ForeignMessage]] = []
    nearest: dict[str, _Said[ForeignMessage] | None] = {}
    stack: list[tuple[str, _Said[ForeignMessage] | None]] = [
        (key, None) for key in reversed(follow.pop(None, []))
    ]
    while stack:
        key, above = stack.pop()
        message = by_key[key]
        time = _time(message.time, above.time if above else fallback, now)
        here = _Said(
            key=key,
            above=above,
            is_question=message.question is not None,
            message=message,
            time=time,
        )
        if above is not None and not here.is_question:
            above.after = here
        said.append(here)
        nearest[key] = here
        stack += [(child, here) for child in reversed(follow.get(key, ()))]
    _find_ends(said)
    return said, nearest


def _joined(chain: list[_Said[ForeignMessage]], model: str, new_id: NewId) -> Segment | None:
    """Return the parts of an answer as one segment; all states of a tool call get the same id."""
    if not chain:
        return None
    entries: list[Entry] = []
    calls: dict[str, str] = {}
    for here in chain:
        for entry in here.message.entries:
            if isinstance(entry, ToolDelta):
                call = calls.setdefault(entry.call, f"call-{len(calls) + 1}")
                entries.append(replace(entry, call=call))
            elif isinstance(entry, TextDelta) and here is not chain[0] and entries:
                is_first = entry is here.message.entries[0]
                entries.append(TextDelta(f"\n\n{entry.text}") if is_first else entry)
            else:
                entries.append(entry)
        model = as_line(here.message.model, MAX_NAME_CHARS) or model
    last = {entry.call: entry for entry in entries if isinstance(entry, ToolDelta)}
    entries += [replace(one, state="done") for one in last.values() if one.state == "running"]
    end = End(chain[-1].message.reason)
    return Segment(
        stream=new_id(), model=model, entries=tuple(entries), end=end, created_at=chain[0].time
    )


def _listed(whole: Mapping[str, msgspec.Raw]) -> list[msgspec.Raw]:
    """Return the conversations in an object's list, as in ``{"version": …, "chats": […]}``."""
    for name in ("chats", "conversations", "data", "items"):
        if bytes(whole.get(name, b""))[:1] == b"[":
            return msgspec.json.decode(whole[name], type=list[msgspec.Raw])
    return []


def _ours(whole: Mapping[str, msgspec.Raw]) -> list[msgspec.Raw]:
    if "format" not in whole or msgspec.json.decode(whole["format"]) != FORMAT:
        raise BadMessage(f"The file's format is not known. {EXPECTED}")
    version = msgspec.json.decode(whole.get("version", msgspec.Raw(b"null")))
    if version != VERSION:
        raise BadMessage(f"The file's version is not {VERSION}: a newer Wireside wrote it.")
    raws = whole.get("conversations", msgspec.Raw(b"null"))
    return msgspec.json.decode(raws, type=list[msgspec.Raw])


def _cut(text: bytes) -> _Top:
    """Return the top level of a JSON text, its values unparsed.

    Unpaired surrogates become U+FFFD: they are no reason to lose a conversation.
    """
    top: _Top
    try:
        top = msgspec.json.decode(text, type=_Top)
    except msgspec.DecodeError:
        top = msgspec.json.decode(_SURROGATE.sub(_mended, text), type=_Top)
    return top


_SURROGATE = re.compile(
    rb"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)
"""An escaped backslash, a pair, or (the group) an unpaired half."""


def _mended(match: re.Match[bytes]) -> bytes:
    return rb"\ufffd" if match[1] else match[0]


def _value(raw: msgspec.Raw) -> Any:
    try:
        return msgspec.json.decode(raw)
    except UnicodeDecodeError:
        return msgspec.json.decode(bytes(raw).decode(errors="replace"))


def _unpacked(data: bytes) -> Iterator[bytes]:
    """Iterate over the JSON texts of an archive, inflating ``MAX_BYTES`` in total at most."""
    # signature of a directory entry: counted before the directory is parsed
    if data.count(b"PK\x01\x02") > MAX_ENTRIES:
        raise BadMessage(f"The archive has more than {MAX_ENTRIES:,} files.")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            wanted = _wanted(archive.infolist())
            left = MAX_BYTES
            for entry in wanted:
                text = _inflated(archive, entry, left)
                left -= len(text)
                yield text
                del text
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        OSError,
        RuntimeError,  # it is encrypted
        ValueError,
    ) as error:
        raise BadMessage(f"The archive can't be unpacked. {EXPECTED}") from error


_CONVERSATIONS_FILE = re.compile(
    r"(?:^|[/\\])conversations(?:[-_ ]?\(?\d{1,4}\)?)?\.json$", re.IGNORECASE
)
_OTHER_FILE = re.compile(
    r"^(?!__MACOSX)(?:.*[/\\])?(?!\.|users?\.|account\.|projects\.|memories\.|settings\.|message_feedback"
    r"|model_comparisons|shared_conversations)[^/\\]+\.json$",
    re.IGNORECASE,
)
"""Matches JSON files, except those that contain other parts of an export."""


def _wanted(entries: Iterable[zipfile.ZipInfo]) -> list[zipfile.ZipInfo]:
    """Return the conversation files of an archive; large exports are split into several.

    If no file has the usual name, every JSON file is a candidate.
    """
    named: dict[str, zipfile.ZipInfo] = {}
    others: dict[str, zipfile.ZipInfo] = {}
    for entry in entries:
        if _CONVERSATIONS_FILE.search(entry.filename):
            named.setdefault(entry.filename, entry)
        elif _OTHER_FILE.search(entry.filename):
            others.setdefault(entry.filename, entry)
    wanted = named or others
    if not wanted:
        raise BadMessage(f"There is no conversations.json in the archive. {EXPECTED}")
    found = [wanted[name] for name in sorted(wanted)]
    if any(
        entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for entry in found
    ):
        raise BadMessage("The archive uses an unsupported compression; repack it as a plain .zip.")
    return found


def _inflated(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, limit: int) -> bytes:
    text = bytearray()
    with archive.open(entry) as packed:
        while piece := packed.read(1 << 20):
            text += piece
            if len(text) > limit:  # the size in the directory is not trustworthy
                raise _too_large()
    return bytes(text)


def _too_large() -> BadMessage:
    return BadMessage(f"The file is too large: at most {MAX_BYTES // 2**20} MB can be read.")


# ---- our JSON ----------------------------------------------------------------------------------


def _from_ours(value: dict[str, Any], new_id: NewId, now: float, room: Room) -> Imported:
    created_at = _time(value.get("created_at"), now, now)
    turns = value.get("turns")
    if not isinstance(turns, list):
        raise BadMessage("turns: a list.")
    nodes = [
        _our_node(turn=turn, new_id=new_id, fallback=created_at, now=now, room=room)
        for turn in turns
        if isinstance(turn, dict)
    ]
    tags = (as_line(tag, MAX_TAG_CHARS) for tag in as_list(value.get("tags")))
    source = value.get("title_source")
    titles: dict[object, TitleSource] = {"words": "words", "model": "model", "person": "person"}
    return _imported(
        nodes,
        value.get("shown_turn"),
        title=as_line(value.get("title"), MAX_TITLE_CHARS),
        title_source=titles.get(source if isinstance(source, str) else None, "model"),
        created_at=created_at,
        updated_at=_time(value.get("updated_at"), created_at, now),
        is_pinned=value.get("pinned") is True,
        is_archived=value.get("archived") is True,
        tags=tuple(dict.fromkeys(tag for tag in tags if tag))[:MAX_TAGS],
        new_id=new_id,
        now=now,
    )


def _our_node(turn: dict[str, Any], new_id: NewId, fallback: float, now: float, room: Room) -> Node:
    created_at = _time(turn.get("created_at"), fallback, now)
    options = _options(as_dict(turn.get("options")))
    calls: dict[str, str] = {}
    segments = [
        _our_segment(
            value=segment,
            calls=calls,
            new_id=new_id,
            fallback=created_at,
            now=now,
            sanitize=options.sanitize,
        )
        for segment in as_list(turn.get("answer"))
        if isinstance(segment, dict)
    ]
    room.take(parts=sum(len(segment.entries) + 1 for segment in segments))
    key, parent = turn.get("id"), turn.get("parent")
    node = Node(
        key=key if isinstance(key, str) and key else new_id(),
        parent=parent if isinstance(parent, str) else None,
        question=as_text(turn.get("question")),
        created_at=created_at,
        segments=tuple(segments) or (_no_answer(new_id, created_at),),
        options=options,
        feedback=_feedback(as_dict(turn.get("feedback"))),
    )
    room.take_node(node)
    return node


def _our_segment(
    value: dict[str, Any],
    calls: dict[str, str],
    new_id: NewId,
    fallback: float,
    now: float,
    *,
    sanitize: bool,
) -> Segment:
    parts = (part for part in as_list(value.get("parts")) if isinstance(part, dict))
    return Segment(
        stream=new_id(),
        model=as_line(value.get("model"), MAX_NAME_CHARS),
        entries=tuple(entry for part in parts if (entry := _our_entry(part, calls)) is not None),
        end=_our_end(value),
        sanitize=sanitize,
        created_at=_time(value.get("created_at"), fallback, now),
    )


def _our_entry(part: dict[str, Any], calls: dict[str, str]) -> Entry | None:
    match part.get("type"):
        case "text":
            return TextDelta(text) if (text := as_text(part.get("text"))) else None
        case "reasoning":
            return ReasoningDelta(text) if (text := as_text(part.get("text"))) else None
        case "tool":
            call = calls.setdefault(as_text(part.get("call")), f"call-{len(calls) + 1}")
            states: dict[object, ToolState] = {"done": "done", "running": "running"}
            state = part.get("state")
            result = part.get("result")
            return ToolDelta(
                call,
                as_line(part.get("name"), MAX_NAME_CHARS),
                states.get(state if isinstance(state, str) else None, "failed"),
                as_text(part.get("arguments")),
                as_text(result) if isinstance(result, str) else None,
            )
        case _:
            return None


def _our_end(value: dict[str, Any]) -> End:
    numbers = as_dict(value.get("usage"))
    usage = Usage(_count(numbers.get("input_tokens")), _count(numbers.get("output_tokens")))
    if isinstance(error := value.get("error"), dict):
        kind = BY_CODE.get(as_text(error.get("code")), InternalError)
        return End(None, kind(as_line(error.get("message"), 1_000) or None), usage)
    reasons: dict[object, FinishReason] = {
        "stop": "stop",
        "length": "length",
        "cancelled": "cancelled",
        "content_filter": "content_filter",
    }
    # without a reason, the answer was still running when the file was written
    reason = value.get("reason")
    return End(reasons.get(reason if isinstance(reason, str) else None, "interrupted"), None, usage)


def _options(value: dict[str, Any]) -> Options:
    temperature = _number(value.get("temperature"))
    return Options(
        model=as_line(value.get("model"), MAX_NAME_CHARS) or None,
        system=as_text(value.get("system")) or None,
        temperature=temperature if temperature is not None and 0 <= temperature <= 2 else None,
        max_tokens=_count(value.get("max_tokens")) or None,
        sanitize=value.get("sanitize") is True,
    )


def _feedback(value: dict[str, Any]) -> Feedback | None:
    words = as_text(value.get("words"))[:MAX_WORDS_CHARS]
    match value.get("verdict"):
        case "up":
            return Feedback("up", words)
        case "down":
            return Feedback("down", words)
        case _:
            return None


# ---- ChatGPT's export --------------------------------------------------------------------------
#
# A conversation is a tree of messages: "mapping" holds the nodes by id, each with "parent",
# "children" and "message", which may be null. A question that was answered again has several
# messages after it, an answer is a chain of assistant and tool messages, and some messages are not
# shown.


def _from_chatgpt(value: dict[str, Any], new_id: NewId, now: float, room: Room) -> Imported:
    mapping = value.get("mapping")
    if not isinstance(mapping, dict):
        raise BadMessage("mapping: an object.")
    created_at = _time(value.get("create_time"), now, now)
    said, nearest = _said(mapping, created_at, now)
    model = as_line(value.get("default_model_slug"), MAX_NAME_CHARS)
    left_out = sum(_parts_left_out(here.message) for here in said)

    def answer(chain: list[_Said[dict[str, Any]]]) -> Segment | None:
        return _answer(chain, model, new_id)

    nodes = _turns_of(
        said=said,
        question=lambda here: _content(here.message),
        answer=answer,
        new_id=new_id,
        room=room,
    )
    if not nodes:
        raise BadMessage("mapping: at least one message.")
    title = as_line(value.get("title"), MAX_TITLE_CHARS)
    return _imported(
        nodes,
        _shown_end(nearest.get(as_text(value.get("current_node")))),
        title=title,
        title_source="model" if title else "words",
        created_at=created_at,
        updated_at=_time(value.get("update_time"), created_at, now),
        is_pinned=value.get("is_starred") is True,
        is_archived=value.get("is_archived") is True,
        tags=(),
        new_id=new_id,
        now=now,
        left_out=left_out,
    )


def _said(
    mapping: dict[str, Any], fallback: float, now: float
) -> tuple[list[_Said[dict[str, Any]]], dict[str, _Said[dict[str, Any]] | None]]:
    """Return the shown messages, parents first, and the nearest shown message of each node.

    The nearest one of a node that is reachable from a root is the last shown message on the path to
    it, itself included.
    """
    follow = _children(mapping)
    said: list[_Said[dict[str, Any]]] = []
    nearest: dict[str, _Said[dict[str, Any]] | None] = {}
    stack: list[tuple[str, _Said[dict[str, Any]] | None]] = [
        (key, None) for key in reversed(follow.pop(None, []))
    ]
    while stack:
        key, above = stack.pop()
        message = mapping[key].get("message") if isinstance(mapping[key], dict) else None
        if isinstance(message, dict) and _is_shown(message):
            time = _time(message.get("create_time"), above.time if above else fallback, now)
            here = _Said(
                key=key,
                above=above,
                is_question=_role(message) == "user",
                message=message,
                time=time,
            )
            if above is not None and not here.is_question:
                above.after = here
            said.append(here)
            above = here
        nearest[key] = above
        stack += [(child, above) for child in reversed(follow.get(key, ()))]
    _find_ends(said)
    return said, nearest


def _find_ends(said: Sequence[_Said[M]]) -> None:
    """Mark the messages with which a turn ends."""
    for here in said:
        here.is_end = here.after is None
    for here in said:
        if here.is_question and here.above is not None:
            here.above.is_end = True


def _children(mapping: dict[str, Any]) -> dict[str | None, list[str]]:
    """Return the children of each node; the key None has the roots."""
    parents: dict[str, str | None] = {}
    for key, node in mapping.items():
        parent = node.get("parent") if isinstance(node, dict) else None
        parents[key] = parent if isinstance(parent, str) and parent in mapping else None
    for key, node in mapping.items():  # older files omit some parents
        for child in as_list(node.get("children")) if isinstance(node, dict) else ():
            if isinstance(child, str) and child in parents and parents[child] is None:
                parents[child] = key if child != key else None
    follow: dict[str | None, list[str]] = {}
    for key, parent in parents.items():
        follow.setdefault(parent, []).append(key)
    return follow


def _turns_of(
    said: list[_Said[M]],
    question: Callable[[_Said[M]], str],
    answer: Callable[[list[_Said[M]]], Segment | None],
    new_id: NewId,
    room: Room,
) -> list[Node]:
    """Return a turn for each end, with all parts of its answer, ordered by time."""
    ends = sorted((here for here in said if here.is_end), key=lambda here: here.time)
    nodes: list[Node] = []
    for end in ends:
        chain: list[_Said[M]] = []
        at: _Said[M] | None = end
        while at is not None and not at.is_question:
            chain.append(at)
            at = at.above
        room.take(parts=len(chain))
        first = at or chain[-1]
        segment = answer(chain[::-1])
        if segment is not None:  # one message may have many parts
            room.take(parts=max(0, len(segment.entries) - len(chain)))
        nodes.append(
            Node(
                key=end.key,
                parent=first.above.key if first.above else None,
                question=question(first) if at else "",
                created_at=first.time,
                segments=(segment or _no_answer(new_id, first.time),),
            )
        )
        room.take_node(nodes[-1])
    return nodes


def _answer(chain: list[_Said[dict[str, Any]]], model: str, new_id: NewId) -> Segment | None:
    """Return the parts of an answer as one segment."""
    answer = EntryCollector()
    open_calls: deque[ToolDelta] = deque()
    calls = 0
    for here in chain:
        message = here.message
        metadata = as_dict(message.get("metadata"))
        model = as_line(metadata.get("model_slug"), MAX_NAME_CHARS) or model
        content = as_dict(message.get("content"))
        recipient = as_line(message.get("recipient"), MAX_NAME_CHARS) or "all"
        if _role(message) == "tool":
            name = as_line(as_dict(message.get("author")).get("name"), MAX_NAME_CHARS) or "tool"
            if open_calls:
                call = open_calls.popleft()
            else:
                calls += 1
                call = ToolDelta(f"call-{calls}", name, "running")
            answer.append(replace(call, state="done", result=_content(message)))
        elif content.get("content_type") == "thoughts":
            answer.append_reasoning(_thoughts(content))
        elif recipient != "all":
            calls += 1
            call = ToolDelta(f"call-{calls}", recipient, "running", _content(message))
            open_calls.append(call)
            answer.append(call)
        else:
            answer.append_text(_content(message))
    if not chain:
        return None
    for call in open_calls:
        answer.append(replace(call, state="done"))
    return Segment(
        stream=new_id(),
        model=model,
        entries=tuple(answer.entries),
        end=End(_reason_of(chain[-1].message)),
        created_at=chain[0].time,
    )


def _shown_end(here: _Said[M] | None) -> str | None:
    """Return the key of the message that ends the turn of a message."""
    while here is not None and not here.is_end:
        here = here.after
    return here.key if here else None


def _is_shown(message: dict[str, Any]) -> bool:
    if _role(message) not in ("user", "assistant", "tool") or message.get("weight") == 0:
        return False
    if as_dict(message.get("metadata")).get("is_visually_hidden_from_conversation") is True:
        return False
    kind = as_dict(message.get("content")).get("content_type")
    return kind not in ("user_editable_context", "model_editable_context", "reasoning_recap")


def _role(message: dict[str, Any]) -> str:
    return as_text(as_dict(message.get("author")).get("role"))


def _content(message: dict[str, Any]) -> str:
    """Return the text of a message; content that text can't represent is named in brackets."""
    content = as_dict(message.get("content"))
    parts = [_piece(part) for part in as_list(content.get("parts"))]
    if not any(parts):
        parts = _other_text(content)
    metadata = as_dict(message.get("metadata"))
    if not any(part.startswith(("[image", "[file", "[audio")) for part in parts):
        parts += file_marks(as_list(metadata.get("attachments")))
    text = "\n\n".join(part for part in parts if part)
    if content.get("content_type") == "code" and message.get("recipient") in (None, "all"):
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
        return f"{fence}\n{text}\n{fence}" if text else ""
    return _without_marks(text, as_list(metadata.get("content_references")))


def _other_text(content: dict[str, Any]) -> list[str]:
    """Return the texts of a content without parts: quotes, web pages, program output."""
    names = ("title", "url", "text", "result", "output_str", "snippet", "summary", "content")
    found = [as_text(content.get(name)) for name in names]
    kind = as_text(content.get("content_type"))
    if not any(found) and ("screenshot" in content or "image" in kind):
        return ["[image]"]
    return list(dict.fromkeys(text for text in found if text))


def _parts_left_out(message: dict[str, Any]) -> int:
    """Return 1 if a message has content of which nothing is kept, else 0."""
    content = as_dict(message.get("content"))
    empty: tuple[object, ...] = (None, "", [], {}, False)
    known = ("content_type", "language", "response_format_name", "source_analysis_msg_id")
    has_content = any(value not in empty for name, value in content.items() if name not in known)
    if content.get("content_type") == "thoughts" or as_list(content.get("parts")) == [""]:
        return 0
    return int(has_content and not _content(message))


def _reason_of(message: dict[str, Any]) -> FinishReason:
    details = as_dict(as_dict(message.get("metadata")).get("finish_details"))
    if details.get("type") is not None:
        return reason_of(details.get("type"))
    is_partial = message.get("status") in ("in_progress", "finished_partial_completion")
    return "interrupted" if is_partial else "stop"


_MARK = re.compile("\ue200([^\ue200\ue201]*)\ue201")
"""Marks in private-use characters, which ChatGPT's page renders.

A mark does not contain a second start character: otherwise a text of nothing but start characters
would be scanned again from each of them.
"""

_OLD_CITATION = re.compile("【[^【】]{0,200}†[^【】]{0,200}】")

_REFERENCE = re.compile(r"turn\d+[a-z_]+\d+$|file[-_]\w+$|\d+$")
"""Matches a field of a mark that is a reference, as opposed to visible text."""

_POINTERS = frozenset(
    {"cite", "filecite", "navlist", "i", "image_group", "image", "video", "finance", "forecast"}
    | {"sports", "schedule", "standing", "products", "product", "map", "business", "memory"}
)
"""Kinds of marks that contain only references: citations, pictures, widgets."""


def _without_marks(text: str, references: list[Any]) -> str:
    """Return a text as its reader saw it: marks show their name, citations their source."""
    if "\ue200" not in text and "【" not in text:
        return text
    shown: dict[str, str] = {}
    for one in references:
        reference = as_dict(one)
        if mark := as_text(reference.get("matched_text")):
            alt = reference.get("alt")
            shown[mark] = as_text(alt) if isinstance(alt, str) else ""

    def instead(match: re.Match[str]) -> str:
        kind, *fields = match[1].split("\ue202")
        named = next((name for field in fields if (name := _name_in(field))), "")
        if kind in _POINTERS or not named:
            return shown.get(match[0], "")
        return shown.get(match[0]) or named

    text = _MARK.sub(instead, text)
    return _OLD_CITATION.sub(lambda match: shown.get(match[0], ""), text)


def _name_in(field: str) -> str:
    """Return the visible text of a mark's field: a text, or the name in ``["kind", "name", …]``."""
    if field.startswith(("[", "{")):
        try:
            value = msgspec.json.decode(field)
        except (msgspec.MsgspecError, RecursionError, ValueError):
            return ""
        if isinstance(value, dict):
            return as_text(value.get("name")) or as_text(value.get("title"))
        texts = [one for one in as_list(value) if isinstance(one, str)]
        return texts[1] if len(texts) > 1 else texts[0] if texts else ""
    return "" if _REFERENCE.match(field) else field


def _piece(part: object) -> str:
    if isinstance(part, str):
        return as_text(part)
    piece = as_dict(part)
    kind = as_line(piece.get("content_type"), MAX_NAME_CHARS)
    if text := as_text(piece.get("text")):
        return text
    if not kind:
        return ""
    name = "image" if "image" in kind else "audio" if "audio" in kind else "file"
    return f"[{name}]"


def _thoughts(content: dict[str, Any]) -> str:
    found = []
    for thought in as_list(content.get("thoughts")):
        pieces = (as_text(as_dict(thought).get(name)) for name in ("summary", "content"))
        found.append("\n".join(piece for piece in pieces if piece))
    return "\n\n".join(piece for piece in found if piece)


# ---- shared helpers ----------------------------------------------------------------------------


def _imported(
    nodes: Sequence[Node],
    shown_key: object,
    *,
    title: str,
    title_source: TitleSource,
    created_at: float,
    updated_at: float,
    is_pinned: bool,
    is_archived: bool,
    tags: tuple[str, ...],
    new_id: NewId,
    now: float,
    left_out: int = 0,
) -> Imported:
    kept, above = _with_something(nodes)
    if nodes and not kept:
        raise BadMessage("turns: at least one with a question or an answer.")
    placed, branches = place(kept)
    conversation_id = new_id()
    turns: list[TurnRecord] = []
    places: dict[str, tuple[int, int]] = {}
    for node, branch, depth in placed:
        places[node.key] = (branch, depth)
        turns.append(
            TurnRecord(
                id=new_id(),
                conversation_id=conversation_id,
                branch=branch,
                depth=depth,
                question=node.question,
                created_at=node.created_at,
                options=node.options,
                feedback=node.feedback,
                segments=node.segments,
            )
        )
    shown = places.get(above(shown_key) or "") if isinstance(shown_key, str) else None
    by_id = {branch.id: branch for branch in branches}
    first = next((turn.question for turn in turns if turn.question.strip()), "")
    if created_at >= now:  # missing in the file, or in the future
        created_at = min((turn.created_at for turn in turns), default=now)
    updated_at = max(created_at, updated_at)
    return Imported(
        info=ConversationInfo(
            id=conversation_id,
            title=title or title_of(first),
            created_at=created_at,
            updated_at=updated_at,
            title_source=title_source,
            pinned_at=updated_at if is_pinned else None,
            archived_at=updated_at if is_archived else None,
            tags=tags,
        ),
        branches=branches,
        shown=tree.tip(by_id, *shown) if shown else branches[-1].id,
        turns=tuple(turns),
        passed_over=len(nodes) - len(kept) + left_out,
        is_dated=created_at < now,
    )


def _with_something(
    nodes: Sequence[Node],
) -> tuple[Sequence[Node], Callable[[str | None], str | None]]:
    """Drop turns with neither a question nor an answer, and reattach their children.

    Children of a dropped turn follow the turn before it. Returns the kept turns, and a function
    from a turn's key to the nearest kept turn above it, itself included.
    """
    is_empty = [_is_empty(node) for node in nodes]
    if not any(is_empty):
        return nodes, lambda key: key
    full = {node.key for node, empty in zip(nodes, is_empty, strict=True) if not empty}
    instead = {node.key: node.parent for node in nodes if node.key not in full}

    def above(key: str | None) -> str | None:
        passed: set[str] = set()
        while key in instead and key not in passed:
            passed.add(key)
            key = instead[key]
        end = None if key in passed else key  # a cycle of empty turns
        instead.update(dict.fromkeys(passed, end))  # visit each path only once
        return end

    kept = [
        replace(node, parent=above(node.parent))
        for node, empty in zip(nodes, is_empty, strict=True)
        if not empty
    ]
    return kept, above


def _is_empty(node: Node) -> bool:
    return not node.question and not any(
        segment.entries or (segment.end and segment.end.error) for segment in node.segments
    )


def _no_answer(new_id: NewId, created_at: float) -> Segment:
    """Return a placeholder for a missing answer, which can be requested again."""
    return Segment(
        stream=new_id(), model="", entries=(), end=End("interrupted"), created_at=created_at
    )


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    number = float(value) if abs(value) < MAX_NUMBER else math.inf
    return number if math.isfinite(number) else None


def _count(value: object) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number >= 0 else None


def _time(value: object, fallback: float, now: float) -> float:
    """Return a number or an ISO 8601 string as seconds since 1970, no later than ``now``."""
    seconds = _number(value)
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value[:40])
            seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            seconds = None
    return min(seconds, now) if seconds is not None and seconds >= 0 else fallback
