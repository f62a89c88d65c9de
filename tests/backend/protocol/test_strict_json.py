"""JSON that the protocol rejects."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wireside.errors import BadJson
from wireside.protocol.strict_json import MAX_NESTING, parse_object


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '"text"',
        "{",
        "{'a': 1}",
        '{"a": NaN}',
        '{"a": Infinity}',
        '{"a": -Infinity}',
        '{"a": 1e999}',
        '{"a": 1, "a": 2}',
        '{"b": {"a": 1, "a": 2}}',
        '{"a": "\\ud800"}',
        '{"a": "\\udc00\\ud800"}',
        '{"\\ud83d": 1}',
        '{"a": ' + "9" * 5000 + "}",
        '{"a": ' + "[" * 5000 + "]" * 5000 + "}",
        '{"a": ' + "[" * MAX_NESTING + "]" * MAX_NESTING + "}",
        '{"a": "tab\tinside"}',
        "\ufeff{}",
    ],
)
def test_what_parsers_disagree_about_is_refused(text: str) -> None:
    with pytest.raises(BadJson):
        parse_object(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{}", {}),
        ('{"a": "\\ud83d\\ude00"}', {"a": "😀"}),
        ('{"a": "\\\\ud800"}', {"a": "\\ud800"}),
        ('{"a": "' + "[" * 500 + '"}', {"a": "[" * 500}),
        ('{"a": "\\"' + "{" * 500 + '"}', {"a": '"' + "{" * 500}),
        ('{"a": [' + "[]," * 100 + "[]]}", {"a": [[]] * 101}),
    ],
)
def test_what_only_looks_dangerous_is_taken(text: str, value: object) -> None:
    assert parse_object(text) == value


def test_nesting_is_allowed_to_the_limit() -> None:
    inner = MAX_NESTING - 1
    assert parse_object('{"a": ' + "[" * inner + "]" * inner + "}")


@pytest.mark.slow
@given(
    st.dictionaries(
        st.text(),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        ),
    )
)
def test_every_plain_object_comes_back(value: dict[str, object]) -> None:
    assert parse_object(json.dumps(value)) == value


@given(st.text(alphabet='{}[]":,\\ud8019aenNIf.-+ \n\x00<'))
def test_no_text_brings_anything_but_an_object_or_bad_json(text: str) -> None:
    try:
        assert isinstance(parse_object(text), dict)
    except BadJson as error:
        assert str(error)
