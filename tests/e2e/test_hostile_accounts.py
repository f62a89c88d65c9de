"""Hostile texts on the account pages, the dashboard and the doctor: displayed, without any effect.

Texts that are refused on input are written directly to the store, so that rendering is tested
separately. A page with hostile texts must have the same structure as one with harmless texts:
elements, attributes, the targets of forms and links.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.hostile.watch import TEXTS, Watch, watched
from wireside.identity import SCOPES
from wireside.records import (
    ApiKey,
    AuditEntry,
    ConversationInfo,
    FigureStep,
    Invitation,
    Share,
    SignIn,
    UserAccount,
)
from wireside.store.store import SqlStore
from wireside.telemetry.steps import IntervalFigures
from wireside.tokens import hash_secret, new_record_id

PASSWORD = "a good long password"
HARMLESS = "harmless"
SEED = 20_240_608
COUNT = 150
"""Texts in each place, in addition to the worst: each is stored in seven places."""
DAY_S = 86_400
AUDIT_PAGE = 100

NewContext = Callable[..., BrowserContext]

KINDS = (
    *("script", "event", "raw link", "load", "form", "style", "svg", "mutation"),
    *("vue", "look-alike", "unicode", "polyglot", "breakout"),
)
"""Kinds with a meaning in HTML; the others are Markdown."""

SHAPE = """() => {
  const told = ["class", "style", "type", "method", "rel", "target", "role", "dir"];
  const where = ["action", "href", "src"];
  const shape = (el) => {
    const names = [...el.attributes].map(({ name, value }) => {
      if (told.includes(name)) return `${name}=${value}`;
      // ids of things are no difference, nor is what is searched for
      const to = value.replace(/[\\w-]{12,}/g, "ID").replace(/\\?.*/, "");
      if (where.includes(name)) return `${name}=${to}`;
      return name;
    });
    // a long list has a link to its next page
    const isMore = (one) => one.localName === "p" && one.querySelector("a[href*='from=']");
    let within = [...el.children].filter((one) => !isMore(one)).map(shape);
    if (el.localName === "ul") within = [...new Set(within)].sort();
    return `<${[el.localName, ...names.sort()].join(" ")}>${within.join("")}`;
  };
  return shape(document.documentElement);
}"""
"""The structure of a page: elements, and targets, without texts; the kinds of a list's items."""


@dataclass
class House:
    """A server with accounts and two administrators; one of them has harmless content only."""

    url: str
    data: Path
    ada: str
    mallory: str
    cookies: dict[str, Path]

    def seed(self, owner: str, texts: Sequence[str]) -> None:
        """Store texts in all places that account pages show."""
        work(_seed(self.data, owner, texts))


