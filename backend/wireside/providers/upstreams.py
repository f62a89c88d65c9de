"""Several providers as one: lists the models of all, and asks the one that has a model.

A provider that is down hides no other one: its last list stays, and reading it is retried with
back-off.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from typing import Final

import structlog

from wireside.errors import NotConfigured, UnknownModel, WiresideError
from wireside.identity import ModelAccess
from wireside.messages import Delta, Finished, ModelInfo, ModelRequest
from wireside.ports.clock import Clock
from wireside.ports.provider import Provider
from wireside.protocol.frames import MAX_NAME_CHARS
from wireside.providers.specs import MAIN, Price, ProviderSpec

_log = structlog.get_logger(__name__)

LIST_WAIT_S: Final = 3.0
"""Time in seconds that the models of one provider wait for those of another."""

FRESH_S: Final = 5.0
"""Age in seconds up to which a list is not read again."""

FIRST_RETRY_S: Final = 2.0
LONGEST_RETRY_S: Final = 60.0
"""Delays in seconds until the list of a failed provider is read again; it doubles each time."""

TEST_S: Final = 15.0
"""Time limit in seconds of a test."""

Connect = Callable[[ProviderSpec], Provider]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderFailure:
    """Why the last request to a provider failed. ``at`` is in seconds since 1970."""

    at: float
    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderState:
    """A provider as the administrator's page shows it.

    ``models`` are the ids of those that are offered, None before the list was read once.
    """

    spec: ProviderSpec
    is_fixed: bool
    """Whether the settings configure it, so that the page can't change it."""
    models: tuple[str, ...] | None
    failure: ProviderFailure | None


class Upstream:
    """One provider: its connection, the last list of its models and its last failure."""

    def __init__(self, spec: ProviderSpec, provider: Provider, *, is_fixed: bool) -> None:
        self.spec = spec
        self.provider = provider
        self.is_fixed = is_fixed
        self.models: tuple[ModelInfo, ...] | None = None
        self.failure: ProviderFailure | None = None
        self.read_at = -math.inf
        """Time of a monotonic clock at which the list was read."""
        self.failures = 0
        """Number of consecutive failures to read the list."""
        self.error: WiresideError | None = None
        self.is_idle = asyncio.Event()
        """Set while no answer is in progress."""
        self.is_idle.set()
        self._running = 0
        self.reading: asyncio.Task[None] | None = None
        self.retrying: asyncio.Task[None] | None = None

    @property
    def is_retrying(self) -> bool:
        """Whether the list will be read again after a delay."""
        return self.retrying is not None and not self.retrying.done()

    def count_answer(self, change: int) -> None:
        """Count an answer that begins or ends."""
        self._running += change
        if self._running:
            self.is_idle.clear()
        else:
            self.is_idle.set()

    def stop_tasks(self) -> None:
        """Stop reading the list."""
        for task in (self.reading, self.retrying):
            if task is not None:
                task.cancel()


