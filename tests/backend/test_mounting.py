"""Chats in applications of a host, without a server."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException
from nicegui import ui
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.testclient import TestClient, WebSocketDenialResponse

from wireside import (
    Branding,
    Chat,
    Delta,
    Finished,
    HostUser,
    ModelInfo,
    ModelRequest,
    Provider,
    Settings,
    Start,
    TextDelta,
    Turn,
    User,
    View,
    mount,
)

HTML = {"Accept": "text/html"}


class Parrot(Provider):
    kind = "parrot"

    async def models(self) -> Sequence[ModelInfo]:
        return [ModelInfo(id="polly", name="Polly")]

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        yield TextDelta(request.messages[-1].text.upper())
        yield Finished("stop")


def current_user(connection: HTTPConnection) -> HostUser | None:
    name = connection.session.get("user")
    return HostUser(id=f"id-{name}", name=name.title()) if name else None


def host(**options: Any) -> FastAPI:
    """Return a host with a sign-in of its own."""
    app = FastAPI(**options)

    @app.get("/sign-in/{name}")
    async def sign_in(request: Request, name: str) -> None:
        request.session["user"] = name

    @app.get("/own")
    async def own(request: Request) -> dict[str, Any]:
        return {"user": request.session.get("user")}

    app.add_middleware(SessionMiddleware, secret_key="secret")
    return app


def settings(folder: Path, **changes: Any) -> Settings:
    return Settings(data_dir=folder, ballast_mb=0, **changes)


def add(app: FastAPI, folder: Path, path: str = "/chat", **options: Any) -> Any:
    own = options.pop("settings", {})
    return mount(
        app,
        path,
        settings=settings(folder, **own),
        provider=Parrot(),
        **{"user": current_user, **options},
    )


@contextmanager
def running(app: FastAPI, **options: Any) -> Iterator[TestClient]:
    given: dict[str, Any] = {"base_url": "http://app.example", "follow_redirects": False}
    with TestClient(app, **given | options) as client:
        yield client


def ask(
    client: TestClient, path: str, text: str, *, conversation: str | None = "new", **options: Any
) -> str:
    with client.websocket_connect(f"ws://app.example{path}/ws/ai-chat", **options) as socket:
        stored = {"conversation": conversation} if conversation else {}
        socket.send_json({"type": "chat", "id": "q", "message": text, **stored})
        answer = ""
        while (frame := socket.receive_json())["type"] != "done":
            answer += frame.get("content", "")
        return answer


def titles(client: TestClient, path: str = "/chat") -> list[str]:
    response = client.get(f"{path}/api/conversations")
    assert response.status_code == 200, response.text
    return [one["title"] for one in response.json()["conversations"]]


def become(client: TestClient, name: str) -> None:
    """Use another browser, whose user the host has signed in; "" for none."""
    client.cookies.clear()
    if name:
        assert client.get(f"/sign-in/{name}").status_code == 200


def test_the_users_of_the_host_have_conversations_of_their_own(tmp_path: Path) -> None:
    app = host()
    add(app, tmp_path)
    with running(app) as client:
        become(client, "ada")
        assert ask(client, "/chat", "hello") == "HELLO"
        assert titles(client) == ["hello"]
        assert client.get("/chat/api/me").json()["name"] == "Ada"
        assert client.get("/own").json() == {"user": "ada"}, "the host's own routes remain"
        become(client, "bob")
        assert titles(client) == []
        assert client.get("/chat/api/me").json()["name"] == "Bob"


def test_whom_the_host_does_not_know_is_refused(tmp_path: Path) -> None:
    app = host()
    add(app, tmp_path)
    with running(app) as client:
        assert client.get("/chat/api/conversations").status_code == 401
        with pytest.raises(WebSocketDenialResponse) as refused:
            ask(client, "/chat", "hello")
        assert refused.value.status_code == 401
        page = client.get("/chat/c/1?turn=2", headers=HTML)
        assert (page.status_code, page.headers["location"]) == (
            303,
            "/chat/login?next=/c/1%3Fturn%3D2",
        )
        sign_in = client.get(page.headers["location"], headers=HTML)
        assert sign_in.status_code == 403
        assert 'href="/chat/c/1?turn=2"' in sign_in.text, "to try again"
        assert "password" not in sign_in.text


@pytest.mark.parametrize("url", ["/enter?to={next}", "https://sso.example/enter?to={next}"])
def test_a_page_leads_to_the_hosts_sign_in(tmp_path: Path, url: str) -> None:
    app = host()
    add(app, tmp_path, login_url=url)
    with running(app, root_path="/tools") as client:
        where = client.get("/chat/c/1?turn=2", headers=HTML).headers["location"]
        start = "/tools" if url.startswith("/") else ""
        assert where == start + url.format(next="%2Ftools%2Fchat%2Fc%2F1%3Fturn%3D2")


def test_a_handler_sees_the_hosts_user(tmp_path: Path) -> None:
    chat = Chat()

    @chat.on_message
    async def answer(turn: Turn) -> AsyncIterator[str]:
        yield f"{turn.user.id} {turn.user.name} {','.join(turn.user.groups)}"

    def find(_: HTTPConnection) -> HostUser:
        return HostUser(id="7", name="Ada", groups=frozenset({"staff", "admins"}))

    app = host()
    mount(app, "/chat", settings=settings(tmp_path), chat=chat, user=find)
    with running(app) as client:
        assert ask(client, "/chat", "who am I?") == "7 Ada admins,staff"
        assert ask(client, "/chat", "and here?", conversation=None) == "7 Ada admins,staff"


def test_a_page_of_the_host_may_embed_the_chat(tmp_path: Path) -> None:
    app = host()
    add(app, tmp_path, settings={"frame_ancestors": ("self", "https://www.example.org")})
    with running(app) as client:
        for path in ("/chat/login", "/chat/"):  # the former says that the user must sign in
            policy = client.get(path, headers=HTML).headers["content-security-policy"]
            assert policy.endswith("frame-ancestors 'self' https://www.example.org"), path
            become(client, "ada")
        no_page = client.get("/chat/nowhere", headers=HTML)
        assert "frame-ancestors 'self'" in no_page.headers["content-security-policy"]
        assert (
            "frame-ancestors 'none'"
            in client.get("/chat/doctor", headers=HTML).headers["content-security-policy"]
        )
        script = client.get("/chat/assets/client/embed.js")
        assert script.headers["content-type"].startswith("text/javascript")


def test_accounts_of_wireside_are_off(tmp_path: Path) -> None:
    app = host()
    add(app, tmp_path)
    with running(app) as client:
        become(client, "ada")
        for path in ("people", "audit", "join", "oidc/login"):
            assert client.get(f"/chat/{path}", headers=HTML).status_code == 404, path
        assert client.get("/chat/settings", headers=HTML).headers["location"] == "/chat/#settings"
        assert client.get("/chat/login").headers["location"] == "/chat/"
        assert client.get("/chat/dashboard", headers=HTML).status_code == 403
        assert "/chat/settings" not in client.get("/chat/", headers=HTML).text


@pytest.mark.parametrize("root_path", ["", "/tools"])
def test_everything_of_a_page_is_below_its_path(tmp_path: Path, root_path: str) -> None:
    app = host()
    add(app, tmp_path)
    with running(app, root_path=root_path) as client:
        become(client, "ada")
        base = f"{root_path}/chat"
        # a proxy may remove the host's root path or pass it on
        for path in ("/chat", f"{base}"):
            leads = client.get(f"{path}?a=1", headers=HTML)
            assert (leads.status_code, leads.headers["location"]) == (307, f"{base}/?a=1")
            page = client.get(f"{path}/", headers=HTML)
            assert page.status_code == 200
        found = set(re.findall(r"""(?:href|src)=["'](/[^"']*)|url\("(/[^"]*)""", page.text))
        addresses = {one or other for one, other in found}
        imports = json.loads(page.text.split('"importmap">')[1].split("</script>")[0])["imports"]
        addresses |= set(imports.values())
        assert len(addresses) > 10
        for address in sorted(addresses):
            assert address.startswith(f"{base}/"), address
            if not address.endswith(("/", "/index.js")):  # folders of modules may have no index
                got = client.get(address.removeprefix(root_path))
                assert got.status_code == 200, address
        assert f'"prefix":"{base}"' in page.text, "of NiceGUI's socket"
        assert client.get("/chat/manifest.webmanifest").json()["scope"] == "./"
        assert f'src=\\"{base}/logo' in client.get("/chat/service-worker.js").text
        assert "set-cookie" not in page.headers, "the session is the host's"


def test_a_host_that_fails_is_no_way_in(tmp_path: Path) -> None:
    errors: list[Exception | Any] = [
        HTTPException(401),
        HTTPException(403),
        HTTPException(500),
        RuntimeError("canary"),
    ]

    async def fails(_: HTTPConnection) -> HostUser:
        raise errors[0]

    app = host()
    add(app, tmp_path, user=fails)
    with running(app) as client:
        for status in (401, 401, 500, 500):
            response = client.get("/chat/api/me")
            assert (response.status_code, "canary" in response.text) == (status, False)
            errors.pop(0)


def test_a_user_may_be_any_object_with_an_id(tmp_path: Path) -> None:
    class Row:
        id, name, groups = 7, "", ["staff"]

    users: list[Any] = [Row(), SimpleNamespace(id="7", role="viewer"), SimpleNamespace(id="")]
    app = host()
    add(app, tmp_path, user=lambda _: users[0], settings={"admin_groups": ("staff",)})
    with running(app) as client:
        me = client.get("/chat/api/me").json()
        assert (me["name"], me["role"]) == ("7", "admin")
        users.pop(0)
        assert client.get("/chat/api/me").json()["role"] == "viewer"
        users.pop(0)
        assert client.get("/chat/api/me").status_code == 500


def test_a_page_of_another_site_does_not_use_the_hosts_cookie(tmp_path: Path) -> None:
    app = host()
    add(app, tmp_path)
    with running(app) as client:
        become(client, "ada")
        for origin, is_fine in (("http://app.example", True), ("http://evil.example", False)):
            headers = {"Origin": origin}
            sent = client.post("/chat/api/tickets", headers=headers)
            assert (sent.status_code < 300) is is_fine
            try:
                assert ask(client, "/chat", "hello", headers=headers) == "HELLO"
            except WebSocketDenialResponse as refused:
                assert (refused.status_code, is_fine) == (403, False)


def test_two_chats_have_their_own_looks_and_data(tmp_path: Path) -> None:
    app = host()
    logo = tmp_path / "logo.png"
    logo.write_bytes(b"png")
    looks = {
        "/help": Branding(name="Help Desk", accent="#0a7d4f", logo=logo),
        "/data": Branding(name="Analyst", accent="#b3261e", starters=("Revenue?",)),
    }
    for path, look in looks.items():
        add(app, tmp_path / path[1:], path, look=look)
    with running(app) as client:
        become(client, "ada")
        pages = {path: client.get(f"{path}/", headers=HTML).text for path in looks}
        for path, look in looks.items():
            (other,) = looks.keys() - {path}
            assert f"<title>{look.name}</title>" in pages[path]
            assert f"--ws-accent:{look.accent}" in pages[path]
            assert looks[other].name not in pages[path]
            assert str(looks[other].accent) not in pages[path]
        assert "Revenue?" in pages["/data"]
        assert "Revenue?" not in pages["/help"]
        assert client.get("/help/logo").content == b"png"
        assert client.get("/help/wireside/favicon.ico").content == b"png"
        assert client.get("/data/logo").headers["content-type"].startswith("image/svg")
        ask(client, "/help", "hello")
        assert titles(client, "/help") == ["hello"]
        assert titles(client, "/data") == []


def test_texts_and_colours_of_a_chat_of_handlers(tmp_path: Path) -> None:
    """The look of the mount comes first; what it lacks is that of the chat."""
    app = host()
    chat = Chat(
        "Desk",
        accent="#0a7d4f",
        welcome="Ask us **anything** <script>",
        footer="Answers are drafts.",
        links={"Imprint": "/imprint"},
        css_variables={"--ws-radius": "2px"},
    )

    @chat.on_message
    def answer(turn: Turn) -> str:
        return turn.text

    @chat.on_start
    def start(user: User) -> Start:
        return Start(starters=[f"Any news, {user.name}?"])

    for path, look in (("/own", None), ("/given", Branding(name="Given", welcome="Hi."))):
        own_settings = settings(tmp_path / path[1:])
        mount(app, path, settings=own_settings, chat=chat, user=current_user, look=look)
    with running(app) as client:
        become(client, "ada")
        own, given = (client.get(f"{path}/", headers=HTML).text for path in ("/own", "/given"))
    for page in (own, given):
        assert "--ws-accent:#0a7d4f" in page
        assert "--ws-radius:2px" in page
        assert "Answers are drafts." in page
        assert "/imprint" in page
        assert "Any news, Ada?" in page
    assert "Ask us <strong>anything</strong>" in own
    assert "anything</strong> <script>" not in own
    assert "Hi." in given
    assert "Ask us" not in given


def test_pages_and_views_are_below_the_path_and_for_signed_in_users(tmp_path: Path) -> None:
    app = host()
    chat = Chat()

    @chat.view
    def totals(count: int) -> None:
        ui.label(f"{count} rows")

    @chat.on_message
    def answer(turn: Turn) -> View:
        return totals(7)

    @chat.page("/reports")
    def reports(user: User) -> None:
        ui.label(f"Reports of {user.name}")

    mount(app, "/own", settings=settings(tmp_path), chat=chat, user=current_user, login_url="/in")
    with running(app) as client:
        assert client.get("/own/reports", headers=HTML, follow_redirects=False).status_code == 303
        become(client, "ada")
        page = client.get("/own/reports", headers={**HTML, "X-Forwarded-Prefix": "/evil"}).text
        assert "Reports of Ada" in page
        assert "/own/_nicegui/" in page
        assert "/evil" not in page
        ask(client, "/own", "hello")
        (found,) = client.get("/own/api/conversations").json()["conversations"]
        address = f"/own/api/conversations/{found['id']}"
        (turn,) = client.get(address).json()["turns"]
        exported = client.get(f"{address}/export", params={"format": "json"}).text
        (part_id,) = re.findall(r'"id": ?"([0-9a-f]{12})"', exported)
        view = f"/own/view/{turn['id']}/{part_id}"
        assert "7 rows" in client.get(view, headers=HTML).text
        become(client, "bob")
        refused = client.get(view, headers=HTML)
        assert refused.status_code == 404
        assert "7 rows" not in refused.text


def test_a_chat_starts_and_ends_within_the_lifespan_of_its_host(tmp_path: Path) -> None:
    steps: list[str] = []

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, str]]:
        steps.append("host starts")
        yield {"state": "of the host"}
        steps.append("host ends")

    app = host(lifespan=lifespan)
    mounted = add(app, tmp_path)

    @app.get("/state")
    async def state(request: Request) -> str:
        return str(request.state.state)

    for _ in range(2):  # a test suite starts its application for each test
        with running(app) as client:
            become(client, "ada")
            assert client.get("/state").json() == "of the host"
            assert ask(client, "/chat", "hello") == "HELLO"
        assert client.get("/chat/api/me").status_code == 503
    with running(app) as client:
        become(client, "ada")
        assert titles(client) == ["hello", "hello"]
    assert steps == ["host starts", "host ends"] * 3
    assert mounted.path == "/chat"


