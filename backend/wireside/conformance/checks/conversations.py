"""Checks of stored conversations and of what a request refers to."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from wireside.conformance.frames import check_error, check_reached
from wireside.conformance.kit import Kit, check
from wireside.conformance.results import Violation, shown


async def _expect_error(kit: Kit, code: str, frame: dict[str, Any]) -> None:
    """Check that a request is refused by its first frame."""
    async with kit.connection() as connection:
        await connection.send(frame)
        error = await connection.receive("`error`")
        check_error(error)
        if error.get("code") != code or error.id != frame["id"]:
            raise Violation(f"`error` {code} with `id` {frame['id']}", shown(error.text))
        await connection.expect_nothing()


@check(
    "conversation-new",
    section="Client to server",
    rule="`conversation` `new` stores the question; `start` names the conversation.",
)
async def conversation_new(kit: Kit) -> None:
    """Ask twice in a new conversation, and delete it."""
    async with kit.connection() as connection:
        await connection.send(kit.short("first", conversation="new"))
        first = await connection.receive_request("first")
        check_reached(first[-1])
        name = first[0].get("conversation")
        if first[0].type != "start" or not isinstance(name, str):
            raise Violation("`start` with `conversation`", shown(first[0].text))
        await connection.send(kit.short("second", conversation=name))
        second = await connection.receive_request("second")
    await _delete(kit, name)
    check_reached(second[-1])
    if second[0].get("conversation") != name:
        raise Violation(f"`start` with `conversation` {name}", shown(second[0].text))


async def _delete(kit: Kit, conversation: str) -> None:
    target = kit.address.rest_path(f"/api/conversations/{conversation}")
    with suppress(Violation):  # REST is not part of the protocol: the conversation stays
        await kit.request("DELETE", target, headers=kit.authorization)


@check(
    "conversation-unknown",
    section="Errors",
    rule="A conversation that does not exist, or is another user's, gets `not_found`.",
)
async def conversation_unknown(kit: Kit) -> None:
    """Ask in a conversation that does not exist."""
    await _expect_error(kit, "not_found", kit.short("a", conversation="conformance-unknown"))


@check(
    "attachment-unknown",
    section="Attachments",
    rule="An upload that does not exist gets `not_found`.",
)
async def attachment_unknown(kit: Kit) -> None:
    """Attach a file that does not exist."""
    await _expect_error(kit, "not_found", kit.short("a", attachments=["conformance-unknown"]))


@check(
    "answer-unknown",
    section="Questions",
    rule="An `answer` in a conversation that does not exist gets `not_found`.",
)
async def answer_unknown(kit: Kit) -> None:
    """Answer a question that does not exist."""
    frame = {"type": "answer", "id": "a", "conversation": "conformance-unknown", "part": "p"}
    await _expect_error(kit, "not_found", {**frame, "value": "yes"})


@check(
    "context",
    section="Context",
    rule="`messages` of a `chat` of level 2 contains the turns before its question.",
)
async def context(kit: Kit) -> None:
    """Ask with a context of all roles."""
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hello! How can I help?"},
    ]
    async with kit.connection() as connection:
        await connection.send(
            kit.short("a", messages=turns, system="Be kind.", temperature=0.5, key=kit.new_key())
        )
        check_reached((await connection.receive_request("a"))[-1])
