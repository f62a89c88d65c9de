"""Asks the questions of a handler in the terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from wireside.cli.harmless_text import harmless, harmless_line
from wireside.client import Client

Read = Callable[[str], str]
Say = Callable[[str], None]

_YES = ("y", "yes", "j", "ja", "o", "oui", "s", "si", "sí")
_NO = ("n", "no", "nein", "non")


class QuestionAsker:
    """Asks a question until the user has given an answer of its type.

    Args:
        client: uploads files.
        read: reads a line, with a prompt.
        say: prints a line.
    """

    def __init__(self, client: Client, read: Read, say: Say) -> None:
        self._client = client
        self._read = read
        self._say = say

    def ask(self, question: Mapping[str, Any]) -> Any:
        """Ask, and return the value for the server; as a text where the question has no options.

        Raises:
            EOFError, KeyboardInterrupt: the user does not answer now.
        """
        self._say(harmless(str(question.get("prompt") or "")))
        match question.get("type"):
            case "approve":
                return self._ask_approval(question)
            case "choose" if options := _labels(question.get("options")):
                if question.get("multiple"):
                    return self._ask_several(options)
                return self._ask_choice(options)
            case "form":
                fields = _objects_with("name", question.get("fields"))
                return {str(field["name"]): self._ask_field(field) for field in fields}
            case "file":
                return self._ask_file()
            case _:
                return self._ask_text()

    def _ask_approval(self, question: Mapping[str, Any]) -> bool:
        yes, no = (harmless_line(str(question.get(name) or name)) for name in ("yes", "no"))
        return self._ask_yes(f"y: {yes}, n: {no}> ")

    def _ask_yes(self, prompt: str) -> bool:
        while True:
            given = self._read(prompt).strip().lower()
            if given in _YES or given in _NO:
                return given in _YES
            self._say("Type y or n.")

    def _ask_choice(self, options: Sequence[tuple[str, str]]) -> str:
        while True:
            chosen = self._read_choices(options, "number> ")
            if len(chosen) == 1:
                return chosen[0]
            self._say(f"Type one number from 1 to {len(options)}.")

    def _ask_several(self, options: Sequence[tuple[str, str]]) -> list[str]:
        while True:
            chosen = self._read_choices(options, "numbers, such as 1 3> ")
            if chosen:
                return chosen
            self._say(f"Type numbers from 1 to {len(options)}.")

    def _read_choices(self, options: Sequence[tuple[str, str]], prompt: str) -> list[str]:
        """Read numbers; return the values that they select, none if one is invalid."""
        for number, (_, label) in enumerate(options, 1):
            self._say(f"  {number}. {harmless_line(label)}")
        words = self._read(prompt).replace(",", " ").split()
        numbers = [int(word) if word.isascii() and word.isdigit() else 0 for word in words]
        if not all(1 <= number <= len(options) for number in numbers):
            return []
        return [options[number - 1][0] for number in dict.fromkeys(numbers)]

    def _ask_field(self, field: Mapping[str, Any]) -> Any:
        label = harmless_line(str(field.get("label") or field["name"]))
        default = field.get("value")
        if field.get("type") == "choice" and (options := _labels(field.get("options"))):
            self._say(label)
            return self._ask_choice(options)
        if field.get("type") == "switch":
            return self._ask_yes(f"{label} (y/n)> ")
        hint = "" if default is None else f" [{harmless_line(str(default))}]"
        while True:
            given = self._read(f"{label}{hint}> ").strip()
            if not given and default is not None:
                return default
            if not given:
                if not field.get("required"):
                    return None
                self._say("This field needs a value.")
            elif field.get("type") != "number":
                return given
            elif (number := _number(given)) is not None:
                return number
            else:
                self._say("Type a number.")

    def _ask_text(self) -> str:
        while not (given := self._read("answer> ").strip()):
            self._say("Type an answer.")
        return given

    def _ask_file(self) -> str:
        while True:
            path = Path(self._read("file> ").strip()).expanduser()
            if path.is_file():
                return self._client.upload(path).id
            self._say(f"There is no file {harmless_line(str(path))}.")


def _labels(options: Any) -> list[tuple[str, str]]:
    """Return the values of options with their labels."""
    known = _objects_with("value", options)
    return [(str(one["value"]), str(one.get("label") or one["value"])) for one in known]


def _objects_with(name: str, value: Any) -> list[Mapping[str, Any]]:
    """Return the objects of a list that have a field; another server may send anything."""
    found = value if isinstance(value, list) else []
    return [one for one in found if isinstance(one, dict) and name in one]


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return int(number) if number.is_integer() else number
