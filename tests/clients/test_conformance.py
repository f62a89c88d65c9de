"""``wireside.js`` passes all scenarios of the conformance kit for clients."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.backend.conformance.playing import faults, playing
from tests.clients import runtimes
from tests.clients.conftest import runner
from wireside.conformance.scenarios import judge
from wireside.conformance.scenarios.catalogue import SCENARIOS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def test_the_javascript_client_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge, "SLACK_S", 10.0)  # the machine may be slow
    try:
        runtimes.command("node22")
    except runtimes.Missing as error:
        pytest.skip(str(error))
    with playing(SCENARIOS) as servers:
        runner("node22", tmp_path)(
            """
            const dice = Math.random;
            Math.random = () => 0.4 * dice(); // shorter waits are permitted by full jitter
            const ask = async ([name, url]) => {
              const chat = open(url, { pingMs: 700, timeoutMs: 4000 });
              const text = await chat.ask(`/scenario ${name}`).text.catch(() => null);
              if (text !== null && name !== "halved-pair")
                await chat.ask(`/check ${name}\\n${text}`).text;
              await sleep(600);
              chat.close();
            };
            await Promise.all(Object.entries(given.urls).map(ask));
            const result = null;
            """,
            urls=servers.urls,
        )
        results = servers.wait()
    assert faults(results) == {}
    assert {name for name in results if "/" not in name} == {one.name for one in SCENARIOS}
