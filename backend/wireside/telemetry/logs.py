"""Logging: JSON lines, or text for reading in a terminal.

User and model text, query strings and keys are never logged; values that look like keys are masked
anywhere in an event. For an unexpected exception, the class and traceback are logged; its message
only if the class is one whose messages come from code or the operating system, because exceptions
such as ``ValueError`` and ``KeyError`` quote their input. NiceGUI and Socket.IO quote input in
their log lines, so only the source location of these is logged. Control characters are escaped, so
that a value can't start a new line.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, Final, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

Level = Literal["debug", "info", "warning", "error"]

_MASK: Final = "[hidden]"
_SECRET_NAMES: Final = re.compile(r"(?i)authorization|cookie|passw|secret|ticket|api_?key|^token$")
_SECRET_VALUES: Final = re.compile(
    r"\bsk-[\w-]{8,}|(?i:\b(?:bearer|basic)\s+)[\w.~+/=-]{6,}|\bticket\.[\w-]+"
)
_PLAIN_SPOKEN: Final = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    MemoryError,
    NameError,
    OSError,
    RuntimeError,
    TypeError,
)
"""Exceptions whose messages come from code or the operating system; others quote values."""

_QUIET: Final = (
    "alembic",
    "uvicorn",
    "httpx",
    "httpx2",
    "authlib",
    "httpcore",
    "httpcore2",
    "openai",
    "aiohttp",
    "asyncio",
    "multipart",
)


_QUOTING: Final = ("nicegui", "socketio", "engineio")
"""Libraries whose log lines contain full URLs, and ids and names taken from frames."""


_OF_MCP: Final = ("mcp", "client")
"""Loggers of the package ``mcp``, which repeat what a server sends, as often as it sends it."""


def configure_logging(
    log_format: Literal["text", "json"] = "text",
    level: Level = "info",
    *,
    stream: TextIO | None = None,
) -> None:
    """Configure logging of Wireside and its libraries to ``stream`` (default: stderr)."""
    render: Processor = structlog.processors.JSONRenderer() if log_format == "json" else render_text
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_name_the_place, *_shared_processors()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                show_failure,
                redact_event,
                render,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    for name in ("socketio.server", "engineio.server"):
        own = logging.getLogger(name)
        own.handlers.clear()  # they install handlers with their own format
        own.setLevel(max(logging.ERROR, root.level))  # a set level keeps them from doing so again
    for name in _OF_MCP:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_shared_processors(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def _shared_processors() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _drop_colours,
    ]


def _name_the_place(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    record: logging.LogRecord = event["_record"]
    if record.name.partition(".")[0] in _QUOTING:
        event["event"] = f"said at {record.module}.{record.funcName}, line {record.lineno}"
    return event


def _drop_colours(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    event.pop("color_message", None)  # uvicorn adds each message a second time, coloured
    return event


def show_failure(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Put the traceback into ``exception``, without messages that may quote user data."""
    error = _exception_in(event.pop("exc_info", None))
    if error is None:
        return event
    quoted = [
        words
        for each in _exception_chain(error)
        if not _has_plain_message(each) and (words := str(each))
    ]
    for name, value in event.items():
        if isinstance(value, str) and any(words in value for words in quoted):
            event[name] = _MASK  # libraries may repeat the message in the event
    event["exception"] = "\n".join(_traceback_lines(error))
    return event


def _exception_in(exc_info: Any) -> BaseException | None:
    match exc_info:
        case BaseException():
            return exc_info
        case (_, BaseException() as error, _):
            return error
        case True:
            return sys.exc_info()[1]
        case _:
            return None


def _exception_chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception, then its causes, contexts and grouped exceptions."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        each = waiting.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        if isinstance(each, BaseExceptionGroup):
            waiting += each.exceptions
        cause = each.__cause__ or (None if each.__suppress_context__ else each.__context__)
        if cause is not None:
            waiting.append(cause)


def _traceback_lines(error: BaseException) -> Iterator[str]:
    for number, each in enumerate(_exception_chain(error)):
        kind = type(each)
        name = kind.__qualname__
        if kind.__module__ != "builtins":
            name = f"{kind.__module__}.{name}"
        words = str(each) if _has_plain_message(each) else _MASK
        yield f"{'caused by ' if number else ''}{name}: {words}" if words else name
        for row in traceback.format_tb(each.__traceback__):
            yield row.rstrip()


def _has_plain_message(error: BaseException) -> bool:
    return isinstance(error, _PLAIN_SPOKEN) and not isinstance(error, UnicodeError)


def redact_event(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Mask the values of fields with sensitive names, and keys inside any text."""
    return _hidden_items(event)


def _hidden_items(items: Mapping[str, Any]) -> MutableMapping[str, Any]:
    return {
        name: _MASK if _SECRET_NAMES.search(name) and value else _redact_value(value)
        for name, value in items.items()
    }


def _redact_value(value: Any) -> Any:
    match value:
        case str():
            return _SECRET_VALUES.sub(_MASK, value)
        case Mapping():
            return _hidden_items({str(name): item for name, item in value.items()})
        case list() | tuple():
            return [_redact_value(item) for item in value]
        case None | bool() | int() | float():
            return value
        case _:
            return _SECRET_VALUES.sub(_MASK, str(value))


def render_text(_: WrappedLogger, __: str, event: EventDict) -> str:
    """Render ``time LEVEL logger: event name=value``, with an indented traceback below."""
    when = event.pop("timestamp", "")
    level = str(event.pop("level", "info")).upper()
    name = event.pop("logger", "")
    trace = event.pop("exception", None)
    said = _printable(str(event.pop("event", "")))
    values = "".join(f" {_printable(key)}={_format_value(value)}" for key, value in event.items())
    line = f"{when} {level:<7} {name}: {said}{values}"
    if trace:
        line += "".join(f"\n    | {_printable(row)}" for row in str(trace).splitlines())
    return line


def _format_value(value: Any) -> str:
    text = _printable(value if isinstance(value, str) else str(value))
    if text and not re.search(r'[\s"=]', text):
        return text
    return '"' + text.replace('"', '\\"') + '"'


def _printable(text: str) -> str:
    """Escape unprintable characters: line ends, terminal codes, text direction marks."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
