"""The npm package ``wireside-client``: its size, its types, and programs in an empty folder."""

from __future__ import annotations

import gzip
import io
import json
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from scripts import client as builder
from tests.clients import frameworks, runtimes
from tests.server_process import ServerProcess
from wireside.assets import assets_folder
from wireside.testing import FakeOpenAI, answer
from wireside_ui import client_package

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = assets_folder() / "client" / "package"
ESBUILD = ROOT / "node_modules" / "esbuild" / "bin" / "esbuild"
TYPESCRIPT = ROOT / "node_modules" / "typescript" / "bin" / "tsc"
NPM_S = 120

CORE_BYTES = 5_500
HOOK_BYTES = 6_144
"""With the core."""

STATIC_IMPORT = re.compile(r'(?:from|import)"(\.[^"]+)"')


def loaded(file: Path) -> list[Path]:
    """Return the files that a program loads at first, which import each other statically."""
    files = [file]
    for one in files:  # it grows
        for name in STATIC_IMPORT.findall(one.read_text("utf-8")):
            path = (one.parent / name).resolve()
            if path not in files:
                files.append(path)
    return files


@pytest.mark.skipif(not ESBUILD.exists(), reason="the tools of package-lock.json are missing")
@pytest.mark.parametrize(
    ("entry", "most"),
    [("wireside", CORE_BYTES), *((hook, HOOK_BYTES) for hook in builder.HOOKS)],
)
def test_what_a_page_loads_is_small(tmp_path: Path, entry: str, most: int) -> None:
    """As bundlers join it, without the framework and without modules loaded on demand."""
    frameworks = (f"--external:{name}" for name in builder.HOOKS.values())
    bundle = ("--bundle", "--minify", "--format=esm", "--target=es2022", "--charset=utf8")
    out = (f"--outdir={tmp_path}", "--splitting", "--log-level=warning")
    command = [str(ESBUILD), str(PACKAGE / f"{entry}.mjs"), *bundle, *frameworks, *out]
    subprocess.run(command, check=True, timeout=60)
    texts = [file.read_text("utf-8") for file in loaded(tmp_path / f"{entry}.js")]
    assert len(gzip.compress("".join(texts).encode(), 9)) <= most


@pytest.mark.skipif(not TYPESCRIPT.exists(), reason="the tools of package-lock.json are missing")
def test_the_built_files_are_those_of_the_modules() -> None:
    assert builder.outdated() == []


def test_the_licence_is_the_projects() -> None:
    assert (PACKAGE / "LICENSE").read_text("utf-8") == (ROOT / "LICENSE").read_text("utf-8")


def test_the_archive_has_the_same_bytes_each_time() -> None:
    first = client_package.tarball()
    client_package.tarball.cache_clear()
    assert client_package.tarball() == first
    with tarfile.open(fileobj=io.BytesIO(first), mode="r:gz") as archive:
        names = archive.getnames()
        assert {member.mtime for member in archive} == {client_package.TIME_S}
    assert {"package/package.json", "package/wireside.mjs", "package/LICENSE"} <= set(names)
    assert gzip.decompress(first)  # its checksum is right


@pytest.mark.parametrize(
    ("python", "npm"),
    [("0.1.0", "0.1.0"), ("1.2", "1.2.0"), ("0.1.0.dev3+g12", "0.1.0-dev3.g12"), ("0", "0.0.0")],
)
def test_versions_are_those_of_npm(python: str, npm: str) -> None:
    assert client_package.npm_version(python) == npm


# ---- in an empty folder -----------------------------------------------------------------------


def npm_install(folder: Path, *packages: str) -> None:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("there is no npm here")
    command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", *packages]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=NPM_S)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def installed(server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the package was installed, with the `package.json` of `npm init`."""
    folder = tmp_path_factory.mktemp("empty")
    (folder / "package.json").write_text('{"name": "program", "type": "commonjs"}')
    npm_install(folder, f"{server.url}/assets/client/wireside-client.tgz")
    return folder


PROGRAM = """
import { Wireside, LimitError } from "wireside-client";
const chat = new Wireside(process.argv[2]);
for await (const piece of chat.ask("What is a WebSocket?")) process.stdout.write(piece);
const { models } = await (await chat.api("/api/models")).json();
console.log(models.length > 0, typeof LimitError);
chat.close();
"""


