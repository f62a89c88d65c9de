"""The chat in a terminal: reads questions and commands, and shows the answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from wireside.cli.harmless_text import harmless_line
from wireside.cli.terminal.answer_view import show_answer
from wireside.cli.terminal.line_input import LineInput
from wireside.cli.terminal.questions import QuestionAsker
from wireside.client import Answer, Client, Conversation, Upload, WiresideError
from wireside.client.options import AskOptions

HELP = """\
  /attach FILE      adds a file to the next question
  /model [NAME]     lists the models, or chooses one
  /conversations    lists the last conversations
  /open NUMBER      continues one of them
  /new              begins a new conversation
  /quit             leaves (Ctrl-D)
  \"\"\" … \"\"\"         a message of several lines; so does \\ at the end of a line
  Ctrl-C            stops the answer"""

LISTED = 20


class TerminalChat:
    """A conversation in the terminal. ``options`` are those of each question."""

    def __init__(
        self,
        client: Client,
        console: Console,
        lines: LineInput,
        options: AskOptions,
        *,
        conversation: str | None = None,
        is_raw: bool = False,
    ) -> None:
        self._client = client
        self._console = console
        self._lines = lines
        self._options = options
        self._is_raw = is_raw
        self._conversation: Conversation = client.conversation(conversation)
        self._attached: list[Upload] = []
        self._listed: list[str] = []
        self._asker = QuestionAsker(client, lines.read_message, self._say)

    def attach(self, path: str) -> None:
        """Upload a file for the next question."""
        file = Path(path).expanduser()
        if not file.is_file():
            return self._say(f"There is no file {harmless_line(path)}.")
        upload = self._client.upload(file)
        self._attached.append(upload)
        self._say(f"Attached {harmless_line(upload.name)} ({upload.size_bytes:,} bytes).")

    def run(self) -> None:
        """Read and answer until the user leaves."""
        try:
            while True:
                try:
                    message = self._lines.read_message("> ").strip()
                except KeyboardInterrupt:
                    self._say("\n(/quit or Ctrl-D leaves.)")
                    continue
                if message in ("/quit", "/exit"):
                    return
                if message:
                    self._handle(message)
        except EOFError:
            self._say("")
        finally:
            self._lines.save()

    def _handle(self, message: str) -> None:
        try:
            if message.startswith("/"):
                self._run_command(message)
            else:
                self._ask(message)
        except WiresideError as error:
            self._console.print(Text(harmless_line(str(error)), style="bold red"))
        except KeyboardInterrupt:
            self._say("")

    # ---- questions -----------------------------------------------------------------------------

    def _ask(self, message: str) -> None:
        attached, self._attached = self._attached, []
        options: AskOptions = {**self._options, "attachments": attached}
        answer = self._conversation.ask(message, **options)
        self._show(answer)
        while (question := answer.open_question) is not None:
            data = question.data if isinstance(question.data, dict) else {}
            try:
                value = self._asker.ask({"prompt": question.text, **data})
            except (EOFError, KeyboardInterrupt):
                return self._say("\nThe question stays open; the page can answer it, too.")
            answer = self._client.reply(answer, value)
            self._show(answer)

    def _show(self, answer: Answer) -> None:
        try:
            show_answer(self._console, answer, is_raw=self._is_raw)
        except KeyboardInterrupt:
            answer.stop()
            answer.end()
            self._console.print(Text("Stopped.", style="dim"))
        if self._is_raw:
            self._say("")
        if answer.reason == "length":
            self._console.print(Text("(The answer has reached its limit.)", style="dim"))
        if not answer.is_saved:
            self._console.print(Text("(The server could not store it.)", style="yellow"))

    # ---- commands ------------------------------------------------------------------------------

    def _run_command(self, message: str) -> None:
        name, _, argument = message.partition(" ")
        argument = argument.strip()
        match name:
            case "/help":
                self._say(HELP)
            case "/attach":
                self.attach(argument)
            case "/model":
                self._choose_model(argument)
            case "/conversations":
                self._list_conversations()
            case "/open":
                self._open(argument)
            case "/new":
                self._conversation = self._client.conversation()
                self._say("A new conversation.")
            case _:
                self._say(f"There is no command {harmless_line(name)}; /help lists them.")

    def _choose_model(self, name: str) -> None:
        models = self._client.rest.models()
        if not name:
            current = self._options.get("model") or (models[0].id if models else "")
            for model in models:
                mark = "*" if model.id == current else " "
                self._say(f"{mark} {harmless_line(model.id)}")
        elif name in {model.id for model in models}:
            self._options["model"] = name
            self._say(f"The model is {name}.")
        else:
            self._say(f"The server does not offer {harmless_line(name)}; /model lists its models.")

    def _list_conversations(self) -> None:
        page = self._client.rest.conversations(limit=LISTED)
        self._listed = [info.id for info in page.conversations]
        table = Table(box=None, show_header=False, padding=(0, 1))
        for number, info in enumerate(page.conversations, 1):
            day = info.updated_at.astimezone().strftime("%Y-%m-%d %H:%M")
            table.add_row(str(number), day, Text(harmless_line(info.title)))
        self._console.print(table if self._listed else "There are no conversations yet.")

    def _open(self, argument: str) -> None:
        number = int(argument) if argument.isascii() and argument.isdigit() else 0
        if not 1 <= number <= len(self._listed):
            return self._say("Type /conversations, then /open with one of its numbers.")
        stored = self._client.rest.conversation(self._listed[number - 1], limit=1)
        self._conversation = self._client.conversation(stored.id)
        self._say(f"Continuing: {harmless_line(stored.title)}")
        for turn in stored.turns:
            self._console.print(Text(f"> {harmless_line(turn.question)}", style="bold"))
            text = "".join(stream.text for stream in turn.answer)
            self._console.print(Text(harmless_line(text)[:500], style="dim"))

    def _say(self, text: str) -> None:
        self._console.print(Text(text))


def answer_as_object(answer: Answer, text: str, reasoning: str) -> dict[str, Any]:
    """Return an answer as one JSON object, for ``--json``."""
    return {
        "text": text,
        "reasoning": reasoning,
        "reason": answer.reason,
        "model": answer.model,
        "conversation": answer.conversation,
        "stream": answer.stream,
        "usage": {
            "input_tokens": answer.usage.input_tokens,
            "output_tokens": answer.usage.output_tokens,
        },
    }
