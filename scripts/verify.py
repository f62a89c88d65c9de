"""Runs all of the project's checks one after another and prints one summary.

``check`` is for daily use; ``test`` adds slower steps: integration, a real browser, the wheel.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
COUNTS = re.compile(r"(\d+) (passed|failed|error|errors)\b")

FAILED = re.compile(r"(?:FAILED|ERROR) (\S+::(?:[^\s\[]+\[.*?\]|\S+))(?= - |$)")
"""A line of pytest's short summary: the test's address and, after " - ", the error."""

MOST_RETRIED = 5
"""Tests of one step that may run again: where more have failed, something is broken."""

RETRIES = 2
"""How often they run again."""

NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"
"""Removed from the steps' environment: hundreds of processes would compile all modules again."""

LONGEST_S = 25 * 60
"""Timeout of a step: a step that hangs is killed, and the following steps still run."""


@dataclass(frozen=True)
class Step:
    """One check; it has one line in the summary."""

    name: str
    command: tuple[str, ...]
    retries: bool = False
    """Whether the tests that failed run again, alone.

    For tests whose timeouts may run out on a busy machine. Never for the tests of faults and of
    hostile input: a loss once in a hundred runs is a loss.
    """


def tool(name: str, *arguments: str) -> tuple[str, ...]:
    """Return the command that runs a tool of this environment."""
    return (str(BIN / name), *arguments)


UNIT = ("tests/backend", "tests/ui")

FEW = ("--hypothesis-profile", "check")
"""A quarter of the examples. They are the same in each run; ``tests/fuzz`` looks for new ones."""

MORE = str((os.cpu_count() or 1) + 1)
"""Workers: tests wait for timeouts, browsers and starting servers.

Each further one takes ten seconds of CPU to import all unit tests and what they test.
"""

PATIENT = ("-n", MORE, "--dist", "loadgroup")

BY_SCOPE = ("-n", MORE, "--dist", "loadscope", "--no-loadscope-reorder")
"""Groups tests by file or class: they share servers that take seconds to start."""


ADAPTERS = (
    str(BIN.parent / "adapters" / "bin" / "python"),
    "-m",
    "pytest",
    "-q",
    "--all-frameworks",
)
"""Agent frameworks have an environment of their own, as not all accept the locked versions."""


def files(folder: str, *longest: str) -> tuple[str, ...]:
    """Return the test files of a folder: ``longest``, the slowest ones, and then the largest first.

    A long file that begins last leaves all workers but one without work.
    """
    found = {file.name: file.stat().st_size for file in (ROOT / folder).glob("test_*.py")}
    others = sorted(found.keys() - set(longest), key=lambda name: (-found[name], name))
    return tuple(f"{folder}/{name}" for name in (*longest, *others))


LONG_FAULTS = ("storm", "fleet_storm", "soak", "flood", "many", "abuse")
"""Short files that run long programs."""


def files_with(mark: str, folders: Sequence[str]) -> tuple[str, ...]:
    """Return the test files that contain a mark.

    Each worker imports all files that it is given, which takes ten seconds for all unit tests.
    """
    found = (file for folder in folders for file in (ROOT / folder).rglob("test_*.py"))
    return tuple(str(file.relative_to(ROOT)) for file in sorted(found) if mark in file.read_text())


