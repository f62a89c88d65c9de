"""Prompts and presets: whose they are, who sees them and who changes them."""

from __future__ import annotations

import pytest

from wireside.chat.core import ChatCore
from wireside.chat.dependencies import ChatDependencies, ChatRules
from wireside.chat.effort import effort_of, parameters_with
from wireside.chat.saved import MAX_CHARS, MAX_ITEMS, MAX_PROMPT_CHARS
from wireside.chat.service import ChatService
from wireside.errors import BadMessage, Forbidden, NotFound
from wireside.identity import Caller, Role
from wireside.messages import Options


@pytest.fixture
def core(parts: ChatDependencies) -> ChatCore:
    return ChatCore(parts, ChatRules())


def person(core: ChatCore, name: str, role: Role = "user") -> ChatService:
    return ChatService(core, Caller(user_id=name, name=name, role=role))


async def names(chat: ChatService) -> list[str]:
    return [prompt.name for prompt in await chat.prompts.list_items()]


async def test_a_prompt_belongs_to_its_user(core: ChatCore) -> None:
    eve, bob = person(core, "eve"), person(core, "bob")
    prompt = await eve.prompts.create("  My\nprompt ", "Explain {{topic}}")
    assert (prompt.name, prompt.text) == ("My prompt", "Explain {{topic}}")
    await eve.prompts.create("another", "text")
    assert await names(eve) == ["another", "My prompt"]
    assert await names(bob) == []
    for change in (bob.prompts.change(prompt.id, {"name": "b"}), bob.prompts.remove(prompt.id)):
        with pytest.raises(NotFound):
            await change
    await eve.prompts.change(prompt.id, {"text": "Explain it"})
    await eve.prompts.remove((await eve.prompts.list_items())[0].id)
    assert [one.text for one in await eve.prompts.list_items()] == ["Explain it"]


async def test_administrators_share_and_change_what_is_shared(core: ChatCore) -> None:
    ada, eve = person(core, "ada", "admin"), person(core, "eve")
    other = person(core, "carl", "admin")
    with pytest.raises(Forbidden):
        await eve.prompts.create("for all", "text", is_shared=True)
    own = await eve.prompts.create("mine", "text")
    with pytest.raises(Forbidden):
        await eve.prompts.change(own.id, {"is_shared": True})
    with pytest.raises(NotFound):
        await ada.prompts.change(own.id, {"name": "not mine"})
    shared = await ada.prompts.create("for all", "text", is_shared=True)
    assert await names(eve) == ["for all", "mine"]
    with pytest.raises(Forbidden):
        await eve.prompts.change(shared.id, {"name": "mine now"})
    with pytest.raises(Forbidden):
        await eve.prompts.remove(shared.id)
    await other.prompts.change(shared.id, {"text": "better"})
    await ada.prompts.change(shared.id, {"is_shared": False})
    assert await names(eve) == ["mine"]


async def test_viewers_read_only(core: ChatCore) -> None:
    vera = person(core, "vera", "viewer")
    assert await names(vera) == []
    with pytest.raises(Forbidden):
        await vera.prompts.create("n", "t")


@pytest.mark.parametrize(
    ("name", "text"), [("", "t"), ("n", " "), ("n" * 101, "t"), ("\u202e", "t")]
)
async def test_what_can_not_be_used_is_refused(core: ChatCore, name: str, text: str) -> None:
    with pytest.raises(BadMessage):
        await person(core, "eve").prompts.create(name, text)


async def test_an_import_adds_what_is_new_or_nothing(core: ChatCore) -> None:
    eve = person(core, "eve")
    await eve.prompts.create("a", "1")
    assert await eve.prompts.add_imported([("a", "1"), ("b", "2"), ("b", "2")]) == 1
    with pytest.raises(BadMessage):
        await eve.prompts.add_imported([("c", "3"), ("", "4")])
    with pytest.raises(BadMessage):
        await eve.prompts.add_imported([(f"n{n}", "t") for n in range(MAX_ITEMS)])
    assert await names(eve) == ["a", "b"]


async def test_a_preset_keeps_its_options_and_can_be_the_default(core: ChatCore) -> None:
    ada, eve = person(core, "ada", "admin"), person(core, "eve")
    options = Options(model="m", system="", temperature=0.0, parameters=parameters_with("", "low"))
    preset = await eve.presets.create("short", options)
    assert (await eve.presets.list_items())[0].options == options
    assert effort_of(options.parameters) == "low"
    await eve.presets.set_default(preset.id)
    assert await eve.presets.default_id() == preset.id
    with pytest.raises(NotFound):
        await ada.presets.set_default(preset.id)
    shared = await ada.presets.create("all", Options(), is_shared=True)
    await eve.presets.set_default(shared.id)
    await ada.presets.remove(shared.id)
    assert await eve.presets.default_id() is None


def test_an_effort_leaves_other_parameters() -> None:
    assert parameters_with('{"top_p": 1, "reasoning_effort": "low"}', None) == '{"top_p": 1}'
    assert effort_of('{"reasoning_effort": "enormous"}') is None


async def test_what_is_shared_needs_an_administrator_even_of_its_owner(core: ChatCore) -> None:
    ada = person(core, "ada", "admin")
    shared = await ada.prompts.create("for all", "text", is_shared=True)
    own = await ada.prompts.create("mine", "text")
    key = Caller(user_id="ada", name="ada", role="admin", scopes=frozenset({"chat", "read"}))
    for less in (ChatService(core, key), person(core, "ada")):
        assert [less.prompts.may_change(one) for one in (shared, own)] == [False, True]
        for changes in ({"text": "worse"}, {"is_shared": False}):
            with pytest.raises(Forbidden):
                await less.prompts.change(shared.id, changes)
        with pytest.raises(Forbidden):
            await less.prompts.remove(shared.id)
        await less.prompts.change(own.id, {"text": "better"})
    assert [one.text for one in await ada.prompts.list_items()] == ["text", "better"]


async def test_the_texts_of_a_user_have_a_limit_together(core: ChatCore) -> None:
    eve, bob = person(core, "eve"), person(core, "bob")
    long = "x" * MAX_PROMPT_CHARS
    count = MAX_CHARS // MAX_PROMPT_CHARS
    assert await eve.prompts.add_imported([(f"n{n}", long) for n in range(count - 1)]) == count - 1
    with pytest.raises(BadMessage):
        await eve.prompts.add_imported([("a", long), ("b", "y")])
    last = await eve.prompts.create("last", long[1:])
    other = await eve.prompts.create("other", "y")
    with pytest.raises(BadMessage):
        await eve.prompts.create("one more", "y")
    with pytest.raises(BadMessage):
        await eve.prompts.change(other.id, {"text": "yy"})
    await eve.prompts.change(last.id, {"text": "short", "name": "renamed"})
    await bob.prompts.create("own", long)
    await eve.presets.create("a preset", Options(system=long))


async def test_a_shared_prompt_without_an_owner_goes_to_who_takes_it_back(core: ChatCore) -> None:
    ada, local = person(core, "ada", "admin"), person(core, "", "admin")
    shared = await local.prompts.create("for all", "text", is_shared=True)
    await ada.prompts.change(shared.id, {"text": "better"})
    await ada.prompts.change(shared.id, {"is_shared": False})
    assert await names(ada) == ["for all"]
