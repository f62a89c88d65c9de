"""Security headers of all responses, and the Content-Security-Policy of pages."""

from __future__ import annotations

import gzip
import re
import secrets
from collections.abc import Awaitable, Iterable
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wireside.api.policy import policy_of


def _permissions(microphone: bytes = b"()") -> tuple[bytes, bytes]:
    """Return the header that says what a page may ask for; ``microphone`` is a list of origins."""
    return (
        b"permissions-policy",
        b"camera=(), geolocation=(), microphone=" + microphone + b", payment=(), usb=()",
    )


_ALWAYS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    # browsers may resolve the hosts of all links on a page: a name can leak data without a click
    (b"x-dns-prefetch-control", b"off"),
    _permissions(),
    (b"cross-origin-opener-policy", b"same-origin"),
)

_NO_MICROPHONE: Final = _permissions()
_OWN_MICROPHONE: Final = _permissions(b"(self)")

_HTTPS_ONLY: Final = (b"strict-transport-security", b"max-age=31536000")
"""HSTS for a year. Without subdomains, which may be run by others."""

_NO_FRAMES: Final = (b"x-frame-options", b"DENY")

_NOT_A_PAGE: Final = (
    b"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none';"
    b" frame-ancestors 'none'; sandbox"
)
"""Policy for documents that are not our pages, such as an SVG or an error opened directly."""

_SCRIPT: Final = re.compile(rb"<script(?=[\s>])")


class SecurityHeaders:
    """Adds security headers to each response, and a policy with a nonce to each page.

    Only pages (``X-NiceGUI-Content: page``) are buffered whole, to add the nonce to their scripts
    and to compress them.
    Their template escapes all data, so no injected script can obtain the nonce. NiceGUI needs
    ``unsafe-eval`` (Vue compiles templates) and inline styles.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        image_hosts: Iterable[str] = (),
        frame_ancestors: Iterable[str] = (),
        is_https: bool = False,
    ) -> None:
        self.app = app
        self.headers = (*_ALWAYS, _HTTPS_ONLY) if is_https else _ALWAYS
        self._ancestors = tuple(frame_ancestors)
        # X-Frame-Options can't list origins: with frame ancestors, only the policy is sent.
        self.page_headers = [] if frame_ancestors else [_NO_FRAMES]
        self._images = " ".join(
            ["'self' data: blob:", *(f"https://{host}" for host in image_hosts)]
        )

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Call the application; the response passes through ``_Response``."""
        if scope["type"] != "http":
            return self.app(scope, receive, send)
        return self.app(scope, receive, _Response(self, scope, send).send)

    def content_security_policy(
        self, nonce: str, host: str, *, has_frames: bool = False, is_framed: bool = False
    ) -> bytes:
        """Return the Content-Security-Policy of a page.

        Args:
            nonce: what marks the page's own scripts.
            host: the request's ``Host``.
            has_frames: the page may show framed pages of this application.
            is_framed: pages of this application may frame it.
        """
        ancestors = [*(["'self'"] if is_framed else ()), *self._ancestors] or ["'none'"]
        frames = "'self'" if has_frames else "'none'"
        return (
            f"default-src 'self'; script-src 'self' 'nonce-{nonce}' 'unsafe-eval';"
            f" style-src 'self' 'unsafe-inline'; img-src {self._images}; font-src 'self';"
            # Older Safari does not match WebSockets by 'self'.
            f" media-src 'self' blob:; connect-src 'self' ws://{host} wss://{host};"
            f" object-src 'none'; frame-src {frames}; base-uri 'none'; form-action 'self';"
            f" frame-ancestors {' '.join(ancestors)}"
        ).encode("latin-1")


class _Response:
    """Adds headers to one response."""

    def __init__(self, guard: SecurityHeaders, scope: Scope, send: Send) -> None:
        self._guard = guard
        self._scope = scope
        self._send = send
        self._start: Message | None = None  # buffered until the body of a page is complete
        self._body = b""

    async def send(self, message: Message) -> None:
        """Send a message of the response; the messages of a page are buffered."""
        if message["type"] == "http.response.start":
            await self._send_start(message)
        elif self._start is not None and message["type"] == "http.response.body":
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._send_page(self._start)
        else:
            await self._send(message)

    async def _send_start(self, message: Message) -> None:
        headers = list(message.get("headers", ()))
        present = {name.lower() for name, _ in headers}
        headers += [item for item in self._guard.headers if item[0] not in present]
        if (b"x-nicegui-content", b"page") in headers:
            self._start = {**message, "headers": headers}
            return
        if b"content-security-policy" not in present:
            headers += [(b"content-security-policy", _NOT_A_PAGE), _NO_FRAMES]
        await self._send({**message, "headers": headers})

    async def _send_page(self, start: Message) -> None:
        body = self._body
        self._body = b""  # a page references its request, and so this response, for its whole life
        nonce = secrets.token_urlsafe(16)
        body = _SCRIPT.sub(b'<script nonce="%s"' % nonce.encode(), body)
        route = policy_of(self._scope)
        out = [
            _OWN_MICROPHONE if route.uses_microphone and item == _NO_MICROPHONE else item
            for item in start["headers"]
            if item[0] not in (b"content-length", b"content-security-policy")
        ]
        request = dict(self._scope["headers"])
        if body and b"gzip" in request.get(b"accept-encoding", b""):
            body = gzip.compress(body, 6, mtime=0)
            out += [(b"content-encoding", b"gzip"), (b"vary", b"Accept-Encoding")]
        host = request[b"host"].decode("latin-1")
        policy = self._guard.content_security_policy(
            nonce, host, has_frames=route.has_frames, is_framed=route.is_framed
        )
        out += [
            (b"content-length", str(len(body)).encode()),
            (b"content-security-policy", policy),
            *(() if route.is_framed else self._guard.page_headers),
        ]
        await self._send({**start, "headers": out})
        await self._send({"type": "http.response.body", "body": body})
