"""Comments by name on the turns of shared conversations. Models do not get them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from wireside.chat.access import NO_CONVERSATION, Right
from wireside.chat.conversation import Conversation
from wireside.chat.core import ChatCore
from wireside.chat.digests import id_of_key
from wireside.chat.members import Members
from wireside.errors import BadMessage, Forbidden, NotFound, TooLarge, TooMany
from wireside.generation.runner import new_stream_name
from wireside.generation.tasks import runs_to_completion
from wireside.identity import Caller
from wireside.records import Span, TurnComment

MAX_COMMENT_CHARS: Final = 4_000

MAX_COMMENTS: Final = 1_000
"""For each conversation: pages read all of them."""

NO_COMMENT: Final = "There is no such comment."

NOT_SHARED: Final = "Comments are for conversations that are shared with users or groups."


@dataclass(frozen=True, slots=True)
class NamedComment:
    """A comment with what a page shows of it for a caller."""

    comment: TurnComment
    author: str
    """Name of the author, "" if the account was removed."""
    is_own: bool
    can_delete: bool


class Comments:
    """The comments of conversations, for ``caller``.

    All methods raise ``NotFound`` for a conversation that the caller may not read, ``StoreError``
    when the store can't be read or written, and ``Forbidden`` when the caller lacks permission.
    """

    def __init__(
        self,
        core: ChatCore,
        caller: Caller,
        *,
        members: Members,
        find_readable: Callable[[str], Awaitable[Conversation | None]],
        right_on: Callable[[Conversation], Right | None],
    ) -> None:
        self.caller = caller
        self._right_on = right_on
        self._is_sharing = core.parts.is_sharing
        self._find_readable = find_readable
        self._store = core.parts.comments
        self._members = members
        self._conversations = core.conversations
        self._tasks = core.parts.tasks
        self._now = core.parts.wall_clock

    def can_add(self, conversation: Conversation) -> bool:
        """Return whether the caller can comment on the turns of a conversation."""
        may_read = self._right_on(conversation) is not None
        return self._is_shared(conversation) and may_read and self.caller.may("chat")

    async def count_comments(self, conversation: Conversation) -> Mapping[str, int]:
        """Return the number of comments that the caller can see, by turn."""
        if not self.caller.user_id or not conversation.is_stored or conversation.is_temporary:
            return {}
        if self._right_on(conversation) is None:
            return {}
        return await self._store.count_comments(conversation.id, self._visible(conversation))

    async def list_comments(
        self, conversation_id: str, turn_id: str | None = None
    ) -> list[NamedComment]:
        """Return the comments of a conversation, oldest first; with ``turn_id``, of one turn.

        Those of turns that the caller can't see, as they are not on the shown path of a
        conversation of another user, are missing.
        """
        self.caller.require("read")
        conversation = await self._find(conversation_id)
        spans = self._visible(conversation)
        found = await self._store.list_comments(conversation_id, spans, turn_id=turn_id)
        names = await self._members.names_of({one.author for one in found})
        return [self._named(one, conversation, names.get(one.author, "")) for one in found]

    @runs_to_completion
    async def add(
        self, conversation_id: str, turn_id: str, text: str, *, key: str | None = None
    ) -> NamedComment:
        """Comment on a turn. The same ``key`` with the same text is added once.

        Raises:
            BadMessage, TooLarge: the text is blank or too long.
            Forbidden: the conversation is not shared.
            NotFound: the caller can't see such a turn.
            TooMany: there are ``MAX_COMMENTS``.
        """
        self.caller.require("chat")
        text = _checked(text)
        conversation = await self._find(conversation_id)
        if not self._is_shared(conversation):
            raise Forbidden(NOT_SHARED)
        if not await self._is_visible(conversation, turn_id):
            raise NotFound("This message is not in the conversation any more.")
        comment = TurnComment(
            id=self._id_of(conversation_id, turn_id, text, key),
            conversation_id=conversation_id,
            turn_id=turn_id,
            author=self.caller.user_id,
            text=text,
            created_at=self._now(),
        )
        if not await self._store.add_comment(comment, max_count=MAX_COMMENTS):
            raise TooMany(f"A conversation has at most {MAX_COMMENTS:,} comments; delete some.")
        self._conversations.announce_comments(conversation_id)
        return self._named(comment, conversation, self.caller.name)

    @runs_to_completion
    async def edit(self, conversation_id: str, comment_id: str, text: str) -> NamedComment:
        """Change the text of a comment of the caller.

        Raises:
            BadMessage, TooLarge: the text is blank or too long.
            NotFound: there is no such comment.
            Forbidden: it is that of another user.
        """
        self.caller.require("chat")
        text = _checked(text)
        conversation, comment = await self._find_comment(conversation_id, comment_id)
        if comment.author != self.caller.user_id:
            raise Forbidden("Only its author may change a comment.")
        await self._store.edit_comment(comment_id, text, at=self._now())
        self._conversations.announce_comments(conversation_id)
        changed = await self._store.find_comment(comment_id)
        if changed is None:
            raise NotFound(NO_COMMENT)
        return self._named(changed, conversation, self.caller.name)

    @runs_to_completion
    async def delete(self, conversation_id: str, comment_id: str) -> None:
        """Delete a comment, as its author or the owner of the conversation.

        Raises:
            NotFound: there is no such comment.
            Forbidden: it is that of another user, in a conversation of another one.
        """
        self.caller.require("chat")
        conversation, comment = await self._find_comment(conversation_id, comment_id)
        if not self._can_delete(comment, conversation):
            raise Forbidden("Only its author and the owner of the conversation may delete it.")
        await self._store.delete_comment(comment_id)
        self._conversations.announce_comments(conversation_id)

    def watch(self, conversation: Conversation, changed: Callable[[], None]) -> Callable[[], None]:
        """Call ``changed`` when comments change; returns a function that unsubscribes."""
        watchers = self._conversations.comment_watchers
        return watchers.add_watcher(conversation.id, lambda _: changed())

    def _is_shared(self, conversation: Conversation) -> bool:
        return self._is_sharing and conversation.is_stored and bool(conversation.info.members)

    async def _find(self, conversation_id: str) -> Conversation:
        conversation = await self._find_readable(conversation_id)
        if conversation is None or not conversation.is_stored:
            raise NotFound(NO_CONVERSATION)
        return conversation

    async def _find_comment(
        self, conversation_id: str, comment_id: str
    ) -> tuple[Conversation, TurnComment]:
        conversation = await self._find(conversation_id)
        comment = await self._store.find_comment(comment_id)
        if comment is None or comment.conversation_id != conversation_id:
            raise NotFound(NO_COMMENT)
        is_own = self._right_on(conversation) == "own"
        if not is_own and not await self._is_visible(conversation, comment.turn_id):
            raise NotFound(NO_COMMENT)
        return conversation, comment

    def _visible(self, conversation: Conversation) -> Sequence[Span] | None:
        """Return the turns that the caller can see; None: all."""
        return None if self._right_on(conversation) == "own" else conversation.shown_path()

    async def _is_visible(self, conversation: Conversation, turn_id: str) -> bool:
        """Return whether the caller can see a turn. Raises ``NotFound`` if there is none."""
        turn = await self._conversations.read_turn(conversation, turn_id)
        return self._right_on(conversation) == "own" or conversation.is_on_shown_path(turn)

    def _named(self, comment: TurnComment, conversation: Conversation, name: str) -> NamedComment:
        is_own = comment.author == self.caller.user_id
        return NamedComment(comment, name, is_own, self._can_delete(comment, conversation))

    def _can_delete(self, comment: TurnComment, conversation: Conversation) -> bool:
        return self.caller.user_id in (comment.author, conversation.info.owner)

    def _id_of(self, conversation_id: str, turn_id: str, text: str, key: str | None) -> str:
        if key is None:
            return new_stream_name()
        return id_of_key(self.caller.user_id, conversation_id, turn_id, key, text)


def _checked(text: str) -> str:
    """Return a text without spaces around it. Raises ``BadMessage`` or ``TooLarge``."""
    text = text.strip()
    if not text:
        raise BadMessage("The comment is blank.")
    if len(text) > MAX_COMMENT_CHARS:
        raise TooLarge(
            f"The comment has {len(text):,} characters; at most {MAX_COMMENT_CHARS:,} fit."
        )
    return text
