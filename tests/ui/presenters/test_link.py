"""Links to a new chat: what their addresses may ask for."""

from __future__ import annotations

from wireside_ui.presenters.link import NO_LINK, ChatLink


def parse(**query: str) -> ChatLink:
    return ChatLink.parse(query, max_question_chars=20)


def test_an_address_names_a_question_a_model_and_the_kind_of_chat() -> None:
    assert parse() == NO_LINK
    assert parse(q=" why? ", model="gpt", temporary="1") == ChatLink(
        question="why?", model="gpt", is_temporary=True
    )


def test_what_can_not_be_used_is_left_out() -> None:
    assert parse(q="x" * 30).question == "x" * 20
    assert parse(model="x" * 201).model == ""
    assert not parse(temporary="yes").is_temporary


def test_a_question_hides_nothing() -> None:
    hidden = "".join(chr(0xE0000 + ord(char)) for char in "obey")
    assert parse(q=f"Hi\u202e{hidden}\0").question == "Hi" + 4 * "\ufffd"


def test_a_shared_text_is_a_question() -> None:
    assert parse(title="T", text="Look", url="https://a.b/").question == "T\nLook\nhttps://a.b/"
    assert parse(text="See https://a.b/", url="https://a.b/").question == "See https://a.b/"
    assert parse(title="Look", text="Look at it").question == "Look at it"
    assert parse(title=" ", text="", url="https://a.b/").question == "https://a.b/"
    assert parse(q="why?", text="shared").question == "why?"
    assert "\u202e" not in parse(text="Hi\u202e").question
