"""The account pages as a browser without scripts uses them, including the authentication guard."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from fastapi import FastAPI
from starlette.types import ASGIApp

from tests.backend.auth.conftest import PASSWORD, House, house
from wireside.api.middleware.authentication import AuthenticationMiddleware, AuthenticationRules
from wireside.api.middleware.route_policy import RoutePolicyLookup
from wireside.api.policy import RoutePolicies
from wireside.auth.audit import Audit
from wireside.auth.auth import Auth
from wireside.auth.cookies import COOKIE
from wireside.auth.limiter import MemoryLimiter
from wireside.auth.login_throttle import OF_NAME_THERE
from wireside.auth.quotas import QuotaLimits, UserQuotas
from wireside.chat.service import ChatService
from wireside.identity import Caller
from wireside.protocol.handshake import HandshakePolicy
from wireside.secret_box import RESULTS, SecretBox
from wireside.transfer.sharing import Sharing
from wireside_ui.html_pages.account import AccountPages
from wireside_ui.html_pages.render import PlainPages
from wireside_ui.i18n.catalogue import words_in
from wireside_ui.theme import Branding

__all__ = ["house"]  # fixtures

HERE = "http://127.0.0.1:8080"


@dataclass
class Browser:
    """A user's browser; it does not follow redirects by itself."""

    http: httpx2.AsyncClient

    @property
    def cookie(self) -> str:
        return self.http.cookies.get(COOKIE) or ""

    async def get(self, path: str, language: str = "en") -> str:
        response = await self.http.get(path, headers={"Accept-Language": language})
        return unescape(response.text)

    async def send(self, path: str, **form: str) -> tuple[int, str]:
        """Send a form; return the status, and the redirect's target or the page's text."""
        response = await self.http.post(path, data=form)
        return response.status_code, response.headers.get("location") or unescape(response.text)


@pytest.fixture
def open_browser(house: House, chat: ChatService) -> Callable[[], Browser]:
    """Return a function that opens a browser without a session."""
    server = new_server(house, chat)
    return lambda: browser_of(server)


def browser_of(server: ASGIApp) -> Browser:
    """Open a browser without a session."""
    transport = httpx2.ASGITransport(server, client=("192.0.2.1", 1))
    return Browser(httpx2.AsyncClient(transport=transport, base_url=HERE, headers={"Origin": HERE}))


def new_server(house: House, chat: ChatService) -> ASGIApp:
    """Return a server of the account pages; several share the accounts."""
    gate, quotas = house.gate(), UserQuotas(MemoryLimiter(house.clock), QuotaLimits())
    store = house.store.accounts
    auth = Auth(
        gate=gate,
        accounts=house.accounts,
        sign_ins=house.sign_ins,
        keys=house.keys,
        tickets=house.tickets,
        quotas=quotas,
        open_id=None,
        audit=Audit(store, house.clock),
        box=SecretBox(lambda: "a key", RESULTS),
        days=30,
    )
    sharing = Sharing(store, str, house.clock, audience="users")
    app = FastAPI()
    look = Branding()
    app.include_router(
        AccountPages(
            auth=auth, sharing=sharing, look=look, plain=PlainPages(look, "0"), base_url=""
        ).router()
    )
    door = HandshakePolicy(host="127.0.0.1")
    guarded = AuthenticationMiddleware(
        app, gate=gate, chat=chat, door=door, quotas=quotas, rules=AuthenticationRules()
    )

    return RoutePolicyLookup(guarded, RoutePolicies(app.routes))


@pytest.fixture
async def ada(house: House) -> Caller:
    return await house.administrator()


@pytest.fixture
async def adas(open_browser: Callable[[], Browser], ada: Caller) -> Browser:
    """The browser in which the administrator is signed in."""
    mine = open_browser()
    assert await mine.send("/login", name="ada", password=PASSWORD) == (303, "/")
    return mine


