"""Comments on turns of shared conversations: by whom they are seen, changed and deleted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.backend.chat.sharing_users import GRACE, ask, share
from wireside.chat import comments as module
from wireside.chat.comments import MAX_COMMENT_CHARS
from wireside.chat.conversation import Conversation, ConversationTurn
from wireside.chat.service import ChatService
from wireside.errors import BadMessage, Forbidden, NotFound, TooLarge, TooMany
from wireside.messages import Options
from wireside.providers.scripted import ScriptedProvider


@pytest.fixture
async def shared(
    users: dict[str, ChatService],
    provider: ScriptedProvider,
) -> tuple[Conversation, ConversationTurn]:
    """A conversation of Ada that Grace may read."""
    conversation, turn = await ask(users["Ada"], provider, "How does a port work?")
    await share(users["Ada"], conversation, "grace", "read")
    return conversation, turn


Users = dict[str, ChatService]
Shared = tuple[Conversation, ConversationTurn]


async def texts(chat: ChatService, conversation: Conversation) -> list[tuple[str, str]]:
    found = await chat.library.comments.list_comments(conversation.id)
    return [(one.author, one.comment.text) for one in found]


async def test_readers_and_the_owner_comment_by_name(users: Users, shared: Shared) -> None:
    conversation, turn = shared
    ada, grace = users["Ada"].library.comments, users["Grace"].library.comments
    await grace.add(conversation.id, turn.id, "  Is it?  ")
    await ada.add(conversation.id, turn.id, "It is.")
    expected = [("grace", "Is it?"), ("ada", "It is.")]
    assert await texts(users["Ada"], conversation) == expected
    assert await texts(users["Grace"], conversation) == expected
    assert [one.is_own for one in await grace.list_comments(conversation.id)] == [True, False]
    assert [one.can_delete for one in await grace.list_comments(conversation.id)] == [True, False]
    assert [one.can_delete for one in await ada.list_comments(conversation.id)] == [True, True]


async def test_a_comment_is_no_part_of_the_context(
    users: Users,
    shared: Shared,
    provider: ScriptedProvider,
) -> None:
    conversation, turn = shared
    await users["Grace"].library.comments.add(conversation.id, turn.id, "a secret remark")
    await ask(users["Ada"], provider, "And a socket?", conversation.id)
    assert "a secret remark" not in repr(provider.calls[-1].request)


async def test_others_see_nothing(users: Users, shared: Shared) -> None:
    conversation, turn = shared
    comment = await users["Grace"].library.comments.add(conversation.id, turn.id, "x")
    for name in ("Eve", "Mary"):
        comments = users[name].library.comments
        with pytest.raises(NotFound):
            await comments.list_comments(conversation.id)
        with pytest.raises(NotFound):
            await comments.add(conversation.id, turn.id, "x")
        with pytest.raises(NotFound):
            await comments.edit(conversation.id, comment.comment.id, "y")
        with pytest.raises(NotFound):
            await comments.delete(conversation.id, comment.comment.id)
    assert await texts(users["Ada"], conversation) == [("grace", "x")]


async def test_a_comment_is_changed_by_its_author_and_deleted_by_the_owner_too(
    users: Users,
    shared: Shared,
) -> None:
    conversation, turn = shared
    ada, grace = users["Ada"].library.comments, users["Grace"].library.comments
    comment = (await grace.add(conversation.id, turn.id, "x")).comment
    with pytest.raises(Forbidden):
        await ada.edit(conversation.id, comment.id, "y")
    edited = await grace.edit(conversation.id, comment.id, "z")
    assert (edited.comment.text, edited.comment.edited_at is None) == ("z", False)
    mine = (await ada.add(conversation.id, turn.id, "mine")).comment
    with pytest.raises(Forbidden):
        await grace.delete(conversation.id, mine.id)
    await ada.delete(conversation.id, comment.id)
    assert await texts(users["Grace"], conversation) == [("ada", "mine")]
    with pytest.raises(NotFound):
        await ada.delete(conversation.id, comment.id)


async def test_only_a_shared_conversation_takes_comments_and_keeps_them_for_its_owner(
    users: Users,
    shared: Shared,
    provider: ScriptedProvider,
) -> None:
    conversation, turn = shared
    await users["Grace"].library.comments.add(conversation.id, turn.id, "x")
    await users["Ada"].library.members.remove(conversation.id, "user", GRACE.user_id)
    assert await texts(users["Ada"], conversation) == [("grace", "x")]
    with pytest.raises(Forbidden):
        await users["Ada"].library.comments.add(conversation.id, turn.id, "y")
    with pytest.raises(NotFound):
        await users["Grace"].library.comments.list_comments(conversation.id)
    alone, its_turn = await ask(users["Ada"], provider, "How does a hub work?")
    with pytest.raises(Forbidden):
        await users["Ada"].library.comments.add(alone.id, its_turn.id, "y")


async def test_comments_on_turns_that_are_not_shown_are_for_the_owner(
    users: Users,
    shared: Shared,
    provider: ScriptedProvider,
) -> None:
    conversation, turn = shared
    ada, grace = users["Ada"].library.comments, users["Grace"].library.comments
    comment = (await grace.add(conversation.id, turn.id, "x")).comment
    number = len(provider.calls)
    edited = await users["Ada"].edit_turn(
        conversation,
        turn.id,
        "How does a pier look?",
        new_turn_id="t2",
        options=Options(model="model-a"),
    )
    (await provider.call(number)).finish()
    assert await texts(users["Grace"], conversation) == []
    assert await texts(users["Ada"], conversation) == [("grace", "x")]
    for change in (
        grace.add(conversation.id, turn.id, "y"),
        grace.edit(conversation.id, comment.id, "y"),
        grace.delete(conversation.id, comment.id),
    ):
        with pytest.raises(NotFound):
            await change
    await grace.add(conversation.id, edited.id, "z")
    await users["Ada"].show_turn(conversation, turn.id)
    assert await texts(users["Grace"], conversation) == [("grace", "x")]
    assert len(await ada.list_comments(conversation.id)) == 2


async def test_a_key_adds_a_comment_once(users: Users, shared: Shared) -> None:
    conversation, turn = shared
    grace = users["Grace"].library.comments
    first = await grace.add(conversation.id, turn.id, "x", key="k")
    again = await grace.add(conversation.id, turn.id, "x", key="k")
    assert first.comment.id == again.comment.id
    await grace.add(conversation.id, turn.id, "y", key="k")
    assert await texts(users["Ada"], conversation) == [("grace", "x"), ("grace", "y")]


async def test_bad_texts_and_too_many_are_refused(
    users: Users,
    shared: Shared,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    conversation, turn = shared
    grace = users["Grace"].library.comments
    with pytest.raises(BadMessage, match="blank"):
        await grace.add(conversation.id, turn.id, " \n ")
    with pytest.raises(TooLarge, match="4,001 characters; at most 4,000"):
        await grace.add(conversation.id, turn.id, "x" * (MAX_COMMENT_CHARS + 1))
    with pytest.raises(NotFound):
        await grace.add(conversation.id, "no-such-turn", "x")
    monkeypatch.setattr(module, "MAX_COMMENTS", 1)
    await grace.add(conversation.id, turn.id, "x", key="k")
    with pytest.raises(TooMany, match="at most 1 comments"):
        await grace.add(conversation.id, turn.id, "y")
    await grace.add(conversation.id, turn.id, "x", key="k")  # the same one again counts once


async def test_watchers_are_notified_until_they_unsubscribe(users: Users, shared: Shared) -> None:
    conversation, turn = shared
    grace, noted = users["Grace"].library.comments, []
    unwatch = users["Ada"].library.comments.watch(conversation, lambda: noted.append(1))
    comment = (await grace.add(conversation.id, turn.id, "x")).comment
    await grace.edit(conversation.id, comment.id, "y")
    await grace.delete(conversation.id, comment.id)
    assert len(noted) == 3
    unwatch()
    await grace.add(conversation.id, turn.id, "x")
    assert len(noted) == 3


async def test_a_viewer_reads_comments_and_adds_none(users: Users, shared: Shared) -> None:
    conversation, turn = shared
    await users["Grace"].library.comments.add(conversation.id, turn.id, "x")
    viewer = users["Grace"].for_caller(replace(GRACE, role="viewer"))
    assert await texts(viewer, conversation) == [("grace", "x")]
    with pytest.raises(Forbidden):
        await viewer.library.comments.add(conversation.id, turn.id, "y")


async def test_comments_go_with_their_conversation(users: Users, shared: Shared) -> None:
    conversation, turn = shared
    chat = users["Ada"]
    comment = (await chat.library.comments.add(conversation.id, turn.id, "x")).comment
    await chat.library.delete([conversation.id])
    with pytest.raises(NotFound):
        await chat.library.comments.list_comments(conversation.id)
    store = chat.core.parts.store
    await store.purge_conversations(chat.core.parts.wall_clock() + 1)
    assert await chat.core.parts.comments.find_comment(comment.id) is None
