"""Reasoning between tags, in the spellings of many models and with any cuts of the network."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wireside.messages import Delta, ReasoningDelta, TextDelta, ToolDelta
from wireside.openai_wire.reasoning_tags import (
    KNOWN_PAIRS,
    RULE,
    ReasoningSplitter,
    ReasoningTags,
    TagPair,
)

THINK = KNOWN_PAIRS[0]


def split(*pieces: str, **options: object) -> tuple[str, str]:
    """Return the reasoning and the text."""
    return joined(deltas_of(ReasoningSplitter(**options), *pieces))  # type: ignore[arg-type]


def deltas_of(splitter: ReasoningSplitter, *pieces: str) -> list[Delta]:
    return [delta for piece in pieces for delta in splitter.feed(piece)] + splitter.flush()


def joined(deltas: list[Delta]) -> tuple[str, str]:
    reasoning = [delta.text for delta in deltas if isinstance(delta, ReasoningDelta)]
    text = [delta.text for delta in deltas if isinstance(delta, TextDelta)]
    return "".join(reasoning), "".join(text)


@pytest.mark.parametrize("pair", KNOWN_PAIRS, ids=lambda pair: pair.opening)
def test_reasoning_at_the_beginning(pair: TagPair) -> None:
    answer = f"{pair.opening}\nSecret plan\n{pair.closing}\n\nHello **big** world"
    assert split(answer) == ("Secret plan", "Hello **big** world")
    assert split(*answer) == ("Secret plan", "Hello **big** world")


@pytest.mark.parametrize(
    ("answer", "reasoning", "text"),
    [
        ("<think>plan</think>Hello", "plan", "Hello"),
        ("\n\n  <think>plan</think>Hello", "plan", "Hello"),
        ("<THINK>plan</Think>Hello", "plan", "Hello"),
        ("<think>\n\n</think>\n\nHello", "", "Hello"),
        ("<think></think>", "", ""),
        ("<think>never closed", "never closed", ""),
        ("<think>half a tag</thi", "half a tag</thi", ""),
        ("<think>a < b and </b> 1</think>x", "a < b and </b> 1", "x"),
        ('<think>say "hi"</think>hi', 'say "hi"', "hi"),
        ('<think>I say "hi"</think>"Hi"', 'I say "hi"', '"Hi"'),
        ("<think>it is `x`</think>`x` is it", "it is `x`", "`x` is it"),
        ("<think>the users'</think>'x'", "the users'", "'x'"),
        ('<think>it writes "</think>" then</think>hi', 'it writes "</think>" then', "hi"),
        ("<think>the `</think>` tag</think>hi", "the `</think>` tag", "hi"),
        ("<think>an odd ` and\n```py\nx = 1</think>hi", "an odd ` and\n```py\nx = 1", "hi"),
        ("<think>a</think>\n\n<think>b</think>\n\nHello", "a\n\nb", "Hello"),
        ("Let me look.\n<think>plan</think>\nDone.", "plan", "Let me look.\n\nDone."),
        ("Let me look.\n\n  <think>\nplan\n</think>Done.", "plan", "Let me look.\n\n  Done."),
        ("    indented code", "", "    indented code"),
        (" \n\n", "", " \n\n"),
        ("<b>bold</b> 1 < 2 [x] `<`", "", "<b>bold</b> 1 < 2 [x] `<`"),
        ("<thin", "", "<thin"),
        ("<thinker>x</thinker>", "", "<thinker>x</thinker>"),
    ],
)
def test_where_tags_count(answer: str, reasoning: str, text: str) -> None:
    assert split(answer) == (reasoning, text)
    assert split(*answer) == (reasoning, text)


@pytest.mark.parametrize(
    "answer",
    [
        "Use `<think>` and `</think>` for it.",
        "Use ``<think>` x`` and `</think>` for it.",
        "It writes <think>plan</think> and then the answer.",
        "It ends with </think> and then the answer.",
        'Write "</think>" or (</think>) or “</think>” here.',
        "```\n<think>\nplan\n</think>\n```\n",
        "```html\n<think>\n```python\n</think>\n```\n",
        "~~~\n</think>\n```\n</think>\n~~~~\nend",
        "- item\n  ```\n  <think>x</think>\n  ```\n- other",
        "1. ```xml\n   </think>\n   ```\n",
        "> ```\n> </think>\n> ```\n",
        "`<think>` opens.\n\n`</think>` closes.",
        "Write <|end|> or <|channel|> to end it.",
        "analysis of the text",
        "analysis: Rain falls.",
        "a",
        "anal",
    ],
)
def test_tags_that_are_spoken_of_are_text(answer: str) -> None:
    assert split(answer) == ("", answer)
    assert split(*answer) == ("", answer)
    assert split(answer, is_whole=True) == ("", answer)


def test_code_ends() -> None:
    """After code, tags count again: also after an unpaired backtick."""
    for code in ("```\nx\n```\n", "~~~~\n~~~\n~~~~\n", "```x```\n", "5` long\n", "`a` and\n"):
        assert split(code + "<think>plan</think>Hi") == ("plan", code + "Hi")


@pytest.mark.parametrize(
    ("answer", "reasoning", "text"),
    [
        ("Secret plan\n</think>\n\nHello", "Secret plan", "Hello"),
        ("Secret plan</think>Hello", "Secret plan", "Hello"),
        ('It says "hi"</think>Hello', 'It says "hi"', "Hello"),
        ("I use `x`.\n\n```\ny\n```\n</think>\nHello", "I use `x`.\n\n```\ny\n```", "Hello"),
        ("Plan </think>\nHello", "Plan", "Hello"),
        ("Plan[/THINK]Hello", "Plan", "Hello"),
    ],
)
def test_a_closing_tag_alone(answer: str, reasoning: str, text: str) -> None:
    """The chat template has opened the reasoning: models of DeepSeek, Qwen, GLM …"""
    assert split(answer, is_whole=True) == (reasoning, text)
    shown = split(answer)
    assert shown[0] == ""
    assert shown[1].replace(RULE, "|").replace(" |", "|").replace("\n|", "|") == (
        f"{reasoning}|{text}"
    )
    assert split(*answer) == shown
    splitter = ReasoningSplitter()
    deltas_of(splitter, answer)
    pair = splitter.unopened
    assert pair is not None
    assert split(answer, inside=pair) == (reasoning, text)
    assert split(*answer, inside=pair) == (reasoning, text)


def test_a_closing_tag_alone_at_the_beginning_is_left_out() -> None:
    splitter = ReasoningSplitter()
    assert joined(deltas_of(splitter, "\n</think>\n\nHello")) == ("", "Hello")
    assert splitter.unopened is None


def test_an_answer_that_is_taken_for_reasoning_is_repeated_as_text() -> None:
    splitter = ReasoningSplitter(inside=THINK)
    assert joined(deltas_of(splitter, "Hel", "lo\n", " world ")) == (
        "Hello\n world",
        "Hello\n world ",
    )
    assert splitter.was_not_inside


def test_reasoning_in_a_field_of_its_own_settles_where_the_text_begins() -> None:
    splitter = ReasoningSplitter(inside=THINK)
    splitter.saw_reasoning()
    assert joined(deltas_of(splitter, "Hello")) == ("", "Hello")
    assert not splitter.was_not_inside


HARMONY = (
    "<|channel|>analysis<|message|>Secret plan<|end|>"
    "<|start|>assistant<|channel|>commentary<|message|>I look.<|end|>"
    "<|start|>assistant<|channel|>commentary to=functions.weather <|constrain|>json<|message|>"
    '{"city": "Zürich"}<|call|>'
    "<|start|>assistant<|channel|>analysis<|message|>Now I know.<|end|>"
    "<|start|>assistant<|channel|>final<|message|>Hello `<|end|>` world<|return|>"
)


def test_the_channels_of_harmony() -> None:
    for pieces in ([HARMONY], [*HARMONY]):
        deltas = deltas_of(ReasoningSplitter(), *pieces)
        assert joined(deltas) == (
            "Secret plan\n\nNow I know.",
            "I look.\n\nHello `<|end|>` world",
        )
        calls = [delta for delta in deltas if isinstance(delta, ToolDelta)]
        assert calls == [ToolDelta("", "weather", "requested", '{"city": "Zürich"}')]


@pytest.mark.parametrize(
    ("answer", "reasoning", "text"),
    [
        ("<|start|>assistant<|message|>Hello<|end|>", "", "Hello"),
        ("<|channel|>final<|message|>Hello", "", "Hello"),
        ("<|channel|>analysis<|message|>cut off", "cut off", ""),
        ("<|channel|>analysis<|message|>a<|start|>assistant<|channel|>final<|message|>b", "a", "b"),
        ("analysisThe user greets.assistantfinalHello", "The user greets.", "Hello"),
        ("analysisThe end", "The end", "analysisThe end"),
        (
            "<|START_THINKING|>p<|END_THINKING|><|START_RESPONSE|>Hello<|END_RESPONSE|>",
            "p",
            "Hello",
        ),
        ("<think>\np\n</think>\n<answer>\nHello\n</answer>", "p", "Hello\n"),
        ("<answer>Hello</answer>", "", "<answer>Hello</answer>"),
    ],
)
def test_other_markup_of_models(answer: str, reasoning: str, text: str) -> None:
    assert split(answer) == (reasoning, text)
    assert split(*answer) == (reasoning, text)


def test_further_tags() -> None:
    tags = ReasoningTags(["plan", "{{t}} {{/t}}", "zap: :zap"])
    assert split("<plan>a</plan>b", tags=tags) == ("a", "b")
    assert split(*"{{t}}a{{/t}}b", tags=tags) == ("a", "b")
    assert split(*"Zap:a:ZAPb", tags=tags) == ("a", "b")
    assert split("<think>a</think>b", tags=tags) == ("a", "b")
    assert split("<think>a</think>b", tags=ReasoningTags(["off"])) == ("", "<think>a</think>b")


@pytest.mark.parametrize("entry", ["<plan>", "a b c", "x x", "", "ä<"])
def test_what_is_no_tag_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match="neither"):
        ReasoningTags([entry])


def test_nothing_is_held_back_but_what_may_be_a_tag() -> None:
    splitter = ReasoningSplitter()
    assert splitter.feed("Hello <") == [TextDelta("Hello ")]
    assert splitter.feed("b>") == [TextDelta("<b>")]
    assert splitter.feed("and `") == [TextDelta("and ")]
    assert splitter.feed("x") == [TextDelta("`x")]


PIECES = st.sampled_from(
    [
        *("<think>", "</think>", "<thi", "nk>", "</", "think>", "[THINK]", "[/THINK]", "◁think▷"),
        *("\n", "\n\n", " ", "`", "```", "~~~", "```py\n", "- ", "> ", "text", "a.", '"', "(", ")"),
        *("<|channel|>", "analysis", "final", "<|message|>", "<|end|>", "<|start|>assistant"),
        *(
            "<|call|>",
            " to=functions.f",
            "assistantfinal",
            "T",
            "<|START_RESPONSE|>",
            "İ",
            "ſ",
            "K",
        ),
        *("<|END_RESPONSE|>", "<|", "|>", "<", "🙂"),
    ]
)


@settings(deadline=None)
@given(st.lists(PIECES, max_size=25), st.lists(st.integers(0, 200), max_size=20), st.booleans())
def test_cuts_do_not_change_the_deltas(words: list[str], places: list[int], inside: bool) -> None:
    answer = "".join(words)
    at = [0, *sorted(place % (len(answer) + 1) for place in places), len(answer)]
    pieces = [answer[a:b] for a, b in zip(at, at[1:], strict=False)]
    pair = THINK if inside else None
    whole = merged(deltas_of(ReasoningSplitter(inside=pair), answer))
    assert merged(deltas_of(ReasoningSplitter(inside=pair), *pieces)) == whole
    assert merged(deltas_of(ReasoningSplitter(inside=pair), *answer)) == whole


@settings(deadline=None)
@given(st.lists(PIECES, max_size=25))
def test_every_word_of_an_answer_is_given_out(words: list[str]) -> None:
    answer = " ".join(f"w{number}x {word}" for number, word in enumerate(words))
    forms: tuple[dict[str, Any], ...] = ({}, {"inside": THINK}, {"is_whole": True})
    for options in forms:
        deltas = deltas_of(ReasoningSplitter(**options), answer)
        given_out = "".join(
            delta.arguments if isinstance(delta, ToolDelta) else delta.text  # type: ignore[union-attr]
            for delta in deltas
        )
        headers = answer.count("<|message|>")
        lost = [n for n in range(len(words)) if f"w{n}x" not in given_out]
        assert headers or not lost


def merged(deltas: list[Delta]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for delta in deltas:
        kind = type(delta).__name__
        text = f"{delta}" if isinstance(delta, ToolDelta) else delta.text  # type: ignore[union-attr]
        assert text
        if found and found[-1][0] == kind != "ToolDelta":
            text = found.pop()[1] + text
        found.append((kind, text))
    return found
