"""Authenticates the users of a mounted chat by its host application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any, Final, get_args

import structlog
from fastapi import HTTPException
from starlette.requests import HTTPConnection
from starlette.types import Scope

from wireside.auth.host import HostUser
from wireside.errors import InternalError
from wireside.identity import Role

HOST_SCOPE: Final = "wireside.host_scope"
"""Key of the host's own scope of a request, with its session and state."""

FindUser = Callable[[HTTPConnection], Any | Awaitable[Any]]
"""Returns the user of a request: None, or an object with ``id`` and ``name``, and optionally with
``role`` and ``groups``, such as a ``HostUser``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRules:
    """How a host application authenticates the users of a mounted chat.

    Attributes:
        find_user: returns the user of a request.
        mount_path: path at which the chat is mounted.
        login_url: where the host signs users in; "" shows a page that says so. ``{next}`` is
            replaced by the address of the requested page.
    """

    find_user: FindUser
    mount_path: str
    login_url: str = ""


_log = structlog.get_logger(__name__)


async def find_host_user(find: FindUser, scope: Scope) -> HostUser | None:
    """Return the user of a request; None if there is none, or ``find`` raises a 401 or 403.

    Raises:
        InternalError: ``find`` failed, or returned something else; the log says why.
    """
    try:
        found = find(HTTPConnection(scope[HOST_SCOPE]))
        if isawaitable(found):
            found = await found
        return None if found is None else _host_user(found)
    except HTTPException as error:
        if error.status_code in (401, 403):
            return None
        _log.exception("host_user_failed")
        raise InternalError from error
    except Exception as error:
        _log.exception("host_user_failed")
        raise InternalError from error


def _host_user(found: Any) -> HostUser:
    user_id = str(found.id)
    role = getattr(found, "role", None)
    if not user_id or role not in (None, *get_args(Role)):
        raise ValueError(f"A user needs an id, and a role of {get_args(Role)} or None.")
    return HostUser(
        id=user_id,
        name=str(getattr(found, "name", "") or user_id),
        role=role,
        groups=frozenset(map(str, getattr(found, "groups", None) or ())),
    )
