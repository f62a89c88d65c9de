"""Sign-in by OpenID Connect: a real provider (canaille), a real server, an httpx2 browser."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit, urlunsplit

import httpx2
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.backend.auth.openid_provider import PASSWORD, Form, OpenIdProvider
from tests.server_process import ServerProcess
from wireside.testing import FakeOpenAI

# one worker: the tests share a provider and servers
pytestmark = [pytest.mark.slow, pytest.mark.timeout(120), pytest.mark.xdist_group("oidc")]

CLIENT, SECRET = "wireside", "the secret of the client"
PENDING = "wireside_oidc"
SESSION = "wireside_session"


class Chat(ServerProcess):
    """A server whose users sign in at ``provider``.

    Its host is localhost and the provider's is 127.0.0.1, because cookies ignore ports, and the two
    use cookies of the same name.
    """

    def __init__(self, provider: OpenIdProvider, folder: Path, lab: str, **settings: str) -> None:
        at_provider: dict[str, Any] = {
            "log_level": "debug",
            "requests_per_minute_address": 1_000_000,
            "auth": "oidc",
            "oidc_issuer": provider.issuer,
            "oidc_client_id": CLIENT,
            "oidc_client_secret": SECRET,
            "oidc_name": "Canaille",
        }
        super().__init__(folder, lab, **(at_provider | settings))

    def start(self) -> Self:
        super().start()
        self.url = f"http://localhost:{self.port}"
        return self

    def await_line(self, *words: str) -> None:
        """Return when the log has a line with all of the words."""
        until = time.monotonic() + 30
        while not any(all(word in line for word in words) for line in self.log.splitlines()):
            assert time.monotonic() < until, f"no line says {words}"
            time.sleep(0.05)


class Visitor:
    """A user with a browser."""

    def __init__(self, chat: Chat) -> None:
        self.chat = chat
        self.http = httpx2.Client(headers={"Origin": chat.url}, timeout=30)

    def get(self, path: str, **headers: str) -> httpx2.Response:
        return self.http.get(self.chat.url + path, headers=headers)

    @property
    def session(self) -> str:
        """The value of the session cookie; "" without one."""
        return next((one.value or "" for one in self.http.cookies.jar if one.name == SESSION), "")

    def me(self) -> dict[str, Any] | None:
        """Return the current user as the server reports it, None if not signed in."""
        response = self.get("/api/me")
        assert response.status_code in (200, 401)
        me: dict[str, Any] = response.json()
        return me if response.status_code == 200 else None

    def go_to_provider(self, wanted: str = "/") -> str:
        """Press the sign-in button; return the address it redirects to."""
        response = self.get("/oidc/login?" + urlencode({"next": wanted}))
        assert response.status_code == 302, response.text
        return response.headers["location"]

    def allow(self, address: str, name: str, answer: str = "accept") -> str:
        """Sign in at the provider and answer its consent form; return where it redirects to."""
        response = self.http.get(address)
        for _ in range(12):
            if response.is_redirect:
                address = str(response.url.join(response.headers["location"]))
                if address.startswith(self.chat.url):
                    return address
                response = self.http.get(address)
                continue
            form = Form(response.text)
            assert form.fields, response.text
            values = form.fields | {"answer": answer}
            if "login" in values:
                values["login"] = name
            if "password" in values:
                values["password"] = PASSWORD
            response = self.http.post(response.url.join(form.action), data=values)
        raise AssertionError("the provider never sends back")

    def come_back(self, address: str) -> httpx2.Response:
        """Follow the provider's redirect to the callback."""
        return self.http.get(address)

    def sign_in(self, name: str, wanted: str = "/") -> httpx2.Response:
        return self.come_back(self.allow(self.go_to_provider(wanted), name))

    def close(self) -> None:
        self.http.close()


@pytest.fixture(scope="module")
def provider() -> Iterator[OpenIdProvider]:
    running = OpenIdProvider()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def lab() -> Iterator[str]:
    with FakeOpenAI() as running:
        yield running.url


Start = Callable[..., Chat]


