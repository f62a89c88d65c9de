"""Search returns a result for any query."""

from __future__ import annotations

import asyncio
import threading
import unicodedata
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any

import pytest
import structlog
from sqlalchemy import Connection, text

from wireside.errors import StoreError
from wireside.messages import End, TextDelta
from wireside.parts import TextPart
from wireside.records import (
    Branch,
    ConversationInfo,
    Folder,
    Hit,
    Member,
    SearchFilter,
    Segment,
    TurnRecord,
    UserAccount,
)
from wireside.store import migrate, search
from wireside.store.database import create_database
from wireside.store.store import SqlStore
from wireside.store.words import index_tokens


@pytest.mark.parametrize(
    ("title", "query"),
    [
        ("a ½ cup", "½"),
        ("a ½ cup", "1 2 cup"),
        ("coŀlegi", "coŀlegi"),
        ("ﷺ", "ﷺ"),
        ("step ①", "1"),
        ("\u1999\u19b0\u1999", "\u1999\u19b0\u1999"),
    ],
)
async def test_characters_that_are_several_words_are_found(
    store: SqlStore, title: str, query: str
) -> None:
    await store.create_conversation(
        ConversationInfo(id="c", title=title, created_at=0.0, updated_at=0.0)
    )
    hits = await store.search_documents(query, cursor=None, limit=9)
    assert ["".join(hit.snippet) for hit in hits] == [title]


async def test_a_cursor_may_be_any_number(store: SqlStore) -> None:
    await store.create_conversation(
        ConversationInfo(id="c", title="wombat", created_at=0.0, updated_at=0.0)
    )
    assert len(await store.search_documents("wombat", cursor=2**70, limit=9)) == 1
    assert await store.search_documents("wombat", cursor=-(2**70), limit=9) == []


async def test_only_a_new_title_makes_a_conversation_newer(store: SqlStore) -> None:
    old, new = (
        ConversationInfo(id=name, title=f"wombat {name}", created_at=0.0, updated_at=0.0)
        for name in ("old", "new")
    )
    await store.create_conversation(old)
    await store.create_conversation(new)
    await store.update_conversation(
        ConversationInfo(
            id="old", title="wombat old", created_at=0.0, updated_at=0.0, pinned_at=5.0
        )
    )
    hits = await store.search_documents("wombat", cursor=None, limit=9)
    assert [hit.conversation_id for hit in hits] == ["new", "old"]
    await store.update_conversation(
        ConversationInfo(id="old", title="wombat again", created_at=0.0, updated_at=0.0)
    )
    hits = await store.search_documents("wombat", cursor=None, limit=9)
    assert [hit.title for hit in hits] == ["wombat again", "wombat new"]


def _nfd(text: str) -> str:
    return unicodedata.normalize("NFD", text)


