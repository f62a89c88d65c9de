"""Base URLs of model services in the spellings that users enter."""

from __future__ import annotations

import pytest

from wireside.providers.base_url import BaseUrl, base_url_in, other_places, shown, without_user


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("http://127.0.0.1:11434/v1", "http://127.0.0.1:11434/v1"),
        ("http://127.0.0.1:11434/v1/", "http://127.0.0.1:11434/v1"),
        ("  http://127.0.0.1:11434/v1 \n", "http://127.0.0.1:11434/v1"),
        ('"http://127.0.0.1:11434/v1"', "http://127.0.0.1:11434/v1"),
        ("'https://api.x.ai/v1'", "https://api.x.ai/v1"),
        ("“https://api.x.ai/v1”", "https://api.x.ai/v1"),
        ("<https://api.x.ai/v1>", "https://api.x.ai/v1"),
        ("https://api.x.ai/v1,", "https://api.x.ai/v1"),
        ("\u200bhttps://api.x.ai/v1\u00a0", "https://api.x.ai/v1"),
        ("localhost:11434/v1", "http://localhost:11434/v1"),
        ("127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("192.168.1.7:1234/v1", "http://192.168.1.7:1234/v1"),
        ("[::1]:8000/v1", "http://[::1]:8000/v1"),
        ("ollama:11434/v1", "http://ollama:11434/v1"),
        ("gpu.local/v1", "http://gpu.local/v1"),
        ("api.openai.com/v1", "https://api.openai.com/v1"),
        ("HTTPS://api.x.ai/v1", "https://api.x.ai/v1"),
        ("http:/localhost:1234/v1", "http://localhost:1234/v1"),
        ("http:localhost:1234/v1", "http://localhost:1234/v1"),
        ("https//api.x.ai/v1", "https://api.x.ai/v1"),
        ("https://api.x.ai/v1/chat/completions", "https://api.x.ai/v1"),
        ("https://api.x.ai/v1/chat/completions/", "https://api.x.ai/v1"),
        ("https://api.x.ai/v1/models", "https://api.x.ai/v1"),
        ("https://api.x.ai/v1/completions", "https://api.x.ai/v1"),
        ("https://api.x.ai/v1/responses", "https://api.x.ai/v1"),
        ("https://api.x.ai/v1/chat", "https://api.x.ai/v1"),
        ("https://api.x.ai//v1//", "https://api.x.ai//v1"),
        ("https://me:secret@api.x.ai/v1", "https://me:secret@api.x.ai/v1"),
    ],
)
def test_what_is_around_and_behind_is_left_out(written: str, meant: str) -> None:
    assert base_url_in(written) == BaseUrl(meant)


def test_a_query_is_kept_and_names_azure() -> None:
    azure = base_url_in(
        "https://x.openai.azure.com/openai/deployments/my-gpt/chat/completions?api-version=2024-10"
    )
    assert azure.url == "https://x.openai.azure.com/openai/deployments/my-gpt"
    assert azure.query == (("api-version", "2024-10"),)
    assert azure.is_azure
    assert azure.deployment == "my-gpt"
    other = base_url_in("https://api.x.ai/v1?tenant=a")
    assert (other.query, other.is_azure, other.deployment) == ((("tenant", "a"),), False, None)


def test_a_name_and_a_password_become_a_header() -> None:
    assert base_url_in("http://me:p%40ss@x/v1").authorization == "Basic bWU6cEBzcw=="
    assert base_url_in("http://x/v1").authorization is None


@pytest.mark.parametrize("written", ["", "  ", '""', "ftp://x/v1", "http://", "http://x:99999/v1"])
def test_what_is_no_address_is_refused(written: str) -> None:
    with pytest.raises(ValueError):
        base_url_in(written)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("http://a:1", "http://a:1/v1"),
        ("http://a:1/v1", "https://a:1/v1"),
        ("https://a:1/v1", "http://a:1/v1"),
        ("http://a:1/v1/v1", "http://a:1/v1"),
        ("http://a:1/api", "http://a:1/v1"),
        ("http://a:1/api/v0", "http://a:1/v1"),
        ("http://a:1/v2", "http://a:1/v1"),
        ("https://openrouter.ai", "https://openrouter.ai/api/v1"),
        ("https://openrouter.ai/v1", "https://openrouter.ai/api/v1"),
        ("https://api.groq.com/v1", "https://api.groq.com/openai/v1"),
        ("https://g.com", "https://g.com/v1beta/openai"),
        ("https://g.com/v1beta", "https://g.com/v1beta/openai"),
        ("https://api.fireworks.ai/v1", "https://api.fireworks.ai/inference/v1"),
        ("https://me.openai.azure.com", "https://me.openai.azure.com/openai/v1"),
        ("http://proxy/llm", "http://proxy/llm/v1"),
        ("http://proxy/llm/v1", "http://proxy/llm"),
    ],
)
def test_where_else_an_api_is_looked_for(url: str, place: str) -> None:
    places = other_places(url)
    assert place in places
    assert url not in places
    assert len(places) <= 17


def test_people_are_shown_no_host_and_no_password() -> None:
    assert shown("http://me:secret@gpu.internal:8000/openai/v1") == "…/openai/v1"
    assert without_user("http://me:secret@gpu:8000/v1") == "http://gpu:8000/v1"
