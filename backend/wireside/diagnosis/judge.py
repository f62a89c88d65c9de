"""Diagnosis rules: derive findings from measurements, with the faulty hop and the fix.

The first three checks cover the integration guide's troubleshooting: a WebSocket that closes
immediately, messages that do not stream, high memory use.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from statistics import median
from typing import Final, Literal

from wireside.diagnosis.lines import LINES, PROXIES, Fault, Proxy
from wireside.diagnosis.measured import (
    BAD_CERTIFICATE,
    CHAT,
    NO_SUCH_NAME,
    NOTHING_LISTENS,
    PAGE,
    PROBE,
    Measured,
    MeasuredReply,
    Seen,
    Silence,
    StreamTiming,
    Upgrade,
)
from wireside.protocol.handshake import Authority, Origin

State = Literal["ok", "warning", "failed", "skipped"]
Hop = Literal["browser", "proxy", "server", "model", "way"]
"""The faulty component; ``way`` if the hop on the network path is unknown."""

FAT_MB: Final = 1024
"""Memory use in MB from which a warning is given."""
HELD_SHARE: Final = 0.7
"""Buffering is diagnosed if arrivals span less than ``1 - HELD_SHARE`` of the sending time."""
IDLE_S: Final = 75
"""Idle timeout that a proxy should allow, in seconds; the server pings more often."""
MARGIN_S: Final = 1.0
QUICK_MS: Final = 1000
"""An answer that is complete within this time (ms) may arrive in one piece."""
SKEW_S: Final = 30.0
SLOW_MS: Final = 400.0

_HOW: Final = "docs/proxies.md has complete working configurations."
_SET_AND_RESTART: Final = "Set this and restart the server."


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of one check: the observation and, on failure, the faulty hop and the fix.

    ``lines`` holds configuration lines by target: a proxy's name, or ``Wireside`` for environment
    variables of the server.
    """

    check: str
    state: State
    seen: str
    hop: Hop | None = None
    remedy: str = ""
    lines: dict[str, str] = field(default_factory=dict)


def run_checks(measured: Measured) -> list[Finding]:
    """Run all checks; return the findings in display order."""
    return [
        _websocket(measured),
        _streaming(measured),
        _check_memory(measured),
        _check_upgrade(measured),
        _check_host(measured),
        _forwarded(measured),
        _buffering(measured),
        _compression(measured),
        _check_large_requests(measured),
        _check_idle_timeout(measured),
        _check_clocks(measured),
        _round_trip(measured),
        _check_http_version(measured),
    ]


# ---- proxy detection -----------------------------------------------------------------------------


def detect_proxy(measured: Measured) -> Proxy | None:
    """Return the proxy's product if its responses identify it."""
    for reply in _all_replies(measured):
        told = f"{reply.server} {reply.via} {'' if reply.is_ours else reply.message}".lower()
        for name in PROXIES:
            if name.lower() in told:
                return name
        if "<h1>50" in told and "server" in told:
            return "HAProxy"  # the form of its error pages, which do not name it
    seen = measured.seen or measured.socket_seen
    if seen is not None and "x-forwarded-server" in seen.headers:
        return "Traefik"
    return None


def has_proxy(measured: Measured) -> bool | None:
    """Return whether there is a proxy on the path; None if unknown."""
    seen = measured.seen
    if seen is not None and measured.local_port and seen.port:
        return seen.port != measured.local_port
    if any(reply.server or reply.via for reply in _all_replies(measured)):
        return True  # Wireside itself sends neither header
    if seen is not None and (seen.headers or _has_other_host(measured.asked, seen.host)):
        return True
    return None


def _all_replies(measured: Measured) -> list[MeasuredReply]:
    found = [measured.ready, *(one.reply for one in measured.upgrades)]
    found += [one for one in (measured.post, measured.large) if one is not None]
    return [*found, *(one.reply for one in [measured.stream] if one is not None)]


