"""Static resources served in addition to the page."""

from __future__ import annotations

import re
from pathlib import Path

from fastapi import FastAPI
from starlette.testclient import TestClient

from wireside.assets import assets_folder
from wireside_ui import client_package
from wireside_ui.installing import installing_router
from wireside_ui.static_files import Assets, Packed, version_of
from wireside_ui.theme import Branding


def client(look: Branding | None = None, *, root_path: str = "") -> TestClient:
    app = FastAPI()
    app.mount("/assets", Packed(Assets()))
    look = look or Branding()
    app.include_router(installing_router(look, look.logo or assets_folder() / "logo.svg", "v1"))
    return TestClient(app, root_path=root_path)


def test_what_others_load_is_never_kept_for_ever() -> None:
    browser = client()
    assert "immutable" in browser.get("/assets/css/chat.css?v=1").headers["cache-control"]
    assert browser.get("/assets/client/wireside.js").headers["cache-control"] == "no-cache"
    assert browser.get("/assets/css/none.css").status_code == 404


def test_the_client_is_served_under_the_name_of_a_module_too() -> None:
    browser = client()
    module = browser.get("/assets/client/wireside.mjs")
    assert module.content == browser.get("/assets/client/wireside.js").content
    assert module.headers["content-type"].startswith("text/javascript")
    assert module.headers["cache-control"] == "no-cache"


def test_a_joined_file_that_is_unchanged_is_not_sent_again() -> None:
    browser = client()
    tag = browser.get("/assets/client/wireside.js").headers["etag"]
    again = browser.get("/assets/client/wireside.js", headers={"if-none-match": tag})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["cache-control"] == "no-cache"
    assert again.headers["etag"] == tag
    other = browser.get("/assets/client/wireside.js", headers={"if-none-match": '"another"'})
    assert other.status_code == 200


def test_a_teams_logo_is_served_and_changes_the_version(tmp_path: Path) -> None:
    logo = tmp_path / "logo.png"
    logo.write_bytes(b"png")
    response = client(Branding(logo=logo)).get("/logo")
    assert (response.content, response.headers["content-type"]) == (b"png", "image/png")
    before = version_of(logo)
    logo.write_bytes(b"other")
    assert version_of(logo) != before


def test_the_built_in_logo_has_the_accent() -> None:
    response = client(Branding(accent="#804000")).get("/logo")
    assert response.headers["content-type"].startswith("image/svg+xml")
    assert re.findall('stop-color="(#.{6})"', response.text) == ["#a07040", "#643200"]
    logo = assets_folder() / "logo.svg"
    assert client().get("/logo").content == logo.read_bytes()
    assert version_of(logo, "#804000") != version_of(logo)


def test_text_is_sent_compressed_and_fonts_as_they_are() -> None:
    browser = client()
    takes = {"accept-encoding": "gzip"}
    for path in ("css/chat.css", "css/account.css", "account.js", "client/wireside.js"):
        answer = browser.get(f"/assets/{path}", headers=takes)
        assert answer.headers["content-encoding"] == "gzip", path
        assert "accept-encoding" in answer.headers["vary"].lower()
        plain = browser.get(f"/assets/{path}", headers={"accept-encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert answer.content == plain.content
    font = "fonts/source-sans-3-latin-wght-normal.woff2"
    assert "content-encoding" not in browser.get(f"/assets/{font}", headers=takes).headers


def test_the_client_is_served_as_an_npm_package() -> None:
    browser = client()
    package = browser.get("/assets/client/wireside-client.tgz")
    assert package.content == client_package.tarball()
    assert package.headers["cache-control"] == "no-cache"
    assert "content-encoding" not in package.headers
    tag = package.headers["etag"]
    again = browser.get("/assets/client/wireside-client.tgz", headers={"if-none-match": tag})
    assert (again.status_code, again.content) == (304, b"")


def test_the_types_of_the_client_are_text() -> None:
    types = client().get("/assets/client/wireside.d.mts")
    assert types.headers["content-type"] == "text/plain; charset=utf-8"
    assert "export declare class Wireside" in types.text
