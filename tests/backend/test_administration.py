"""Administrators' pages of a real server: providers, models, banners and usage."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import httpx2
import pytest
from websockets.asyncio.client import connect

from tests.server_process import ServerProcess, failures_in
from wireside.testing import FakeOpenAI, answer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

KEY = "sk-very-secret-key"

HOSTILE = "<script>alert(1)</script>\u202e{{x}}${x}"

PROVIDERS, MODELS, BANNERS = "/admin/providers", "/admin/models", "/admin/banners"


class Admin:
    """A browser of the administrator: without accounts, each caller on this machine is one."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.http = self._connect()

    def _connect(self) -> httpx2.Client:
        headers = {"Origin": self.server.url, "Accept-Language": "en"}
        return httpx2.Client(base_url=self.server.url, headers=headers, timeout=30)

    def restart_server(self) -> None:
        self.http.close()
        self.server.stop()
        self.server.start()
        self.http = self._connect()

    def post(self, page: str, **form: object) -> httpx2.Response:
        return self.http.post(page, data=form)

    def do(self, page: str, **form: object) -> str:
        """Send a form that must succeed; return the text of the page after it."""
        response = self.post(page, **form)
        assert response.status_code == 303, response.text
        return self.text(page)

    def text(self, page: str) -> str:
        response = self.http.get(page)
        assert response.status_code == 200, response.text
        return unescape(response.text)

    def models(self) -> list[str]:
        return [one["id"] for one in self.http.get("/api/models").json()["models"]]


@pytest.fixture
def lab() -> Iterator[FakeOpenAI]:
    with FakeOpenAI(models=["a"]) as lab:
        yield lab


@pytest.fixture
def server(tmp_path: Path, lab: FakeOpenAI) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path, lab.url) as server:
        yield server
        assert failures_in(server.log) == []
        assert KEY not in server.log


@pytest.fixture
def admin(server: ServerProcess) -> Iterator[Admin]:
    admin = Admin(server)
    yield admin
    admin.http.close()


def test_a_provider_is_added_tested_changed_disabled_and_removed(
    admin: Admin, tmp_path: Path
) -> None:
    with FakeOpenAI(models=["a", "b"], keys=[KEY]) as other:
        new = {"name": "other", "base_url": other.url, "api_key": KEY, "prices": "b 1 2 0.5 €"}
        page = admin.do(PROVIDERS, do="add", **new)
        assert KEY not in page
        assert "Set on" in page
        assert set(admin.models()) >= {"a"}
        page = admin.do(PROVIDERS, do="test", name="other")
        assert "other answers and lists its models (2): a, b" in page
        assert sorted(admin.models()) == ["a", "b", "other/a"]
        assert KEY.encode() not in b"".join(one.read_bytes() for one in tmp_path.glob("*.db*"))
        page = admin.do(PROVIDERS, do="change", name="other", base_url=other.url, exclude="a")
        assert sorted(admin.models()) == ["a", "b"]
        refused = admin.post(PROVIDERS, do="change", name="other", base_url="http://evil.example")
        assert refused.status_code == 400
        assert "enter it again for another address" in refused.text
        admin.do(PROVIDERS, do="disable", name="other")
        assert admin.models() == ["a"]
        admin.restart_server()
        admin.do(PROVIDERS, do="enable", name="other")
        assert "other answers and lists its models (1): b" in admin.do(
            PROVIDERS, do="test", name="other"
        )
        (tmp_path / "cookie.key").write_text("another key of this server, long enough")
        admin.restart_server()
        assert "The key can't be decrypted" in admin.text(PROVIDERS)
        assert admin.models() == ["a"]
        admin.do(PROVIDERS, do="change", name="other", base_url=other.url, api_key=KEY)
        assert "other answers" in admin.do(PROVIDERS, do="test", name="other")
        page = admin.do(PROVIDERS, do="remove", name="other")
        assert other.url not in page


def test_wrong_forms_are_refused_with_their_key(admin: Admin) -> None:
    for form, sentence in (
        ({"do": "add", "name": "main", "api_key": "x"}, "name: `main` is the provider"),
        ({"do": "add", "name": HOSTILE, "api_key": "x"}, "name: "),
        ({"do": "add", "name": "x", "base_url": "y"}, "base_url: it is no address"),
        ({"do": "add", "name": "x", "api_key": "k", "prices": "a"}, "write PATTERN INPUT OUTPUT"),
        ({"do": "add", "name": "x", "api_key": "k", "aliases": "a"}, "write fast = model"),
        ({"do": "add", "name": "x", "api_key": "k", "role": "boss"}, "roles: a list of"),
        ({"do": "change", "name": "main"}, "There is no such provider"),
        ({"do": "remove", "name": "none"}, "There is no such provider"),
        ({"do": "nothing"}, "There is no such action"),
    ):
        response = admin.post(PROVIDERS, **form)
        assert response.status_code in (400, 404), form
        assert sentence in unescape(response.text), form
        assert "<script>alert" not in response.text
    foreign = httpx2.post(
        f"{admin.server.url}{PROVIDERS}",
        data={"do": "remove", "name": "x"},
        headers={"Origin": "https://evil.example"},
    )
    assert foreign.status_code == 403


def test_a_failed_test_says_why(admin: Admin) -> None:
    admin.do(PROVIDERS, do="add", name="down", base_url="http://127.0.0.1:9/v1")
    response = admin.post(PROVIDERS, do="test", name="down")
    assert response.status_code == 400
    assert "can't be reached" in unescape(response.text)
    assert "Last failure" in admin.text(PROVIDERS)
    assert admin.models() == ["a"]