def _proxy_finding(
    measured: Measured, check: str, state: State, seen: str, fault: Fault, remedy: str = ""
) -> Finding:
    known = detect_proxy(measured)
    named: tuple[Proxy, ...] = (known,) if known else PROXIES
    lines: dict[str, str] = {name: LINES[fault][name] for name in named}
    hop: Hop = "way" if has_proxy(measured) is False else "proxy"
    return Finding(check=check, state=state, seen=seen, hop=hop, remedy=remedy or _HOW, lines=lines)


def _setting_lines(name: str, value: str) -> dict[str, str]:
    return {"Wireside": f"{name}={value}"}


# ---- troubleshooting of the integration guide ----------------------------------------------------


def _websocket(measured: Measured) -> Finding:
    check = "WebSocket"
    tried = measured.upgrade_of(CHAT)
    page = measured.origin or measured.asked
    if not measured.ready.status:
        seen = f"no response from {measured.asked}: {measured.ready.message or 'no connection'}"
        return Finding(
            check=check,
            state="failed",
            seen=seen,
            hop=None,
            remedy=_remedy_of(measured.ready.message),
        )
    if not measured.ready.is_ours:
        return _proxy_finding(
            measured=measured,
            check=check,
            state="failed",
            seen=_foreign_reply(measured.ready),
            fault="reach",
        )
    if tried is None:
        return Finding(check=check, state="skipped", seen="not tried")
    if not tried.is_open:
        return _refused_handshake(measured, tried, page)
    if tried.closed_after_ms is not None:
        seen = f"opens for pages of {page}, but is closed after {tried.closed_after_ms} ms"
        return _proxy_finding(
            measured=measured, check=check, state="failed", seen=seen, fault="idle"
        )
    return Finding(check=check, state="ok", seen=f"opens for pages of {page}, and answers")


def _remedy_of(reason: str) -> str:
    """Return the remedy for a failed connection; ``reason`` comes from the probe."""
    if reason == NO_SUCH_NAME:
        return "Correct the address, or create a DNS record for it: the name does not resolve."
    if reason.startswith(BAD_CERTIFICATE):
        return "Install a certificate for this name on the server or its proxy."
    if reason == NOTHING_LISTENS:
        return "Start the server, or correct the address and its port."
    return "Start the server, or correct the address; a firewall may drop the connection."


def _refused_handshake(measured: Measured, tried: Upgrade, page: str) -> Finding:
    """Return why the handshake of the chat WebSocket failed."""
    check, status = "WebSocket", _status_of(measured, tried)
    if not tried.reply.is_ours and status != 403:
        fault = _of_upgrade(measured, [tried])
        return _proxy_finding(
            measured=measured,
            check=check,
            state="failed",
            seen=_foreign_reply(tried.reply),
            fault=fault,
        )
    if status == 401:
        seen = "the handshake arrives; the server requires authentication (401)"
        return Finding(
            check=check,
            state="skipped",
            seen=seen,
            hop=None,
            remedy="Use an API key: wireside doctor URL --key -",
        )
    if status == 403 and "has no accounts" in tried.reply.message:
        seen = "the server has no accounts and accepts its own machine only (403)"
        lines = _setting_lines("WIRESIDE_AUTH", "password")
        return Finding(
            check=check,
            state="failed",
            seen=seen,
            hop="server",
            remedy=tried.reply.message,
            lines=lines,
        )
    if status == 403 and _is_same_origin(page, measured.asked):
        seen = f"the server treats its own page, {page}, as a foreign one (403)"
        remedy = "The Host header is changed on the way to the server."
        finding = _proxy_finding(
            measured=measured, check=check, state="failed", seen=seen, fault="host", remedy=remedy
        )
        public = _setting_lines("WIRESIDE_PUBLIC_URL", measured.asked)
        return Finding(
            check=check,
            state="failed",
            seen=seen,
            hop="proxy",
            remedy=remedy,
            lines={**finding.lines, **public},
        )
    if status == 403:
        lines = _setting_lines("WIRESIDE_ALLOWED_ORIGINS", page)
        seen = f"pages of {page} are refused (403)"
        return Finding(
            check=check,
            state="failed",
            seen=seen,
            hop="server",
            remedy=_SET_AND_RESTART,
            lines=lines,
        )
    if status == 400:
        return _strange_host(measured, check, tried.reply)
    if status == 429:
        lines = _setting_lines("WIRESIDE_CONNECTIONS_PER_ADDRESS", "1000")
        return Finding(
            check=check,
            state="failed",
            seen=tried.reply.message,
            hop="server",
            remedy="Check which clients hold these connections; see Address.",
            lines=lines,
        )
    if status == 426:
        seen = "the server receives a plain request: the upgrade was lost on the way (426)"
        return _proxy_finding(
            measured=measured, check=check, state="failed", seen=seen, fault="upgrade"
        )
    return Finding(
        check=check,
        state="failed",
        seen=f"{status}: {tried.reply.message}",
        hop="server",
        remedy="See the server's log.",
    )


