"""Exports all conversations into a folder, one file each; several owners get a folder each.

Titles and names of owners may be hostile: file names are built from characters that are safe on
every platform, and are unique.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from wireside.chat.conversation import Conversation
from wireside.chat.graphemes import cut_at_grapheme
from wireside.chat.library import iterate_turns
from wireside.errors import WiresideError
from wireside.files.service import CallerFiles
from wireside.ports.store import Store
from wireside.transfer.embedded import PageImages, with_contents
from wireside.transfer.export import Exporter, HtmlExport, JsonExport, safe_name

MAX_NAME_BYTES = 200
"""Maximum length of a name without its extension: file systems allow 255 bytes, some fewer."""

NOBODY = "without owner"

_PART = ".wireside-export"


class ExportError(WiresideError):
    """The files can't be written; the message says why and what to do."""


async def export_all(
    store: Store,
    conversations: Sequence[tuple[str, str]],
    owners: Mapping[str, str],
    folder: Path,
    new_exporter: Callable[[], Exporter],
    on_progress: Callable[[int, int], None],
    files_of: Callable[[str], CallerFiles],
) -> int:
    """Write conversations into ``folder``, which must be new or empty.

    The files appear once all are complete; after an error there are none.

    Args:
        conversations: ids of conversations, each with the id of its owner.
        owners: names of owners by id; if empty, no folders are created per owner.
        files_of: returns the files of an owner, which JSON files contain, and HTML files of them
            the images.

    Returns:
        The number of conversations that still existed.

    Raises:
        ExportError: the files can't be written.
    """
    count = 0
    try:
        with _temporary_folder(folder) as inside:
            places: dict[str, _Place] = {}
            names = _Names()
            for done, (conversation_id, owner) in enumerate(conversations, 1):
                if owner not in places:
                    name = names.unique_name(owners.get(owner) or NOBODY) if owners else ""
                    places[owner] = _Place(inside / name)
                count += await _export_conversation(
                    store,
                    conversation_id,
                    new_exporter(),
                    place=places[owner],
                    files=files_of(owner),
                )
                on_progress(done, len(conversations))
    except OSError as error:
        raise ExportError(
            f"{folder} can't be written: {error.strerror or error}."
            " Take a folder that can be written, with enough room."
        ) from error
    return count


async def _export_conversation(
    store: Store, conversation_id: str, exporter: Exporter, *, place: _Place, files: CallerFiles
) -> bool:
    stored = await store.conversation(conversation_id)
    if stored is None:
        return False  # deleted since the list was read
    conversation = Conversation(stored)
    is_json = isinstance(exporter, JsonExport)
    images = PageImages(files) if isinstance(exporter, HtmlExport) else None
    with place.create_file(exporter.file_name(stored.info.title)) as file:
        if isinstance(exporter, JsonExport):
            file.write(exporter.begin_file())
        file.write(
            exporter.text_before_turns(
                stored.info, stored.branches, stored.shown if is_json else None
            )
        )
        async for record in iterate_turns(store, conversation, "all" if is_json else "shown"):
            turn = record if images is None else await images.embed_images(record)
            text = exporter.text_of_turn(turn)
            if not is_json:
                file.write(text)
                continue
            async for piece in with_contents(text, files):
                file.write(piece)
        file.write(exporter.text_after_turns())
        if isinstance(exporter, JsonExport):
            file.write(exporter.finish_file())
    return True


class _Names:
    """Unique names in one folder, compared without case: some file systems ignore it."""

    def __init__(self) -> None:
        self._taken: dict[str, int] = {}

    def unique_name(self, name: str, extension: str = "") -> str:
        """Return a safe and unique form of ``name``, cut and numbered where needed."""
        stem = _cut_name(safe_name(name))
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
    """A folder and the names used in it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names = _Names()
        folder.mkdir(exist_ok=True, mode=0o700)

    def create_file(self, file_name: str) -> IO[str]:
        """Create a file with permissions for its user alone."""
        stem, dot, extension = file_name.rpartition(".")
        name = self._names.unique_name(stem, dot + extension)
        handle = os.open(self._folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        # newlines are written unchanged on every platform
        return os.fdopen(handle, "w", encoding="utf-8", errors="replace", newline="")


@contextlib.contextmanager
def _temporary_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder inside ``folder``; its files are moved up on success."""
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


def _cut_name(name: str) -> str:
    return cut_at_grapheme(name, MAX_NAME_BYTES, max_bytes=MAX_NAME_BYTES).strip(". ")
