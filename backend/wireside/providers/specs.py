"""The configuration of a provider: its address, models, aliases, prices and roles. No I/O.

``read_specs`` parses the tables ``[[providers]]`` of ``wireside.toml``; the administrator's page
makes the same tables.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final, get_args
from urllib.parse import urlsplit

from wireside.identity import ModelAccess, Role
from wireside.messages import Cost, Usage

MAIN: Final = "main"
"""Name of the provider that ``OPENAI_*`` configures, or of the embedded model."""

MAX_PROVIDERS: Final = 50

MAX_ITEMS: Final = 200
"""Of patterns, aliases and prices of one provider."""

MAX_TEXT_CHARS: Final = 500

MAX_PRICE: Final = 1e6
"""Per million tokens: a larger one is a mistake, and sums of them would not be exact."""

MILLION: Final = 1_000_000

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")
_ROLES: Final = get_args(Role)


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """The price of the models whose id matches a pattern, per million tokens.

    ``cached_input`` is that of input which the service had cached; None: that of other input.
    """

    models: str
    input: float = 0.0
    cached_input: float | None = None
    output: float = 0.0
    currency: str = "$"

    def cost_of(self, usage: Usage, cached_tokens: int | None = None) -> Cost | None:
        """Return the cost of an answer; None if the model does not report its tokens."""
        if usage.input_tokens is None and usage.output_tokens is None:
            return None
        read = usage.input_tokens or 0
        cached = min(cached_tokens or 0, read)
        cached_price = self.input if self.cached_input is None else self.cached_input
        written = (usage.output_tokens or 0) * self.output
        total = (read - cached) * self.input + cached * cached_price + written
        return Cost(total / MILLION, self.currency)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSpec:
    """One provider.

    Args:
        name: the name, which is also the prefix of models that several providers have.
        base_url: the address up to ``/v1``; None for OpenAI's own.
        api_key: the key; never shown.
        include: patterns of the models that are offered; none for all.
        exclude: patterns of models that are not offered.
        aliases: the model that answers for each further name.
        prices: the first one whose pattern matches counts.
        roles: the roles that may use the models; none for all.
        is_enabled: whether its models are offered.
    """

    name: str
    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    prices: tuple[Price, ...] = ()
    roles: frozenset[Role] = frozenset()
    is_enabled: bool = True

    def offers(self, model: str) -> bool:
        """Whether a model of the provider's list is offered."""
        if any(fnmatchcase(model, pattern) for pattern in self.exclude):
            return False
        return not self.include or any(fnmatchcase(model, one) for one in self.include)

    def price_of(self, model: str) -> Price | None:
        """Return the price of a model, None if none is known."""
        return next((price for price in self.prices if fnmatchcase(model, price.models)), None)

    @property
    def access(self) -> ModelAccess | None:
        """The callers that may use the models; None: all."""
        return ModelAccess(roles=self.roles) if self.roles else None


def read_specs(
    value: object, *, place: str, read_key: Callable[[str], str]
) -> tuple[ProviderSpec, ...]:
    """Return the providers that a list of tables describes.

    Args:
        value: the list.
        place: where it is, for messages: ``wireside.toml``.
        read_key: reads the file of an ``api_key_file``; raises ``ValueError`` with a sentence.

    Raises:
        ValueError: a table is invalid; the text names the place and the key, and no secret.
    """
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise ValueError(f"{place}: providers is not a list of tables; write [[providers]].")
    if len(value) > MAX_PROVIDERS:
        raise ValueError(f"{place}: providers: {MAX_PROVIDERS} at most.")
    specs: list[ProviderSpec] = []
    for number, table in enumerate(value, 1):
        name = table.get("name") if isinstance(table, Mapping) else None
        label = f" ({name})" if isinstance(name, str) else ""
        spec = read_spec(table, place=f"{place}: providers[{number}]{label}", read_key=read_key)
        if any(spec.name == other.name for other in specs):
            raise ValueError(f"{place}: providers[{number}].name: `{spec.name}` is named twice.")
        specs.append(spec)
    return tuple(specs)


def read_spec(value: object, *, place: str, read_key: Callable[[str], str]) -> ProviderSpec:
    """Return the provider that one table describes. Raises ``ValueError``; see ``read_specs``."""
    table = _Table(value, place)
    spec = ProviderSpec(
        name=table.name(),
        base_url=table.base_url(),
        api_key=table.api_key(read_key),
        include=table.patterns("include"),
        exclude=table.patterns("exclude"),
        aliases=table.aliases(),
        prices=read_prices(table.take("prices", {}), place=f"{place}.prices"),
        roles=table.roles(),
        is_enabled=table.flag("enabled"),
    )
    table.require_empty()
    if spec.base_url is None and spec.api_key is None:
        raise ValueError(f"{place}: base_url or api_key is missing.")
    return spec


def read_prices(value: object, *, place: str) -> tuple[Price, ...]:
    """Return the prices of a table, whose keys are patterns of models. Raises ``ValueError``."""
    if not isinstance(value, Mapping):
        raise ValueError(f'{place} is not a table; write [prices."gpt-4o*"].')
    _limit(value, place)
    return tuple(_price(pattern, fields, f"{place}.{pattern}") for pattern, fields in value.items())


def price_table(prices: Sequence[Price]) -> dict[str, dict[str, Any]]:
    """Return prices as the table that ``read_prices`` reads."""
    return {
        price.models: {
            "input": price.input,
            **({} if price.cached_input is None else {"cached_input": price.cached_input}),
            "output": price.output,
            "currency": price.currency,
        }
        for price in prices
    }


