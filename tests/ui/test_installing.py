"""The manifest, the icons and the service worker."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from urllib.parse import urljoin

import pytest
from starlette.testclient import TestClient

from tests.ui.test_mount import client
from wireside_ui.i18n.catalogue import LANGUAGES
from wireside_ui.theme import Branding

MANIFEST = "/manifest.webmanifest"
WORKER = "/service-worker.js"


def script_of(browser: TestClient) -> dict[str, object]:
    """Return what the service worker is made with."""
    text = browser.get(WORKER).text
    given: dict[str, object] = json.loads(text[text.rindex(')({"page"') + 2 : -3])
    return given


def test_the_icons_are_there_in_their_size() -> None:
    browser = client()
    icons = browser.get(MANIFEST).json()["icons"]
    assert {icon["purpose"] for icon in icons} == {"any", "maskable"}
    for icon in icons:
        response = browser.get(urljoin(MANIFEST, icon["src"]))
        assert (response.status_code, response.headers["content-type"]) == (200, icon["type"])
        if icon["type"] == "image/png":
            image = response.content
            width, height = (int.from_bytes(image[at : at + 4], "big") for at in (16, 20))
            assert icon["sizes"] == f"{width}x{height}"


def test_the_manifest_has_the_teams_look(tmp_path: Path) -> None:
    logo = tmp_path / "logo.png"
    logo.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\1\0\0\0\1\0rest")
    look = Branding(
        name='Ada "&" <b>',
        tagline="Ask us",
        logo=logo,
        css_variables={"--ws-bg": ("#fafaff", "#101020")},
    )
    browser = client(look)
    manifest = browser.get(MANIFEST).json()
    assert (manifest["name"], manifest["description"]) == ('Ada "&" <b>', "Ask us")
    assert manifest["background_color"] == manifest["theme_color"] == "#fafaff"
    plain, masked = manifest["icons"]
    assert (plain["src"], plain["sizes"], plain["type"]) == ("logo?v=v1", "256x256", "image/png")
    assert (masked["src"], masked["purpose"]) == ("icon.svg?v=v1", "maskable")
    icon = browser.get("/icon.svg")
    assert base64.b64encode(logo.read_bytes()) in icon.content
    assert b'fill="#fafaff"' in icon.content
    assert "img-src data:" in icon.headers["content-security-policy"]


def test_a_background_that_is_no_plain_colour_is_not_the_manifests() -> None:
    look = Branding(css_variables={"--ws-bg": "var(--ours)"})
    assert client(look).get(MANIFEST).json()["background_color"] == "#fbfaf8"


@pytest.mark.parametrize("base", ["", "/tools/chat"])
def test_its_addresses_are_below_the_mount(base: str) -> None:
    manifest = client(root_path=base).get(f"{base}{MANIFEST}").json()
    addresses = [manifest["start_url"], manifest["scope"], manifest["share_target"]["action"]]
    assert {urljoin(f"{base}{MANIFEST}", address) for address in addresses} == {f"{base}/"}
    for address in (one["src"] for one in manifest["icons"]):
        assert urljoin(f"{base}{MANIFEST}", address).startswith(f"{base}/")
    page = str(script_of(client(root_path=base))["page"])
    assert f'src="{base}/logo?v=v1"' in page
    assert f"{base}/assets/fonts/" in page


def test_the_manifest_is_in_the_browsers_language() -> None:
    browser = client()
    manifest = browser.get(MANIFEST, headers={"accept-language": "ar"}).json()
    assert (manifest["lang"], manifest["dir"]) == ("ar", "rtl")
    german = browser.get(MANIFEST, headers={"cookie": "wireside_language=de"}).json()
    assert german["shortcuts"][0]["name"] == LANGUAGES["de"].WORDS["new_chat"]


def test_another_version_is_another_worker() -> None:
    browser = client()
    first = browser.get(WORKER)
    assert first.headers["content-type"].startswith("text/javascript")
    assert first.headers["cache-control"] == "no-cache"
    assert first.headers["content-security-policy"] == "default-src 'none'; connect-src 'self'"
    again = browser.get(WORKER, headers={"if-none-match": first.headers["etag"]})
    assert again.status_code == 304
    other = client(Branding(name="Other")).get(WORKER)
    assert other.headers["etag"] != first.headers["etag"]


def test_the_worker_stores_nothing() -> None:
    script = client().get(WORKER).text
    assert not re.search(r"\bcaches\b|indexedDB|localStorage\.setItem|navigationPreload", script)


def test_the_offline_page_runs_its_own_script_and_styles_only() -> None:
    given = script_of(client(Branding(name="</script><b>", accent="#aa3300")))
    page, headers = str(given["page"]), given["headers"]
    assert isinstance(headers, dict)
    policy = headers["Content-Security-Policy"]
    for tag in ("style", "script"):
        (inner,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inner.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    assert "--ws-accent:#aa3300" in page
    assert "<b>" not in page


def test_the_offline_page_speaks_all_languages() -> None:
    page = str(script_of(client(Branding(name="Ours")))["page"])
    (data,) = re.findall(r'id="words">(.*?)</script>', page, re.DOTALL)
    words = json.loads(data)["words"]
    assert words.keys() == LANGUAGES.keys()
    assert all("Ours" in one["line"] for one in words.values())