STATIC = (
    Step("format", tool("ruff", "format", "--check", ".")),
    Step("lint", tool("ruff", "check", ".")),
    Step("imports", tool("lint-imports")),
    Step("types", tool("mypy")),
    Step("scripts and styles", (sys.executable, "scripts/web.py", "check")),
)
CHECK = (
    *STATIC,
    Step("unit tests", tool("pytest", "-q", *PATIENT, *FEW, *UNIT, "-m", "not slow")),
)
TEST = (
    *STATIC,
    Step("unit tests", tool("pytest", "-q", *PATIENT, *UNIT, "-m", "not slow"), True),
    Step(
        "slow tests",
        tool("pytest", "-q", *PATIENT, *files_with("mark.slow", UNIT), "-m", "slow"),
        True,
    ),
    Step("adapters", (*ADAPTERS, *PATIENT, "tests/adapters")),
    Step(
        "faults",
        tool(
            *("pytest", "-q", *BY_SCOPE),
            *files("tests/faults", *(f"test_{name}.py" for name in LONG_FAULTS)),
        ),
    ),
    Step("fuzzing", tool("pytest", "-q", *PATIENT, "tests/fuzz")),
    Step("clients", tool("pytest", "-q", *PATIENT, "tests/clients"), True),
    Step("doors", tool("pytest", "-q", *BY_SCOPE, "tests/doors"), True),
    Step("proxies", tool("pytest", "-q", *PATIENT, "tests/proxies"), True),
    Step("packaging", tool("pytest", "-q", *BY_SCOPE, "tests/packaging"), True),
    # a separate process: Playwright leaves a loop running, which breaks later async tests
    Step(
        "browser",
        tool("pytest", "-q", *BY_SCOPE, *files("tests/e2e", "test_hostile_text.py")),
        True,
    ),
)


def main(which: str) -> int:
    """Run the steps of ``which``; return the exit code."""
    if which == "test":
        have_chromium()
        have_firefox()
        have_proxies()
        have_fault_tools()
    results = [run(step) for step in (TEST if which == "test" else CHECK)]
    print(f"\n{'step':<18} {'result':<8} seconds   CPU")
    for result in results:
        outcome = "FAILED" if result.code else "unstable" if result.unstable_tests else "ok"
        print(f"{result.step.name:<18} {outcome:<8} {result.seconds:7.1f} {result.cpu_s:5.0f}")
    for result in results:
        for name in result.unstable_tests:
            print(f"unstable (failed among other tests, passed alone): {name}")
    passed = sum(result.passed for result in results)
    print(f"{passed} passed, {sum(result.failed for result in results)} failed")
    return int(any(result.code for result in results))


@dataclass
class Result:
    """The outcome of a step."""

    step: Step
    code: int
    seconds: float
    cpu_s: float = 0
    passed: int = 0
    failed: int = 0
    failed_tests: list[str] = field(default_factory=list)
    unstable_tests: list[str] = field(default_factory=list)
    """Tests that failed among others and passed alone."""


def run(step: Step) -> Result:
    """Run one step, and up to twice more the tests of it that failed, where the step says so."""
    result = run_command(step, step.command)
    if not (step.retries and 0 < result.failed == len(result.failed_tests) <= MOST_RETRIED):
        return result
    remaining = result.failed_tests
    for _ in range(RETRIES):
        print("\nThe tests that failed run again, alone.")
        again = run_command(step, tool("pytest", "-q", *remaining))
        result.seconds += again.seconds
        result.cpu_s += again.cpu_s
        result.passed += again.passed
        if again.code == 0:
            result.unstable_tests = result.failed_tests
            result.code = result.failed = 0
            break
        if not 0 < again.failed == len(again.failed_tests):
            break
        remaining = again.failed_tests
        result.failed = again.failed
    return result


def run_command(step: Step, command: tuple[str, ...]) -> Result:
    """Run a command of a step and show its output."""
    print(f"\n── {step.name} " + "─" * (70 - len(step.name)), flush=True)
    began, began_cpu = time.monotonic(), cpu_of_children()
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != NO_BYTECODE},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # so that its child processes can be killed with it
    )
    assert process.stdout is not None
    watch = threading.Thread(target=end, args=(process,), daemon=True)
    watch.start()
    last = ""
    failed_tests: list[str] = []
    try:
        for line in process.stdout:
            print(line, end="", flush=True)
            last = line if COUNTS.search(line) else last
            if found := FAILED.match(line):
                failed_tests.append(found[1])
        code = process.wait()
    finally:
        kill(process)  # after an interrupt
        watch.join()
        process.stdout.close()
    result = Result(step, code, time.monotonic() - began, failed_tests=failed_tests)
    result.cpu_s = cpu_of_children() - began_cpu
    for number, what in COUNTS.findall(last):
        if what == "passed":
            result.passed += int(number)
        else:
            result.failed += int(number)
    return result


