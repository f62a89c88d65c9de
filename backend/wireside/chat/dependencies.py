"""What the chat needs from outside, and its server-wide rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from wireside.chat.context import ContextLimit
from wireside.errors import WiresideError
from wireside.extension.hooks import Hooks
from wireside.files.service import Files
from wireside.generation.commits import GroupCommit
from wireside.generation.runner import Runner
from wireside.generation.tasks import Tasks
from wireside.identity import ModelAccess
from wireside.messages import Message, ModelRequest, Options
from wireside.ports.audit import AuditRecorder, NullAuditRecorder
from wireside.ports.clock import Clock
from wireside.ports.models import Models
from wireside.ports.observer import NULL_OBSERVER, Observer
from wireside.ports.provider import Provider
from wireside.ports.quotas import Quotas, Unlimited
from wireside.ports.store import Store


def accept_options(model: str, options: str) -> None:
    """Accept all options, for providers that check theirs while they answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatDependencies:
    """Dependencies of the chat. ``wall_clock`` returns seconds since 1970."""

    runner: Runner
    models: Models
    provider: Provider
    store: Store
    saving: GroupCommit
    files: Files
    tasks: Tasks
    wall_clock: Clock
    quotas: Quotas = Unlimited()
    watcher: Observer = NULL_OBSERVER
    model_access: Mapping[str, ModelAccess] = field(default_factory=dict)
    """The callers of each restricted model, by its id."""
    hooks: Hooks = field(default_factory=Hooks)
    check_options: Callable[[str, str], None] = accept_options
    """Checks a model's own options, the JSON text of an object; raises ``BadMessage``."""
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

    def model_request(
        self, messages: tuple[Message, ...], options: Options, model: str
    ) -> ModelRequest:
        """Return the request to a model, with the system message of ``options`` or the server's."""
        system = options.system
        if system is None and not any(message.role == "system" for message in messages):
            system = self.system
        if system:
            messages = (Message.of_text("system", system), *messages)
        return ModelRequest(
            model=model,
            messages=messages,
            temperature=options.temperature,
            max_tokens=options.max_tokens,
        )
