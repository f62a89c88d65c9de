"""Pages at one server, while answers, sessions, accounts and keys are changed at another one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.e2e.two_workers import NAMES, two_workers
from tests.faults.fleet_storm import PlainHAProxy
from tests.postgresql import PostgresServer
from tests.server_process import ServerProcess
from wireside.client import Client
from wireside.testing import FakeOpenAI, answer

pytestmark = pytest.mark.timeout(240)

LONG_MS = 60_000

PASSWORD = "a good long password"

NewContext = Callable[..., BrowserContext]

SHOWN = "[...document.querySelectorAll('[data-testid=message-assistant]')].at(-1).innerText.length"


@dataclass(frozen=True)
class Site:
    """Servers behind one address.

    Attributes:
        url: the address of all of them.
        names: their names.
        link: creates the administrator.
        lab: their model service.
        servers: the processes.
    """

    url: str
    names: tuple[str, str]
    link: str
    lab: FakeOpenAI
    servers: tuple[ServerProcess, ...]

    def choose(self, context: BrowserContext, name: str) -> None:
        """Send the next requests of a browser to one server."""
        cookie = {"name": "wireside_replica", "value": name, "url": self.url}
        context.add_cookies([cookie])  # type: ignore[list-item]

    def open(self, page: Page, path: str, name: str) -> None:
        """Open a page of one server."""
        self.choose(page.context, name)
        page.goto(self.url + path)
        assert server_of(page) == name


def server_of(page: Page) -> str:
    """Return the server that has sent the last page."""
    cookies = page.context.cookies()
    return next(one["value"] for one in cookies if one["name"] == "wireside_replica")


@contextmanager
def two_servers(folder: Path, database: str) -> Iterator[Site]:
    """Two servers behind HAProxy."""
    names = ("chat-1", "chat-2")
    with ExitStack() as stack:
        lab = stack.enter_context(FakeOpenAI())
        servers = tuple(
            ServerProcess(
                folder / name,
                lab.url,
                database_url=database,
                replicas=True,
                replica_name=name,
                replica_beat_s=0.25,
                replica_ttl_s=3,
                auth="password",
                shutdown_s=2,
                drain_s=0,
                drain_notice_s=0,
            )
            for name in names
        )
        for server in servers:
            stack.enter_context(server)
        proxy = PlainHAProxy(
            folder, {name: one.port for name, one in zip(names, servers, strict=True)}
        )
        proxy.start(lambda text: text)
        stack.callback(proxy.stop)
        link = re.sub(r"https?://[^/]+", "", servers[0].administrator_link())
        yield Site(f"http://127.0.0.1:{proxy.port}", names, link, lab, servers)


@contextmanager
def one_port(folder: Path, database: str) -> Iterator[Site]:
    """Two workers on one port."""
    with (
        FakeOpenAI() as lab,
        two_workers(
            folder,
            lab.url,
            database=database,
            auth="password",
            shutdown_s=2,
            drain_s=0,
            drain_notice_s=0,
        ) as server,
    ):
        link = re.sub(r"https?://[^/]+", "", server.administrator_link())
        yield Site(server.url, NAMES, link, lab, (server,))


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    server = PostgresServer(lambda: tmp_path_factory.mktemp("pg"))
    yield server
    server.stop()


@pytest.fixture(scope="module", params=[one_port, two_servers])
def site(
    request: pytest.FixtureRequest,
    postgres: PostgresServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    database = postgres.create(request.param.__name__)
    with request.param(tmp_path_factory.mktemp("servers"), database) as running:
        yield running


@pytest.fixture(scope="module")
def state(
    site: Site,
    lasting_context: Callable[..., BrowserContext],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The cookies of the administrator, whose form one server has sent and the other received."""
    file: Path = tmp_path_factory.mktemp("state") / "ada.json"
    one, other = site.names
    with lasting_context() as context:
        page = context.new_page()
        site.open(page, site.link, one)
        page.get_by_label("Name").fill("Ada")
        page.get_by_label("Password").fill(PASSWORD)
        site.choose(context, other)
        page.get_by_role("button").click()
        expect(page.get_by_test_id("connection-status")).to_have_text("Connected")
        assert server_of(page) == other
        context.storage_state(path=file)
    return file


@pytest.fixture
def ada(site: Site, new_context: NewContext, state: Path) -> Page:
    return new_context(storage_state=state, base_url=site.url).new_page()


def sign_in(site: Site, page: Page, *, at: str, submit_to: str) -> None:
    """Sign in by a form that another server has sent."""
    site.open(page, "/login", at)
    page.get_by_label("Name").fill("grace")
    page.get_by_label("Password").fill(PASSWORD)
    site.choose(page.context, submit_to)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_test_id("connection-status")).to_have_text("Connected")
    assert server_of(page) == submit_to


