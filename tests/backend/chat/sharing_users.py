"""Users that share conversations, and what they do in tests."""

from __future__ import annotations

import asyncio

from wireside.chat.asking import NEW
from wireside.chat.conversation import Conversation, ConversationTurn
from wireside.chat.service import ChatService
from wireside.identity import Caller
from wireside.messages import Options
from wireside.providers.scripted import ScriptedProvider
from wireside.records import MemberAccess

ADA = Caller(user_id="u-ada", name="ada", role="admin", groups=frozenset({"lab"}))
GRACE = Caller(user_id="u-grace", name="grace", role="user")
MARY = Caller(user_id="u-mary", name="mary", role="user", groups=frozenset({"lab"}))
EVE = Caller(user_id="u-eve", name="eve", role="user", groups=frozenset({"spies"}))

SECRET = Options(model="model-a", system="the secret instructions")


async def ask(
    chat: ChatService, provider: ScriptedProvider, question: str, where: str = NEW
) -> tuple[Conversation, ConversationTurn]:
    number = len(provider.calls)
    conversation, turn = await chat.ask_in_conversation(
        where, question, key=None, options=SECRET if where == NEW else Options(model="model-a")
    )
    call = await provider.call(number)
    call.say(f"re {question}")
    call.finish()
    while turn.is_live or not turn.segments:
        await asyncio.sleep(0.001)
    await chat.saving.wait_until_all_stored(5)
    return conversation, turn


async def share(
    chat: ChatService, conversation: Conversation, name: str, how: MemberAccess
) -> None:
    await chat.library.members.put(conversation.id, "user", name, how)
