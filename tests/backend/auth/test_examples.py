"""The examples of docs/accounts.md, verbatim, against a real server."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.server_process import ServerProcess
from wireside.testing import FakeOpenAI
from wireside_ui import client_package

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "accounts.md").read_text(encoding="utf-8")


def blocks(language: str, word: str) -> list[str]:
    """Return the page's code blocks of a language that contain ``word``."""
    found = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return [block for block in found if word in block]


async def run(environment: dict[str, str], *words: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *words,
        env=environment,
        cwd=environment["WIRESIDE_DATA_DIR"],
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


@pytest.fixture
async def environment(tmp_path: Path) -> AsyncIterator[dict[str, str]]:
    """A server with an account; ``URL`` is its address, ``KEY`` a key made on the command line."""
    origins = "https://app.example.org"
    with FakeOpenAI() as lab:
        server = ServerProcess(tmp_path, lab.url, auth="proxy", allowed_origins=origins)
        async with server:
            environment = {**server.environment, "URL": server.url}
            await run(environment, "curl", "-fsS", "-H", "X-Forwarded-User: ada", server.url)
            made = await asyncio.to_thread(server.run, "keys", "create", "--user", "ada")
            yield {**environment, "KEY": made.strip()}


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
async def test_the_curl_examples_work(environment: dict[str, str]) -> None:
    (keys,) = blocks("sh", '"$URL/api/me"')
    answers = await run(environment, "sh", "-ec", keys.replace("\ncurl", "\necho; curl"))
    me, conversations = answers.splitlines()
    assert json.loads(me)["name"] == "ada"
    assert json.loads(conversations)["conversations"] == []
    (tickets,) = blocks("sh", "/api/tickets")
    ticket = json.loads(await run(environment, "sh", "-ec", tickets))
    assert ticket["expires_in"] == 30


@pytest.mark.skipif(
    not shutil.which("curl") or not shutil.which("node"), reason="there is no curl or no Node here"
)
async def test_the_javascript_example_works(environment: dict[str, str], tmp_path: Path) -> None:
    (example,) = blocks("js", "ticket")
    (tmp_path / "wireside.mjs").write_text(client_package.module(), "utf-8")
    (tmp_path / "package.json").write_text('{"type": "commonjs"}')  # as `npm init` writes it
    (tmp_path / "example.mjs").write_text(example)
    has_sockets = "typeof WebSocket !== 'undefined'"
    is_new = "true" in await run(environment, "node", "-p", has_sockets)
    flags = [] if is_new else ["--experimental-websocket"]  # Node 20 and 21
    said = await run(environment, "node", *flags, "example.mjs")
    assert said.strip()
    assert "error" not in said.lower()