@pytest.fixture(scope="module")
def start(
    provider: OpenIdProvider, lab: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Start]:
    """Starts servers; checks at their end that no log has a secret or a stack trace."""
    running: list[Chat] = []
    with ExitStack() as stack:

        def begin(at: OpenIdProvider = provider, **settings: str) -> Chat:
            chat = Chat(at, tmp_path_factory.mktemp("chat"), lab, **settings)
            running.append(stack.enter_context(chat))
            return chat

        yield begin
    log = "".join(chat.log for chat in running)
    secrets = [SECRET, *provider.given_out()]
    assert len(secrets) > 1
    assert not [
        said for said in ("Traceback", "\n    | ", "word for word", "alert(1)") if said in log
    ]
    assert not [secret for secret in secrets if secret in log]


@pytest.fixture(scope="module")
def chat(provider: OpenIdProvider, start: Start) -> Chat:
    """A server that takes roles from the provider's groups."""
    chat = start(admin_groups="admins", user_groups="staff, Büro")
    provider.client(CLIENT, SECRET, f"{chat.url}/oidc/callback")
    provider.user("ada", "admins", "staff")
    provider.user("bob", "staff")
    provider.user("eve", "guests")
    return chat


@pytest.fixture(autouse=True)
def good_tokens(provider: OpenIdProvider) -> Iterator[None]:
    yield
    provider.spoil()


@pytest.fixture
def visitor(chat: Chat) -> Iterator[Visitor]:
    visitor = Visitor(chat)
    yield visitor
    visitor.close()


@pytest.fixture
def another(chat: Chat) -> Iterator[Visitor]:
    visitor = Visitor(chat)
    yield visitor
    visitor.close()


def changed(address: str, **values: str | None) -> str:
    """Return an address with changed values in its query; None removes one."""
    parts = urlsplit(address)
    query = {**dict(parse_qsl(parts.query)), **values}
    kept = {name: value for name, value in query.items() if value is not None}
    return urlunsplit(parts._replace(query=urlencode(kept)))


def cookies_of(response: httpx2.Response) -> dict[str, str]:
    """Return the cookies that a response sets: by name, with all attributes in lower case."""
    lines = response.headers.get_list("set-cookie")
    return {line.partition("=")[0]: line.lower() for line in lines}


def assert_refused(visitor: Visitor, response: httpx2.Response, status: int, says: str) -> None:
    """Assert that there is no session, and that the page explains the error and offers a retry."""
    assert response.status_code == status, response.text
    assert SESSION not in cookies_of(response)
    assert visitor.me() is None
    alert = re.search(r'role="alert">([^<]+)<', response.text)
    assert alert is not None
    assert re.search(says, alert[1]), alert[1]
    assert 'href="/oidc/login?next=' in response.text
    assert response.headers["content-type"].startswith("text/html")


# ---- the redirect to the provider ----------------------------------------------------------------


def test_who_is_unknown_is_shown_one_button_that_leads_to_the_provider(
    chat: Chat, provider: OpenIdProvider, visitor: Visitor
) -> None:
    turned = visitor.get("/settings")
    assert (turned.status_code, turned.headers["location"]) == (303, "/login?next=/settings")
    page = visitor.get(turned.headers["location"])
    assert "Sign in with Canaille" in page.text
    assert 'name="password"' not in page.text
    button = re.search(r'href="(/oidc/login[^"]*)"', page.text)
    assert button is not None
    response = visitor.get(button[1])
    address = urlsplit(response.headers["location"])
    assert f"{address.scheme}://{address.netloc}" == provider.issuer
    asked = {name: values[0] for name, values in parse_qs(address.query).items()}
    assert asked["response_type"] == "code"
    assert asked["client_id"] == CLIENT
    assert asked["redirect_uri"] == f"{chat.url}/oidc/callback"
    assert asked["code_challenge_method"] == "S256"
    assert "openid" in asked["scope"].split()
    assert all(len(asked[name]) >= 20 for name in ("state", "nonce", "code_challenge"))
    assert SECRET not in response.headers["location"]
    waiting = cookies_of(response)[PENDING]
    assert "httponly" in waiting
    assert "samesite=lax" in waiting
    assert "max-age=600" in waiting
    again = dict(parse_qsl(urlsplit(visitor.go_to_provider()).query))
    assert not any(again[name] == asked[name] for name in ("state", "nonce", "code_challenge"))


# ---- the callback --------------------------------------------------------------------------------


