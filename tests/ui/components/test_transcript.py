"""The transcript's messages to the page and to the browser."""

import re
from pathlib import Path
from typing import Any, get_args

import pytest
from nicegui import Client, ui
from nicegui.events import GenericEventArguments

from wireside.parts import ToolState
from wireside_ui.components.transcript import Transcript, transcript
from wireside_ui.i18n.en import TRANSCRIPT_WORDS as WORDS
from wireside_ui.presenters.rows import Action, Row

FOLDER = Path(transcript.__file__).parent
SCRIPT = "\n".join(path.read_text(encoding="utf-8") for path in FOLDER.rglob("*.js"))


class Probe(Transcript):
    """Records what it would send to the browser."""

    def __init__(self) -> None:
        self.sent: list[tuple[Any, ...]] = []
        self.heard: list[Any] = []
        super().__init__(
            on_action=self.heard.append,
            on_find=self.heard.append,
            on_need=self.heard.append,
            answer_text=lambda row_id: f"text of {row_id}",
        )

    def run_method(self, name: str, *args: Any, timeout: float = 1) -> Any:
        self.sent.append((name, *args))

    def event(self, args: Any) -> GenericEventArguments:
        return GenericEventArguments(sender=self, client=self.client, args=args)


@pytest.fixture
def probe() -> Probe:
    with Client(ui.page("")):
        return Probe()


def test_every_word_of_the_script_is_in_the_catalogue() -> None:
    used = set(re.findall(r"this\.words\.(\w+)", SCRIPT))
    used |= {f"tool_{state}" for state in get_args(ToolState)}
    used |= {"stopped", "interrupted", "length_reached", "filtered", "continue", "copy"}
    used |= {"retry", "edit", "stop", "empty", "model_loading"}
    used |= {"arguments", "result", "table", "formula", "find_next", "find_previous", "close"}
    used |= {"answer_done", "asking"}
    assert used == set(WORDS)


def test_every_method_that_is_called_is_in_the_script() -> None:
    source = Path(transcript.__file__).read_text(encoding="utf-8")
    for name in re.findall(r'run_method\("(\w+)"', source):
        assert re.search(rf"^  {name}\(", SCRIPT, re.MULTILINE), name


async def test_actions_arrive_as_values(probe: Probe) -> None:
    await probe._act(probe.event({"name": "retry", "id": "a", "automatic": True}))
    assert probe.heard == [Action(name="retry", row_id="a", automatic=True)]


@pytest.mark.parametrize(
    "args",
    [None, [], {}, {"name": "delete", "id": "a"}, {"name": "retry"}, {"name": "retry", "id": 7}]
    + [{"name": "retry", "id": ""}, {"name": "retry", "id": "x" * 10_000}],
)
async def test_forged_actions_are_dropped(probe: Probe, args: Any) -> None:
    await probe._act(probe.event(args))
    assert probe.heard == []


@pytest.mark.parametrize("args", [-1, "0", None, 1.5, True])
async def test_forged_needs_are_dropped(probe: Probe, args: Any) -> None:
    await probe._need(probe.event(args))
    assert probe.heard == []


async def test_copy_is_answered_with_the_text(probe: Probe) -> None:
    await probe._copy(probe.event({"id": "a", "ask": "1"}))
    assert probe.sent == [("copied", "1", "text of a")]


def test_reasoning_and_text_go_in_one_message(probe: Probe) -> None:
    probe.ops("a", [["g", "hm"], ["t", 0, "<p>x</p>"]])
    probe.ops("a", [])
    assert probe.sent == [("ops", "a", [["g", "hm"], ["t", 0, "<p>x</p>"]])]


def test_rows_are_plain_values(probe: Probe) -> None:
    probe.append(Row(id="a", question="q"))
    probe.change("a", state="done")
    probe.take_out("a")
    assert probe.sent[0][1]["state"] == "done"
    assert probe.sent[1:] == [("update", "a", {"state": "done"}), ("remove", "a")]


async def test_a_search_arrives_and_forged_ones_are_dropped(probe: Probe) -> None:
    for args in (None, {}, {"query": ""}, {"query": 7}, {"query": "x" * 201}):
        await probe._find(probe.event(args))
    await probe._find(probe.event({"query": "wombat"}))
    assert probe.heard == ["wombat"]
    probe.found_in("wombat", [3, 5])
    assert probe.sent[-1] == ("foundIn", "wombat", [3, 5])
