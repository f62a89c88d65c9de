"""Loads the chat that ``wireside serve MODULE:CHAT`` names."""

from __future__ import annotations

import importlib
import sys
import traceback
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wireside.extension.chat import Chat


class CannotLoad(Exception):
    """A chat can't be loaded; the text is a sentence for the user."""


def load_chat(target: str) -> Chat:
    """Return the chat that a target such as ``app:chat`` names.

    The current folder is searched first, as ``python -m`` does.

    Raises:
        CannotLoad: there is no such module or chat, or the module raises an exception.
    """
    from wireside.extension.chat import Chat

    file_name, _, attribute = target.partition(":")
    attribute = attribute or "chat"
    module_name = ".".join(PurePath(file_name.removesuffix(".py")).parts)
    if not all(name.isidentifier() for name in module_name.split(".")):
        raise CannotLoad(f"{target!r} names no chat: write MODULE:CHAT, such as app:chat.")
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module_name}.".startswith(f"{error.name}."):
            raise CannotLoad(
                f"There is no module {module_name!r} in this folder: `wireside serve app:chat`"
                " needs an app.py."
            ) from None
        raise CannotLoad(_import_failure(module_name, error)) from error
    except Exception as error:
        raise CannotLoad(_import_failure(module_name, error)) from error
    found = getattr(module, attribute, None)
    if found is None:
        raise CannotLoad(f"The module {module_name} has no {attribute!r}.")
    if not isinstance(found, Chat):
        raise CannotLoad(
            f"{target} is a {type(found).__name__}, not a Chat: name one made with"
            " `chat = wireside.Chat()`."
        )
    return found


def _import_failure(module_name: str, error: Exception) -> str:
    """Return a sentence about a module that can't be imported, with its own frames only."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "importlib" not in frame.filename and frame.filename != __file__
    ]
    where = "".join(traceback.format_list(frames))
    what = "".join(traceback.format_exception_only(error)).strip()
    return f"The module {module_name} can't be imported:\n{where}{what}"
