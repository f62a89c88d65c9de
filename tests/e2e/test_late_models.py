"""A model service whose list is late, and has a model that can't chat."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.server_process import ServerProcess
from wireside.testing import FakeOpenAI

pytestmark = pytest.mark.timeout(120)

EMBEDDING = "text-embedding-3-small"


def test_a_link_chooses_its_model_when_the_list_arrives(page: Page, tmp_path: Path) -> None:
    with FakeOpenAI(models=("lab-1", "lab-2", EMBEDDING)) as lab:
        lab.models_answer = lab.models_answer.slow_head(3)
        with ServerProcess(tmp_path, lab.url) as server:
            page.goto(f"{server.url}/?model=lab-2")
            expect(page.get_by_test_id("model-picker")).to_contain_text("lab-2")
            page.keyboard.press("ControlOrMeta+k")
            box = page.get_by_role("combobox", name="Command palette")
            box.fill("lab-")
            expect(page.get_by_role("group", name="Models").get_by_role("option")).to_have_count(2)
            box.fill(EMBEDDING)
            expect(page.get_by_text("Nothing found for", exact=False)).to_be_visible()