def work(what: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine in another thread, as the browser's event loop occupies this one."""
    with ThreadPoolExecutor(1) as beside:
        beside.submit(asyncio.run, what).result()


async def _store(data: Path) -> SqlStore:
    store = SqlStore(f"sqlite:///{data / 'wireside.db'}")
    await store.open_beside()
    return store


async def _seed(data: Path, owner: str, texts: Sequence[str]) -> None:
    store = await _store(data)
    accounts, now = store.accounts, time.time()
    later = now + DAY_S
    for text in texts:
        for at in (None, now):  # enabled, disabled
            await accounts.add_user(
                UserAccount(
                    id=new_record_id(),
                    name=text + (" " if at else ""),
                    role="user",
                    created_at=now,
                    password="hash",
                    disabled_at=at,
                )
            )
        await accounts.add_key(
            ApiKey(
                id=new_record_id(),
                secret=hash_secret(new_record_id()),
                user_id=owner,
                name=text,
                scopes=frozenset(SCOPES),
                created_at=now,
            )
        )
        await accounts.add_sign_in(
            SignIn(
                id=new_record_id(),
                token=hash_secret(new_record_id()),
                user_id=owner,
                created_at=now,
                seen_at=now,
                expires_at=later,
                agent=text,
                address=text,
            )
        )
        talk = ConversationInfo(
            id=new_record_id() * 2, title=text, created_at=now, updated_at=now, owner=owner
        )
        await store.create_conversation(talk)
        await accounts.add_share(
            Share(
                id=new_record_id(),
                token=hash_secret(new_record_id()),
                owner=owner,
                conversation_id=talk.id,
                title=text,
                created_at=now,
            )
        )
        await accounts.add_invitation(
            Invitation(
                id=new_record_id(),
                token=hash_secret(new_record_id()),
                role="user",
                created_at=now,
                expires_at=later,
                name=text,
                user_id=None,
                made_by=owner,
            )
        )
    entry = [
        AuditEntry(at=now, action=text, user_id=owner, name=text, subject=text, address=text)
        for text in texts
    ]
    await accounts.append_audit_entries(entry * (1 + AUDIT_PAGE // len(entry)))
    await store.aclose()


async def _add_mallory(data: Path, owner: str, name: str) -> None:
    """Create an administrator with this name, and a link to set the password."""
    store, now = await _store(data), time.time()
    await store.accounts.add_user(
        UserAccount(id=owner, name=name, role="admin", created_at=now, password="none yet")
    )
    await store.accounts.add_invitation(
        Invitation(
            id=new_record_id(),
            token=hash_secret("come in"),
            role="admin",
            created_at=now,
            expires_at=now + DAY_S,
            name="",
            user_id=owner,
        )
    )
    await store.aclose()


async def _invite(data: Path, by: str, names: Sequence[str]) -> None:
    """Invite users with these names, by links that are named after them."""
    store, now = await _store(data), time.time()
    for name in names:
        link = hash_secret(f"link of {name}")
        await store.accounts.add_invitation(
            Invitation(
                id=new_record_id(),
                token=link,
                role="user",
                created_at=now,
                expires_at=now + DAY_S,
                name=name,
                user_id=None,
                made_by=by,
            )
        )
    await store.aclose()


async def _keep_figures(data: Path, names: Sequence[str]) -> None:
    """Store models, codes and ids for the last minutes, as an earlier server would have done."""
    store = SqlStore(f"sqlite:///{data / 'wireside.db'}")
    await store.open()
    at = int(time.time()) // 60 * 60 - 300
    step = IntervalFigures(at=at, seconds=60, counts=Counter(messages=9, answers=9))
    step.models = step.errors = Counter(dict.fromkeys(names, 1000))
    step.examples = {name: name for name in names}
    await store.figures.store_steps([FigureStep(at, 60, step.to_json())])
    await store.aclose()


@pytest.fixture(scope="module")
def texts(corpus: ModuleType, worst: list[str]) -> list[str]:
    """Some of the hostile texts that fit into one line of a page, and all of the worst."""
    of_all = [
        p.text
        for p in corpus.payloads()
        if p.kind in KINDS and len(p.text) < 500 and p.text.strip() and "\0" not in p.text
    ]
    return list(dict.fromkeys([*worst, *random.Random(SEED).sample(of_all, COUNT)]))


@pytest.fixture(scope="module")
def worst(corpus: ModuleType) -> list[str]:
    """The few texts that try to break out of their context."""
    return [p.text for p in corpus.payloads() if p.kind in ("breakout", "polyglot")]


@pytest.fixture(scope="module")
def house(
    running_lab: Any,
    tmp_path_factory: pytest.TempPathFactory,
    served_with: Any,
    lasting_context: Callable[..., AbstractContextManager[BrowserContext]],
    worst: list[str],
) -> Iterator[House]:
    data: Path = tmp_path_factory.mktemp("hostile")
    work(_keep_figures(data, worst[:8]))
    server = served_with(
        running_lab.url, data, WIRESIDE_AUTH="password", WIRESIDE_SHARING="public",
        WIRESIDE_REQUESTS_PER_MINUTE_ADDRESS="100000",
    )  # fmt: skip
    link = server.administrator_link()
    house = House(server.url, data, "", new_record_id(), {})
    work(_add_mallory(data, house.mallory, "".join(worst[:12])))
    for who, address in (("ada", link), ("mallory", f"{server.url}/join?link=come%20in")):
        with lasting_context() as context:
            page = context.new_page()
            page.goto(address)
            if who == "ada":
                page.get_by_label("Name").fill("Ada")
            page.get_by_label("Password").fill(PASSWORD)
            page.get_by_role("button").click()
            expect(page.get_by_test_id("connection-status")).to_have_text("Connected")
            house.cookies[who] = data / f"{who}.json"
            context.storage_state(path=house.cookies[who])
            if who == "ada":
                house.ada = page.request.get(f"{server.url}/api/me").json()["id"]
    yield house
    server.stop()


@pytest.fixture
def mallory(house: House, new_context: NewContext, corpus: ModuleType) -> tuple[Watch, Page]:
    """A browser of the administrator with the hostile name, and its watch."""
    settings = {"storage_state": house.cookies["mallory"], "base_url": house.url}
    return watched(new_context(**settings), corpus, house.url)


def form(text: str) -> str:
    """The text as a page returns it, after HTML's normalisation of line ends."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def test_what_accounts_have_is_shown_and_that_is_all(
    house: House, mallory: tuple[Watch, Page], new_context: NewContext, texts: list[str]
) -> None:
    """Names, user agents, addresses, titles, details of the audit log."""
    watch, page = mallory
    house.seed(house.ada, [HARMLESS])
    ada = new_context(storage_state=house.cookies["ada"], base_url=house.url).new_page()
    shapes = {}
    for path in ("/settings", "/people", "/audit"):
        ada.goto(path)
        assert HARMLESS in ada.inner_text("main")
        shapes[path] = ada.evaluate(SHAPE)
    house.seed(house.mallory, texts)
    for path in shapes:
        page.goto(path)
        assert page.evaluate(SHAPE) == shapes[path], path
        shown = set(page.locator("li strong").all_text_contents())
        if path != "/audit":  # the audit log has further pages
            assert [text for text in texts if form(text) not in shown] == []
        watch.is_quiet()
    for _ in range(len(texts) // AUDIT_PAGE):
        page.get_by_role("link", name="Older").click()
        assert page.evaluate(SHAPE) == shapes["/audit"]
        watch.is_quiet()


def test_a_search_of_the_audit_log(
    house: House, mallory: tuple[Watch, Page], worst: list[str]
) -> None:
    watch, page = mallory
    page.goto("/audit?q=there-is-nothing")
    shape = page.evaluate(SHAPE)
    for text in random.Random(SEED).sample(worst, 20):
        page.goto(f"/audit?q={quote('there-is-nothing ' + text[:150], safe='')}")
        assert page.evaluate(SHAPE) == shape, text
        watch.is_quiet()


def test_the_door(
    house: House, new_context: NewContext, corpus: ModuleType, worst: list[str]
) -> None:
    """Refused names, the page requested before signing in, the name in an invitation."""
    watch, page = watched(new_context(base_url=house.url), corpus, house.url)
    work(_invite(house.data, house.ada, [HARMLESS, *worst]))

    def tried(text: str) -> str:
        page.goto(f"/login?next=/{quote(text, safe='')}")
        page.evaluate(
            "document.querySelectorAll('[required]').forEach((el) => (el.required = false))"
        )
        page.get_by_label("Name").fill(text)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_be_visible()
        return str(page.evaluate(SHAPE))

    def invited(text: str) -> str:
        page.goto(f"/join?link={quote(f'link of {text}', safe='')}")
        expect(page.get_by_label("Name")).to_be_visible()
        return str(page.evaluate(SHAPE))

    refused, welcome = tried(HARMLESS), invited(HARMLESS)
    for text in random.Random(SEED).sample(worst, 10):
        assert tried(text) == refused, text
        assert invited(text) == welcome, text
        watch.is_quiet()


def test_a_shared_conversation(
    house: House, mallory: tuple[Watch, Page], texts: list[str], worst: list[str]
) -> None:
    watch, page = mallory
    origin = {"Origin": house.url}
    rng = random.Random(SEED)
    for title in [HARMLESS, *rng.sample(worst, 8)]:
        said = texts if title == HARMLESS else [title]
        turns = [
            {
                "id": f"t{n}",
                "parent": f"t{n - 1}" if n else None,
                "question": text,
                "answer": [{"model": text, "parts": [{"type": "text", "text": text}]}],
            }
            for n, text in enumerate(said)
        ]
        file = {"format": "wireside", "version": 1,
                "conversations": [{"title": title, "turns": turns, "tags": []}]}  # fmt: skip
        made = page.request.post("/api/conversations/import", data=json.dumps(file), headers=origin)
        assert made.ok, made.text()
        (name,) = made.json()["conversations"]
        shared = page.request.post(f"/api/conversations/{name}/shares", headers=origin)
        page.goto(shared.json()["link"])
        assert page.locator("article").count() >= len(said)
        assert page.locator("article script, form, h1 *, title *").count() == 0
        watch.judge(page, "article")
    page.goto("/")  # with the account's name in the sidebar
    expect(page.get_by_test_id("connection-status")).to_have_text("Connected")
    assert page.get_by_test_id("account").locator("*").count() == 2
    assert worst[0] in page.get_by_test_id("account").inner_text()
    watch.judge(page, f"{TEXTS}, .ws-sidebar-list")


def test_the_dashboard(
    house: House, mallory: tuple[Watch, Page], texts: list[str], worst: list[str]
) -> None:
    """Names of models, codes, ids: in the page as delivered, and all of them at once."""
    watch, page = mallory
    page.goto("/dashboard")
    tables = page.locator(".ws-dashboard-tables")
    expect(tables.locator(".ws-dashboard-name")).to_have_count(8)
    assert set(tables.locator(".ws-dashboard-name").all_text_contents()) == {
        form(t) for t in worst[:8]
    }
    cells = "[...document.querySelectorAll('.ws-dashboard-tables *')].map((el) => el.localName)"
    known = set(page.evaluate(cells))
    watch.judge(page, ".ws-dashboard-name, .ws-dashboard-tables code")
    shown = page.evaluate(
        """async ([texts, sums]) => {
          const element = document.querySelector(".ws-dashboard-page").closest("[id]");
          const page = getElement(element.id.slice(1));
          page.show({
            series: { t: [] }, sums, servers: [], since: 0, until: 1,
            models: texts.map((text) => [text, 1]), errors: texts.map((text) => [text, 1, text]),
          });
          await new Promise((done) => setTimeout(done, 100));
          return document.querySelectorAll(".ws-dashboard-name").length;
        }""",
        [texts, {}],
    )
    assert shown == len(texts)
    assert set(page.evaluate(cells)) == known
    watch.judge(page, ".ws-dashboard-name, .ws-dashboard-tables code")


def test_the_doctor(
    house: House, new_context: NewContext, corpus: ModuleType, texts: list[str], worst: list[str]
) -> None:
    """Headers that proxies may write, as received by the server; then all parts of a finding."""
    headers = [text for text in worst if text.isascii() and text.isprintable()]
    context = new_context(
        storage_state=house.cookies["mallory"],
        base_url=house.url,
        extra_http_headers={
            "X-Forwarded-For": headers[0],
            "X-Forwarded-Host": headers[1],
            "X-Forwarded-Proto": headers[2],
            "X-Forwarded-Server": headers[3],
            "X-Real-IP": headers[4],
            "Via": "".join(headers[5:9])[:200],
        },
    )
    watch, page = watched(context, corpus, house.url)
    judged = '[...document.querySelectorAll("#findings *")].map((el) => el.localName)'
    ours = {"li", "span", "strong", "div", "p", "b", "figure", "figcaption", "pre"}
    page.goto("/doctor")
    page.evaluate("document.querySelector('#silence option').value = '1'")
    page.get_by_role("button", name="Run the test").click()
    page.locator("#findings > li").first.wait_for(timeout=50_000)
    assert headers[0][:20] in page.inner_text("#findings")
    assert set(page.evaluate(judged)) <= ours
    watch.is_quiet()
    findings = [
        {"check": text, "state": "failed", "seen": text, "hop": text, "remedy": text,
         "lines": {text: text}}
        for text in texts
    ]  # fmt: skip
    page.route("**/api/doctor/judge", lambda route: route.fulfill(json={"findings": findings}))
    page.get_by_role("button", name="again").click()
    expect(page.locator("#findings > li")).to_have_count(len(texts), timeout=50_000)
    assert set(page.evaluate(judged)) <= ours
    watch.is_quiet()
