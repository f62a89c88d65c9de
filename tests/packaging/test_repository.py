"""Files and texts that the repository must and must not contain."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOSTS = re.compile(
    r"(pypi|pythonhosted|npmjs|deb\.debian|security\.debian)\.org|registry\.npm|--(extra-)?index-url"
    r"|--find-links",
)
PATHS = re.compile(r"/(home|root|Users|work|opt/pypi|opt/wheels)/")


def tracked() -> list[Path]:
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name]


def test_no_registry_and_no_machine_is_named() -> None:
    found = []
    for file in tracked():
        if file == Path(__file__) or not file.is_file():
            continue
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{file.relative_to(ROOT)}: {m[0]}" for m in HOSTS.finditer(text)]
        found += [f"{file.relative_to(ROOT)}: {m[0]}" for m in PATHS.finditer(text)]
    assert not found


def test_the_top_level_is_the_one_of_the_map() -> None:
    folders = {file.relative_to(ROOT).parts[0] for file in tracked()}
    assert {name for name in folders if (ROOT / name).is_dir()} == {
        ".ci",
        "assets",
        "backend",
        "benchmarks",
        "deploy",
        "docs",
        "examples",
        "requirements",
        "scripts",
        "tests",
        "ui",
    }


BROWSERS = {"browser", "browser_type", "playwright", "launch", "launch_persistent_context"}
BROWSERS |= {"Browser", "BrowserType", "Playwright", "sync_playwright", "async_playwright"}


def names_in(source: str) -> set[str]:
    """Return the names that a program uses, without those in its strings and comments."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                names.add(name)
            case ast.alias(name=name):
                names.add(name)
    return names


def test_no_browser_test_goes_around_what_collects_violations() -> None:
    """Contexts and pages come from the fixtures of ``tests/e2e/conftest.py``."""
    assert names_in("def test(browser): browser.new_page()") & BROWSERS
    assert names_in("page.context.browser.new_context()") & BROWSERS
    tests = [file for file in tracked() if file.is_relative_to(ROOT / "tests" / "e2e")]
    found = {
        file.name: around
        for file in tests
        if file.suffix == ".py"
        and file.name not in ("conftest.py", "chromium.py")
        and (around := names_in(file.read_text(encoding="utf-8")) & BROWSERS)
    }
    assert found == {}


def test_locks_hold_a_hash_for_every_package() -> None:
    for lock in (ROOT / "requirements").glob("*.txt"):
        pinned = re.findall(
            r"^\S+==\S+.*\n( +--hash=sha256:[0-9a-f]{64})?", lock.read_text(), re.MULTILINE
        )
        assert pinned
        assert all(pinned), lock.name
