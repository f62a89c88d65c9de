"""Builds the provider and the catalogue of its models."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from wireside.chat.administration import Administration
from wireside.errors import NotConfigured
from wireside.extension.chat import Chat
from wireside.files.media_types import AUDIO
from wireside.identity import ModelAccess
from wireside.openai_wire.reasoning_tags import ReasoningTags
from wireside.ports.observer import NULL_OBSERVER, Observer
from wireside.ports.provider import Provider
from wireside.ports.transcription import Transcriber
from wireside.providers import weights
from wireside.providers.base_url import base_url_in
from wireside.providers.catalog import Catalog
from wireside.providers.local import LocalLimits, LocalProvider, SharedModel
from wireside.providers.openai import OpenAIProvider
from wireside.providers.transcription import ModelTranscriber
from wireside.providers.upstreams import Upstreams
from wireside.settings.model import Settings

Connect = Callable[[str | None, str | None], OpenAIProvider]
"""Returns the provider at a base URL with an API key."""


def build_provider(
    settings: Settings,
    *,
    main: Provider | None = None,
    observer: Observer = NULL_OBSERVER,
    on_cannot_chat: Callable[[str], None] = lambda model: None,
    on_changed: Callable[[], None] = lambda: None,
) -> Upstreams:
    """Return the providers that the settings select, as one.

    Args:
        settings: the settings.
        main: the first provider, instead of the one that the settings select.
        observer: counts failed and repeated requests.
        on_cannot_chat: called with the id of a model that refuses to chat.
        on_changed: called when the list of models has changed.

    Raises:
        ValueError: a provider of the settings is invalid; the text is a sentence.
    """
    connect = _connect_with(settings, observer, on_cannot_chat)
    fixed = settings.provider_specs
    if main is None and settings.has_main_service:
        key = settings.openai_api_key
        main = connect(settings.openai_base_url, key.get_secret_value() if key else None)
    elif main is None and not fixed:
        main = build_embedded(settings, connect)
    return Upstreams(
        main,
        main_prices=settings.main_prices,
        fixed=fixed,
        connect=lambda spec: connect(spec.base_url, spec.api_key),
        on_changed=on_changed,
        wall_clock=time.time,
    )


def build_embedded(
    settings: Settings, connect: Connect | None = None, shared: SharedModel | None = None
) -> LocalProvider:
    """Return the embedded model; ``shared`` is that of another process, None: one of its own."""
    return LocalProvider(
        weights.path(settings.cache_dir),
        connect or _connect_with(settings),
        local_limits(settings),
        shared=shared,
        owns_child=shared is None,
    )


def _connect_with(
    settings: Settings,
    observer: Observer = NULL_OBSERVER,
    on_cannot_chat: Callable[[str], None] = lambda model: None,
) -> Connect:
    tags = ReasoningTags(settings.reasoning_tags)

    def connect_openai(base_url: str | None, api_key: str | None) -> OpenAIProvider:
        return OpenAIProvider(
            api_key=api_key,
            base_url=base_url,
            silence_s=settings.silence_s,
            first_token_s=settings.first_token_s,
            max_connections=settings.streams,
            watcher=observer,
            on_cannot_chat=on_cannot_chat,
            tags=tags,
        )

    return connect_openai


def local_limits(settings: Settings) -> LocalLimits:
    """Return the limits of the embedded model."""
    return LocalLimits(
        context_tokens=settings.local_context_tokens, parallel=settings.local_parallel
    )


def build_transcriber(settings: Settings, provider: Provider | None) -> Transcriber | None:
    """Return what transcribes audio files; None if no model is set.

    Raises:
        NotConfigured: a model is set, and there is no service that has it.
    """
    model = settings.transcription_model
    if not model:
        return None
    if isinstance(provider, Upstreams):
        provider = provider.first
    if not isinstance(provider, OpenAIProvider):
        raise NotConfigured(
            "WIRESIDE_TRANSCRIPTION_MODEL names a model of a service: set OPENAI_API_KEY or"
            " OPENAI_BASE_URL as well."
        )
    return ModelTranscriber(provider, model, extensions=AUDIO)


def build_catalog(
    settings: Settings, provider: Provider, upstreams: Upstreams | None = None
) -> Catalog:
    """Return the catalogue of the provider's models; ``upstreams`` have aliases of their own."""
    return Catalog(
        provider,
        default=settings.model,
        aliases=settings.models_by_alias,
        clock=time.monotonic,
        vision_models=settings.vision_models,
        provider_aliases=upstreams.aliases if upstreams else dict,
    )


class ModelRules:
    """The callers that may use each model: rules of administrators, of code, then of providers.

    Implements ``chat.models.AccessRules``.
    """

    def __init__(
        self,
        of_code: Mapping[str, ModelAccess],
        upstreams: Upstreams | None,
        administration: Administration,
    ) -> None:
        self._of_code = of_code
        self._upstreams = upstreams
        self._administration = administration

    def get(self, model: str, /) -> ModelAccess | None:
        """Return the callers that may use a model; None: all."""
        if (access := self._administration.access_of(model)) is not None:
            return access
        if (access := self._of_code.get(model)) is not None or self._upstreams is None:
            return access
        return self._upstreams.access_of(model)


def settings_of(chat: Chat, settings: Settings) -> Settings:
    """Return the settings with the name and the starters of a chat, where they have none."""
    given = settings.model_fields_set
    changes: dict[str, object] = {}
    if chat.name and "name" not in given:
        changes["name"] = chat.name
    if chat.starters and "starters" not in given:
        changes["starters"] = tuple(chat.starters)
    return settings.model_copy(update=changes)


def configured_kind(settings: Settings) -> str:
    """Return the ``Provider.kind`` of the provider that the settings select."""
    return OpenAIProvider.kind if settings.uses_openai else LocalProvider.kind


def upstream_url(settings: Settings) -> str | None:
    """Return the effective base URL of the model service; None selects OpenAI's own."""
    try:
        return base_url_in(settings.openai_base_url).url if settings.openai_base_url else None
    except ValueError:  # reported by the first answer
        return None
