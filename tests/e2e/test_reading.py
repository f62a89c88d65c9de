"""Reading a conversation without a mouse, on paper, in a small window and in the reader's own
colours: the real page, the fault lab as the model.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect
from pypdf import PdfReader

from wireside.testing import answer

TURNS = 60

NewContext = Callable[..., BrowserContext]


def connected(page: Page) -> None:
    expect(page.get_by_test_id("connection-status")).to_have_attribute("data-state", "connected")


def say(page: Page, text: str) -> None:
    page.get_by_test_id("input-chat").fill(text)
    page.get_by_test_id("button-send").click()


def conversation_file(count: int) -> bytes:
    """Return a file that imports as a conversation of ``count`` turns, each with words of its own."""
    turns = [
        {
            "id": f"t{n}",
            "parent": f"t{n - 1}" if n else None,
            "question": f"Question number{n}?",
            "created_at": "2026-01-01T00:00:00Z",
            "options": {},
            "feedback": None,
            "answer": [
                {
                    "stream": f"s{n}",
                    "model": "lab-1",
                    "created_at": "2026-01-01T00:00:00Z",
                    "entries": [
                        {
                            "type": "text",
                            "text": f"Reply **num**ber{n}: " + "some words follow here. " * 40,
                        }
                    ],
                    "end": {"type": "done", "reason": "stop"},
                }
            ],
        }
        for n in range(count)
    ]
    one = {
        "id": "c",
        "title": "A long talk",
        "title_source": "user",
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
        "pinned": False,
        "archived": False,
        "tags": [],
        "turns": turns,
        "shown_turn": f"t{count - 1}",
    }
    return json.dumps({"format": "wireside", "version": 1, "conversations": [one]}).encode()
