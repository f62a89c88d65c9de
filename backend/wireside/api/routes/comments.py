"""REST routes for the comments on turns of shared conversations."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from wireside.api.dependencies import CallerLibrary
from wireside.api.errors import PROBLEMS
from wireside.api.policy import API, with_policy
from wireside.chat.comments import MAX_COMMENT_CHARS, NamedComment
from wireside.invisible_text import seen

Id = Annotated[str, Path(max_length=64)]

CommentText = Annotated[str, Field(min_length=1, max_length=MAX_COMMENT_CHARS)]


class CommentView(BaseModel):
    """A comment on a turn."""

    id: str
    turn: str = Field(description="The id of the turn.")
    author: str = Field(description='The name of the user; "" if the account was removed.')
    is_own: bool = Field(description="Whether the user has written it, and may change it.")
    can_delete: bool = Field(description="Whether the user may delete it.")
    text: str
    created_at: datetime
    edited_at: datetime | None = None


class CommentList(BaseModel):
    """The comments of a conversation, oldest first."""

    comments: list[CommentView]


class NewComment(BaseModel):
    """A comment on a turn."""

    model_config = ConfigDict(strict=True)

    turn: Annotated[str, Field(min_length=1, max_length=128)]
    text: CommentText
    key: Annotated[str, Field(min_length=1, max_length=128)] | None = Field(
        default=None, description="A request that is sent again with the same key adds nothing."
    )


class CommentChange(BaseModel):
    """A new text of a comment."""

    model_config = ConfigDict(strict=True)

    text: CommentText


class CommentRoutes:
    """Routes under ``/api/conversations/{conversation_id}/comments``."""

    def build_router(self) -> APIRouter:
        """Return the router."""
        router = APIRouter(
            prefix="/api/conversations/{conversation_id}/comments",
            tags=["conversations"],
            responses={**PROBLEMS},
        )
        router.get("")(self.list)
        router.post("", status_code=201)(self.add)
        router.patch("/{comment_id}")(self.edit)
        router.delete("/{comment_id}", status_code=204)(self.delete)
        return with_policy(router, API)

    async def list(
        self,
        library: CallerLibrary,
        conversation_id: Id,
        turn: Annotated[
            str | None, Query(max_length=128, description="A turn; otherwise all turns.")
        ] = None,
    ) -> CommentList:
        """List the comments of a conversation that the user may read, oldest first.

        Of a conversation of another user, these are the comments on the turns that are shown.
        """
        found = await library.comments.list_comments(conversation_id, turn)
        return CommentList(comments=[_view(one) for one in found])

    async def add(
        self, library: CallerLibrary, conversation_id: Id, new: NewComment
    ) -> CommentView:
        """Comment on a turn of a conversation that is shared with users or groups.

        Everyone who may read the conversation can comment. Models do not get comments.
        """
        comments = library.comments
        return _view(await comments.add(conversation_id, new.turn, new.text, key=new.key))

    async def edit(
        self, library: CallerLibrary, conversation_id: Id, comment_id: Id, change: CommentChange
    ) -> CommentView:
        """Change the text of a comment of the user."""
        return _view(await library.comments.edit(conversation_id, comment_id, change.text))

    async def delete(self, library: CallerLibrary, conversation_id: Id, comment_id: Id) -> Response:
        """Delete a comment, as its author or the owner of the conversation."""
        await library.comments.delete(conversation_id, comment_id)
        return Response(status_code=204)


def _view(named: NamedComment) -> CommentView:
    comment = named.comment
    return CommentView(
        id=comment.id,
        turn=comment.turn_id,
        author=seen(named.author),
        is_own=named.is_own,
        can_delete=named.can_delete,
        text=comment.text,
        created_at=datetime.fromtimestamp(comment.created_at, UTC),
        edited_at=None
        if comment.edited_at is None
        else datetime.fromtimestamp(comment.edited_at, UTC),
    )
