"""Which models there are, and which one a name means."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from wireside.errors import NotConfigured, UnknownModel, WiresideError
from wireside.messages import ModelInfo
from wireside.ports import Clock, Provider

_log = structlog.get_logger(__name__)

GUIDE_MODEL = "gpt-4o"
"""What clients of the integration guide ask for when nobody told them otherwise."""

FRESH_S = 60.0
"""How old a list may be before it is read again."""

FAILURE_S = 2.0
"""How long a failure to read it answers everybody who asks."""

NAMED = 5
"""How many models an error names."""

NO_MODELS = (
    "The model service offers no models. Whoever runs this server: set WIRESIDE_MODEL to a "
    "model's name."
)


class Catalog:
    """The models of one provider, the default first; read at most once a minute.

    ``default`` is the model for requests that name none; without it, the provider's first one is.
    ``embedded`` says that the provider is the embedded model; ``fallback``, that it then also
    answers to the guide's ``gpt-4o``.
    """

    def __init__(
        self,
        provider: Provider,
        *,
        default: str | None,
        fallback: bool,
        embedded: bool,
        clock: Clock,
    ) -> None:
        self._provider = provider
        self._default = default
        self._falls_back = fallback and embedded
        self._clock = clock
        self._models: tuple[ModelInfo, ...] | None = None
        self._read_at = 0.0
        self._failure: tuple[float, WiresideError] | None = None
        self._reading: asyncio.Task[None] | None = None
        self._has_told_fallback = False

    async def models(self) -> tuple[ModelInfo, ...]:
        """Return the models on offer, the default first.

        An old list is served while the next one is read. Raises ``WiresideError`` when there never
        was a list and no default is set.
        """
        listed = await self._listed()
        first = self._default or listed[0].id
        if self._default and all(model.id != first for model in listed):
            return (ModelInfo(first, first), *listed)
        return tuple(sorted(listed, key=lambda model: model.id != first))

    async def resolve(self, name: str | None) -> str:
        """Return the id of the model that ``name`` means; None means the default.

        Without a list, a name is believed: the provider knows. Raises ``UnknownModel``, and for
        None also what ``models`` raises.
        """
        if name is None:
            return self._default or (await self.models())[0].id
        if name == self._default:
            return name
        try:
            offered = await self.models()
        except WiresideError:
            return name
        if any(model.id == name for model in offered) or self._has_failed():
            return name
        if name == GUIDE_MODEL and self._falls_back:
            return self._fall_back(offered[0].id)
        raise UnknownModel(_sentence(name, offered))

    def _fall_back(self, model: str) -> str:
        if not self._has_told_fallback:
            self._has_told_fallback = True
            _log.info("model_fallback", asked=GUIDE_MODEL, answers=model)
        return model

    async def _listed(self) -> Sequence[ModelInfo]:
        now = self._clock()
        if self._models is not None:
            if now - self._read_at >= FRESH_S and not self._has_failed():
                self._read()
            return self._models
        if not self._has_failed():
            # shielded: others wait for the same reading, and one who leaves must not end it
            await asyncio.shield(self._read())
        if self._models is not None:
            return self._models
        assert self._failure is not None
        if self._default is not None:
            return (ModelInfo(self._default, self._default),)
        error = self._failure[1]
        raise type(error)(str(error), retry_after=error.retry_after)  # one of its own for each

    def _has_failed(self) -> bool:
        """Whether the last reading failed, a moment ago."""
        return self._failure is not None and self._clock() - self._failure[0] < FAILURE_S

    def _read(self) -> asyncio.Task[None]:
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._do_read(), name="list of models")
        return self._reading

    async def _do_read(self) -> None:
        try:
            models = tuple(await self._provider.models())
            if not models and self._default is None:
                raise NotConfigured(NO_MODELS)
        except WiresideError as error:
            self._failure = (self._clock(), error)
            _log.warning("models_not_listed", code=error.code, message=str(error))
            return
        self._models, self._read_at, self._failure = models, self._clock(), None


def _sentence(name: str, offered: Sequence[ModelInfo]) -> str:
    names = ", ".join(model.id for model in offered[:NAMED])
    more = f" and {len(offered) - NAMED} more" if len(offered) > NAMED else ""
    return f'This server does not offer "{name[:100]}"; it offers {names}{more}.'
