"""Replays a Containerfile without a container engine: its steps run in bare root file systems.

Steps in shell form, ``COPY``, ``ENV``, ``WORKDIR``, ``USER`` and stages mean what they do to
``podman build``; an image of another registry is replaced by Debian with its Python. It needs root
and ``mmdebstrap``.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

DEBIAN = "python3,python3-venv,python-is-python3,usr-is-merged"
"""What makes Debian's smallest system the counterpart of a `slim` image of Python."""

LEFT_OUT = ("doc", "groff", "info", "lintian", "locale", "man")
"""Folders of /usr/share that a `slim` image lacks."""

IGNORED = ("__pycache__", "node_modules")
"""Names below the context that a build is not sent (.dockerignore)."""

PIP_CACHE = "/var/cache/pip"
"""Where a step finds the downloads of earlier replays."""

LENT = ("/etc/resolv.conf", "/etc/ssl/certs")
"""Files of this machine that each step finds at the same place: its network."""


@dataclass(frozen=True)
class Instruction:
    """One instruction: its name in capitals, and the rest of its lines joined."""

    name: str
    text: str

    @property
    def words(self) -> list[str]:
        """The words of the exec form, or those of a shell."""
        if self.text.startswith("["):
            words: list[str] = json.loads(self.text)
            return words
        return shlex.split(self.text)


@dataclass
class Stage:
    """A stage of the build: its name, the image or stage that it begins with, and its steps."""

    name: str
    base: str
    steps: list[Instruction] = field(default_factory=list)


@dataclass(frozen=True)
class Image:
    """The root file system of a stage, and how its program is started."""

    root: Path
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": PATH})
    workdir: str = "/"
    user: str = "0:0"
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    health: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()


def parse(text: str) -> list[Stage]:
    """Return the stages of a Containerfile; arguments before the first one are filled in."""
    arguments: dict[str, str] = {}
    stages: list[Stage] = []
    for one in _instructions(text):
        if one.name == "ARG" and not stages:
            name, _, value = one.text.partition("=")
            arguments[name] = value
        elif one.name == "FROM":
            base, *named = one.words
            filled = re.sub(r"\$\{(\w+)\}", lambda found: arguments[found[1]], base)
            stages.append(Stage(named[1] if named else str(len(stages)), filled))
        else:
            stages[-1].steps.append(one)
    return stages


def _instructions(text: str) -> list[Instruction]:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    split = (line.split(None, 1) for line in joined.splitlines() if line.strip())
    return [Instruction(name.upper(), rest) for name, rest in split]


