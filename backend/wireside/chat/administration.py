"""What administrators set for all: providers, rules of models, banners and the default preset.

The state is kept in memory and read again when the store has a newer version, which another server
may have made. Methods with a ``caller`` raise ``Forbidden`` unless it is an administrator, and
``StoreError`` when the store is unavailable.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import structlog

from wireside.chat.usage import DAY_S
from wireside.errors import BadMessage, NotFound, ProviderTimeout, StoreError
from wireside.generation.reader import Signal
from wireside.generation.runner import new_stream_name
from wireside.identity import Caller, ModelAccess
from wireside.invisible_text import seen
from wireside.ports.administration import AdministrationStore, FeedbackStore, UsageStore
from wireside.ports.audit import AuditRecorder
from wireside.ports.clock import Clock
from wireside.ports.saved import PresetStore
from wireside.providers.specs import (
    MAX_PROVIDERS,
    Price,
    ProviderSpec,
    price_table,
    read_prices,
    read_spec,
    spec_table,
)
from wireside.providers.upstreams import ProviderFailure, Upstreams
from wireside.records import (
    AdministeredState,
    Banner,
    FeedbackCount,
    FeedbackQuery,
    ModelRule,
    Preset,
    RatedAnswer,
    Severity,
    StoredProvider,
    UsageKey,
    UsageSum,
)
from wireside.secret_box import SecretBox, Unreadable

_log = structlog.get_logger(__name__)

FOLLOW_S: Final = 2.0
"""Interval in seconds in which changes of other servers and times of banners are noticed."""

MAX_BANNERS: Final = 20
MAX_BANNER_CHARS: Final = 1_000
MAX_KEY_CHARS: Final = 500
MAX_DAYS: Final = 400
"""Days of usage that are read at once."""

NO_PROVIDER: Final = "There is no such provider."
UNREADABLE: Final = "The key can't be decrypted, since the server's own key has changed: enter it."

_NO_ONE: Final = ModelAccess()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderView:
    """A provider for administrators. Its key is never part of it.

    ``key_set_at`` is the time in seconds at which the key was set; 0 for one of the settings, None
    without a key.
    """

    spec: ProviderSpec
    is_fixed: bool
    key_set_at: float | None
    models: tuple[str, ...] | None
    failure: ProviderFailure | None
    problem: str = ""
    """Why it can't be used, besides a failure."""


