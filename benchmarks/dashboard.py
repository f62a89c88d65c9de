"""Server cost of the dashboard with ten viewers, as a share of a core.

The baseline is a page of one label on bare NiceGUI with as many viewers.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack

from playwright.sync_api import Browser

from benchmarks.browser import chromium
from benchmarks.report import Aim, Figure, Section
from benchmarks.servers import Server, Servers

VIEWERS = 10

SETTLE_S = 10.0
"""Seconds until the pages have loaded everything and the server has finished its start-up work."""


def measure(servers: Servers, *, quick: bool) -> Iterator[Section]:
    """Yield the share of a core used for the viewers, without the server's idle share."""
    seconds = 20.0 if quick else 60.0
    with (
        servers.upstream() as upstream,
        servers.wireside(upstream) as ours,
        servers.bare_nicegui() as bare,
        chromium() as browser,
    ):
        bare.wait_until_live("/")
        found = {
            server: _share(browser, server, path, seconds)
            for server, path in ((ours, "/dashboard"), (bare, "/"))
        }
    figure = Figure(
        f"{VIEWERS} viewers", "% of a core", found[ours] * 100, found[bare] * 100, Aim(1)
    )
    yield Section("The dashboard", "bare page", [figure])


def _share(browser: Browser, server: Server, path: str, seconds: float) -> float:
    alone = _over(server, seconds)
    with ExitStack() as pages:
        for _ in range(VIEWERS):
            context = browser.new_context()
            pages.callback(context.close)
            context.new_page().goto(server.address + path)
        time.sleep(SETTLE_S)
        return max(0.0, _over(server, seconds) - alone)


def _over(server: Server, seconds: float) -> float:
    time.sleep(SETTLE_S)
    began = server.cpu_s()
    time.sleep(seconds)
    return (server.cpu_s() - began) / seconds