def _strange_host(measured: Measured, check: str, reply: MeasuredReply) -> Finding:
    """Return whether the server's name is not configured, or the proxy changes the Host header."""
    found = re.search(r"the Host (\S+);", reply.message)
    if found is not None and _has_other_host(measured.asked, found[1]):
        told = f"requested {_authority(measured.asked)}, but the server receives Host {found[1]}"
        return _proxy_finding(
            measured=measured, check=check, state="failed", seen=f"{told} (400)", fault="host"
        )
    lines = _setting_lines("WIRESIDE_PUBLIC_URL", measured.asked)
    seen = f"the server does not accept the requested host name (400): {reply.message}"
    return Finding(
        check=check,
        state="failed",
        seen=seen,
        hop="server",
        remedy=_SET_AND_RESTART,
        lines=lines,
    )


def _status_of(measured: Measured, tried: Upgrade) -> int:
    """Return the handshake's status; for a browser it is derived from other requests."""
    post = measured.post
    if measured.prober == "browser" and post is not None and post.status == 403 and post.is_ours:
        return 403
    return tried.reply.status


def _streaming(measured: Measured) -> Finding:
    check, answer = "Streaming", measured.answer
    if answer is None:
        return Finding(check=check, state="skipped", seen="no question was sent, see WebSocket")
    if answer.code or answer.message:
        seen = f"no answer: {answer.message or answer.code}"
        if answer.code in ("unauthorized", "rate_limited"):
            return Finding(check=check, state="skipped", seen=seen)
        if answer.code in ("provider_auth", "not_configured"):
            lines = _setting_lines("OPENAI_API_KEY", "…")
            return Finding(
                check=check,
                state="failed",
                seen=seen,
                hop="model",
                remedy=_SET_AND_RESTART,
                lines=lines,
            )
        return Finding(
            check=check,
            state="failed",
            seen=seen,
            hop="model",
            remedy="Run `wireside doctor` on the server for details.",
        )
    times = answer.times_ms
    took = times[-1] - times[0] if times else 0
    if len(times) > 1 and took > 0:
        return Finding(
            check=check, state="ok", seen=f"an answer in {len(times)} pieces over {took} ms"
        )
    if measured.socket_stream is not None and _is_held(measured.socket_stream):
        return _proxy_finding(
            measured=measured,
            check=check,
            state="failed",
            seen="an answer in one piece",
            fault="buffering",
        )
    if times and times[-1] < QUICK_MS:
        return Finding(check=check, state="ok", seen=f"a complete answer after {times[-1]} ms")
    seen = "an answer in one piece, although streaming works: the model service sends it whole"
    return Finding(
        check=check,
        state="warning",
        seen=seen,
        hop="model",
        remedy="Check the settings of the model service and of its proxy.",
    )