FOUND = [
    # diacritics, in any normal form
    (_nfd("Ein Café in Zürich"), "café zürich"),
    ("Ein Café in Zürich", _nfd("café")),
    (_nfd("Tiếng Việt dễ"), "việt"),
    (_nfd("서울에서"), "서울"),
    (_nfd("ガラスの靴"), "ガラス"),
    ("قال مُحَمَّدٌ ذلك", "محمد"),
    ("مــرحبا بك", "مرحبا"),
    ("أحمد في المدرسة", "احمد"),
    ("إلى مدرسة", "مدرسه"),
    ("من می‌خواهم", "میخواهم"),
    ("שָׁלוֹם עוֹלָם", "שלום"),
    ("नई खोज हुई", "खोज"),
    ("किताब", "किता"),
    ("हिन्दी भाषा", "हिंदी"),
    ("हिंदी भाषा", "हिन्दी"),
    ("ক্লাসে যাই", "ক্লাস"),
    ("தமிழ் மொழி", "தமிழ்"),
    # scripts without spaces
    ("วันนี้อากาศดีมาก", "อากาศ"),
    ("ຂ້ອຍຮັກປະເທດລາວ", "ປະເທດ"),
    ("ខ្ញុំចង់ទៅផ្សារ", "ផ្សារ"),
    ("ကျွန်တော်မြန်မာစာသင်နေတယ်", "မြန်မာ"),
    ("我想去北京大学看看", "北京大学"),
    ("東京スカイツリーへ", "スカイツリー"),
    ("서울대학교에서", "대학"),
    # inside words
    ("a WebSocketHandler here", "Handler"),
    ("get_user_name()", "user_name"),
    ("Donaudampfschifffahrtsgesellschaft", "dampf"),
    ("Donaudampfschifffahrtsgesellschaft", "schifffahrtsges"),
    ("Электровелосипед", "велосипед"),
    ("XMLHttpRequest", "httpreq"),
    ("order 12345678", "34567"),
    # symbols
    ("I write C++ daily", "C++"),
    ("now C++17 is out", "c++"),
    ("(C#)", "c#"),
    ("F#, too", "f#"),
    ("ASP.NET Core", ".NET"),
    ("edit .env first", ".env"),
    ("TCP/IP stack", "tcp/ip"),
    ("the R&D budget", "R&D"),
    ("see #python", "#python"),
    ("an @property", "@property"),
    # emoji
    ("well done 👍🏽", "👍🏽"),
    ("well done 👍🏽", "👍"),
    ("the 👨‍👩‍👧‍👦 here", "👨‍👩‍👧‍👦"),
    ("a 👩🏽‍💻 codes", "👩‍💻"),
    ("love ❤️ it", "❤"),
    ("love ❤ it", "❤️"),
    ("in 🇩🇪🇫🇷", "🇫🇷"),
    ("press 1️⃣", "1️⃣"),
    ("price €5", "€"),
]


async def test_texts_are_found_and_what_matches_is_marked(store: SqlStore) -> None:
    await _create(store, [body for body, _ in FOUND])
    missed = []
    for number, (body, query) in enumerate(FOUND):
        hits = await store.search_documents(query, cursor=None, limit=200)
        snippets = [hit.snippet for hit in hits if hit.conversation_id == f"c{number}"]
        if ["".join(one) for one in snippets] != [body] or len(snippets[0]) == 1:
            missed.append((body, query, snippets))
    assert missed == []


async def _create(store: SqlStore, titles: Sequence[str]) -> None:
    for number, title in enumerate(titles):
        await store.create_conversation(
            ConversationInfo(id=f"c{number}", title=title, created_at=0.0, updated_at=0.0)
        )


NOT_FOUND = [
    ("नई खबर और जल", "खोज"),
    ("कल का काम", "की"),
    ("C, Clojure and COBOL", "C++"),
    ("C++ and C", "C#"),
    ("net income", ".net"),
    ("an internet page", ".net"),
    ("i see only oranges", "I/O"),
    ("発展する中国", "国発"),
    ("北京和大学", "北京大学"),
    ("かがみ", "ががみ"),
    ("a kiosk", "os"),  # two letters match the beginning of a word only
    ("inner winner", "dinner"),
    ("abcdefgh cdefghij", "abcdefghij"),  # all its n-grams, but not the word
    ("well done 👍🏿", "👍🏽"),
    ("👨 and 👩 and 👧", "👨‍👩‍👧"),
    ("in 🇩🇪🇫🇷", "🇪🇫"),
    ("wombat", "wombat zebra"),
    ("wombat", "…—"),
]


async def test_other_texts_are_not_found(store: SqlStore) -> None:
    await _create(store, [body for body, _ in NOT_FOUND])
    found = []
    for number, (body, query) in enumerate(NOT_FOUND):
        hits = await store.search_documents(query, cursor=None, limit=200)
        if f"c{number}" in [hit.conversation_id for hit in hits]:
            found.append((body, query))
    assert found == []


async def test_pages_of_hits_skip_what_only_has_the_grams(store: SqlStore) -> None:
    for number in range(9):
        body = "abcdefghij" if number % 4 == 0 else "abcdefgh cdefghij"
        await store.create_conversation(
            ConversationInfo(id=f"c{number}", title=body, created_at=0.0, updated_at=0.0)
        )
    first = await store.search_documents("abcdefghij", cursor=None, limit=2)
    rest = await store.search_documents("abcdefghij", cursor=first[-1].cursor, limit=2)
    assert [hit.conversation_id for hit in [*first, *rest]] == ["c8", "c4", "c0"]