class Upstreams(Provider):
    """Implements ``ports.provider.Provider`` with several others.

    Args:
        main: the provider that the settings ``OPENAI_*`` select; None: only those of ``fixed``.
        main_prices: prices of the models of ``main``.
        fixed: further providers of the settings.
        connect: connects a provider.
        on_changed: called when a list of models has changed outside of ``models``.
        wall_clock: seconds since 1970.
    """

    def __init__(
        self,
        main: Provider | None,
        *,
        main_prices: Sequence[Price] = (),
        fixed: Sequence[ProviderSpec] = (),
        connect: Connect,
        on_changed: Callable[[], None] = lambda: None,
        wall_clock: Clock,
    ) -> None:
        self._connect = connect
        self._on_changed = on_changed
        self._now = wall_clock
        self._extra_prices: Mapping[str, Price] = {}
        self._upstreams: list[Upstream] = []
        self._closing: set[asyncio.Task[None]] = set()
        self._retired: list[Upstream] = []
        self._routes: dict[str, tuple[Upstream, str]] = {}
        if main is not None:
            spec = ProviderSpec(name=MAIN, prices=tuple(main_prices))
            self._upstreams.append(Upstream(spec, main, is_fixed=True))
        self._upstreams += [Upstream(spec, connect(spec), is_fixed=True) for spec in fixed]

    # ---- the interface of a provider ---------------------------------------------------------

    @property
    def kind(self) -> str:
        """That of the first provider."""
        return self._upstreams[0].provider.kind if self._upstreams else "openai"

    @property
    def first(self) -> Provider | None:
        """The first provider; None if there is none."""
        return self._upstreams[0].provider if self._upstreams else None

    async def warm_up(self) -> None:
        """Warm the providers up side by side; the failure of one does not delay the others."""
        if len(self._upstreams) == 1:
            return await self._upstreams[0].provider.warm_up()
        async with asyncio.TaskGroup() as group:
            for upstream in self._enabled:
                group.create_task(self._warm_up(upstream))

    async def models(self) -> Sequence[ModelInfo]:
        """Return the models of all providers that have ever listed theirs, in their order.

        The id of a model that an earlier provider has too begins with the name of its provider.

        Raises:
            WiresideError: no provider could list its models; it is the error of the first one.
        """
        enabled = self._enabled
        if not enabled:
            raise NotConfigured("No model service is configured.")
        now = time.monotonic()
        readings = {
            self._start_reading(upstream)
            for upstream in enabled
            if not upstream.is_retrying and now - upstream.read_at >= FRESH_S
        }
        await self._wait_for_lists(readings)
        for task in readings:
            if task.done() and not task.cancelled() and (fault := task.exception()) is not None:
                raise fault
        if all(upstream.models is None for upstream in enabled):
            error = next((one.error for one in enabled if one.error is not None), None)
            if error is None:  # closed while it was read
                raise NotConfigured("No model service is configured.")
            raise type(error)(str(error), retry_after=error.retry_after)
        return self._merge()

    def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        """Stream an answer of the provider that has the model. See ``ports.provider.Provider``."""
        found = self._find(request.model)
        if found is None:
            return self._stream_after_listing(request)
        return self._stream_of(*found, request)

    async def aclose(self) -> None:
        """Close all providers."""
        for retired in self._retired:
            retired.is_idle.set()
        for upstream in self._upstreams:
            upstream.stop_tasks()
        await asyncio.gather(*(upstream.provider.aclose() for upstream in self._upstreams))
        await asyncio.gather(*self._closing, return_exceptions=True)

    # ---- several providers -------------------------------------------------------------------

    def states(self) -> Sequence[ProviderState]:
        """Return what is known of each provider, in their order."""
        ids: dict[str, list[str]] = {}
        for model, (upstream, _) in self._routes.items():
            ids.setdefault(upstream.spec.name, []).append(model)
        return [
            ProviderState(
                spec=one.spec,
                is_fixed=one.is_fixed,
                models=None if one.models is None else tuple(ids.get(one.spec.name, ())),
                failure=one.failure,
            )
            for one in self._upstreams
        ]

    def replace_specs(
        self, specs: Sequence[ProviderSpec], *, prices: Mapping[str, Price] | None = None
    ) -> None:
        """Use these providers in addition to those of the settings.

        A provider that has not changed keeps its connections and its list. Running answers of one
        that has changed end by themselves, before its connections are closed.

        Args:
            specs: the providers.
            prices: prices by the id of the model, which take precedence over those of providers.
        """
        fixed = [one for one in self._upstreams if one.is_fixed]
        names = {one.spec.name for one in fixed}
        before = {one.spec.name: one for one in self._upstreams if not one.is_fixed}
        others: list[Upstream] = []
        for spec in specs:
            if spec.name in names:
                _log.warning("provider_named_twice", provider=spec.name)
                continue
            known = before.pop(spec.name, None)
            if known is not None and _has_same_connection(known.spec, spec):
                known.spec = spec
                others.append(known)
                continue
            if known is not None:
                self._retire(known)
            others.append(Upstream(spec, self._connect(spec), is_fixed=False))
        for upstream in before.values():
            self._retire(upstream)
        self._upstreams = [*fixed, *others]
        self._extra_prices = dict(prices or {})
        self._merge()
        for upstream in self._enabled:
            if upstream.models is None and not upstream.is_retrying:
                self._start_reading(upstream)
        self._on_changed()

    def access_of(self, model: str) -> ModelAccess | None:
        """Return the callers that may use a model; None: all."""
        found = self._find(model)
        return None if found is None else found[0].spec.access

    def aliases(self) -> Mapping[str, str]:
        """Return the id of the model that answers for each alias of a provider."""
        ids = {(one.spec.name, model): id_ for id_, (one, model) in self._routes.items()}
        found: dict[str, str] = {}
        for upstream in self._enabled:
            for alias, model in upstream.spec.aliases.items():
                if (target := ids.get((upstream.spec.name, model))) is not None:
                    found.setdefault(alias, target)
        return found

    def price_of(self, model: str) -> Price | None:
        """Return the price of a model, None if none is known."""
        if (price := self._extra_prices.get(model)) is not None:
            return price
        found = self._find(model)
        return None if found is None else found[0].spec.price_of(found[1])

    async def test(self, spec: ProviderSpec) -> Sequence[str]:
        """Return the ids of the models of a provider, by a connection of its own.

        A failure is noted as the provider's last one.

        Raises:
            WiresideError: they can't be listed.
        """
        provider = self._connect(spec)
        try:
            async with asyncio.timeout(TEST_S):
                return [one.id for one in await provider.models() if spec.offers(one.id)]
        except WiresideError as error:
            for upstream in self._upstreams:
                if upstream.spec.name == spec.name:
                    self._note_failure(upstream, error)
            raise
        finally:
            await provider.aclose()

    # ---- lists -------------------------------------------------------------------------------

    @property
    def _enabled(self) -> Sequence[Upstream]:
        return [one for one in self._upstreams if one.spec.is_enabled]

    async def _warm_up(self, upstream: Upstream) -> None:
        with suppress(WiresideError):
            await upstream.provider.warm_up()

    def _start_reading(self, upstream: Upstream) -> asyncio.Task[None]:
        if upstream.reading is None or upstream.reading.done():
            name = f"models of {upstream.spec.name}"
            upstream.reading = asyncio.create_task(self._read(upstream), name=name)
        return upstream.reading

    async def _wait_for_lists(self, readings: Collection[asyncio.Task[None]]) -> None:
        """Wait for all lists; once there is one, for ``LIST_WAIT_S`` at most."""
        pending = set(readings)
        while pending and not any(one.models is not None for one in self._enabled):
            _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        if pending:
            await asyncio.wait(pending, timeout=LIST_WAIT_S)

    async def _read(self, upstream: Upstream) -> None:
        """Read the list of one provider; a failure is noted, and retried later."""
        try:
            models = await _models_of(upstream)
        except WiresideError as failed:
            error = _worded_for(upstream, failed)
            self._note_failure(upstream, error)
            upstream.error = error
            upstream.failures += 1
            self._retry_later(upstream)
            return
        before, was_failing = upstream.models, upstream.failures > 0
        upstream.models, upstream.failures, upstream.error = models, 0, None
        upstream.read_at = time.monotonic()
        if was_failing:
            upstream.failure = None
            _log.info("provider_is_back", provider=upstream.spec.name)
        if models != before:
            self._merge()
            if len(self._upstreams) > 1:
                self._on_changed()

    def _retry_later(self, upstream: Upstream) -> None:
        """Read the list again after a delay; the only provider is retried when it is asked."""
        if len(self._enabled) < 2 or upstream.is_retrying:
            return
        delay_s = min(FIRST_RETRY_S * 2.0 ** (upstream.failures - 1), LONGEST_RETRY_S)

        async def retry() -> None:
            await asyncio.sleep(delay_s)
            upstream.retrying = None
            await self._start_reading(upstream)

        name = f"retry of {upstream.spec.name}"
        upstream.retrying = asyncio.create_task(retry(), name=name)

    def _merge(self) -> Sequence[ModelInfo]:
        """Return the models of all providers, and note which provider has each of them."""
        is_one = len(self._upstreams) == 1
        routes: dict[str, tuple[Upstream, str]] = {}
        merged: list[ModelInfo] = []
        for upstream in self._enabled:
            name = upstream.spec.name
            for model in upstream.models or ():
                if not upstream.spec.offers(model.id):
                    continue
                id_ = model.id
                if id_ in routes:
                    id_ = f"{name}/{model.id}"
                if id_ in routes or len(id_) > MAX_NAME_CHARS:
                    continue
                routes[id_] = (upstream, model.id)
                shown = id_ if model.name == model.id else model.name
                info = replace(model, id=id_, name=shown, provider="" if is_one else name)
                merged.append(info)
        self._routes = routes
        return merged

    # ---- answers -----------------------------------------------------------------------------

    def _find(self, model: str) -> tuple[Upstream, str] | None:
        """Return the provider that has a model, and the model's name there.

        None if that is not known before the lists are read.
        """
        if (found := self._routes.get(model)) is not None:
            return found
        for upstream in self._enabled:
            if model.startswith(f"{upstream.spec.name}/"):
                return upstream, model.removeprefix(f"{upstream.spec.name}/")
        enabled = self._enabled
        if len(enabled) == 1 or (enabled and all(one.models is not None for one in enabled)):
            return enabled[0], model
        return None

    async def _stream_after_listing(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        with suppress(WiresideError):
            await self.models()
        found = self._find(request.model)
        if found is None and self._enabled:
            found = self._enabled[0], request.model
        if found is None:
            raise UnknownModel(f'No provider has "{request.model[:100]}".')
        async with aclosing(self._stream_of(*found, request)) as deltas:
            async for delta in deltas:
                yield delta

    def _stream_of(
        self, upstream: Upstream, model: str, request: ModelRequest
    ) -> AsyncGenerator[Delta, None]:
        price = self._extra_prices.get(request.model) or upstream.spec.price_of(model)
        if model != request.model:
            request = replace(request, model=model)
        if price is None and upstream.is_fixed and len(self._upstreams) == 1:
            return upstream.provider.stream(request)
        return self._priced(upstream, request, price)

    async def _priced(
        self, upstream: Upstream, request: ModelRequest, price: Price | None
    ) -> AsyncGenerator[Delta, None]:
        """Stream an answer, add its cost to its end, and note a failure."""
        upstream.count_answer(1)
        try:
            async with aclosing(upstream.provider.stream(request)) as deltas:
                async for delta in deltas:
                    if price is not None and type(delta) is Finished:
                        cost = price.cost_of(delta.usage, delta.cached_tokens)
                        delta = replace(delta, cost=cost)
                    yield delta
        except WiresideError as failed:
            error = _worded_for(upstream, failed)
            self._note_failure(upstream, error)
            if error is failed:
                raise
            raise error from None
        finally:
            upstream.count_answer(-1)

    def _note_failure(self, upstream: Upstream, error: WiresideError) -> None:
        upstream.failure = ProviderFailure(at=self._now(), code=error.code, message=str(error))
        if len(self._upstreams) > 1:
            _log.warning(
                "provider_failed",
                provider=upstream.spec.name,
                code=error.code,
                message=str(error),
            )

    def _retire(self, upstream: Upstream) -> None:
        """Close a provider that is used no longer, after its running answers."""
        upstream.stop_tasks()
        self._retired.append(upstream)

        async def close() -> None:
            await upstream.is_idle.wait()
            self._retired.remove(upstream)
            await upstream.provider.aclose()

        task = asyncio.create_task(close(), name="close provider")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def _worded_for(upstream: Upstream, error: WiresideError) -> WiresideError:
    """Return an error with the names of what configures the provider, instead of ``OPENAI_*``."""
    text = str(error)
    if upstream.spec.name != MAIN:
        for variable, key in _KEYS.items():
            text = text.replace(variable, f"`{key}` of the provider {upstream.spec.name}")
    return error if text == str(error) else type(error)(text, retry_after=error.retry_after)


_KEYS: Final = {
    "OPENAI_BASE_URL": "base_url",
    "OPENAI_API_KEY": "api_key",
    "WIRESIDE_MODEL": "include",
}


async def _models_of(upstream: Upstream) -> tuple[ModelInfo, ...]:
    """Return the models of a provider; without a list, those that ``include`` names in full."""
    try:
        return tuple(await upstream.provider.models())
    except NotConfigured:
        named = [one for one in upstream.spec.include if not any(char in one for char in "*?[")]
        if not named:
            raise
        return tuple(ModelInfo(id=one, name=one) for one in named)


def _has_same_connection(one: ProviderSpec, other: ProviderSpec) -> bool:
    return (one.base_url, one.api_key) == (other.base_url, other.api_key)
