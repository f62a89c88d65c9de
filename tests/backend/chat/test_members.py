"""Conversations shared with users and groups: what each of them may do, and the end of sharing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.backend.chat.sharing_users import ADA, EVE, GRACE, MARY, SECRET, ask, share
from wireside.chat.access import check_right, right_on
from wireside.chat.asking import NEW
from wireside.chat.conversation import Conversation, ConversationTurn
from wireside.chat.core import ChatCore
from wireside.chat.members import MAX_MEMBERS
from wireside.chat.service import ChatService
from wireside.chat.watchers import SharedChanged
from wireside.errors import BadMessage, Forbidden, NotFound, TooMany, WiresideError
from wireside.files.service import question_parts
from wireside.identity import Caller
from wireside.messages import Options
from wireside.parts import upload_of
from wireside.ports.quotas import Quotas, Unlimited
from wireside.providers.scripted import ScriptedProvider
from wireside.records import (
    ConversationInfo,
    Feedback,
    Member,
    MemberAccess,
    SearchFilter,
)
from wireside.store.store import SqlStore


class CountedQuotas(Unlimited):
    """Counts, and limits nothing."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.tokens: list[str] = []
        self.slots: list[str] = []

    def acquire_slot(self, caller: Caller, *, is_due: bool = False) -> Callable[[], None]:
        self.slots.append(caller.user_id)
        return lambda: self.slots.remove(caller.user_id)

    async def record_message(self, caller: Caller) -> None:
        self.messages.append(caller.user_id)

    async def record_tokens(self, caller: Caller, count: int) -> None:
        self.tokens.append(caller.user_id)


@pytest.fixture
def quotas() -> Quotas:
    return CountedQuotas()


def changes_of(
    chat: ChatService, conversation: Conversation, turn: ConversationTurn
) -> dict[str, Callable[[], Awaitable[object]]]:
    """All changes of a conversation that only its owner may make."""
    library, options = chat.library, Options(model="model-a")
    return {
        "choose_options": lambda: chat.choose_options(conversation, options),
        "compact": lambda: chat.compact(conversation),
        "undo_compaction": lambda: chat.undo_compaction(conversation, turn.id),
        "retry": lambda: chat.retry_turn(conversation, turn.id),
        "edit_turn": lambda: chat.edit_turn(conversation, turn.id, "x", new_turn_id="n1"),
        "edit_answer": lambda: chat.edit_answer(conversation, turn.id, "x", new_turn_id="n2"),
        "continue": lambda: chat.continue_answer(conversation, turn.id),
        "sibling": lambda: chat.show_sibling(conversation, turn.id, 1),
        "feedback": lambda: chat.give_feedback(conversation, turn.id, Feedback("up")),
        "keep": lambda: chat.keep_answer(conversation, turn.id),
        "results": lambda: chat.give_results(conversation, turn.id, {"c": "r"}, options),
        "compare": lambda: chat.compare(
            conversation, "x", turn_id="n3", models=["model-a", "model-b"], options=options
        ),
        "ask_after": lambda: chat.ask_after(
            turn.id, "x", conversation=conversation, turn_id="n4", options=options
        ),
        "usage": lambda: library.usage_of(conversation),
    }


def own_changes_of(
    chat: ChatService, conversation_id: str
) -> dict[str, Callable[[], Awaitable[object]]]:
    """All changes by id, for which the conversation of another user does not exist."""
    library = chat.library
    return {
        "rename": lambda: library.rename(conversation_id, "mine"),
        "pin": lambda: library.pin(conversation_id, True),
        "archive": lambda: library.archive(conversation_id, True),
        "move": lambda: library.move(conversation_id, None),
        "tag": lambda: library.tag(conversation_id, ["x"]),
        "put": lambda: library.members.put(conversation_id, "user", "Eve", "reply"),
        "remove": lambda: library.members.remove(conversation_id, "user", GRACE.user_id),
    }


