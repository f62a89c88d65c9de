"""Authentication middleware: resolves the caller, closes open sockets when access is revoked.

Pure ASGI, behind ``stack.py``, whose middlewares have already checked Host and Origin. The
application finds the caller in ``scope["state"]["caller"]`` and the caller's chat service in
``["chat"]``; or in ``["refused"]`` the reason why a known account is refused. All paths that are
not public require a caller.
"""

from __future__ import annotations

import asyncio
import ipaddress
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import parse_qs, quote

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wireside.api.host_user import HostRules, find_host_user
from wireside.api.middleware.limit_headers import limit_headers, openai_limit_headers
from wireside.api.middleware.methods import SAFE_METHODS
from wireside.api.middleware.refusals import send_refusal
from wireside.api.middleware.revocable_socket import RevocableSocket
from wireside.api.middleware.root_path import route_path
from wireside.api.policy import Access, Kind, policy_of
from wireside.auth.authenticator import Authenticator, Credentials
from wireside.auth.cookies import cookie_of
from wireside.auth.quotas import UserQuotas
from wireside.chat.service import ChatService
from wireside.errors import (
    Forbidden,
    InternalError,
    RateLimited,
    RequestError,
    StoreError,
    Unauthorized,
)
from wireside.identity import Caller
from wireside.limits.networks import TrustedNetworks, network_of
from wireside.protocol.handshake import Accept, Handshake, HandshakePolicy

_log = structlog.get_logger(__name__)

TICKET: Final = "ticket."
"""Prefix of a ticket among the subprotocols."""

_ELSEWHERE: Final = (
    "This server has no accounts and answers its own machine only. Set WIRESIDE_AUTH=password (or"
    " oidc, or proxy) to let others in."
)

