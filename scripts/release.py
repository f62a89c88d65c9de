"""Makes a release in dist/, ready to be uploaded: everything but the upload.

Checks the tree, the version, the changelog, the contract with clients, and the documentation.
Builds the source distribution and, from it, the wheel, twice: both must be equal to the byte.
Checks their metadata and contents as an index does; writes the bill of materials and checksums.
"""

from __future__ import annotations

import argparse
import filecmp
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Callable
from email.parser import BytesParser
from pathlib import Path

from packaging.metadata import Metadata
from packaging.version import InvalidVersion, Version

ROOT = Path(__file__).resolve().parents[1]
LOCAL_TARGET = re.compile(r"\]\((?!https?:|mailto:|#)|src(?:set)?=\"(?!https?:)")


class NotReady(Exception):
    """A release can't be made; the text is a sentence that names the remedy."""


def main() -> int:
    """Run all steps; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / "dist")
    folder = parser.parse_args().folder
    try:
        version = check_version(ROOT)
        check_tree(ROOT, version)
        check_changelog((ROOT / "CHANGELOG.md").read_text("utf-8"), version)
        check_contract(ROOT)
        check_site(ROOT)
        files = build_twice(ROOT, folder)
        for file in files:
            check_distribution(file, version)
        files.append(write_sbom(folder, version))
        write_checksums(folder, files)
    except NotReady as error:
        print(f"No release: {error}", file=sys.stderr)
        return 1
    print(f"Wireside {version} is ready in {folder}:")
    print("\n".join(f"  {file.name}" for file in files))
    print(
        f"Then: git tag v{version}, push it, and upload with twine or another client of your index."
    )
    return 0


# ---- the repository -----------------------------------------------------------------------------


def check_version(root: Path) -> str:
    """Return the version. Raises ``NotReady`` if it is not one of a release."""
    text = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    try:
        version = Version(text)
    except InvalidVersion:
        raise NotReady(f"{text} in pyproject.toml is no version.") from None
    if version.is_devrelease or version.local or str(version) != text:
        raise NotReady(f"{text} in pyproject.toml is not the version of a release.")
    return str(version)


def check_tree(root: Path, version: str) -> None:
    """Raise ``NotReady`` if something is not committed, or the version is tagged already."""
    if changed := git(root, "status", "--porcelain"):
        raise NotReady(f"commit or remove what is changed:\n{changed}")
    if git(root, "tag", "--list", f"v{version}"):
        raise NotReady(f"v{version} is tagged already: raise `version` in pyproject.toml.")


def check_changelog(text: str, version: str) -> None:
    """Raise ``NotReady`` unless the version has a dated heading, and nothing is unreleased."""
    heading = re.search(rf"^## {re.escape(version)} - \d{{4}}-\d\d-\d\d$", text, re.MULTILINE)
    if heading is None:
        raise NotReady(f"CHANGELOG.md needs the heading `## {version} - YYYY-MM-DD`.")
    unreleased = re.search(r"^## Unreleased$(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    if unreleased is not None and unreleased[1].strip():
        raise NotReady(f"move what CHANGELOG.md lists under Unreleased below {version}.")


def check_contract(root: Path) -> None:
    """Raise ``NotReady`` unless the contract is that of the code and of the release."""
    checked = subprocess.run(
        [sys.executable, "scripts/contract.py", "--check"], cwd=root, check=False
    )
    folder = root / "docs" / "contract"
    names = [file.name for file in folder.glob("*.json")]
    same, *_ = filecmp.cmpfiles(folder, folder / "released", names, shallow=False)
    if checked.returncode != 0 or sorted(same) != sorted(names):
        raise NotReady("make the contract that of the release: `make contract ARGS=--release`.")


def check_site(root: Path) -> None:
    """Raise ``NotReady`` without the site, which the wheel contains."""
    if not (root / "build" / "docs" / "site" / "index.html").is_file():
        raise NotReady("build the documentation: `make docs`.")


def git(root: Path, *words: str) -> str:
    """Return the output of a git command."""
    done = subprocess.run(["git", *words], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


# ---- the distributions --------------------------------------------------------------------------


def build_twice(root: Path, folder: Path) -> list[Path]:
    """Build into an empty ``folder``, and again. Raises ``NotReady`` if the files differ."""
    epoch = git(root, "log", "-1", "--format=%ct")
    shutil.rmtree(folder, ignore_errors=True)
    build(root, folder, epoch)
    files = sorted(folder.iterdir())
    with tempfile.TemporaryDirectory() as second:
        build(root, Path(second), epoch)
        names = [file.name for file in files]
        _, differing, missing = filecmp.cmpfiles(folder, second, names, shallow=False)
    if differing or missing:
        raise NotReady(f"two builds differ: {', '.join(differing + missing)}.")
    return files


def build(root: Path, folder: Path, epoch: str) -> None:
    """Build the source distribution, and the wheel from it, with the time of the commit."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(root)]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": epoch}
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise NotReady(f"the build fails.\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def check_distribution(file: Path, version: str) -> None:
    """Check metadata and contents, as strictly as an index. Raises ``NotReady``."""
    names, read = members_of(file)
    is_wheel = file.suffix == ".whl"
    top = f"wireside-{version}.dist-info" if is_wheel else f"wireside-{version}"
    text = read(f"{top}/METADATA" if is_wheel else f"{top}/PKG-INFO")
    try:
        metadata = Metadata.from_email(text, validate=True)
    except ExceptionGroup as errors:
        reasons = "; ".join(str(one) for one in errors.exceptions)
        raise NotReady(f"{file.name}: {reasons}.") from errors
    description = metadata.description or BytesParser().parsebytes(text).get_payload()
    if metadata.description_content_type != "text/markdown" or not description:
        raise NotReady(f"{file.name} has no description in Markdown.")
    if (found := LOCAL_TARGET.search(str(description))) is not None:
        shown = str(description)[max(0, found.start() - 40) : found.end() + 40]
        raise NotReady(f"{file.name}: its description links to a file: {shown!r}.")
    licences = metadata.license_files or []
    kept = f"{top}/licenses/" if is_wheel else f"{top}/"
    if missing := [name for name in licences if kept + name not in names]:
        raise NotReady(f"{file.name} lacks {', '.join(missing)}.")
    needed = ("wireside/_site/index.html", "wireside/py.typed") if is_wheel else ()
    if missing := [name for name in needed if name not in names]:
        raise NotReady(f"{file.name} lacks {', '.join(missing)}.")


def members_of(file: Path) -> tuple[set[str], Callable[[str], bytes]]:
    """Return the names in a distribution, and a function that reads one."""
    if file.suffix == ".whl":
        wheel = zipfile.ZipFile(file)
        return set(wheel.namelist()), wheel.read
    archive = tarfile.open(file)  # noqa: SIM115 (read until the end of the program)

    def read(name: str) -> bytes:
        member = archive.extractfile(name)
        assert member is not None
        return member.read()

    return set(archive.getnames()), read


def write_sbom(folder: Path, version: str) -> Path:
    """Write the software bill of materials."""
    target = folder / f"wireside-{version}.cdx.json"
    command = [sys.executable, str(ROOT / "scripts" / "sbom.py"), str(target)]
    if subprocess.run(command, check=False, capture_output=True).returncode != 0:
        raise NotReady("`make sbom` fails.")
    return target


def write_checksums(folder: Path, files: list[Path]) -> None:
    """Write SHA256SUMS, which `sha256sum --check` reads."""
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}" for file in files]
    (folder / "SHA256SUMS").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