def test_a_program_in_an_empty_folder_uses_it(
    installed: Path, server: ServerProcess, lab: FakeOpenAI, runtime: str
) -> None:
    """Node 20 has no WebSocket: there it finds that of the package `ws` next to the program."""
    if runtime == "node20":
        modules = installed / "node_modules" / "ws"
        if not modules.exists():
            modules.symlink_to(runtimes.install("ws", "ws@8") / "ws")
    lab.answer_with(answer(["A protocol. "]))
    (installed / "program.mjs").write_text(PROGRAM)
    done = subprocess.run(
        [*runtimes.command(runtime), "program.mjs", server.url],
        cwd=installed,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "A protocol. true function\n"


# ---- the documentation ------------------------------------------------------------------------

DOCUMENT = (ROOT / "docs" / "javascript.md").read_text("utf-8")
PROGRAMS = [
    block
    for block in re.findall(r"```js\n(.*?)```", DOCUMENT, re.DOTALL)
    if 'from "wireside-client"' in block
]


@pytest.mark.parametrize("runtime", ["node22"], indirect=True)
@pytest.mark.parametrize("at", range(len(PROGRAMS)))
def test_a_program_of_the_documentation_runs_as_it_stands(
    installed: Path, server: ServerProcess, lab: FakeOpenAI, runtime: str, at: int
) -> None:
    """But for the server's address."""
    lab.answer_with(*(answer([text]) for text in ("first ", "second ", "third ", "fourth ")))
    (installed / "example.mjs").write_text(
        PROGRAMS[at].replace("http://127.0.0.1:8080", server.url)
    )
    done = subprocess.run(
        [*runtimes.command(runtime), "example.mjs"],
        cwd=installed,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("first")


def test_the_documentation_has_programs() -> None:
    assert len(PROGRAMS) == 2


# ---- types ------------------------------------------------------------------------------------

TYPED = """
import { share, Wireside, WiresideError, type Answer, type Part } from "wireside-client";

const chat: Wireside = new Wireside("http://127.0.0.1:8080", { token: async () => "key" });
chat.on("state", (state, error) => console.log(state satisfies string, error?.retryAfter));
export async function main(signal: AbortSignal): Promise<string> {
  const answer: Answer = chat.ask("Hi", { model: "m", temperature: 0.5, signal });
  answer.on("tool", (tool) => console.log(tool.call, tool.result?.length));
  for await (const part of answer.parts() satisfies AsyncIterable<Part>) {
    if (part.type === "chunk") console.log(part.content.length);
    else if (part.type === "part") console.log(part.kind, part.data);
  }
  const question = answer.question;
  if (question?.data.type === "approve") await answer.reply(true).text;
  const batch = chat.batch(["a", "b"], { parallel: 2 });
  for await (const one of batch) console.log(one.index, one.soFar);
  const results = await batch.results;
  console.log(results[0].error?.code, batch.summary?.failed, chat.metrics.averageLatency);
  const { id } = await chat.upload(new Blob(["text"]), { name: "a.txt" });
  const { client, release } = share();
  await client.conversation().ask("Hi", { attachments: [id] }).text;
  release();
  return answer.text.catch((error: WiresideError) => error.message);
}
// @ts-expect-error: a number is no question
chat.ask(5);
// @ts-expect-error: there is no such option
chat.ask("Hi", { temprature: 1 });
// @ts-expect-error: internal
chat._stop(null);
"""
TYPED_HOOKS = """
import { useAIWebSocket as useReact, type Message } from "wireside-client/react";
import { useAIWebSocket as useSvelte } from "wireside-client/svelte";
import { useAIWebSocket as useVue } from "wireside-client/vue";

const { messages, isConnected, isStreaming, sendMessage, reply, client } = useReact({ url: "/" });
const last: Message | undefined = messages.at(-1);
if (isConnected && !isStreaming) void sendMessage("Hi", "gpt-4o", { temperature: 1 });
void reply(last?.role === "assistant");
console.log(client().metrics.reconnectCount, messages.map(({ content }) => content.length));
const inVue = useVue({ conversation: "new", ask: { system: "Be brief." } });
console.log(inVue.messages.value[0].timestamp, inVue.question.value?.data.prompt);
useSvelte().messages.subscribe((all) => console.log(all[0].tools[0].name));
// @ts-expect-error: messages do not change
messages.push(last);
// @ts-expect-error: there is no such option
useVue({ adress: "/" });
"""
OPTIONS = {
    "strict": True,
    "noEmit": True,
    "target": "es2022",
    "module": "nodenext",
    "lib": ["es2022", "dom", "esnext.disposable"],
    "types": [],
    "skipLibCheck": False,
}


@pytest.mark.skipif(not TYPESCRIPT.exists(), reason="the tools of package-lock.json are missing")
def test_a_typed_program_is_checked_strictly(installed: Path) -> None:
    assert complaints(installed, TYPED) == ""


@pytest.mark.skipif(not TYPESCRIPT.exists(), reason="the tools of package-lock.json are missing")
def test_typed_programs_with_hooks_are_checked_strictly(installed: Path) -> None:
    try:
        modules = runtimes.install_locked(frameworks.LOCKED)
    except runtimes.Missing as error:
        pytest.skip(str(error))
    for module in modules.iterdir():
        link = installed / "node_modules" / module.name
        if not link.exists():
            link.symlink_to(module)
    assert complaints(installed, TYPED_HOOKS, skipLibCheck=True) == ""


def complaints(folder: Path, program: str, **options: bool) -> str:
    """Return what TypeScript says about a program."""
    (folder / "program.mts").write_text(program)
    config = {"compilerOptions": OPTIONS | options, "files": ["program.mts"]}
    (folder / "tsconfig.json").write_text(json.dumps(config))
    done = subprocess.run(
        ["node", str(TYPESCRIPT)], cwd=folder, capture_output=True, text=True, timeout=60
    )
    return done.stdout
