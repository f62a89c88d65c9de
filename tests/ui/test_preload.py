"""Preloading of the pages' script modules."""

from __future__ import annotations

import re

import pytest
from nicegui import app
from starlette.testclient import TestClient

from wireside_ui.components.composer import Composer
from wireside_ui.components.dashboard import Dashboard
from wireside_ui.components.sidebar import Sidebar
from wireside_ui.components.transcript import Transcript
from wireside_ui.preload import PAGES, preload_html
from wireside_ui.styles import COMPONENTS

REGISTERED = (Composer, Dashboard, Sidebar, Transcript)


@pytest.mark.parametrize("page", PAGES)
def test_every_module_of_a_page_is_preloaded(page: str) -> None:
    addresses = re.findall(r'href="/sub([^"]+)"', preload_html(page, base="/sub"))
    browser = TestClient(app)
    texts = {browser.get(address).text for address in addresses}
    folders = {name.removeprefix("wireside-") for name in PAGES[page]}
    files = [file for name in folders for file in (COMPONENTS / name / "modules").rglob("*.js")]
    assert texts == {file.read_text("utf-8") for file in files}
    assert len(addresses) == len(files)