def test_sessions_accounts_and_keys_begin_and_end_at_all_servers(
    site: Site, ada: Page, new_context: NewContext
) -> None:
    one, other = site.names
    origin = {"Origin": site.url}
    site.open(ada, "/people", one)
    ada.get_by_label("Name (or let them choose)").fill("Grace")
    ada.get_by_role("button", name="Invite a person").click()
    link = re.sub(r"https?://[^/]+", "", ada.locator("#secret").inner_text())
    context = new_context(base_url=site.url)
    grace = context.new_page()
    site.open(grace, link, other)
    grace.get_by_label("Password").fill(PASSWORD)
    site.choose(context, one)
    grace.get_by_role("button").click()
    expect(grace.get_by_test_id("connection-status")).to_have_text("Connected")

    # a log-out at one server closes the page at the other
    second = context.new_page()
    site.open(second, "/settings", other)
    second.get_by_role("button", name="Sign out", exact=True).click()
    grace.wait_for_url(re.compile("/login"), timeout=LONG_MS)
    sign_in(site, grace, at=one, submit_to=other)
    site.open(second, "/", one)
    expect(second.get_by_test_id("connection-status")).to_have_text("Connected")

    # so does disabling the account: both pages are closed, and no server lets it in
    grace.get_by_test_id("input-chat").fill("half a thought")
    ada.reload()
    row = ada.get_by_role("listitem").filter(has_text="grace")
    ada.once("dialog", lambda dialog: dialog.accept())
    row.get_by_role("button", name="Disable").click()
    for page in (grace, second):
        page.wait_for_url(re.compile("/login"), timeout=LONG_MS)
    for name in site.names:
        site.open(grace, "/login", name)
        grace.get_by_label("Name").fill("grace")
        grace.get_by_label("Password").fill(PASSWORD)
        grace.get_by_role("button", name="Sign in").click()
        expect(grace.get_by_role("alert")).to_have_text("This account is disabled.")
    row.get_by_role("button", name="Enable").click()
    expect(row.get_by_role("button", name="Disable")).to_be_visible()
    sign_in(site, grace, at=one, submit_to=other)
    expect(grace.get_by_test_id("input-chat")).to_have_value("half a thought")

    # a key that is revoked at one server is closed at the other
    made = ada.request.post(
        "/api/keys", headers=origin, data={"name": "script", "scopes": ["chat"]}
    ).json()
    headers = {"Authorization": f"Bearer {made['key']}", "Cookie": f"wireside_replica={other}"}
    with connect(
        site.url.replace("http", "ws") + "/ws/ai-chat", additional_headers=headers, open_timeout=60
    ) as socket:
        site.open(ada, "/settings", one)
        ada.get_by_role("button", name="Revoke: script").click()
        with pytest.raises(ConnectionClosed):
            while True:
                socket.recv(timeout=60)
        assert socket.close_code == 1008


def until_longer(page: Page, length: int) -> int:
    """Wait until the last answer shows more characters; return how many."""
    page.wait_for_function(f"length => {SHOWN} > length", arg=length, timeout=LONG_MS)
    return int(page.evaluate(SHOWN))


def test_a_page_follows_and_stops_an_answer_of_another_server(site: Site, ada: Page) -> None:
    """The last test here: it kills a server."""
    if len(site.servers) == 1:
        pytest.skip("workers differ from servers only in how pages find them")
    owner = site.servers[0]
    other = site.names[1]
    long = answer(3000, rate=30)
    site.lab.answer_with(long, long, answer(["the rest"]))
    headers = {"Origin": site.url}
    made = ada.request.post(
        "/api/keys", headers=headers, data={"name": "script", "scopes": ["chat", "read"]}
    ).json()
    with Client(owner.url, key=made["key"]) as client:
        conversation = client.conversation()
        first = conversation.ask("First question").started()
        next(iter(first))
        site.open(ada, f"/c/{conversation.id}", other)
        shown = ada.get_by_test_id("message-assistant").last
        expect(shown).to_contain_text(re.compile(r"\w"), timeout=LONG_MS)
        length = until_longer(ada, until_longer(ada, 0))
        ada.reload()
        assert server_of(ada) == other
        length = until_longer(ada, length)
        ada.get_by_test_id("button-stop").click()
        first.end()
        assert first.reason == "cancelled"
        expect(ada.get_by_test_id("button-stop")).to_have_count(0)
        assert until_longer(ada, length - 1) >= length

        second = conversation.ask("Second question").started()
        expect(ada.get_by_test_id("message-user").last).to_have_text(
            "Second question", timeout=LONG_MS
        )
        expect(ada.get_by_test_id("button-stop")).to_be_visible(timeout=LONG_MS)
        length = until_longer(ada, until_longer(ada, 0))
        owner.kill()
    last_turn = ada.locator(".ws-turn").last
    goes_on = last_turn.get_by_role("button", name="Continue")
    expect(goes_on).to_be_visible(timeout=LONG_MS)
    length = until_longer(ada, length - 1)
    goes_on.click()
    expect(shown).to_contain_text("the rest", timeout=LONG_MS)
    assert until_longer(ada, length) > length
    expect(ada.get_by_test_id("button-stop")).to_have_count(0)
    kept = ada.request.get(f"/api/conversations/{conversation.id}").json()["turns"][1]["answer"]
    assert [part["reason"] for part in kept] == ["interrupted", "stop"]
    assert second.conversation == conversation.id