async def outcome_of(work: Callable[[], Awaitable[object]]) -> type[WiresideError] | None:
    try:
        await work()
    except WiresideError as error:
        return type(error)
    return None


def test_the_right_is_that_of_the_owner_or_the_best_of_the_members() -> None:
    info = ConversationInfo(
        id="c",
        title="",
        created_at=0,
        updated_at=0,
        owner=ADA.user_id,
        members=(
            Member(kind="user", id=MARY.user_id, access="read"),
            Member(kind="group", id="lab", access="reply"),
            # a group is not a user of the same name, nor the other way round
            Member(kind="group", id=EVE.user_id, access="reply"),
            Member(kind="user", id="spies", access="reply"),
        ),
    )
    callers = (ADA, MARY, GRACE, EVE)
    assert [right_on(info, caller) for caller in callers] == ["own", "reply", None, None]
    alone = replace(MARY, groups=frozenset())
    assert right_on(info, alone) == "read"
    with pytest.raises(Forbidden):
        check_right(right_on(info, alone), "reply")
    with pytest.raises(NotFound):
        check_right(right_on(info, EVE), "read")


@pytest.mark.parametrize("access", ["read", "reply"])
async def test_a_member_reads_and_changes_nothing(
    users: dict[str, ChatService], provider: ScriptedProvider, access: MemberAccess
) -> None:
    ada, grace, eve = users["Ada"], users["Grace"], users["Eve"]
    conversation, turn = await ask(ada, provider, "Hi")
    assert await grace.library.find_readable(conversation.id) is None
    await share(ada, conversation, "Grace", access)

    assert await grace.library.find_readable(conversation.id) is conversation
    assert await grace.library.open_conversation(conversation.id) is None
    (read,) = await grace.library.read_turns(conversation, 0, 0)
    assert (read.question, read.text) == ("Hi", "re Hi")
    assert [one.id for one in (await grace.library.list_shared()).conversations] == [
        conversation.id
    ]
    assert (await grace.library.list_page()).conversations == ()
    assert (await ada.library.list_shared()).conversations == ()
    assert await grace.options_of(conversation) == Options(model="model-a")

    before = conversation.version
    for name, work in changes_of(grace, conversation, turn).items():
        assert await outcome_of(work) is Forbidden, name
    for name, work in changes_of(eve, conversation, turn).items():
        assert await outcome_of(work) is NotFound, name
    for chat in (grace, eve):
        for name, work in own_changes_of(chat, conversation.id).items():
            assert await outcome_of(work) is NotFound, name
        await chat.library.delete([conversation.id])
    assert conversation.version == before
    assert not conversation.is_deleted

    for work in (
        lambda: eve.library.read_turns(conversation, 0, 0),
        lambda: eve.library.read_turn(conversation, turn.id),
        lambda: eve.last_turn(conversation),
        lambda: eve.context_use(conversation),
        lambda: eve.compared_turns(conversation, turn),
        lambda: eve.library.duplicate(conversation.id),
        lambda: eve.library.fork(conversation.id, turn.id),
        lambda: eve.find_stream(turn.segments[0].name, includes_shared=True),
        lambda: eve.send_question(conversation, "x", turn_id="n", options=Options()),
        lambda: eve.withdraw_turn(conversation, turn.id),
        lambda: eve.answer_question(conversation, None, "p", True),
    ):
        assert await outcome_of(work) is NotFound


