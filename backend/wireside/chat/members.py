"""The users and groups that a conversation is shared with; its owner manages them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from wireside.chat.access import NO_CONVERSATION, list_keys
from wireside.chat.conversation import Conversation
from wireside.chat.core import ChatCore
from wireside.errors import Forbidden, NameTaken, NotFound, TooMany, UnknownName
from wireside.generation.tasks import runs_to_completion
from wireside.identity import Caller, clean_name
from wireside.records import ConversationInfo, Hit, Member, MemberAccess, MemberKind

MAX_MEMBERS: Final = 100
"""For each conversation: the page shows all of them."""

MAX_NAME_CHARS: Final = 200

NO_ACCOUNTS: Final = "Conversations can be shared with users of a server with accounts only."

SHARING_IS_OFF: Final = "This server does not share conversations with users and groups."


@dataclass(frozen=True, slots=True)
class NamedMember:
    """A member with the name that pages show."""

    member: Member
    name: str


@dataclass(frozen=True, slots=True)
class ConversationAudience:
    """Who can see a conversation: the owner, by name, and the members."""

    owner: str
    members: tuple[NamedMember, ...]


class Members:
    """The members of conversations, for ``caller``. ``open_own`` opens a conversation of it.

    The methods raise ``StoreError`` when the store can't be read or written, and ``Forbidden`` when
    the caller lacks permission.
    """

    def __init__(
        self,
        core: ChatCore,
        caller: Caller,
        open_own: Callable[[str], Awaitable[Conversation | None]],
    ) -> None:
        self.caller = caller
        self._open_own = open_own
        self._accounts = core.parts.accounts
        self._is_sharing = core.parts.is_sharing
        self._conversations = core.conversations
        self._tasks = core.parts.tasks
        self._witness = core.parts.witness

    @property
    def is_on(self) -> bool:
        """Whether the caller can share conversations."""
        has_accounts = self._accounts is not None and bool(self.caller.user_id)
        return has_accounts and self._is_sharing and self.caller.may("chat")

    @property
    def groups(self) -> Sequence[str]:
        """The groups that the caller can share conversations with: its own."""
        return sorted(self.caller.groups)

    async def names_of(self, user_ids: Collection[str]) -> Mapping[str, str]:
        """Return the names of accounts by id; those that were removed are missing."""
        return {} if self._accounts is None else await self._accounts.names_of_users(user_ids)

    async def names_of_owners(self, found: Iterable[ConversationInfo | Hit]) -> Mapping[str, str]:
        """Return the names of the owners of conversations that others share, by account id."""
        return await self.names_of({one.owner for one in found} - {self.caller.user_id})

    async def audience_of(self, info: ConversationInfo) -> ConversationAudience:
        """Return who can see a conversation, without accounts that were removed."""
        users = [member.id for member in info.members if member.kind == "user"]
        names = await self.names_of({info.owner, *users})
        found: list[NamedMember] = []
        for member in info.members:
            name = member.id if member.kind == "group" else names.get(member.id)
            if name is not None:
                found.append(NamedMember(member, name))
        return ConversationAudience(names.get(info.owner, ""), tuple(found))

    @runs_to_completion
    async def put(
        self, conversation_id: str, kind: MemberKind, name: str, access: MemberAccess
    ) -> NamedMember:
        """Share a conversation with a user or a group, or change what that member may do.

        Raises:
            NotFound: the caller has no such conversation.
            UnknownName: there is no such user or group.
            NameTaken: the user is the owner.
            TooMany: there are ``MAX_MEMBERS``.
        """
        conversation = await self._find(conversation_id)
        found = await self._named(conversation.info, kind, name, access)

        def with_member(members: tuple[Member, ...]) -> tuple[Member, ...]:
            if any(one.key == found.member.key for one in members):
                return tuple(
                    found.member if one.key == found.member.key else one for one in members
                )
            if len(members) >= MAX_MEMBERS:
                raise TooMany(f"A conversation can be shared with {MAX_MEMBERS} at most.")
            return (*members, found.member)

        if await self._change(conversation, with_member):
            subject = f"{conversation.id} with {kind} {found.name}: {access}"
            self._witness.record(self.caller, "conversation_shared", subject)
        return found

    @runs_to_completion
    async def remove(self, conversation_id: str, kind: str, member_id: str) -> None:
        """End sharing with a user or a group, at once, on open pages too. Raises ``NotFound``."""
        conversation = await self._find(conversation_id)

        def without_member(members: tuple[Member, ...]) -> tuple[Member, ...]:
            left = tuple(one for one in members if one.key != (kind, member_id))
            if left == members:
                raise NotFound("The conversation is not shared with that member.")
            return left

        await self._change(conversation, without_member)
        name = (await self.names_of([member_id])).get(member_id, member_id)
        subject = f"{conversation.id} with {kind} {name}"
        self._witness.record(self.caller, "conversation_unshared", subject)

    async def _find(self, conversation_id: str) -> Conversation:
        self.caller.require("chat")
        conversation = await self._open_own(conversation_id)
        if conversation is None or not conversation.is_stored:
            raise NotFound(NO_CONVERSATION)
        if not self._is_sharing:
            raise Forbidden(SHARING_IS_OFF)
        if not self.is_on:
            raise Forbidden(NO_ACCOUNTS)
        return conversation

    async def _named(
        self, info: ConversationInfo, kind: MemberKind, name: str, access: MemberAccess
    ) -> NamedMember:
        name = name.strip()
        if kind == "group":
            is_member = any(one.key == (kind, name) for one in info.members)
            if name not in self.caller.groups and not is_member:
                raise UnknownName("name: you are in no group of that name.")
            return NamedMember(Member(kind=kind, id=name, access=access), name)
        clean = clean_name(name)
        user = await self._accounts.user_named(clean) if self._accounts and clean else None
        if user is None or user.disabled_at is not None:
            raise UnknownName("name: there is no user of that name.")
        if user.id == info.owner:
            raise NameTaken("name: the conversation is yours already.")
        return NamedMember(Member(kind=kind, id=user.id, access=access), user.name)

    async def _change(
        self,
        conversation: Conversation,
        new_members: Callable[[tuple[Member, ...]], tuple[Member, ...]],
    ) -> bool:
        """Change the members; return whether that is a change."""

        async def change_members() -> bool:
            conversation.check_not_deleted()
            before = conversation.info.members
            members = new_members(before)
            if members == before:
                return False
            change = conversation.change_info(members=members)
            await self._conversations.perform_change(conversation, change)
            self._conversations.announce_shared(list_keys((*before, *members)))
            return True

        return await self._conversations.change(conversation, change_members)


def private_view(info: ConversationInfo) -> ConversationInfo:
    """Return a conversation without what its owner has chosen for the own list."""
    return replace(info, tags=(), folder_id=None, pinned_at=None, archived_at=None)