def test_a_sign_in_ends_where_it_began_with_a_session(visitor: Visitor) -> None:
    response = visitor.sign_in("ada", "/settings")
    assert (response.status_code, response.headers["location"]) == (303, "/settings")
    cookie = cookies_of(response)[SESSION]
    assert "; httponly" in cookie
    assert "; samesite=lax" in cookie
    assert "; path=/;" in cookie
    assert "secure" not in cookie  # plain HTTP
    assert response.headers["cache-control"] == "no-store"
    me = visitor.me()
    assert me is not None
    assert (me["name"], me["role"]) == ("ada", "admin")
    page = visitor.get("/settings")
    assert page.status_code == 200
    assert 'name="old"' not in page.text  # passwords are changed at the provider
    assert PENDING not in {cookie.name for cookie in visitor.http.cookies.jar}
    assert PENDING not in cookies_of(visitor.get("/"))  # nor does a page of the app set it again


def test_a_second_sign_in_finds_the_same_account(visitor: Visitor, another: Visitor) -> None:
    visitor.sign_in("bob")
    another.sign_in("bob")
    first, second = visitor.me(), another.me()
    assert first is not None
    assert second is not None
    assert first["id"] == second["id"]
    assert visitor.session != another.session
    sessions = visitor.get("/api/sessions").json()
    assert len({one["id"] for one in sessions}) == len(sessions) >= 2


@pytest.mark.parametrize(
    ("groups", "role"),
    [
        (("admins",), "admin"),
        (("admins", "staff"), "admin"),
        (("staff",), "user"),
        (("Büro",), "user"),
        (("guests",), "viewer"),
        (("Admins", "STAFF"), "viewer"),
        ((), "viewer"),
    ],
)
def test_groups_give_the_role(
    chat: Chat, provider: OpenIdProvider, groups: tuple[str, ...], role: str
) -> None:
    name = "member-" + ("-".join(groups) or "of-none")
    provider.user(name, *groups)
    visitor = Visitor(chat)
    visitor.sign_in(name)
    me = visitor.me()
    assert me is not None
    assert me["role"] == role
    visitor.close()


def test_who_changes_groups_has_the_new_role_at_the_next_sign_in(
    chat: Chat, provider: OpenIdProvider, visitor: Visitor, another: Visitor
) -> None:
    roles = []
    for groups in (["staff"], ["admins"], ["guests"]):
        provider.user("mover", *groups)
        visitor.sign_in("mover")
        me = visitor.me()
        assert me is not None
        roles.append(me["role"])
    assert roles == ["user", "admin", "viewer"]
    another.sign_in("ada")
    entries = another.get("/api/audit?q=role_changed+mover").json()
    assert [one["subject"] for one in entries] == [
        "mover: admin to viewer",
        "mover: user to admin",
    ]


def test_conversations_are_shared_with_groups_of_the_provider(
    chat: Chat, provider: OpenIdProvider, visitor: Visitor, another: Visitor
) -> None:
    provider.user("owner", "staff", "team")
    provider.user("member", "staff", "team")
    visitor.sign_in("owner")
    made = visitor.http.post(f"{chat.url}/api/conversations", json={"title": "Plan"}).json()
    member = {"kind": "group", "name": "team", "access": "read"}
    address = f"{chat.url}/api/conversations/{made['id']}/members"
    assert visitor.http.put(address, json=member).status_code == 200
    assert visitor.http.put(address, json=member | {"name": "others"}).status_code == 404
    seen = []
    for groups in (["staff", "team"], ["staff"]):
        provider.user("member", *groups)
        another.sign_in("member")
        seen.append(another.get(f"/api/conversations/{made['id']}").status_code)
    assert seen == [200, 404]


def test_what_the_token_lacks_is_asked_of_the_provider(
    provider: OpenIdProvider, visitor: Visitor
) -> None:
    """Some providers return groups and names only to requests with the access token."""
    provider.spoil(groups=None, preferred_username=None, email=None, name=None)
    visitor.sign_in("ada")
    me = visitor.me()
    assert me is not None
    assert (me["name"], me["role"]) == ("ada", "admin")


def test_what_is_said_of_somebody_else_does_not_count(
    provider: OpenIdProvider, visitor: Visitor
) -> None:
    provider.spoil(groups=None, userinfo={"sub": "ada", "groups": ["admins"]})
    assert_refused(visitor, visitor.sign_in("eve"), 403, "administrator of this server")


