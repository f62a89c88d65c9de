"""The conversations of a file, still unparsed: from JSON or an archive with JSON."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

import msgspec

from wireside.errors import BadMessage
from wireside.transfer.export import FORMAT, VERSION
from wireside.transfer.import_limits import IN_PARTS, ImportLimits, TooMuch, too_large

EXPECTED = (
    "Expected: a file exported here as JSON, or an export of ChatGPT (conversations.json), Claude,"
    " Open WebUI, LibreChat or DeepSeek, as JSON or as the .zip that it came in."
)

Format = Literal["own", "foreign"]
"""Whose format a conversation is in: our own, or that of any other product."""

FOREIGN_KEYS = frozenset(
    {"mapping", "chat_messages", "chat", "history", "messages", "messagesTree"}
)
"""Each conversation of another product's export has one of these keys."""

_Top = list[msgspec.Raw] | dict[str, msgspec.Raw]


def read_file(data: bytes, limits: ImportLimits) -> Iterator[tuple[Format, msgspec.Raw]]:
    """Iterate over the conversations of a JSON text or an archive.

    An unreadable file of an archive counts as one unreadable conversation.

    Raises:
        BadMessage: the file can't be read at all; the message is written for users.
    """
    if len(data) > limits.max_bytes:
        raise too_large(limits.max_bytes)
    if data[:2] != b"PK":
        yield from _conversations(data, limits)
        return
    for text in _unpack_archive(data, limits):
        try:
            yield from _conversations(text, limits)
        except TooMuch:
            raise
        except BadMessage:
            yield "foreign", msgspec.Raw(b"null")


def is_too_large(raw: msgspec.Raw, limits: ImportLimits) -> bool:
    """Return whether one conversation exceeds the limits of its size in memory."""
    size = memoryview(raw).nbytes
    if size <= limits.max_values_of_one:
        return False
    return size > limits.max_bytes_of_one or _has_more_values(bytes(raw), limits.max_values_of_one)


def parse_conversation(raw: msgspec.Raw) -> Any:
    """Return the value of one conversation; bytes that are not UTF-8 become U+FFFD."""
    try:
        return msgspec.json.decode(raw)
    except UnicodeDecodeError:
        return msgspec.json.decode(bytes(raw).decode(errors="replace"))


def _conversations(text: bytes, limits: ImportLimits) -> Iterator[tuple[Format, msgspec.Raw]]:
    """Iterate over the conversations of a JSON text; each is parsed when it is requested."""
    text = text.removeprefix(b"\xef\xbb\xbf")
    if _has_more_values(text, limits.max_values):
        raise TooMuch(f"There is too much in the file. {IN_PARTS}")
    try:
        whole = _top_level(text)
        if isinstance(whole, list):
            yield from (("foreign", raw) for raw in whole)
        elif "format" not in whole and not FOREIGN_KEYS.isdisjoint(whole):
            yield "foreign", msgspec.Raw(text)
        elif "format" not in whole and (raws := _listed_conversations(whole)):
            yield from (("foreign", raw) for raw in raws)
        else:
            yield from (("own", raw) for raw in _own_conversations(whole))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadMessage(f"The file is not JSON that can be read. {EXPECTED}") from error


def _listed_conversations(whole: Mapping[str, msgspec.Raw]) -> list[msgspec.Raw]:
    """Return the conversations in an object's list, as in ``{"version": …, "chats": […]}``."""
    for name in ("chats", "conversations", "data", "items"):
        if bytes(whole.get(name, b""))[:1] == b"[":
            return msgspec.json.decode(whole[name], type=list[msgspec.Raw])
    return []


def _own_conversations(whole: Mapping[str, msgspec.Raw]) -> list[msgspec.Raw]:
    if "format" not in whole or msgspec.json.decode(whole["format"]) != FORMAT:
        raise BadMessage(f"The file's format is not known. {EXPECTED}")
    version = msgspec.json.decode(whole.get("version", msgspec.Raw(b"null")))
    if version != VERSION:
        raise BadMessage(f"The file's version is not {VERSION}: a newer Wireside wrote it.")
    raws = whole.get("conversations", msgspec.Raw(b"null"))
    return msgspec.json.decode(raws, type=list[msgspec.Raw])


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


def _top_level(text: bytes) -> _Top:
    """Return the top level of a JSON text, its values unparsed.

    Unpaired surrogates become U+FFFD: they are no reason to lose a conversation.
    """
    top: _Top
    try:
        top = msgspec.json.decode(text, type=_Top)
    except msgspec.DecodeError:
        top = msgspec.json.decode(_SURROGATE.sub(_mend_escape, text), type=_Top)
    return top


_SURROGATE = re.compile(
    rb"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)
"""An escaped backslash, a pair, or (the group) an unpaired half."""


def _mend_escape(match: re.Match[bytes]) -> bytes:
    return rb"\ufffd" if match[1] else match[0]


def _unpack_archive(data: bytes, limits: ImportLimits) -> Iterator[bytes]:
    """Iterate over the JSON texts of an archive, inflating ``max_bytes`` in total at most."""
    # signature of a directory entry: counted before the directory is parsed
    if data.count(b"PK\x01\x02") > limits.max_entries:
        raise BadMessage(f"The archive has more than {limits.max_entries:,} files.")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            wanted = _wanted_entries(archive.infolist())
            left = limits.max_bytes
            for entry in wanted:
                text = _inflate_entry(archive, entry, left=left, limits=limits)
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


def _wanted_entries(entries: Iterable[zipfile.ZipInfo]) -> list[zipfile.ZipInfo]:
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


def _inflate_entry(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, *, left: int, limits: ImportLimits
) -> bytes:
    text = bytearray()
    with archive.open(entry) as packed:
        while piece := packed.read(1 << 20):
            text += piece
            if len(text) > left:  # the size in the directory is not trustworthy
                raise too_large(limits.max_bytes)
    return bytes(text)
