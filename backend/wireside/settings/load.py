"""Loads the settings and describes invalid ones in sentences."""

from __future__ import annotations

import difflib
import ipaddress
import re
import tomllib
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsError

from wireside.settings.model import Settings, is_secret, variable_of

EXAMPLES = {
    "public_url": "https://chat.example.org",
    "oidc_issuer": "https://login.example.org",
    "openai_base_url": "http://127.0.0.1:11434/v1",
    "allowed_origins": "http://localhost:3000",
    "trusted_hosts": "chat.example.org",
    "accent": "#3366ff",
    "logo": "logo.svg",
}
"""Examples for settings whose default value is not an example."""


class WrongSettings(Exception):
    """Some settings are invalid.

    ``sentences`` name each invalid setting, the problem, and a valid example.
    """

    def __init__(self, sentences: list[str]) -> None:
        super().__init__("\n".join(sentences))
        self.sentences = sentences


def load_settings(**given: Any) -> Settings:
    """Return the settings; values in ``given`` that are not None take precedence.

    Raises:
        WrongSettings: a setting is invalid.
    """
    try:
        settings = Settings(**{name: value for name, value in given.items() if value is not None})
        _check_hosts(settings)
        _check_logo(settings)
        _ = settings.mcp_server_list
        _ = settings.provider_specs, settings.main_prices
    except ValidationError as error:
        raise WrongSettings([_sentence_for(details) for details in error.errors()]) from error
    except SettingsError as error:
        raise WrongSettings([f"A setting can't be read: {error}."]) from error
    except tomllib.TOMLDecodeError as error:
        raise WrongSettings([f"wireside.toml can't be read: {error}."]) from error
    except (OSError, ValueError) as error:
        raise WrongSettings([str(error)]) from error
    return settings


def unknown_variables(environment: Mapping[str, str]) -> list[tuple[str, str | None]]:
    """Return the unknown ``WIRESIDE_*`` variables, each with the most similar setting."""
    known = {variable_of(name) for name in Settings.model_fields}
    known |= {
        f"{variable_of(name)}_FILE"
        for name, field in Settings.model_fields.items()
        if is_secret(field)
    }
    unknown = sorted(
        name for name in environment if name.startswith("WIRESIDE_") and name not in known
    )
    ends = {name.removeprefix("WIRESIDE_"): name for name in sorted(known)}
    nearest = {
        name: difflib.get_close_matches(name.removeprefix("WIRESIDE_"), ends, 1) for name in unknown
    }
    return [(name, ends[found[0]] if found else None) for name, found in nearest.items()]


def describe_unknown(name: str, nearest: str | None) -> str:
    """Return a sentence about a variable that is not a setting."""
    hint = f" Did you mean {nearest}?" if nearest else ""
    return f"{name} is not a setting.{hint}"


def other_port(port: int) -> int:
    """Return a port to suggest if ``port`` is in use."""
    return port + 1 if 1024 <= port < 65535 else 8081


def _check_hosts(settings: Settings) -> None:
    """Raise ``ValueError`` if a host, an origin, an address or a path is invalid."""
    settings.handshake_policy()
    _ = settings.effective_root_path
    _ = settings.csp_frame_ancestors
    for text in settings.trusted_proxies:
        try:
            ipaddress.ip_network(text)
        except ValueError:
            raise ValueError(
                f"{text!r} in {variable_of('trusted_proxies')} is no address and no network;"
                " write it as 10.0.0.5 or 10.0.0.0/24."
            ) from None


def _check_logo(settings: Settings) -> None:
    """Raise ``ValueError`` if the logo is not a file: each page would show a broken image."""
    if settings.logo is not None and not settings.logo.is_file():
        raise ValueError(f"{variable_of('logo')} is `{settings.logo}`: there is no such file.")


def _sentence_for(details: ErrorDetails) -> str:
    name = str(details["loc"][0]).lower() if details["loc"] else ""
    field = Settings.model_fields.get(name)
    if field is None:
        return f"wireside.toml has a setting `{name}` that does not exist."
    wrong = re.sub(r"^(Input|String) ", "it ", details["msg"].removeprefix("Value error, "))
    value = ":" if is_secret(field) else f" is `{details['input']}`:"
    example = _example_value(name, field)
    return f"{variable_of(name)}{value} {wrong}." + (f" Example: {example}" if example else "")


def _example_value(name: str, field: FieldInfo) -> str:
    value = EXAMPLES.get(name)
    if value is None:
        value = str(field.get_default(call_default_factory=True) or "")
    return f"{variable_of(name)}={value}" if value else ""
