"""The results of forms, which the page after the redirect shows once.

A form answers with a redirect (post/redirect/get), so that reloading repeats no action. The browser
carries the result to the next page in an encrypted cookie: that page may come from another server.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Final

from fastapi import Request, Response

from wireside.identity import Caller
from wireside.secret_box import SecretBox, Unreadable

COOKIE: Final = "wireside_result"

MAX_AGE_S: Final = 60
"""Seconds until the cookie of a result expires that no page has shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionResult:
    """The result of an action: a sentence, or a secret that is shown once."""

    sentence: str = ""
    title: str = ""
    secret: str = ""
    line: str = ""


class ActionResults:
    """Keeps results in the browser from a form to the next page."""

    def __init__(self, box: SecretBox, *, is_secure: bool) -> None:
        """Keep results in cookies.

        Args:
            box: encrypts them.
            is_secure: whether the public address of the server is one with TLS.
        """
        self._box = box
        self._is_secure = is_secure

    def attach(
        self, response: Response, request: Request, caller: Caller, result: ActionResult
    ) -> None:
        """Send a result with a redirect; the caller's next page shows it."""
        if result == ActionResult():
            return
        sealed = self._box.seal(json.dumps([_key(caller), asdict(result)]))
        self._set(response, request, sealed, MAX_AGE_S)

    def read(self, request: Request, caller: Caller) -> ActionResult:
        """Return the result that a request carries; empty if there is none for the caller."""
        sealed = request.cookies.get(COOKIE)
        if sealed is None:
            return ActionResult()
        try:
            key, fields = json.loads(self._box.open(sealed))
            result = ActionResult(**fields)
        except (Unreadable, TypeError):  # TypeError: from a release with other fields
            return ActionResult()
        return result if key == _key(caller) else ActionResult()

    def clear(self, response: Response, request: Request) -> None:
        """Delete the result that a request carries: a page has shown it."""
        if COOKIE in request.cookies:
            self._set(response, request, "", 0)

    def _set(self, response: Response, request: Request, value: str, max_age_s: int) -> None:
        response.set_cookie(
            COOKIE,
            value,
            max_age=max_age_s,
            path=request.scope.get("root_path", "") or "/",
            secure=self._is_secure or request.url.scheme == "https",
            httponly=True,
            samesite="lax",
        )


def _key(caller: Caller) -> str:
    return caller.credential or caller.user_id
