"""The connection doctor behind real proxies.

The documented configurations have no findings; for each faulty one, the doctor names the hop and
the configuration line that fixes the fault.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from wireside.diagnosis.judge import Finding, run_checks
from wireside.doctor.probe import probe

IDLE_S = 2.5


def without(*lines: str) -> Callable[[str], str]:
    """Remove whole lines."""

    def edit(text: str) -> str:
        for line in lines:
            assert line in text
            text = "".join(one for one in text.splitlines(True) if line not in one)
        return text

    return edit


def with_(old: str, new: str) -> Callable[[str], str]:
    def edit(text: str) -> str:
        assert old in text
        return text.replace(old, new)

    return edit


def in_caddy(more: str) -> Callable[[str], str]:
    return with_("reverse_proxy 127.0.0.1:8080", f"reverse_proxy 127.0.0.1:8080 {{\n{more}\n}}")


def in_traefik(middleware: str) -> Callable[[str], str]:
    used = with_("      tls: {}\n", "      tls: {}\n      middlewares: [wrong]\n")
    there = with_("  services:\n", f"  middlewares:\n    wrong: {{ {middleware} }}\n  services:\n")
    return lambda text: there(used(text))


WRONG = [
    # kind, the fault, the edit that causes it, the check that finds it, a part of the fixing line
    (
        "nginx",
        "no upgrade",
        without("_header Upgrade", "_header Connection"),
        "Upgrade",
        "Upgrade $",
    ),
    ("nginx", "another Host", without("_header Host"), "Host and Origin", "Host $http_host;"),
    ("nginx", "buffers", without("proxy_buffering off;"), "Buffering", "proxy_buffering off;"),
    (
        "nginx",
        "impatient",
        with_("read_timeout 75s", "read_timeout 1s"),
        "Idle time-out",
        "proxy_read_timeout 75s;",
    ),
    (
        "nginx",
        "compresses",
        with_("proxy_buffering off;", "proxy_buffering off; gzip on; gzip_types *;"),
        "Compression",
        "gzip off;",
    ),
    ("nginx", "nobody's address", without("X-Forwarded"), "Address", "X-Forwarded-For $proxy"),
    ("nginx", "small bodies", without("client_max"), "Large requests", "client_max_body_size"),
    (
        "HAProxy",
        "no upgrade",
        with_("default_backend", "http-request del-header upgrade\n    default_backend"),
        "Upgrade",
        "del-header upgrade",
    ),
    (
        "HAProxy",
        "another Host",
        with_("default_backend", "http-request set-header host chat.internal\n    default_backend"),
        "WebSocket",
        "http-request set-header host",
    ),
    (
        "HAProxy",
        "impatient",
        with_("timeout tunnel 1h", "timeout tunnel 1s"),
        "Idle time-out",
        "timeout tunnel 1h",
    ),
    (
        "HAProxy",
        "compresses",
        with_(
            "default_backend",
            "compression algo gzip\n    compression type text/event-stream\n    default_backend",
        ),
        "Compression",
        "compression",
    ),
    ("HAProxy", "nobody's address", without("forwardfor"), "Address", "option forwardfor"),
    ("Caddy", "no upgrade", in_caddy("header_up -Upgrade"), "Upgrade", "header_up -Upgrade"),
    (
        "Caddy",
        "another Host",
        in_caddy("header_up Host {upstream_hostport}"),
        "Host and Origin",
        "header_up Host",
    ),
    ("Caddy", "buffers", in_caddy("buffer_responses"), "Buffering", "buffer_responses"),
    (
        "Caddy",
        "impatient",
        in_caddy("transport http {\nread_timeout 1s\n}"),
        "Idle time-out",
        "read_timeout",
    ),
    (
        "Caddy",
        "compresses",
        with_("reverse_proxy", "encode {\ngzip\nminimum_length 1\n}\nreverse_proxy"),
        "Compression",
        "encode @files gzip",
    ),
    (
        "Traefik",
        "no upgrade",
        in_traefik("headers: { customRequestHeaders: { Upgrade: '' } }"),
        "Upgrade",
        "no middleware `headers`",
    ),
    (
        "Traefik",
        "another Host",
        with_("passHostHeader: true", "passHostHeader: false"),
        "Host and Origin",
        "passHostHeader: true",
    ),
    (
        "Traefik",
        "nobody's address",
        in_traefik(
            "headers: { customRequestHeaders: { X-Forwarded-For: '', X-Forwarded-Proto: '' } }"
        ),
        "Address",
        "no middleware `headers`",
    ),
    (
        "Traefik",
        "buffers",
        in_traefik("buffering: { maxResponseBodyBytes: 1000000 }"),
        "Buffering",
        "no middleware `buffering`",
    ),
    (
        "Traefik",
        "compresses",
        in_traefik("compress: { minResponseBodyBytes: 1 }"),
        "Compression",
        "excludedContentTypes: [text/event-stream]",
    ),
    (
        "Traefik",
        "small bodies",
        in_traefik("buffering: { maxRequestBodyBytes: 1000000 }"),
        "Large requests",
        "no middleware `buffering`",
    ),
]


ALSO = {
    "Upgrade": {"WebSocket"},
    "Host and Origin": {"WebSocket"},
    "WebSocket": {"Host and Origin"},
    "Buffering": {"WebSocket", "Upgrade"},  # Caddy's buffering delays the 101, too
    "Compression": {"Buffering"},
    "Large requests": {"Buffering"},  # Traefik's body limit buffers responses, too
}
"""Other checks that may fail for the same fault; no further check may fail."""


def examine(url: str) -> dict[str, Finding]:
    findings = run_checks(asyncio.run(probe(url, idle_s=IDLE_S)))
    return {finding.check: finding for finding in findings}


def faults_in(findings: dict[str, Finding]) -> dict[str, Finding]:
    return {name: one for name, one in findings.items() if one.state in ("failed", "warning")}


@pytest.mark.parametrize("kind", ["nginx", "HAProxy", "Caddy", "Traefik"])
def test_the_documented_configuration_is_well(kind: str, started: Any, behind: Any) -> None:
    proxy = started(kind, lambda text: text)
    done = subprocess.run(
        [sys.executable, "-m", "wireside", "doctor", proxy.url, "--json", "--idle", str(IDLE_S)],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    findings = {one["check"]: one for one in json.loads(done.stdout)}
    assert {one["check"]: one for one in findings.values() if one["state"] != "ok"} == {}
    assert done.returncode == 0
    assert "pieces over" in findings["Streaming"]["seen"]
    assert "127.0.0.1 by https" in findings["Address"]["seen"]
    assert "2 here" in findings["HTTP version"]["seen"]


@pytest.mark.parametrize(
    ("kind", "fault", "edit", "check", "line"), WRONG, ids=[f"{w[0]}: {w[1]}" for w in WRONG]
)
def test_what_is_wrong_is_found_with_its_line(
    kind: str, fault: str, edit: Callable[[str], str], check: str, line: str, started: Any
) -> None:
    url = started(kind, edit).url
    findings = examine(url)
    found = findings[check]
    assert found.state in ("failed", "warning"), findings
    assert found.hop == "proxy"
    assert line in found.lines[kind]
    wrong = faults_in(findings)
    expected = {check} | ALSO.get(check, set())
    while more := wrong.keys() - expected:
        # on a busy machine, a prober that gets no time finds pieces that arrive together
        again = faults_in(examine(url))
        assert not more & again.keys(), (fault, again)
        wrong = again
    assert {one.hop for one in wrong.values()} == {"proxy"}
    # these need a server that answers, but no WebSocket: it refuses an unknown Host
    is_answered = check != "WebSocket"
    for name in ("Clocks", "Round trip"):
        assert findings[name].state == ("ok" if is_answered else "skipped")
