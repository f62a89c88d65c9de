"""Answers in the messages of the bus: entries and ends as plain values for MessagePack."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import msgspec

from wireside.errors import error_from_code
from wireside.messages import Cost, End, Entry, FinishReason, Timing, Usage
from wireside.plain_entries import entry_from_plain, entry_to_plain, plain_count

encode_message = msgspec.msgpack.Encoder().encode
decode_message = msgspec.msgpack.Decoder().decode


def encode_entries(entries: Iterable[Entry]) -> list[tuple[int, bytes]]:
    """Return the kind and the content of each entry."""
    plain = map(entry_to_plain, entries)
    return [(kind, _bytes_of(content)) for kind, content in plain]


def decode_entries(plain: Iterable[Sequence[Any]]) -> list[Entry]:
    """Return the entries that ``encode_entries`` has encoded."""
    return [entry_from_plain(kind, _text_of(content)) for kind, content in plain]


def encode_end(end: End | None) -> tuple[Any, ...] | None:
    """Return an end as a plain value."""
    if end is None:
        return None
    error = end.error and (end.error.code, _bytes_of(str(end.error)), end.error.retry_after)
    return (
        end.reason,
        error,
        plain_count(end.usage.input_tokens),
        plain_count(end.usage.output_tokens),
        end.timing.first_s,
        end.timing.reasoning_s,
        end.timing.total_s,
        end.cost and (end.cost.amount, end.cost.currency),
    )


def decode_end(plain: Sequence[Any] | None) -> End | None:
    """Return the end that ``encode_end`` has encoded."""
    if plain is None:
        return None
    reason, error, input_tokens, output_tokens, first_s, reasoning_s, total_s, cost = plain
    usage = Usage(input_tokens, output_tokens)
    timing = Timing(first_s=first_s, reasoning_s=reasoning_s, total_s=total_s)
    paid = Cost(*cost) if cost else None
    if error is None:
        return End(cast("FinishReason", reason), usage=usage, timing=timing, cost=paid)
    code, sentence, retry_after = error
    error = error_from_code(code, _text_of(sentence), retry_after=retry_after)
    return End(None, error, usage, timing, paid)


def _bytes_of(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")  # a model may send unpaired surrogates


def _text_of(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")