async def test_a_sign_in_ends_the_session_that_the_browser_came_with(
    house: House, ada: Caller, adas: Browser
) -> None:
    before = adas.cookie
    ended: list[str] = []
    caller = await house.sign_ins.authenticate(before, "")
    assert caller is not None
    house.presence.register_connection(caller, lambda: ended.append("page"))
    assert (await adas.send("/login", name="ada", password="not it at all"))[0] == 403
    assert await house.sign_ins.authenticate(before, "")  # the sign-in failed
    assert await adas.send("/login", name="ada", password=PASSWORD) == (303, "/")
    assert adas.cookie != before
    assert await house.sign_ins.authenticate(before, "") is None
    assert ended == ["page"]
    assert len(await house.sign_ins.list_sessions(ada)) == 1


async def test_so_does_an_account_that_is_made_in_it(
    house: House, ada: Caller, adas: Browser
) -> None:
    before, secret = adas.cookie, await house.accounts.create_invitation(ada, "user")
    joined = await adas.send("/join", link=secret, name="grace", password=PASSWORD)
    assert joined == (303, "/")
    assert await house.sign_ins.authenticate(before, "") is None
    now = await house.sign_ins.authenticate(adas.cookie, "")
    assert now is not None
    assert now.name == "grace"


async def test_the_current_password_cannot_be_guessed(adas: Browser) -> None:
    tried = {"new": "a whole new password"}
    for number in range(OF_NAME_THERE.limit):
        status, said = await adas.send("/settings/password", old=f"guess {number}", **tried)
        assert (status, "current password is wrong" in said) == (400, True)
    status, said = await adas.send("/settings/password", old=PASSWORD, **tried)
    assert (status, "Too many attempts" in said) == (429, True)


async def test_links_to_passwords_are_listed_and_taken_back(
    house: House, ada: Caller, adas: Browser
) -> None:
    grace = await house.person(ada, "grace")
    assert await adas.send(f"/people/{grace.id}", do="reset") == (303, "/people")
    link = re.search(r"join\?link=[\w-]+", await adas.get("/people"))
    assert link is not None
    secret = parse_qs(urlsplit(link[0]).query)["link"][0]
    (reset,) = await house.accounts.invitations(ada)
    page = await adas.get("/people")
    assert "Take back: grace" in page
    assert reset.id in page
    assert await adas.send("/people/invite", take_back=reset.id) == (303, "/people")
    assert reset.id not in await adas.get("/people")
    status, said = await adas.send("/join", link=secret, password="a whole new password")
    assert (status, "has been used or has expired" in said) == (404, True)


async def test_another_server_shows_the_result_of_a_form_once(
    house: House, chat: ChatService, ada: Caller, adas: Browser, open_browser: Callable[[], Browser]
) -> None:
    await house.person(ada, "grace")
    theirs = open_browser()
    assert await theirs.send("/login", name="grace", password=PASSWORD) == (303, "/")
    other = browser_of(new_server(house, chat))
    assert await adas.send("/people/invite", name="linus", role="user") == (303, "/people")
    assert "join" not in str(adas.http.cookies.jar)
    theirs.http.cookies.set("wireside_result", adas.http.cookies["wireside_result"])
    assert 'id="secret"' not in await theirs.get("/settings")  # it belongs to Ada
    other.http.cookies = adas.http.cookies
    assert 'id="secret"' in await other.get("/people")
    assert 'id="secret"' not in await other.get("/people")
    other.http.cookies.set("wireside_result", "damaged")
    assert 'id="secret"' not in await other.get("/people")


@pytest.mark.parametrize("days", ["0", "-1", "nan", "inf", "1e400", "4000", "1" * 400, "many"])
async def test_a_key_has_days_that_can_be_counted(adas: Browser, days: str) -> None:
    status, _ = await adas.send("/settings/keys", name="key", scope="read", days=days)
    assert status == 400


