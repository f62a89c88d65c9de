"""The tools that a server lists, within limits, and their names for models."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final

MAX_TOOLS: Final = 100
"""Number of tools of all servers that a model is offered; services refuse more than 128."""

MAX_SCHEMA_CHARS: Final = 20_000
"""Length of a schema above which its tool is left out."""

MAX_DESCRIPTION_CHARS: Final = 4_000

MAX_LIST_CHARS: Final = 200_000
"""Length of the schemas and descriptions of one server, above which further tools are left out."""

MAX_NAME_CHARS: Final = 64
"""Length of a name that model services accept."""

_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_-]")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedTool:
    """A tool as its server lists it. ``schema`` is JSON text."""

    name: str
    description: str
    schema: str
    is_read_only: bool = False


def listed_tool(
    name: str, description: str, schema: dict[str, Any], *, is_read_only: bool
) -> ListedTool | None:
    """Return a tool within the limits; None if its schema is too large or no JSON."""
    try:
        text = json.dumps(schema, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (ValueError, RecursionError):
        return None
    if len(text) > MAX_SCHEMA_CHARS:
        return None
    if len(description) > MAX_DESCRIPTION_CHARS:
        description = f"{description[:MAX_DESCRIPTION_CHARS]}…"
    return ListedTool(
        name=name,
        description=description,
        schema=text,
        is_read_only=is_read_only,
    )


def within_limits(tools: Iterable[ListedTool]) -> list[ListedTool]:
    """Return the first tools of a server, as many as fit; a name counts once."""
    kept: dict[str, ListedTool] = {}
    chars = 0
    for tool in tools:
        chars += len(tool.schema) + len(tool.description)
        if len(kept) == MAX_TOOLS or chars > MAX_LIST_CHARS:
            break
        kept.setdefault(tool.name, tool)
    return list(kept.values())


def name_for_models(
    server: str, tool: str, *, servers: Collection[str], taken: Collection[str]
) -> str:
    """Return ``<server>_<tool>`` as a name that model services accept.

    A name that is changed, taken, or could belong to another server gets a hash of the tool's own
    name. The result does not depend on the tools of other servers, so that it is the same after a
    restart, when a server may be away.

    Args:
        server: name of the server.
        tool: name of the tool.
        servers: names of all servers.
        taken: names of other tools.
    """
    plain = f"{server}_{tool}"
    name = _NOT_IN_NAMES.sub("_", plain)
    is_ambiguous = any(
        other != server and len(other) > len(server) and name.startswith(f"{other}_")
        for other in servers
    )
    if name == plain and len(name) <= MAX_NAME_CHARS and not is_ambiguous and name not in taken:
        return name
    digest = hashlib.sha256(f"{server}\0{tool}".encode(errors="replace")).hexdigest()[:8]
    return f"{name[: MAX_NAME_CHARS - 9]}_{digest}"
