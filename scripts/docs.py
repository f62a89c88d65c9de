"""Builds the documentation as a site, build/docs/site/, which the server serves at /docs.

The Markdown files of docs/ and of the top level are assembled into one folder, with their links
adapted and a page of the API for each public module. MkDocs, which has an environment of its own,
makes the site. Nothing in it is loaded from another host.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
BUILD = ROOT / "build" / "docs"
SOURCE = BUILD / "source"
SITE = BUILD / "site"
MKDOCS = Path(sys.executable).parents[1] / "docs" / "bin" / "python"
"""The Python of the environment with MkDocs."""

TOP_LEVEL = {
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "reporting.md",
}
"""Pages from the top level of the repository, by their names in the site."""

LINK = re.compile(r"(?P<text>\[[^\]]*\])\((?P<target>[^)\s]+)\)")
FENCE = re.compile(r"(^```.*?^```$)", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class ApiPage:
    """A page of the API reference: objects that are described from their docstrings."""

    name: str
    title: str
    introduction: str
    objects: tuple[str, ...]


API = (
    ApiPage(
        "chat",
        "Chat",
        "A chat of your own: its handlers, tools, views, pages and hooks."
        " [Your own chat](../extending.md) introduces it.",
        ("wireside.Chat", "wireside.Turn", "wireside.User", "wireside.Start")
        + ("wireside.FeedbackEvent", "wireside.ToolFailed", "wireside.McpServer"),
    ),
    ApiPage(
        "parts",
        "Parts and questions",
        "What a handler yields, and what it asks the user.",
        tuple(
            f"wireside.{name}"
            for name in ("Reasoning", "Source", "Image", "File", "Table", "Show", "View")
            + ("Approve", "Choose", "Form", "Field", "AskText", "AskFile")
        ),
    ),
    ApiPage(
        "server",
        "Server",
        "The server as an ASGI application, and a chat in an application of yours.",
        ("wireside.create_app", "wireside.Application", "wireside.mount", "wireside.MountedChat")
        + ("wireside.HostUser", "wireside.Branding"),
    ),
    ApiPage(
        "provider",
        "Providers",
        "A source of answers in place of a model service. [Python](../python.md) has an example.",
        tuple(
            f"wireside.{name}"
            for name in ("Provider", "ModelInfo", "ModelRequest", "Message", "TextDelta")
            + ("ReasoningDelta", "ToolDelta", "Finished", "Usage")
        ),
    ),
    ApiPage("errors", "Errors", "The errors, each with a code.", ("wireside.errors",)),
    ApiPage(
        "tester",
        "Tester",
        "Tests a chat of your own in the process of the test.",
        ("wireside.ChatTester", "wireside.Reply"),
    ),
    ApiPage(
        "adapters",
        "Adapters",
        "Answers by the agents of other frameworks."
        " [Agent frameworks](../extending-adapters.md) introduces them.",
        tuple(
            f"wireside.adapters.{name}"
            for name in ("pydantic_ai", "langgraph", "openai_agents", "llama_index")
        ),
    ),
    ApiPage("client", "Python client", "A client for Python programs.", ("wireside.client",)),
)
"""The pages of the API reference. One whose module does not exist is left out."""

LESS_IN_SEARCH = ("---", "search:", "  boost: 0.3", "---", "")
"""The front matter of a page of the reference: search shows pages that explain first."""

DIAGRAMS = {
    "flowchart": ("flowDiagram-", "dagre-"),
    "sequenceDiagram": ("sequenceDiagram-",),
    "stateDiagram-v2": ("stateDiagram-v2-", "dagre-"),
}
"""Modules of Mermaid by kind of diagram; it loads them by name when it needs them."""

UNUSED = ("404.html", "sitemap.xml", "sitemap.xml.gz", "objects.inv", "assets/javascripts/lunr")
"""What MkDocs and its theme write for other hosts and for other languages."""


def main() -> int:
    """Build the site; return the exit code."""
    began = time.monotonic()
    assemble()
    code = subprocess.run(
        [MKDOCS, "-W", "ignore", "-m", "mkdocs", "build", "--quiet"],
        cwd=BUILD,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        check=False,
    ).returncode
    if code:
        return code
    for name in UNUSED:
        remove(SITE / name)
    for file in SITE.rglob("*.map"):
        file.unlink()
    (licence,) = MKDOCS.parents[1].glob(
        "lib/python*/site-packages/mkdocs_material-*/licenses/LICENSE"
    )
    shutil.copyfile(licence, SITE / "assets" / "LICENSE")
    size = sum(file.stat().st_size for file in SITE.rglob("*") if file.is_file())
    pages = sum(1 for _ in SITE.rglob("*.html"))
    print(
        f"{SITE.relative_to(ROOT)}: {pages} pages, {size / 1e6:.1f} MB,"
        f" built in {time.monotonic() - began:.1f} s"
    )
    return 0


def remove(path: Path) -> None:
    """Remove a file or a folder, if it exists."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


# ---- the sources ---------------------------------------------------------------------------------