async def test_the_audit_log_calls_browsers_what_people_call_them(
    house: House, ada: Caller, adas: Browser
) -> None:
    agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/142.0.0.0 Safari/537.36"
    audit = Audit(house.store.accounts, house.clock)
    audit.record(ada, "signed_in", agent)
    audit.record(ada, "invited", agent)  # the label of an invitation is never shown as a browser
    await audit.flush_entries()
    page = await adas.get("/audit")
    subjects = re.findall(r'</strong> <span dir="auto"(.*?)</span>', page)
    assert subjects == [f">{agent}", f' title="{agent}">Chrome · Linux']
    # a search covers the complete user agent
    assert "Chrome · Linux" in await adas.get(f"/audit?q={agent[:11]}")


async def test_the_audit_log_names_actions_in_the_language_of_the_page(
    house: House, ada: Caller, adas: Browser
) -> None:
    audit = Audit(house.store.accounts, house.clock)
    audit.record(ada, "key_revoked", "k1")
    audit.record(ada, "of_a_newer_version", "x")
    await audit.flush_entries()
    page = await adas.get("/audit", language="de")
    assert '<strong title="key_revoked">Schlüssel widerrufen</strong>' in page
    assert '<strong title="of_a_newer_version">of a newer version</strong>' in page


@pytest.mark.parametrize(
    ("action", "subject", "shown"),
    [
        ("signed_in", "by the proxy", "durch den Proxy"),
        ("signed_out", "3 browsers", "3 Browser"),
        ("invited", "a new user as user", "ein neuer Benutzer als Benutzer"),
        ("invited", "Jo as admin as viewer", "Jo as admin als Nur lesen"),
        ("account_made", "as user", "als Benutzer"),
        ("account_made", "as admin, by oidc jo", "als Verwaltung, durch oidc jo"),
        ("account_made", "Jo as user", "Jo als Benutzer"),
        ("role_changed", "{x}: user to admin", "{x}: von Benutzer zu Verwaltung"),
        (
            "key_made",
            "k1 a: b: chat, read",
            "k1 a: b: fragen und bearbeiten · Unterhaltungen lesen",
        ),
        ("shared", "s1 of c1", "s1 aus c1"),
        ("conversation_shared", "c1 with user Jo: read", "c1 mit Benutzer Jo: lesen"),
        ("conversation_shared", "c1 with group A: reply", "c1 mit Gruppe A: antworten"),
        ("conversation_unshared", "c1 with user Jo: read", "c1 mit Benutzer Jo: read"),
        ("conversation_exported", "all json", "alle, json"),
        ("conversations_expired", "12 conversations", "12 Unterhaltungen"),
        ("all_exported", "12 conversations, html", "12 Unterhaltungen, html"),
        ("restored", "a.db, made 2026-01-01", "a.db, erstellt 2026-01-01"),
        ("moved", "sqlite to postgresql", "von sqlite nach postgresql"),
    ],
)
async def test_the_audit_log_shows_details_in_the_language_of_the_page(
    house: House, ada: Caller, adas: Browser, action: str, subject: str, shown: str
) -> None:
    audit = Audit(house.store.accounts, house.clock)
    audit.record(ada, action, subject)
    await audit.flush_entries()
    page = await adas.get("/audit", language="de")
    details = re.findall('</strong> <span dir="auto"(.*?)</span>', page)
    assert details[0] == f' title="{subject}">{shown}'


@pytest.mark.parametrize(
    ("action", "subject"),
    [
        ("key_revoked", "k1"),
        ("role_changed", "of an older version"),
        ("conversation_exported", "c1 json"),
        ("banner_set", "3 browsers"),
        ("signed_out", ""),
    ],
)
async def test_the_audit_log_shows_other_details_as_they_are(
    house: House, ada: Caller, adas: Browser, action: str, subject: str
) -> None:
    audit = Audit(house.store.accounts, house.clock)
    audit.record(ada, action, subject)
    await audit.flush_entries()
    page = await adas.get("/audit", language="de")
    assert re.findall('</strong> <span dir="auto"(.*?)</span>', page)[0] == f">{subject}"


async def test_the_audit_log_names_a_command_line_in_the_language_of_the_page(
    house: House, ada: Caller, adas: Browser
) -> None:
    audit = Audit(house.store.accounts, house.clock)
    audit.record(replace(ada, address="command line of root"), "backed_up", "a.db")
    await audit.flush_entries()
    page = await adas.get("/audit", language="de")
    assert "· Befehlszeile von root<" in page


