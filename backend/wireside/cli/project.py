"""``wireside new``: the files of a small chat of one's own."""

from __future__ import annotations

from pathlib import Path

APP = '''"""A chat of your own: it answers what `answer` yields."""

import asyncio

from wireside import Chat, Turn

chat = Chat("My chat", starters=["Hello", "What can you do?"])


@chat.on_message
async def answer(turn: Turn):
    """Answers with the words of the question."""
    async with turn.step("think", input=turn.text) as step:
        await asyncio.sleep(0.2)
        step.output = f"{len(turn.text.split())} words"
    for word in f"You said: {turn.text}".split(" "):
        yield f"{word} "
        await asyncio.sleep(0.05)
'''

TEST = '''"""The handler is tested by a plain call; `wireside serve app:chat` is the whole chat."""

import asyncio

from app import answer
from wireside import Turn


def test_the_answer_has_the_words_of_the_question():
    async def ask(text: str) -> str:
        parts = [part async for part in answer(Turn(text, user="ada"))]
        return "".join(part for part in parts if isinstance(part, str))

    assert asyncio.run(ask("two words")) == "You said: two words "
'''

README = """# {name}

```sh
wireside serve app:chat --reload   # http://127.0.0.1:8080; restarts when app.py is saved
python -m pytest                   # the test
```

`app.py` has one handler. Yield text or parts (`Source`, `Show`, `File`, `Reasoning`), open steps
with `turn.step`, ask with `await turn.ask(Approve("…"))`.
"""


def create_project(folder: Path) -> None:
    """Write the files of a new chat. Raises ``FileExistsError`` if the folder exists."""
    folder.mkdir(parents=True)
    (folder / "app.py").write_text(APP, encoding="utf-8")
    (folder / "test_app.py").write_text(TEST, encoding="utf-8")
    (folder / "README.md").write_text(README.format(name=folder.name), encoding="utf-8")