async def test_a_reader_cannot_ask_and_one_who_replies_can(
    users: dict[str, ChatService], provider: ScriptedProvider, quotas: CountedQuotas
) -> None:
    ada, grace = users["Ada"], users["Grace"]
    conversation, first = await ask(ada, provider, "Hi")
    await share(ada, conversation, "Grace", "read")
    with pytest.raises(Forbidden):
        await grace.ask_in_conversation(conversation.id, "Me?", key=None, options=Options())
    with pytest.raises(Forbidden):
        await grace.check_question(conversation, "Me?", Options(), file_count=0)

    await share(ada, conversation, "Grace", "reply")
    quotas.messages.clear()
    quotas.tokens.clear()
    _, turn = await ask(grace, provider, "Me?", conversation.id)
    assert (conversation.total, turn.asked_by, first.asked_by) == (2, GRACE.user_id, None)
    assert [one.text for one in provider.calls[-1].request.messages] == ["Hi", "re Hi", "Me?"]
    assert quotas.messages == [GRACE.user_id]
    while not quotas.tokens:
        await asyncio.sleep(0.001)
    assert quotas.tokens == [GRACE.user_id]
    assert provider.calls[-1].request.context.user_id == GRACE.user_id
    assert quotas.slots == []


async def test_a_question_that_waits_runs_for_the_one_who_asked_it(
    users: dict[str, ChatService], provider: ScriptedProvider, quotas: CountedQuotas
) -> None:
    ada, grace = users["Ada"], users["Grace"]
    conversation, _ = await ask(ada, provider, "Hi")
    await share(ada, conversation, "Grace", "reply")
    await ada.ask_in_conversation(conversation.id, "long", key=None, options=Options())
    running = await provider.call(1)
    _, waiting = await grace.ask_in_conversation(
        conversation.id, "next", key=None, options=Options()
    )
    _, withdrawn = await grace.ask_in_conversation(
        conversation.id, "never", key=None, options=Options()
    )
    _, last = await ada.ask_in_conversation(conversation.id, "own", key=None, options=Options())
    with pytest.raises(Forbidden):  # a member takes back what it has asked, nothing else
        await grace.withdraw_turn(conversation, last.id)
    await grace.withdraw_turn(conversation, withdrawn.id)
    assert quotas.slots == [ADA.user_id]
    quotas.tokens.clear()
    running.finish()
    answer = await provider.call(2)
    assert quotas.slots == [GRACE.user_id]
    assert answer.request.context.user_id == GRACE.user_id
    # sharing may end while the question of a member is answered: the answer is the owner's
    await ada.library.members.remove(conversation.id, "user", GRACE.user_id)
    answer.say("done")
    answer.finish()
    (await provider.call(3)).finish()
    while quotas.slots or len(quotas.tokens) < 3:
        await asyncio.sleep(0.001)
    assert waiting.text == "done"
    assert sorted(quotas.tokens) == sorted([ADA.user_id, GRACE.user_id, ADA.user_id])


async def test_the_end_of_sharing_reaches_lists_pages_and_streams(
    users: dict[str, ChatService], provider: ScriptedProvider
) -> None:
    ada, grace = users["Ada"], users["Grace"]
    conversation, turn = await ada.ask_in_conversation(NEW, "Hi", key=None, options=SECRET)
    call = await provider.call(0)
    call.say("half")
    lists: list[object] = []
    unwatch = grace.library.watch(lists.append)
    await share(ada, conversation, "Grace", "read")
    assert SharedChanged() in lists
    stream = await grace.find_stream(turn.segments[0].name, includes_shared=True)
    assert stream is turn.segments[0]
    with pytest.raises(NotFound):  # other doors reach the caller's own streams only
        await grace.find_stream(stream.name)
    assert not await grace.may_stop(stream)
    with pytest.raises(Forbidden):
        await grace.stop_stream(stream)
    shown: list[str | None] = []
    ended: list[bool] = []
    grace.watch_conversation(conversation, shown.append)
    await grace.watch_access(stream, lambda: ended.append(True))
    await share(ada, conversation, "Grace", "reply")
    assert await grace.may_stop(stream)
    assert not ended
    lists.clear()
    shown.clear()
    await ada.library.members.remove(conversation.id, "user", GRACE.user_id)
    assert (ended, lists, shown) == ([True], [SharedChanged()], [None])
    with pytest.raises(NotFound):
        await grace.watch_access(stream, lambda: None, conversation.id)
    with pytest.raises(NotFound):
        await grace.library.read_turns(conversation, 0, 0)
    assert (await grace.library.list_shared()).conversations == ()
    call.finish()
    unwatch()