def test_every_documented_action_has_a_name() -> None:
    docs = (Path(__file__).parents[3] / "docs" / "accounts.md").read_text("utf-8")
    table = docs.partition("## Audit log")[2].partition("\nActions of")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ") and "`" in line]
    actions = {name for row in rows for name in re.findall(r"`([a-z][a-z_]+)`", row)}
    assert len(actions) > 20
    named = {key.removeprefix("audit_") for key in words_in("en") if key.startswith("audit_")}
    assert named == actions


async def test_people_are_searched_and_paged(
    house: House, ada: Caller, adas: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wireside_ui.html_pages.account.PEOPLE_PAGE", 2)
    for name in ("grace", "linus"):
        await house.person(ada, name)
    names = '<strong dir="auto">(.*?)</strong>'
    page = await adas.get("/people")
    assert len(re.findall(names, page)) == 2
    assert 'href="/people?q=&from=2"' in page
    assert len(re.findall(names, await adas.get("/people?from=2"))) == 1
    assert re.findall(names, await adas.get("/people?q=LIN")) == ["linus"]
    assert "Nothing found for “<b>”." in await adas.get("/people?q=<b>")


async def test_times_are_marked_for_the_readers_clock(adas: Browser) -> None:
    time = r'<time datetime="[0-9-]{10}T[0-9:]{8}Z">[0-9-]{10} [0-9:]{5} UTC</time>'
    assert re.search(f"last here {time}", await adas.get("/people"))
    assert re.search(f"last used {time}", await adas.get("/settings"))


async def test_a_disabled_person_is_told_why(
    house: House, ada: Caller, adas: Browser, open_browser: Callable[[], Browser]
) -> None:
    grace = await house.person(ada, "grace")
    theirs = open_browser()
    assert await theirs.send("/login", name="grace", password=PASSWORD) == (303, "/")
    people = await adas.get("/people")
    assert 'data-sure="Disable grace?' in people, "it asks first"
    await house.accounts.disable_user(ada, grace.id)
    response = await theirs.http.get("/c/1")
    assert (response.status_code, response.headers["location"]) == (303, "/login?next=/c/1")
    assert "This account is disabled." in await theirs.get("/login?next=/c/1")
    status, said = await open_browser().send("/login", name="grace", password=PASSWORD)
    assert (status, "This account is disabled." in said) == (403, True)
    status, said = await open_browser().send("/login", name="grace", password="not it at all")
    assert "name or the password is wrong" in said, (
        "a disabled account shows only after the right password"
    )


async def test_a_turn_that_was_looked_for_is_found_after_signing_in(
    ada: Caller, open_browser: Callable[[], Browser]
) -> None:
    theirs = open_browser()
    response = await theirs.http.get("/c/abc?turn=t-1&x=2")
    assert response.headers["location"] == "/login?next=/c/abc%3Fturn%3Dt-1%26x%3D2"
    page = await theirs.get(response.headers["location"])
    assert 'name="next" value="/c/abc?turn=t-1&x=2"' in page
    form = {"name": "ada", "password": PASSWORD, "next": "/c/abc?turn=t-1&x=2"}
    assert await theirs.send("/login", **form) == (303, "/c/abc?turn=t-1&x=2")


async def test_the_seconds_to_wait_are_never_too_few(adas: Browser, house: House) -> None:
    tried = {"new": "a whole new password"}
    for number in range(OF_NAME_THERE.limit):
        await adas.send("/settings/password", old=f"guess {number}", **tried)
    said = (await adas.send("/settings/password", old=PASSWORD, **tried))[1]
    told = re.search(r"again in (\d+) seconds", said)
    assert told is not None
    seconds = int(told[1])
    house.clock.now += seconds - 0.4  # the remaining time is rounded up to a whole second
    said = (await adas.send("/settings/password", old=PASSWORD, **tried))[1]
    assert "again in 1 seconds" in said
