"""The page of the scenario server in a browser: a person plays the client."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.backend.conformance.playing import playing
from wireside.conformance.scenarios.catalogue import selected

pytestmark = pytest.mark.slow


def test_a_cut_answer_is_resumed_by_hand(page: Page) -> None:
    with playing(selected(only=("cut-after-chunk",))) as servers:
        url = servers.urls["cut-after-chunk"].replace("ws", "http", 1).removesuffix("/ws/ai-chat")
        page.goto(url)
        page.get_by_role("button", name="Connect").click()
        expect(page.get_by_role("status")).to_have_text("connected")
        page.get_by_role("button", name="cut-after-chunk").click()
        page.get_by_role("button", name="Send").click()
        log = page.get_by_role("log")
        expect(log).to_contain_text("closed: 1006")
        page.get_by_role("button", name="Connect").click()
        expect(page.get_by_role("status")).to_have_text("connected")
        page.get_by_role("button", name="Fill in resume").click()
        frame = page.get_by_label("Frame", exact=True)
        expect(frame).to_have_value(re.compile('"type":"resume".*"offset":23'))
        page.get_by_role("button", name="Send").click()
        expect(log).to_contain_text('"reason": "stop"')
        page.close()
        results = servers.wait()
    assert results["cut-after-chunk"].transcript
