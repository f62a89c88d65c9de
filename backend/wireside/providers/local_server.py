"""The embedded model's own process: llama.cpp behind an OpenAI-compatible API on loopback.

``local.py`` starts it and sends its requests. The first line on its standard input is a
``LocalServerOptions`` as JSON; it answers with one line on standard output,
``{"address": "http://127.0.0.1:PORT"}``, once the model is loaded. It ends when its standard input
does, so it never outlives its parent. Messages of llama.cpp go to standard error.

Only the standard library is imported at the top: the parent reads ``LocalServerOptions`` from here
and must not load llama.cpp itself, and the child runs this file alone and should start at once.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import threading
from dataclasses import asdict, dataclass
from typing import BinaryIO, Protocol, cast

QUIET = 2
"""llama.cpp's verbosity: warnings and errors; nothing about a single request."""

WAITING_CONNECTIONS = 32
"""HTTP threads: an idle connection that is kept alive holds one for some seconds."""

NICENESS = 5
"""The model may take every core; the server that shows its answer goes first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalServerOptions:
    """What the child is told. ``context_tokens`` are for one answer; they hold its prompt too."""

    weights: str
    model: str
    api_key: str
    context_tokens: int
    parallel: int
    max_tokens: int

    def to_line(self) -> bytes:
        """Return the first line of the child's standard input."""
        return json.dumps(asdict(self)).encode() + b"\n"


class Listening(Protocol):
    """The part of ``xllamacpp.Server`` that is used: it serves for as long as it is held."""

    listening_address: str


def main() -> None:
    """Serve until the parent closes our standard input, or is gone."""
    _leave_signals_to_parent()
    parent = _take_stdout()
    line = sys.stdin.buffer.readline()
    if not line:
        return
    _end_with_parent()
    server = serve(LocalServerOptions(**json.loads(line)))
    parent.write(json.dumps({"address": server.listening_address}).encode() + b"\n")
    parent.flush()
    threading.Event().wait()


def serve(options: LocalServerOptions) -> Listening:
    """Load the model and listen on a free port of loopback. Raises ``RuntimeError``."""
    # llama.cpp is loaded here only (see the module's docstring); it ships no types.
    from xllamacpp import CommonParams, Server

    params = CommonParams()
    params.model.path = options.weights
    params.model_alias = {options.model}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [options.api_key]
    params.n_threads_http = WAITING_CONNECTIONS
    params.n_parallel = options.parallel
    params.n_ctx = options.context_tokens * options.parallel
    params.n_predict = options.max_tokens
    params.cache_ram_mib = 0  # the default keeps up to 8 GB of old prompts
    params.ui = False
    params.endpoint_slots = False
    params.cors_origins = ""
    params.verbosity = QUIET
    # Tried on a dozen questions: a model of this size wanders off at the usual temperature and
    # repeats itself to the end without penalties, but stronger ones spoil its facts and its code.
    params.sampling.temp = 0.2
    params.sampling.top_p = 0.9
    params.sampling.min_p = 0.2
    params.sampling.penalty_last_n = 256
    params.sampling.penalty_repeat = 1.03
    params.sampling.penalty_freq = 0.1
    return cast("Listening", Server(params))


def _take_stdout() -> BinaryIO:
    """Keep standard output for our one line: llama.cpp's own output goes to standard error."""
    parent = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return parent


def _leave_signals_to_parent() -> None:
    """Ignore Ctrl+C and SIGTERM, which reach the whole group.

    The server lets open answers finish before it ends us.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(NICENESS)


def _end_with_parent() -> None:
    threading.Thread(target=_exit_at_end_of_input, daemon=True).start()
    if sys.platform == "linux":
        # A second line: the pipe stays open if a process that the server forked holds its end.
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def _exit_at_end_of_input() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
