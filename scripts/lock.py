"""Resolves the dependencies into requirements/: versions and hashes, without index URLs."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def compile_lock(name: str, *options: str, with_project: bool = True) -> None:
    """Write ``requirements/{name}.txt`` for every supported Python and platform.

    ``with_project``: whether the dependencies of the project itself are part of it.
    """
    target = ROOT / "requirements" / f"{name}.txt"
    command = [
        *(sys.executable, "-m", "uv", "pip", "compile"),
        *(("pyproject.toml",) if with_project else ()),
        *("--universal", "--python-version", "3.11", "--generate-hashes"),
        *("--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"),
        *("--no-config", "--quiet", "--output-file", str(target)),
        *options,
    ]
    subprocess.run(command, cwd=ROOT, check=True)
    print(f"{target.relative_to(ROOT)}: {target.read_text().count('==')} packages")


EXTRAS = tuple(
    word
    for name in ("local", "mcp", "office", "oidc", "postgres", "redis", "s3")
    for word in ("--extra", name)
)
"""The extras for a checkout: everything that a server can use."""

IMAGE = (*EXTRAS[2:], "--extra", "otel")
"""The extras of the container image: all but the embedded model."""

FRAMEWORKS = tuple(
    word
    for name in ("langgraph", "llama-index", "openai-agents", "pydantic-ai")
    for word in ("--extra", name)
)
"""The extras of agent frameworks, which only the tests of the adapters install."""


def compile_adapters_lock(*options: str) -> None:
    """Write the lock of the environment in which the adapters are tested.

    It has the versions of the runtime's lock, except for websockets: the OpenAI Agents SDK
    does not accept version 17 yet.
    """
    lines = (ROOT / "requirements" / "dev.txt").read_text().splitlines()
    pins = [line.rstrip(" \\") for line in lines if "==" in line]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(pin for pin in pins if not pin.startswith("websockets==")))
        file.flush()
        groups = ("--group", "install", "--group", "adapters")
        compile_lock("adapters", *groups, *FRAMEWORKS, "--constraint", file.name, *options)


if __name__ == "__main__":
    compile_lock("runtime", "--group", "install", *EXTRAS, *sys.argv[1:])
    constraint = ("--constraint", "requirements/runtime.txt")
    compile_lock("dev", "--group", "dev", *EXTRAS, *constraint, *sys.argv[1:])
    compile_lock("docs", "--group", "docs", *sys.argv[1:], with_project=False)
    compile_adapters_lock(*sys.argv[1:])
    constraint += ("--constraint", "requirements/dev.txt")
    compile_lock("image", *IMAGE, *constraint, *sys.argv[1:])
    compile_lock("image-local", *IMAGE, "--extra", "local", *constraint, *sys.argv[1:])
    groups = ("--group", "install")
    compile_lock("build", *groups, *constraint, *sys.argv[1:], with_project=False)