def test_without_groups_the_first_is_the_administrator(
    provider: OpenIdProvider, start: Start
) -> None:
    chat = start(oidc_client_id="alone", oidc_client_secret="")  # PKCE alone
    provider.client("alone", "", f"{chat.url}/oidc/callback")
    roles = []
    for name in ("bob", "ada"):
        visitor = Visitor(chat)
        visitor.sign_in(name)
        me = visitor.me()
        assert me is not None
        roles.append(me["role"])
        visitor.close()
    assert roles == ["admin", "user"]


# ---- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["", "?code=made-up", "?code=made-up&state=made-up", "?state=x"])
def test_a_callback_that_nobody_began_lets_nobody_in(visitor: Visitor, query: str) -> None:
    assert_refused(visitor, visitor.get("/oidc/callback" + query), 403, "Begin again")


def test_a_forged_or_missing_state_lets_nobody_in(visitor: Visitor) -> None:
    back = visitor.allow(visitor.go_to_provider(), "ada")
    for state in ("forged", None, ""):
        forged = visitor.come_back(changed(back, state=state))
        assert_refused(visitor, forged, 403, "Begin again")
    good = visitor.come_back(back)  # failed attempts do not invalidate it
    assert good.status_code == 303


def test_another_browsers_way_back_lets_nobody_in(visitor: Visitor, another: Visitor) -> None:
    """Otherwise a page could sign a visitor in as another user."""
    back = visitor.allow(visitor.go_to_provider(), "eve")
    assert_refused(another, another.come_back(back), 403, "Begin again")
    another.go_to_provider()
    assert_refused(another, another.come_back(back), 403, "Begin again")


def test_a_code_works_once(visitor: Visitor, another: Visitor) -> None:
    back = visitor.allow(visitor.go_to_provider(), "ada")
    assert visitor.come_back(back).status_code == 303
    again = visitor.come_back(back)
    assert again.status_code == 403
    assert SESSION not in cookies_of(again)
    code = parse_qs(urlsplit(back).query)["code"][0]
    mine = another.allow(another.go_to_provider(), "eve")  # a valid state with another user's code
    assert_refused(another, another.come_back(changed(mine, code=code)), 403, "Begin again")


@pytest.mark.parametrize(
    ("how", "claims"),
    [
        ("", {"nonce": "another"}),
        ("", {"nonce": None}),
        ("", {"aud": ["another client"]}),
        ("", {"iss": "https://evil.example"}),
        ("", {"exp": 1_000_000_000}),
        ("", {"sub": None}),
        ("", {"sub": ""}),
        ("", {"sub": "x" * 300}),
        ("another key", {}),
        ("unsigned", {}),
        ("missing", {}),
    ],
    ids=str,
)
def test_a_token_that_is_not_for_this_sign_in_lets_nobody_in(
    provider: OpenIdProvider, visitor: Visitor, how: str, claims: dict[str, Any]
) -> None:
    provider.spoil(how, **claims)
    assert_refused(visitor, visitor.sign_in("ada"), 403, "administrator of this server")
    provider.spoil()
    assert visitor.sign_in("ada").status_code == 303


def test_who_says_no_at_the_provider_is_told_so(provider: OpenIdProvider, visitor: Visitor) -> None:
    provider.user("shy")
    back = visitor.allow(visitor.go_to_provider("/settings"), "shy", answer="deny")
    assert "error=access_denied" in back
    refused = visitor.come_back(back)
    assert_refused(visitor, refused, 403, "did not let you in")
    assert "next=/settings" in refused.text  # the retry leads there


@pytest.mark.parametrize(
    ("error", "status", "says"),
    [
        ("access_denied", 403, "did not let you in"),
        ("temporarily_unavailable", 503, "can&#39;t be reached"),
        ("server_error", 503, "can&#39;t be reached"),
        ("invalid_scope", 403, "administrator of this server"),
        ("<script>alert(1)</script>", 403, "administrator of this server"),
    ],
)
def test_an_error_of_the_provider_is_a_page_that_says_what_to_do(
    visitor: Visitor, error: str, status: int, says: str
) -> None:
    state = parse_qs(urlsplit(visitor.go_to_provider()).query)["state"][0]
    said = "<b>word for word</b>\nforged=line"
    query = urlencode({"error": error, "error_description": said, "state": state})
    response = visitor.get(f"/oidc/callback?{query}")
    assert_refused(visitor, response, status, says)
    assert "word for word" not in response.text
    assert "alert(1)" not in response.text


