"""Loads the chat that ``wireside serve MODULE:CHAT`` names."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wireside.extension.chat import Chat


class CannotLoad(Exception):
    """A chat can't be loaded; the text is a sentence for the user."""


def load_chat(target: str) -> Chat:
    """Return the chat that a target such as ``app:chat`` names.

    The current folder is searched first, as ``python -m`` does.

    Raises:
        CannotLoad: there is no such module or chat.
        Exception: the module raises an exception while it is imported.
    """
    from wireside.extension.chat import Chat

    module_name, _, attribute = target.removesuffix(".py").partition(":")
    attribute = attribute or "chat"
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ModuleNotFoundError as error:
        if error.name != module_name.split(".")[0] and error.name != module_name:
            raise
        raise CannotLoad(
            f"There is no module {module_name!r} in this folder: `wireside serve app:chat` needs"
            " an app.py."
        ) from None
    found = getattr(module, attribute, None)
    if found is None:
        raise CannotLoad(f"The module {module_name} has no {attribute!r}.")
    if not isinstance(found, Chat):
        raise CannotLoad(
            f"{target} is a {type(found).__name__}, not a Chat: name one made with"
            " `chat = wireside.Chat()`."
        )
    return found