def _check_memory(measured: Measured) -> Finding:
    check, mb = "Memory", measured.memory_mb
    if mb is None:
        return Finding(check=check, state="skipped", seen="the server does not report it")
    if mb < FAT_MB:
        return Finding(check=check, state="ok", seen=f"the server uses {mb:,.0f} MB")
    lines = {"Wireside": "WIRESIDE_HISTORY_MESSAGES=20\nWIRESIDE_RESUME_WINDOW_S=60"}
    seen = f"the server uses {mb:,.0f} MB, more than usual"
    return Finding(
        check=check,
        state="warning",
        seen=seen,
        hop="server",
        remedy="Shorten histories, and keep finished answers for less time:",
        lines=lines,
    )


# ---- handshake and addresses ---------------------------------------------------------------------


def _check_upgrade(measured: Measured) -> Finding:
    check = "Upgrade"
    tried = [one for one in measured.upgrades if not _is_known_to_miss(measured, one)]
    if not tried or not measured.ready.is_ours:
        told = "refused before the upgrade, see WebSocket" if measured.upgrades else "not tried"
        return Finding(check=check, state="skipped", seen=told)
    arrived = [one for one in tried if one.is_open or _has_arrived(measured, one)]
    lost = [one for one in tried if one not in arrived]
    if lost:
        which = ", ".join(_display_name(one.path) for one in lost)
        came = "; ".join(sorted({_describe_reply(one.reply) for one in lost}))
        fault = _of_upgrade(measured, lost)
        return _proxy_finding(
            measured=measured,
            check=check,
            state="failed",
            seen=f"no upgrade for {which}: {came}",
            fault=fault,
        )
    which = ", ".join(_display_name(one.path) for one in arrived)
    deflate = any("permessage-deflate" in one.extensions for one in arrived)
    packed = ", compressed" if deflate else ""
    return Finding(
        check=check,
        state="ok",
        seen=f"101 for {which}{packed}" if _any_open(arrived) else f"{which}",
    )


def _of_upgrade(measured: Measured, lost: list[Upgrade]) -> Fault:
    """Return what lost an upgrade: a buffering proxy sends nothing before the response ends."""
    is_mute = any(not one.reply.status for one in lost)
    held = measured.stream is not None and _is_held(measured.stream)
    return "buffering" if is_mute and held else "upgrade"


def _any_open(tried: list[Upgrade]) -> bool:
    return any(one.is_open for one in tried)


def _is_known_to_miss(measured: Measured, tried: Upgrade) -> bool:
    """Return whether the server refused before upgrading, so that the attempt shows nothing."""
    status = _status_of(measured, tried)
    if measured.prober == "browser" and status == 403 and not tried.is_open:
        return True  # applies to all three; browsers hide the reason from the page
    return tried.reply.is_ours and status in (400, 403, 429)


def _has_arrived(measured: Measured, tried: Upgrade) -> bool:
    """Return whether the server received the handshake and refused it, which only 401 proves."""
    return measured.prober == "shell" and tried.reply.is_ours and tried.reply.status == 401


def _display_name(path: str) -> str:
    return {CHAT: CHAT, PROBE: PROBE, PAGE: "the page's WebSocket"}.get(path, path)


def _describe_reply(reply: MeasuredReply) -> str:
    if reply.status == 426:
        return "a plain request arrives (426)"
    if not reply.status:
        return reply.message or "the connection was closed"
    return f"{reply.status} instead of 101"


