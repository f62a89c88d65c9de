"""Feedback for administrators: ratings of all, and texts only where their user allows it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from html import unescape
from pathlib import Path

import httpx2
import pytest

from tests.backend.files.test_recordings import serving
from wireside.chat.service import ChatService
from wireside.errors import Forbidden
from wireside.identity import LOCAL, Caller
from wireside.messages import Options
from wireside.records import Feedback, FeedbackCount, FeedbackQuery
from wireside.testing import FakeOpenAI, answer

HOSTILE = "=<script>alert(1)</script>\u202e{{x}}${x}"
EVER = FeedbackQuery(since=0, until=1e12)
PAGE = "/admin/feedback"


async def rated(chat: ChatService, question: str, feedback: Feedback | None) -> tuple[str, str]:
    """Ask in a new conversation and rate the answer; return the ids of both."""
    stream, _ = await chat.answer_in("new", question, key=None, options=Options())
    await stream.wait_ended()
    conversation, turn = await chat.turn_of_stream(stream.name)
    await chat.give_feedback(conversation, turn.id, feedback)
    return conversation.id, turn.id


async def shown(http: httpx2.AsyncClient, **params: str) -> str:
    response = await http.get(PAGE, params=params)
    assert response.status_code == 200
    return response.text


async def test_ratings_are_counted_and_texts_are_shown_with_consent(tmp_path: Path) -> None:
    async with (
        FakeOpenAI(models=["a"]) as lab,
        serving(lab, tmp_path) as (http, parts),
        asyncio.timeout(60),
    ):
        administration = parts.administration
        ada: Caller = replace(LOCAL, user_id="ada", name="ada", role="user")
        chat = parts.chat.for_caller(ada)
        lab.answer_with(*(answer([f"answer {HOSTILE}"]) for _ in range(4)))
        await rated(chat, "secret one", Feedback("down", "secret words"))
        name, turn_id = await rated(chat, f"two {HOSTILE}", Feedback("up", HOSTILE, is_shown=True))
        gone, _ = await rated(chat, "secret three", Feedback("up", is_shown=True))
        await chat.library.delete([gone])
        await rated(chat, "secret four", None)

        assert await administration.count_feedback(LOCAL, EVER) == [
            FeedbackCount(model="a", up=1, down=1)
        ]
        with pytest.raises(Forbidden):
            await administration.count_feedback(ada, EVER)
        with pytest.raises(Forbidden):
            await administration.read_feedback(ada, EVER, limit=1)

        body = (await http.get("/api/feedback")).json()
        assert body["models"] == [{"model": "a", "up": 1, "down": 1}]
        first, second = body["ratings"]
        assert (first["rating"], first["is_shown"], first["question"]) == (
            "up",
            True,
            f"two {HOSTILE}",
        )
        assert (first["answer"], first["comment"]) == (f"answer {HOSTILE}", HOSTILE)
        assert {second[one] for one in ("question", "answer", "comment")} == {""}
        for query, ratings in (
            ("rating=up", ["up"]),
            ("model=a&limit=1&offset=1", ["down"]),
            ("model=b", []),
            ("from=2020-01-01&to=2020-01-02", []),
        ):
            found = (await http.get(f"/api/feedback?{query}")).json()["ratings"]
            assert [one["rating"] for one in found] == ratings, query
        for wrong in ("rating=x", "limit=0", "from=0", "offset=-1"):
            assert (await http.get(f"/api/feedback?{wrong}")).status_code == 422

        csv = (await http.get("/api/feedback.csv?rating=up")).text
        assert csv.startswith("\ufeffat,rating,model,is_shown,question,answer,comment\r\n")
        assert f",'{HOSTILE}" in csv

        page = await shown(http)
        assert "<script>alert" not in page
        assert "\u202e" not in page
        assert "secret" not in page
        assert "answer =<script>" in unescape(page)
        assert "text not shared" in page
        assert "text not shared" not in await shown(http, rating="up")
        assert "no ratings in this period" in await shown(http, model="b")
        assert "is no day" in unescape((await http.get(PAGE, params={"from": "x"})).text)

        conversation = await chat.library.open_conversation(name)
        assert conversation is not None
        await chat.give_feedback(conversation, turn_id, Feedback("up", HOSTILE))
        assert "answer =<script>" not in unescape(await shown(http))
