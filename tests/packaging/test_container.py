"""The container image: its recipe, and what its steps make in a bare root file system."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

import httpx2
import psutil
import pytest

from tests.packaging.containerfile import (
    Image,
    Replay,
    compressed_bytes,
    in_root,
    make_system,
    parse,
)
from wireside.settings.load import unknown_variables
from wireside.testing import FakeOpenAI

ROOT = Path(__file__).parents[2]
CONTAINERFILE = (ROOT / "deploy" / "Containerfile").read_text()
CACHE = Path(os.environ.get("WIRESIDE_TEST_CACHE", "~/.cache/wireside-tests")).expanduser()

MAX_BYTES = 150_000_000
"""Size of the compressed image without the embedded model."""

IGNORED = (ROOT / ".dockerignore").read_text().split("\n")
SENT = [line.removeprefix("!") for line in IGNORED if line.startswith("!")]
"""Paths of the checkout that a build is sent."""


def test_what_is_copied_is_sent_to_the_build() -> None:
    copied = [
        name
        for stage in parse(CONTAINERFILE)
        for step in stage.steps
        if step.name == "COPY" and not step.words[0].startswith("--from")
        for name in step.words[:-1]
    ]
    assert len(copied) > 8
    for name in copied:
        assert (ROOT / name).exists(), name
        assert any(name == sent or name.startswith(f"{sent}/") for sent in SENT), name


def test_what_the_build_of_the_wheel_needs_is_copied() -> None:
    build = next(stage for stage in parse(CONTAINERFILE) if stage.name == "build")
    copied = [name for step in build.steps if step.name == "COPY" for name in step.words[:-1]]
    text = (ROOT / "pyproject.toml").read_text()
    for name in re.findall(r'^path = "([^"]+)"', text, re.MULTILINE):
        assert any(fnmatch(name, pattern) for pattern in copied), name


def test_its_variables_are_settings() -> None:
    steps = [step for stage in parse(CONTAINERFILE) for step in stage.steps if step.name == "ENV"]
    variables = dict(word.split("=", 1) for step in steps for word in step.words)
    assert unknown_variables(variables) == []
    assert variables["WIRESIDE_HOST"] == "0.0.0.0"


def test_the_last_stage_is_the_server_and_no_step_needs_a_shell() -> None:
    stages = parse(CONTAINERFILE)
    assert stages[-1].name == "server"
    for stage in stages:
        for step in stage.steps:
            assert step.name != "RUN" or not re.search(r"[|&;<>$`*]", step.text), step.text


# ---- its steps, replayed ------------------------------------------------------------------------

replayed = [
    pytest.mark.skipif(
        not os.environ.get("WIRESIDE_TEST_IMAGE"), reason="takes minutes: `make image` runs it"
    ),
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("mmdebstrap") is None,
        reason="replaying the Containerfile needs root and mmdebstrap",
    ),
    pytest.mark.timeout(3600),
]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The image `server`, built by the steps of the Containerfile."""
    system = CACHE / "container" / "debian-python.tar"
    make_system(system)
    pip_cache = CACHE / "container" / "pip"
    pip_cache.mkdir(exist_ok=True)
    folder = tmp_path_factory.mktemp("image")
    replay = Replay(CONTAINERFILE, context=ROOT, folder=folder, system=system, pip_cache=pip_cache)
    return replay.build("server")


@contextmanager
def running(image: Image, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """Run the image as an engine does, with a read-only root file system."""
    started = replace(image, environment={**image.environment, **variables})
    process = subprocess.Popen(
        in_root(started, [*image.entrypoint, *image.command], is_read_only=True),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        for child in psutil.Process(process.pid).children():  # `unshare` passes no signal on
            child.terminate()
        process.communicate(timeout=60)


def is_healthy(image: Image, **variables: str) -> bool:
    """Run the image's health check."""
    checked = replace(image, environment={**image.environment, **variables})
    return subprocess.run(in_root(checked, image.health), check=False).returncode == 0


class TestReplayed:
    pytestmark = replayed

    def test_it_serves_from_a_read_only_file_system_as_its_own_user(self, image: Image) -> None:
        assert image.user == "10001:10001"
        assert image.volumes == ("/data",)
        with FakeOpenAI() as lab:
            variables = {
                "OPENAI_BASE_URL": lab.url,
                "WIRESIDE_PORT": "18431",
                "WIRESIDE_AUTH": "password",
                "WIRESIDE_PUBLIC_URL": "http://127.0.0.1:18431",
            }
            with running(image, **variables) as process:
                while not is_healthy(image, **variables):
                    assert process.poll() is None, process.communicate()[0]
                    time.sleep(0.2)
                page = httpx2.get("http://127.0.0.1:18431/login")
                assert page.status_code == 200
            assert process.returncode == 0
        assert not is_healthy(image, **variables)

    def test_without_accounts_it_does_not_start(self, image: Image) -> None:
        command = in_root(image, [*image.entrypoint, *image.command], is_read_only=True)
        ended = subprocess.run(command, check=False, capture_output=True, text=True)
        assert ended.returncode == 2
        assert "WIRESIDE_AUTH" in ended.stderr

    def test_it_is_small(self, image: Image) -> None:
        size = compressed_bytes(image.root)
        Path(CACHE / "container" / "size").write_text(f"{size}\n")
        assert size <= MAX_BYTES

    def test_it_has_no_installer_and_nothing_of_the_build(self, image: Image) -> None:
        names = {path.name for path in (image.root / "opt/wireside/bin").iterdir()}
        assert "wireside" in names
        assert not any(name.startswith("pip") for name in names)
        assert not (image.root / "src").exists()
        assert not (image.root / "dist").exists()