def cpu_of_children() -> float:
    """Return the CPU seconds of all ended child processes and theirs."""
    times = os.times()
    return times.children_user + times.children_system


def end(process: subprocess.Popen[str]) -> None:
    """Wait for a step, with a timeout, and kill the processes that it has left running.

    They would keep its output open, and reading the output would block.
    """
    try:
        process.wait(LONGEST_S)
    except subprocess.TimeoutExpired:
        print(f"\nNo end in sight after {LONGEST_S} s: ended.", flush=True)
    kill(process)


def kill(process: subprocess.Popen[str]) -> None:
    """Kill a step and all processes that it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def have_chromium() -> None:
    """Install a Chromium if there is none, in a way that this machine allows.

    Debian has one without a window, which takes half of the CPU time. In a container, it is
    installed even if there is another one.
    """
    sys.path.insert(0, str(ROOT))
    from tests.e2e.chromium import find, find_shell  # the tests search the same places

    may_install = find() is None or not SYSTEMD.exists()
    if find_shell() is None and may_install and "WIRESIDE_CHROMIUM" not in os.environ:
        print("No Chromium without a window yet; trying the system's package …", flush=True)
        install("chromium-headless-shell")
    ways: tuple[tuple[str, Callable[[], bool]], ...] = (
        ("Playwright's own", lambda: attempt(tool("playwright", "install", "chromium"))),
        ("the system's other package", lambda: install("chromium")),
    )
    for name, way in ways:
        if find() is not None:
            return
        print(f"No Chromium yet; trying {name} …", flush=True)
        way()
    if find() is None:
        print(
            "The browser tests need Chromium: install your system's `chromium` package, or set"
            " WIRESIDE_CHROMIUM to the path of one."
        )


def have_firefox() -> None:
    """Install a Firefox if there is none; its tests are skipped if it can't be installed.

    Only in containers, as `have_proxies` does.
    """
    from tests.e2e.firefox import find

    if find() is None and not SYSTEMD.exists():
        print("No Firefox yet; trying the system's package …", flush=True)
        install("firefox-esr")


PROXIES = {"nginx": "nginx-light", "haproxy": "haproxy", "caddy": "caddy"}
"""Proxies used by the connection doctor's tests, and their packages."""

SYSTEMD = Path("/run/systemd/system")
"""Exists where systemd runs, which starts the services of packages when they are installed."""


def have_proxies() -> None:
    """Install the missing proxies; tests of those that can't be installed are skipped.

    Only where the installation starts no service, as in CI's containers: running the tests must not
    leave a web server running on a developer's machine.
    """
    places = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    missing = [name for name in PROXIES if shutil.which(name, path=places) is None]
    if missing and SYSTEMD.exists():
        print(f"Tests with {', '.join(missing)} are left out: install their packages for them.")
    elif missing:
        print(f"No {', '.join(missing)} yet; trying the system's packages …", flush=True)
        install(*(PROXIES[name] for name in missing))


def have_fault_tools() -> None:
    """Install the tools that simulate disk faults and clock jumps.

    Their tests are skipped if the tools can't be installed.
    """
    clock = any(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if shutil.which("fiu-ctrl") is not None and clock:
        return
    print("No libfiu or no libfaketime yet; trying the system's packages …", flush=True)
    install("fiu-utils", "faketime")


def install(*packages: str) -> bool:
    """Install packages of the distribution (Debian's names); requires root or sudo."""
    prefix: tuple[str, ...] = ()
    if not attempt(("test", "-w", "/usr/bin")):
        if shutil.which("sudo") is None:
            return False
        prefix = ("sudo", "-n")
    if shutil.which("apt-get") is None:
        return False
    attempt((*prefix, "apt-get", "update", "-qq"))
    command = ("apt-get", "install", "-y", "-qq", *packages)
    return attempt((*prefix, "env", "RUNLEVEL=1", "DEBIAN_FRONTEND=noninteractive", *command))


def attempt(command: tuple[str, ...]) -> bool:
    """Run a command that may fail; return whether it succeeded."""
    try:
        return subprocess.run(command, check=False, timeout=600).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