async def test_signs_of_the_databases_query_languages_are_no_error(store: SqlStore) -> None:
    await store.create_conversation(
        ConversationInfo(id="c", title="wombat", created_at=0.0, updated_at=0.0)
    )
    for query in ("'", '"', "wombat'", "a:*", "!wombat", "wom* NEAR(", "\\", "((", "~omb", "\0"):
        await store.search_documents(query, cursor=None, limit=9)


async def test_what_is_removed_is_not_found_inside_words(store: SqlStore) -> None:
    await store.create_conversation(
        ConversationInfo(id="c", title="WebSocketHandler", created_at=0.0, updated_at=0.0)
    )
    await store.update_conversation(
        ConversationInfo(id="c", title="other", created_at=0.0, updated_at=0.0)
    )
    assert await store.search_documents("handler", cursor=None, limit=9) == []
    assert len(await store.search_documents("ther", cursor=None, limit=9)) == 1


async def test_what_a_killed_server_had_not_indexed_is_found(url: str) -> None:
    store = SqlStore(url)
    await store.open()
    for number in range(120):
        info = ConversationInfo(id=f"c{number}", title="wombat", created_at=0.0, updated_at=0.0)
        await store.create_conversation(info)
    await store.delete_conversations(["c119", "c5"], 1.0)
    await store.purge_conversations(2.0)
    await store.aclose()  # without ``look_after``, as a killed one
    store = SqlStore(url)
    await store.open()
    hits = await store.search_documents("wombat", cursor=None, limit=200)
    numbers = [number for number in reversed(range(119)) if number != 5]
    assert [hit.conversation_id for hit in hits] == [f"c{number}" for number in numbers]
    await store.aclose()


async def test_documents_are_indexed_in_the_background(store: SqlStore) -> None:
    for number in range(120):
        title = "signs only" if number < 60 else "."
        info = ConversationInfo(id=f"c{number}", title=title, created_at=0.0, updated_at=0.0)
        await store.create_conversation(info)
    await store.look_after()
    assert await store._database.read(search.added_texts) == ({}, False)


