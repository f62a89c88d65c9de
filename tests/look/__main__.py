"""``python -m tests.look``: draws the states of the pages and compares them with references.

Each state is drawn wide and narrow, in light and in dark colours. Pictures depend on the browser
and its fonts, so on other ones than those of the references nothing is compared.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal

from PIL import Image
from playwright.sync_api import Browser, Error, Page, expect, sync_playwright

from tests.e2e import chromium
from tests.e2e.conftest import Lab
from tests.e2e.test_axe import PASSWORD, connected
from tests.look.comparing import compare, save_reference
from tests.look.states import ALL, State
from tests.server_process import ROOT, ServerProcess

REFERENCES = Path(__file__).parent / "references"
FINGERPRINT = REFERENCES / "fingerprint.json"
OUTPUT = ROOT / "build" / "look"

WIDTHS = {"wide": (1440, 900), "narrow": (375, 812)}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")

OTHER_MACHINE = 3
"""Exit code where the references were drawn by another browser or with other fonts."""

SAMPLE = """
<body style="margin: 8px; font-size: 20px">
<p style="font-family: sans-serif">Ag 019 &mdash; sans</p><p style="font-family: serif">Ag serif</p>
<p style="font-family: monospace">Ag mono</p><p style="font-family: system-ui">Ag system</p>
<p>مرحبا 日本語 한국어 हिन्दी ⚙ 🙂</p>
"""
"""What shows the fonts of a machine."""

STEADY = """
() => {
  const rules = [
    [/127\\.0\\.0\\.1:\\d+/g, "127.0.0.1:PORT"],
    [/\\d{4}-\\d\\d-\\d\\d([T ]\\d\\d:\\d\\d(:\\d\\d)?(\\.\\d+)?Z?)?/g, "2026-01-01"],
    [/\\d{1,2} (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]* \\d{4}/g, "1 Jan 2026"],
    [/\\d{1,2}:\\d\\d(:\\d\\d)?( [AP]M)?/g, "12:00"],
    [/\\d+([.,]\\d+)?( ?)(ms|µs|MB|GB|KB|%|s)(?![a-z])/g, "1$2$3"],
    [/(Python|Chrome|HeadlessChrome)[ /][\\d.]+/g, "$1"],
  ];
  for (const el of document.querySelectorAll("time, .ws-turn-time")) el.textContent = "12:00";
  for (const el of document.querySelectorAll(".ws-turn-note-about")) el.textContent = "lab-1 · id";
  for (const el of document.querySelectorAll("input[type=date]")) el.value = "2026-01-01";
  for (const el of document.querySelectorAll("main td"))
    if (/^[\\d,]+$/.test(el.textContent)) el.textContent = "1";
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    if (node.parentElement?.closest("script, style, .ws-prose, textarea")) continue;
    let text = node.data;
    if (document.querySelector("[class^=ws-dashboard]")) text = text.replace(/\\d[\\d.,]*|–/g, "1");
    text = text.replace(/\\d+ of (\\d+)/g, "1 of $1");
    for (const [pattern, steady] of rules) text = text.replace(pattern, steady);
    if (text !== node.data) node.data = text;
  }
}
"""
"""Replaces times, durations, dates and ports by constant ones."""

HIDE = """
.ws-dashboard-card > *, .ws-dashboard-tile > *, .ws-dashboard-sums, .ws-dashboard-tables *,
[data-testid="metric-latency"]
{ visibility: hidden !important; }
"""
"""Hides what the server has measured."""


def main() -> int:
    """Draw the chosen states; return the exit code."""
    arguments = _arguments()
    chosen = [one for one in ALL if not arguments.only or one.name in arguments.only]
    path = chromium.find()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=chromium.FLAGS)
        try:
            here = _fingerprint(browser)
            known = json.loads(FINGERPRINT.read_text()) if FINGERPRINT.exists() else None
            if not arguments.accept and here != known:
                print(_other_machine(known, here))
                return OTHER_MACHINE
            if arguments.accept and arguments.only and here != known:
                print("The references are of another machine: accept all of them, without --only.")
                return OTHER_MACHINE
            failed = _compare(browser, chosen, is_accepting=arguments.accept)
            if arguments.accept:
                FINGERPRINT.write_text(json.dumps(here, indent=2) + "\n")
        finally:
            browser.close()
    return int(failed > 0)


def _compare(browser: Browser, chosen: Sequence[State], *, is_accepting: bool) -> int:
    """Draw the states; compare the pictures or accept them. Return the number of failures."""
    OUTPUT.mkdir(parents=True, exist_ok=True)
    REFERENCES.mkdir(exist_ok=True)
    passed = failed = 0
    for name, picture in _pictures(browser, chosen):
        if isinstance(picture, str):
            failed += 1
            print(f"FAILED: {name} was not drawn: {picture}")
            continue
        file = REFERENCES / f"{name}.png"
        reference = _loaded(file) if file.exists() else None
        found = compare(reference, picture) if reference is not None else None
        if found is not None and found.is_same:
            passed += 1
            (OUTPUT / f"{name}.png").unlink(missing_ok=True)
        elif is_accepting:
            passed += 1
            print(f"accepted: {name}")
            save_reference(picture, file)
        else:
            failed += 1
            picture.save(OUTPUT / f"{name}.new.png")
            if found is not None:
                found.picture.save(OUTPUT / f"{name}.png")
            count = f"{found.different:,} pixels differ" if found else "it has no reference"
            print(f"FAILED: {name}: {count}; see {OUTPUT.relative_to(ROOT)}/")
    print(f"{passed} passed, {failed} failed")
    return failed


def _loaded(file: Path) -> Image.Image:
    with Image.open(file) as image:
        return image.copy()


def _pictures(browser: Browser, chosen: Sequence[State]) -> Iterator[tuple[str, Image.Image | str]]:
    """Yield the name of each picture with it, or that of a state with why it was not drawn."""
    expect.set_options(timeout=30_000)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wireside-look-")))
        lab = stack.enter_context(Lab())
        open_server = stack.enter_context(ServerProcess(folder / "open", lab.url))
        guarded, cookies = None, None
        if any(state.is_guarded for state in chosen):
            guarded = stack.enter_context(
                ServerProcess(folder / "guarded", lab.url, auth="password", sharing="users")
            )
            cookies = _administrator(browser, guarded.administrator_link())
        for state in chosen:
            server = guarded if state.is_guarded and guarded else open_server
            kept = cookies if state.is_guarded and not state.is_anonymous else None
            lab.begin_test()
            try:
                yield from _drawn(browser, state, server.url, lab, kept)
            except (AssertionError, Error) as error:
                yield state.name, str(error)[:300]
            finally:
                lab.forget()


def _drawn(
    browser: Browser, state: State, base: str, lab: Lab, cookies: Any
) -> Iterator[tuple[str, Image.Image]]:
    with _page(browser, state, cookies) as page:
        if not state.is_guarded:
            _forget_all(page, base)
        page.goto(base + state.path)
        if state.path == "/":
            connected(page)
        state.draw(page, lab)
        for size, (width, height) in WIDTHS.items():
            page.set_viewport_size({"width": width, "height": height})
            if size == "narrow" and state.has_drawer:
                page.get_by_test_id("sidebar-toggle").click()
            for scheme in SCHEMES:
                page.emulate_media(
                    color_scheme=scheme, reduced_motion="reduce", **dict(state.media)
                )
                page.wait_for_timeout(250)
                page.evaluate(STEADY)
                data = page.screenshot(animations="disabled", caret="hide", style=HIDE)
                yield f"{state.name}.{size}.{scheme}", Image.open(io.BytesIO(data))


@contextmanager
def _page(browser: Browser, state: State, cookies: Any) -> Iterator[Page]:
    width, height = WIDTHS["wide"]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        locale=state.language,
        timezone_id="UTC",
        reduced_motion="reduce",
        storage_state=cookies,
    )
    context.set_default_timeout(30_000)
    try:
        page = context.new_page()
        page.clock.set_fixed_time(time.time())  # it stands still
        yield page
    finally:
        context.close()


def _forget_all(page: Page, base: str) -> None:
    """Delete what earlier states have left on the server."""
    for kind, key in (("conversations", "conversations"), ("folders", "folders")):
        found = page.request.get(f"{base}/api/{kind}").json()[key]
        for one in found:
            page.request.delete(f"{base}/api/{kind}/{one['id']}")


def _administrator(browser: Browser, link: str) -> Any:
    context = browser.new_context(locale="en-GB")
    try:
        page = context.new_page()
        page.goto(link)
        page.get_by_label("Name").fill("Ada")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button").click()
        connected(page)
        return context.storage_state()
    finally:
        context.close()


def _fingerprint(browser: Browser) -> dict[str, str]:
    """Return the browser's version and a hash of text in the machine's fonts."""
    page = browser.new_page(viewport={"width": 400, "height": 300})
    try:
        page.set_content(SAMPLE)
        fonts = hashlib.sha256(page.screenshot()).hexdigest()[:16]
    finally:
        page.close()
    return {"browser": f"Chromium {browser.version}", "fonts": fonts}


def _other_machine(known: dict[str, str] | None, here: dict[str, str]) -> str:
    if known is None:
        return 'There are no references yet: make look ARGS="--accept" draws them.'
    browser = f"{known['browser']} (here: {here['browser']})"
    fonts = "the same fonts" if known["fonts"] == here["fonts"] else "other fonts"
    return (
        f"Nothing was compared: the references were drawn by {browser}, with {fonts} than here."
        if fonts == "other fonts"
        else f"Nothing was compared: the references were drawn by {browser}, with {fonts}."
    ) + '\nmake look ARGS="--accept" before a change draws references of this machine.'


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make look ARGS=…", description=__doc__)
    parser.add_argument("--accept", action="store_true", help="make the pictures the references")
    parser.add_argument("--only", type=_names, metavar="A,B", help="only these states")
    return parser.parse_args()


def _names(text: str) -> list[str]:
    names = re.split(r",\s*", text.strip())
    if unknown := set(names) - {state.name for state in ALL}:
        raise argparse.ArgumentTypeError(f"no state: {', '.join(sorted(unknown))}")
    return names


if __name__ == "__main__":
    sys.exit(main())
