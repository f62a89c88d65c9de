"""Networks that count as one client, and lists of trusted networks."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass


def network_of(address: str) -> str:
    """Return the network that counts as one client: an IPv4 address, or an IPv6 /64 network.

    Anything but an IP address (a socket's path) is returned unchanged.
    """
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((ip, 64), strict=False))


@dataclass(frozen=True, slots=True)
class TrustedNetworks:
    """A list of IP addresses and networks (``10.0.0.0/8``) from the settings."""

    networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()
    others: frozenset[str] = frozenset()
    """Entries that are not IP addresses, such as a socket's path."""

    @classmethod
    def parse_list(cls, texts: Iterable[str]) -> TrustedNetworks:
        """Parse a list of addresses and networks."""
        networks, others = [], set[str]()
        for text in texts:
            try:
                networks.append(ipaddress.ip_network(text))
            except ValueError:
                others.add(text)
        return cls(tuple(networks), frozenset(others))

    def is_trusted(self, address: str) -> bool:
        """Whether the list contains an address."""
        try:
            ip = ipaddress.ip_address(address)
        except ValueError:
            return address in self.others
        return any(ip in network for network in self.networks)
