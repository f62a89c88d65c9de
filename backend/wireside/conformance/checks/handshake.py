"""Checks of the handshake: Origin, Host, subprotocol, path, extensions, refusals."""

from __future__ import annotations

from wireside.conformance.kit import Kit, check
from wireside.conformance.raw_http import RawReply
from wireside.conformance.results import NotApplicable, Violation

SECTION = "The handshake"
FOREIGN = "https://conformance.invalid"


def expect_status(reply: RawReply, status: int) -> None:
    """Check the status of a response. Raises ``Violation``."""
    if reply.status != status:
        raise Violation(f"HTTP {status}", str(reply))


@check(
    "handshake-opens",
    level=1,
    section=SECTION,
    rule="A handshake without Origin and without subprotocol opens: it is not of a browser.",
)
async def opens(kit: Kit) -> None:
    """Open a connection by a handshake with the required fields only."""
    expect_status(await kit.handshake(), 101)


@check(
    "subprotocol-selected",
    level=1,
    section=SECTION,
    rule="`ai-chat` is selected when it is offered.",
)
async def subprotocol_selected(kit: Kit) -> None:
    """Offer ``ai-chat`` after another one."""
    reply = await kit.handshake({"Sec-WebSocket-Protocol": "conformance, ai-chat"})
    expect_status(reply, 101)
    selected = reply.headers.get("sec-websocket-protocol")
    if selected != "ai-chat":
        raise Violation("Sec-WebSocket-Protocol: ai-chat", str(selected))


@check(
    "subprotocol-not-offered",
    level=1,
    section=SECTION,
    rule="No subprotocol is selected that the client has not offered.",
)
async def subprotocol_not_offered(kit: Kit) -> None:
    """Offer another subprotocol, an empty and a malformed list."""
    for offered in ("conformance", "", ",;="):
        reply = await kit.handshake({"Sec-WebSocket-Protocol": offered})
        expect_status(reply, 101)
        if "sec-websocket-protocol" in reply.headers:
            came = reply.headers["sec-websocket-protocol"]
            raise Violation(f"no subprotocol for the offer “{offered}”", came)


@check(
    "origin-own",
    level=1,
    section=SECTION,
    rule="The server's own origin is accepted, also as a library of programs writes it (`ws://`).",
)
async def origin_own(kit: Kit) -> None:
    """Send the server's origin, as a browser and as a library does."""
    address = kit.address
    scheme = "wss" if address.is_secure else "ws"
    for origin in (address.origin, f"{scheme}://{address.authority}"):
        reply = await kit.handshake({"Origin": origin})
        if reply.status != 101:
            raise Violation(f"HTTP 101 for Origin {origin}", str(reply))


@check(
    "origin-foreign",
    level=1,
    section=SECTION,
    rule="An Origin that is neither the server's own nor on its list gets HTTP 403.",
)
async def origin_foreign(kit: Kit) -> None:
    """Send an origin that no list contains."""
    reply = await kit.handshake({"Origin": FOREIGN})
    if reply.status != 403:
        raise Violation(f"HTTP 403 for Origin {FOREIGN}", str(reply))


@check(
    "host-unknown",
    level=1,
    section=SECTION,
    rule="A Host that is not on the list of trusted ones gets HTTP 400, where there is a list.",
)
async def host_unknown(kit: Kit) -> None:
    """Send a host name that no list contains."""
    reply = await kit.handshake({"Host": "conformance.invalid"})
    if reply.status == 101:
        raise NotApplicable("The server accepts any Host: it has no list of trusted ones.")
    expect_status(reply, 400)


@check(
    "path-slash",
    level=1,
    section=SECTION,
    rule="The path with a slash at its end is the same address.",
)
async def path_slash(kit: Kit) -> None:
    """Open the path with a slash."""
    expect_status(await kit.handshake(target=kit.address.path + "/"), 101)


@check("path-unknown", level=1, section=SECTION, rule="Every other path gets HTTP 404.")
async def path_unknown(kit: Kit) -> None:
    """Open a path that does not exist."""
    expect_status(await kit.handshake(target=kit.address.path + "-conformance"), 404)


@check(
    "get-without-upgrade",
    level=1,
    section=SECTION,
    rule="A plain GET without upgrade gets HTTP 426 and the address of the protocol's description.",
)
async def get_without_upgrade(kit: Kit) -> None:
    """Send a GET."""
    reply = await kit.request("GET", kit.address.path, headers=kit.authorization)
    expect_status(reply, 426)
    if b"/docs/protocol" not in reply.body:
        raise Violation("a body that names /docs/protocol", str(reply))


@check(
    "refusal-body",
    level=1,
    section=SECTION,
    rule='The body of a refusal is `{"message": …}`.',
)
async def refusal_body(kit: Kit) -> None:
    """Read the body of a refused path and of a refused origin."""
    for reply in (
        await kit.handshake(target=kit.address.path + "-conformance"),
        await kit.handshake({"Origin": FOREIGN}),
    ):
        if not isinstance(reply.json().get("message"), str):
            raise Violation("a JSON object with `message`", str(reply))


@check(
    "extensions-malformed",
    level=1,
    section=SECTION,
    rule="An empty or malformed Sec-WebSocket-Extensions offers nothing.",
)
async def extensions_malformed(kit: Kit) -> None:
    """Send fields that offer no extension."""
    for offered in ("", ";;=", "permessage-conformance"):
        reply = await kit.handshake({"Sec-WebSocket-Extensions": offered})
        expect_status(reply, 101)
        if "sec-websocket-extensions" in reply.headers:
            came = reply.headers["sec-websocket-extensions"]
            raise Violation(f"no extension for the offer “{offered}”", came)


@check(
    "compression",
    level=1,
    section="The `/ws/ai-chat` protocol",
    rule="permessage-deflate is supported; the response names no parameter that was not offered.",
)
async def compression(kit: Kit) -> None:
    """Offer permessage-deflate without parameters."""
    reply = await kit.handshake({"Sec-WebSocket-Extensions": "permessage-deflate"})
    expect_status(reply, 101)
    selected = reply.headers.get("sec-websocket-extensions", "")
    if selected.strip() != "permessage-deflate":
        came = selected or "no extension"
        raise Violation("Sec-WebSocket-Extensions: permessage-deflate, no parameters", came)


@check(
    "frame-size-invalid",
    section="Slow readers",
    rule="`?max_frame_bytes=N` must be from 1,024 to 1,048,576: others get HTTP 400.",
)
async def frame_size_invalid(kit: Kit) -> None:
    """Request frames of sizes out of range."""
    for value in ("1023", "1048577", "many"):
        reply = await kit.handshake(target=f"{kit.address.path}?max_frame_bytes={value}")
        if reply.status != 400:
            raise Violation(f"HTTP 400 for max_frame_bytes={value}", str(reply))
