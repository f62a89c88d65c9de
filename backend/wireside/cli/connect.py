"""The server that a command talks to: named by its URL, or the one that runs on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wireside.cli.console import FAILED, WRONG_USE, fail_with

if TYPE_CHECKING:
    from wireside.client import Client
    from wireside.client.rest import Model


def server_url(url: str | None) -> str:
    """Return the URL of the server; without ``url``, that of the settings of this folder.

    Ends the program if the settings are invalid.
    """
    if url is not None:
        return url
    from wireside.settings.load import WrongSettings, load_settings

    try:
        settings = load_settings()
    except WrongSettings as error:
        fail_with(str(error), WRONG_USE)
    host = settings.host if settings.host not in ("0.0.0.0", "::") else "127.0.0.1"  # noqa: S104 (the wildcard means this machine, too)
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{settings.port}{settings.effective_root_path}"


def read_key(key: str | None, key_file: Path | None) -> str | None:
    """Return the API key of the options. Ends the program if the file can't be read."""
    if key_file is None:
        return key
    try:
        return key_file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        fail_with(f"The key can't be read from {key_file}: {error}.", WRONG_USE)


def checked_models(client: Client, url: str, *, is_named: bool) -> list[Model]:
    """Return the models of the server. Ends the program if it can't be reached."""
    from wireside.errors import Unauthorized, WiresideError

    try:
        return client.rest.models()
    except Unauthorized as error:
        fail_with(f"{error} Name an API key of the server with --key-file.", FAILED)
    except WiresideError as error:
        advice = (
            "Check the address."
            if is_named
            else f"Start one with `wireside serve` in another terminal (it would be {url}), or name"
            " one: `wireside chat https://chat.example.com`."
        )
        fail_with(f"{error} {advice}", FAILED)
