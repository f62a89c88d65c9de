"""The server below a path of a real proxy, and everything that a browser requests there."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest
import socketio
from websockets.asyncio.client import connect

from tests.proxies.kinds import found, free_port
from tests.server_process import ServerProcess
from wireside.testing import FakeOpenAI

CONFIG = """
daemon off;
master_process off;
pid {folder}/pid;
error_log stderr;
events {{}}
http {{
  access_log off;
  {temporary}
  map $http_upgrade $connection_upgrade {{ default upgrade; "" ""; }}
  server {{
    listen 127.0.0.1:{port};
    location /tools/chat/ {{
      proxy_pass http://127.0.0.1:{behind}{end};
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      {more}
    }}
  }}
}}
"""

HTML = {"Accept": "text/html", "Accept-Encoding": "gzip"}

PASSED_ON = ("", "")
REMOVED = ("/", "")
NAMED = ("/", "proxy_set_header X-Forwarded-Prefix /tools/chat;")
"""What the proxy does with the path: the end of its address of the server, and a header."""


@pytest.fixture(scope="module")
def lab() -> Iterator[FakeOpenAI]:
    with FakeOpenAI(count=5, rate=100) as running:
        yield running


@pytest.fixture
def below_path(tmp_path: Path, lab: FakeOpenAI) -> Iterator[Callable[..., str]]:
    """Call with what the proxy does and the settings; returns the address below the proxy."""
    with ExitStack() as stack:

        def start(does: tuple[str, str], **settings: Any) -> str:
            program, port = found("nginx"), free_port()
            server = stack.enter_context(ServerProcess(tmp_path / "data", lab.url, **settings))
            temporary = "".join(
                f"{what}_temp_path {tmp_path}/{what};"
                for what in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
            )
            end, more = does
            config = tmp_path / "config"
            config.write_text(
                CONFIG.format(
                    folder=tmp_path,
                    temporary=temporary,
                    port=port,
                    behind=server.url.split("/tools")[0].rpartition(":")[2],
                    end=end,
                    more=more,
                )
            )
            with (tmp_path / "log").open("wb") as log:
                process = subprocess.Popen(
                    [program, "-p", str(tmp_path), "-c", str(config)], stderr=log
                )
            stack.callback(process.wait)
            stack.callback(process.kill)
            url = f"http://127.0.0.1:{port}"
            while not _answers(url):
                assert process.poll() is None, (tmp_path / "log").read_text()
                time.sleep(0.02)
            return f"{url}/tools/chat"

        yield start


def _answers(url: str) -> bool:
    try:
        return httpx2.get(url).status_code == 404
    except httpx2.HTTPError:
        return False


@pytest.mark.parametrize(
    ("does", "settings"),
    [
        (PASSED_ON, {"root_path": "/tools/chat"}),
        (REMOVED, {"root_path": "/tools/chat"}),
        (NAMED, {}),
        (NAMED, {"root_path": "/tools/chat"}),
    ],
)
async def test_page_sockets_and_files_are_below_the_path(
    below_path: Callable[..., str], does: tuple[str, str], settings: dict[str, Any]
) -> None:
    url = await asyncio.to_thread(below_path, does, **settings)
    base = "/tools/chat"
    async with httpx2.AsyncClient(headers=HTML, timeout=30) as http:
        page = await http.get(f"{url}/")
        assert page.status_code == 200
        addresses = set(re.findall(r"""(?:href|src)=["'](/[^"']*)""", page.text))
        imports = json.loads(page.text.split('"importmap">')[1].split("</script>")[0])
        addresses |= {one for one in imports["imports"].values() if one.endswith(".js")}
        sheet = next(one for one in addresses if ".css" in one)
        css = (await http.get(_origin(url) + sheet)).text
        fonts = re.findall(r"""url\(["']?([^:)"']+\.woff2)""", css)
        assert fonts
        addresses |= {str(httpx2.URL(_origin(url) + sheet).join(one).path) for one in fonts}
        assert len(addresses) > 10
        for address in sorted(addresses):
            assert address.startswith(f"{base}/"), address
            response = await http.get(_origin(url) + address)
            assert response.status_code == 200, address
            if "/_nicegui/" in address:
                assert "immutable" in response.headers["cache-control"], address
        slash = await http.get(f"{url}/doctor/")
        assert (slash.status_code, slash.headers["location"]) == (307, f"{base}/doctor")
    client_id = re.search(r"client_id[\"']?\s*:\s*[\"']([0-9a-f-]{36})", page.text)
    assert client_id is not None
    socket = socketio.AsyncClient(reconnection=False)
    await socket.connect(
        _origin(url),
        headers={"Origin": _origin(url)},
        socketio_path=f"{base}/_nicegui_ws/socket.io",
        transports=["websocket"],
    )
    said = {"client_id": client_id[1], "tab_id": "t", "document_id": "d", "next_message_id": 0}
    assert await socket.call("handshake", said) is True
    await socket.disconnect()
    async with connect(url.replace("http", "ws") + "/ws/ai-chat") as client:
        await client.send(json.dumps({"type": "chat", "id": "q", "message": "hello"}))
        frames: list[dict[str, Any]] = []
        while not frames or frames[-1]["type"] not in ("done", "error"):
            frames.append(json.loads(await client.recv()))
    assert frames[-1]["type"] == "done"


def _origin(url: str) -> str:
    return url.removesuffix("/tools/chat")


async def test_a_sign_in_below_the_path(below_path: Callable[..., str], tmp_path: Path) -> None:
    url = await asyncio.to_thread(below_path, REMOVED, root_path="/tools/chat", auth="password")
    (link_file,) = (tmp_path / "data").glob("*link*")
    before, _, link = link_file.read_text().strip().partition("?link=")
    assert before.endswith("/tools/chat/join")
    async with httpx2.AsyncClient(headers=HTML, timeout=30) as http:
        asked = await http.get(f"{url}/c/1?turn=2")
        assert asked.headers["location"] == "/tools/chat/login?next=/c/1%3Fturn%3D2"
        assert 'action="/tools/chat/login"' in (await http.get(f"{url}/login")).text
        form = {"link": link, "name": "ada", "password": "a long password"}
        joined = await http.post(f"{url}/join", data=form)
        assert (joined.status_code, joined.headers["location"]) == (303, "/tools/chat/")
        assert "Path=/tools/chat;" in joined.headers["set-cookie"]
        assert (await http.get(f"{url}/api/me")).json()["name"] == "ada"
        assert (await http.get(f"{url}/settings")).status_code == 200
