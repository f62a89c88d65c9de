"""The client of Durable Streams against the door."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx2

from tests.server_process import ServerProcess
from wireside.testing import FakeOpenAI

Run = Callable[..., Any]


def text_in(values: list[dict[str, Any]]) -> str:
    return "".join(value["text"] for value in values if value["type"] == "text")


def test_the_client_reads_and_resumes(node: Run, server: ServerProcess, model: FakeOpenAI) -> None:
    seen = node("durable_streams.mjs", url=server.url, chat="streams")
    whole = model.text(120, 11)
    for live in ("sse", "long-poll"):
        read = seen[live]
        assert 100 < len(read["first"]) < len(whole)
        assert read["first"] + read["rest"] == whole == read["whole"]
        assert text_in(read["values"]) == whole
        assert read["values"][-1]["reason"] == "stop"
    kinds = [value["type"] for value in seen["parts"]]
    assert kinds == ["text", "tool", "text", "reasoning", "text", "end"]
    assert seen["text"] == text_in(seen["parts"])
    check_protocol(seen["address"])


def check_protocol(address: str) -> None:
    """Check a read of a closed stream: offsets, caching, headers, refusals."""
    with httpx2.Client() as client:
        whole = client.get(address)
        tail = whole.headers["Stream-Next-Offset"]
        assert whole.headers["Stream-Up-To-Date"] == whole.headers["Stream-Closed"] == "true"
        assert whole.headers["X-Content-Type-Options"] == "nosniff"
        same = client.get(address, headers={"If-None-Match": whole.headers["ETag"]})
        assert (same.status_code, same.text) == (304, "")
        head = client.head(address)
        assert (head.headers["Stream-Next-Offset"], head.text) == (tail, "")
        assert head.headers["Cache-Control"] == "no-store"
        now = client.get(f"{address}?offset=now")
        assert (now.text, now.headers["Stream-Next-Offset"]) == ("", tail)
        end = client.get(f"{address}?offset={tail}&live=long-poll")
        assert (end.status_code, end.headers["Stream-Closed"]) == (204, "true")
        first = client.get(f"{address}?offset=-1&live=long-poll")
        assert first.headers["Stream-Cursor"].isdigit()
        cursor = int(first.headers["Stream-Cursor"])
        later = client.get(f"{address}?offset=-1&live=long-poll&cursor={cursor}")
        assert int(later.headers["Stream-Cursor"]) > cursor
        events = client.get(f"{address}?offset={tail}&live=sse")
        assert events.headers["Content-Type"] == "text/event-stream"
        assert json.loads(events.text.split("data:")[1]) == {
            "streamNextOffset": tail,
            "streamClosed": True,
            "upToDate": True,
        }
        for query in (
            "offset=",
            "offset=0,1",
            "offset=0 1",
            "offset=1&offset=2",
            "offset=99999999",
            "offset=-2",
            "live=sse",
            "live=long-poll",
            "live=what&offset=-1",
            "format=xml",
        ):
            refused = client.get(f"{address}?{query}")
            assert (query, refused.status_code) == (query, 400)
            assert refused.json()["message"]
        assert client.get(f"{address}x").status_code == 404
        assert client.post(address).status_code == 405
        for offset in range(0, int(tail), 7):
            rest = client.get(f"{address}?offset={offset:016d}")
            assert whole.text.endswith(rest.text)
