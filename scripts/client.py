"""Builds the JavaScript client: the npm package in `assets/client/package/`, and a single file.

esbuild joins and minifies the modules of `assets/client/wireside/`, and TypeScript writes their
types; `scripts/web.py` installs both. The results are committed and served as they are, so that an
installation needs no Node. In the package, what few programs need (the REST API, the reasons of
refusals) is in files of their own, which are loaded on demand.

    python scripts/client.py build
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CLIENT = ROOT / "assets" / "client"
SOURCE = CLIENT / "wireside"

HOOKS = {"react": "react", "vue": "vue", "svelte": "svelte/store"}
"""The entry points next to the core, and the module of the framework that each imports."""

MANGLED = (
    "wasOpen|hasTicket|isRefusal|failures|fault|holders|goOn|newError|actions|read|subscribe|wake"
)
"""Names of properties that only the client's own modules use, besides those with an underscore."""

MINIFY = (
    str(ROOT / "node_modules" / "esbuild" / "bin" / "esbuild"),
    "--bundle",
    "--minify",
    "--format=esm",
    "--target=es2022",
    "--charset=utf8",
    f"--mangle-props=^(_.*|{MANGLED})$",
    "--legal-comments=none",
    "--log-level=warning",
    *(f"--external:{framework}" for framework in HOOKS.values()),
)
WRITE_TYPES = (
    "node",
    str(ROOT / "node_modules" / "typescript" / "bin" / "tsc"),
    "--ignoreConfig",
    "--allowJs",
    "--checkJs",
    "--strict",
    "--target",
    "es2024",
    "--module",
    "esnext",
    "--moduleResolution",
    "bundler",
    "--lib",
    "es2024,dom,dom.iterable",
    "--types",
    "",
    "--declaration",
    "--emitDeclarationOnly",
    "--stripInternal",
)
TYPED = (
    "types",
    "errors",
    "events",
    "request",
    "answer",
    "batch",
    "conversation",
    "client",
    "shared",
)
"""The modules whose types are public, in the order of the joined file."""

HEAD = (
    "// wireside-client, MIT; to read it: /assets/client/wireside/index.js of a Wireside server\n"
)

_IMPORT = re.compile(r"^(?:import [^;]*|export \{\});\n", re.MULTILINE)
_UNNAMED_IMPORT = re.compile(r'import"\./[^"]+";')
"""Of a part that another imported part imports by name: esbuild repeats it for the order."""

_FROM = re.compile(r'import\("\./[\w-]+\.js"\)\.')
_NOTES = re.compile(
    r"^/\*\*(?:(?!\*/)[\s\S])*?@(?:import|typedef)(?:(?!\*/)[\s\S])*\*/\n", re.MULTILINE
)


def built() -> dict[str, str]:
    """Return the text of each file, by its path in ``assets/client/``."""
    types = _types()
    core = HEAD + "\n".join(types[name] for name in TYPED) + "\n"
    files = {"wireside.d.mts": core, "package/wireside.d.mts": core}
    for name in HOOKS:
        files[f"package/{name}.d.mts"] = HEAD + _types_of_hook(name, types)
    with tempfile.TemporaryDirectory() as folder:
        entries = [f"wireside={SOURCE / 'index.js'}"]
        _run([*MINIFY, f"--outdir={folder}", "--out-extension:.js=.mjs", *entries])
        entries += [str(SOURCE / f"{name}.js") for name in HOOKS]
        parts = ("--splitting", "--chunk-names=parts/[name]-[hash]")
        package = Path(folder, "package")
        _run([*MINIFY, *parts, f"--outdir={package}", "--out-extension:.js=.mjs", *entries])
        for file in Path(folder).rglob("*.mjs"):
            text = _UNNAMED_IMPORT.sub("", file.read_text("utf-8"))
            files[file.relative_to(folder).as_posix()] = HEAD + text
    return files


def build() -> None:
    """Write the files."""
    shutil.rmtree(CLIENT / "package" / "parts", ignore_errors=True)
    for name, text in built().items():
        file = CLIENT / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")


def outdated() -> list[str]:
    """Return the names of the files that are not what the modules give."""
    files = built()
    found = {
        file.relative_to(CLIENT).as_posix()
        for file in (*CLIENT.glob("*.m[jt]s"), *(CLIENT / "package").rglob("*.m[jt]s"))
    }
    changed = {
        name for name in found & files.keys() if (CLIENT / name).read_text("utf-8") != files[name]
    }
    return sorted(changed | (found ^ files.keys()))


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, cwd=ROOT)


def _types() -> dict[str, str]:
    """Return the declarations of each module, without their imports."""
    files = [*map(str, sorted(SOURCE.glob("*.js"))), str(ROOT / "scripts" / "frameworks.d.ts")]
    with tempfile.TemporaryDirectory() as folder:
        _run([*WRITE_TYPES, "--outDir", folder, *files])
        return {
            file.name.removesuffix(".d.ts"): _alone(file.read_text("utf-8"))
            for file in Path(folder).rglob("*.d.ts")
        }


def _alone(text: str) -> str:
    for pattern in (_IMPORT, _FROM, _NOTES):
        text = pattern.sub("", text)
    return text.strip()


def _types_of_hook(name: str, types: dict[str, str]) -> str:
    text = f"{types['thread']}\n{types[name]}\n"
    core = re.findall(
        r"^export (?:declare )?(?:type|class) (\w+)",
        "\n".join(types[one] for one in TYPED),
        re.MULTILINE,
    )
    used = [one for one in sorted(core) if re.search(rf"\b{one}\b", text)]
    imports = f'import type {{ {", ".join(used)} }} from "./wireside.mjs";\n'
    for generic in ("ComputedRef", "Readable"):
        if generic in types[name]:
            imports += f'import type {{ {generic} }} from "{HOOKS[name]}";\n'
    return imports + text


def main(which: str) -> int:
    """Run ``build`` or ``check``; return the exit code."""
    try:
        if which == "build":
            build()
            return 0
        old = outdated()
    except subprocess.CalledProcessError as error:  # it has said why
        return error.returncode
    if old:
        print(f"Outdated: {', '.join(old)}. Run `python scripts/client.py build`.")
    return int(bool(old))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
