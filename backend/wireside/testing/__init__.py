"""The fault lab: a fake OpenAI-compatible server for tests, with real HTTP on loopback.

::

    from wireside.testing import FakeOpenAI, answer, failure

    async def test_my_bot_survives_a_cut() -> None:
        async with FakeOpenAI() as lab:  # or ``with``, in tests without an event loop
            lab.answer_with(failure(429, retry_after=1), answer(300, rate=50).cut(150))
            bot = MyBot(base_url=lab.url)  # or start a server with OPENAI_BASE_URL set to it
            reply = await bot.ask("Hello")
            assert FakeOpenAI.text(300).startswith(reply.text)
            assert lab.requests[-1].question == "Hello"
            await lab.wait_closed()  # no upstream stream is left open

``python -m wireside.testing`` runs it for interactive use; the message ``/lab`` lists its commands.
"""

from wireside.testing.scripts import (
    Cut,
    Repeat,
    Script,
    Wait,
    answer,
    completion,
    endless,
    error_event,
    event,
    failure,
    json_page,
    page,
    text_event,
    tokens,
)
from wireside.testing.server import FakeOpenAI, Request

__all__ = [
    "Cut",
    "FakeOpenAI",
    "Repeat",
    "Request",
    "Script",
    "Wait",
    "answer",
    "completion",
    "endless",
    "error_event",
    "event",
    "failure",
    "json_page",
    "page",
    "text_event",
    "tokens",
]
