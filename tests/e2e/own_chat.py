"""A chat of handlers, as a team writes it: options, icons, starters, hooks, views and a page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Any, Literal

from nicegui import ui
from pydantic import Field

from wireside import Chat, Start, Turn, User, View


class Tone(Enum):
    """The tone of an answer."""

    FRIENDLY = "friendly"
    FORMAL = "formal"


@dataclass
class Options:
    """Options of all kinds of fields."""

    table: Literal["orders", "customers"] = "orders"
    limit: Annotated[int, Field(ge=1, le=1000, title="Rows", description="At most 1,000.")] = 10
    share: Annotated[float, Field(ge=0, le=1)] = 0.5
    exact: bool = False
    where: str = ""
    tone: Tone = Tone.FRIENDLY
    columns: Annotated[list[Literal["id", "name", "sum"]], Field(min_length=1, max_length=2)] = (
        field(default_factory=lambda: ["id"])
    )
    tags: list[str] = field(default_factory=list)
    sizes: set[Annotated[int, Field(ge=1)]] = field(default_factory=set)


chat = Chat(
    "Analyst",
    starters=["Revenue by month"],
    footer="Figures are drafts.",
    links={"Imprint": "/imprint", "Docs": "https://docs.example"},
    css_variables={"--ws-radius": "3px"},
)


@chat.on_start
def start(user: User) -> Start:
    """Welcome a user."""
    return Start(welcome="Ask about **orders** and customers.")


@chat.on_message(title="Analyst", icon="search", description="Reads tables", options=Options)
async def analyst(turn: Turn[Options, Any]) -> str:
    """Say what was chosen."""
    chosen = turn.options
    return (
        f"{chosen.table} {chosen.limit} {chosen.share} {chosen.exact} [{chosen.where}]"
        f" {chosen.tone.value}"
    )


@chat.on_message(title="Lister", options=Options)
def lister(turn: Turn[Options, Any]) -> str:
    """Say which lists were chosen."""
    chosen = turn.options
    return f"{chosen.columns} {chosen.tags} {sorted(chosen.sizes)}"


@chat.on_message(title="Poet", icon="🪶", starters=["A haiku", "A limerick"])
def poet(turn: Turn) -> str:
    """Answer in verse."""
    return "An old silent pond"


@chat.view(text=lambda sums, title="Sums": f"{title}: {sum(sums.values())}")
def totals(sums: dict[str, int], title: str = "Sums") -> None:
    """Show sums with a button that counts."""
    clicks: list[str] = []
    label = ui.label("0 clicks")
    ui.label(f"{title}: {len(sums)} months")

    def count() -> None:
        clicks.append("")
        label.set_text(f"{len(clicks)} clicks")

    ui.button("Count", on_click=count)


@chat.view
def broken() -> None:
    """Fail."""
    ui.label("half")
    raise RuntimeError("no data")


@chat.on_message(title="Viewer", starters=["Show"])
async def viewer(turn: Turn) -> AsyncIterator[object]:
    """Show views."""
    yield "Here: "
    if turn.text == "fail":
        yield broken()
        yield View("unknown", {"html": "<img src=x onerror=alert(1)>"}, text="Nothing to see")
        return
    yield totals({"May": 3, "June": 4})
    yield "Done."


@chat.page("/reports", title="Reports")
async def reports(user: User) -> None:
    """Show the reports."""
    ui.label(f"Reports of {user.name or 'all'}")
    shown = ui.label("")
    ui.button("Load", on_click=lambda: shown.set_text("12 reports"))