class Administration:
    """What administrators set, and the usage.

    Args:
        store: keeps it.
        usage: the stored usage.
        feedback: the stored feedback.
        presets: the presets of all users.
        upstreams: uses the providers and prices; None if no provider can be added.
        box: encrypts keys.
        witness: the audit log.
        wall_clock: seconds since 1970.
        is_shared: other servers change the store too.
    """

    def __init__(
        self,
        store: AdministrationStore,
        *,
        usage: UsageStore,
        feedback: FeedbackStore,
        presets: PresetStore,
        upstreams: Upstreams | None,
        box: SecretBox,
        witness: AuditRecorder,
        wall_clock: Clock,
        is_shared: bool = False,
    ) -> None:
        self._store = store
        self._usage = usage
        self._feedback = feedback
        self._presets = presets
        self._upstreams = upstreams
        self._box = box
        self._witness = witness
        self._now = wall_clock
        self._is_shared = is_shared
        self._state = AdministeredState()
        self._disabled: frozenset[str] = frozenset()
        self._problems: dict[str, str] = {}
        self._shown: tuple[Banner, ...] = ()
        self.bell = Signal()
        """Notifies pages that other banners are shown."""

    # ---- the state ---------------------------------------------------------------------------

    async def load(self) -> None:
        """Read what is stored and use it. Raises ``StoreError``."""
        before, self._state = self._state, await self._store.read_state()
        self._disabled = frozenset(
            rule.model for rule in self._state.model_rules if rule.is_disabled
        )
        self._use_providers(before)
        self._refresh_banners()

    async def follow_until_cancelled(self) -> None:
        """Notice the changes of other servers, and the times at which banners begin and end."""
        while True:
            await asyncio.sleep(FOLLOW_S)
            try:
                if self._is_shared and await self._store.version() != self._state.version:
                    await self.load()
            except StoreError:  # its cause has been logged by the store
                _log.warning("administration_not_read")
            except Exception:
                _log.exception("administration_not_read")
            self._refresh_banners()

    @property
    def default_preset(self) -> str | None:
        """Id of the preset with which users begin new chats that have chosen none."""
        return self._state.default_preset

    @property
    def has_providers(self) -> bool:
        """Whether providers can be added."""
        return self._upstreams is not None

    def access_of(self, model: str) -> ModelAccess | None:
        """Return the callers that may use a model, as far as administrators have set it."""
        return _NO_ONE if model in self._disabled else None

    # ---- providers ---------------------------------------------------------------------------

    def list_providers(self, caller: Caller) -> Sequence[ProviderView]:
        """Return all providers: those of the settings, then those of the page."""
        caller.require("admin")
        if self._upstreams is None:
            return ()
        states = {one.spec.name: one for one in self._upstreams.states()}
        stored = {one.name: one for one in self._state.providers}
        return [
            ProviderView(
                spec=state.spec,
                is_fixed=state.is_fixed,
                key_set_at=_key_set_at(state.spec, None if state.is_fixed else stored.get(name)),
                models=state.models,
                failure=state.failure,
                problem=self._problems.get(name, ""),
            )
            for name, state in states.items()
        ]

    async def add_provider(self, caller: Caller, table: Mapping[str, Any]) -> None:
        """Add a provider. Raises ``BadMessage`` with a sentence that names the key."""
        caller.require("admin")
        spec = _spec(table)
        if any(spec.name == one.spec.name for one in self.list_providers(caller)):
            raise BadMessage(f"name: there is a provider {spec.name} already.")
        if not await self._store.add_provider(self._stored(spec), max_count=MAX_PROVIDERS):
            raise BadMessage(f"There can be {MAX_PROVIDERS} providers at most, each with its name.")
        self._witness.record(caller, "provider_added", spec.name)
        await self.load()

    async def change_provider(self, caller: Caller, name: str, changes: Mapping[str, Any]) -> None:
        """Change keys of a provider's table; without ``api_key`` that stays.

        Raises:
            NotFound: there is no such provider, or the settings configure it.
            BadMessage: a key is invalid.
        """
        caller.require("admin")
        stored = self._find_stored(name)
        before = json.loads(stored.spec)
        table = {**before, **changes, "name": name}
        has_new_key = bool(changes.get("api_key"))
        # a stored key must not be sent to another host than the one that it was entered for
        if table.get("base_url") != before.get("base_url") and stored.secret and not has_new_key:
            raise BadMessage("api_key: enter it again for another address.")
        checked = table if has_new_key or stored.secret is None else {**table, "api_key": "kept"}
        spec = _spec(checked)
        changed = self._stored(spec if has_new_key else replace(spec, api_key=None))
        if not await self._store.update_provider(changed, keeps_secret=not has_new_key):
            raise NotFound(NO_PROVIDER)
        self._witness.record(caller, "provider_changed", name)
        await self.load()

    async def remove_provider(self, caller: Caller, name: str) -> None:
        """Remove a provider. Raises ``NotFound``."""
        caller.require("admin")
        self._find_stored(name)
        await self._store.remove_provider(name)
        self._witness.record(caller, "provider_removed", name)
        await self.load()

    async def test_provider(self, caller: Caller, name: str) -> Sequence[str]:
        """Return the models that a provider lists now, by a new connection.

        Raises:
            NotFound: there is no such provider.
            WiresideError: it can't list them.
        """
        caller.require("admin")
        states = self._upstreams.states() if self._upstreams else ()
        state = next((one for one in states if one.spec.name == name), None)
        if state is None or self._upstreams is None:
            raise NotFound(NO_PROVIDER)
        if name in self._problems:
            raise BadMessage(self._problems[name])
        try:
            return await self._upstreams.test(state.spec)
        except TimeoutError as error:
            raise ProviderTimeout("The provider did not answer in time.") from error

    # ---- models ------------------------------------------------------------------------------

    def model_rules(self, caller: Caller) -> Mapping[str, ModelRule]:
        """Return what is set for single models, by their ids."""
        caller.require("admin")
        return {rule.model: rule for rule in self._state.model_rules}

    def price_of(self, caller: Caller, model: str) -> Price | None:
        """Return the price that applies to a model."""
        caller.require("admin")
        return self._upstreams.price_of(model) if self._upstreams else None

    async def set_disabled(self, caller: Caller, model: str, *, is_disabled: bool) -> None:
        """Hide a model from all users, or offer it again."""
        caller.require("admin")
        rule = replace(self._rule_of(model), is_disabled=is_disabled)
        await self._store.set_model_rule(rule)
        action = "model_disabled" if is_disabled else "model_enabled"
        self._witness.record(caller, action, model)
        await self.load()

    async def set_price(self, caller: Caller, model: str, fields: Mapping[str, Any] | None) -> None:
        """Set the price of a model; None: that of its provider. Raises ``BadMessage``."""
        caller.require("admin")
        text = None
        if fields is not None:
            try:
                read_prices({model: fields}, place="price")
            except ValueError as error:
                raise BadMessage(str(error)) from None
            text = json.dumps(dict(fields))
        await self._store.set_model_rule(replace(self._rule_of(model), price=text))
        self._witness.record(caller, "price_set", model)
        await self.load()

    # ---- the default preset ------------------------------------------------------------------

    async def shared_presets(self, caller: Caller) -> Sequence[Preset]:
        """Return the presets that all users see."""
        caller.require("admin")
        found = await self._presets.list_items(caller.user_id)
        return sorted((one for one in found if one.is_shared), key=lambda one: one.name.casefold())

    async def set_default_preset(self, caller: Caller, preset_id: str | None) -> None:
        """Set the preset for users that have chosen none. Raises ``NotFound``."""
        caller.require("admin")
        if preset_id is not None:
            preset = await self._presets.find_item(preset_id)
            if preset is None or not preset.is_shared:
                raise NotFound("There is no such shared preset.")
        await self._store.set_default_preset(preset_id)
        self._witness.record(caller, "default_preset_set", preset_id or "")
        await self.load()

    # ---- banners -----------------------------------------------------------------------------

    @property
    def banners(self) -> Sequence[Banner]:
        """The banners that are shown now."""
        return self._shown

    def all_banners(self, caller: Caller) -> Sequence[Banner]:
        """Return all banners, in the order in which they were made."""
        caller.require("admin")
        return self._state.banners

    async def put_banner(
        self,
        caller: Caller,
        *,
        text: str,
        severity: Severity,
        begins_at: float | None,
        ends_at: float | None,
        is_dismissible: bool,
        banner_id: str = "",
    ) -> None:
        """Add a banner, or replace the one of that id. Raises ``BadMessage``, ``NotFound``."""
        caller.require("admin")
        if banner_id and not any(one.id == banner_id for one in self._state.banners):
            raise NotFound("There is no such banner.")
        if begins_at is not None and ends_at is not None and ends_at <= begins_at:
            raise BadMessage("The banner ends before it begins.")
        banner = Banner(
            id=banner_id or new_stream_name(),
            text=_banner_text(text),
            severity=severity,
            begins_at=begins_at,
            ends_at=ends_at,
            is_dismissible=is_dismissible,
            updated_at=self._now(),
        )
        if not await self._store.put_banner(banner, max_count=MAX_BANNERS):
            raise BadMessage(f"There can be {MAX_BANNERS} banners at most.")
        self._witness.record(caller, "banner_set", banner.text[:80])
        await self.load()

    async def remove_banner(self, caller: Caller, banner_id: str) -> None:
        """Remove a banner."""
        caller.require("admin")
        await self._store.remove_banner(banner_id)
        self._witness.record(caller, "banner_removed")
        await self.load()

    # ---- usage -------------------------------------------------------------------------------

    async def read_usage(
        self, caller: Caller, first_day: int, last_day: int
    ) -> Sequence[tuple[UsageKey, UsageSum]]:
        """Return the usage of all accounts, of the last ``MAX_DAYS`` days of the period.

        Days are counted since 1970.
        """
        caller.require("admin")
        return await self._usage.read_usage(max(first_day, last_day - MAX_DAYS + 1), last_day)

    async def own_usage(self, caller: Caller, days: int) -> Sequence[tuple[UsageKey, UsageSum]]:
        """Return the usage of the caller on the last ``days`` days, today included."""
        today = self.today
        return await self._usage.read_usage(today - days + 1, today, owner=caller.user_id)

    # ---- feedback ----------------------------------------------------------------------------

    async def read_feedback(
        self, caller: Caller, query: FeedbackQuery, *, offset: int = 0, limit: int
    ) -> Sequence[RatedAnswer]:
        """Return ratings of all accounts, the newest first.

        They have texts only where the user has allowed that.
        """
        caller.require("admin")
        return await self._feedback.read_feedback(query, offset=offset, limit=limit)

    async def count_feedback(self, caller: Caller, query: FeedbackQuery) -> Sequence[FeedbackCount]:
        """Return the number of ratings by model."""
        caller.require("admin")
        return await self._feedback.count_feedback(query)

    @property
    def today(self) -> int:
        """The day in days since 1970, in UTC."""
        return int(self._now() // DAY_S)

    # ---- internals ---------------------------------------------------------------------------

    def _use_providers(self, before: AdministeredState) -> None:
        if self._upstreams is None:
            return
        of_providers = (self._state.providers, self._state.model_rules)
        if of_providers == (before.providers, before.model_rules):
            return
        self._problems = {}
        specs = [spec for one in self._state.providers if (spec := self._spec_of(one)) is not None]
        prices: dict[str, Price] = {}
        for rule in self._state.model_rules:
            if rule.price is not None:
                prices[rule.model] = read_prices({rule.model: json.loads(rule.price)}, place="")[0]
        self._upstreams.replace_specs(specs, prices=prices)

    def _spec_of(self, stored: StoredProvider) -> ProviderSpec | None:
        """Return a stored provider with its key; one that can't be read is disabled."""
        try:
            table = json.loads(stored.spec)
            if stored.secret is None:
                return read_spec(table, place=stored.name, read_key=_no_file)
            try:
                table["api_key"] = self._box.open(stored.secret)
            except Unreadable:
                self._problems[stored.name] = UNREADABLE
                table |= {"api_key": "unreadable", "enabled": False}
                _log.warning("provider_key_unreadable", provider=stored.name)
            return read_spec(table, place=stored.name, read_key=_no_file)
        except ValueError as error:  # written by a newer version
            _log.warning("provider_not_read", provider=stored.name, message=str(error))
            return None

    def _stored(self, spec: ProviderSpec) -> StoredProvider:
        now = self._now()
        return StoredProvider(
            name=spec.name,
            spec=json.dumps(spec_table(spec), ensure_ascii=False),
            secret=None if spec.api_key is None else self._box.seal(spec.api_key),
            secret_set_at=None if spec.api_key is None else now,
            updated_at=now,
        )

    def _find_stored(self, name: str) -> StoredProvider:
        found = next((one for one in self._state.providers if one.name == name), None)
        if found is None:
            raise NotFound(NO_PROVIDER)
        return found

    def _rule_of(self, model: str) -> ModelRule:
        if not 0 < len(model) <= MAX_KEY_CHARS:
            raise BadMessage(f"model: 1 to {MAX_KEY_CHARS} characters.")
        found = next((one for one in self._state.model_rules if one.model == model), None)
        return found or ModelRule(model=model)

    def _refresh_banners(self) -> None:
        now = self._now()
        shown = tuple(one for one in self._state.banners if one.is_shown_at(now))
        if shown != self._shown:
            self._shown = shown
            self.bell.notify_listeners()


def price_fields(price: Price) -> Mapping[str, Any]:
    """Return a price as the fields that ``set_price`` takes."""
    return price_table([price])[price.models]


def _key_set_at(spec: ProviderSpec, stored: StoredProvider | None) -> float | None:
    if stored is not None:
        return stored.secret_set_at
    return 0.0 if spec.api_key is not None else None


def _spec(table: Mapping[str, Any]) -> ProviderSpec:
    try:
        return read_spec(table, place="provider", read_key=_no_file)
    except ValueError as error:
        raise BadMessage(str(error).removeprefix("provider.").removeprefix("provider ")) from None


def _no_file(_: str) -> str:
    raise ValueError("the page takes no files of the server")


def _banner_text(text: str) -> str:
    clean = " ".join(seen(text).replace("\0", "").split())
    try:
        clean.encode()
    except UnicodeEncodeError as error:  # half of a surrogate pair
        raise BadMessage("text: it is not Unicode.") from error
    if not 0 < len(clean) <= MAX_BANNER_CHARS:
        raise BadMessage(f"text: 1 to {MAX_BANNER_CHARS:,} characters.")
    return clean
