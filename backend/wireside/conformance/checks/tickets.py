"""Checks of the authentication, for servers with accounts: they need an API key."""

from __future__ import annotations

from wireside.conformance.checks.handshake import expect_status
from wireside.conformance.kit import Kit, check
from wireside.conformance.results import NotApplicable, Violation

SECTION = "The handshake"


async def _need_accounts(kit: Kit) -> None:
    if kit.key is None:
        raise NotApplicable("No key was given (--key).")
    async with _Without(kit):
        reply = await kit.handshake()
    if reply.status == 101:
        raise NotApplicable("The server does not require authentication.")


class _Without:
    """Sends no key, or another one, within the block."""

    def __init__(self, kit: Kit, key: str | None = None) -> None:
        self._kit = kit
        self._key = key

    async def __aenter__(self) -> None:
        self._kit.key, self._key = self._key, self._kit.key

    async def __aexit__(self, *_: object) -> None:
        self._kit.key, self._key = self._key, self._kit.key


@check(
    "key-missing",
    level=1,
    section=SECTION,
    rule="A server that requires authentication refuses a handshake without a key with HTTP 401.",
)
async def key_missing(kit: Kit) -> None:
    """Send no key."""
    if kit.key is None:
        raise NotApplicable("No key was given (--key).")
    async with _Without(kit):
        reply = await kit.handshake()
    if reply.status == 101:
        raise NotApplicable("The server does not require authentication.")
    expect_status(reply, 401)


@check("key-wrong", level=1, section=SECTION, rule="An unknown key gets HTTP 401.")
async def key_wrong(kit: Kit) -> None:
    """Send a key that does not exist."""
    await _need_accounts(kit)
    async with _Without(kit, "conformance-unknown-key"):
        expect_status(await kit.handshake(), 401)


async def _new_ticket(kit: Kit) -> str:
    target = kit.address.rest_path("/api/tickets")
    headers = {**kit.authorization, "Content-Type": "application/json"}
    reply = await kit.request("POST", target, headers=headers, body=b"{}")
    ticket = reply.json().get("ticket")
    if reply.status not in (200, 201) or not isinstance(ticket, str):
        raise Violation("a `ticket` in the response of POST /api/tickets", f"HTTP {reply.status}")
    return ticket


@check(
    "ticket-opens",
    level=1,
    section=SECTION,
    rule="A ticket opens as the subprotocol `ticket.VALUE` with `ai-chat`; it is not echoed.",
)
async def ticket_opens(kit: Kit) -> None:
    """Open a connection with a ticket instead of the key."""
    await _need_accounts(kit)
    ticket = await _new_ticket(kit)
    async with _Without(kit):
        reply = await kit.handshake({"Sec-WebSocket-Protocol": f"ai-chat, ticket.{ticket}"})
    expect_status(reply, 101)
    selected = reply.headers.get("sec-websocket-protocol")
    if selected != "ai-chat":
        came = str(selected).replace(ticket, "VALUE")
        raise Violation("Sec-WebSocket-Protocol: ai-chat", came)


@check("ticket-once", level=1, section=SECTION, rule="A ticket opens one connection only.")
async def ticket_once(kit: Kit) -> None:
    """Use a ticket twice."""
    await _need_accounts(kit)
    offer = {"Sec-WebSocket-Protocol": f"ai-chat, ticket.{await _new_ticket(kit)}"}
    async with _Without(kit):
        expect_status(await kit.handshake(offer), 101)
        expect_status(await kit.handshake(offer), 401)
