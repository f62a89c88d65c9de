"""REST routes for the users and groups that a conversation is shared with."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from wireside.api.dependencies import CallerLibrary
from wireside.api.errors import PROBLEMS
from wireside.api.policy import API, with_policy
from wireside.chat.access import NO_CONVERSATION
from wireside.chat.members import MAX_NAME_CHARS, NamedMember
from wireside.errors import NotFound
from wireside.invisible_text import seen
from wireside.records import MemberAccess, MemberKind

Id = Annotated[str, Path(max_length=64)]


class MemberView(BaseModel):
    """A user or a group that a conversation is shared with."""

    kind: MemberKind
    id: str = Field(description="The id of the user, or the name of the group.")
    name: str
    access: MemberAccess


class Audience(BaseModel):
    """The users and groups that can see a conversation."""

    owner: str = Field(description="The name of the user who owns it.")
    members: list[MemberView]
    groups: list[str] = Field(
        description="The groups that the user can share it with: the user's own, for the owner."
    )


class MemberChange(BaseModel):
    """A user or a group, by name, and what it may do."""

    model_config = ConfigDict(strict=True)

    kind: MemberKind = "user"
    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS)]
    access: MemberAccess = "read"


class MemberRoutes:
    """Routes under ``/api/conversations/{conversation_id}/members``."""

    def build_router(self) -> APIRouter:
        """Return the router."""
        router = APIRouter(
            prefix="/api/conversations/{conversation_id}/members",
            tags=["conversations"],
            responses={**PROBLEMS},
        )
        router.get("")(self.show)
        router.put("")(self.put)
        router.delete("", status_code=204)(self.remove)
        return with_policy(router, API)

    async def show(self, library: CallerLibrary, conversation_id: Id) -> Audience:
        """Show who can see a conversation, to its owner and to those it is shared with."""
        library.caller.require("read")
        conversation = await library.find_readable(conversation_id)
        if conversation is None:
            raise NotFound(NO_CONVERSATION)
        audience = await library.members.audience_of(conversation.info)
        is_own = library.right_on(conversation) == "own"
        return Audience(
            owner=seen(audience.owner),
            members=[_view(one) for one in audience.members],
            groups=list(library.members.groups) if is_own else [],
        )

    async def put(
        self, library: CallerLibrary, conversation_id: Id, change: MemberChange
    ) -> MemberView:
        """Share a conversation with a user or a group, or change what that member may do.

        The request is idempotent. A group is one of the user's own, as the OpenID provider, the
        proxy or the host application names them.
        """
        member = await library.members.put(conversation_id, change.kind, change.name, change.access)
        return _view(member)

    async def remove(
        self,
        library: CallerLibrary,
        conversation_id: Id,
        kind: MemberKind,
        member: Annotated[str, Query(alias="id", min_length=1, max_length=1_000)],
    ) -> Response:
        """End sharing with a user or a group, at once, on open pages and sockets too."""
        await library.members.remove(conversation_id, kind, member)
        return Response(status_code=204)


def _view(named: NamedMember) -> MemberView:
    member = named.member
    return MemberView(kind=member.kind, id=member.id, name=seen(named.name), access=member.access)