def _check_host(measured: Measured) -> Finding:
    check, seen = "Host and Origin", measured.seen or measured.socket_seen
    if seen is None and measured.ready.is_ours and measured.ready.status == 400:
        return _strange_host(measured, check, measured.ready)
    if seen is None:
        return Finding(check=check, state="skipped", seen=_why_not_seen(measured))
    both = [one for one in (measured.seen, measured.socket_seen) if one is not None]
    for one in both:
        if _has_other_host(measured.asked, one.host):
            where = " in the handshake" if one is measured.socket_seen else ""
            told = (
                f"requested {_authority(measured.asked)}, but the server receives"
                f" Host {one.host}{where}"
            )
            return _proxy_finding(
                measured=measured, check=check, state="failed", seen=told, fault="host"
            )
    for one in both:
        if one.origin and measured.origin and not _is_same_origin(one.origin, measured.origin):
            told = f"sent Origin {measured.origin}, but the server receives {one.origin}"
            remedy = "Remove the rule that sets or changes the Origin header."
            return Finding(check=check, state="failed", seen=told, hop="proxy", remedy=remedy)
    post = measured.post
    if post is not None and post.is_ours and post.status == 403:
        lines = _setting_lines("WIRESIDE_PUBLIC_URL", measured.asked)
        told = f"the server receives Host {seen.host}, but treats {measured.origin} as foreign"
        return Finding(
            check=check,
            state="failed",
            seen=told,
            hop="server",
            remedy=_SET_AND_RESTART,
            lines=lines,
        )
    origin = next((f" and Origin {one.origin}" for one in both if one.origin), "")
    return Finding(
        check=check, state="ok", seen=f"the server receives Host {seen.host}{origin}, as sent"
    )


def _why_not_seen(measured: Measured) -> str:
    if not measured.ready.is_ours:
        return "the server was not reached"
    tried = measured.upgrade_of(CHAT)
    if tried is not None and tried.reply.status == 401:
        return "requires authentication: wireside doctor URL --key -"
    return "the server's view of the request is not available"


def _no_socket(measured: Measured) -> str:
    tried = measured.upgrade_of(PROBE)
    if tried is None or tried.reply.status == 401:
        return _why_not_seen(measured)
    return "requires a WebSocket, and none could be opened"


def _forwarded(measured: Measured) -> Finding:
    check, seen = "Address", measured.seen or measured.socket_seen
    if seen is None:
        return Finding(check=check, state="skipped", seen=_why_not_seen(measured))
    between = has_proxy(measured)
    said = {name for name in ("x-forwarded-for", "x-forwarded-proto") if name in seen.headers}
    if said and not seen.is_peer_trusted:
        lines = _setting_lines("WIRESIDE_TRUSTED_PROXIES", seen.peer or "ADDRESS")
        told = f"the X-Forwarded-* headers of {seen.peer or 'the proxy'} are not trusted"
        return Finding(
            check=check,
            state="failed",
            seen=told,
            hop="server",
            remedy=_SET_AND_RESTART,
            lines=lines,
        )
    if between and "x-forwarded-for" not in said:
        told = f"the proxy does not send the client's address: all clients appear as {seen.client}"
        remedy = "All clients share the limits of one address."
        return _proxy_finding(
            measured=measured,
            check=check,
            state="failed",
            seen=told,
            fault="forwarded",
            remedy=remedy,
        )
    scheme = measured.asked.partition(":")[0]
    if scheme != seen.scheme.replace("ws", "http"):
        told = f"requested by {scheme}, but the server sees {seen.scheme}"
        remedy = "Cookies are not marked Secure, and generated links have the wrong scheme."
        return _proxy_finding(
            measured=measured,
            check=check,
            state="failed",
            seen=told,
            fault="forwarded",
            remedy=remedy,
        )
    if between:
        told = f"{seen.client} by {scheme}, as sent by {seen.peer or 'the proxy'}, which is trusted"
        return Finding(check=check, state="ok", seen=told)
    return Finding(
        check=check, state="ok", seen=f"{seen.client} by {scheme}, seen by the server itself"
    )


# ---- buffering, compression, size and idle limits ------------------------------------------------


