"""MCP servers, as settings and code configure them."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")

_KEYS: Final = frozenset(
    {"type", "command", "args", "env", "cwd", "url", "headers", "approve", "disabled"}
)
_TYPES: Final = {
    "stdio": "command",
    "http": "url",
    "streamable-http": "url",
    "streamable_http": "url",
    "streamableHttp": "url",
}
"""Transports that a configuration may name, and the key that each needs."""

_MIN_SECRET_CHARS: Final = 4
"""Length from which a value of ``env`` or ``headers`` is hidden in texts."""

_HIDDEN: Final = "[hidden]"


class SessionFailed(Exception):
    """A session with a server can't be opened, or has ended; the text is a sentence."""


class SessionExpired(SessionFailed):
    """The server does not know the session any more, such as after a restart."""


@dataclass(frozen=True, slots=True)
class McpServer:
    """An MCP server whose tools the models of the configured service may call.

    Either ``command`` starts it as a child process, which speaks MCP on its standard input and
    output, or ``url`` is its address (streamable HTTP)::

        McpServer("files", command=["npx", "-y", "@modelcontextprotocol/server-filesystem", "/srv"])
        McpServer("crm", url="https://crm.example.org/mcp", headers={"Authorization": "Bearer …"})

    Raises:
        ValueError: the configuration is invalid; the text is a sentence without its secrets.
    """

    name: str
    """Begins the names of its tools: letters, digits, ``_`` and ``-``, 32 at most."""
    _: KW_ONLY
    command: Sequence[str] = field(default=(), repr=False)
    """The program and its arguments."""
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Variables of its environment, besides ``PATH``, ``HOME`` and the like."""
    cwd: str = ""
    """Its working directory; "" for that of Wireside."""
    url: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Header fields of each request."""
    approve: bool | Collection[str] | None = None
    """Calls that the user must approve: True for all, False for none, or names of tools.

    With None these are the calls of tools that the server does not declare as read-only.
    """

    def __post_init__(self) -> None:
        """Check the values."""
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise ValueError(
                f"{self.name!r} is no name of an MCP server: use letters, digits, `_` and `-`, at"
                " most 32."
            )
        if problem := self._problem():
            raise ValueError(f"The MCP server {self.name!r} {problem}.")

    def _problem(self) -> str | None:
        if isinstance(self.command, str) or not all(isinstance(x, str) for x in self.command):
            return "needs its `command` as a list of texts: the program and its arguments"
        if bool(self.command) == bool(self.url):
            return "needs either a `command` or a `url`"
        if isinstance(self.approve, str):
            return "needs `approve` as true, false or a list of names"
        return self._problem_of_address() if self.url else self._problem_of_process()

    def _problem_of_address(self) -> str | None:
        if self.env or self.cwd:
            return "has `env` or `cwd`, which a `url` has no use for"
        if not _is_http(self.url):
            return "needs a `url` such as https://mcp.example.org/mcp"
        for name, value in self.headers.items():
            if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
                return f"has a header field {name!r} that HTTP does not allow"
        return None

    def _problem_of_process(self) -> str | None:
        if self.headers:
            return "has `headers`, which a `command` has no use for"
        if not self.command[0].strip():
            return "needs the program as the first text of its `command`"
        if any("\0" in text for text in (*self.command, *self.env, *self.env.values())):
            return "has a NUL character in its `command` or `env`"
        if any(not name or "=" in name for name in self.env):
            return "has a variable in `env` whose name is empty or contains `=`"
        return None

    def needs_approval(self, tool: str, *, is_read_only: bool) -> bool:
        """Whether the user must approve a call of a tool that claims to be read-only or not."""
        if self.approve is None:
            return not is_read_only
        return self.approve if isinstance(self.approve, bool) else tool in self.approve

    def redacted(self, text: str) -> str:
        """Return a text without the values of ``env`` and ``headers`` and without the URL."""
        for secret in self._secrets():
            text = text.replace(secret, _HIDDEN)
        return text

    @property
    def longest_secret(self) -> int:
        """Number of characters of the longest value that ``redacted`` hides."""
        return max(map(len, self._secrets()), default=0)

    def _secrets(self) -> list[str]:
        """Return the values to hide, the longest first."""
        values = {*self.env.values(), *self.headers.values(), self.url}
        values |= {value.split(" ", 1)[-1] for value in self.headers.values()}
        long = (value for value in values if len(value) >= _MIN_SECRET_CHARS)
        return sorted(long, key=len, reverse=True)


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises ValueError
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def read_servers(value: str) -> tuple[McpServer, ...]:
    """Return the servers of a setting: JSON of the form ``{"mcpServers": {…}}``, or its file.

    Raises:
        ValueError: the file can't be read or the JSON does not fit; the text is a sentence without
            the values.
    """
    text = value.strip("\ufeff' \t\r\n")  # a file of variables may keep its quotes
    if not text:
        return ()
    if not text.startswith(("{", "[", '"')):
        if "{" in text:  # not a path, and quoting it would show secrets
            raise ValueError("it is neither JSON nor the path of a file")
        text = _read(text)
    try:
        config = json.loads(text)
    except ValueError as error:
        where = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise ValueError(f"it is not valid JSON{where}") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    servers = config.get("mcpServers") if isinstance(config, dict) else None
    if not isinstance(servers, dict):
        raise ValueError('it must have the form {"mcpServers": {"name": {"command": "…"}}}')
    return tuple(_server(name, entry) for name, entry in servers.items() if not _is_disabled(entry))


