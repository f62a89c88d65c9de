"""The handshake: every kind of Host against every kind of Origin."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wireside.protocol.handshake import (
    Accept,
    AllowedOrigins,
    Handshake,
    HandshakePolicy,
    Refuse,
    is_for_others,
    is_loopback,
)

LOOPBACK = HandshakePolicy()
PROXIED = HandshakePolicy(
    public_url="https://chat.example.com/sub/", allowed_origins=["https://ally.example"]
)
LISTED = HandshakePolicy(trusted_hosts=["Chat.Example", "exact.example:8443", "fd00::1"])
PUBLIC_BIND = HandshakePolicy(host="0.0.0.0")


def status(
    door: HandshakePolicy, *hosts: str, origins: tuple[str, ...] = (), secure: bool = False
) -> int:
    verdict = door.judge(Handshake(hosts=hosts, origins=origins, is_secure=secure))
    return verdict.status if isinstance(verdict, Refuse) else 101


GOOD_LOOPBACK = [
    "localhost",
    "LOCALHOST:8080",
    "localhost.",
    "127.0.0.1:8080",
    "127.8.9.1",
]
GOOD_LOOPBACK += ["[::1]", "[::1]:8080", "[0:0:0:0:0:0:0:1]:1"]
FOREIGN = [
    "evil.example",
    "localhost.evil.example",
    "127.0.0.1.nip.io",
    "xlocalhost",
    "0.0.0.0",
]
FOREIGN += [
    "10.0.0.1:8080",
    "[::2]",
    "[::ffff:127.0.0.1]",
    "2130706433",
    "0x7f.1",
    "127.1",
]
BROKEN = [
    "",
    " ",
    "localhost:",
    "localhost:x",
    "localhost:0",
    "localhost:70000",
    "a b",
    "::1",
]
BROKEN += [
    "localhost/",
    "user@localhost",
    "localhost,evil.example",
    "[::1",
    "[fe80::1%25lo]",
    "é",
]


@pytest.mark.parametrize("host", GOOD_LOOPBACK)
def test_a_server_on_loopback_answers_to_loopback_names(host: str) -> None:
    assert status(LOOPBACK, host) == 101


@pytest.mark.parametrize("host", FOREIGN + BROKEN)
def test_and_to_no_other(host: str) -> None:
    assert status(LOOPBACK, host) == 400


@pytest.mark.parametrize("hosts", [(), ("localhost", "localhost"), ("localhost", "evil.example")])
def test_there_must_be_exactly_one_host(hosts: tuple[str, ...]) -> None:
    assert status(LOOPBACK, *hosts) == 400


@pytest.mark.parametrize(
    ("door", "host", "expected"),
    [
        (PROXIED, "chat.example.com", 101),
        (PROXIED, "chat.example.com:443", 101),
        (PROXIED, "localhost:8080", 101),
        (PROXIED, "example.com", 400),
        (PROXIED, "ally.example", 400),
        (LISTED, "chat.example", 101),
        (LISTED, "CHAT.EXAMPLE.:99", 101),
        (LISTED, "exact.example:8443", 101),
        (LISTED, "exact.example:8444", 400),
        (LISTED, "exact.example", 400),
        (LISTED, "[fd00::1]:8080", 101),
        (LISTED, "localhost", 400),
        (PUBLIC_BIND, "localhost", 400),
        (HandshakePolicy(host="0.0.0.0", public_url="http://a.example"), "a.example", 101),
    ],
)
def test_lists_decide_over_hosts(door: HandshakePolicy, host: str, expected: int) -> None:
    assert status(door, host) == expected


SAME = [
    ("localhost:8080", "http://localhost:8080"),
    ("localhost:8080", "https://LOCALHOST:8080"),  # TLS ends at a proxy
    ("[::1]:8080", "http://[0:0::1]:8080"),
    ("localhost", "http://localhost"),
    ("localhost", "https://localhost"),
    ("localhost", "https://localhost:443"),
    ("localhost:443", "https://localhost"),
    ("localhost:80", "http://localhost"),
]
OTHER = [
    ("localhost:8080", "http://localhost"),
    ("localhost:8080", "http://localhost:8081"),
    ("localhost:8080", "http://127.0.0.1:8080"),
    ("localhost:8080", "ws://localhost:8080"),
    ("localhost:8080", "chrome-extension://localhost:8080"),
    ("localhost", "http://localhost:8080"),
    ("localhost:443", "http://localhost"),
    ("localhost:8080", "http://localhost:8080/"),
    ("localhost:8080", "http://localhost:8080.evil.example"),
    ("localhost:8080", "http://localhost:8080@evil.example"),
    ("localhost:8080", "http://evil.example#localhost:8080"),
    ("localhost:8080", "http://localhost:8080, http://localhost:8080"),
    ("localhost:8080", "http://localhost:8080 http://localhost:8080"),
    ("localhost:8080", "http://evil.example:8080"),
    ("localhost:8080", "localhost:8080"),
    ("localhost:8080", "//localhost:8080"),
    ("localhost:8080", "null"),
    ("localhost:8080", ""),
]


@pytest.mark.parametrize(("host", "origin"), SAME)
def test_pages_of_the_same_host_and_port_come_in(host: str, origin: str) -> None:
    assert status(LOOPBACK, host, origins=(origin,)) == 101


@pytest.mark.parametrize(("host", "origin"), OTHER)
def test_pages_of_others_do_not(host: str, origin: str) -> None:
    assert status(LOOPBACK, host, origins=(origin,)) == 403


def test_two_origins_are_one_too_many() -> None:
    assert status(LOOPBACK, "localhost", origins=("http://localhost", "http://localhost")) == 403


def test_who_sends_no_origin_is_no_browser() -> None:
    assert status(LOOPBACK, "localhost", origins=()) == 101


def test_a_plain_page_is_another_origin_where_tls_is_certain() -> None:
    assert status(LOOPBACK, "localhost", origins=("http://localhost",), secure=True) == 403
    assert status(LOOPBACK, "localhost", origins=("https://localhost",), secure=True) == 101


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("https://ally.example", 101),
        ("https://ALLY.example:443", 101),
        ("http://ally.example", 403),
        ("https://ally.example:8443", 403),
        ("https://sub.ally.example", 403),
        ("https://ally.example.evil.example", 403),
        ("https://chat.example.com", 101),
        ("http://chat.example.com", 403),
    ],
)
def test_listed_origins_match_to_scheme_host_and_port(origin: str, expected: int) -> None:
    assert status(PROXIED, "localhost:8080", origins=(origin,)) == expected


def test_the_socket_of_our_pages_takes_no_listed_origin() -> None:
    ally = Handshake(hosts=["localhost"], origins=["https://ally.example"])
    ours = Handshake(hosts=["localhost"], origins=["https://chat.example.com"])
    assert isinstance(PROXIED.judge(ally, takes_allowed=False), Refuse)
    assert isinstance(PROXIED.judge(ours, takes_allowed=False), Accept)


def test_an_extension_comes_in_when_it_is_listed() -> None:
    door = HandshakePolicy(allowed_origins=["chrome-extension://abcdef"])
    assert status(door, "localhost", origins=("chrome-extension://abcdef",)) == 101
    assert status(door, "localhost", origins=("chrome-extension://abcdeg",)) == 403


def test_the_subprotocol_is_ours_and_never_a_ticket() -> None:
    def chosen(*offered: str) -> str | None:
        verdict = LOOPBACK.judge(Handshake(hosts=["localhost"], subprotocols=offered))
        assert isinstance(verdict, Accept)
        return verdict.subprotocol

    assert chosen("ticket.abc", "ai-chat") == "ai-chat"
    assert chosen("ticket.abc") is None
    assert chosen() is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"trusted_hosts": ["https://a.example"]},
        {"allowed_origins": ["a.example"]},
        {"allowed_origins": ["**"]},
        {"public_url": "chat.example.com"},
        {"public_url": "ftp://chat.example.com"},
    ],
)
def test_wrong_settings_are_told(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="WIRESIDE_"):
        HandshakePolicy(**wrong)  # type: ignore[arg-type]  # one wrong value each


PIECES = [
    "localhost",
    "evil.example",
    "http",
    "https",
    "://",
    ":",
    "8080",
    "/",
    "@",
    "#",
    "null",
]
PIECES += ["[::1]", ".", " ", ",", "127.0.0.1", "\\", "?"]


@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_only_two_spellings_of_an_origin_open_the_door(origin: str) -> None:
    """Of all near misses a page could send, only the host itself by http or https is accepted."""
    is_ours = origin in (
        "http://localhost:8080",
        "https://localhost:8080",
    ) or origin in (
        "http://localhost.:8080",
        "https://localhost.:8080",
    )
    assert (status(LOOPBACK, "localhost:8080", origins=(origin,)) == 101) is is_ours


@pytest.mark.parametrize(
    "host", ["localhost", "LocalHost", "127.0.0.1", "127.0.0.2", "::1", "[::1]"]
)
def test_loopback_is_known(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "example.com", "192.168.0.1", "localhost.a"])
def test_what_is_not_loopback_is_known_too(host: str) -> None:
    assert not is_loopback(host)


def test_an_address_for_others_is_known() -> None:
    others = (
        "https://chat.example.org",
        "http://192.168.0.7:8080/sub",
        "nas",
        "nas:81",
        "[fd00::1]",
    )
    own = (
        "http://localhost:8080/",
        "https://127.0.0.1",
        "http://[::1]:81/x",
        "::1",
        "LOCALHOST:80",
    )
    assert [name for name in others if not is_for_others(name)] == []
    assert [name for name in own if is_for_others(name)] == []
    assert not is_for_others("https://chat.localhost")
    assert is_for_others("https://localhost.example.org")


def socket(
    door: HandshakePolicy, host: str, *origins: str, secure: bool = False, **rules: bool
) -> int:
    verdict = door.judge(
        Handshake(hosts=[host], origins=origins, is_secure=secure, is_socket=True), **rules
    )
    return verdict.status if isinstance(verdict, Refuse) else 101


OWN_ADDRESS = [
    ("127.0.0.1:8080", "ws://127.0.0.1:8080", False),
    ("127.0.0.1:8080", "WS://127.0.0.1:8080/ws/ai-chat?x=1", False),
    ("127.0.0.1:8080", "http://127.0.0.1:8080/", False),
    ("[::1]:8080", "ws://[::1]:8080", False),
    ("localhost", "ws://localhost", False),
    ("localhost", "wss://localhost", True),
    ("localhost:443", "wss://localhost", True),
    ("localhost", "wss://localhost:443", True),
    ("localhost", "http://localhost", True),
    ("localhost:443", "http://localhost", True),
    ("localhost", "", False),
]


@pytest.mark.parametrize(("host", "origin", "secure"), OWN_ADDRESS)
def test_programs_name_the_address_that_they_connect_to(
    host: str, origin: str, secure: bool
) -> None:
    assert socket(LOOPBACK, host, origin, secure=secure) == 101


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:8080", "ws://127.0.0.1:8081"),
        ("127.0.0.1:8080", "ws://127.0.0.1"),
        ("127.0.0.1:8080", "http://localhost/"),
        ("127.0.0.1:8080", "ws://evil.example:8080"),
        ("127.0.0.1:8080", "ws://evil.example/127.0.0.1:8080"),
        ("127.0.0.1:8080", "ws://127.0.0.1:8080@evil.example"),
        ("localhost", "http://localhost:8080"),
        ("localhost", "null"),
        ("localhost", "file://"),
        ("localhost", "file:///x/y.html"),
        ("localhost", "ws://"),
    ],
)
def test_but_no_other_one(host: str, origin: str) -> None:
    assert socket(LOOPBACK, host, origin) == 403
    assert socket(LOOPBACK, host, origin, origin) == 403


def test_a_page_without_tls_is_not_our_own_page_with_it() -> None:
    """Cookies, which browsers add automatically, count only for the server's own pages."""
    rules = {"takes_allowed": False}
    assert socket(LOOPBACK, "localhost", "http://localhost", secure=True, **rules) == 403
    assert socket(LOOPBACK, "localhost", "wss://localhost", secure=True, **rules) == 101