async def test_members_are_users_and_own_groups(
    users: dict[str, ChatService], provider: ScriptedProvider, store: SqlStore
) -> None:
    ada, mary = users["Ada"], users["Mary"]
    members = ada.library.members
    conversation, _ = await ask(ada, provider, "Hi")
    for name in ("Nobody", "", "Ada", ADA.user_id):
        with pytest.raises(BadMessage):
            await members.put(conversation.id, "user", name, "read")
    await store.accounts.disable_user(GRACE.user_id, 1.0)
    with pytest.raises(BadMessage):
        await members.put(conversation.id, "user", "Grace", "read")
    with pytest.raises(BadMessage):
        await members.put(conversation.id, "group", "spies", "read")
    await members.put(conversation.id, "group", "lab", "reply")
    await members.put(conversation.id, "user", "Eve", "read")
    assert [one.id for one in (await mary.library.list_shared()).conversations] == [conversation.id]
    # what the owner may do with a group does not depend on being in it still
    left = ada.for_caller(replace(ADA, groups=frozenset())).library.members
    await left.put(conversation.id, "group", "lab", "read")
    with pytest.raises(Forbidden):
        await mary.ask_in_conversation(conversation.id, "x", key=None, options=Options())
    audience = await mary.library.members.audience_of(conversation.info)
    assert (audience.owner, [(one.name, one.member.access) for one in audience.members]) == (
        "ada",
        [("lab", "read"), ("eve", "read")],
    )
    # it is stored, and survives other changes
    await ada.library.rename(conversation.id, "Title")
    stored = await store.conversation(conversation.id)
    assert stored is not None
    assert stored.info.members == conversation.info.members
    await store.accounts.remove_user(EVE.user_id, 2.0)
    stored = await store.conversation(conversation.id)
    assert stored is not None
    assert [one.id for one in stored.info.members] == ["lab"]
    await ada.library.pin(conversation.id, True)  # the object in memory does not bring it back
    stored = await store.conversation(conversation.id)
    assert stored is not None
    assert [one.id for one in stored.info.members] == ["lab"]
    audience = await ada.library.members.audience_of(conversation.info)
    assert [one.name for one in audience.members] == ["lab"]
    await left.remove(conversation.id, "group", "lab")
    with pytest.raises(NotFound):
        await left.remove(conversation.id, "group", "lab")


async def test_members_are_bounded(
    users: dict[str, ChatService], provider: ScriptedProvider
) -> None:
    conversation, _ = await ask(users["Ada"], provider, "Hi")
    many = replace(ADA, groups=frozenset(f"g{number}" for number in range(MAX_MEMBERS + 1)))
    members = users["Ada"].for_caller(many).library.members
    for number in range(MAX_MEMBERS):
        await members.put(conversation.id, "group", f"g{number}", "read")
    with pytest.raises(TooMany):
        await members.put(conversation.id, "group", f"g{MAX_MEMBERS}", "read")
    await members.put(conversation.id, "group", "g0", "reply")


