"""What the chat needs from outside, and its server-wide rules."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal, Protocol

from wireside.chat.administration import Administration
from wireside.chat.context import ContextLimit
from wireside.chat.models import AccessRules
from wireside.chat.usage import NoUsage, UsageRecorder
from wireside.errors import NotFound, WiresideError
from wireside.extension.hooks import Hooks
from wireside.files.service import Files
from wireside.generation.commits import GroupCommit
from wireside.generation.runner import Runner, Stream
from wireside.generation.tasks import Tasks
from wireside.identity import ModelAccess
from wireside.messages import CLIENT_STATE, Message, ModelRequest, Options
from wireside.openai_wire.requests import decode_tools
from wireside.ports.accounts import AccountStore
from wireside.ports.administration import UsageStore
from wireside.ports.audit import AuditRecorder, NullAuditRecorder
from wireside.ports.clock import Clock
from wireside.ports.comments import CommentStore
from wireside.ports.folders import FolderStore
from wireside.ports.models import Models
from wireside.ports.observer import NULL_OBSERVER, Observer
from wireside.ports.provider import Provider
from wireside.ports.quotas import Quotas, Unlimited
from wireside.ports.saved import PresetStore, SavedStore
from wireside.ports.store import Store
from wireside.records import Prompt, Segment


class Handlers(Protocol):
    """What the chat asks of handlers besides their answers; see ``extension.provider``."""

    def check_options(self, model: str, options: str) -> None:
        """Check a model's own options, the JSON text of an object. Raises ``BadMessage``."""
        ...

    async def stop_waiting(self, owner: str, conversation_ids: Collection[str] | None) -> None:
        """Stop the handlers that wait for an answer in conversations of an account; None: in all.

        They are called again if an answer comes after all, as after a restart.
        """
        ...


class NoHandlers(Handlers):
    """For a server without handlers: providers check options while they answer."""

    def check_options(self, model: str, options: str) -> None:
        """Accept all options."""

    async def stop_waiting(self, owner: str, conversation_ids: Collection[str] | None) -> None:
        """Do nothing."""


class OtherServers(Protocol):
    """The other servers that share the store, if there are any.

    The store is the truth. Announcements reach the others sooner than they look there.
    Announcements are made on the event loop; they neither wait nor raise.
    """

    def announce_changes(self, conversation_ids: Collection[str]) -> None:
        """Announce that the store has newer versions of conversations."""
        ...

    def announce_folders(self, owner: str) -> None:
        """Announce that the folders of an owner have changed."""
        ...

    def announce_shared(self, keys: Collection[str]) -> None:
        """Announce that what is shared has changed in the lists of these keys."""
        ...

    def announce_comments(self, conversation_id: str) -> None:
        """Announce that the comments of a conversation have changed."""
        ...

    def announce_answering(self, owner: str, conversation_id: str, *, is_answering: bool) -> None:
        """Announce whether an answer of a conversation is running at this server."""
        ...

    def announce_stop(self, stream: str) -> None:
        """Announce to the server that writes an answer that its stop was requested."""
        ...

    def follow_answer(self, segment: Segment, owner: str) -> Stream:
        """Return the stream of a running answer that another server writes.

        Its log grows as the store does, and is closed with the end that the store has.
        """
        ...

    async def find_answer(self, name: str, owner: str) -> Stream:
        """Return the stream of an answer outside of conversations that another server has.

        Raises:
            NotFound, Expired: no server has it any more.
            Overloaded: the server that has it can't be asked now.
        """
        ...


class NoOtherServers(OtherServers):
    """For a server that has its store alone."""

    def announce_changes(self, conversation_ids: Collection[str]) -> None:
        """Do nothing."""

    def announce_folders(self, owner: str) -> None:
        """Do nothing."""

    def announce_shared(self, keys: Collection[str]) -> None:
        """Do nothing."""

    def announce_comments(self, conversation_id: str) -> None:
        """Do nothing."""

    def announce_answering(self, owner: str, conversation_id: str, *, is_answering: bool) -> None:
        """Do nothing."""

    def announce_stop(self, stream: str) -> None:
        """Do nothing."""

    def follow_answer(self, segment: Segment, owner: str) -> Stream:
        """Return the answer as interrupted: the process that wrote it has ended."""
        return Stream.from_segment(segment, owner)

    async def find_answer(self, name: str, owner: str) -> Stream:
        """Raise ``NotFound``."""
        raise NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatDependencies:
    """Dependencies of the chat. ``wall_clock`` returns seconds since 1970."""

    runner: Runner
    models: Models
    provider: Provider
    store: Store
    saving: GroupCommit
    files: Files
    folders: FolderStore
    comments: CommentStore
    prompts: SavedStore[Prompt]
    presets: PresetStore
    tasks: Tasks
    wall_clock: Clock
    accounts: AccountStore | None = None
    """Finds the users with whom conversations can be shared; None: there are no accounts."""
    is_sharing: bool = True
    """Whether conversations can be shared with users and groups, and members have access."""
    quotas: Quotas = Unlimited()
    usage: UsageRecorder = field(default_factory=NoUsage)
    usage_store: UsageStore | None = None
    """Reads the usage; None: nothing is counted."""
    administration: Administration | None = None
    """What administrators set for all; None: nothing."""
    watcher: Observer = NULL_OBSERVER
    model_access: AccessRules = field(default_factory=dict[str, ModelAccess])
    """The callers of each restricted model."""
    hooks: Hooks = field(default_factory=Hooks)
    handlers: Handlers = field(default_factory=NoHandlers)
    is_shared: bool = False
    """Whether other servers change the conversations of the store too."""
    others: OtherServers = field(default_factory=NoOtherServers)
    witness: AuditRecorder = field(default_factory=NullAuditRecorder)
    """Audit log of deletions and exports."""


async def accepts_images(models: Models, model: str) -> bool | None:
    """Return whether a model accepts images; None if that is unknown."""
    try:
        listed = await models.list_models()
    except WiresideError:
        return None
    return next((info.can_see for info in listed if info.id == model), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRules:
    """Server-wide limits and defaults."""

    history: ContextLimit = ContextLimit()
    max_message_chars: int = 100_000
    system: str | None = None
    title_model: str | None = None
    """The model that generates titles; "" is the one that answered, None disables titles."""
    follow_ups: bool = False
    """Whether questions are suggested after an answer."""
    compaction: Literal["manual", "auto"] = "manual"
    """Whether older turns are summarised by the server itself before they are left out."""

    def model_request(
        self, messages: tuple[Message, ...], options: Options, model: str
    ) -> ModelRequest:
        """Return the request to a model, with the system message of ``options`` or the server's."""
        system = options.system
        if system is None and not any(message.role == "system" for message in messages):
            system = self.system
        if system:
            messages = (Message.of_text("system", system), *messages)
        fields = json.loads(options.parameters) if options.parameters else {}
        tools = decode_tools(fields.pop("tools", ()))
        state = fields.pop(CLIENT_STATE, None)
        return ModelRequest(
            model=model,
            messages=messages,
            temperature=options.temperature,
            max_tokens=options.max_tokens,
            tools=tools,
            parameters=json.dumps(fields, ensure_ascii=False) if fields else "",
            client_state=json.dumps(state, ensure_ascii=False) if state else "",
        )
