"""`make release`: what it refuses, and that two builds are equal to the byte."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


def load(name: str) -> ModuleType:
    specification = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


release = load("release")
hatch_metadata = load("hatch_metadata")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit."""
    root = tmp_path / "repository"
    root.mkdir()
    (root / "pyproject.toml").write_text('[project]\nversion = "1.2.0"\n')
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    for words in (("init", "-q"), ("add", "."), (*identity, "commit", "-qm", "x")):
        subprocess.run(["git", *words], cwd=root, check=True)
    return root


def test_a_clean_tree_with_a_new_version_is_accepted(repository: Path) -> None:
    version = release.check_version(repository)
    assert version == "1.2.0"
    release.check_tree(repository, version)


def test_changes_that_are_not_committed_are_refused(repository: Path) -> None:
    (repository / "new").touch()
    with pytest.raises(release.NotReady, match="commit"):
        release.check_tree(repository, "1.2.0")


def test_a_version_is_released_once(repository: Path) -> None:
    subprocess.run(["git", "tag", "v1.2.0"], cwd=repository, check=True)
    with pytest.raises(release.NotReady, match="tagged already"):
        release.check_tree(repository, "1.2.0")


@pytest.mark.parametrize("version", ["1.2.0.dev1", "1.2.0+local", "1.2-0", "next"])
def test_other_versions_are_refused(repository: Path, version: str) -> None:
    (repository / "pyproject.toml").write_text(f'[project]\nversion = "{version}"\n')
    with pytest.raises(release.NotReady, match="version"):
        release.check_version(repository)


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("## Unreleased\n\n- x\n", "heading"),
        ("## 1.2.0\n\n- x\n", "heading"),
        ("## Unreleased\n\n- y\n\n## 1.2.0 - 2026-12-01\n\n- x\n", "Unreleased"),
    ],
)
def test_the_changelog_must_have_the_version(text: str, missing: str) -> None:
    with pytest.raises(release.NotReady, match=missing):
        release.check_changelog(text, "1.2.0")


def test_a_changelog_with_the_version_is_accepted() -> None:
    release.check_changelog("## Unreleased\n\n## 1.2.0 - 2026-12-01\n\n- x\n", "1.2.0")


def test_the_description_on_an_index_has_no_link_into_the_repository() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert release.LOCAL_TARGET.search(readme)
    described = hatch_metadata.description_of(readme)
    assert not release.LOCAL_TARGET.search(described)
    assert "docs/models.md lists model services" in described
    assert "<picture>" not in described


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is built, with a small site."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    ignored = shutil.ignore_patterns("__pycache__", "node_modules")
    for name in ("assets", "backend", "deploy", "docs", "scripts", "ui"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    site = folder / "build" / "docs" / "site"
    site.mkdir(parents=True)
    (site / "index.html").write_text("<h1>Wireside</h1>")
    return folder


@pytest.mark.timeout(180)
def test_two_builds_are_equal_and_ready_for_an_index(checkout: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    release.build(checkout, first, "1800000000")
    for path in checkout.rglob("*.py"):
        path.touch()  # times of files are not part of a build
    release.build(checkout, second, "1800000000")
    files = sorted(first.iterdir())
    assert [file.suffix for file in files] == [".whl", ".gz"]
    for file in files:
        assert file.read_bytes() == (second / file.name).read_bytes(), file.name
        release.check_distribution(file, release.check_version(checkout))
    release.write_checksums(first, files)
    command = ["sha256sum", "--check", "--quiet", "SHA256SUMS"]
    assert subprocess.run(command, cwd=first, check=False).returncode == 0


def test_every_bundled_licence_is_in_the_metadata() -> None:
    """`docs/licences.md` names the files; those of the site are next to what they are for."""
    page = (ROOT / "docs" / "licences.md").read_text("utf-8")
    found = [
        file
        for file in (ROOT / "assets").rglob("*LICENSE*")
        if "client" not in file.relative_to(ROOT).parts
    ]
    assert len(found) == 4
    for file in found:
        assert f"`{file.relative_to(ROOT)}`" in page, file


def test_the_makefile_makes_a_release() -> None:
    assert "scripts/release.py" in (ROOT / "Makefile").read_text()
    assert sys.version_info >= (3, 11)  # ExceptionGroup
