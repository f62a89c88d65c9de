"""All conversations as files in a folder, one file each; of several owners in a folder each.

Titles and names of owners may mean harm: what a file is called is made of what is harmless
everywhere, and never twice the same.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from wireside.chat.conversation import Conversation
from wireside.chat.export import Exporter, JsonExport, safe_name
from wireside.chat.graphemes import cut
from wireside.chat.library import walk
from wireside.errors import WiresideError
from wireside.ports import Store

MAX_NAME_BYTES = 200
"""Of a name without its extension: file systems take 255 bytes, some fewer."""

NOBODY = "without owner"

_PART = ".wireside-export"


class ExportError(WiresideError):
    """The files can't be written; the sentence says why and what to do."""


async def export_all(
    store: Store,
    conversations: Sequence[tuple[str, str]],
    owners: Mapping[str, str],
    folder: Path,
    new_exporter: Callable[[], Exporter],
    on_progress: Callable[[int, int], None],
) -> int:
    """Write ``conversations``, ids with their owners, into ``folder``, which is new or empty;
    returns how many there were still. ``owners`` has their names; without any, no folders are made.

    The files are there when all are whole; after a failure none is. Raises ``ExportError``.
    """
    count = 0
    try:
        with _filled(folder) as inside:
            places: dict[str, _Place] = {}
            names = _Names()
            for done, (conversation_id, owner) in enumerate(conversations, 1):
                if owner not in places:
                    name = names.free(owners.get(owner) or NOBODY) if owners else ""
                    places[owner] = _Place(inside / name)
                count += await _export(store, conversation_id, new_exporter(), places[owner])
                on_progress(done, len(conversations))
    except OSError as error:
        raise ExportError(
            f"{folder} can't be written: {error.strerror or error}."
            " Take a folder that can be written, with enough room."
        ) from error
    return count


async def _export(store: Store, conversation_id: str, exporter: Exporter, place: _Place) -> bool:
    stored = await store.conversation(conversation_id)
    if stored is None:
        return False  # deleted since the list was made
    conversation = Conversation(stored)
    is_json = isinstance(exporter, JsonExport)
    with place.create(exporter.file_name(stored.info.title)) as file:
        if isinstance(exporter, JsonExport):
            file.write(exporter.opening())
        file.write(exporter.begin(stored.info, stored.branches, stored.shown if is_json else None))
        async for record in walk(store, conversation, "all" if is_json else "shown"):
            file.write(exporter.turn(record))
        file.write(exporter.end())
        if isinstance(exporter, JsonExport):
            file.write(exporter.closing())
    return True


class _Names:
    """Names in one folder, none twice: some file systems see no difference between cases."""

    def __init__(self) -> None:
        self._taken: dict[str, int] = {}

    def free(self, name: str, extension: str = "") -> str:
        """Return ``name``, harmless, short enough, and with a number if it was taken before."""
        stem = _cut(safe_name(name))
        key = stem.casefold()
        while True:
            number = self._taken[key] = self._taken.get(key, 0) + 1
            if number == 1:
                return stem + extension
            numbered = f"{stem} ({number})"
            if numbered.casefold() not in self._taken:
                self._taken[numbered.casefold()] = 1
                return numbered + extension


class _Place:
    """A folder, and the names in it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names = _Names()
        folder.mkdir(exist_ok=True, mode=0o700)

    def create(self, file_name: str) -> IO[str]:
        """Make a file for its user alone."""
        stem, dot, extension = file_name.rpartition(".")
        name = self._names.free(stem, dot + extension)
        handle = os.open(self._folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        # a file has the lines that were written, on every system
        return os.fdopen(handle, "w", encoding="utf-8", errors="replace", newline="")


@contextlib.contextmanager
def _filled(folder: Path) -> Iterator[Path]:
    """Yield a folder inside ``folder``; what was made there is moved up at the end."""
    is_new = not folder.exists()
    if not is_new and (not folder.is_dir() or any(folder.iterdir())):
        raise ExportError(f"{folder} is not empty. Name a folder that is, or a new one.")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    inside = folder / _PART
    try:
        inside.mkdir(mode=0o700)
        yield inside
        for made in inside.iterdir():
            made.rename(folder / made.name)
    finally:
        shutil.rmtree(inside, ignore_errors=True)
        if is_new and not any(folder.iterdir()):
            folder.rmdir()


def _cut(name: str) -> str:
    return cut(name, MAX_NAME_BYTES, max_bytes=MAX_NAME_BYTES).strip(". ")
