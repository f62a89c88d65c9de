"""The command ``wireside health``: whether the server of these settings accepts work.

For the health check of a container and for scripts: it imports nothing but the settings, and takes
half a second.
"""

from __future__ import annotations

import json
import socket
from http.client import HTTPConnection, HTTPException
from typing import Annotated

import typer
from rich.markup import escape

from wireside.cli.console import FAILED, WRONG_USE, fail_with, out
from wireside.settings.load import WrongSettings, load_settings
from wireside.settings.model import Settings

TIMEOUT_S = 4.0
"""Seconds that the server has to answer."""

PATHS = {True: "/api/health/live", False: "/api/health/ready"}


class _UnixConnection(HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket's path."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def health(
    live: Annotated[
        bool,
        typer.Option("--live", help="Whether the process is alive, even if it accepts no work."),
    ] = False,
) -> None:
    """Ask the running server whether it accepts work. Exit code 0: yes; 1: no."""
    try:
        settings = load_settings()
    except WrongSettings as error:
        fail_with(str(error), WRONG_USE)
    connection = _connect(settings)
    try:
        connection.request("GET", PATHS[live])
        response = connection.getresponse()
        body: dict[str, object] = dict(json.loads(response.read()))
    except (OSError, HTTPException, ValueError, TypeError) as error:
        fail_with(f"The server does not answer: {error or type(error).__name__}.", FAILED)
    finally:
        connection.close()
    if response.status != 200:
        fail_with(str(body.get("reason") or f"The server answers {response.status}."), FAILED)
    out.print(escape(str(body.get("status"))))


def _connect(settings: Settings) -> HTTPConnection:
    if settings.unix_path is not None:
        return _UnixConnection(str(settings.unix_path))
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 (compared, not listened on)
    return HTTPConnection(host, settings.port, timeout=TIMEOUT_S)