def test_what_went_wrong_is_told_in_the_visitors_language(visitor: Visitor) -> None:
    said = {
        language: re.search(
            r'role="alert">([^<]+)<',
            visitor.get("/oidc/callback", **{"Accept-Language": language}).text,
        )
        for language in ("en", "de", "es", "fr", "zh", "ja", "ar")
    }
    assert len({match[1] for match in said.values() if match}) == len(said)


def test_a_wrong_secret_is_told_to_who_runs_the_server(
    chat: Chat, start: Start, provider: OpenIdProvider
) -> None:
    wrong = start(oidc_client_id="rotated", oidc_client_secret="an old secret")
    provider.client("rotated", "a new secret", f"{wrong.url}/oidc/callback")
    visitor = Visitor(wrong)
    assert_refused(visitor, visitor.sign_in("ada"), 403, "administrator of this server")
    wrong.await_line("openid_refused", "invalid_client")
    visitor.close()


def test_a_provider_of_another_name_is_not_believed(start: Start, provider: OpenIdProvider) -> None:
    """The issuer in the document must be the configured one (OpenID Discovery, 4.3)."""
    chat = start()
    visitor = Visitor(chat)
    documents: tuple[Any, ...] = ({}, {"issuer": "https://evil.example"}, [], "?")
    for document in documents:
        provider.spoil(document=document)
        assert_refused(visitor, visitor.get("/oidc/login"), 403, "administrator of this server")
    chat.await_line("openid_refused", "issuer")
    provider.spoil()
    assert provider.issuer in visitor.go_to_provider()
    visitor.close()


def test_a_wrong_address_is_told_to_who_runs_the_server(
    start: Start, provider: OpenIdProvider
) -> None:
    chat = start(oidc_issuer=f"{provider.issuer}/realms/none")
    visitor = Visitor(chat)
    assert_refused(visitor, visitor.get("/oidc/login"), 403, "administrator of this server")
    chat.await_line("openid_refused", "404")
    visitor.close()


def test_a_provider_that_is_down_is_told_and_found_again(start: Start) -> None:
    own = OpenIdProvider()
    chat = start(own)
    redirect = f"{chat.url}/oidc/callback"
    own.client(CLIENT, SECRET, redirect)
    own.user("ada")
    visitor = Visitor(chat)
    back = visitor.allow(visitor.go_to_provider(), "ada")
    own.stop()
    assert_refused(visitor, visitor.come_back(back), 503, "Try again")
    own = OpenIdProvider(own.port)  # with new keys
    own.client(CLIENT, SECRET, redirect)
    own.user("ada")
    assert visitor.sign_in("ada").status_code == 303
    own.stop()
    visitor.close()


def test_a_provider_that_was_never_there_is_told(start: Start) -> None:
    gone = OpenIdProvider()
    gone.stop()
    chat = start(gone)
    visitor = Visitor(chat)
    assert_refused(visitor, visitor.get("/oidc/login?next=/settings"), 503, "Try again")
    back = OpenIdProvider(gone.port)
    back.client(CLIENT, SECRET, f"{chat.url}/oidc/callback")
    back.user("ada")
    assert visitor.sign_in("ada", "/settings").headers["location"] == "/settings"
    back.stop()
    visitor.close()


# ---- sessions ------------------------------------------------------------------------------------


def test_a_session_that_was_planted_is_not_taken_over(visitor: Visitor, another: Visitor) -> None:
    another.sign_in("eve")
    for planted in ("made-up", "made-up.signature", another.session):
        eve = another.me()
        assert eve is not None
        assert eve["name"] == "eve"
        visitor.http.cookies.set(SESSION, planted, domain="localhost.local", path="/")
        visitor.sign_in("ada")
        assert visitor.session != planted
        visitor.http.cookies.delete(SESSION, domain="localhost.local", path="/")
    assert another.me() is None  # the session that a browser already has ends with a sign-in


def test_each_sign_in_has_a_new_session(visitor: Visitor) -> None:
    seen = set()
    for _ in range(3):
        visitor.sign_in("ada")
        seen.add(visitor.session)
    assert len(seen) == 3


