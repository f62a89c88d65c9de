"""What is seen from outside: log lines and the counters behind the line of every 30 seconds.

Nothing that a user or a model wrote is logged, nor a query string, nor a key: what looks like one
is masked, wherever in an event it stands. Control characters are escaped, so that no value can
begin a line of its own.
"""

from __future__ import annotations

import asyncio
import logging
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Final, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from wireside.ports import Clock

Level = Literal["debug", "info", "warning", "error"]

_log = structlog.get_logger(__name__)

_MASK: Final = "[hidden]"
_SECRET_NAMES: Final = re.compile(r"(?i)authorization|cookie|passw|secret|ticket|api_?key|^token$")
_SECRET_VALUES: Final = re.compile(
    r"\bsk-[\w-]{8,}|(?i:\b(?:bearer|basic)\s+)[\w.~+/=-]{6,}|\bticket\.[\w-]+"
)
_QUIET: Final = (
    "uvicorn",
    "httpx",
    "httpx2",
    "httpcore",
    "openai",
    "aiohttp",
    "asyncio",
    "multipart",
)


class Telemetry:
    """Counts what happens; ``line`` says it as the figures of the time since the last line."""

    def __init__(
        self,
        *,
        interval_s: float = 30.0,
        clock: Clock = time.monotonic,
        open_streams: Callable[[], int] = lambda: 0,
    ) -> None:
        self._interval_s = interval_s
        self._open_streams = open_streams
        self._clock = clock
        self.connections = 0
        self.messages = 0
        self.refused = 0
        self.errors: Counter[str] = Counter()
        self._since = clock()
        self._messages_before = 0
        self._refused_before = 0
        self._errors_before: Counter[str] = Counter()

    def connected(self) -> None:
        """A connection has opened."""
        self.connections += 1

    def disconnected(self) -> None:
        """A connection has closed."""
        self.connections -= 1

    def message(self) -> None:
        """A frame of a client was taken."""
        self.messages += 1

    def error(self, code: str) -> None:
        """An error was told to a client."""
        self.errors[code] += 1

    def refuse(self) -> None:
        """A request was turned away at the door: Host, Origin, or too many connections."""
        self.refused += 1

    def line(self, now: float) -> dict[str, Any]:
        """Return the figures since the last call; ``error_rate`` is errors for each message."""
        seconds = max(now - self._since, 1e-9)
        messages = self.messages - self._messages_before
        errors = self.errors - self._errors_before
        refused = self.refused - self._refused_before
        self._since = now
        self._messages_before = self.messages
        self._refused_before = self.refused
        self._errors_before = self.errors.copy()
        return {
            "active_connections": self.connections,
            "messages_per_second": round(messages / seconds, 2),
            "error_rate": round(errors.total() / max(messages, 1), 4),
            "open_streams": self._open_streams(),
            "messages_total": self.messages,
            "errors_total": self.errors.total(),
            "errors": dict(errors),
            "refused": refused,
        }

    async def run(self) -> None:
        """Log a line every ``interval_s``, for ever."""
        while True:
            await asyncio.sleep(self._interval_s)
            _log.info("server_metrics", **self.line(self._clock()))


def configure_logging(
    log_format: Literal["text", "json"] = "text",
    level: Level = "info",
    *,
    stream: TextIO | None = None,
) -> None:
    """Send all log lines, ours and those of libraries, to ``stream`` (stderr) in one form."""
    render: Processor = structlog.processors.JSONRenderer() if log_format == "json" else render_text
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_common(),
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                hide_secrets,
                render,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_common(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def _common() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _drop_colours,
    ]


def _drop_colours(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    event.pop("color_message", None)  # uvicorn says each of its lines twice
    return event


def hide_secrets(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Mask values with a telling name, and keys inside of any text."""
    return _hidden_items(event)


def _hidden_items(items: Mapping[str, Any]) -> MutableMapping[str, Any]:
    return {
        name: _MASK if _SECRET_NAMES.search(name) and value else _hidden(value)
        for name, value in items.items()
    }


def _hidden(value: Any) -> Any:
    match value:
        case str():
            return _SECRET_VALUES.sub(_MASK, value)
        case Mapping():
            return _hidden_items({str(name): item for name, item in value.items()})
        case list() | tuple():
            return [_hidden(item) for item in value]
        case None | bool() | int() | float():
            return value
        case _:
            return _SECRET_VALUES.sub(_MASK, str(value))


def render_text(_: WrappedLogger, __: str, event: EventDict) -> str:
    """Render ``time LEVEL logger: event name=value``, a traceback indented below it."""
    when = event.pop("timestamp", "")
    level = str(event.pop("level", "info")).upper()
    name = event.pop("logger", "")
    trace = event.pop("exception", None)
    said = _printable(str(event.pop("event", "")))
    values = "".join(f" {_printable(key)}={_value(value)}" for key, value in event.items())
    line = f"{when} {level:<7} {name}: {said}{values}"
    if trace:
        line += "".join(f"\n    | {_printable(row)}" for row in str(trace).splitlines())
    return line


def _value(value: Any) -> str:
    text = _printable(value if isinstance(value, str) else str(value))
    if text and not re.search(r'[\s"=]', text):
        return text
    return '"' + text.replace('"', '\\"') + '"'


def _printable(text: str) -> str:
    """Escape what is not printable: line ends, terminal codes, text direction marks."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
