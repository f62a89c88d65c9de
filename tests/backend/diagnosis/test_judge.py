"""The doctor's rules, from measurements alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wireside.diagnosis.judge import Finding, run_checks
from wireside.diagnosis.lines import LINES, PROXIES
from wireside.diagnosis.measured import (
    BAD_CERTIFICATE,
    CHAT,
    NO_SUCH_NAME,
    NOTHING_LISTENS,
    PAGE,
    PROBE,
    AnswerTiming,
    Measured,
    MeasuredReply,
    Seen,
    Silence,
    StreamTiming,
    Upgrade,
)
from wireside.settings.model import Settings

URL = "https://chat.example.org"
OURS = MeasuredReply(200, True)
EVEN = tuple(range(0, 1200, 100))
SEEN = Seen(
    host="chat.example.org",
    origin=URL,
    scheme="https",
    peer="127.0.0.1",
    client="203.0.113.9",
    is_peer_trusted=True,
    headers={"x-forwarded-for": "203.0.113.9", "x-forwarded-proto": "https"},
)
WELL = Measured(
    prober="shell",
    asked=URL,
    origin=URL,
    ready=OURS,
    memory_mb=150.0,
    upgrades=tuple(
        Upgrade(path=path, is_open=True, reply=MeasuredReply(101, True))
        for path in (CHAT, PROBE, PAGE)
    ),
    answer=AnswerTiming((400, 500, 1600)),
    seen=SEEN,
    socket_seen=replace(SEEN, scheme="wss"),
    post=OURS,
    stream=StreamTiming(sent_ms=EVEN, came_ms=tuple(ms + 40 for ms in EVEN), reply=OURS),
    socket_stream=StreamTiming(sent_ms=EVEN, came_ms=tuple(ms + 40 for ms in EVEN)),
    large=OURS,
    silence=Silence(asked_s=22, lasted_s=22, is_cut=False),
    skew_s=0.2,
    trips_ms=(9.0, 11.0, 10.0),
    http="h2",
    local_port=55555,
)

FAT = replace(WELL, memory_mb=5000.0)


def found(measured: Measured, check: str) -> Finding:
    return next(finding for finding in run_checks(measured) if finding.check == check)


def refused(status: int, message: str, *, is_ours: bool = True) -> Measured:
    reply = MeasuredReply(status, is_ours, message)
    upgrades = tuple(Upgrade(path=path, is_open=False, reply=reply) for path in (CHAT, PROBE, PAGE))
    return Measured(
        prober="shell", asked=URL, origin=URL, ready=OURS, memory_mb=150.0, upgrades=upgrades
    )


def test_what_is_well_is_told_as_well() -> None:
    assert [finding.check for finding in run_checks(WELL) if finding.state != "ok"] == []


def test_the_guides_three_come_first() -> None:
    assert [finding.check for finding in run_checks(WELL)][:3] == [
        "WebSocket",
        "Streaming",
        "Memory",
    ]


def test_nothing_measured_raises_nothing_and_blames_the_way_in_only() -> None:
    for prober in ("shell", "browser"):
        findings = run_checks(Measured(prober=prober, asked=URL))
        assert [one.check for one in findings if one.state == "failed"] == ["WebSocket"]


def test_each_failure_says_who_and_what() -> None:
    cases = [
        refused(426, "plain"),
        refused(502, "<html>", is_ours=False),
        replace(WELL, silence=Silence(asked_s=22, lasted_s=2, is_cut=True, code=1006)),
        replace(WELL, answer=AnswerTiming((), "provider_auth", "No key.")),
        replace(WELL, seen=replace(SEEN, is_peer_trusted=False)),
    ]
    for measured in cases:
        failed = [one for one in run_checks(measured) if one.state == "failed"]
        assert failed
        for one in failed:
            assert one.hop
            assert one.remedy


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [
        (NO_SUCH_NAME, "the name does not resolve"),
        (NOTHING_LISTENS, "Start the server"),
        (f"{BAD_CERTIFICATE}: expired", "a certificate for this name"),
        ("timed out", "a firewall"),
    ],
)
def test_a_server_that_is_not_reached_is_no_fault_of_a_proxy(reason: str, remedy: str) -> None:
    finding = found(
        Measured(prober="shell", asked=URL, ready=MeasuredReply(message=reason)), "WebSocket"
    )
    assert (finding.state, finding.hop) == ("failed", None)
    assert remedy in finding.remedy


@pytest.mark.parametrize("fault", LINES)
def test_every_fault_has_a_line_for_every_proxy(fault: str) -> None:
    assert list(LINES[fault]) == list(PROXIES)  # type: ignore[index]


def test_a_page_that_is_refused_by_its_own_server_comes_under_another_host() -> None:
    finding = found(refused(403, "Pages of that Origin may not …"), "WebSocket")
    assert (finding.state, finding.hop) == ("failed", "proxy")
    assert finding.lines["nginx"] == "proxy_set_header Host $http_host;"
    assert finding.lines["Wireside"] == f"WIRESIDE_PUBLIC_URL={URL}"


def test_a_foreign_page_is_let_in_by_the_server() -> None:
    stranger = replace(refused(403, "no"), origin="https://friend.example")
    finding = found(stranger, "WebSocket")
    assert finding.hop == "server"
    assert finding.lines == {"Wireside": "WIRESIDE_ALLOWED_ORIGINS=https://friend.example"}


@pytest.mark.parametrize(
    ("host", "hop", "where"),
    [("backend.internal", "proxy", "nginx"), ("chat.example.org", "server", "Wireside")],
)
def test_an_unknown_host_is_the_proxys_or_the_servers_fault(
    host: str, hop: str, where: str
) -> None:
    said = f"This server does not answer to the Host {host}; WIRESIDE_TRUSTED_HOSTS lists …"
    finding = found(refused(400, said), "WebSocket")
    assert (finding.state, finding.hop) == ("failed", hop)
    assert where in finding.lines


def test_before_a_sign_in_it_is_told_that_the_upgrade_arrives() -> None:
    measured = refused(401, "Please sign in first.")
    assert found(measured, "Upgrade").state == "ok"
    assert found(measured, "WebSocket").state == "skipped"
    assert "--key" in found(measured, "Host and Origin").seen


def test_a_server_without_accounts_is_told_from_a_foreign_page() -> None:
    measured = refused(403, "This server has no accounts and answers its own machine only.")
    finding = found(measured, "WebSocket")
    assert (finding.state, finding.hop) == ("failed", "server")
    assert "WIRESIDE_AUTH" in str(finding.lines)


def test_before_a_sign_in_a_lost_upgrade_is_told() -> None:
    finding = found(refused(426, "This is a WebSocket endpoint"), "Upgrade")
    assert (finding.state, finding.hop) == ("failed", "proxy")


def test_in_a_browser_a_refused_origin_is_no_lost_upgrade() -> None:
    measured = replace(
        refused(426, "plain"), prober="browser", post=MeasuredReply(403, True, "Origin")
    )
    assert found(measured, "Upgrade").state == "skipped"
    assert found(measured, "WebSocket").lines["nginx"].startswith("proxy_set_header Host")


def test_in_a_browser_a_plain_request_that_arrives_is_a_lost_upgrade() -> None:
    measured = replace(refused(426, "plain"), prober="browser", post=OURS)
    assert found(measured, "WebSocket").hop == "proxy"
    assert "Upgrade" in found(measured, "Upgrade").lines["nginx"]


@pytest.mark.parametrize(
    ("server", "via", "names"),
    [
        ("nginx/1.22.1", "", ["nginx"]),
        ("Caddy", "", ["Caddy"]),
        ("", "1.1 Caddy", ["Caddy"]),
        ("cloudflare", "", list(PROXIES)),
        ("", "", list(PROXIES)),
    ],
)
def test_lines_are_those_of_the_proxy_that_says_its_name(
    server: str, via: str, names: list[str]
) -> None:
    stream = StreamTiming(
        sent_ms=EVEN, came_ms=(1200,) * 12, reply=MeasuredReply(200, True, server=server, via=via)
    )
    finding = found(replace(WELL, stream=stream), "Buffering")
    assert finding.state == "failed"
    assert list(finding.lines) == names


def test_traefik_is_known_by_what_it_adds() -> None:
    headers = {**SEEN.headers, "x-forwarded-server": "edge"}
    measured = replace(
        WELL,
        seen=replace(SEEN, headers=headers),
        silence=Silence(asked_s=9, lasted_s=2, is_cut=True, code=1006),
    )
    assert list(found(measured, "Idle time-out").lines) == ["Traefik"]


@pytest.mark.parametrize("shift", [0, 40, 5000])
def test_delay_alone_is_no_buffer(shift: int) -> None:
    stream = StreamTiming(sent_ms=EVEN, came_ms=tuple(ms + shift for ms in EVEN), reply=OURS)
    assert found(replace(WELL, stream=stream), "Buffering").state == "ok"


def test_a_stream_that_breaks_off_is_told() -> None:
    assert (
        found(
            replace(WELL, stream=StreamTiming(sent_ms=EVEN, came_ms=EVEN[:1], reply=OURS)),
            "Buffering",
        ).state
        == "failed"
    )


def test_a_packed_stream_is_told_and_blamed_where_it_is_held() -> None:
    packed = replace(
        WELL, stream=StreamTiming(sent_ms=EVEN, came_ms=EVEN, reply=OURS, encoding="gzip")
    )
    assert found(packed, "Compression").state == "warning"
    assert found(packed, "Buffering").state == "ok"
    held = replace(
        WELL, stream=StreamTiming(sent_ms=EVEN, came_ms=(1200,) * 12, reply=OURS, encoding="gzip")
    )
    assert found(held, "Buffering").lines["nginx"] == "gzip off;"


@pytest.mark.parametrize(("lasted_s", "state"), [(2.0, "failed"), (20.5, "failed"), (60.0, "ok")])
def test_a_cut_matters_if_it_comes_before_the_servers_pings(lasted_s: float, state: str) -> None:
    measured = replace(WELL, silence=Silence(asked_s=75, lasted_s=lasted_s, is_cut=True, code=1006))
    assert found(measured, "Idle time-out").state == state


def test_without_a_proxy_the_way_is_at_fault() -> None:
    direct = replace(SEEN, client="127.0.0.1", port=55555, headers={})
    measured = replace(
        WELL, seen=direct, silence=Silence(asked_s=75, lasted_s=2, is_cut=True, code=1006)
    )
    assert found(measured, "Idle time-out").hop == "way"


@pytest.mark.parametrize(
    ("seen", "hop", "part"),
    [
        (replace(SEEN, is_peer_trusted=False, peer="10.0.0.5"), "server", "PROXIES=10.0.0.5"),
        (replace(SEEN, headers={}, client="10.0.0.5", port=1), "proxy", "option forwardfor"),
        (replace(SEEN, scheme="http"), "proxy", "X-Forwarded-Proto"),
    ],
)
def test_who_asks_and_how_must_be_told_and_believed(seen: Seen, hop: str, part: str) -> None:
    finding = found(replace(WELL, seen=seen), "Address")
    assert (finding.state, finding.hop) == ("failed", hop)
    assert part in "\n".join(finding.lines.values())


def test_a_port_that_is_the_usual_one_is_the_same_host() -> None:
    seen = replace(SEEN, host="CHAT.example.org:443")
    assert found(replace(WELL, seen=seen), "Host and Origin").state == "ok"
    seen = replace(SEEN, host="chat.example.org:8443")
    assert found(replace(WELL, seen=seen), "Host and Origin").state == "failed"


def test_an_answer_in_one_piece_is_the_models_unless_sockets_are_held_too() -> None:
    late = replace(WELL, answer=AnswerTiming((9000,)))
    assert found(late, "Streaming").hop == "model"
    held = replace(late, socket_stream=StreamTiming(sent_ms=EVEN, came_ms=(1200,) * 12))
    assert found(held, "Streaming").hop == "proxy"
    assert found(replace(WELL, answer=AnswerTiming((200,))), "Streaming").state == "ok"


def test_a_missing_key_of_the_model_is_told() -> None:
    finding = found(replace(WELL, answer=AnswerTiming((), "provider_auth", "No key.")), "Streaming")
    assert "OPENAI_API_KEY=…" in finding.lines["Wireside"]


def test_clocks_and_slow_networks_are_warnings() -> None:
    assert found(replace(WELL, skew_s=-600.0), "Clocks").state == "warning"
    assert found(replace(WELL, trips_ms=(900.0,)), "Round trip").state == "warning"
    assert found(FAT, "Memory").state == "warning"


def test_round_trips_of_requests_are_told_as_such() -> None:
    assert "by HTTP" not in found(WELL, "Round trip").seen
    finding = found(replace(WELL, socket_seen=None), "Round trip")
    assert (finding.state, finding.seen) == ("ok", "9.0 ms minimum, 10.0 ms median, by HTTP")


def test_what_is_advised_against_much_memory_changes_something() -> None:
    advised = dict(line.split("=") for line in found(FAT, "Memory").lines["Wireside"].splitlines())
    usual = {f"WIRESIDE_{n.upper()}": field.default for n, field in Settings.model_fields.items()}
    assert advised.keys() == {"WIRESIDE_HISTORY_MESSAGES", "WIRESIDE_RESUME_WINDOW_S"}
    assert all(int(value) < usual[name] for name, value in advised.items())


def test_http_1_0_on_the_way_is_told() -> None:
    finding = found(replace(WELL, seen=replace(SEEN, http_version="1.0")), "HTTP version")
    assert finding.lines["nginx"] == "proxy_http_version 1.1;"


def test_bodies_that_are_too_large_for_the_proxy_are_told() -> None:
    finding = found(replace(WELL, large=MeasuredReply(413, False, "", "nginx")), "Large requests")
    assert finding.lines == {"nginx": "client_max_body_size 256m;"}