def test_without_users_of_the_host_only_this_machine_is_answered(tmp_path: Path) -> None:
    app = host()
    add(app, tmp_path, user=None)
    for base_url, client, status in (
        ("http://localhost", ("127.0.0.1", 1), 200),
        ("http://localhost", ("192.0.2.1", 1), 403),
        ("http://app.example", ("127.0.0.1", 1), 400),
    ):
        with running(app, base_url=base_url, client=client) as browser:
            assert browser.get("/chat/api/models").status_code == status


def test_the_sessions_of_own_accounts_are_for_the_path_only(tmp_path: Path) -> None:
    app = host()
    mounted = add(
        app,
        tmp_path,
        user=None,
        settings={"auth": "password", "public_url": "https://app.example/chat"},
    )
    with running(app, base_url="https://app.example") as client:
        form = {
            "link": mounted.application.first_link,
            "name": "ada",
            "password": "a long password",
        }
        joined = client.post("/chat/join", data=form)
        assert (joined.status_code, joined.headers["location"]) == (303, "/chat/")
        cookie = joined.headers["set-cookie"]
        assert cookie.startswith("__Secure-wireside_session=")
        assert "Path=/chat;" in cookie
        assert client.get("/chat/api/me").json()["name"] == "ada"


def test_what_can_not_be_mounted_is_said_at_once(tmp_path: Path) -> None:
    app = host()
    add(app, tmp_path, "/chat")
    for path, folder, reason in (
        ("/chat/", tmp_path / "other", "already"),
        ("/other", tmp_path, "same database"),
        ("/", tmp_path / "other", "below a path"),
        ("chat", tmp_path / "other", "is no path"),
        ("/{tenant}", tmp_path / "other", "is no path"),
    ):
        with pytest.raises(ValueError, match=reason):
            add(app, folder, path)


def test_a_longer_path_is_not_hidden_by_a_shorter_one(tmp_path: Path) -> None:
    app = host()
    app.mount("/", FastAPI())  # as a host's NiceGUI pages are
    for number, path in enumerate(("/chat", "/chat/admin", "/chats")):
        add(app, tmp_path / str(number), path, look=Branding(name=f"No. {number}"))
    with running(app) as client:
        become(client, "ada")
        for number, path in enumerate(("/chat", "/chat/admin", "/chats")):
            assert f"<title>No. {number}<" in client.get(f"{path}/", headers=HTML).text


def test_state_of_the_host_is_neither_read_nor_changed(tmp_path: Path) -> None:
    app = host()
    seen: list[Any] = []

    @app.middleware("http")
    async def with_state(request: Request, call_next: Any) -> Any:
        request.state.caller = request.state.chat = "the host's"
        response = await call_next(request)
        seen.append((request.state.caller, request.state.chat, request.url.path))
        return response

    add(app, tmp_path)
    with running(app) as client:
        assert client.get("/chat/api/me").status_code == 401
        assert client.get("/chat/login").status_code == 403
    assert seen == [
        ("the host's", "the host's", "/chat/api/me"),
        ("the host's", "the host's", "/chat/login"),
    ]
