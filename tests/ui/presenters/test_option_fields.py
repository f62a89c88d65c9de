"""The form of a handler's options, from the class to the fields."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from wireside.errors import BadMessage
from wireside.extension.options import options_from, schema_of
from wireside_ui.presenters.option_fields import option_fields


class Tone(Enum):
    CALM = "calm"
    LOUD = "loud"


@dataclass
class Plain:
    table: Literal["orders", "users"] = "orders"
    limit: Annotated[int, Field(ge=1, lt=100, title="Rows", description="How many.")] = 10
    share: Annotated[float, Field(gt=0, le=1)] = 0.5
    exact: bool = False
    name: Annotated[str, Field(max_length=9)] = ""
    tone: Tone = Tone.CALM
    level: Literal[1, 2] | None = None
    tags: list[str] = field(default_factory=lambda: ["new"])
    columns: Annotated[list[Literal["id", "name", "sum"]], Field(min_length=1, max_length=2)] = (
        field(default_factory=lambda: ["id"])
    )
    tones: set[Tone] = field(default_factory=set)
    sizes: set[Annotated[int, Field(ge=1)]] | None = None
    place: tuple[int, int] = (0, 0)
    rows: list[list[str]] = field(default_factory=list)
    parts: dict[str, str] = field(default_factory=dict)


class Model(BaseModel):
    city: str
    days: int = 3


def fields_of(kind: type) -> dict[str, dict[str, Any]]:
    return {field["name"]: field for field in option_fields(schema_of(kind))}


def test_each_type_has_its_field() -> None:
    fields = fields_of(Plain)
    assert {name: field["type"] for name, field in fields.items()} == {
        "table": "choice",
        "limit": "number",
        "share": "number",
        "exact": "switch",
        "name": "text",
        "tone": "choice",
        "level": "choice",
        "tags": "entries",
        "columns": "choices",
        "tones": "choices",
        "sizes": "entries",
    }, "objects, tuples and lists of lists have none"
    assert fields["limit"] == {
        "name": "limit",
        "label": "Rows",
        "about": "How many.",
        "default": 10,
        "required": False,
        "type": "number",
        "isWhole": True,
        "low": 1,
        "high": 99,
    }
    assert (fields["share"]["low"], fields["share"]["high"]) == (0, 1)
    assert fields["table"]["choices"][0] == {"value": "orders", "label": "orders"}
    assert [choice["value"] for choice in fields["tone"]["choices"]] == ["calm", "loud"]
    assert fields["tone"]["default"] == "calm"
    assert fields["level"]["choices"][1] == {"value": 2, "label": "2"}
    assert fields["name"]["maxChars"] == 9
    assert option_fields("") == []


def test_a_list_has_its_entries_and_their_number() -> None:
    fields = fields_of(Plain)
    assert fields["tags"]["item"] == {"type": "text", "maxChars": None}
    assert (fields["tags"]["default"], fields["tags"]["isUnique"]) == (["new"], False)
    columns = fields["columns"]
    assert [choice["value"] for choice in columns["choices"]] == ["id", "name", "sum"]
    assert (columns["default"], columns["low"], columns["high"]) == (["id"], 1, 2)
    assert [choice["value"] for choice in fields["tones"]["choices"]] == ["calm", "loud"]
    sizes = fields["sizes"]
    assert sizes["item"] == {"type": "number", "isWhole": True, "low": 1, "high": None}
    assert sizes["isUnique"]


def test_a_default_that_json_can_not_represent_is_left_out() -> None:
    class Odd(BaseModel):
        model_config = {"arbitrary_types_allowed": True}
        values: list[str] = Field(default_factory=lambda: [object()])  # type: ignore[arg-type]

    assert fields_of(Odd)["values"]["default"] is None


def test_a_pydantic_model_has_fields_too() -> None:
    fields = fields_of(Model)
    assert fields["city"]["required"]
    assert fields["days"]["default"] == 3


def test_values_of_the_form_become_the_class() -> None:
    assert options_from(Plain, '{"tone": "loud", "limit": 5}') == Plain(tone=Tone.LOUD, limit=5)
    values = '{"columns": ["sum", "id"], "tones": ["loud"], "tags": []}'
    expected = Plain(columns=["sum", "id"], tones={Tone.LOUD}, tags=[])
    assert options_from(Plain, values) == expected
    assert options_from(Model, '{"city": "Rome"}') == Model(city="Rome")
    assert options_from(None, "") is None


@pytest.mark.parametrize(
    ("kind", "values", "sentence"),
    [
        (Plain, '{"limit": 100}', r"options\.limit: .*less than 100"),
        (Plain, '{"limits": 5}', r"options\.limits: there is no such option, but table, limit,"),
        (Plain, '{"tone": "shrill"}', r"options\.tone: "),
        (Plain, '{"columns": []}', r"options\.columns: .*at least 1 item"),
        (Plain, '{"columns": ["id", "id", "id"]}', r"options\.columns: .*at most 2 items"),
        (Plain, '{"columns": ["all"]}', r"options\.columns\.0: "),
        (Plain, '{"tags": "new"}', r"options\.tags: .*valid list"),
        (Plain, '{"sizes": [0]}', r"options\.sizes\.0: .*greater than or equal to 1"),
        (Plain, "[]", r"options: this must be an object"),
        (Model, "", r"options\.city: "),
        (None, '{"limit": 5}', r"options: this model has no options"),
    ],
)
def test_an_error_names_the_option(kind: type | None, values: str, sentence: str) -> None:
    with pytest.raises(BadMessage, match=sentence):
        options_from(kind, values)


def test_other_classes_are_refused_when_the_handler_is_registered() -> None:
    class Opaque:
        pass

    for kind in (Opaque, int):
        with pytest.raises(TypeError, match=kind.__name__):
            schema_of(kind)
