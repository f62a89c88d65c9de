"""The wheel contains both packages and the assets, and works from any folder."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from wireside.testing import FakeOpenAI, answer

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT],
        check=True,
        capture_output=True,
    )
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel; its dependencies come from the current environment."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    (site,) = folder.glob("lib/python*/site-packages")
    install = ("install", "--quiet", "--no-deps", "--no-index", wheel)
    subprocess.run([sys.executable, "-m", "pip", "--python", python, *install], check=True)
    lent = Path(sysconfig.get_path("purelib"))
    # without this environment's .pth files, which would add the checkout
    (site / "lent.pth").write_text(f"{lent}\n")
    return python


def test_both_packages_and_the_assets_are_inside(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for name in ("wireside/app.py", "wireside_ui/mount.py", "wireside/py.typed"):
        assert name in names
    assert any(name.startswith("wireside/_assets/css/") for name in names)
    for name in ("math.js", "katex/katex.min.js", "katex/LICENSE", "katex/LICENSE-mhchem"):
        assert f"wireside/_assets/{name}" in names
    assert sum(name.startswith("wireside/_assets/katex/fonts/") for name in names) == 20
    assert any(name.startswith("wireside/testing/") for name in names)
    for part in ("wireside_transcript.js", "transcript.css", "modules/turns.js"):
        assert f"wireside_ui/components/transcript/{part}" in names
    assert not any(name.startswith(("tests/", "benchmarks/", "wireside/tests")) for name in names)


def test_it_says_its_version_from_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    said = subprocess.run(
        [installed.with_name("wireside"), "--version"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    assert "0.1.0" in said.stdout


def test_it_chats_from_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    with FakeOpenAI() as lab:
        lab.answer_with(answer(["Hello ", "wheel"]))
        process = subprocess.Popen(
            [installed.with_name("wireside"), "serve", "--port", "0"],
            cwd=tmp_path,
            env={
                "PATH": os.environ["PATH"],
                "OPENAI_BASE_URL": lab.url,
                "WIRESIDE_DATA_DIR": str(tmp_path / "data"),
            },
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        try:
            url = process.stdout.readline().rpartition(" ")[2].strip()
            assert asyncio.run(_chat(url)) == "Hello wheel"
            page = subprocess.run(
                [sys.executable, "-c", _FETCH, url], check=True, capture_output=True, text=True
            )
            assert "wireside_composer" in page.stdout
        finally:
            process.terminate()
            process.wait(20)
            process.stdout.close()


_FETCH = """
import sys, urllib.request as r
page = r.urlopen(sys.argv[1] + "/").read().decode()
import re
css = re.search(r'/assets/css/chat.css[^"]*', page)[0]
assert r.urlopen(sys.argv[1] + css).status == 200
print(page)
"""


async def _chat(url: str) -> str:
    async with connect(url.replace("http://", "ws://") + "/ws/ai-chat") as client:
        await client.send(json.dumps({"type": "chat", "message": "Hi"}))
        text = ""
        while (frame := json.loads(await client.recv()))["type"] == "chunk":
            text += frame["content"]
        return text
