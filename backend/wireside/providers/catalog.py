"""Caches a provider's model list and resolves model names."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

import structlog

from wireside.errors import NotConfigured, UnknownModel, WiresideError
from wireside.messages import ModelInfo
from wireside.ports.clock import Clock
from wireside.ports.provider import Provider

_log = structlog.get_logger(__name__)

REST = "*"
"""The alias for every name that is neither offered nor an alias itself."""

FRESH_S = 60.0
"""Age in seconds after which the list is refreshed."""

FAILURE_S = 2.0
"""Time in seconds for which a failure to read the list is cached."""

MAX_PASSED_OVER = 1_000
"""Maximum number of remembered models that refused to chat."""

NAMED = 5
"""Maximum number of models in an error message."""

NO_MODELS = (
    "The model service offers no models. Administrator of this server: set WIRESIDE_MODEL to a "
    "model's name."
)


class Catalog:
    """The models of one provider, the default first; read at most once per minute.

    ``default`` is the model for requests that name none; if it is None, the provider's first chat
    model is used. ``aliases`` are the models that answer for names which the provider does not
    offer: "" is the default model, and the alias ``REST`` stands for all other names.
    ``provider_aliases`` returns further ones, those of single providers.
    ``vision_models`` are patterns of the models that see images; without them, the provider's list
    decides.
    """

    def __init__(
        self,
        provider: Provider,
        *,
        default: str | None,
        clock: Clock,
        aliases: Mapping[str, str] | None = None,
        vision_models: Sequence[str] = (),
        provider_aliases: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self._provider = provider
        self._default = default
        self._aliases = dict(aliases or {})
        self._provider_aliases = provider_aliases
        self._clock = clock
        self._vision_models = tuple(vision_models)
        self._models: tuple[ModelInfo, ...] | None = None
        self._read_at = 0.0
        self._failure: tuple[float, WiresideError] | None = None
        self._reading: asyncio.Task[None] | None = None
        self._is_outdated = False
        """Whether the list has changed since reading it began."""
        self._told_aliases: set[str] = set()
        self._passed_over: set[str] = set()

    async def list_models(self) -> tuple[ModelInfo, ...]:
        """Return the available models, the default first.

        A stale list is returned while the next one is read.

        Raises:
            WiresideError: no list was ever read, and no default is set.
        """
        listed = [self._with_capabilities(model) for model in await self._list_upstream()]
        listed.sort(key=lambda model: not model.can_chat)
        if self._default is None:
            return tuple(listed)
        unlisted = self._with_capabilities(ModelInfo(id=self._default, name=self._default))
        first = _find_model(self._default, listed) or unlisted
        return (first, *(model for model in listed if model.id != first.id))

    def pass_over(self, model: str) -> None:
        """Move a model to the end of the list, since its service has refused to chat with it."""
        if len(self._passed_over) < MAX_PASSED_OVER and model not in self._passed_over:
            self._passed_over.add(model)
            _log.warning("model_cannot_chat", model=model)

    def _with_capabilities(self, model: ModelInfo) -> ModelInfo:
        if model.id in self._passed_over:
            model = replace(model, can_chat=False)
        if self._vision_models:
            model = replace(
                model, can_see=any(fnmatchcase(model.id, p) for p in self._vision_models)
            )
        return model

    async def resolve_model(self, name: str | None) -> str:
        """Return the id of the model called ``name``; None means the default.

        Names are compared as services do: the prefix ``models/`` and the suffix ``:latest`` are
        optional, and a gateway's wildcard matches. An alias counts where no model has that name.
        Without a list, every name is accepted and the provider decides, except for an alias that
        names its model.

        Raises:
            UnknownModel: the provider offers neither the model nor that of the alias.
            WiresideError: ``name`` is None, and ``models`` fails.
        """
        if self._default is not None and name in (None, self._default):
            found = _find_model(self._default, self._models or ())  # does not wait for the list
            return found.id if found else self._default
        if name is None:
            return (await self.list_models())[0].id
        try:
            offered = await self.list_models()
        except WiresideError:
            return self._all_aliases().get(name) or name
        if offered_id := _offered_id(name, offered):
            return offered_id
        if model := self._model_of_alias(name, offered):
            return model
        if self._has_failed():
            return name
        raise unknown_model(name, offered)

    def _model_of_alias(self, name: str, offered: Sequence[ModelInfo]) -> str | None:
        """Return the model that answers for a name which is not offered, None if none does."""
        aliases = self._all_aliases()
        alias = name if name in aliases else REST
        model = aliases.get(alias)
        is_certain = self._has_no_such() or (alias == name and model)
        if model is None or not is_certain:
            return None
        if not model:
            answers = offered[0].id if not offered[0].id.endswith("*") else None
        else:
            answers = _offered_id(model, offered) or (None if self._has_no_such() else model)
        if answers is not None and alias not in self._told_aliases:
            self._told_aliases.add(alias)
            _log.info("model_alias", asked=name, answers=answers)
        return answers

    def _all_aliases(self) -> Mapping[str, str]:
        """Return the aliases of the settings, then those of providers."""
        return {**self._provider_aliases(), **self._aliases}

    def read_again(self) -> None:
        """Let the next request wait for the list, which has changed."""
        self._is_outdated = True
        self._failure = None

    def _has_no_such(self) -> bool:
        """Whether an unlisted name is known not to be offered.

        That is so if there is a list, or if the provider has none at all.
        """
        if self._models is not None:
            return True
        return self._failure is not None and isinstance(self._failure[1], NotConfigured)

    async def _list_upstream(self) -> Sequence[ModelInfo]:
        now = self._clock()
        while self._models is not None and self._is_outdated:
            await asyncio.shield(self._start_reading())
        if self._models is not None:
            if now - self._read_at >= FRESH_S and not self._has_failed():
                self._start_reading()
            return self._models
        if not self._has_failed():
            # shielded: other requests await the same task, and one's cancellation must not end it
            await asyncio.shield(self._start_reading())
        if self._models is not None:
            return self._models
        assert self._failure is not None
        if self._default is not None:
            return (ModelInfo(id=self._default, name=self._default),)
        error = self._failure[1]
        raise type(error)(str(error), retry_after=error.retry_after)  # a new one per request

    def _has_failed(self) -> bool:
        """Whether the last read failed within the last ``FAILURE_S`` seconds."""
        return self._failure is not None and self._clock() - self._failure[0] < FAILURE_S

    def _start_reading(self) -> asyncio.Task[None]:
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read_models(), name="list of models")
        return self._reading

    async def _read_models(self) -> None:
        self._is_outdated = False
        try:
            models = tuple(await self._provider.models())
            if not models and self._default is None:
                raise NotConfigured(NO_MODELS)
        except WiresideError as error:
            self._failure = (self._clock(), error)
            _log.warning("models_not_listed", code=error.code, message=str(error))
            return
        is_first = self._models is None
        self._models, self._read_at, self._failure = models, self._clock(), None
        if is_first:
            self._warn_about_aliases(models)

    def _warn_about_aliases(self, listed: Sequence[ModelInfo]) -> None:
        names = [*listed, *((ModelInfo(id=self._default, name=""),) if self._default else ())]
        for alias, model in self._aliases.items():
            if model and not _offered_id(model, names):
                _log.warning(
                    "model_of_alias_unknown",
                    message=f"WIRESIDE_MODEL_ALIASES has {alias}={model}, but the model service"
                    f' does not offer "{model}": requests for that alias are refused.',
                )


def _offered_id(name: str, models: Sequence[ModelInfo]) -> str | None:
    """Return the id by which a model can be requested, None if it is not offered."""
    if found := _find_model(name, models):
        return found.id
    return name if any(_wildcard_matches(model.id, name) for model in models) else None


def _find_model(name: str, models: Sequence[ModelInfo]) -> ModelInfo | None:
    """Return the model called ``name``; an exact match takes precedence."""
    for form in (str, _bare_model_name):
        for model in models:
            if form(model.id) == form(name):
                return model
    return next((model for model in models if name == f"{model.provider}/{model.id}"), None)


def _wildcard_matches(pattern: str, name: str) -> bool:
    """Whether a wildcard of a gateway's list (``openai/*``) matches a name."""
    return pattern.endswith("*") and name.startswith(pattern[:-1]) and not name.endswith("*")


def is_name_of(name: str, model: str) -> bool:
    """Whether ``name`` is a name of the model with that id, and not an alias."""
    return _bare_model_name(name) == _bare_model_name(model)


def _bare_model_name(name: str) -> str:
    return name.removeprefix("models/").removesuffix(":latest")


def unknown_model(name: str, offered: Sequence[ModelInfo]) -> UnknownModel:
    """Return the error for a name that is not among the offered models."""
    names = ", ".join(model.id for model in offered[:NAMED])
    more = f" and {len(offered) - NAMED} more" if len(offered) > NAMED else ""
    others = f"; it offers {names}{more}" if offered else ""
    return UnknownModel(f'This server does not offer "{name[:100]}"{others}.')