@pytest.mark.parametrize(
    ("listed", "taken", "refused"),
    [
        ("null", ["null"], ["NULL", "file://", "https://null"]),
        ("file://", ["file://", "file:///x"], ["null", "https://file"]),
        (
            "https://*.example.org",
            ["https://a.example.org", "https://a.b.example.org", "https://A.Example.org:443"],
            [
                "https://example.org",
                "http://a.example.org",
                "https://a.example.org:8443",
                "https://aexample.org",
                "https://example.org.evil",
            ],
        ),
        ("http://*.localhost:3000", ["http://x.localhost:3000"], ["http://x.localhost"]),
        ("*", ["https://any.example", "null", "file://", "app://obsidian.md"], ["", "x"]),
        ("capacitor://localhost", ["capacitor://localhost"], ["ionic://localhost"]),
        ("https://app.example/", ["https://app.example"], ["http://app.example"]),
    ],
)
def test_other_sites_are_listed_in_many_ways(
    listed: str, taken: list[str], refused: list[str]
) -> None:
    origins = AllowedOrigins([listed])
    assert [origins.has(text) for text in taken] == [True] * len(taken)
    assert [origins.has(text) for text in refused] == [False] * len(refused)


@pytest.mark.parametrize("listed", ["https://*.org", "https://*", "*.example.org", "https://a.*.b"])
def test_what_is_too_wide_or_no_origin_is_not_listed(listed: str) -> None:
    with pytest.raises(ValueError, match="WIRESIDE_ALLOWED_ORIGINS"):
        AllowedOrigins([listed])
