"""The JavaScript client in a browser, over a wire that breaks."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from wireside.testing import FakeOpenAI, answer, failure

START = """async (port) => {
  const { Wireside } = await import("/assets/client/wireside.js");
  window.states = [];
  const url = `ws://127.0.0.1:${port}/ws/ai-chat`;
  window.chat = new Wireside(url, { onState: (state) => states.push(state) });
}"""


def begin(page: Page, served, proxy) -> None:
    page.goto(f"http://127.0.0.1:{proxy.port}/")
    expect(page.get_by_test_id("connection-status")).to_have_text("Connected")
    page.evaluate(START, proxy.port)


def test_an_answer_comes_piece_by_piece(page: Page, served, proxy, lab) -> None:
    begin(page, served, proxy)
    lab.answer_with(answer(50, rate=200))
    found = page.evaluate(
        """async () => {
          const answer = chat.ask("Hi", { temperature: 0.5 });
          const pieces = [];
          for await (const piece of answer) pieces.push(piece);
          return { pieces, text: await answer.text, reason: answer.reason, model: answer.model };
        }"""
    )
    assert "".join(found["pieces"]) == found["text"] == FakeOpenAI.text(50)
    assert len(found["pieces"]) > 1
    assert (found["reason"], found["model"]) == ("stop", "lab-1")
    assert lab.chats[-1].body["temperature"] == 0.5


def test_cuts_lose_nothing_and_ask_nothing_twice(page: Page, served, proxy, lab) -> None:
    begin(page, served, proxy)
    lab.answer_with(answer(300, rate=100))
    asked = len(lab.chats)
    page.evaluate("() => { window.answer = chat.ask('Hi'); }")
    for length in (100, 500):
        page.wait_for_function("length => answer.soFar.length > length", arg=length)
        proxy.cut()
        page.wait_for_function("() => states.at(-1) === 'waiting'")
        proxy.mend()
    assert page.evaluate("() => answer.text") == FakeOpenAI.text(300)
    assert page.evaluate("() => states.filter((s) => s === 'connected').length") == 3
    assert len(lab.chats) == asked + 1


def test_stop_keeps_what_was_written(page: Page, served, proxy, lab) -> None:
    begin(page, served, proxy)
    lab.answer_with(answer(["kept"]).stalled(1))
    page.evaluate("() => { window.answer = chat.ask('Hi'); }")
    page.wait_for_function("() => answer.soFar === 'kept'")
    assert page.evaluate("async () => { answer.stop(); return answer.text; }") == "kept"
    assert page.evaluate("() => answer.reason") == "cancelled"
    assert lab.has_closed()


def test_errors_say_what_helps(page: Page, served, proxy, lab) -> None:
    begin(page, served, proxy)
    lab.answer_with(failure(429, retry_after=7))
    found = page.evaluate(
        "() => chat.ask('Hi').text.catch(({ code, retryable, retryAfter }) =>"
        " ({ code, retryable, retryAfter }))"
    )
    assert found == {"code": "provider_rate_limited", "retryable": True, "retryAfter": 7}


def test_another_page_can_follow(page: Page, served, proxy, lab) -> None:
    begin(page, served, proxy)
    lab.answer_with(answer(["one ", "two"]).stalled(1))
    page.evaluate("() => { window.answer = chat.ask('Hi'); }")
    page.wait_for_function("() => answer.stream")
    stream = page.evaluate("() => answer.stream")
    other = page.context.new_page()
    begin(other, served, proxy)
    other.evaluate("(stream) => { window.followed = chat.follow(stream); }", stream)
    assert lab.has_begun()
    lab.go_on()
    assert other.evaluate("() => followed.text") == "one two"
