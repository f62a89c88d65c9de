"""The embedded model's process: llama.cpp with an OpenAI-compatible API on loopback.

``local.py`` starts it and sends its requests. It reads one line from standard input,
``LocalServerOptions`` as JSON, and writes one line to standard output,
``{"address": "http://127.0.0.1:PORT"}``, once the model is loaded. It ends when its standard input
is closed, so it never outlives its parent. llama.cpp logs to standard error.

Only the standard library is imported at the top: the parent imports ``LocalServerOptions`` from
here and must not load llama.cpp, and the child runs this file alone to start quickly.
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
"""llama.cpp's verbosity: warnings and errors, but no messages about single requests."""

WAITING_CONNECTIONS = 32
"""Number of HTTP threads; an idle keep-alive connection occupies one for some seconds."""

NICENESS = 5
"""Nice value of the process: the model may use every core, but the server takes precedence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalServerOptions:
    """The child's options.

    ``context_tokens`` is the context size per answer, with its prompt; ``port`` 0: a free one.
    """

    weights: str
    model: str
    api_key: str
    context_tokens: int
    parallel: int
    max_tokens: int
    port: int = 0

    def to_line(self) -> bytes:
        """Return the first line of the child's standard input."""
        return json.dumps(asdict(self)).encode() + b"\n"


class Listening(Protocol):
    """The used part of ``xllamacpp.Server``, which serves as long as a reference to it exists."""

    listening_address: str


def main() -> None:
    """Serve until the parent closes standard input or ends."""
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
    """Load the model and listen on a free loopback port. Raises ``RuntimeError`` on failure."""
    # llama.cpp is imported only here (see the module's docstring); it has no type stubs.
    from xllamacpp import CommonParams, Server

    params = CommonParams()
    params.model.path = options.weights
    params.model_alias = {options.model}
    params.hostnames = ["127.0.0.1"]
    params.port = options.port
    params.api_keys = [options.api_key]
    params.n_threads_http = WAITING_CONNECTIONS
    params.n_parallel = options.parallel
    params.n_ctx = options.context_tokens * options.parallel
    params.n_predict = options.max_tokens
    params.cache_ram_mib = 0  # the default caches up to 8 GB of old prompts
    params.ui = False
    params.endpoint_slots = False
    params.cors_origins = ""
    params.verbosity = QUIET
    # Tested with a dozen questions: a model of this size digresses at the usual temperature and
    # repeats itself without penalties, but stronger penalties spoil its facts and its code.
    params.sampling.temp = 0.2
    params.sampling.top_p = 0.9
    params.sampling.min_p = 0.2
    params.sampling.penalty_last_n = 256
    params.sampling.penalty_repeat = 1.03
    params.sampling.penalty_freq = 0.1
    return cast("Listening", Server(params))


def _take_stdout() -> BinaryIO:
    """Reserve standard output for the address line; llama.cpp's output goes to standard error."""
    parent = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return parent


def _leave_signals_to_parent() -> None:
    """Ignore Ctrl+C and SIGTERM, which reach the whole process group.

    The parent lets running answers finish before it ends this process.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(NICENESS)


def _end_with_parent() -> None:
    threading.Thread(target=_exit_at_end_of_input, daemon=True).start()
    if sys.platform == "linux":
        # A second safeguard: the pipe stays open if a process forked by the server holds its end.
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def _exit_at_end_of_input() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
