"""Resolves untrusted web addresses to the host that a browser would connect to.

The host that a browser parses and the host that a reader sees can differ: a user name before an
"@", letters of other scripts, numbers that are IP addresses. Addresses are rewritten to a form that
both interpret alike; an address without such a form is rejected.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from urllib.parse import unquote

MAX_URL_CHARS = 2_048
"""Maximum length of an address; a longer one is rejected."""

_PARTS = re.compile(r"(https?)://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)
_UNREADABLE = re.compile(r"[\x00-\x20\x7f\\]")
_HOST = re.compile(r"(?=.{1,253}$)(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}\.?")
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")
_DOTS = re.compile("[\u3002\uff0e\uff61]")
_HOST_LIKE = re.compile(
    r"(?<![\w.-])(?:(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}|\d{1,3}(?:\.\d{1,3}){3})(?![\w-])"
)


@dataclass(frozen=True, slots=True)
class Destination:
    """A web address. ``url`` has no user name or password; ``host`` is ASCII."""

    url: str
    host: str


def destination(url: str) -> Destination | None:
    """Return the destination of ``url``; None if it is invalid or ambiguous.

    >>> destination("https://bank.example@evil.example/x")
    Destination(url='https://evil.example/x', host='evil.example')
    """
    parts = _PARTS.fullmatch(url)
    if parts is None or len(url) > MAX_URL_CHARS or _UNREADABLE.search(url):
        return None
    name, _, port = parts[2].rpartition("@")[2].partition(":")
    if parts[2].rpartition("@")[2].startswith("["):
        name, _, port = parts[2].rpartition("@")[2].partition("]")
        host, port = _ipv6(name[1:]), port.removeprefix(":")
    else:
        host = _host(name)
    if not host or not re.fullmatch(r"[0-9]{0,5}", port) or int(port or 0) > 65_535:
        return None
    place = f"{host}:{port}" if port else host
    return Destination(f"{parts[1].lower()}://{place}{parts[3]}", host)


def says_it(text: str, target: Destination) -> bool:
    """Return whether ``text`` names no other host than that of ``target``."""
    visible = "".join(c for c in text[:2_000] if unicodedata.category(c) != "Cf")
    plain = unicodedata.normalize("NFKC", visible).lower()
    said = {name.removeprefix("www.") for name in _HOST_LIKE.findall(_DOTS.sub(".", plain))}
    return said <= {target.host.removeprefix("www.").rstrip(".")}


def _host(name: str) -> str:
    try:
        plain = unicodedata.normalize("NFKC", unquote(name, errors="strict")).lower()
        labels = [_label(label) for label in _DOTS.sub(".", plain).split(".")]
    except UnicodeError:
        return ""
    host = ".".join(labels)
    if not _HOST.fullmatch(host):
        return ""
    last = labels[-1] or labels[-2]
    return host if not _NUMBER.fullmatch(last) or _is_ipv4(host) else ""


def _label(label: str) -> str:
    return label if label.isascii() else "xn--" + label.encode("punycode").decode()


def _is_ipv4(host: str) -> bool:
    try:
        return str(IPv4Address(host)) == host
    except AddressValueError:
        return False


def _ipv6(text: str) -> str:
    try:
        address = IPv6Address(text)
    except AddressValueError:
        return ""
    is_plain = address.ipv4_mapped is None and address.scope_id is None
    return f"[{address.compressed}]" if is_plain else ""