def _buffering(measured: Measured) -> Finding:
    check = "Buffering"
    if measured.stream is None and measured.socket_stream is None:
        return Finding(check=check, state="skipped", seen=_why_not_seen(measured))
    told = []
    for name, stream in (("HTTP", measured.stream), ("WebSocket", measured.socket_stream)):
        if stream is None:
            continue
        if len(stream.came_ms) < len(stream.sent_ms) or len(stream.came_ms) < 2:
            status = stream.reply.status
            seen = f"the {name} stream broke off after {len(stream.came_ms)} pieces ({status})"
            return _proxy_finding(
                measured=measured, check=check, state="failed", seen=seen, fault="buffering"
            )
        if _is_held(stream):
            held = round(_held_ms(stream))
            seen = f"{name}: the first piece is delayed by {held} ms, all arrive together"
            if stream.encoding:
                return _proxy_finding(
                    measured=measured,
                    check=check,
                    state="failed",
                    seen=f"{seen}, compressed",
                    fault="compression",
                )
            return _proxy_finding(
                measured=measured, check=check, state="failed", seen=seen, fault="buffering"
            )
        told.append(f"{name} {_received_gap_ms(stream)} ms")
    sent = next(s for s in (measured.stream, measured.socket_stream) if s is not None)
    gap = _median_gap(sent.sent_ms)
    return Finding(
        check=check,
        state="ok",
        seen=f"pieces sent {gap} ms apart arrive as far apart: {', '.join(told)}",
    )


def _held_ms(stream: StreamTiming) -> float:
    """Return the difference between the longest and the shortest delay of a piece, in ms."""
    pairs = zip(stream.sent_ms, stream.came_ms, strict=False)
    delays = [came - sent for sent, came in pairs]
    return max(delays) - min(delays)


def _is_held(stream: StreamTiming) -> bool:
    span = stream.sent_ms[-1] - stream.sent_ms[0] if len(stream.sent_ms) > 1 else 0
    if span <= 0 or len(stream.came_ms) < 2:
        return False
    came = stream.came_ms[-1] - stream.came_ms[0]
    return came < span * (1 - HELD_SHARE)


def _received_gap_ms(stream: StreamTiming) -> int:
    return _median_gap(stream.came_ms)


def _median_gap(times: tuple[int, ...]) -> int:
    gaps = [later - earlier for earlier, later in zip(times, times[1:], strict=False)]
    return round(median(gaps)) if gaps else 0


def _compression(measured: Measured) -> Finding:
    check, stream = "Compression", measured.stream
    if stream is None or not stream.reply.status:
        return Finding(check=check, state="skipped", seen=_why_not_seen(measured))
    if stream.encoding and stream.encoding != "identity":
        seen = f"the stream is compressed ({stream.encoding}), but not by the server"
        remedy = "Compressing and flushing each piece costs time and saves nothing."
        return _proxy_finding(
            measured=measured,
            check=check,
            state="warning",
            seen=seen,
            fault="compression",
            remedy=remedy,
        )
    return Finding(check=check, state="ok", seen="the stream is not compressed")


def _check_large_requests(measured: Measured) -> Finding:
    check, reply, post = "Large requests", measured.large, measured.post
    if reply is None and post is not None and post.status == 403:
        return Finding(
            check=check, state="skipped", seen="the server refuses requests of this page"
        )
    if reply is None:
        return Finding(check=check, state="skipped", seen=_why_not_seen(measured))
    if reply.status == 200:
        return Finding(check=check, state="ok", seen="a request of 1.25 MB is accepted")
    if reply.is_ours:
        return Finding(check=check, state="skipped", seen=f"{reply.status}: {reply.message}")
    came = f"answered with {reply.status}" if reply.status else "cut off"
    remedy = "Imports of conversations can be larger."
    return _proxy_finding(
        measured=measured,
        check=check,
        state="failed",
        seen=f"a request of 1.25 MB is {came}",
        fault="large",
        remedy=remedy,
    )


def _check_idle_timeout(measured: Measured) -> Finding:
    check, silence = "Idle time-out", measured.silence
    if silence is None:
        return Finding(check=check, state="skipped", seen=_no_socket(measured))
    seen: Seen | None = measured.socket_seen or measured.seen
    ping_s = seen.ping_interval_s if seen is not None else 20.0
    rhythm = f"the server sends a ping every {ping_s:g} s"
    if not silence.is_cut:
        return Finding(
            check=check,
            state="ok",
            seen=f"still open after {silence.asked_s:g} s of silence; {rhythm}",
        )
    if silence.code in (1001, 1012):
        return Finding(check=check, state="skipped", seen="the server was stopped during the check")
    return _cut_while_idle(measured, silence, ping_s, rhythm)


