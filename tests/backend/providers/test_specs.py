"""The tables that configure providers and prices."""

from __future__ import annotations

import re
from typing import Any

import pytest

from wireside.messages import Cost, Usage
from wireside.providers.specs import (
    Price,
    ProviderSpec,
    read_prices,
    read_spec,
    read_specs,
    spec_table,
)

GROQ = {
    "name": "groq",
    "base_url": "https://api.groq.com/openai/v1",
    "api_key": "gsk-secret",
    "include": ["llama-*"],
    "exclude": ["*guard*"],
    "aliases": {"fast": "llama-3.1-8b-instant"},
    "roles": ["admin"],
    "prices": {"llama-*": {"input": 0.05, "cached_input": 0.01, "output": 0.08}},
}


def read(**changes: Any) -> ProviderSpec:
    table = {key: value for key, value in (GROQ | changes).items() if value is not None}
    return read_specs([table], place="wireside.toml", read_key=lambda file: f"key of {file}")[0]


def test_a_table_is_read() -> None:
    spec = read()
    assert spec == ProviderSpec(
        name="groq",
        base_url="https://api.groq.com/openai/v1",
        api_key="gsk-secret",
        include=("llama-*",),
        exclude=("*guard*",),
        aliases={"fast": "llama-3.1-8b-instant"},
        roles=frozenset({"admin"}),
        prices=(Price(models="llama-*", input=0.05, cached_input=0.01, output=0.08),),
    )
    assert "gsk-secret" not in repr(spec)


def test_a_table_is_written_as_it_is_read() -> None:
    spec = read(api_key=None)
    assert read_spec(spec_table(spec), place="", read_key=str) == spec
    assert "api_key" not in spec_table(read())


def test_a_key_may_be_in_a_file() -> None:
    assert (
        read(api_key=None, api_key_file="/run/secrets/groq").api_key == "key of /run/secrets/groq"
    )


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"name": None}, "wireside.toml: providers[1].name is missing."),
        ({"name": "main"}, "providers[1] (main).name: `main` is the provider of OPENAI_BASE_URL."),
        ({"name": "Groq/x"}, "(Groq/x).name: small letters"),
        ({"base_url": "groq.com"}, "(groq).base_url: it is no address"),
        ({"base_url": "https://u:pw@groq.com/v1"}, "(groq).base_url: a password in it"),
        ({"base_url": "http://[x/v1"}, "(groq).base_url: it is no address"),
        ({"base_url": None, "api_key": None}, "base_url or api_key is missing"),
        ({"api_key": "gsk-secret\n1"}, "(groq).api_key: it has invisible characters"),
        ({"api_key": 7}, "(groq).api_key: it is no text"),
        ({"api_key_file": "x"}, "both api_key and api_key_file"),
        ({"include": "gpt-*"}, "(groq).include is not a list"),
        ({"exclude": [3]}, "(groq).exclude: it is no text"),
        ({"aliases": ["a"]}, "(groq).aliases is not a table"),
        ({"roles": ["boss"]}, "(groq).roles: a list of admin, user, viewer"),
        ({"enabled": "yes"}, "(groq).enabled: true or false"),
        ({"modles": []}, "has a key `modles` that is unknown"),
        ({"prices": {"x": {"input": -1}}}, "(groq).prices.x.input: a price per million"),
        ({"prices": {"x": {"input": float("nan")}}}, "(groq).prices.x.input: a price"),
        ({"prices": {"x": {"input": True}}}, "(groq).prices.x.input: a price"),
        ({"prices": {"x": {}}}, "(groq).prices.x: input and output are missing"),
        ({"prices": {"x": {"input": 1, "per": 1}}}, "has a key `per` that is unknown"),
        ({"prices": {"x": {"input": 1, "currency": ""}}}, "currency: a symbol"),
        ({"prices": 3}, "(groq).prices is not a table"),
    ],
)
def test_an_error_names_the_file_and_the_key(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)) as raised:
        read(**changes)
    assert str(raised.value).startswith("wireside.toml: ")
    assert "secret" not in str(raised.value)
    assert "pw" not in str(raised.value)


def test_what_is_not_a_list_of_tables_is_refused() -> None:
    for value in ({"name": "x"}, "x", 3):
        with pytest.raises(ValueError, match="is not a list of tables"):
            read_specs(value, place="wireside.toml", read_key=str)
    with pytest.raises(ValueError, match=r"providers\[1\] is not a table"):
        read_specs(["x"], place="wireside.toml", read_key=str)
    with pytest.raises(ValueError, match="`groq` is named twice"):
        read_specs([GROQ, GROQ], place="wireside.toml", read_key=str)


def test_the_first_price_that_matches_counts() -> None:
    prices = read_prices({"gpt-4o-mini*": {"input": 1}, "gpt-4o*": {"input": 2}}, place="x")
    spec = ProviderSpec(name="x", prices=prices)
    found = [spec.price_of(model) for model in ("gpt-4o-mini", "gpt-4o", "o1")]
    assert [price and price.input for price in found] == [1, 2, None]


def test_cached_input_has_its_own_price() -> None:
    price = Price(models="*", input=2.0, cached_input=0.5, output=8.0)
    assert price.cost_of(Usage(1_000_000, 500_000)) == Cost(6.0, "$")
    assert price.cost_of(Usage(1_000_000, 0), 400_000) == Cost(1.4, "$")
    assert price.cost_of(Usage(10, None), 10**9) == Cost(10 * 0.5 / 1e6, "$")
    assert price.cost_of(Usage()) is None