PROXY_HEADERS: Final = frozenset(
    (b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip")
)
"""Headers that a proxy adds: the client may be on another machine."""

_NOT_KNOWN: Final = {
    "key": "This key is unknown or expired.",
    "ticket": "This ticket is unknown, used or expired; ask for a new one.",
    "other": "Authorization takes a key: `Authorization: Bearer KEY`.",
}
"""Sentences for credentials that are not accepted, by their kind."""

_FOREIGN: Final = "Pages of other sites may not send this form."


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticationRules:
    """Options of the middleware.

    Attributes:
        shares_are_public: a shared snapshot requires no sign-in.
        is_secure: browsers reach the server over TLS, whatever the request says.
        serves_others: without accounts, a proxy on this machine may forward requests from other
            machines.
        trusted_proxies: peers whose sign-in headers are accepted.
        gateways: peers that count as this machine; None: only this machine itself. They are the
            gateways of a container whose port is published on its machine's loopback addresses.
        host: how the host application of a mounted chat authenticates its users.
    """

    shares_are_public: bool = False
    is_secure: bool = False
    serves_others: bool = False
    trusted_proxies: TrustedNetworks = TrustedNetworks()
    gateways: TrustedNetworks | None = None
    host: HostRules | None = None


class AuthenticationMiddleware:
    """The authentication middleware."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        gate: Authenticator,
        chat: ChatService,
        door: HandshakePolicy,
        quotas: UserQuotas,
        rules: AuthenticationRules,
    ) -> None:
        self.app = app
        self._gate = gate
        self._chat = chat
        self._door = door
        self._quotas = quotas
        self._rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application if the caller is known or the path is public, else refuse."""
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        if scope["type"] == "http" and policy_of(scope).access is Access.UNCHECKED:
            return await self.app(scope, receive, send)
        if self._gate.mode == "none" and self._is_from_elsewhere(scope):
            _log.warning("refused_without_accounts", peer=scope.get("wireside.peer"))
            return await send_refusal(scope, receive, send, Forbidden(_ELSEWHERE))
        credentials = self._credentials(scope)
        if _is_form_submission(scope) and not credentials.is_own_page:
            return await send_refusal(scope, receive, send, Forbidden(_FOREIGN))
        state = scope.setdefault("state", {})
        seen = self._gate.presence.endings
        try:
            credentials = await self._with_host_user(credentials, scope)
            caller = await self._gate.authenticate(credentials)
        except (StoreError, InternalError) as error:
            return await send_refusal(scope, receive, send, error)
        except RequestError as error:
            caller, state["refused"] = None, error
        brought = _credential_kind(credentials)
        del credentials  # a connection would keep them in memory as long as it is open
        if caller is not None:
            state["caller"], state["chat"] = caller, self._chat.for_caller(caller)
            if scope["type"] == "websocket":
                return await self._serve_websocket(caller, seen, scope, receive, send)
            return await self._serve_authenticated(caller, scope, receive, send)
        if not self._is_public(scope):
            return await self._turn_away(scope, receive, send, brought)
        await self.app(scope, receive, send)

    async def _serve_authenticated(
        self, caller: Caller, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if scope["method"] not in SAFE_METHODS and not self._is_public(scope):
            receive = self._from_who_is_here(caller, receive)
        try:
            if policy_of(scope).is_metered:
                return await self._count_request(caller, scope, receive, send)
            await self.app(scope, receive, send)
        except (Unauthorized, StoreError) as error:
            # raised while the body arrived: no response has started
            await send_refusal(scope, receive, send, error)

    # ---- credentials ---------------------------------------------------------------------------

    def _is_from_elsewhere(self, scope: Scope) -> bool:
        """Whether the request comes from another machine. Without accounts it can't be authorised.

        A proxy on this machine may forward requests from other machines only if the settings name
        an address under which these reach the server.
        """
        peer, client = scope.get("wireside.peer", ""), scope.get("client")
        if self._rules.gateways is not None and self._is_from_gateway(scope, peer):
            return False
        if _is_remote(peer) or scope.get("wireside.is_relayed", False):
            return True
        return client is not None and _is_remote(client[0]) and not self._rules.serves_others

    def _is_from_gateway(self, scope: Scope, peer: str) -> bool:
        """Whether a request comes from the machine that runs this container, through no proxy."""
        own = scope.get("server")
        is_near = self._rules.gateways is not None and (
            self._rules.gateways.is_trusted(peer)
            or (own is not None and own[0] == peer)  # an engine without root forwards as itself
        )
        return is_near and not any(name in PROXY_HEADERS for name, _ in scope["headers"])

    def _credentials(self, scope: Scope) -> Credentials:
        headers: dict[str, str] = {}
        repeated: set[str] = set()
        for raw_name, value in scope["headers"]:
            name = raw_name.decode("latin-1")
            if name in headers:
                repeated.add(name)
            headers.setdefault(name, value.decode("latin-1"))
        kind, _, bearer = headers.get("authorization", "").partition(" ")
        ticket = _ticket_in(scope)
        may_be_program = policy_of(scope).accepts_keys
        is_secure = self._rules.is_secure or scope["scheme"] in ("https", "wss")
        client = scope.get("client")
        return Credentials(
            address=network_of(client[0]) if client else "",
            bearer=bearer.strip() if may_be_program and kind.lower() == "bearer" else None,
            cookie=cookie_of(
                headers.get("cookie", ""),
                is_secure=is_secure,
                root_path=scope.get("root_path", ""),
            ),
            ticket=ticket if may_be_program else None,
            origin=headers.get("origin"),
            is_own_page=self._is_own_page(scope, headers),
            is_from_proxy=self._rules.trusted_proxies.is_trusted(scope.get("wireside.peer", "")),
            headers=headers,
            repeated=frozenset(repeated),
        )

    async def _with_host_user(self, credentials: Credentials, scope: Scope) -> Credentials:
        """Add the host application's user. Raises ``InternalError`` if the host fails.

        Pages of other sites can make a browser send the host's cookie, but no ``Authorization``.
        """
        host = self._rules.host
        may_ask = credentials.is_own_page or "authorization" in credentials.headers
        if host is None or not may_ask or credentials.ticket is not None:
            return credentials
        return replace(credentials, host_user=await find_host_user(host.find_user, scope))

    def _is_own_page(self, scope: Scope, headers: dict[str, str]) -> bool:
        """Whether the request can't have been made by a page of another site.

        Credentials that browsers add by themselves (a cookie, a proxy's sign-in) identify the user,
        but don't show that the user intended the request.
        """
        if scope["type"] == "http" and scope["method"] in SAFE_METHODS:
            return True  # only our own pages can read the response
        if "origin" not in headers:
            return headers.get("sec-fetch-site", "none") in ("none", "same-origin")
        handshake = Handshake(
            hosts=[headers.get("host", "")],
            origins=[headers["origin"]],
            is_secure=scope["scheme"] in ("https", "wss"),
            is_socket=scope["type"] == "websocket",
        )
        return isinstance(self._door.judge(handshake, takes_allowed=False), Accept)

    def _is_public(self, scope: Scope) -> bool:
        if scope["type"] != "http":
            return False
        access = policy_of(scope).access
        is_shared = access is Access.SHARED and self._rules.shares_are_public
        return is_shared or access is Access.PUBLIC

    async def _turn_away(
        self, scope: Scope, receive: Receive, send: Send, brought: str | None = None
    ) -> None:
        is_page = scope["type"] == "http" and policy_of(scope).kind is Kind.PAGE
        if is_page and scope["method"] in ("GET", "HEAD"):
            return await _send_redirect(send, self._login_address(scope))
        refused: RequestError | None = scope["state"].get("refused")
        if refused is not None:
            # 401: a session has ended, as after a sign-out. 403: a user behind a proxy can't sign
            # in in any other way.
            is_final = self._gate.mode in ("proxy", "host")
            error = Forbidden(str(refused)) if is_final else Unauthorized(str(refused))
            return await send_refusal(scope, receive, send, error)
        sentence = _NOT_KNOWN[brought] if brought else None
        await send_refusal(scope, receive, send, Unauthorized(sentence))

    def _login_address(self, scope: Scope) -> str:
        base, path = scope.get("root_path", ""), route_path(scope)
        query = scope.get("query_string", b"").decode("latin-1")
        wanted = f"{path}?{query}" if query else path
        host = self._rules.host
        if host is not None and host.login_url:
            url = host.login_url.replace("{next}", quote(base + wanted, safe=""))
            return base.removesuffix(host.mount_path) + url if url.startswith("/") else url
        return f"{base}/login" + (f"?next={quote(wanted, safe='/')}" if wanted != "/" else "")

    # ---- open connections ----------------------------------------------------------------------

    async def _serve_websocket(
        self, caller: Caller, seen: int, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Serve a WebSocket until it ends or the caller's access is revoked.

        ``seen`` is the number of revocations when the caller was authenticated.
        """
        if self._gate.mode == "none":
            return await self.app(scope, receive, send)
        state = RevocableSocket(send)
        leave = self._gate.presence.register_connection(caller, state.revoke_access)
        try:
            if await self._was_put_out(caller, seen):
                return await self._turn_away(scope, receive, state.send)
            await self.app(scope, receive, state.send)
        finally:
            leave()
            await state.wait_closed()

    async def _was_put_out(self, caller: Caller, seen: int) -> bool:
        """Return whether access was revoked between authentication and registration."""
        if self._gate.presence.endings == seen:
            return False
        try:
            return not await self._gate.is_still_valid(caller)
        except StoreError:
            return False  # the gate checks again within seconds

    def _from_who_is_here(self, caller: Caller, receive: Receive) -> Receive:
        """Return a ``receive`` that checks the caller's access again when the body is complete.

        An upload may take an hour, in which access may be revoked. Then ``Unauthorized`` is raised.
        """

        async def receive_still() -> Message:
            message = await receive()
            is_whole = message["type"] == "http.request" and not message.get("more_body", False)
            if is_whole and not await self._gate.is_still_valid(caller):
                raise Unauthorized
            return message

        return receive_still

    async def _count_request(
        self, caller: Caller, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Count a request to the REST API against its rate limit; add the rate-limit headers."""
        (requests, rate), left = await asyncio.gather(
            self._quotas.take_request(caller), self._quotas.allowance(caller)
        )
        headers = limit_headers(requests, rate, left)
        if policy_of(scope).has_openai_errors:
            headers += openai_limit_headers(requests, rate)
        if not requests.was_counted:
            return await send_refusal(scope, receive, send, RateLimited(), headers=headers)

        async def send_with(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *headers]}
            await send(message)

        await self.app(scope, receive, send_with)


def _is_remote(address: str) -> bool:
    """Whether an address is another machine's. Anything but an IP address is a local socket."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return not (mapped or ip).is_loopback


def _ticket_in(scope: Scope) -> str | None:
    """Return the ticket of a WebSocket's handshake: a subprotocol, or ``ticket`` of its query.

    Some client libraries compute the query for each connection, but not the subprotocols. A ticket
    is valid once, so that one which a proxy has logged is worth nothing.
    """
    for offered in scope.get("subprotocols", ()):
        if offered.startswith(TICKET):
            return str(offered.removeprefix(TICKET))
    if scope["type"] != "websocket" or b"ticket=" not in scope.get("query_string", b""):
        return None
    values = parse_qs(scope["query_string"].decode("latin-1")).get("ticket")
    return values[-1] if values else None


def _credential_kind(credentials: Credentials) -> str | None:
    """Return the kind of a program's credentials, a key of ``_NOT_KNOWN``; None without any."""
    if credentials.bearer is not None:
        return "key"
    if credentials.ticket is not None:
        return "ticket"
    return "other" if credentials.headers.get("authorization") else None


def _is_form_submission(scope: Scope) -> bool:
    """Whether the request submits a form. Pages of other sites may not, even of allowed origins."""
    return (
        scope["type"] == "http"
        and scope["method"] not in SAFE_METHODS
        and policy_of(scope).kind is Kind.PAGE
    )


async def _send_redirect(send: Send, where: str) -> None:
    headers = [
        (b"location", where.encode("ascii", "replace")),
        (b"content-length", b"0"),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": 303, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