async def test_tokens_are_not_made_on_the_event_loop(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []

    def tokens_of(text: str) -> list[str]:
        threads.append(threading.get_ident())
        return index_tokens(text)

    monkeypatch.setattr(search, "index_tokens", tokens_of)
    for name in ("a", "b"):
        info = ConversationInfo(id=name, title="wombat", created_at=0.0, updated_at=0.0)
        await store.create_conversation(info)
    assert threads == []  # not a part of the transaction that adds a text
    assert len(await store.search_documents("wombat", cursor=None, limit=9)) == 2
    assert len(threads) == 2
    assert threading.get_ident() not in threads


async def test_two_servers_index_the_same_texts_once(
    create: Callable[..., Coroutine[Any, Any, str]],
) -> None:
    postgresql_url = await create("postgresql", is_migrated=True)
    stores = [SqlStore(postgresql_url, is_shared=True) for _ in range(2)]
    for store in stores:
        await store.open()
    for number in range(200):
        info = ConversationInfo(id=f"c{number}", title="wombat", created_at=0.0, updated_at=0.0)
        await stores[0].create_conversation(info)
    found = await asyncio.gather(
        *[store.search_documents("wombat", cursor=None, limit=300) for store in stores]
    )
    assert [len(hits) for hits in found] == [200, 200]
    for store in stores:
        await store.aclose()


async def test_a_text_that_another_transaction_holds_is_indexed_later(
    create: Callable[..., Coroutine[Any, Any, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    postgresql_url = await create("postgresql", is_migrated=True)
    monkeypatch.setattr("wireside.store.store.INDEX_WAIT_S", 0.0)
    store = SqlStore(postgresql_url)
    await store.open()
    for name in ("a", "b"):
        info = ConversationInfo(id=name, title="wombat", created_at=0.0, updated_at=0.0)
        await store.create_conversation(info)
    driver = await store.connect_driver()
    held = driver.transaction()
    await held.start()
    await driver.execute("SELECT 1 FROM documents WHERE ref = 'a' FOR UPDATE")
    hits = await store.search_documents("wombat", cursor=None, limit=9)
    assert [hit.conversation_id for hit in hits] == ["b"]
    await held.rollback()
    await driver.close()
    hits = await store.search_documents("wombat", cursor=None, limit=9)
    assert {hit.conversation_id for hit in hits} == {"a", "b"}
    await store.aclose()


async def test_a_store_that_can_not_be_written_is_searched(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = ConversationInfo(id="c", title="wombat", created_at=0.0, updated_at=0.0)
    await store.create_conversation(info)
    await store.look_after()
    await store.create_conversation(replace(info, id="later"))

    async def fail(_: object) -> None:
        raise StoreError

    monkeypatch.setattr(store._database, "write", fail)
    found = await store.search_documents("wombat", cursor=None, limit=9)
    assert "c" in [hit.conversation_id for hit in found]


async def test_what_others_share_is_found_by_its_members(store: SqlStore) -> None:
    grace = UserAccount(id="grace", name="grace", role="user", created_at=1.0)
    assert await store.accounts.add_user(grace)
    members = (
        Member(kind="user", id="grace", access="read"),
        Member(kind="group", id="lab", access="read"),
    )
    for name, owner, shared in (
        ("own", "grace", ()),
        ("shared", "ada", members),
        ("private", "ada", ()),
    ):
        info = ConversationInfo(id=name, title="", created_at=0.0, updated_at=0.0, owner=owner)
        turn = TurnRecord(
            id=f"t-{name}",
            conversation_id=name,
            branch=0,
            depth=0,
            question_parts=(TextPart("A wombat"),),
            created_at=1.0,
        )
        branch = Branch(id=0, parent=None, first=0, last=0)
        await store.add_imported(info, [branch], 0, [turn])
        await store.update_conversation(replace(info, members=shared))

    async def found(user: str, groups: frozenset[str] | None) -> set[str]:
        hits = await store.search_documents(
            "wombat", owner=user, groups=groups, cursor=None, limit=9
        )
        assert all(hit.place == (0, 0) for hit in hits)
        return {f"{hit.conversation_id} of {hit.owner}" for hit in hits}

    none: frozenset[str] = frozenset()
    assert await found("grace", None) == {"own of grace"}
    assert await found("grace", none) == {"own of grace", "shared of ada"}
    assert await found("mary", frozenset({"lab", "x"})) == {"shared of ada"}
    assert await found("mary", none) == set()
    assert await found("lab", frozenset({"grace"})) == set()  # a group is not a user of its name


async def test_a_database_of_before_is_indexed_again(url: str) -> None:
    old = create_database(url)
    await old.open()

    def make(connection: Connection) -> None:
        migrate.upgrade(connection, "0006")
        for number in range(120):
            row = {"id": f"c{number}", "body": f"WebSocketHandler C++ {number}"}
            connection.execute(
                text(
                    "INSERT INTO conversations (id, title, title_source, created_at, updated_at,"
                    " shown) VALUES (:id, :body, 'words', 1, 2, 0)"
                ),
                row,
            )
            connection.execute(
                text(
                    "INSERT INTO documents (ref, conversation_id, kind, body, created_at)"
                    " VALUES (:id, :id, 'title', :body, 1)"
                ),
                row,
            )

    await old.write(make)
    await old.aclose()
    with structlog.testing.capture_logs() as lines:
        store = SqlStore(url)
        await store.open()
    told = [line["documents"] for line in lines if line["event"] == "search_indexed"]
    assert told[-1] == 120
    assert len(await store.search_documents("handler c++", cursor=None, limit=200)) == 120
    await store.aclose()


async def test_a_hit_says_whether_its_conversation_is_archived(store: SqlStore) -> None:
    for name, archived_at in (("here", None), ("away", 5.0)):
        info = ConversationInfo(id=name, title="wombat", created_at=0.0, updated_at=0.0)
        await store.create_conversation(replace(info, archived_at=archived_at))
    await store.look_after()
    found = await store.search_documents("wombat", cursor=None, limit=9)
    assert {hit.conversation_id: hit.is_archived for hit in found} == {"here": False, "away": True}


# ---- filters -----------------------------------------------------------------------------------


@pytest.fixture
async def filled(store: SqlStore) -> SqlStore:
    """Two conversations about wombats: one with a folder and tags, one with another model."""
    folder = Folder(id="f", owner="", name="Animals", created_at=0.0)
    await store.folders.add_folder(folder, max_count=1)
    for name, model, at in (("a", "model-a", 100.0), ("b", "model-b", 200.0)):
        info = ConversationInfo(
            id=name,
            title=f"Wombats {name}",
            created_at=at,
            updated_at=at + 50,
            folder_id="f" if name == "a" else None,
            tags=("zoo", "cute") if name == "a" else ("zoo",),
        )
        segment = Segment(
            stream=f"s{name}",
            model=model,
            entries=(TextDelta(f"A wombat is {name}"),),
            end=End("stop"),
            created_at=at + 20,
        )
        turn = TurnRecord(
            id=f"t{name}",
            conversation_id=name,
            branch=0,
            depth=0,
            question_parts=(TextPart(f"Where is a wombat? {name}"),),
            created_at=at + 10,
            segments=(segment,),
        )
        branch = Branch(id=0, parent=None, first=0, last=0)
        assert await store.add_imported(info, [branch], 0, [turn])
    return store


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, ["b answer", "b question", "b title", "a answer", "a question", "a title"]),
        ({"kind": "title"}, ["b title", "a title"]),
        ({"kind": "question"}, ["b question", "a question"]),
        ({"kind": "answer"}, ["b answer", "a answer"]),
        ({"folder_id": "f"}, ["a answer", "a question", "a title"]),
        ({"folder_id": "other"}, []),
        ({"tag": "cute", "kind": "title"}, ["a title"]),
        ({"tag": "zoo", "kind": "title"}, ["b title", "a title"]),
        ({"model": "model-b"}, ["b answer", "b question"]),
        ({"model": "model-b", "kind": "question"}, ["b question"]),
        ({"since": 200.0, "until": 215.0}, ["b question", "b title"]),
        ({"until": 110.0}, ["a title"]),
    ],
)
async def test_filters_restrict_what_is_found(
    filled: SqlStore, filters: dict[str, Any], found: list[str]
) -> None:
    async def places(limit: int) -> list[str]:
        hits: list[Hit] = []
        while True:
            cursor = hits[-1].cursor if hits else None
            page = await filled.search_documents(
                "wombat", filters=SearchFilter(**filters), cursor=cursor, limit=limit
            )
            hits += page
            if len(page) < limit:
                return [f"{hit.conversation_id} {hit.kind}" for hit in hits]

    assert sorted(await places(100)) == sorted(found)
    assert await places(1) == await places(100)


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, []),
        ({"tag": "zoo"}, ["b", "a"]),
        ({"tag": "cute"}, ["a"]),
        ({"folder_id": "f"}, ["a"]),
        ({"model": "model-b"}, ["b"]),
        ({"since": 160.0}, ["b"]),
        ({"since": 120.0, "until": 150.0}, ["a"]),
        ({"tag": "zoo", "model": "model-c"}, []),
    ],
)
async def test_filters_without_words_find_conversations(
    filled: SqlStore, filters: dict[str, Any], found: list[str]
) -> None:
    given = SearchFilter(**filters)
    hits = await filled.search_documents(" ", filters=given, cursor=None, limit=9)
    assert [hit.conversation_id for hit in hits] == found
    assert all(hit.kind == "title" and "Wombats" in hit.snippet[0] for hit in hits)
    others = await filled.search_documents("", owner="v", filters=given, cursor=None, limit=9)
    assert others == []
    assert await filled.search_documents("---", filters=given, cursor=None, limit=9) == []
