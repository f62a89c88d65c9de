"""Authentication: which credentials count for pages and which for programs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.backend.api.known_paths import with_known_paths
from tests.backend.auth.conftest import House, house
from wireside.api.middleware.authentication import (
    AuthenticationMiddleware,
    AuthenticationRules,
)
from wireside.api.middleware.revocable_socket import RevocableSocket
from wireside.auth.authenticator import Authenticator, Credentials, Mode
from wireside.auth.cookies import COOKIE, SECURE_COOKIE
from wireside.auth.limiter import MemoryLimiter
from wireside.auth.quotas import QuotaLimits, UserQuotas
from wireside.chat.service import ChatService
from wireside.identity import Caller
from wireside.limits.networks import TrustedNetworks
from wireside.protocol.handshake import HandshakePolicy

__all__ = ["house"]  # re-exported fixtures

PAGES = ("/", "/c/1", "/settings", "/settings/keys", "/people", "/audit", "/dashboard", "/doctor")
FORMS = ("/settings/password", "/settings/keys", "/settings/keys/revoke", "/people/invite")
PAGE_SOCKET = "/_nicegui_ws/socket.io/"

Knock = Callable[..., Any]


@pytest.fixture
def knock(house: House, chat: ChatService) -> Knock:
    """Return a function that sends a request and returns its caller, or None if it is refused."""

    async def ask(
        path: str,
        method: str = "GET",
        *,
        mode: Mode = "password",
        is_secure: bool = False,
        scheme: str = "http",
        subprotocols: tuple[str, ...] = (),
        **headers: str,
    ) -> Caller | None:
        reached: list[Caller | None] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            reached.append(scope["state"].get("caller"))

        async def receive() -> dict[str, Any]:
            return {"type": "websocket.connect"}

        async def send(_: Any) -> None:
            pass

        guard = AuthenticationMiddleware(
            app,
            gate=house.gate(mode),
            chat=chat,
            door=HandshakePolicy(host="127.0.0.1"),
            quotas=UserQuotas(MemoryLimiter(house.clock), QuotaLimits()),
            rules=AuthenticationRules(
                is_secure=is_secure, trusted_proxies=TrustedNetworks.parse_list(["192.0.2.1"])
            ),
        )
        lines = [(b"host", b"127.0.0.1")]
        lines += [(name.replace("_", "-").encode(), v.encode()) for name, v in headers.items()]
        is_socket = method == "upgrade"
        scope: dict[str, Any] = {
            "type": "websocket" if is_socket else "http",
            "scheme": scheme.replace("http", "ws") if is_socket else scheme,
            "path": path,
            "headers": lines,
            "client": ("192.0.2.1", 1),
            "wireside.peer": "192.0.2.1",
            "subprotocols": subprotocols,
        }
        if not is_socket:
            scope["method"] = method
        await with_known_paths(guard)(scope, receive, send)
        return reached[0] if reached else None

    return ask


@pytest.fixture
async def ada(house: House) -> Caller:
    return await house.administrator()


async def test_a_key_opens_no_page_and_sends_no_form(
    house: House, knock: Knock, ada: Caller
) -> None:
    _, text = await house.keys.create_key(ada, "key", ["read", "chat", "admin"])
    bearer = f"Bearer {text}"
    for path in PAGES:
        assert await knock(path, authorization=bearer) is None, path
    for path in FORMS:
        assert await knock(path, "POST", authorization=bearer) is None, path
    assert await knock(PAGE_SOCKET, "upgrade", authorization=bearer) is None
    assert await knock(PAGE_SOCKET, authorization=bearer) is None
    for path, method in (("/api/me", "GET"), ("/api/keys", "POST"), ("/ws/ai-chat", "upgrade")):
        caller = await knock(path, method, authorization=bearer)
        assert caller is not None, path
        assert caller.credential.startswith("key ")


async def test_a_ticket_opens_our_socket_and_not_the_pages(
    house: House, knock: Knock, ada: Caller
) -> None:
    await house.signed_in("ada")
    here = await house.signed_in("ada")
    ticket = f"ticket.{await house.tickets.issue_ticket(here)}"
    assert await knock(PAGE_SOCKET, "upgrade", subprotocols=(ticket,)) is None
    assert await knock("/ws/ai-chat", "upgrade", subprotocols=("ai-chat", ticket)) == here


async def test_a_key_beside_a_session_changes_nothing_on_a_page(
    house: House, knock: Knock, ada: Caller
) -> None:
    cookie = await house.sign_ins.sign_in("ada", "a good long password", agent="", address="")
    eve = await house.person(ada, "eve")
    _, text = await house.keys.create_key(
        Caller(user_id=eve.id, name="eve", role="user"), "key", ["read"]
    )
    both = {"cookie": f"{COOKIE}={cookie}", "authorization": f"Bearer {text}"}
    on_page, in_api = await knock("/settings", **both), await knock("/api/me", **both)
    assert (on_page.name, in_api.name) == ("ada", "eve")


async def test_a_proxys_word_counts_on_pages_beside_a_header_of_its_own(
    knock: Knock, ada: Caller
) -> None:
    said = {"x_forwarded_user": "grace", "authorization": "Bearer of-the-proxy"}
    caller = await knock("/settings", mode="proxy", **said)
    assert caller is not None
    assert caller.name == "grace"


@pytest.mark.parametrize(
    ("scheme", "is_secure", "counts"),
    [
        ("http", False, COOKIE),
        ("https", False, SECURE_COOKIE),
        ("http", True, SECURE_COOKIE),  # TLS ends at a proxy, as WIRESIDE_PUBLIC_URL says
        ("https", True, SECURE_COOKIE),
    ],
)
@pytest.mark.parametrize("path", ["/settings", "/api/me", "/ws/ai-chat", PAGE_SOCKET])
async def test_over_tls_only_the_cookie_of_this_very_host_counts(
    house: House, knock: Knock, ada: Caller, path: str, scheme: str, is_secure: bool, counts: str
) -> None:
    cookie = await house.sign_ins.sign_in("ada", "a good long password", agent="", address="")
    method = "upgrade" if path in ("/ws/ai-chat", PAGE_SOCKET) else "GET"
    for name in (COOKIE, SECURE_COOKIE):
        for header in (f"{name}={cookie}", f"a=b; {name}={cookie}; c=d"):
            caller = await knock(path, method, scheme=scheme, is_secure=is_secure, cookie=header)
            assert (caller is not None) == (name == counts), header


async def test_who_is_put_out_while_it_is_found_out_who_asks_does_not_come_in(
    house: House, knock: Knock, ada: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session that ends during its authentication gives no access.

    At that moment there is no connection to close yet, and the record that was read is stale.
    """
    cookie = await house.sign_ins.sign_in("ada", "a good long password", agent="", address="")
    found = Authenticator.authenticate
    ends = False

    async def caller(gate: Authenticator, credentials: Credentials) -> Caller | None:
        who = await found(gate, credentials)
        if who is not None and ends:
            await house.sign_ins.end_session(who)
        return who

    monkeypatch.setattr(Authenticator, "authenticate", caller)
    with_it = {"cookie": f"{COOKIE}={cookie}"}
    assert await knock("/ws/ai-chat", "upgrade", **with_it) is not None
    ends = True
    assert await knock("/ws/ai-chat", "upgrade", **with_it) is None


async def test_who_is_put_out_before_the_handshake_is_answered_is_refused() -> None:
    """A caller who is signed out before the handshake's response is refused.

    Nothing would close the connection later: before its response it has no limit of its own.
    """
    sent: list[str] = []

    async def send(message: Any) -> None:
        sent.append(message["type"])

    held = RevocableSocket(send)
    held.revoke_access()
    await held.send({"type": "websocket.accept"})
    await held.wait_closed()
    assert sent == ["websocket.close"]