def assemble() -> None:
    """Write the pages and the configuration of the site into the build folder."""
    shutil.rmtree(BUILD, ignore_errors=True)
    for file in DOCS.rglob("*"):
        name = file.relative_to(DOCS)
        if file.is_file() and file.name != "mkdocs.yml" and "released" not in name.parts:
            copy(file, SOURCE / name)
    for name, page in TOP_LEVEL.items():
        copy(ROOT / name, SOURCE / page)
    copy(ROOT / "assets" / "logo.svg", SOURCE / "site" / "logo.svg")
    copy_mermaid(SOURCE / "mermaid")
    reference = write_reference()
    listed = (DOCS / "site" / "mkdocs.yml").read_text("utf-8")
    (BUILD / "mkdocs.yml").write_text(with_navigation(listed, reference), "utf-8")


def copy(file: Path, target: Path) -> None:
    """Copy a file; the links of a page are adapted to the site."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".md":
        text = file.read_text("utf-8")
        target.write_text(adapted(text, file, target), "utf-8")
    elif file.suffix == ".json":  # half the size
        value = json.loads(file.read_text("utf-8"))
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        target.write_text(text, "utf-8")
    else:
        shutil.copyfile(file, target)


def adapted(text: str, file: Path, target: Path) -> str:
    """Return a page with links to pages of the site; links to other files become their text.

    A link whose text is the name of a file gets the title of the page.
    """

    def adapt(match: re.Match[str]) -> str:
        path, hash_, anchor = match["target"].partition("#")
        if not path or ":" in path:
            return match[0]
        linked = (file.parent / path).resolve()
        if linked.is_relative_to(DOCS):
            new = SOURCE / linked.relative_to(DOCS)
        elif (name := linked.name) in TOP_LEVEL and linked.parent == ROOT:
            new = SOURCE / TOP_LEVEL[name]
        else:
            return match["text"][1:-1]
        text = match["text"]
        if text == f"[{linked.name}]" and linked.suffix == ".md":
            text = f"[{title_of(linked)}]"
        return f"{text}({relative(new, target.parent)}{hash_}{anchor})"

    pieces = FENCE.split(text)
    return "".join(piece if piece.startswith("```") else LINK.sub(adapt, piece) for piece in pieces)


def title_of(page: Path) -> str:
    """Return the title of a page."""
    return page.read_text("utf-8").partition("\n")[0].removeprefix("# ")


def relative(path: Path, folder: Path) -> str:
    """Return a path as seen from a folder of the site's sources."""
    up = "../" * len(folder.relative_to(SOURCE).parts)
    return up + path.relative_to(SOURCE).as_posix()


def copy_mermaid(target: Path) -> None:
    """Copy the modules of Mermaid that the diagrams need, from those that NiceGUI brings."""
    nicegui = importlib.util.find_spec("nicegui")
    assert nicegui is not None
    assert nicegui.origin is not None
    folder = Path(nicegui.origin).parent / "elements" / "mermaid" / "dist"
    kinds = {
        kind
        for page in SOURCE.rglob("*.md")
        for kind in re.findall(r"^```mermaid\n([\w-]+)", page.read_text("utf-8"), re.MULTILINE)
    }
    heads = tuple(head for kind in kinds for head in DIAGRAMS[kind])
    waiting = [
        "index.js",
        *(file.name for file in folder.glob("*.js") if file.name.startswith(heads)),
    ]
    done: set[str] = set()
    target.mkdir(parents=True, exist_ok=True)
    while waiting:
        name = waiting.pop()
        if name in done:
            continue
        done.add(name)
        text = (folder / name).read_text("utf-8")
        (target / name).write_text(re.sub(r"//# sourceMappingURL=.*", "", text), "utf-8")
        waiting += re.findall(r"(?:from|import)\"\./([\w.-]+\.js)\"", text)


def write_reference() -> list[ApiPage]:
    """Write the pages of the API reference; return those whose modules exist."""
    found = [page for page in API if all(map(exists, page.objects))]
    for page in found:
        lines = [*LESS_IN_SEARCH, f"# {page.title}", "", page.introduction, ""]
        for name in page.objects:
            lines += [f"::: {name}", ""]
        file = SOURCE / "api" / f"{page.name}.md"
        file.parent.mkdir(exist_ok=True)
        file.write_text("\n".join(lines), "utf-8")
    return found


def exists(name: str) -> bool:
    """Return whether a name is a module, or a public name of ``wireside``."""
    package = ROOT / "backend" / "wireside"
    public = re.findall(
        r'^    "(\w+)",$', (package / "__init__.py").read_text("utf-8"), re.MULTILINE
    )
    module = ROOT.joinpath("backend", *name.split("."))
    return (
        name.partition(".")[2] in public or module.is_dir() or module.with_suffix(".py").is_file()
    )


# ---- the navigation ------------------------------------------------------------------------------


def with_navigation(configuration: str, reference: Iterable[ApiPage]) -> str:
    """Return the configuration with the API reference, and the pages that it does not list."""
    lines = ["  - API reference:"]
    lines += [f"      - {page.title}: api/{page.name}.md" for page in reference]
    others = list(unlisted_pages(configuration))
    if others:
        lines.append("  - More:")
        lines += [f"      - {page}" for page in others]
    return configuration.replace("\ntheme:", "\n".join([*lines, "", "theme:"]), 1)


def unlisted_pages(configuration: str) -> Iterator[str]:
    """Yield the pages of docs/ that the navigation does not list; decisions have their own list."""
    for file in sorted(DOCS.glob("*.md")):
        if not re.search(rf": {re.escape(file.name)}$", configuration, re.MULTILINE):
            yield file.name


if __name__ == "__main__":
    sys.exit(main())