def _cut_while_idle(measured: Measured, silence: Silence, ping_s: float, rhythm: str) -> Finding:
    check, lasted = "Idle time-out", f"{silence.lasted_s:.1f} s"
    if silence.lasted_s > ping_s + MARGIN_S:
        return Finding(
            check=check, state="ok", seen=f"closed after {lasted} of silence, but {rhythm}"
        )
    seen = f"closed after {lasted} of silence; {rhythm}, which is too late"
    remedy = f"Set an idle timeout of {IDLE_S} s or more."
    return _proxy_finding(
        measured=measured, check=check, state="failed", seen=seen, fault="idle", remedy=remedy
    )


# ---- client and server ---------------------------------------------------------------------------


def _check_clocks(measured: Measured) -> Finding:
    check, skew = "Clocks", measured.skew_s
    if skew is None:
        return Finding(check=check, state="skipped", seen=_why_not_seen(measured))
    if abs(skew) < SKEW_S:
        return Finding(check=check, state="ok", seen=f"{abs(skew):.1f} s apart")
    which = "ahead of" if skew > 0 else "behind"
    seen = f"the server's clock is {abs(skew):,.0f} s {which} this machine's"
    hop: Hop = "browser" if measured.prober == "browser" else "way"
    remedy = "Synchronise the clock that is wrong:"
    return Finding(
        check=check,
        state="warning",
        seen=seen,
        hop=hop,
        remedy=remedy,
        lines={"shell": "timedatectl set-ntp true"},
    )


def _round_trip(measured: Measured) -> Finding:
    check, trips = "Round trip", measured.trips_ms
    if not trips:
        return Finding(check=check, state="skipped", seen=_why_not_seen(measured))
    middle = median(trips)
    by = "" if measured.socket_seen is not None else ", by HTTP"
    seen = f"{min(trips):.1f} ms minimum, {middle:.1f} ms median{by}"
    if middle < SLOW_MS:
        return Finding(check=check, state="ok", seen=seen)
    remedy = "The network is slow, which delays every reply; no setting is wrong."
    return Finding(check=check, state="warning", seen=seen, hop="way", remedy=remedy)


def _check_http_version(measured: Measured) -> Finding:
    check, seen = "HTTP version", measured.seen
    if seen is None:
        return Finding(check=check, state="skipped", seen=_why_not_seen(measured))
    mine = {"h2": "2", "h3": "3", "http/1.1": "1.1", "http/1.0": "1.0"}.get(measured.http, "")
    told = f"HTTP/{seen.http_version} at the server" + (f", {mine} here" if mine else "")
    if seen.http_version == "1.0":
        remedy = "Each request opens a new connection, and none can be upgraded to a WebSocket."
        return _proxy_finding(
            measured=measured,
            check=check,
            state="warning",
            seen=told,
            fault="version",
            remedy=remedy,
        )
    return Finding(check=check, state="ok", seen=told)


# ---- addresses -----------------------------------------------------------------------------------


def _foreign_reply(reply: MeasuredReply) -> str:
    who = f" ({reply.server})" if reply.server else ""
    if not reply.status:
        return f"the connection failed: {reply.message or 'no response'}"
    return f"{reply.status} was not sent by Wireside{who}"


def _authority(url: str) -> str:
    return url.partition("://")[2].partition("/")[0]


def _has_other_host(asked: str, host: str) -> bool:
    wanted = Origin.of_program(asked)
    got = Authority.parse(host)
    if wanted is None or got is None:
        return True
    default = {"http": 80, "https": 443}.get(wanted.scheme)
    return wanted.host != got.host or wanted.port != (got.port or default)


def _is_same_origin(one: str, other: str) -> bool:
    return Origin.of_program(one) == Origin.of_program(other)