def test_a_log_out_ends_the_session_and_what_is_open(chat: Chat, visitor: Visitor) -> None:
    visitor.sign_in("bob")
    cookie = f"{SESSION}={visitor.session}"
    headers = {"Cookie": cookie, "Origin": chat.url}
    with connect(chat.socket_url, additional_headers=headers) as socket:
        response = visitor.http.post(f"{chat.url}/logout")
        assert (response.status_code, response.headers["location"]) == (303, "/login")
        assert "max-age=0" in cookies_of(response)[SESSION]
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(30)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008
    assert visitor.session == ""
    visitor.http.cookies.clear()
    assert visitor.get("/api/me", Cookie=cookie).status_code == 401
    page = visitor.get("/login")  # and does not sign in by itself
    assert page.status_code == 200
    assert visitor.me() is None


def test_a_disabled_account_does_not_come_in(
    chat: Chat, provider: OpenIdProvider, visitor: Visitor, another: Visitor
) -> None:
    provider.user("gone", "staff")
    visitor.sign_in("gone")
    me = visitor.me()
    assert me is not None
    another.sign_in("ada")
    address = f"{chat.url}/api/users/{me['id']}"
    assert another.http.patch(address, json={"disabled": True}).status_code == 204
    assert visitor.me() is None
    assert_refused(visitor, visitor.sign_in("gone"), 403, "disabled")
    failed = another.get("/api/audit?q=sign_in_failed+gone").json()
    assert len(failed) == 1
    assert another.http.patch(address, json={"disabled": False}).status_code == 204
    assert visitor.sign_in("gone").status_code == 303


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example/",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "http:evil.example",
        "javascript:alert(1)",
        "/%0d%0aLocation:https://evil.example",
        "evil.example",
    ],
)
def test_a_sign_in_leads_to_no_other_host(chat: Chat, visitor: Visitor, wanted: str) -> None:
    visitor.sign_in("ada")  # from here on the provider shows no further forms
    response = visitor.sign_in("ada", wanted)
    target = httpx2.URL(chat.url).join(response.headers["location"])
    assert str(target).startswith(chat.url + "/")
    assert "\r" not in response.headers["location"]
    signed_in = visitor.get("/login?" + urlencode({"next": wanted}))
    target = httpx2.URL(chat.url).join(signed_in.headers["location"])
    assert str(target).startswith(chat.url + "/")


# ---- other ways to sign in -----------------------------------------------------------------------


def test_nobody_comes_in_by_a_password_or_a_link(chat: Chat, visitor: Visitor) -> None:
    """If accounts are the provider's, second factor included, nothing bypasses it."""
    form = {"name": "ada", "password": PASSWORD}
    assert visitor.http.post(f"{chat.url}/login", data=form).status_code == 200
    assert visitor.me() is None
    visitor.sign_in("ada")
    users = visitor.get("/api/users").json()
    for path in ("/api/users", f"/api/users/{users[0]['id']}/reset"):
        assert visitor.http.post(chat.url + path, json={}).status_code == 400
    visitor.http.cookies.clear()
    with pytest.raises(subprocess.CalledProcessError) as failed:
        chat.run("users", "invite", "mallory")
    assert "WIRESIDE_AUTH" in failed.value.stderr
    for response in (
        visitor.get("/join?link=made-up"),
        visitor.http.post(f"{chat.url}/join", data={"link": "x", **form}),
    ):
        assert response.status_code == 404
        assert "Sign-in is external" in response.text
        assert visitor.me() is None


def test_behind_tls_cookies_are_bound_to_the_host(provider: OpenIdProvider, start: Start) -> None:
    chat = start(public_url="https://chat.example.org")
    provider.client(CLIENT + "-tls", SECRET, "https://chat.example.org/oidc/callback")
    visitor = Visitor(chat)
    visitor.http.headers.update({"Host": "chat.example.org", "Origin": "https://chat.example.org"})
    response = visitor.get("/oidc/login")
    asked = dict(parse_qsl(urlsplit(response.headers["location"]).query))
    assert asked["redirect_uri"] == "https://chat.example.org/oidc/callback"
    cookie = cookies_of(response)[f"__Host-{PENDING}"]
    assert "; secure" in cookie
    assert "path=/;" in cookie
    assert "domain" not in cookie
    visitor.close()
