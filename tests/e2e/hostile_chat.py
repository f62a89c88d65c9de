"""A chat of handlers whose titles, options, starters, welcome text and views are hostile texts."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Annotated, Any

from nicegui import ui
from pydantic import Field, create_model

from tests.hostile.corpus import payloads
from wireside import Chat, Start, Turn, User, View

GROUP = 50
"""Number of texts that one handler has in its options, or shows in its view."""

TEXTS = tuple(payload.text for payload in payloads() if len(payload.text) < 1_500)
OPTION_TEXTS = TEXTS[::12]
VIEW_TEXTS = TEXTS[::16]
TITLES = TEXTS[::4]
WELCOME_TEXTS = TEXTS[::4]

chat = Chat("Hostile", starters=TEXTS[::8], footer=TEXTS[0], links={TEXTS[1]: "https://a.example/"})


def groups(texts: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield the texts in groups."""
    for at in range(0, len(texts), GROUP):
        yield texts[at : at + GROUP]


def options_of(texts: tuple[str, ...]) -> type:
    """Return a class of options with each text in each field that a form can have."""
    choice: Any = Enum("Choice", [(f"c{n}", text) for n, text in enumerate(texts)])  # type: ignore[misc]
    fields: dict[str, Any] = {
        "choice": (choice, next(iter(choice))),
        "choices": (list[choice], [next(iter(choice))]),
        "entries": (list[str], list(texts)),
    }
    for number, text in enumerate(texts):
        about = Field(title=text, description=text)
        fields[f"text{number}"] = (Annotated[str, about], text)
        fields[f"number{number}"] = (Annotated[int, about], 1)
        fields[f"switch{number}"] = (Annotated[bool, about], False)
    options: type = create_model("Options", **fields)
    return options


@chat.on_start
def start(user: User) -> Start:
    """Welcome a user by hostile texts."""
    whole = "\n\n".join("1. " + text.replace("\n", "\n   ") for text in WELCOME_TEXTS)
    return Start(welcome=whole)


@chat.view(text=lambda texts: texts[0])
def shown(texts: list[str]) -> None:
    """Show texts by elements whose content NiceGUI and Quasar escape."""
    for text in texts:
        ui.label(text).classes("shown")
        ui.button(text)
        ui.input(label=text, value=text, placeholder=text)
        ui.link(text, "https://a.example/")
        ui.checkbox(text)
    ui.select(list(texts), value=texts[0])
    ui.table(
        columns=[{"name": "a", "label": texts[0], "field": "a"}],
        rows=[{"a": text} for text in texts],
    )


@chat.on_message(name="viewer", title="Viewer")
async def viewer(turn: Turn) -> Any:
    """Show a group of texts by a view, and one by a view that does not exist."""
    texts = list(groups(VIEW_TEXTS))[int(turn.text)]
    yield shown(list(texts))
    yield View(texts[0], {texts[0]: texts[0]}, text=texts[0])


async def answer(turn: Turn) -> str:
    """Answer a question."""
    return "Yes."


for index, group in enumerate(groups(OPTION_TEXTS)):
    chat.on_message(name=f"options{index}", title=f"Options {index}.", options=options_of(group))(
        answer
    )
for index, title in enumerate(TITLES):
    chat.on_message(name=f"titled{index}", title=title, description=title, starters=[title])(answer)