class Replay:
    """Builds the stages of a Containerfile below ``folder``.

    Args:
        text: the Containerfile.
        context: the folder that ``COPY`` copies from.
        folder: where the root file systems are made.
        system: Debian's system with Python as a tar archive (``make_system``).
        pip_cache: folder of downloads that outlives the replay.
    """

    def __init__(
        self, text: str, *, context: Path, folder: Path, system: Path, pip_cache: Path
    ) -> None:
        self._stages = {stage.name: stage for stage in parse(text)}
        self._context = context
        self._folder = folder
        self._system = system
        self._pip_cache = pip_cache
        self._built: dict[str, Image] = {}

    def build(self, name: str) -> Image:
        """Build a stage and those that it needs."""
        if name in self._built:
            return self._built[name]
        stage = self._stages[name]
        root = self._folder / name
        if stage.base in self._stages:
            before = self.build(stage.base)
            subprocess.run(["cp", "-a", before.root, root], check=True)
            image = replace(before, root=root)
        else:
            root.mkdir(parents=True)
            subprocess.run(["tar", "-xf", self._system, "-C", root], check=True)
            image = Image(root)
        for step in stage.steps:
            image = self._apply(image, step)
        self._built[name] = image
        return image

    def _apply(self, image: Image, step: Instruction) -> Image:
        match step.name:
            case "RUN":
                self.run(image, step.words, is_step=True)
            case "COPY":
                self._copy(image, step.words)
            case "ENV":
                pairs = dict(word.split("=", 1) for word in step.words)
                return replace(image, environment={**image.environment, **pairs})
            case "WORKDIR":
                _below(image.root, step.text).mkdir(parents=True, exist_ok=True)
                return replace(image, workdir=step.text)
            case "USER":
                return replace(image, user=step.text)
            case "ENTRYPOINT":
                return replace(image, entrypoint=tuple(step.words))
            case "CMD":
                return replace(image, command=tuple(step.words))
            case "VOLUME":
                return replace(image, volumes=(*image.volumes, step.text))
            case "HEALTHCHECK":
                return replace(image, health=tuple(json.loads(step.text.partition("CMD ")[2])))
            case "LABEL" | "EXPOSE" | "STOPSIGNAL":
                pass
            case _:
                raise ValueError(f"{step.name} is not replayed")
        return image

    def _copy(self, image: Image, words: list[str]) -> None:
        source = self._context
        ignored: tuple[str, ...] = IGNORED
        if words[0].startswith("--from="):
            source, ignored = self.build(words[0].removeprefix("--from=")).root, ()
            words = words[1:]
        *names, target = words
        place = _below(image.root, f"{image.workdir.rstrip('/')}/{target}")
        if target.startswith("/"):
            place = _below(image.root, target)
        for name in names:
            self._copy_one(_below(source, name), place, into=target.endswith("/"), ignored=ignored)

    @staticmethod
    def _copy_one(source: Path, place: Path, *, into: bool, ignored: tuple[str, ...]) -> None:
        if source.is_dir():
            ignore = shutil.ignore_patterns(*ignored)
            shutil.copytree(source, place, symlinks=True, dirs_exist_ok=True, ignore=ignore)
            return
        goal = place / source.name if into else place
        goal.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, goal)

    def run(
        self, image: Image, words: list[str], *, is_step: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in an image until it ends, as its user.

        ``is_step``: a step of the build, which has the network and the downloads of this machine.
        """
        lent = {path: path for path in LENT}
        environment = dict(image.environment)
        if is_step:
            lent[str(self._pip_cache)] = PIP_CACHE
            environment |= {**_pip_settings(), "PIP_CACHE_DIR": PIP_CACHE}
        return subprocess.run(
            in_root(image, words, lent=lent, environment=environment),
            check=True,
            capture_output=not is_step,
            text=True,
        )


def in_root(
    image: Image,
    words: list[str] | tuple[str, ...],
    *,
    lent: dict[str, str] | None = None,
    environment: dict[str, str] | None = None,
    is_read_only: bool = False,
) -> list[str]:
    """Return the command that runs ``words`` in an image, in mounts of its own.

    Args:
        image: root file system, folder, user.
        words: the command.
        lent: paths of this machine, and where the image has them.
        environment: the variables; without them, those of the image.
        is_read_only: mount the root file system read-only, with an empty /tmp and empty volumes.
    """
    root = shlex.quote(str(image.root))
    user, group = image.user.split(":")
    lines = [
        "set -e",
        f"mount --bind {root} {root}",
        f"mount -t proc proc {root}/proc",
        f"mount --rbind /dev {root}/dev",
    ]
    for source, place in (lent or {}).items():
        inside = shlex.quote(str(_below(image.root, place)))
        make = "mkdir -p" if Path(source).is_dir() else "touch"
        lines += [f"{make} {inside}", f"mount --bind {shlex.quote(source)} {inside}"]
    if is_read_only:
        for volume in image.volumes:
            place = shlex.quote(str(_below(image.root, volume)))
            owned = f"uid={user},gid={group},mode=0700"
            lines.append(f"mount -t tmpfs -o {owned} tmpfs {place}")
        lines.append(f"mount -t tmpfs -o mode=1777 tmpfs {root}/tmp")
        lines.append(f"mount -o remount,ro,bind {root}")
    variables = [f"{name}={value}" for name, value in (environment or image.environment).items()]
    start = [
        *("chroot", f"--userspec={image.user}", str(image.root)),
        *("/usr/bin/env", "-i", f"--chdir={image.workdir}", *variables, *words),
    ]
    lines.append(f"exec {shlex.join(start)}")
    return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", "\n".join(lines)]


def make_system(archive: Path) -> None:
    """Write Debian's smallest system with Python to a tar archive, unless it is there."""
    if archive.exists():
        return
    archive.parent.mkdir(parents=True, exist_ok=True)
    part = archive.with_suffix(".part.tar")
    about = Path("/etc/os-release").read_text(encoding="utf-8")
    release = re.search(r"^VERSION_CODENAME=(\w+)", about, re.MULTILINE)
    assert release is not None
    command = [
        *("mmdebstrap", "--quiet", "--variant=minbase", f"--include={DEBIAN}"),
        *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in LEFT_OUT),
        *(release[1], str(part)),
    ]
    subprocess.run(command, check=True)
    part.replace(archive)


def compressed_bytes(folder: Path) -> int:
    """Return the size of a root file system as a compressed layer."""
    pack = ["tar", "-C", str(folder), "--one-file-system", "-cf", "-", "."]
    with subprocess.Popen(pack, stdout=subprocess.PIPE) as tar:
        packed = subprocess.run(["gzip", "-6"], stdin=tar.stdout, capture_output=True, check=True)
    return len(packed.stdout)


def _below(root: Path, path: str) -> Path:
    return root / path.lstrip("/")


def _pip_settings() -> dict[str, str]:
    """Return this machine's settings of pip, such as its index, as variables."""
    found = subprocess.run(["pip", "config", "list"], capture_output=True, text=True, check=True)
    settings = {}
    for line in found.stdout.splitlines():
        name, _, value = line.partition("=")
        key = name.rpartition(".")[2].upper().replace("-", "_")
        settings[f"PIP_{key}"] = value.strip("'")
    return {name: value for name, value in settings.items() if name != "PIP_CONSTRAINT"}
