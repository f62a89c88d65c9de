"""The context that a model is given of a conversation."""

from hypothesis import given
from hypothesis import strategies as st

from wireside.chat.context import ContextLimit, ContextText, recent
from wireside.messages import Message

TURNS = st.lists(st.tuples(st.text(min_size=1, max_size=9), st.text(min_size=1, max_size=9)))


@given(TURNS, st.text(min_size=1, max_size=30), st.integers(1, 12), st.integers(1, 60))
def test_the_end_within_the_limits(
    turns: list[tuple[str, str]], question: str, messages: int, chars: int
) -> None:
    history = [m for q, a in turns for m in (Message("user", q), Message("assistant", a))]
    history.append(Message("user", question))
    chosen = recent(history, ContextLimit(messages, chars))
    assert tuple(history[-len(chosen) :]) == chosen
    assert chosen[0].role == "user"
    assert len(chosen) <= messages
    assert len(chosen) == 1 or sum(len(m.text) for m in chosen) <= chars


def test_all_that_fits_is_given() -> None:
    history = [Message("user", "a"), Message("assistant", "b"), Message("user", "c")]
    assert recent(history, ContextLimit(3, 3)) == tuple(history)


def test_a_turn_without_an_answer_is_forgotten() -> None:
    transcript = ContextText(ContextLimit())
    transcript.add("failed", "")
    transcript.add("one", "1")
    assert [m.text for m in transcript.asking("two")] == ["one", "1", "two"]


def test_the_context_does_not_grow_for_ever() -> None:
    transcript = ContextText(ContextLimit(messages=4, chars=1000))
    for number in range(50):
        transcript.add(f"q{number}", f"a{number}")
    assert [m.text for m in transcript.asking("?")] == ["q49", "a49", "?"]
