"""No dependency is below the version with its security fixes, whatever a resolver would select.

This applies to the lock file, the wheel's requirements and the scripts bundled in a package.
"""

from __future__ import annotations

import json
import re
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements" / "runtime.txt").read_text()
LOCKED = dict(re.findall(r"^([a-z0-9][\w.-]*)==([^\s;\\]+)", LOCK, re.MULTILINE))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = [one for name, extra in PROJECT["optional-dependencies"].items() for one in extra]
DEPENDENCIES = [*PROJECT["dependencies"], *(one for one in EXTRAS if "wireside[" not in one)]
ASKED_FOR = dict(
    re.findall(r"^([\w.-]+)(?:\[.*\])?>=([\d.]+)", "\n".join(DEPENDENCIES), re.MULTILINE)
)

FLOORS = {
    "aiohttp": ("3.13.3", "CVE-2025-69223 and its like: answers that unpack to gigabytes"),
    "authlib": ("1.6.6", "CVE-2025-59420, -61920, -62706, -68158: signatures, log-in by others"),
    "certifi": ("2024.7.4", "CVE-2024-39689: an authority that has lost its trust"),
    "cryptography": ("46.0.5", "CVE-2026-26007: points outside of their curve"),
    "fastapi": ("0.109.1", "CVE-2024-24762: a form that never ends"),
    "h11": ("0.16.0", "CVE-2025-43859: chunks that a proxy reads otherwise"),
    "httpx": ("0.23.0", "CVE-2021-41945: addresses that are put together wrongly"),
    "idna": ("3.7", "CVE-2024-3651: a name that takes quadratic time"),
    "jinja2": ("3.1.6", "CVE-2025-27516: out of the sandbox"),
    "mako": ("1.2.2", "CVE-2022-40023: a template that never ends"),
    "markdown-it-py": ("2.2.0", "CVE-2023-26302, -26303: texts that crash it"),
    "mcp": ("2.2.0", "redirects to other hosts, events of any size"),
    "nh3": ("0.3.8", "RUSTSEC-2025-0071 and two of 2026: it holds ammonia 4.2.5"),
    "nicegui": ("3.18.0", "CVE-2025-53354 to CVE-2026-45554: scripts, paths, floods"),
    "orjson": ("3.11.6", "CVE-2025-67221: nesting without a bound"),
    "pydantic": ("2.4.0", "CVE-2024-3772: an address that never ends"),
    "pygments": ("2.15.1", "CVE-2022-40896: code that never ends"),
    "python-multipart": ("0.0.27", "CVE-2024-53981, CVE-2026-24486, -42561: parts, paths, heads"),
    "python-socketio": ("5.14.0", "CVE-2025-61765: code out of a queue"),
    "redis": ("4.5.5", "CVE-2023-28858, -28859: answers of another request"),
    "starlette": ("1.3", "CVE-2025-62727, CVE-2026-48710, PYSEC-2026-248: ranges, addresses"),
    "uvicorn": ("0.11.7", "CVE-2020-7694, -7695: log lines and heads of others"),
    "websockets": ("9.1", "CVE-2021-33880: passwords that can be timed"),
}
"""Package, first version with the fixes, and the vulnerabilities."""


def numbers(version: str) -> tuple[int, ...]:
    """Return a version's numbers, without trailing zeros."""
    return tuple(int(part) for part in re.findall(r"\d+", re.sub(r"(\.0+)+$", "", version)))


@pytest.mark.parametrize("name", FLOORS)
def test_the_lock_has_the_mended_version(name: str) -> None:
    floor, why = FLOORS[name]
    assert name in LOCKED, "no dependency any more: its floor can go"
    assert numbers(LOCKED[name]) >= numbers(floor), why


@pytest.mark.parametrize("name", FLOORS)
def test_a_wheel_asks_for_the_mended_version(name: str) -> None:
    floor, why = FLOORS[name]
    assert name in ASKED_FOR, "without a lower bound an older one may stay where it is"
    assert numbers(ASKED_FOR[name]) >= numbers(floor), why


def test_every_dependency_has_a_lower_bound_that_the_lock_keeps() -> None:
    assert len(ASKED_FOR) == len(DEPENDENCIES)
    below = [
        name
        for name, floor in ASKED_FOR.items()
        if name.lower() in LOCKED and numbers(LOCKED[name.lower()]) < numbers(floor)
    ]
    assert below == []


def test_the_mermaid_inside_of_nicegui_has_the_mended_version() -> None:
    """CVE-2025-54880, -54881: script injection through names in diagrams."""
    folder = files("nicegui") / "elements" / "mermaid"
    lock = json.loads((folder / "package-lock.json").read_text())
    version = lock["packages"]["node_modules/mermaid"]["version"]
    assert numbers(version) >= (11, 10)
    scripts = [one for one in (folder / "dist").iterdir() if one.name.endswith(".js")]
    assert any(f'"{version}"' in one.read_text() for one in scripts), "this is what was built in"


def test_versions_are_compared_as_numbers() -> None:
    assert numbers("3.9.15") < numbers("3.13.0")
    assert numbers("1.10.0") >= numbers("1.3")
    assert numbers("5.14") >= numbers("5.14.0")
