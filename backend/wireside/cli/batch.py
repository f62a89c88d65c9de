"""The command ``wireside batch``: answers a file of prompts, and continues where it was killed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wireside.cli.answers_file import AnswersFile, CannotContinue
from wireside.cli.chat import KeyFileOption, KeyOption
from wireside.cli.connect import checked_models, read_key, server_url
from wireside.cli.console import FAILED, WRONG_USE, err, fail_with
from wireside.cli.progress import progress
from wireside.cli.prompts import BadPrompts, PromptLine, read_prompts

if TYPE_CHECKING:
    from wireside.client import AsyncAnswer, AsyncClient
    from wireside.errors import WiresideError

MAX_TRIES = 6
"""Attempts at one prompt, while its errors are retryable."""

MAX_WAIT_S = 60.0


class _Refused(Exception):
    """The server refuses the client, so that no further prompt can be asked; a sentence."""


Done = Callable[[bool], None]
"""Called after each prompt, with whether it has an answer."""


def batch(
    prompts: Annotated[
        Path, typer.Argument(help='One JSON value per line: "text" or {"message": "text", …}.')
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file for the answers.")],
    url: Annotated[
        str | None,
        typer.Option(help="Address of the server; default: the one that runs on this machine."),
    ] = None,
    parallel: Annotated[
        int, typer.Option(help="Prompts that are answered at once.", min=1, max=8)
    ] = 4,
    model: Annotated[str | None, typer.Option(help="The model of prompts that name none.")] = None,
    system: Annotated[
        str | None, typer.Option(help="The system prompt of prompts that have none.")
    ] = None,
    retry_errors: Annotated[
        bool, typer.Option("--retry-errors", help="Ask the prompts again that have failed.")
    ] = False,
    key: KeyOption = None,
    key_file: KeyFileOption = None,
) -> None:
    """Answer each line of a file. Run it again to continue what was interrupted."""
    from wireside.client import Client

    secret = read_key(key, key_file)
    address = server_url(url)
    try:
        lines = read_prompts(prompts)
    except (BadPrompts, OSError) as error:
        fail_with(str(error), WRONG_USE)
    try:
        with Client(address, key=secret) as client:
            checked_models(client, address, is_named=url is not None)
        with AnswersFile(output) as answers:
            answered = answers.read_answered(lines)
            if retry_errors:
                answered = {number: True for number, is_answer in answered.items() if is_answer}
            common = {"model": model, "system": system}
            failed = _answer_all(lines, answered, answers, address, secret, common, parallel)
            answers.finish()
    except (CannotContinue, OSError, ValueError) as error:
        fail_with(str(error), WRONG_USE)
    except _Refused as error:
        fail_with(f"{error} Run the same command again to continue.", FAILED)
    except KeyboardInterrupt:
        err.print("Interrupted. Run the same command again to continue.")
        raise typer.Exit(FAILED) from None
    if failed:
        err.print(f"{failed} of {len(lines)} prompts have failed; --retry-errors asks them again.")
        raise typer.Exit(FAILED)
    err.print(f"{len(lines)} prompts are answered in {output}.")


def _answer_all(
    lines: Sequence[PromptLine],
    answered: dict[int, bool],
    answers: AnswersFile,
    address: str,
    key: str | None,
    common: dict[str, str | None],
    parallel: int,
) -> int:
    """Ask the prompts that have no line; return how many of all have failed.

    ``answered`` are the numbers of the others, and whether their line is an answer or an error.
    """
    waiting = [line for line in lines if line.number not in answered]
    with progress(err, "answering") as on_progress:
        done = len(answered)
        failed = done - sum(answered.values())
        on_progress(done, len(lines))

        def count(is_answered: bool) -> None:
            nonlocal done, failed
            done += 1
            failed += not is_answered
            on_progress(done, len(lines))

        asyncio.run(_ask_all(waiting, answers, address, key, common, parallel, count))
    return failed


async def _ask_all(
    waiting: Sequence[PromptLine],
    answers: AnswersFile,
    address: str,
    key: str | None,
    common: dict[str, str | None],
    parallel: int,
    count: Done,
) -> None:
    from wireside.client import AsyncClient

    queue = iter(waiting)

    async def ask_next(client: AsyncClient) -> None:
        for line in queue:  # shared by all tasks
            result = await _answer(client, line, answers.key_for(line), common)
            answers.append(line, result)
            count("error" not in result)

    async with AsyncClient(address, key=key) as client:
        tasks = [asyncio.create_task(ask_next(client)) for _ in range(parallel)]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()


async def _answer(
    client: AsyncClient, line: PromptLine, key: str, common: dict[str, str | None]
) -> dict[str, Any]:
    """Ask one prompt, again where the error is retryable; return its line of the output."""
    from wireside.errors import WiresideError

    options: Any = {**common, **line.options}
    tries = 0
    while True:
        tries += 1
        # an answer that has failed keeps its key: another attempt needs another one
        attempt = key if tries == 1 else f"{key}-{tries}"
        answer = client.ask(line.message, key=attempt, **options)
        try:
            text = await answer.text()
        except WiresideError as error:
            if client.state == "closed":
                raise _Refused(str(error)) from error
            if not _can_retry(answer, error) or tries == MAX_TRIES:
                return {"error": {"code": error.code, "message": str(error)}}
            await asyncio.sleep(_wait_after(error.retry_after, tries))
        else:
            if answer.reason != "interrupted":
                return _result_of(answer, text)
            if tries == MAX_TRIES:
                message = "The server stopped before the answer was complete."
                return {"error": {"code": "interrupted", "message": message}}
            await asyncio.sleep(_wait_after(None, tries))


def _can_retry(answer: AsyncAnswer, error: WiresideError) -> bool:
    """Return whether another attempt can succeed.

    A server that was restarted does not know the streams that it had begun before.
    """
    is_lost = answer.stream is not None and error.code in ("not_found", "expired")
    return error.retryable or is_lost


def _wait_after(retry_after_s: float | None, tries: int) -> float:
    """Return the time until the next attempt, with jitter, in seconds."""
    longest = min(2.0**tries, MAX_WAIT_S)
    jitter = random.random()  # noqa: S311 (no secret)
    return jitter * longest if retry_after_s is None else retry_after_s + jitter


def _result_of(answer: AsyncAnswer, text: str) -> dict[str, Any]:
    usage = answer.usage
    return {
        "answer": text,
        "reason": answer.reason,
        "model": answer.model,
        "usage": {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens},
    }
