"""The network of a container: its gateways, through which the machine that runs it connects."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

PROC_NET: Final = Path("/proc/net")
"""The kernel's tables of this network."""

ROUTE_FIELDS: Final = 4
"""Fields of a line of the IPv4 table up to its flags."""

IPV6_ROUTE_FIELDS: Final = 10
"""Fields of a line of the IPv6 table."""

GATEWAY_FLAG: Final = 0x2
"""Flag of a route that leads to a gateway (RTF_GATEWAY)."""


def default_gateways(tables: Path = PROC_NET) -> list[str]:
    """Return the addresses of the default gateways.

    A container engine that publishes a port on the loopback addresses of its machine forwards
    connections under one of them. Other systems than Linux have none here.

    Args:
        tables: the folder with the tables ``route`` and ``ipv6_route``.
    """
    return [*_ipv4_gateways(_read(tables / "route")), *_ipv6_gateways(_read(tables / "ipv6_route"))]


def _read(table: Path) -> list[str]:
    with suppress(OSError):
        return table.read_text(encoding="ascii").splitlines()
    return []


def _ipv4_gateways(lines: list[str]) -> Iterator[str]:
    for fields in map(str.split, lines[1:]):
        if len(fields) >= ROUTE_FIELDS and fields[1] == "0" * 8:
            gateway, flags = int(fields[2], 16), int(fields[3], 16)
            if flags & GATEWAY_FLAG:
                yield str(ipaddress.IPv4Address(gateway.to_bytes(4, "little")))


def _ipv6_gateways(lines: list[str]) -> Iterator[str]:
    for fields in map(str.split, lines):
        is_default = len(fields) == IPV6_ROUTE_FIELDS and fields[:2] == ["0" * 32, "00"]
        if is_default and int(fields[8], 16) & GATEWAY_FLAG:
            yield str(ipaddress.IPv6Address(bytes.fromhex(fields[4])))