async def test_a_members_copy_is_its_own_and_without_private_things(
    users: dict[str, ChatService], provider: ScriptedProvider, store: SqlStore
) -> None:
    ada, grace = users["Ada"], users["Grace"]
    file = await ada.files.upload_file("a.txt", _pieces(b"what is in it"))
    conversation, turn = await ada.ask_in_conversation(
        NEW, "Hi", key=None, options=SECRET, attachments=[file.id]
    )
    (await provider.call(0)).finish()
    while turn.is_live or not turn.segments:
        await asyncio.sleep(0.001)
    await ada.give_feedback(conversation, turn.id, Feedback("down", "private"))
    await ada.library.tag(conversation.id, ["private"])
    other = await ada.edit_turn(conversation, turn.id, "Other branch", new_turn_id="other")
    (await provider.call(1)).finish()
    while other.is_live or not other.segments:
        await asyncio.sleep(0.001)
    await ada.show_sibling(conversation, other.id, -1)
    with pytest.raises(NotFound):
        await grace.library.find_file(file.id)
    await share(ada, conversation, "Grace", "read")
    assert (await grace.library.find_file(file.id)).name == "a.txt"
    with pytest.raises(NotFound):  # it can be read there, not attached or removed
        await grace.files.attached_files([file.id])
    with pytest.raises(NotFound):
        await grace.files.within(conversation.id).remove_file(file.id)

    copies = [
        await grace.library.duplicate(conversation.id),
        await grace.library.fork(conversation.id, turn.id),
    ]
    await ada.library.members.remove(conversation.id, "user", GRACE.user_id)
    for info in copies:
        assert (info.owner, info.tags, info.members) == (GRACE.user_id, (), ())
        copied = await grace.library.open_conversation(info.id)
        assert copied is not None
        (record,) = await store.all_turns(info.id, after=None, limit=10)
        assert (record.options, record.feedback) == (Options(), None)
        (file_id,) = filter(None, map(upload_of, record.question_parts))
        own = await grace.library.find_file(file_id)
        assert own.owner == GRACE.user_id
        content = b"".join([piece async for piece in await grace.files.read_content(own)])
        assert content == b"what is in it"
    with pytest.raises(NotFound):
        await grace.library.find_file(file.id)


async def test_a_members_file_is_read_by_the_model_and_by_the_owner(
    users: dict[str, ChatService], provider: ScriptedProvider, store: SqlStore
) -> None:
    ada, grace, eve = users["Ada"], users["Grace"], users["Eve"]
    own = await ada.files.upload_file("own.txt", _pieces(b"of ada"))
    conversation, turn = await ada.ask_in_conversation(
        NEW, "Hi", key=None, options=SECRET, attachments=[own.id]
    )
    first = await provider.call(0)
    first.say("re Hi")
    first.finish()
    while turn.is_live or not turn.segments:
        await asyncio.sleep(0.001)
    await share(ada, conversation, "Grace", "reply")
    hers = await grace.files.upload_file("hers.txt", _pieces(b"of grace"))
    _, asked = await grace.ask_in_conversation(
        conversation.id, "And this?", key=None, options=Options(), attachments=[hers.id]
    )
    call = await provider.call(1)
    assert [getattr(part, "text", "") for one in call.request.messages for part in one.parts] == [
        "Hi",
        "of ada",
        "re Hi",
        "And this?",
        "of grace",
    ]
    call.finish()
    while asked.is_live:
        await asyncio.sleep(0.001)
    await ada.saving.wait_until_all_stored(5)
    assert (await ada.library.find_file(hers.id)).name == "hers.txt"
    with pytest.raises(NotFound):
        await eve.library.find_file(hers.id)
    assert await store.files.remove_unused(1e12) == ()
    assert question_parts("And this?", [hers]) == asked.question_parts


async def test_deleting_hides_it_from_members_until_it_is_restored(
    users: dict[str, ChatService], provider: ScriptedProvider
) -> None:
    ada, grace = users["Ada"], users["Grace"]
    conversation, _ = await ask(ada, provider, "Hi")
    await share(ada, conversation, "Grace", "read")
    lists: list[object] = []
    grace.library.watch(lists.append)
    await ada.library.delete([conversation.id])
    assert SharedChanged() in lists
    assert await grace.library.find_readable(conversation.id) is None
    assert (await grace.library.list_shared()).conversations == ()
    await ada.library.restore([conversation.id])
    assert await grace.library.find_readable(conversation.id) is not None


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def test_without_accounts_nothing_is_shared(chat: ChatService, provider: Any) -> None:
    local = chat.for_caller(Caller(user_id="", name="", role="admin"))
    conversation, _ = await ask(local, provider, "Hi")
    assert not local.library.members.is_on
    with pytest.raises(Forbidden):
        await local.library.members.put(conversation.id, "user", "Grace", "read")


