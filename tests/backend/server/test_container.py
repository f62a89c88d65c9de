"""The gateways of a container, from the kernel's tables."""

from __future__ import annotations

from pathlib import Path

from wireside.server.container import default_gateways

IPV4 = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
tun0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0
"""

ZEROS = "0" * 32
IPV6 = f"""\
{ZEROS} 00 {ZEROS} 00 fd000000000000000000000000000001 00000400 00000001 00000000 00000003 eth0
{ZEROS} 00 {ZEROS} 00 {ZEROS} ffffffff 00000001 00000000 00200200 lo
fd000000000000000000000000000000 40 {ZEROS} 00 {ZEROS} 00000100 00000001 00000000 00000001 eth0
"""


def test_the_default_routes_name_the_gateways(tmp_path: Path) -> None:
    (tmp_path / "route").write_text(IPV4)
    (tmp_path / "ipv6_route").write_text(IPV6)
    assert default_gateways(tmp_path) == ["172.17.0.1", "fd00::1"]


def test_without_tables_there_are_none(tmp_path: Path) -> None:
    assert default_gateways(tmp_path) == []