def _read(path: str) -> str:
    try:
        return Path(path).expanduser().read_text("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"the file `{path[:200]}` is not UTF-8") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no path"
        raise ValueError(f"the file `{path[:200]}` can't be read: {reason}") from None


def _is_disabled(entry: object) -> bool:
    return isinstance(entry, dict) and entry.get("disabled") is True


def _server(name: str, entry: object) -> McpServer:
    """Return the server of one entry. Raises ``ValueError``."""
    try:
        if not isinstance(entry, dict):
            raise ValueError("must be an object")
        if unknown := sorted(entry.keys() - _KEYS):
            known = ", ".join(sorted(_KEYS))
            raise ValueError(f"has the unknown key {unknown[0]!r}; known are {known}")
        _check_type(entry)
        fields: dict[str, Any] = {
            "command": _command(entry),
            "env": _texts(entry, "env"),
            "cwd": _text(entry, "cwd"),
            "url": _text(entry, "url"),
            "headers": _texts(entry, "headers"),
            "approve": _approve(entry.get("approve")),
        }
    except ValueError as error:
        raise ValueError(f"The MCP server {name!r} {error}.") from None
    return McpServer(name, **fields)


def _check_type(entry: Mapping[str, Any]) -> None:
    kind = _text(entry, "type")
    if kind and kind not in _TYPES:
        raise ValueError(f"has the unknown type {kind!r}; known are `stdio` and `http`")
    if kind and _TYPES[kind] not in entry:
        raise ValueError(f"is of type `{kind}` and needs a `{_TYPES[kind]}`")


def _text(entry: Mapping[str, Any], key: str) -> str:
    found = entry.get(key) or ""
    if not isinstance(found, str):
        raise ValueError(f"needs `{key}` as a text")
    return found.strip()


def _texts(entry: Mapping[str, Any], key: str) -> dict[str, str]:
    found = entry.get(key) or {}
    if not isinstance(found, dict) or not all(isinstance(text, str) for text in found.values()):
        raise ValueError(f"needs `{key}` as an object of texts")
    return found


def _command(entry: Mapping[str, Any]) -> tuple[str, ...]:
    command, args = entry.get("command") or [], entry.get("args") or []
    words = [command] if isinstance(command, str) else command
    if not isinstance(words, list) or not isinstance(args, list):
        raise ValueError("needs its `command` as a text and `args` as a list of texts")
    return (*words, *args)


def _approve(value: object) -> bool | tuple[str, ...] | None:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return tuple(value)
    raise ValueError("needs `approve` as true, false or a list of names")
