"""Scripts as values: what would be sent."""

from __future__ import annotations

import json

import pytest

from wireside.testing import Cut, Script, Wait, answer, event, failure, tokens
from wireside.testing.magic import HELP, habit_for, script_for


def body(script: Script) -> bytes:
    return b"".join(step for step in script.body if isinstance(step, bytes))


def contents(script: Script) -> str:
    events = body(script).decode().split("\n\n")
    chunks = [json.loads(text[6:]) for text in events if text.startswith("data: {")]
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def test_tokens_are_the_same_for_a_seed_and_numbered() -> None:
    assert tokens(50, 3) == tokens(50, 3) != tokens(50, 4)
    assert tokens(50, 3)[:20] == tokens(20, 3)
    assert all(token.endswith(f"{number} ") for number, token in enumerate(tokens(50)))


def test_tokens_hold_what_is_hard() -> None:
    text = "".join(tokens(300))
    assert "<scr" in text
    assert any(ord(letter) > 0xFFFF for letter in text)


def test_an_answer_says_its_text() -> None:
    script = answer(20)
    assert contents(script) == script.text == "".join(tokens(20))


@pytest.mark.parametrize("token", [0, 7, -1])
def test_places_are_counted_in_tokens(token: int) -> None:
    script = answer(20, reasoning=["hm"])
    assert contents(script.cut(token)) == "".join(script.tokens[:token])
    at = script.stalled(token).body.index(Wait())
    assert contents(Script(script.body[:at])) == "".join(script.tokens[:token])


def test_a_cut_in_a_character_leaves_bytes_that_are_no_text() -> None:
    cut = answer(5).cut_in_character(3)
    assert cut.body[-1] == Cut("fin")
    with pytest.raises(UnicodeDecodeError):
        body(cut).decode()


def test_nothing_waits_means_one_write() -> None:
    assert len(answer(300).steps) == 2
    assert len(answer(300, rate=50).steps) == 305


def test_pieces_make_up_the_same_body() -> None:
    script = answer(5).closing()
    pieces = script.in_pieces(3).steps[:-1]
    assert all(isinstance(piece, bytes) and len(piece) <= 3 for piece in pieces)
    assert b"".join(piece for piece in pieces if isinstance(piece, bytes)) == body(script)


def test_what_is_left_out_is_not_there() -> None:
    whole, bare = body(answer(2)), body(answer(2, finish=None, usage=False, done=False))
    for part in (b"[DONE]", b'"usage"', b'"stop"'):
        assert part in whole
        assert part not in bare


def test_a_failure_has_openais_form() -> None:
    script = failure(429, "slow down", code="busy", retry_after=3)
    assert (script.status, script.headers) == (429, (("Retry-After", "3"),))
    assert json.loads(body(script))["error"]["message"] == "slow down"


def test_an_event_may_be_named_and_raw() -> None:
    assert event("[DONE]") == b"data: [DONE]\n\n"
    assert event({"é": 1}, "error") == 'event: error\ndata: {"é": 1}\n\n'.encode()


def test_every_word_of_the_help_is_known() -> None:
    words = {part.split("`")[0].split()[0] for part in HELP.split("`/lab ")[1:]}
    help_text = script_for("/lab")
    assert len(words) > 15
    for word in words:
        script = habit_for(f"/lab {word}", {}, 1) or script_for(f"/lab {word}")
        assert script != help_text, word


@pytest.mark.parametrize("message", ["/lab", "/lab what", "/lab stall soon", "  /lab  help "])
def test_what_the_lab_does_not_know_gets_help(message: str) -> None:
    script = script_for(message)
    assert script is not None
    assert script.text == HELP


def test_other_messages_are_no_commands() -> None:
    assert script_for("tell me about /lab") is None


def test_a_text_is_said_as_it_is() -> None:
    script = script_for("/lab say  <b>say</b> it")
    assert script is not None
    assert script.text == "<b>say</b> it"