def spec_table(spec: ProviderSpec) -> dict[str, Any]:
    """Return a provider as the table that ``read_spec`` reads, without its key."""
    return {
        "name": spec.name,
        "base_url": spec.base_url,
        "include": list(spec.include),
        "exclude": list(spec.exclude),
        "aliases": dict(spec.aliases),
        "prices": price_table(spec.prices),
        "roles": sorted(spec.roles),
        "enabled": spec.is_enabled,
    }


class _Table:
    """The keys of one table, each taken once."""

    def __init__(self, value: object, place: str) -> None:
        if not isinstance(value, Mapping):
            raise ValueError(f"{place} is not a table.")
        self._left = dict(value)
        self._place = place

    def take(self, key: str, default: Any = None) -> Any:
        return self._left.pop(key, default)

    def require_empty(self) -> None:
        if self._left:
            raise ValueError(f"{self._place} has a key `{next(iter(self._left))}` that is unknown.")

    def name(self) -> str:
        name = self._text("name")
        if name is None:
            raise ValueError(f"{self._place}.name is missing.")
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"{self._place}.name: small letters, digits, `.`, `_` and `-`, 32 at most."
            )
        if name == MAIN:
            raise ValueError(f"{self._place}.name: `{MAIN}` is the provider of OPENAI_BASE_URL.")
        return name

    def base_url(self) -> str | None:
        url = self._text("base_url")
        if url is None:
            return None
        try:
            parts = urlsplit(url)
            is_valid = parts.scheme in ("http", "https") and bool(parts.hostname)
            _ = parts.port
        except ValueError:
            is_valid = False
        if not is_valid:
            raise ValueError(f"{self._place}.base_url: it is no address; write https://…/v1.")
        if parts.username is not None or parts.password is not None:
            raise ValueError(f"{self._place}.base_url: a password in it would be shown; use a key.")
        return url

    def api_key(self, read_key: Callable[[str], str]) -> str | None:
        key, file = self._text("api_key"), self._text("api_key_file")
        if key is not None and file is not None:
            raise ValueError(f"{self._place} has both api_key and api_key_file: remove one.")
        if file is not None:
            try:
                key = read_key(file)
            except ValueError as error:
                raise ValueError(f"{self._place}.api_key_file: {error}") from None
        if key is not None and not (key.isascii() and key.isprintable()):
            raise ValueError(f"{self._place}.api_key has characters that no header can carry.")
        return key

    def patterns(self, key: str) -> tuple[str, ...]:
        value = self.take(key, ())
        place = f"{self._place}.{key}"
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise ValueError(f'{place} is not a list; write ["gpt-*"].')
        _limit(value, place)
        return tuple(_short(item, place) for item in value)

    def aliases(self) -> dict[str, str]:
        value = self.take("aliases", {})
        place = f"{self._place}.aliases"
        if not isinstance(value, Mapping):
            raise ValueError(f'{place} is not a table; write {{ fast = "model" }}.')
        _limit(value, place)
        return {_short(alias, place): _short(model, place) for alias, model in value.items()}

    def roles(self) -> frozenset[Role]:
        value = self.take("roles", ())
        is_list = isinstance(value, Sequence) and not isinstance(value, str)
        if not is_list or any(role not in _ROLES for role in value):
            raise ValueError(f"{self._place}.roles: a list of {', '.join(_ROLES)}.")
        return frozenset(value)

    def flag(self, key: str) -> bool:
        value = self.take(key, True)
        if not isinstance(value, bool):
            raise ValueError(f"{self._place}.{key}: true or false.")
        return value

    def _text(self, key: str) -> str | None:
        value = self.take(key)
        if value is None or value == "":
            return None
        return _short(value, f"{self._place}.{key}")


def _short(value: object, place: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{place}: it is no text.")
    text = value.strip()
    if len(text) > MAX_TEXT_CHARS:
        raise ValueError(f"{place}: {MAX_TEXT_CHARS} characters at most.")
    if not text.isprintable():
        raise ValueError(f"{place}: it has invisible characters.")
    return text


def _limit(value: Any, place: str) -> None:
    if len(value) > MAX_ITEMS:
        raise ValueError(f"{place}: {MAX_ITEMS} at most.")


def _price(pattern: object, fields: object, place: str) -> Price:
    if not isinstance(fields, Mapping):
        raise ValueError(f"{place} is not a table; write {{ input = 2.5, output = 10 }}.")
    left = dict(fields)
    numbers = {key: _number(left.pop(key, None), f"{place}.{key}") for key in _NUMBERS}
    currency = left.pop("currency", "$")
    if not isinstance(currency, str) or not 0 < len(currency) <= 8 or not currency.isprintable():
        raise ValueError(f"{place}.currency: a symbol of 1 to 8 characters.")
    if left:
        raise ValueError(f"{place} has a key `{next(iter(left))}` that is unknown.")
    if numbers["input"] is None and numbers["output"] is None:
        raise ValueError(f"{place}: input and output are missing.")
    return Price(
        models=_short(pattern, place),
        input=numbers["input"] or 0.0,
        cached_input=numbers["cached_input"],
        output=numbers["output"] or 0.0,
        currency=currency,
    )


_NUMBERS: Final = ("input", "cached_input", "output")


def _number(value: object, place: str) -> float | None:
    if value is None:
        return None
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not 0 <= value <= MAX_PRICE  # NaN is not either
    ):
        raise ValueError(f"{place}: a price per million tokens, from 0 to {MAX_PRICE:,.0f}.")
    return float(value)