def test_a_model_is_hidden_from_all_and_offered_again(admin: Admin) -> None:
    with FakeOpenAI(models=["b"]) as other:
        admin.do(PROVIDERS, do="add", name="other", base_url=other.url)
        admin.do(PROVIDERS, do="test", name="other")
        assert admin.models() == ["a", "b"]
        page = admin.do(MODELS, do="hide", model="a")
        assert "hidden from users" in page
        assert admin.models() == ["b"]
        body = {"model": "a", "messages": [{"role": "user", "content": "Hi"}]}
        assert admin.http.post("/v1/chat/completions", json=body).status_code == 404
        admin.do(MODELS, do="offer", model="a")
        assert admin.models() == ["a", "b"]


def test_a_price_of_the_page_counts_for_later_answers(admin: Admin, lab: FakeOpenAI) -> None:
    lab.answer_with(answer(["x"]), answer(["x", "y"]))

    def ask() -> None:
        body = {"model": "a", "messages": [{"role": "user", "content": "Hi"}]}
        assert admin.http.post("/v1/chat/completions", json=body).status_code == 200

    ask()
    page = admin.do(MODELS, do="price", model="a", input="0", output="1000000", currency="€")
    assert 'value="1000000"' in page
    ask()
    admin.restart_server()  # what was counted is stored
    rows = admin.http.get("/api/usage").json()["usage"]
    assert [(row["answers"], row["cost"], row["currency"]) for row in rows] == [
        (1, None, None),
        (1, 2.0, "€"),
    ]
    assert sum(row["output_tokens"] for row in rows) == 3
    assert "€2.00" in admin.text("/admin/usage?by=model")
    table = admin.http.get("/api/usage.csv").text.lstrip("\ufeff").splitlines()
    assert table[0] == "day,user,name,model,answers,input_tokens,output_tokens,cost,currency"
    assert len(table) == 3
    assert admin.http.get("/api/usage?from=2020-01-01&to=2020-01-05").json() == {"usage": []}
    assert admin.http.get("/api/usage?from=2020-01-01").json()["usage"] == rows
    for wrong in ("from=0", "to=1234483200", "to=2026-02-30"):
        assert admin.http.get(f"/api/usage?{wrong}").status_code == 422
    assert "is no day" in unescape(admin.http.get("/admin/usage?from=x").text)
    admin.do(MODELS, do="price", model="a", input="", output="", currency="€")
    assert admin.post(MODELS, do="price", model="a", input="x").status_code == 400


def test_banners_are_kept_with_hostile_text_as_text(admin: Admin) -> None:
    admin.do(BANNERS, do="put", text=HOSTILE, severity="warning", is_dismissible="1")
    shown = admin.http.get(BANNERS).text
    assert "<script>alert" not in shown
    assert "\u202e" not in shown
    page = unescape(shown)
    assert "shown now" in page
    banner_id = re.findall(r'name="id" value="([^"]+)"', page)[0]
    later = {"begins_at": "2999-01-01T00:00", "text": "Later", "severity": "info"}
    page = admin.do(BANNERS, do="put", id=banner_id, **later)
    assert "shown now" not in page
    assert "2999-01-01T00:00" in page
    for form, sentence in (
        ({"text": "", "severity": "info"}, "1 to 1,000 characters"),
        ({"text": "x", "severity": "loud"}, "severity: info, warning, error"),
        ({"text": "x", "severity": "info", "begins_at": "soon"}, "is no time"),
        ({**later, "ends_at": "2998-01-01T00:00"}, "ends before it begins"),
        ({"text": "x", "severity": "info", "id": "none"}, "There is no such banner"),
    ):
        response = admin.post(BANNERS, do="put", **form)
        assert response.status_code in (400, 404)
        assert sentence in unescape(response.text)
    assert "Later" not in admin.do(BANNERS, do="remove", id=banner_id)


def test_the_default_preset_of_all_begins_new_chats(admin: Admin) -> None:
    own = admin.http.post("/api/presets", json={"name": "own"}).json()["id"]
    shared = admin.http.post("/api/presets", json={"name": "all", "shared": True}).json()["id"]
    assert admin.post(MODELS, do="preset", preset=own).status_code == 404
    assert f'value="{shared}" selected' in admin.do(MODELS, do="preset", preset=shared)
    assert admin.http.get("/api/presets").json()["default"] == shared
    admin.http.put("/api/presets/default", json={"preset": own})
    assert admin.http.get("/api/presets").json()["default"] == own
    admin.http.delete(f"/api/presets/{shared}")
    admin.http.put("/api/presets/default", json={"preset": None})
    assert admin.http.get("/api/presets").json()["default"] is None


async def test_an_answer_in_a_conversation_is_counted(admin: Admin, lab: FakeOpenAI) -> None:
    lab.answer_with(answer(["x", "y", "z"]))
    async with connect(admin.server.socket_url) as client:
        await client.send('{"type": "chat", "id": "q", "conversation": "new", "message": "Hi"}')
        while json.loads(await client.recv())["type"] != "done":
            pass
    async with asyncio.timeout(30):
        while not (rows := admin.http.get("/api/usage").json()["usage"]):
            await asyncio.sleep(0.2)
    assert [(row["model"], row["answers"], row["output_tokens"]) for row in rows] == [("a", 1, 3)]
