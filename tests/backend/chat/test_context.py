"""The context that a model is given of a conversation."""

from hypothesis import given
from hypothesis import strategies as st

from wireside.chat.context import ContextLimit, ContextText, recent_messages, turn_messages
from wireside.messages import Message
from wireside.parts import ReasoningPart, TextPart, ToolCallPart, text_parts

TURNS = st.lists(st.tuples(st.text(min_size=1, max_size=9), st.text(min_size=1, max_size=9)))


@given(TURNS, st.text(min_size=1, max_size=30), st.integers(1, 12), st.integers(1, 60))
def test_the_end_within_the_limits(
    turns: list[tuple[str, str]], question: str, messages: int, chars: int
) -> None:
    history = [
        m for q, a in turns for m in (Message.of_text("user", q), Message.of_text("assistant", a))
    ]
    history.append(Message.of_text("user", question))
    chosen = recent_messages(history, ContextLimit(messages, chars))
    assert tuple(history[-len(chosen) :]) == chosen
    assert chosen[0].role == "user"
    assert len(chosen) <= messages
    assert len(chosen) == 1 or sum(len(m.text) for m in chosen) <= chars


def test_all_that_fits_is_given() -> None:
    history = [
        Message.of_text("user", "a"),
        Message.of_text("assistant", "b"),
        Message.of_text("user", "c"),
    ]
    assert recent_messages(history, ContextLimit(3, 3)) == tuple(history)


def test_a_turn_without_an_answer_is_forgotten() -> None:
    transcript = ContextText(ContextLimit())
    transcript.remember_turn("failed", ())
    transcript.remember_turn("one", text_parts("1"))
    assert [m.text for m in transcript.messages_with("two")] == ["one", "1", "two"]


def test_the_context_does_not_grow_for_ever() -> None:
    transcript = ContextText(ContextLimit(messages=4, chars=1000))
    for number in range(50):
        transcript.remember_turn(f"q{number}", text_parts(f"a{number}"))
    assert [m.text for m in transcript.messages_with("?")] == ["q49", "a49", "?"]


def call(result: str | None = "rain") -> ToolCallPart:
    return ToolCallPart(call="1", name="weather", state="done", arguments="{}", result=result)


def test_a_follow_up_remembers_tools_but_no_reasoning() -> None:
    answer = (ReasoningPart("hm"), TextPart("Look."), call(), TextPart("Rain."))
    question, answered = turn_messages(text_parts("Why?"), answer, ContextLimit())
    assert question == Message.of_text("user", "Why?")
    assert answered == Message("assistant", answer[1:])
    assert turn_messages(text_parts("Why?"), (call(),), ContextLimit()) != ()
    assert turn_messages(text_parts("Why?"), (ReasoningPart("hm"),), ContextLimit()) == ()
    assert turn_messages(text_parts("Why?"), (TextPart(" \n"),), ContextLimit()) == ()


def test_tools_count_and_a_long_result_is_cut() -> None:
    limit = ContextLimit(chars=80)
    messages = turn_messages((), (call("x" * 99),), limit)
    assert messages[1].parts == (call("x" * 10 + "…"),)
    assert messages[1].chars == len("weather{}") + 11
    history = [*messages, Message.of_text("user", "y" * 61)]
    assert recent_messages(history, limit) == (history[-1],)
