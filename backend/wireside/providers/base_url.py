"""Parses the base URL of a model service leniently, and lists alternative locations. No I/O."""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote_to_bytes, urlsplit

_AROUND = " \t\r\n\u00a0\u200b\ufeff\"'`“”‘’«»<>,;"
"""Characters to strip from a pasted URL: white space, quotation marks, brackets."""

_OPERATION = re.compile(
    r"/+(chat/completions|completions|models|responses|embeddings|chat)?/*$", re.IGNORECASE
)
"""Matches the path of a single operation at the end of a URL, which is not part of the base URL."""

_PLACES = (
    "/v1",
    "/api/v1",  # OpenRouter
    "/openai/v1",  # Groq, Azure
    "/v1beta/openai",  # Gemini
    "/inference/v1",  # Fireworks
    "/v1/openai",  # DeepInfra
    "/compatible-mode/v1",  # DashScope
    "/api/paas/v4",  # Z.ai
    "/api",  # Open WebUI
    "",
)
"""Paths at which services have their API, the most common first."""

_ENDS = re.compile(
    r"/(v1|v1beta|v1/openai|v1beta/openai|api|api/v[01]|openai|openai/v1|inference/v1)$"
)
"""Matches a path suffix that may be wrong or missing; the URL is also tried without it."""


@dataclass(frozen=True, slots=True)
class BaseUrl:
    """The base URL of an API.

    ``url`` has no trailing slash; ``query`` is added to each request.
    """

    url: str
    query: tuple[tuple[str, str], ...] = ()

    @property
    def deployment(self) -> str | None:
        """The model's name in the path of an older Azure URL; None for other URLs."""
        found = re.search(r"/deployments/([^/]+)$", self.url)
        return found[1] if found else None

    @property
    def authorization(self) -> str | None:
        """The ``Authorization`` header for the URL's user name and password, which proxies use."""
        user_info, at, _ = urlsplit(self.url).netloc.rpartition("@")
        if not at:
            return None
        return "Basic " + base64.b64encode(unquote_to_bytes(user_info)).decode()

    @property
    def is_azure(self) -> bool:
        """Whether it is an older Azure URL, where the key is also sent as ``api-key``."""
        return any(name.lower() == "api-version" for name, _ in self.query)


def base_url_in(text: str) -> BaseUrl:
    """Return the base URL in a setting's value.

    Surrounding quotation marks and spaces and a trailing operation are removed, a missing scheme
    is added, and a query is kept.

    Raises:
        ValueError: ``text`` is not an HTTP or HTTPS URL.

    >>> base_url_in(' "localhost:11434/v1/chat/completions" ').url
    'http://localhost:11434/v1'
    """
    text = text.strip(_AROUND)
    text = re.sub(r"^(https?)(:/*|//+)(?=[^/])", r"\1://", text, flags=re.IGNORECASE)
    if "://" not in text:
        text = f"{_scheme_for(text)}://{text}"
    parts = urlsplit(text)
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        raise ValueError("not an address of http or https")
    _ = parts.port  # raises ValueError if it is invalid
    path = _OPERATION.sub("", parts.path.rstrip("/")).rstrip("/")
    url = f"{parts.scheme.lower()}://{parts.netloc}{path}"
    return BaseUrl(url, tuple(parse_qsl(parts.query)))


def _scheme_for(text: str) -> str:
    """Return ``http`` for a host that looks local, else ``https``."""
    host = urlsplit(f"//{text}").hostname or ""
    try:
        is_near = not ipaddress.ip_address(host).is_global
    except ValueError:
        is_near = "." not in host or host.endswith((".local", ".localhost", ".internal", ".lan"))
    return "http" if is_near else "https"


def other_places(url: str) -> Sequence[str]:
    """Return the base URLs to probe if there is no API at ``url``, the most likely first."""
    parts = urlsplit(url)
    origin = f"{parts.scheme}://{parts.netloc}"
    paths = [parts.path.rstrip("/")]
    while (shorter := _ENDS.sub("", paths[-1])) != paths[-1]:
        paths.append(shorter)
    other = {"http": "https", "https": "http"}.get(parts.scheme, "https")
    found = [f"{origin}{path}" for path in paths if path]
    found += [f"{origin}{path}{place}" for path in reversed(paths) for place in _PLACES]
    if paths[-1]:
        found.insert(len(paths) + len(_PLACES), f"{origin}/v1")
    places = [place for place in dict.fromkeys(found) if place != url]
    return [*places[: MAX_PLACES - 1], f"{other}://{parts.netloc}{paths[0]}"]


MAX_PLACES = 17
"""Maximum number of base URLs to probe."""


def shown(url: str) -> str:
    """Return a URL without its host, for users who must not learn it: ``…/v1``.

    >>> shown("http://gpu.internal:8000/openai/v1")
    '…/openai/v1'
    """
    return f"…{urlsplit(url).path or '/'}"


def without_user(url: str) -> str:
    """Return a URL without its user name and password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
