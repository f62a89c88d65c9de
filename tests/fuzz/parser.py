"""Fuzzes each parser with any bytes: no uncaught exception, no hang, no wrong result. No sockets.

Each target of ``targets.py`` receives its share of ``--inputs``, spread over all processors. Most
inputs come from the generator below, which is fast. If atheris is available (Linux), a fifth is
coverage-guided: the code is instrumented, and libFuzzer steers the inputs to unreached code. The
targets read the bytes of both as decisions, so most inputs are nearly valid. A failure prints its
input; ``--target T --input HEX`` runs it again.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.fuzz import words

ROOT = Path(__file__).parents[2]
HANG_S = 30
CHUNK = 1_000_000
"""Inputs per process; the next process continues with the corpus."""

SEEDS = 64
LED = 0.2
"""The share of the inputs that libFuzzer generates; it is several times slower."""


@dataclass
class Tally:
    """The results of one target."""

    inputs: int = 0
    led: int = 0
    """Number of coverage-guided inputs."""
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Inputs per second of one processor."""
        return self.inputs / max(self.seconds, 0.001)


# ---- all targets --------------------------------------------------------------------------------


def fuzz(inputs: int, *, seed: int, jobs: int, corpus: Path) -> dict[str, Tally]:
    """Run all targets and return the results of each."""
    from tests.fuzz.targets import TARGETS

    (corpus / "dictionary").write_text(words.dictionary())
    tallies: dict[str, Tally] = {name: Tally() for name in TARGETS}
    runs: list[Run] = []
    for name, target in TARGETS.items():
        share = max(1, inputs * target.share // 1_000)
        led = int(share * LED) if find_spec("atheris") else 0
        runs += _runs(name, led, seed, jobs, corpus, is_led=True)
        runs += _runs(name, share - led, seed, jobs, corpus, is_led=False)
    # slow targets first, so that the end does not wait for one
    runs.sort(key=lambda run: (not run.is_led, TARGETS[run.target].share))
    began = told = time.monotonic()
    with ThreadPoolExecutor(jobs) as pool:
        working = {pool.submit(_worker, run): run for run in runs}
        for future in as_completed(working):
            run, result = working[future], future.result()
            tally = tallies[run.target]
            tally.inputs += result.inputs
            tally.led += result.inputs * run.is_led
            tally.seconds += result.seconds
            tally.failures += result.failures
            if time.monotonic() - told >= 60:
                told = time.monotonic()
                print(f"{(told - began) / 60:4.0f} min: {_so_far(tallies, inputs)}", flush=True)
    return tallies


def _so_far(tallies: dict[str, Tally], inputs: int) -> str:
    done = sum(tally.inputs for tally in tallies.values())
    failures = sum(len(tally.failures) for tally in tallies.values())
    return f"{done:,} of {inputs:,} inputs, {failures} failures"


@dataclass(frozen=True)
class Run:
    """The task of one process."""

    target: str
    inputs: int
    seed: int
    corpus: Path
    is_led: bool


def _runs(name: str, inputs: int, seed: int, jobs: int, corpus: Path, *, is_led: bool) -> list[Run]:
    """Distribute ``inputs`` (rounded up) over processes."""
    parts = max(jobs if inputs > 20_000 else 1, -(-inputs // CHUNK))
    each = -(-inputs // parts)
    return [Run(name, each, seed + part, corpus, is_led) for part in range(parts) if each]


def _worker(run: Run) -> Tally:
    name, corpus = run.target, run.corpus
    command = [sys.executable, "-m", "tests.fuzz.parser"]
    command += ["--worker", "led" if run.is_led else "own"]
    command += ["--target", name, "--inputs", str(run.inputs), "--seed", str(run.seed)]
    process = subprocess.run(
        [*command, "--corpus", str(corpus)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = process.stdout.splitlines()
    if lines and lines[-1].startswith('{"inputs"'):
        return Tally(**json.loads(lines[-1]))
    # it did not finish: a hang, no memory, a crash of the interpreter
    artifacts = sorted((corpus / name).glob("found-*"))
    inputs_found = [f"--target {name} --input {file.read_bytes().hex()}" for file in artifacts]
    ended = f"{name}: the process ended with {process.returncode}\n{process.stderr[-2_000:]}"
    return Tally(failures=["\n".join([ended, *inputs_found])])


def table(tallies: dict[str, Tally]) -> str:
    """Return the results, one target per line."""
    lines = [f"{'target':<14} {'inputs':>12} {'led':>12} {'inputs/s':>10} {'failures':>9}"]
    total: dict[str, float] = defaultdict(float)
    for name, tally in tallies.items():
        failures = len(tally.failures)
        row = f"{name:<14} {tally.inputs:>12,} {tally.led:>12,} {tally.rate:>10,.0f}"
        lines.append(f"{row} {failures:>9}")
        total["inputs"] += tally.inputs
        total["led"] += tally.led
        total["failures"] += failures
    row = f"{'all':<14} {total['inputs']:>12,.0f} {total['led']:>12,.0f} {'':>10}"
    return "\n".join([*lines, f"{row} {total['failures']:>9.0f}"])


# ---- one target, in a separate process -----------------------------------------------------------


class Worker:
    """Passes inputs to one target and counts them."""

    def __init__(self, name: str, inputs: int, seed: int, corpus: Path) -> None:
        self._name = name
        self._limit = inputs
        self._count = 0
        self._dice = random.Random(f"{name} {seed}")
        self._seed = seed
        self._corpus = corpus
        self._folder = corpus / name
        self._folder.mkdir(parents=True, exist_ok=True)
        self._check: Callable[[bytes], None]
        self._began = 0.0

    def run(self) -> None:
        """Run inputs of the generator. Ends the process with a line of JSON."""
        self._load()
        for data in self._made():
            self.one(data)

    def run_led(self) -> None:
        """Run inputs of libFuzzer. Ends the process with a line of JSON."""
        import atheris

        with _quiet(), atheris.instrument_imports(include=list(self._modules())):
            for module in self._modules():
                __import__(module)
        self._load()
        self._write_seeds()
        options = {
            "max_len": self._target.max_len,
            "len_control": 0,
            "seed": self._seed % 2**31 + 1,
            "timeout": HANG_S,
            "rss_limit_mb": 4096,
            "dict": self._corpus / "dictionary",
            "artifact_prefix": f"{self._folder}/found-",
            "verbosity": 0,
        }
        arguments = [f"-{name}={value}" for name, value in options.items()]
        atheris.Setup([sys.argv[0], *arguments, str(self._folder)], self.one)
        atheris.Fuzz()

    def one(self, data: bytes) -> None:
        """Run one input."""
        self._count += 1
        try:
            self._check(data)
        except Exception:
            trace = "".join(traceback.format_exc()[-3_000:])
            self._end([f"{trace}\n--target {self._name} --input {data.hex()}"])
        if self._count >= self._limit:
            self._end([])

    def _modules(self) -> tuple[str, ...]:
        return MODULES.get(self._name, PROTOCOL)

    def _load(self) -> None:
        from tests.fuzz.targets import TARGETS

        self._target = TARGETS[self._name]
        self._check = self._target.check
        self._check(b"\x01" * 64)  # for the imports of the first input
        self._began = time.monotonic()

    def _end(self, failures: list[str]) -> None:
        seconds = time.monotonic() - self._began
        result = {"inputs": self._count, "seconds": seconds, "failures": failures}
        print(json.dumps(result), flush=True)
        os._exit(0)  # libFuzzer would continue

    def _write_seeds(self) -> None:
        for number in range(SEEDS):
            data = self._dice.randbytes(self._dice.randint(1, self._target.max_len))
            (self._folder / f"seed-{self._seed}-{number}").write_bytes(data)

    def _made(self) -> Iterator[bytes]:
        """Yield random bytes, and mutations: one decision changed, some omitted or duplicated."""
        dice, most = self._dice, self._target.max_len
        while True:
            data = bytearray(dice.randbytes(dice.randint(0, most)))
            yield bytes(data)
            for _ in range(7):
                at = dice.randint(0, len(data))
                match dice.randint(0, 3):
                    case 0:
                        data[at : at + 1] = dice.randbytes(1)
                    case 1:
                        data[at : at + dice.randint(1, 8)] = b""
                    case 2:
                        data[at:at] = data[: dice.randint(1, 16)]
                    case 3:
                        data[at:at] = dice.choice(_WORDS)
                yield bytes(data[:most])


PROTOCOL = (
    "wireside.protocol.frames.client_parser",
    "wireside.protocol.frames.fields",
    "wireside.protocol.connection",
)
MODULES = {
    "server_frames": ("wireside.protocol.frames.server_parser",),
    "handshake": ("wireside.protocol.handshake",),
    "sanitize": ("wireside.protocol.sanitize",),
    "sse": ("wireside.openai_wire.sse",),
    "completions": ("wireside.openai_wire.decode",),
    "failures": ("wireside.openai_wire.errors",),
    "models": ("wireside.providers.model_list",),
    "importing": (
        *("wireside.transfer.imports", "wireside.transfer.import_file"),
        *("wireside.transfer.turn_tree", "wireside.transfer.untyped"),
        *("wireside.transfer.formats.chatgpt", "wireside.transfer.formats.claude"),
        *("wireside.transfer.formats.deepseek", "wireside.transfer.formats.foreign"),
        *("wireside.transfer.formats.librechat", "wireside.transfer.formats.open_webui"),
        *("wireside.transfer.formats.parts", "wireside.transfer.formats.wireside"),
    ),
    "markdown": ("wireside_ui.markdown.incremental",),
}
"""Modules instrumented for a target; by default those of the protocol."""

_WORDS = [text.encode("utf-8", "surrogatepass") for text in (*words.TAGS, *words.VALUES[:20])]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the names of the modules that atheris prints while instrumenting."""
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stderr(nowhere):
        yield


def again(name: str, data: bytes) -> int:
    """Run one input and print its traceback; returns the exit code."""
    from tests.fuzz.targets import TARGETS

    TARGETS[name].check(data)
    print("It passes.")
    return 0


def main() -> int:
    """Fuzz and print a table; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--target", help="the target of --input")
    parser.add_argument("--input", type=bytes.fromhex, help="only this input, as hex")
    parser.add_argument("--corpus", type=Path, help="folder that keeps what libFuzzer found")
    parser.add_argument("--worker", choices=("own", "led"), help=argparse.SUPPRESS)
    given: Any = parser.parse_args()
    if given.input is not None:
        return again(given.target, given.input)
    if given.worker is not None:
        worker = Worker(given.target, given.inputs, given.seed, given.corpus)
        worker.run_led() if given.worker == "led" else worker.run()
    with tempfile.TemporaryDirectory() as folder:
        corpus = given.corpus or Path(folder)
        corpus.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        tallies = fuzz(given.inputs, seed=given.seed, jobs=given.jobs, corpus=corpus)
    print(table(tallies))
    print(f"{time.monotonic() - began:.1f} s on {given.jobs} processors, seed {given.seed}")
    if not find_spec("atheris"):
        print("Without atheris: no input was led by what it reaches.")
    for tally in tallies.values():
        for failure in tally.failures:
            print(f"\n{failure}")
    return int(any(tally.failures for tally in tallies.values()))


if __name__ == "__main__":
    sys.exit(main())
