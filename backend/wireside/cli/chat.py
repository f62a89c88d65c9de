"""The command ``wireside chat``: a chat in the terminal, or one answer for a pipe.

Modules of the client and of the terminal are imported inside the command: the server needs neither.
"""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wireside.cli.connect import checked_models, read_key, server_url
from wireside.cli.console import FAILED, WRONG_USE, err, fail_with
from wireside.cli.harmless_text import harmless_line

if TYPE_CHECKING:
    from wireside.client import Answer, Client
    from wireside.client.options import AskOptions

KeyOption = Annotated[str | None, typer.Option("--key", help="An API key of the server.")]
KeyFileOption = Annotated[
    Path | None,
    typer.Option("--key-file", help="A file with the API key; others see --key in the processes."),
]


def chat(
    url: Annotated[
        str | None,
        typer.Argument(help="Address of the server; default: the one that runs on this machine."),
    ] = None,
    model: Annotated[str | None, typer.Option(help="The model; default: the server's.")] = None,
    system: Annotated[str | None, typer.Option(help="Replaces the system prompt.")] = None,
    attach: Annotated[
        list[Path] | None, typer.Option(help="A file for the first question; may be repeated.")
    ] = None,
    conversation: Annotated[
        str | None, typer.Option(help="Id of a conversation to continue, or `new`.")
    ] = None,
    key: KeyOption = None,
    key_file: KeyFileOption = None,
    raw: Annotated[bool, typer.Option("--raw", help="Print the text as it is.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="With a question on standard input: print JSON.")
    ] = False,
) -> None:
    """Chat in the terminal, or answer the question on standard input.

    With a terminal as input, /help lists the commands.
    """
    from wireside.client import Client

    address = server_url(url)
    files = [str(path) for path in attach or ()]
    for path in files:
        if not Path(path).is_file():
            fail_with(f"There is no file {path}.", WRONG_USE)
    options: AskOptions = {"model": model, "system": system}
    with ExitStack() as stack:
        try:
            client = stack.enter_context(Client(address, key=read_key(key, key_file)))
        except ValueError as error:
            fail_with(str(error), WRONG_USE)
        models = checked_models(client, address, is_named=url is not None)
        if sys.stdin.isatty() and not as_json:
            name = model or (models[0].id if models else "no model")
            _chat_in_terminal(client, name, options, files, conversation, is_raw=raw)
        else:
            _answer_standard_input(
                client, options, files, conversation, is_raw=raw, is_json=as_json
            )


def _chat_in_terminal(
    client: Client,
    model: str,
    options: AskOptions,
    files: list[str],
    conversation: str | None,
    *,
    is_raw: bool,
) -> None:
    from rich.console import Console

    from wireside.cli.terminal.chat import TerminalChat
    from wireside.cli.terminal.line_input import LineInput, history_file
    from wireside.errors import WiresideError

    console = Console(highlight=False, markup=False, emoji=False)
    known = None if conversation == "new" else conversation
    chat_ = TerminalChat(
        client,
        console,
        LineInput(history_file()),
        options,
        conversation=known,
        is_raw=is_raw or not console.is_terminal,
    )
    console.print(f"Wireside, {harmless_line(model)}. /help lists the commands.", style="dim")
    try:
        for path in files:
            chat_.attach(path)
    except WiresideError as error:
        fail_with(str(error), FAILED)
    chat_.run()


def _answer_standard_input(
    client: Client,
    options: AskOptions,
    files: list[str],
    conversation: str | None,
    *,
    is_raw: bool,
    is_json: bool,
) -> None:
    from rich.console import Console

    from wireside.cli.terminal.answer_view import show_answer
    from wireside.errors import WiresideError

    question = sys.stdin.buffer.read().decode("utf-8", "replace").strip()
    answer: Answer | None = None
    if not question and not files:
        fail_with("There is no question on standard input.", WRONG_USE)
    try:
        options["attachments"] = [client.upload(path) for path in files]
        answer = client.ask(question, conversation=conversation, **options)
        if is_json:
            _print_json(_read_as_object(answer))
        else:
            console = Console(highlight=False, markup=False, emoji=False)
            show_answer(console, answer, is_raw=is_raw or not console.is_terminal)
            if is_raw or not console.is_terminal:
                typer.echo()
    except WiresideError as error:
        if is_json:
            _print_json({"error": {"code": error.code, "message": str(error)}})
            raise typer.Exit(FAILED) from None
        fail_with(str(error), FAILED)
    except KeyboardInterrupt:
        if answer is not None:  # else it uploads a file
            answer.stop()
        raise typer.Exit(FAILED) from None
    if answer.open_question is not None:
        known = harmless_line(answer.conversation or "")
        where = f" of the conversation {known}" if known else ""
        sentence = f"It asks a question{where}: answer it in the page or in a terminal."
        err.print(sentence, markup=False)
        raise typer.Exit(FAILED)


def _read_as_object(answer: Answer) -> dict[str, Any]:
    """Read an answer; return its texts and what is known of it."""
    from wireside.cli.terminal.chat import answer_as_object
    from wireside.protocol.frames import ChunkFrame, ReasoningFrame

    texts: dict[str, str] = {"chunk": "", "reasoning": ""}
    for piece in answer.parts():
        if isinstance(piece, ChunkFrame | ReasoningFrame):
            texts[piece.type] += piece.content
    return answer_as_object(answer, texts["chunk"], texts["reasoning"])


def _print_json(value: Any) -> None:
    """Print a value; in a terminal without the control characters that JSON does not escape."""
    text = json.dumps(value, ensure_ascii=sys.stdout.isatty())
    typer.echo(text.replace("\x7f", "\\u007f"))