async def test_search_finds_what_others_share_and_show(
    users: dict[str, ChatService], provider: ScriptedProvider
) -> None:
    ada, grace, mary = users["Ada"], users["Grace"], users["Mary"]
    conversation, turn = await ask(ada, provider, "A wombat with a hat")
    await ask(grace, provider, "My own wombat")
    await share(ada, conversation, "grace", "read")
    await ada.library.members.put(conversation.id, "group", "lab", "read")
    await ada.library.archive(conversation.id, True)

    async def found(chat: ChatService, query: str = "wombat", **filters: Any) -> list[str]:
        hits = await chat.library.search(query, filters=SearchFilter(**filters))
        return sorted(hit.conversation_id for hit in hits if hit.kind == "question")

    assert conversation.id in await found(grace)
    assert len(await found(grace)) == 2
    assert await found(mary) == [conversation.id]
    assert await found(users["Eve"]) == []
    hits = await grace.library.search("hat", filters=SearchFilter())
    assert [hit.is_archived for hit in hits] == [False] * len(hits)  # the owner's own choice
    assert await found(mary, folder_id="f") == []
    assert await found(mary, tag="t") == []
    # what is not shown is the owner's alone
    number = len(provider.calls)
    await ada.edit_turn(
        conversation, turn.id, "A koala", new_turn_id="n", options=Options(model="model-a")
    )
    (await provider.call(number)).finish()
    assert await found(mary) == []
    assert await found(mary, "koala") == [conversation.id]
    assert await found(ada) == [conversation.id]
    await ada.library.members.remove(conversation.id, "group", "lab")
    assert await found(mary, "koala") == []


async def test_pages_of_hits_that_are_not_shown_end(
    users: dict[str, ChatService], provider: ScriptedProvider
) -> None:
    ada, grace = users["Ada"], users["Grace"]
    conversation, turn = await ask(ada, provider, "wombat first")
    await share(ada, conversation, "grace", "read")
    for count in range(4):
        number = len(provider.calls)
        await ada.edit_turn(conversation, turn.id, f"wombat {count}", new_turn_id=f"n{count}")
        (await provider.call(number)).finish()
    hits = await grace.library.search("wombat", filters=SearchFilter(kind="question"), limit=2)
    assert [hit.turn_id for hit in hits] == ["n3"]


async def test_a_server_that_does_not_share_gives_members_no_access(
    users: dict[str, ChatService], provider: ScriptedProvider
) -> None:
    ada, grace = users["Ada"], users["Grace"]
    conversation, turn = await ask(ada, provider, "A wombat")
    await share(ada, conversation, "grace", "reply")
    await grace.library.comments.add(conversation.id, turn.id, "mine")
    parts = replace(ada.core.parts, is_sharing=False)
    closed = ChatService(ChatCore(parts, ada.core.rules))
    off, owner = closed.for_caller(GRACE), closed.for_caller(ADA)
    assert await off.library.find_readable(conversation.id) is None
    assert (await off.library.list_shared()).conversations == ()
    assert await off.library.search("wombat") == []
    with pytest.raises(NotFound):
        await off.send_question(conversation, "x", turn_id="x", options=Options(model="model-a"))
    with pytest.raises(NotFound):
        await off.library.comments.list_comments(conversation.id)
    assert not owner.library.members.is_on
    with pytest.raises(Forbidden, match="does not share"):
        await owner.library.members.put(conversation.id, "user", "mary", "read")
    held = await owner.library.find_readable(conversation.id)
    assert held is not None
    assert not owner.library.comments.can_add(held)
    assert len(await owner.library.comments.list_comments(conversation.id)) == 1
